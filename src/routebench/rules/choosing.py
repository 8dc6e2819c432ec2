"""Who decides a request: the caller, the budget, the conversation, a rule, or a phase after the rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from routebench.errors import BudgetSpentError, InputError, NoEligibleModelError, nearest
from routebench.rules.budget import Ledger, cheapest_first
from routebench.rules.contents import BUDGET, COMPLEXITY, NAMED, STICKY
from routebench.rules.guards import Admission
from routebench.rules.phases import Choice, FirstMatch, Phase
from routebench.rules.reading.request import Reading
from routebench.rules.ruleset import RuleSet
from routebench.types import Request


class Chooser:
    """Finds who decides, in the order in which they come.

    Args:
        ruleset: the policy.
        rules: its rules.
        later: what is asked where no rule matches, in its order; the last one always decides.
        consults: whether one of them asks a model, which is paid for.

    Attributes:
        ledger: what was spent today; None where the rule set has no budget.
    """

    def __init__(self, ruleset: RuleSet, rules: FirstMatch, later: Mapping[str, Phase], *, consults: bool) -> None:
        self._ruleset = ruleset
        self.ledger: Ledger | None = None
        self._rules = rules
        self._later = later
        self._consults = consults

    def choose(
        self, reading: Reading, admission: Admission, previous: str | None, model: str | None, without: str | None
    ) -> Choice:
        """Returns the choice.

        Args:
            reading: the request.
            admission: who may take it.
            previous: the model that answered the conversation so far.
            model: that the caller names.
            without: the name of a rule or a phase to leave out.

        Raises:
            InputError: the caller names a model that is not there.
            NoEligibleModelError: it may not take the request.
            BudgetSpentError: today's budget is used up, and the rule set says to refuse.
        """
        if model is not None:
            return self._named(model, admission)
        stays = previous in admission.models
        goes_on = stays and ends_in_tool_result(reading.request)
        if self.ledger is not None and self.ledger.is_spent and not goes_on:
            return self._spent(reading, admission)
        if previous is None or not stays or not (goes_on or self._ruleset.sticky == "conversation"):
            return self._first(reading, admission, without)
        # Nobody is paid for a say in what is decided already.
        choice = self._first(reading, admission, COMPLEXITY if self._consults else without)
        chain = (previous, *(name for name in choice.chain if name != previous))
        return Choice(chain, STICKY, f"the conversation stays with {previous}{admission.because}", choice.cascade)

    def _first(self, reading: Reading, admission: Admission, without: str | None) -> Choice:
        """The choice of the rules, or of the first phase after them that has one."""
        choice = self._rules(reading, admission, without)
        if choice is not None:
            return choice
        silent: list[Choice] = []
        for phase in self._later.values():
            choice = phase(reading, admission, without)
            if choice is not None and choice.chain:
                break
            silent += [] if choice is None else [choice]
        assert choice is not None
        if not silent:
            return choice
        why = "; ".join([choice.why, *(one.why for one in silent)])
        consulted = tuple(answer for one in (*silent, choice) for answer in one.consulted)
        return replace(choice, why=why, consulted=consulted)

    def _named(self, model: str, admission: Admission) -> Choice:
        if model not in self._ruleset.models:
            known = ", ".join(self._ruleset.order)
            raise InputError(f"no model {model!r}{nearest(model, self._ruleset.order)}; models here: {known}")
        if model not in admission.models:
            raise NoEligibleModelError(
                f"model {model!r} may not take this request{admission.because}; those that may: "
                f"{', '.join(admission.models)}"
            )
        return Choice((model,), NAMED, "the caller names it")

    def _spent(self, reading: Reading, admission: Admission) -> Choice:
        assert self.ledger is not None
        budget = self.ledger.budget
        spent = f"{self.ledger.spent_usd:.2f} of {budget.usd_per_day:g} USD of the day are spent"
        if budget.when_spent == "refuse":
            raise BudgetSpentError(f"{spent}; {self._ruleset.name!r} refuses requests until midnight {budget.timezone}")
        models = self._ruleset.models
        chain = cheapest_first(admission.models, models, reading.request, reading.input_tokens)
        return Choice(tuple(chain), BUDGET, f"{spent}: the cheapest first{admission.because}")


def ends_in_tool_result(request: Request) -> bool:
    """Whether a request goes on with what a tool has answered."""
    return bool(request.messages) and request.messages[-1].get("role") == "tool"
