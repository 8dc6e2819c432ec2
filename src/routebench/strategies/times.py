"""The times at which a rule set decides otherwise: a recorded request is replayed at all of them, by their share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from routebench.evaluate.choices import Choices
from routebench.rules import Reading, RuleSet
from routebench.rules.conditions.calendar import situations, windows_of
from routebench.rules.conditions.parts import mentions
from routebench.rules.reading.request import Situation
from routebench.types import Request

_AT = "at"
"""The metadata that tells when a request came."""


def times_of(ruleset: RuleSet) -> tuple[tuple[float, datetime], ...]:
    """Returns (share of a week, a time) for every kind of time that conditions tell apart.

    None at all where no condition asks what the world is like; one where they ask for the pace of the budget alone, of
    which nothing is known at any time.
    """
    conditions = [*(guard.when for guard in ruleset.guards), *(rule.when for rule in ruleset.rules)]
    if not any(mentions(when, ("time", "budget_pace")) for when in conditions):
        return ()
    return situations(tuple(dict.fromkeys(window for when in conditions for window in windows_of(when))))


def at_time(reading: Reading, at: datetime) -> Reading:
    """Returns a request as it is read at a time; at its own where its metadata `at` tells one."""
    return reading.within(Situation(at=own_time(reading.request) or at))


def own_time(request: Request) -> datetime | None:
    """Returns when a request came, None where its metadata does not tell; ISO 8601, in UTC where no zone is said."""
    told = request.metadata.get(_AT)
    if isinstance(told, datetime):
        at = told
    elif isinstance(told, str):
        try:
            at = datetime.fromisoformat(told)
        except ValueError:
            return None
    else:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def merged(shares: Sequence[float], choices: Sequence[Choices]) -> Choices:
    """Returns one lottery over choices of one part each; those that decide every request alike become one part."""
    kept: list[tuple[float, Choices]] = []
    for share, one in zip(shares, choices, strict=True):
        same = next((place for place, (_, other) in enumerate(kept) if _alike(one, other)), None)
        if same is None:
            kept.append((share, one))
        else:
            kept[same] = (kept[same][0] + share, _both(kept[same][1], one))
    if len(kept) == 1:
        return kept[0][1]
    return Choices.mix([share for share, _ in kept], [one for _, one in kept], kept[0][1].label)


def _both(one: Choices, other: Choices) -> Choices:
    """Choices that send every request alike, with what decides at either time."""
    own, its = one.deciders, other.deciders
    if not own or not its or own[0] is None or its[0] is None:
        return replace(one, deciders=())
    same = own[0].names == its[0].names and np.array_equal(own[0].by, its[0].by)
    return one if same else replace(one, deciders=(own[0].beside(its[0]),))


def _alike(one: Choices, other: Choices) -> bool:
    return np.array_equal(one.parts[0][1], other.parts[0][1]) and _names(one) == _names(other)


def _names(choices: Choices) -> list[str]:
    """The name of every request's check, an empty text where it has none."""
    checks = choices.checks_by_part[0]
    if checks is None:
        return [""] * len(choices.parts[0][1])
    return [checks.names[at] if at >= 0 else "" for at in checks.by]
