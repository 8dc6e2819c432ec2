"""A router that runs elsewhere, as its recorded decisions: audited like any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from routebench.errors import OutcomesError, nearest
from routebench.evaluate.choices import Choices, Deciders, FloatArray
from routebench.evaluate.outcomes import Outcomes
from routebench.strategies.base import Policy
from routebench.suites.importers import RecordedDecision, RecordedDecisions, read_decisions
from routebench.types import Request

_REASONS = ("rule", "decision", "tier", "category", "cause")
"""What of a decision's detail says why it came out so, as routers call it."""


class Decisions(Policy):
    """What the router that a team runs today did with every case, replayed on the outcomes.

    A case without a recorded decision is unknown: it is left out and counted, as a cell that was never bought.

    Args:
        decisions: a file of `routebench decisions` or any with columns prompt_id and model, or what was read from one.
        models: names in the file -> names of the outcomes, where they differ.

    Attributes:
        title: the router's name and version where the file tells them, else the file's stem.
    """

    kind = "today"

    def __init__(self, decisions: str | Path | RecordedDecisions, *, models: Mapping[str, str] | None = None) -> None:
        self.recorded = decisions if isinstance(decisions, RecordedDecisions) else read_decisions(decisions)
        # As it was typed, so that it is found again in a table; of an absolute path nobody wants more than the stem.
        self.name = f"decisions:{decisions if isinstance(decisions, str) else self.recorded.source.stem}"
        self.title = self.recorded.title
        self._names = dict(models or {})

    def _fit(self, outcomes: Outcomes) -> None:
        if not any(case_id in self.recorded.by_case for case_id in outcomes.cases.ids):
            raise OutcomesError(
                f"{self.name}: none of its {len(self.recorded.by_case)} prompt_ids is a case of suite "
                f"{outcomes.suite!r}, such as {str(outcomes.cases.ids[0])!r}; was it recorded on another suite?"
            )
        for row in self.recorded.by_case.values():
            self._known(row, outcomes)

    def peek(self, outcomes: Outcomes) -> Sequence[Choices]:
        """One point: the decisions that were recorded for these cases, by their ids."""
        rows = [self.recorded.by_case.get(str(case_id)) for case_id in outcomes.cases.ids]
        chains = [() if row is None else self._known(row, outcomes) for row in rows]
        place = {name: number for number, name in enumerate(outcomes.models)}
        table = np.full((len(rows), max((len(chain) for chain in chains), default=1) or 1), -1, dtype=np.intp)
        for number, chain in enumerate(chains):
            table[number, : len(chain)] = [place[name] for name in chain]
        choices = Choices.single(outcomes.models, table, label=self.title)
        return [
            replace(
                choices,
                decision_cost_usd=_amounts(rows, lambda row: row.cost_usd),
                decision_latency_s=_amounts(rows, lambda row: row.latency_s),
                deciders=(Deciders.of([None if row is None else _told(row) for row in rows]),),
            )
        ]

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """Never called: recorded decisions are of cases, by their ids, and a request has none."""
        raise OutcomesError(
            f"{self.name} knows the recorded cases alone, not {len(requests)} new requests; ask the router itself"
        )

    def train_curve(self) -> Sequence[Choices]:
        """The recorded decisions for the training cases; nothing was learned from them."""
        return self.peek(self._train)

    def _known(self, row: RecordedDecision, outcomes: Outcomes) -> tuple[str, ...]:
        """The chain in the outcomes' names."""
        chain = tuple(self._names.get(name, name) for name in row.chain)
        for name in chain:
            if name not in outcomes.models:
                raise OutcomesError(
                    f"{self.name}: case {row.case_id!r} goes to {name!r}, which is no model of suite "
                    f"{outcomes.suite!r}{nearest(name, outcomes.models)}; it has {', '.join(outcomes.models)}. Rename "
                    f"it in the file, or record again with `routebench decisions … --map {name}=NAME`"
                )
        return chain


def _told(row: RecordedDecision) -> str | None:
    """What the router said of why, `tier SIMPLE`; None where it said nothing."""
    return ", ".join(f"{name} {row.detail[name]}" for name in _REASONS if row.detail.get(name)) or None


def _amounts(
    rows: Sequence[RecordedDecision | None], read: Callable[[RecordedDecision], float | None]
) -> FloatArray | None:
    """What was told of each decision, NaN while unknown, shape (n,); None where nothing was told of any."""
    told = [None if row is None else read(row) for row in rows]
    if all(value is None for value in told):
        return None
    return np.array([np.nan if value is None else value for value in told])
