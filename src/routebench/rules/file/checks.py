"""What is wrong with a rules.yaml whose keys are right: names that point nowhere, rules that nothing reaches."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from routebench.errors import nearest
from routebench.rules.conditions.covering import matches_always, unreached
from routebench.rules.contents import RESERVED
from routebench.rules.file.dangling import dangling
from routebench.rules.file.schema import RulesSettings
from routebench.rules.file.unknowable import unknowable
from routebench.yaml_source import Path

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
Problem = tuple[Path, str]
"""Where in the document, and one sentence with the mend."""


def problems_of(settings: RulesSettings) -> list[Problem]:
    """Returns everything that is wrong, in the order of the file."""
    return [
        *_few_shot_files(settings),
        *_order(settings),
        *dangling(settings),
        *unknowable(settings),
        *_key_names(settings),
        *_regions(settings),
        *_duplicates("guards", [guard.name for guard in settings.guards]),
        *_duplicates("rules", [rule.name for rule in settings.rules]),
        *_places(settings),
        *_reserved(settings),
        *_empty(settings),
        *_unreachable(settings),
    ]


def _few_shot_files(settings: RulesSettings) -> Iterator[Problem]:
    for name, model in settings.models.items():
        if isinstance(model.few_shot, str):
            yield (
                ("models", name, "few_shot"),
                f"model {name!r}: a rules.yaml holds its demonstrations itself; write the messages here",
            )


def _order(settings: RulesSettings) -> Iterator[Problem]:
    if settings.order is not None and sorted(settings.order) != sorted(settings.models):
        missing = [name for name in settings.models if name not in settings.order]
        listed = f"; it lacks {', '.join(missing)}" if missing else ""
        yield ("order",), f"`order` names every model once, from weakest to strongest{listed}"


def _key_names(settings: RulesSettings) -> Iterator[Problem]:
    for name, model in settings.models.items():
        places: list[tuple[Path, str | None]] = [(("models", name, "key_env"), model.key_env)]
        places += [
            (("models", name, "deployments", index, "key_env"), one.key_env)
            for index, one in enumerate(model.deployments or ())
        ]
        for path, key_env in places:
            if key_env is not None and not _VARIABLE.fullmatch(key_env):
                # It may be a key: the sentence does not repeat it.
                yield path, "`key_env` names an environment variable, such as OPENAI_KEY; the key stays out of files"


def _regions(settings: RulesSettings) -> Iterator[Problem]:
    known = {model.region for model in settings.models.values()}
    known |= {one.region for model in settings.models.values() for one in model.deployments or ()}
    named = sorted(region for region in known if region is not None)
    for index, guard in enumerate(settings.guards):
        if guard.regions is not None and known.isdisjoint(guard.regions):
            near = next((said for one in guard.regions if (said := nearest(one, named))), "")
            said = f"nothing runs in {' or '.join(guard.regions)}{near}: requests that guard {guard.name!r} holds for"
            yield ("guards", index, "regions"), f"{said} would all fail; regions here: {', '.join(named) or 'none'}"


def _duplicates(section: str, names: Sequence[str]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield (
                (section, index, "name"),
                f"{section[:-1]} {name!r} stands twice; decisions name it, so it must be one",
            )
        seen.add(name)


def _places(settings: RulesSettings) -> Iterator[Problem]:
    """Deployments are called after their model, so no other model may have such a name."""
    for name, model in settings.models.items():
        for number in range(1, len(model.deployments or ()) + 1):
            if f"{name}#{number}" in settings.models:
                yield (
                    ("models", f"{name}#{number}"),
                    f"a deployment of {name!r} has the same name; call this model otherwise",
                )


def _reserved(settings: RulesSettings) -> Iterator[Problem]:
    for index, rule in enumerate(settings.rules):
        if rule.name in RESERVED:
            yield (
                ("rules", index, "name"),
                f"a rule cannot be called {rule.name!r}: so are decisions called that no rule made; rename it",
            )


def _empty(settings: RulesSettings) -> Iterator[Problem]:
    for index, rule in enumerate(settings.rules):
        if matches_always(rule.when):
            yield ("rules", index, "when"), "this rule matches every request; write it as `default`"


def _unreachable(settings: RulesSettings) -> Iterator[Problem]:
    names = [rule.name for rule in settings.rules]
    for place, earlier in unreached([rule.when for rule in settings.rules]):
        *some, last = [repr(names[one]) for one in earlier]
        taken = f"{', '.join(some)} and {last} before it take" if some else f"{last} before it takes"
        yield (
            ("rules", place, "when"),
            f"rule {names[place]!r} is never reached: {taken} every request that it matches; move it up or take it out",
        )
