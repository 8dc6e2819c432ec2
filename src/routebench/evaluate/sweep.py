"""Every setting of a knob at once: sorting and summing in place of a replay for each.

Failures count as 0 and cost what they cost; there is no second model to fall back to here, so that these are curves of
single decisions. A cascade pays for both of its models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

import numpy as np

from routebench.evaluate.choices import BoolArray, Choices, FloatArray, IntArray
from routebench.evaluate.frontier import weighted_mean
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.replay import replay

_GRID = 4096
_EQUAL = 1e-12


@dataclass(frozen=True, slots=True)
class Points:
    """What p operating points reach on n cases, weighted.

    Attributes:
        cost_usd: mean cost of a request over the cases where it is known, NaN where it nowhere is, shape (p,).
        quality: mean score over the cases where it is known, NaN where it nowhere is, shape (p,).
        first: share of requests that are first sent to each model, in the outcomes' order, shape (p, m).
    """

    cost_usd: FloatArray
    quality: FloatArray
    first: FloatArray


def curve_points(outcomes: Outcomes, curve: Sequence[Choices]) -> Points:
    """Returns what every point of a curve reaches, on the cases where its cells are known."""
    if isinstance(curve, LambdaSweep):
        return curve.points(outcomes)
    if isinstance(curve, Joined):
        found = [curve_points(outcomes, part) for part in curve.curves]
        return Points(*(np.concatenate([getattr(one, name) for one in found]) for name in Points.__slots__))
    weight = outcomes.weight / outcomes.weight.sum()
    rows = []
    for choices in curve:
        one = replay(outcomes, choices)
        rows.append((weighted_mean(one.cost_usd, weight), weighted_mean(one.score, weight), weight @ one.decided))
    costs, quality, first = zip(*rows, strict=True)
    return Points(np.array(costs, dtype=float), np.array(quality, dtype=float), np.array(first, dtype=float))


def curve_missing(outcomes: Outcomes, curve: Sequence[Choices]) -> BoolArray:
    """Returns which cases cannot be scored at some point of a curve, shape (n,)."""
    if isinstance(curve, LambdaSweep):
        return curve.missing(outcomes)
    if isinstance(curve, Joined):
        found = [curve_missing(outcomes, part) for part in curve.curves]
    else:
        found = [replay(outcomes, choices).missing for choices in curve]
    missing: BoolArray = np.any(found, axis=0)
    return missing


def curve_take(curve: Sequence[Choices], index: IntArray) -> Sequence[Choices]:
    """Returns the curve for some of its requests."""
    if isinstance(curve, LambdaSweep):
        costs = curve.costs if curve.costs.ndim == 1 else curve.costs[index]
        return replace(curve, predicted=curve.predicted[index], costs=costs)
    if isinstance(curve, Joined):
        return Joined(tuple(curve_take(part, index) for part in curve.curves))
    return [choices.take(index) for choices in curve]


@dataclass(frozen=True)
class Joined(Sequence[Choices]):
    """The operating points of several curves for the same requests, one after the other."""

    curves: tuple[Sequence[Choices], ...]

    def __len__(self) -> int:
        return sum(map(len, self.curves))

    def __iter__(self) -> Iterator[Choices]:
        return chain.from_iterable(self.curves)

    def __getitem__(self, place: int) -> Choices:  # type: ignore[override]  # a curve is never sliced
        for curve in self.curves:
            if place < len(curve):
                return curve[place]
            place -= len(curve)
        raise IndexError(place)


@dataclass(frozen=True)
class LambdaSweep(Sequence[Choices]):
    """For every cost weight the model with the best predicted score - weight * cost; of equals the cheaper.

    A request's choice changes at most m - 1 times while the weight grows: all settings together need as many steps as
    there are models, and not as many as there are settings.

    Attributes:
        models: their names.
        predicted: expected score of every model on every request, shape (n, m).
        costs: expected cost in US dollars, of a model, shape (m,), or of every model on every request, shape (n, m).
        rates: the cost weights, rising, shape (r,).
    """

    models: tuple[str, ...]
    predicted: FloatArray
    costs: FloatArray
    rates: FloatArray

    def __len__(self) -> int:
        return len(self.rates)

    def __iter__(self) -> Iterator[Choices]:
        return (self[place] for place in range(len(self)))

    def __getitem__(self, place: int) -> Choices:  # type: ignore[override]  # a curve is never sliced
        rate = self.rates[place]
        order = self._by_cost
        utility = (self.predicted - rate * self.costs)[:, order]
        costs = np.broadcast_to(self.costs, self.predicted.shape)[:, order]
        equal = utility >= utility.max(axis=1, keepdims=True) - _EQUAL
        chosen = order[np.argmin(np.where(equal, costs, np.inf), axis=1)]
        return Choices.single(self.models, chosen, label=f"lambda={rate:.3g}")

    @property
    def _by_cost(self) -> IntArray:
        return np.argsort(self.costs if self.costs.ndim == 1 else self.costs.mean(axis=0), kind="stable")

    @cached_property
    def _steps(self) -> tuple[IntArray, list[tuple[IntArray, IntArray, IntArray]]]:
        """The models chosen at the first rate, and moves: (rows, their new models, first rate at which that holds)."""
        order = self._by_cost
        predicted = self.predicted[:, order]
        costs = np.broadcast_to(self.costs, self.predicted.shape)[:, order]
        n = len(predicted)
        start = np.argmax(predicted - self.rates[0] * costs, axis=1)
        rows, at = np.arange(n), start.copy()
        moves: list[tuple[IntArray, IntArray, IntArray]] = []
        while len(rows):
            saved = costs[rows, at][:, None] - costs[rows]
            with np.errstate(divide="ignore", invalid="ignore"):
                # The weight from which on a cheaper model is worth as much as the present one.
                rate = (predicted[rows, at][:, None] - predicted[rows]) / saved
            rate[~(saved > 0)] = np.inf
            # Of models that become worth it at one weight, the cheapest: it stays the best for longest.
            earliest = rate == rate.min(axis=1, keepdims=True)
            best = np.argmax(np.where(earliest, saved, -np.inf), axis=1)
            first = np.searchsorted(self.rates, rate[np.arange(len(rows)), best], side="left")
            moved = first < len(self.rates)
            rows, at, first = rows[moved], best[moved], first[moved]
            moves.append((rows, order[at], first))
        return order[start], moves

    def points(self, outcomes: Outcomes) -> Points:
        """Returns what every rate reaches."""
        columns = np.array([outcomes.models.index(name) for name in self.models], dtype=np.intp)
        found = self.reached(
            outcomes.expected_scores()[:, columns], outcomes.expected_costs()[:, columns], outcomes.weight
        )
        shares = np.zeros((len(self.rates), len(outcomes.models)))
        shares[:, columns] = found.first
        return replace(found, first=shares)

    def reached(self, score: FloatArray, cost: FloatArray, weight: FloatArray) -> Points:
        """Returns what every rate reaches on true scores and costs of the sweep's own models.

        Args:
            score: NaN while unknown, shape (n, m).
            cost: in US dollars, NaN while unknown, shape (n, m).
            weight: shape (n,).
        """
        start, moves = self._steps
        n, m, r = len(start), len(self.models), len(self.rates)
        weight = weight / weight.sum()
        priced, scored = ~np.isnan(cost) * weight[:, None], ~np.isnan(score) * weight[:, None]
        # One table a quantity: its weighted value wherever a request could go.
        tables = (np.nan_to_num(score) * weight[:, None], scored, np.nan_to_num(cost) * weight[:, None], priced)
        rows = np.arange(n)
        totals = [np.full(r, table[rows, start].sum()) for table in tables]
        first = np.zeros((r + 1, m))
        first[0] = np.bincount(start, weights=weight, minlength=m)
        now = start.copy()
        for moved, to, at in moves:
            for place, table in enumerate(tables):
                gained = table[moved, to] - table[moved, now[moved]]
                totals[place] += np.cumsum(np.bincount(at, weights=gained, minlength=r)[:r])
            np.add.at(first, (at, to), weight[moved])
            np.add.at(first, (at, now[moved]), -weight[moved])
            now[moved] = to
        gained, told, spent, known = totals
        quality = np.divide(gained, told, out=np.full(r, np.nan), where=told > 1e-12)
        mean_cost = np.divide(spent, known, out=np.full(r, np.nan), where=known > 1e-12)
        return Points(mean_cost, quality, np.cumsum(first[:r], axis=0))

    def missing(self, outcomes: Outcomes) -> BoolArray:
        """Returns which cases cannot be scored at some rate, shape (n,)."""
        start, moves = self._steps
        place = np.array([outcomes.models.index(name) for name in self.models], dtype=np.intp)
        unknown = np.isnan(outcomes.expected_scores())[:, place]
        found = unknown[np.arange(len(start)), start]
        for rows, to, _ in moves:
            found[rows] |= unknown[rows, to]
        return found


@dataclass(frozen=True, slots=True)
class ThresholdPoint:
    """One setting: requests whose signal is below the threshold go to `low`, the others to `high`.

    Attributes:
        cost_usd: mean cost of a request.
        quality: mean score.
    """

    low: int
    high: int
    threshold: float
    cost_usd: float
    quality: float


def sweep_thresholds(
    signal: FloatArray,
    scores: FloatArray,
    costs: FloatArray,
    weight: FloatArray,
    *,
    pays_both: bool = False,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Returns (threshold, cost, quality) of every split of requests between two models, by rising threshold.

    Requests with a signal below the threshold stay with the first model. In a cascade (`pays_both`) the signal comes
    from the first model's answer, so that the others pay for both.

    Args:
        signal: shape (n,).
        scores: of both models, shape (n, 2), none unknown.
        costs: in US dollars, shape (n, 2), none unknown.
        weight: shape (n,).
        pays_both: whether escalated requests pay for the first model too.
    """
    share = weight / weight.sum()
    order = np.argsort(signal)
    ranked = signal[order]
    stays_score = share * (scores[:, 0] - scores[:, 1])
    stays_cost = -share * costs[:, 1] if pays_both else share * (costs[:, 0] - costs[:, 1])
    zero = np.zeros(1)
    quality = np.concatenate([zero, np.cumsum(stays_score[order])]) + share @ scores[:, 1]
    every = share @ (costs[:, 0] + costs[:, 1] if pays_both else costs[:, 1])
    cost = np.concatenate([zero, np.cumsum(stays_cost[order])]) + every
    at = _distinct(ranked)
    return _thresholds(ranked, at), cost[at], quality[at]


