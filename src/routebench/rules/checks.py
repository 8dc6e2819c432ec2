"""What is wrong with a rules.yaml whose keys are right: names that point nowhere, rules that nothing reaches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from routebench.errors import RulesError, nearest
from routebench.rules.conditions import Condition
from routebench.rules.schema import RulesSettings
from routebench.rules.when import RangeSettings, WhenSettings
from routebench.yaml_source import Path

Problem = tuple[Path, str]
"""Where in the document, and one sentence with the mend."""


def problems_of(settings: RulesSettings) -> list[Problem]:
    """Returns everything that is wrong, in the order of the file."""
    return [
        *_few_shot_files(settings),
        *_order(settings),
        *_dangling(settings),
        *_duplicates("guards", [guard.name for guard in settings.guards]),
        *_duplicates("rules", [rule.name for rule in settings.rules]),
        *_conditions(settings),
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


def _dangling(settings: RulesSettings) -> Iterator[Problem]:
    places: list[tuple[Path, Sequence[str]]] = [(("order",), settings.order or [])]
    for index, guard in enumerate(settings.guards):
        places.append((("guards", index, "only"), guard.only or []))
        places.append((("guards", index, "never"), guard.never or []))
        places.append((("guards", index, "at_least"), [guard.at_least] if guard.at_least is not None else []))
    places += [(("rules", index, "route"), rule.route) for index, rule in enumerate(settings.rules)]
    places.append((("default", "route"), settings.default.route or []))
    places += [
        (("default", "mix", index, "route"), part.route) for index, part in enumerate(settings.default.mix or [])
    ]
    for path, names in places:
        for name in names:
            if name not in settings.models:
                known = ", ".join(settings.models)
                yield path, f"no model {name!r}{nearest(name, settings.models)}; models here: {known}"
        if len(set(names)) < len(names):
            yield path, "a model stands twice; keep its first place"


def _duplicates(section: str, names: Sequence[str]) -> Iterator[Problem]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield (
                (section, index, "name"),
                f"{section[:-1]} {name!r} stands twice; decisions name it, so it must be one",
            )


def _conditions(settings: RulesSettings) -> Iterator[Problem]:
    whens = [(("guards", index, "when"), guard.when) for index, guard in enumerate(settings.guards)]
    whens += [(("rules", index, "when"), rule.when) for index, rule in enumerate(settings.rules)]
    for path, when in whens:
        try:
            condition = Condition.build(when)
        except RulesError as error:
            yield path, str(error)
        else:
            if not condition.tests and path[0] == "rules":
                yield path, "this rule matches every request; write it as `default`"


def _unreachable(settings: RulesSettings) -> Iterator[Problem]:
    for index, rule in enumerate(settings.rules):
        for earlier in settings.rules[:index]:
            if covers(earlier.when, rule.when):
                sentence = (
                    f"rule {rule.name!r} is never reached: {earlier.name!r} before it takes every request that it "
                    "matches; move it up or take it out"
                )
                yield ("rules", index, "when"), sentence
                break


def covers(first: WhenSettings, second: WhenSettings) -> bool:
    """Whether every request that matches `second` surely matches `first`; False where that does not show."""
    ours, theirs = _given(first), _given(second)
    if ours.pop("in_", None) != theirs.pop("in_", None) or not ours:
        return False
    return all(key in theirs and _implies(key, theirs[key], value) for key, value in ours.items())


def _given(when: WhenSettings) -> dict[str, Any]:
    values = {name: getattr(when, name) for name in type(when).model_fields}
    return {name: value for name, value in values.items() if value is not None and value != {}}


def _implies(key: str, narrow: Any, wide: Any) -> bool:
    """Whether a request that passes `narrow` under this key surely passes `wide`."""
    if isinstance(wide, RangeSettings):
        return _inside(narrow, wide)
    if key == "any_keyword":
        return _folded(narrow) <= _folded(wide)
    if key == "all_keywords":
        return _folded(wide) <= _folded(narrow)
    if key in ("tag", "language"):
        return {narrow} <= set(wide) if isinstance(narrow, str) and isinstance(wide, list) else bool(narrow == wide)
    if key == "metadata":
        return all(name in narrow and narrow[name] == value for name, value in wide.items())
    return bool(narrow == wide)


def _folded(words: Sequence[str]) -> set[str]:
    return {word.casefold() for word in words}


def _inside(narrow: RangeSettings, wide: RangeSettings) -> bool:
    # A bound as (number, strictness): a strict bound at the same number is the narrower one.
    def low(bounds: RangeSettings) -> tuple[float, int]:
        pairs = [(bounds.ge, 0), (bounds.gt, 1)]
        return max(((value, strict) for value, strict in pairs if value is not None), default=(float("-inf"), 0))

    def high(bounds: RangeSettings) -> tuple[float, int]:
        pairs = [(bounds.le, 0), (bounds.lt, -1)]
        return min(((value, strict) for value, strict in pairs if value is not None), default=(float("inf"), 0))

    return low(narrow) >= low(wide) and high(narrow) <= high(wide)
