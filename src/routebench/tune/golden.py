"""The decisions that a tuned rule set is held to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from routebench.evaluate import Outcomes
from routebench.rules import Golden, RuleSet, make_golden
from routebench.suites import load_starter
from routebench.types import Case, Request

GoldenSource = Literal["starter", "suite", "none"]

_PUBLIC = "public"
_MAX_GOLDEN = 60
_SALT_DIGITS = 16


def golden_of(ruleset: RuleSet, source: GoldenSource, outcomes: Outcomes) -> tuple[Golden, ...]:
    """Returns the decisions to hold a rule set to; of prompts that are not public digests and features are kept."""
    if source == "none":
        return ()
    if source == "starter":
        return make_golden(ruleset, _spread(list(load_starter()), _MAX_GOLDEN))
    readable = [case for case, there in zip(outcomes.cases, outcomes.cases.has_text, strict=True) if there]
    public = _spread([case for case in readable if _PUBLIC in case.tags], _MAX_GOLDEN)
    private = _spread([case for case in readable if _PUBLIC not in case.tags], _MAX_GOLDEN - len(public))
    salt = outcomes.sha256()[:_SALT_DIGITS]
    return (*make_golden(ruleset, public), *make_golden(ruleset, private, salt))


def _spread(cases: Sequence[Case], most: int) -> list[Request]:
    """At most so many requests, taken from every category in turn, in the order of the suite."""
    by_category: dict[str | None, list[int]] = {}
    for place, case in enumerate(cases):
        by_category.setdefault(case.category, []).append(place)
    turns = sorted((turn, place) for places in by_category.values() for turn, place in enumerate(places))
    return [cases[place].request for place in sorted(place for _, place in turns[:most])]