def sweep_pairs(signal: FloatArray, scores: FloatArray, costs: FloatArray, weight: FloatArray) -> list[ThresholdPoint]:
    """Returns the Pareto front of every threshold between every ordered pair of models, by rising cost.

    Args:
        signal: shape (n,).
        scores: shape (n, m), none unknown.
        costs: in US dollars, shape (n, m), none unknown.
        weight: shape (n,).
    """
    order = np.argsort(signal)
    ranked, share = signal[order], weight[order] / weight.sum()
    at = _distinct(ranked)
    zero = np.zeros((1, scores.shape[1]))
    # Row k: what the k requests with the least signal bring with each model, one model a row for speed.
    score_sums = np.ascontiguousarray(np.concatenate([zero, np.cumsum(scores[order] * share[:, None], axis=0)])[at].T)
    cost_sums = np.ascontiguousarray(np.concatenate([zero, np.cumsum(costs[order] * share[:, None], axis=0)])[at].T)
    m, p = score_sums.shape
    pairs = [(low, high) for low in range(m) for high in range(m) if low != high] or [(0, 0)]
    total_score, total_cost = score_sums[:, -1:], cost_sums[:, -1:]
    # What remains for a model when the others below took theirs.
    score_rest, cost_rest = total_score - score_sums, total_cost - cost_sums
    floor = _Floor(total_cost.min(), total_cost.max())
    step = max(1, p // 64)
    for low, high in pairs:
        part = slice(None, None, step)
        floor.raise_to(cost_sums[low, part] + cost_rest[high, part], score_sums[low, part] + score_rest[high, part])
    floor.close()
    found: list[tuple[FloatArray, FloatArray, IntArray, int, int]] = []
    for low, high in pairs:
        cost, quality = cost_sums[low] + cost_rest[high], score_sums[low] + score_rest[high]
        places = floor.above(cost, quality)
        found.append((cost[places], quality[places], places, low, high))
    cost = np.concatenate([one[0] for one in found])
    quality = np.concatenate([one[1] for one in found])
    owner = np.repeat(np.arange(len(found)), [len(one[0]) for one in found])
    place = np.concatenate([one[2] for one in found])
    ranks = np.lexsort((-quality, cost))
    best = np.maximum.accumulate(quality[ranks])
    front = ranks[np.concatenate([[True], best[1:] > best[:-1]])]
    thresholds = _thresholds(ranked, at)
    return [
        ThresholdPoint(
            found[owner[one]][3],
            found[owner[one]][4],
            float(thresholds[place[one]]),
            float(cost[one]),
            float(quality[one]),
        )
        for one in front
    ]


class _Floor:
    """A quality that is surely reached at a cost: points below it cannot be on the front, and most of them are."""

    def __init__(self, low: float, high: float) -> None:
        self._low = low
        self._scale = (_GRID - 1) / (high - low) if high > low else 0.0
        self._quality = np.full(_GRID + 1, -np.inf)

    def _bins(self, cost: FloatArray) -> IntArray:
        bins: IntArray = ((cost - self._low) * self._scale).astype(np.intp)
        return np.clip(bins, 0, _GRID - 1, out=bins)

    def raise_to(self, cost: FloatArray, quality: FloatArray) -> None:
        # A point counts from the next bin on, where everything surely costs more.
        np.maximum.at(self._quality, self._bins(cost) + 1, quality)

    def close(self) -> None:
        np.maximum.accumulate(self._quality, out=self._quality)

    def above(self, cost: FloatArray, quality: FloatArray) -> IntArray:
        return np.flatnonzero(quality > self._quality[self._bins(cost)])


def _distinct(ranked: FloatArray) -> IntArray:
    """How many requests lie below each threshold that there is a difference for: 0, ..., n; equals move together."""
    return np.concatenate([[0], np.flatnonzero(ranked[1:] != ranked[:-1]) + 1, [len(ranked)]])


def _thresholds(ranked: FloatArray, at: IntArray) -> FloatArray:
    """A threshold that so many requests lie below: the next signal, and infinity above all."""
    return np.append(ranked, np.inf)[at]
