"""Replaying decisions on outcomes: what a policy would have scored, cost and taken, without a call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from routebench.errors import OutcomesError
from routebench.evaluate.choices import NOBODY, REFUSED, UNTOLD, BoolArray, Checks, Choices, FloatArray, IntArray
from routebench.evaluate.outcomes import ERROR, MISSING, OK, Outcomes, mean_known

_BY_CASE = (
    "score",
    "cost_usd",
    "failed",
    "answered_by",
    "decided",
    "latency_s",
    "sample_score",
    "decision_cost_usd",
    "decision_latency_s",
    "escalated",
)


@dataclass(frozen=True, slots=True)
class Replayed:
    """Choices replayed on n cases; mixes in expectation, samples averaged.

    Attributes:
        score: expected score, a failed request 0; NaN where a cell is missing or unscored; shape (n,).
        cost_usd: expected cost, failed tries, refused answers and deciding included; NaN while any part is unknown;
            shape (n,).
        failed: probability that no model of the chain gives an answer that is accepted; NaN where a cell is missing;
            shape (n,).
        answered_by: probability that a model gives the answer; shape (n, m).
        decided: probability that a model is tried first; shape (n, m).
        latency_s: seconds until the answer, failed tries, refused answers and deciding included, for every part and
            sample, NaN while unknown; shape (n, p, k).
        sample_score: expected score of every sample, shape (n, k).
        shares: of the p parts, shape (p,).
        asked: number of cells that the decisions look up.
        known: number of those that were recorded and scored.
        decision_cost_usd: as in the choices.
        decision_latency_s: as in the choices.
        escalated: probability that the first answer is refused, NaN where a cell is missing, shape (n,); None where no
            answer is checked.
    """

    score: FloatArray
    cost_usd: FloatArray
    failed: FloatArray
    answered_by: FloatArray
    decided: FloatArray
    latency_s: FloatArray
    sample_score: FloatArray
    shares: FloatArray
    asked: int
    known: int
    decision_cost_usd: FloatArray | None = None
    decision_latency_s: FloatArray | None = None
    escalated: FloatArray | None = None

    def take(self, index: IntArray) -> Self:
        """Returns the same for some of the cases; `asked` and `known` still count all of them."""
        told = {name: getattr(self, name) for name in _BY_CASE}
        parts: dict[str, Any] = {name: None if one is None else one[index] for name, one in told.items()}
        return replace(self, **parts)

    @property
    def missing(self) -> BoolArray:
        """Cases that cannot be scored, shape (n,)."""
        return np.isnan(self.score)

    def latency_quantile(self, share: float, weight: FloatArray | None = None) -> float | None:
        """Returns the time that a share of the answers stays within, in seconds; None where no time is known.

        Args:
            share: of the answers.
            weight: requests that each case stands for, shape (n,); all alike when left out.
        """
        return weighted_quantile(
            self.latency_s,
            np.broadcast_to(
                self.shares[None, :, None] * (1.0 if weight is None else weight[:, None, None]), self.latency_s.shape
            ),
            share,
        )


def weighted_quantile(values: FloatArray, weight: FloatArray, share: float) -> float | None:
    """Returns the smallest known value that a share of the weight does not exceed, None where none is known."""
    known = ~np.isnan(values)
    values, weight = values[known], weight[known]
    if not len(values):
        return None
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order]) / weight.sum()
    return float(values[order][min(int(np.searchsorted(reached, share - 1e-12, side="left")), len(values) - 1)])


def replay(outcomes: Outcomes, choices: Choices) -> Replayed:
    """Replays choices on the outcomes of the same cases, in the same order.

    A model that fails or abstains costs what it cost, and the next of the chain is tried; so does one whose answer is
    refused. A chain that ends without an answer scores 0, and where the latest one stands nevertheless, it has that
    one's score. A model that was never asked (a missing cell) makes the case unknown, and so does an answer of which
    nobody knows whether it is refused.

    Raises:
        OutcomesError: the choices check answers, and nobody has looked at any.
    """
    place = np.array([outcomes.models.index(name) for name in choices.models], dtype=np.intp)
    n, m, k = outcomes.status.shape
    shares = np.array([share for share, _ in choices.parts])
    score, cost, failed, sample_score = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros((n, k))
    answered_by, decided = np.zeros((n, m)), np.zeros((n, m))
    latency = np.empty((n, len(shares), k))
    escalated = np.zeros(n) if choices.checks else None
    asked = known = 0
    for number, ((share, chains), checks) in enumerate(zip(choices.parts, choices.checks_by_part, strict=True)):
        part = _replay_chains(outcomes, np.where(chains >= 0, place[np.maximum(chains, 0)], chains), checks)
        score += share * mean_known(part.score)
        sample_score += share * part.score
        cost += share * mean_known(part.cost_usd)
        failed += share * mean_known(part.failed)
        latency[:, number] = part.latency_s
        if escalated is not None:
            refused = 0.0 if part.refused is None else part.refused
            escalated += share * mean_known(np.where(np.isnan(part.failed), np.nan, refused))
        begun = np.flatnonzero(chains[:, 0] >= 0)
        decided[begun, place[chains[begun, 0]]] += share
        # Of samples that were never bought nobody knows who would have answered.
        counts = np.maximum((~np.isnan(part.failed)).sum(axis=1), 1)
        for model in range(m):
            answered_by[:, model] += share * (part.answered_by == model).sum(axis=1) / counts
        asked += part.asked
        known += part.known
    if choices.decision_cost_usd is not None:
        cost += choices.decision_cost_usd
    if choices.decision_latency_s is not None:
        latency += choices.decision_latency_s[:, None, None]
    return Replayed(
        score,
        cost,
        failed,
        answered_by,
        decided,
        latency,
        sample_score,
        shares,
        asked,
        known,
        choices.decision_cost_usd,
        choices.decision_latency_s,
        escalated,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    score: FloatArray
    cost_usd: FloatArray
    failed: FloatArray
    latency_s: FloatArray
    answered_by: IntArray
    asked: int
    known: int
    refused: BoolArray | None


def _replay_chains(outcomes: Outcomes, chains: IntArray, checks: Checks | None) -> _Part:
    """One chain a case; every array has shape (n, k)."""
    refusing = None if checks is None else _Refusing(checks, outcomes)
    n, _, k = outcomes.status.shape
    rows = np.arange(n)
    score, cost, latency = np.zeros((n, k)), np.zeros((n, k)), np.zeros((n, k))
    answered_by = np.full((n, k), -1, dtype=np.intp)
    waiting = np.ones((n, k), dtype=bool)
    undecided: BoolArray = np.all(chains < 0, axis=1) & (chains[:, 0] != NOBODY)
    unknown = np.broadcast_to(undecided[:, None], (n, k)).copy()
    asked = known = 0
    for number, column in enumerate(chains.T):
        model = np.maximum(column, 0)
        status = outcomes.status[rows, model]
        tried = waiting & (column >= 0)[:, None]
        if not tried.any():
            break
        cost += np.where(tried, outcomes.cost_usd[rows, model], 0.0)
        latency += np.where(tried, outcomes.latency_s[rows, model], 0.0)
        answered = tried & (status == OK)
        given = outcomes.score[rows, model]
        absent = tried & (status == MISSING)
        goes_on = status == ERROR
        if refusing is not None:
            refused, untold = refusing.of(number, answered, model, given)
            answered, goes_on, absent = answered & ~refused, goes_on | refused, absent | untold
        score = np.where(answered, given, score)
        answered_by = np.where(answered, model[:, None], answered_by)
        unknown |= absent
        # Of a cell's samples one suffices to know something.
        asked += int(tried.any(axis=1).sum())
        known += int((tried & ~absent & ~(answered & np.isnan(given))).any(axis=1).sum())
        waiting &= ~tried | goes_on
    if refusing is not None:
        stands = waiting & (refusing.latest_by >= 0)
        score = np.where(stands, refusing.latest_score, score)
        answered_by = np.where(stands, refusing.latest_by, answered_by)
    failed = np.where(unknown, np.nan, (answered_by < 0).astype(float))
    for values in (score, cost, latency):
        values[unknown] = np.nan
    latency[answered_by < 0] = np.nan
    refused_any = None if refusing is None else refusing.any
    return _Part(score, cost, failed, latency, answered_by, asked, known, refused_any)


class _Refusing:
    """What checks have refused so far along the chains; every array has shape (n, k)."""

    def __init__(self, checks: Checks, outcomes: Outcomes) -> None:
        if checks.verdicts is None or checks.latest_stands is None:
            raise OutcomesError(
                f"suite {outcomes.suite!r}: these decisions depend on answers, and nobody has looked at any; replay "
                "what `routebench.evaluate.decided` returns for the strategy"
            )
        n, _, k = outcomes.status.shape
        self._verdicts = checks.verdicts
        self._stands = checks.latest_stands[:, None]
        self.any = np.zeros((n, k), dtype=bool)
        self.latest_by = np.full((n, k), -1, dtype=np.intp)
        self.latest_score = np.zeros((n, k))

    def of(self, place: int, answered: BoolArray, model: IntArray, given: FloatArray) -> tuple[BoolArray, BoolArray]:
        """Returns which answers at a place of the chains are refused, and of which nobody knows."""
        verdicts = self._verdicts[:, place]
        refused, untold = answered & (verdicts == REFUSED), answered & (verdicts == UNTOLD)
        self.any |= refused
        held = refused & self._stands
        self.latest_by = np.where(held, model[:, None], self.latest_by)
        self.latest_score = np.where(held, given, self.latest_score)
        return refused, untold
