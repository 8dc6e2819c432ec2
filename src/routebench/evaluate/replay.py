"""Replaying decisions on outcomes: what a policy would have scored, cost and taken, without a call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from routebench.evaluate.choices import BoolArray, Choices, FloatArray, IntArray
from routebench.evaluate.outcomes import ERROR, MISSING, OK, Outcomes, mean_known


@dataclass(frozen=True, slots=True)
class Replayed:
    """Choices replayed on n cases; mixes in expectation, samples averaged.

    Attributes:
        score: expected score, a failed request 0; NaN where a cell is missing or unscored; shape (n,).
        cost_usd: expected cost, failed tries included; NaN while any part is unknown; shape (n,).
        failed: probability that no model of the chain answers; NaN where a cell is missing; shape (n,).
        answered_by: probability that a model gives the answer; shape (n, m).
        decided: probability that a model is tried first; shape (n, m).
        latency_s: seconds until the answer, failed tries included, for every part and sample; shape (n, p, k).
        shares: of the p parts, shape (p,).
    """

    score: FloatArray
    cost_usd: FloatArray
    failed: FloatArray
    answered_by: FloatArray
    decided: FloatArray
    latency_s: FloatArray
    shares: FloatArray

    @property
    def missing(self) -> BoolArray:
        """Cases that cannot be scored, shape (n,)."""
        return np.isnan(self.score)

    def latency_quantile(self, share: float) -> float | None:
        """Returns the time that a share of the answers stays within, in seconds; None where no time is known."""
        weights = np.broadcast_to(self.shares[None, :, None], self.latency_s.shape)[~np.isnan(self.latency_s)]
        times = self.latency_s[~np.isnan(self.latency_s)]
        if not len(times):
            return None
        order = np.argsort(times, kind="stable")
        reached = np.cumsum(weights[order]) / weights.sum()
        at = min(int(np.searchsorted(reached, share, side="left")), len(times) - 1)
        return float(times[order][at])


def replay(outcomes: Outcomes, choices: Choices) -> Replayed:
    """Replays choices on the outcomes of the same cases, in the same order.

    A model that fails or abstains costs what it cost, and the next of the chain is tried; a chain that ends without an
    answer scores 0. A model that was never asked (a missing cell) makes the case unknown.
    """
    place = np.array([outcomes.models.index(name) for name in choices.models], dtype=np.intp)
    n, m, k = outcomes.status.shape
    shares = np.array([share for share, _ in choices.parts])
    score, cost, failed = np.zeros(n), np.zeros(n), np.zeros(n)
    answered_by, decided = np.zeros((n, m)), np.zeros((n, m))
    latency = np.empty((n, len(shares), k))
    for number, (share, chains) in enumerate(choices.parts):
        part = _replay_chains(outcomes, np.where(chains >= 0, place[np.maximum(chains, 0)], -1))
        score += share * mean_known(part.score)
        cost += share * mean_known(part.cost_usd)
        failed += share * mean_known(part.failed)
        latency[:, number] = part.latency_s
        first = np.where(chains[:, 0] >= 0, place[np.maximum(chains[:, 0], 0)], 0)
        decided[np.arange(n), first] += share
        for model in range(m):
            answered_by[:, model] += share * (part.answered_by == model).mean(axis=1)
    return Replayed(score, cost, failed, answered_by, decided, latency, shares)


@dataclass(frozen=True, slots=True)
class _Part:
    score: FloatArray
    cost_usd: FloatArray
    failed: FloatArray
    latency_s: FloatArray
    answered_by: IntArray


def _replay_chains(outcomes: Outcomes, chains: IntArray) -> _Part:
    """One chain a case; every array has shape (n, k)."""
    n, _, k = outcomes.status.shape
    rows = np.arange(n)
    score, cost, latency = np.zeros((n, k)), np.zeros((n, k)), np.zeros((n, k))
    answered_by = np.full((n, k), -1, dtype=np.intp)
    waiting = np.ones((n, k), dtype=bool)
    unknown = np.zeros((n, k), dtype=bool)
    for column in chains.T:
        model = np.maximum(column, 0)
        status = outcomes.status[rows, model]
        tried = waiting & (column >= 0)[:, None]
        cost += np.where(tried, outcomes.cost_usd[rows, model], 0.0)
        latency += np.where(tried, outcomes.latency_s[rows, model], 0.0)
        answered = tried & (status == OK)
        score = np.where(answered, outcomes.score[rows, model], score)
        answered_by = np.where(answered, model[:, None], answered_by)
        unknown |= tried & (status == MISSING)
        waiting &= ~tried | (status == ERROR)
    failed = np.where(unknown, np.nan, (answered_by < 0).astype(float))
    for values in (score, cost, latency):
        values[unknown] = np.nan
    latency[answered_by < 0] = np.nan
    return _Part(score, cost, failed, latency, answered_by)
