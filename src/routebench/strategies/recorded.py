"""A rule set by the decisions that were recorded for every case: measured where no prompt is at hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from routebench.errors import OutcomesError
from routebench.evaluate.choices import Choices
from routebench.evaluate.outcomes import Outcomes
from routebench.store import RecordedPolicy
from routebench.strategies.base import Policy
from routebench.types import Request


class RecordedRules(Policy):
    """What a rule set decided for every case when a pack was made; it measures as the rule set itself does.

    Args:
        policy: the decisions.
    """

    def __init__(self, policy: RecordedPolicy) -> None:
        self.policy = policy
        self.name = f"rules:{policy.name}"

    def peek(self, outcomes: Outcomes) -> Sequence[Choices]:
        """One point: the decisions that were recorded for these cases, by their ids."""
        chains = [self._chain(str(case_id)) for case_id in outcomes.cases.ids]
        place = {name: number for number, name in enumerate(outcomes.models)}
        table = np.full((len(chains), max((len(chain) for chain in chains), default=1)), -1, dtype=np.intp)
        for row, chain in enumerate(chains):
            table[row, : len(chain)] = [place[name] for name in chain]
        return [Choices.single(outcomes.models, table, label=self.name)]

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """Never called: recorded decisions are of cases, by their ids, and a request has none."""
        raise OutcomesError(
            f"{self.name}: its decisions were recorded for the cases of a pack, not for {len(requests)} new requests; "
            "replay the rules.yaml itself"
        )

    def train_curve(self) -> Sequence[Choices]:
        """The recorded decisions for the training cases; nothing was learned from them."""
        return self.peek(self._train)

    def _chain(self, case_id: str) -> Sequence[str]:
        chain = self.policy.chains.get(case_id, ())
        if not chain:
            raise OutcomesError(
                f"{self.name}: case {case_id!r} has no recorded decision, or its guards leave no model; make the pack "
                "anew, or mend the guards"
            )
        return chain
