"""Where a rule set sends requests: what a product is held to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from routebench.errors import NoEligibleModelError
from routebench.export.verify.verified import NOBODY
from routebench.rules import Reading, Router, RuleSet
from routebench.types import Request


def first_models(ruleset: RuleSet, requests: Sequence[Request]) -> list[str]:
    """Returns the model that a rule set tries first for every request, `nobody` where none may take it.

    Raises:
        RulesError: a model has a say in the decisions, which is asked by nobody here.
    """
    at = datetime.now(UTC)
    router = Router(ruleset, now=lambda: at)
    found: list[str] = []
    for request in requests:
        try:
            found.append(router.decide(Reading(request)).chain[0])
        except NoEligibleModelError:
            found.append(NOBODY)
    return found
