"""Conditions of a rules.yaml on what nobody will ever know where they are asked: they would never hold."""

from __future__ import annotations

from collections.abc import Iterator

from routebench.rules.conditions.when import WhenSettings
from routebench.rules.file.schema import RulesSettings
from routebench.yaml_source import Path

_OF_THE_REQUEST = (
    "turns",
    "tag",
    "has_tools",
    "has_images",
    "has_unread",
    "json_schema",
    "time",
    "budget_pace",
    "metadata",
)
"""What an answer has not, and the request has."""


def unknowable(settings: RulesSettings) -> Iterator[tuple[Path, str]]:
    """Yields the place of every such condition, and one sentence with the mend."""
    for path, when in _of_requests(settings):
        if when.budget_pace is not None and settings.budget is None:
            yield (
                (*path, "budget_pace"),
                (
                    "the pace of spending is unknown without a budget, so this never holds; add "
                    "`budget: {usd_per_day: 200}` or take it out"
                ),
            )
        if "" in when.metadata:
            yield path, "`metadata.` lacks the name of the value, as in metadata.data_class"
    for name, check in settings.cascade.items():
        for path, when in _within(("cascade", name, "answer"), check.answer):
            asked = [key for key in _OF_THE_REQUEST if getattr(when, key) not in (None, {})]
            if asked:
                yield (
                    path,
                    (
                        f"check {name!r} reads the text of an answer, which has no {', '.join(asked)}; ask for that in "
                        "the `when` of a rule"
                    ),
                )


def _of_requests(settings: RulesSettings) -> Iterator[tuple[Path, WhenSettings]]:
    for index, guard in enumerate(settings.guards):
        yield from _within(("guards", index, "when"), guard.when)
    for index, rule in enumerate(settings.rules):
        yield from _within(("rules", index, "when"), rule.when)


def _within(path: Path, when: WhenSettings | None) -> Iterator[tuple[Path, WhenSettings]]:
    """A condition and all that stand in it."""
    if when is None:
        return
    yield path, when
    for index, inner in enumerate(when.any or ()):
        yield from _within((*path, "any", index), inner)
    for index, inner in enumerate(when.all or ()):
        yield from _within((*path, "all", index), inner)
    yield from _within((*path, "not"), when.not_)
