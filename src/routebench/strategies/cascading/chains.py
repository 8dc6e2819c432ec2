"""Chains of models that may be worth trying, and what each reaches at every cost weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.evaluate.choices import BoolArray, FloatArray
from routebench.evaluate.frontier import upper_hull
from routebench.evaluate.outcomes import ERROR, MISSING, OK, Outcomes
from routebench.strategies.base import mean_costs

Chain = tuple[int, ...]
"""Positions of models, in the order in which they are asked."""
_CHEAPER = 0.7
"""A chain whose first models cost more than this share of its last one's saves too little."""
_QUANTILES: FloatArray = np.linspace(0.1, 0.9, 9)
_AS_GOOD = 1e-12


@dataclass(frozen=True)
class Cells:
    """The outcomes of n cases in k samples as n * k rows; every array has shape (rows, models) or (rows,).

    Attributes:
        score: a failed call 0.
        cost_usd: a model's mean where it is unknown.
        answered: whether there is an answer.
        weight: of a row; 0 where a cell is missing or unscored.
        mean_cost_usd: of every model, shape (models,).
    """

    score: FloatArray
    cost_usd: FloatArray
    answered: BoolArray
    weight: FloatArray
    mean_cost_usd: FloatArray

    @classmethod
    def of(cls, outcomes: Outcomes) -> Cells:
        """Returns the cells of some outcomes."""
        n, m, k = outcomes.status.shape

        def rows(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return np.moveaxis(values, 2, 1).reshape(n * k, m)

        means = mean_costs(outcomes)
        status, score, cost = rows(outcomes.status), rows(outcomes.score), rows(outcomes.cost_usd)
        known = ~((status == MISSING) | ((status == OK) & np.isnan(score))).any(axis=1)
        return cls(
            np.where(status == ERROR, 0.0, np.nan_to_num(score)),
            np.where(np.isnan(cost), means, cost),
            status == OK,
            np.repeat(outcomes.weight, k) / k * known,
            means,
        )

    def mean(self, values: FloatArray) -> float:
        """Returns the weighted mean over rows."""
        return float(self.weight @ values / self.weight.sum())

    def only(self, rows: BoolArray) -> Cells:
        """Returns the cells with no weight on all other rows."""
        return replace(self, weight=self.weight * rows)

    @property
    def quality(self) -> FloatArray:
        """Mean score of every model, shape (models,)."""
        means: FloatArray = self.weight @ self.score / self.weight.sum()
        return means

    def run(self, chain: Chain, accepted: Sequence[BoolArray]) -> tuple[FloatArray, FloatArray]:
        """Returns score and cost of every row where a chain is gone through.

        Args:
            chain: the models.
            accepted: whether the answer of every place but the last passes.
        """
        n = len(self.weight)
        score, latest, cost, waiting = np.zeros(n), np.zeros(n), np.zeros(n), np.ones(n, dtype=bool)
        for place, model in enumerate(chain):
            cost += np.where(waiting, self.cost_usd[:, model], 0.0)
            came = waiting & self.answered[:, model]
            passes = came if place == len(chain) - 1 else came & accepted[place]
            score = np.where(passes, self.score[:, model], score)
            latest = np.where(came & ~passes, self.score[:, model], latest)
            waiting &= ~passes
        return np.where(waiting, latest, score), cost


@dataclass(frozen=True, slots=True)
class Point:
    """One operating point: a chain, and from which value on the answer of each place but the last is kept.

    Attributes:
        rate: the cost weight that it was chosen for.
    """

    chain: Chain
    accept_from: tuple[float, ...]
    rate: float


def candidates(
    cells: Cells, agrees: Callable[[int, int], BoolArray] | None, n_pairs: int = 6, n_triples: int = 6
) -> list[Chain]:
    """Returns the chains that are looked into, the most promising of each length first.

    Pairs begin with the models that are nearest to the best mix of single models. Chains of three are those in which
    going on exactly where the first two disagree gains most over such a mix.

    Args:
        cells: of the training cases.
        agrees: whether two models came to the same, shape (rows,); None for pairs alone.
        n_pairs: at most so many.
        n_triples: likewise.
    """
    quality, cost = cells.quality, cells.mean_cost_usd
    hull_cost, hull_quality = upper_hull(list(cost), list(quality))
    short = np.interp(cost, hull_cost, hull_quality) - quality
    pairs: list[Chain] = [
        (first, last)
        for first, last in permutations(range(len(cost)), 2)
        if cost[first] <= _CHEAPER * cost[last] and quality[first] < quality[last]
    ]
    found: list[Chain] = sorted(pairs, key=lambda pair: (short[pair[0]] + short[pair[1]], pair))[:n_pairs]
    if agrees is None:
        return found
    gains = []
    for first, second, last in permutations(range(len(cost)), 3):
        if cost[first] + cost[second] > _CHEAPER * cost[last] or quality[second] >= quality[last]:
            continue
        score, paid = cells.run((first, second, last), (np.zeros(len(cells.weight), dtype=bool), agrees(first, second)))
        over = cells.mean(score) - float(np.interp(cells.mean(paid), hull_cost, hull_quality))
        gains.append((-over, (first, second, last)))
    return [*found, *(chain for _, chain in sorted(gains)[:n_triples])]


def points_of(cells: Cells, chain: Chain, keep: Sequence[FloatArray], rates: FloatArray) -> list[Point]:
    """Returns a chain's best point for every cost weight.

    The answer before the last model is kept where what going on gains in score is worth less than what it costs; how
    early answers are kept before that is searched.

    Args:
        cells: of the training cases.
        chain: of at least two models.
        keep: what is lost in score by going on to the last model, predicted out of fold; of every place but the last.
        rates: the cost weights.
    """
    first = keep[0][(cells.weight > 0) & ~np.isnan(keep[0])]
    early = [np.inf, *np.quantile(first, _QUANTILES)] if len(chain) > 2 and len(first) else []
    found = []
    for rate in rates:
        last = round(-float(rate) * float(cells.mean_cost_usd[chain[-1]]), 6)
        tried = [Point(chain, (round(min(float(one), 1e6), 6), last), float(rate)) for one in early]
        tried = tried or [Point(chain, (last,) * (len(chain) - 1), float(rate))]
        found.append(max(tried, key=lambda point: _worth(cells, point, keep)))
    return found


def reached(cells: Cells, point: Point, keep: Sequence[FloatArray]) -> tuple[float, float]:
    """Returns mean cost and mean score of a point."""
    score, cost = cells.run(point.chain, accepted(point, keep))
    return cells.mean(cost), cells.mean(score)


def accepted(point: Point, keep: Sequence[FloatArray]) -> list[BoolArray]:
    """Returns whether the answer of every place but the last is kept; one of which nothing is known is not."""
    return [values >= least for values, least in zip(keep, point.accept_from, strict=True)]


def _worth(cells: Cells, point: Point, keep: Sequence[FloatArray]) -> float:
    cost, score = reached(cells, point, keep)
    return score - point.rate * cost


def area(costs: Sequence[float], qualities: Sequence[float], low: float, high: float) -> float:
    """Returns the area under the upper hull of points from one cost to another, divided by the distance."""
    x, y = upper_hull(list(costs), list(qualities))
    grid = np.unique(np.concatenate([[low, high], x[(x > low) & (x < high)]]))
    return float(np.trapezoid(np.interp(grid, x, y), grid) / (high - low)) if high > low else float(y[-1])
