"""Names in a rules.yaml that point nowhere, or that nothing points at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from routebench.errors import nearest
from routebench.rules.file.schema import RulesSettings
from routebench.yaml_source import Path


def dangling(settings: RulesSettings) -> Iterator[tuple[Path, str]]:
    """Yields the place of every name that the file does not have, of models twice in a list, and of idle checks."""
    known = ", ".join(settings.models)
    for path, names in _model_names(settings):
        for name in names:
            if name not in settings.models:
                yield path, f"no model {name!r}{nearest(name, settings.models)}; models here: {known}"
        if len(set(names)) < len(names):
            yield path, "a model stands twice; keep its first place"
    for path, name in _check_names(settings):
        if name not in settings.cascade:
            there = f"; checks here: {', '.join(settings.cascade)}" if settings.cascade else ""
            mend = there or "; describe it under the key `cascade` of the file"
            yield path, f"no check {name!r}{nearest(name, settings.cascade)}{mend}"
    used = {name for _, name in _check_names(settings)}
    for name in settings.cascade:
        # A name that points nowhere was said already, and is likely this check's.
        if name not in used and used <= settings.cascade.keys():
            yield ("cascade", name), f"no route names check {name!r}: add `cascade: {name}` to one, or take it out"


def _model_names(settings: RulesSettings) -> Iterator[tuple[Path, Sequence[str]]]:
    yield ("order",), settings.order or []
    for index, guard in enumerate(settings.guards):
        yield ("guards", index, "only"), guard.only or []
        yield ("guards", index, "never"), guard.never or []
        yield ("guards", index, "at_least"), [] if guard.at_least is None else [guard.at_least]
    for index, rule in enumerate(settings.rules):
        yield ("rules", index, "route"), rule.route
    if settings.complexity is not None and settings.complexity.classifier.model is not None:
        yield ("complexity", "classifier", "model"), [settings.complexity.classifier.model]
    for index, tier in enumerate(settings.complexity.tiers if settings.complexity else []):
        yield ("complexity", "tiers", index, "route"), tier.route
    for name, check in settings.cascade.items():
        if check.judge is not None:
            yield ("cascade", name, "judge", "model"), [check.judge.model]
    yield ("default", "route"), settings.default.route or []
    for index, part in enumerate(settings.default.mix or []):
        yield ("default", "mix", index, "route"), part.route
    for name in settings.health.p90_s if settings.health else ():
        yield ("health", "p90_s", name), [name]


def _check_names(settings: RulesSettings) -> Iterator[tuple[Path, str]]:
    named: list[tuple[Path, str | None]] = [
        (("rules", index, "cascade"), rule.cascade) for index, rule in enumerate(settings.rules)
    ]
    if settings.similarity is not None:
        named.append((("similarity", "cascade"), settings.similarity.cascade))
    if settings.learned is not None:
        named.append((("learned", "cascade"), settings.learned.cascade))
    if settings.complexity is not None:
        named += [
            (("complexity", "tiers", index, "cascade"), tier.cascade)
            for index, tier in enumerate(settings.complexity.tiers)
        ]
    named.append((("default", "cascade"), settings.default.cascade))
    yield from ((path, name) for path, name in named if name is not None)
