"""The prompts that an export is replayed on and tried with."""

from __future__ import annotations

from collections.abc import Sequence

from routebench.evaluate import Outcomes
from routebench.rules import RuleSet
from routebench.types import Request


def known_prompts(ruleset: RuleSet, outcomes: Outcomes | None = None) -> Sequence[Request]:
    """Returns the prompts of a suite whose texts are kept; without one the golden prompts of the rule set.

    Args:
        ruleset: the policy.
        outcomes: of the suite, None where there is none.
    """
    if outcomes is None:
        return [one.request for one in ruleset.golden if one.request is not None]
    told = outcomes.cases.has_text
    return list(outcomes.requests if told.all() else outcomes.take(told).requests)
