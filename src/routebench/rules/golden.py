"""Golden decisions: what a rule set decided when it was written, and whether it still does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from routebench.errors import NoEligibleModelError
from routebench.messages import last_user_text
from routebench.rules.ruleset import Golden, RuleSet
from routebench.rules.runtime import Router
from routebench.types import Request

_SHOWN_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class GoldenFailure:
    """A golden decision that no longer holds.

    Attributes:
        number: its place in the file, from 1.
    """

    number: int
    prompt: str
    expected: tuple[str, ...]
    expected_rule: str
    got: tuple[str, ...]
    got_rule: str

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that `check --json` prints."""
        return {
            "number": self.number,
            "prompt": self.prompt,
            "expected": list(self.expected),
            "expected_rule": self.expected_rule,
            "got": list(self.got),
            "got_rule": self.got_rule,
        }

    def __str__(self) -> str:
        return (
            f"{self.number}. {self.prompt!r}: expected {' > '.join(self.expected)} by {self.expected_rule}, "
            f"now {' > '.join(self.got) or 'no model'} by {self.got_rule}"
        )


@dataclass(frozen=True, slots=True)
class GoldenCheck:
    """How many golden decisions a rule set has, and those that fail."""

    n: int
    failed: tuple[GoldenFailure, ...]


def make_golden(ruleset: RuleSet, requests: Sequence[Request]) -> tuple[Golden, ...]:
    """Returns the decisions of a rule set on some requests, to be written beside it."""
    router = Router(ruleset)
    decided = [(request, router.decide(request)) for request in requests]
    return tuple(Golden(request, decision.chain, decision.rule) for request, decision in decided)


def check_golden(ruleset: RuleSet) -> GoldenCheck:
    """Decides every golden request again."""
    router = Router(ruleset)
    failed = []
    for number, golden in enumerate(ruleset.golden, start=1):
        try:
            decision = router.decide(golden.request)
            chain, rule = decision.chain, decision.rule
        except NoEligibleModelError:
            chain, rule = (), "none"
        if (chain, rule) != (golden.decision, golden.rule):
            prompt = last_user_text(golden.request.messages)[:_SHOWN_CHARACTERS]
            failed.append(GoldenFailure(number, prompt, golden.decision, golden.rule, chain, rule))
    return GoldenCheck(len(ruleset.golden), tuple(failed))
