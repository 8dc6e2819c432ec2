"""What single models and mixes of them reach: the hull, the areas under it, and the oracle above it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from routebench.evaluate.choices import Choices, FloatArray
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.replay import replay

_TOO_OFTEN_FAILED = 0.5


@dataclass(frozen=True, slots=True)
class SingleModel:
    """One model for everything.

    Attributes:
        quality: mean score, failures as 0.
        cost_usd: mean known cost of a request, None where none is known.
        usable: whether it answers at least half the cases; else it is neither `cheapest` nor an end of the cost range.
    """

    name: str
    quality: float
    cost_usd: float | None
    usable: bool


def single_models(outcomes: Outcomes) -> tuple[SingleModel, ...]:
    """Returns every model's quality and cost on the cases where its cell is known."""
    found = []
    for name in outcomes.models:
        one = replay(outcomes, Choices.same(outcomes.models, (name,), outcomes.n))
        quality = weighted_mean(one.score, outcomes.weight)
        failed = weighted_mean(one.failed, outcomes.weight)
        found.append(
            SingleModel(
                name,
                quality if quality is not None else 0.0,
                weighted_mean(one.cost_usd, outcomes.weight),
                usable=failed is not None and failed <= _TOO_OFTEN_FAILED,
            )
        )
    return tuple(found)


def weighted_mean(values: FloatArray, weight: FloatArray) -> float | None:
    """Returns the weighted mean of what is known, None where nothing is."""
    known = ~np.isnan(values)
    return float(np.average(values[known], weights=weight[known])) if weight[known].sum() > 0 else None


def upper_hull(cost: Sequence[float], quality: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    """Returns the corners of the upper, concave, non-decreasing hull of points, by rising cost."""
    corners: list[tuple[float, float]] = []
    for x, y in sorted(zip(cost, quality, strict=True), key=lambda point: (point[0], -point[1])):
        if corners and (y <= corners[-1][1] or x == corners[-1][0]):
            continue
        while len(corners) > 1:
            (ax, ay), (bx, by) = corners[-2:]
            if (by - ay) * (x - ax) > (y - ay) * (bx - ax):
                break
            corners.pop()
        corners.append((x, y))
    return np.array([x for x, _ in corners]), np.array([y for _, y in corners])


@dataclass(frozen=True)
class Hull:
    """The best mixes of two single models: the corners, by rising cost, and the range of costs.

    Attributes:
        names: of the models at the corners.
        cost_usd: of the corners, a request.
        quality: of the corners.
        cost_range: cost of the cheapest and of the dearest usable model.
    """

    names: tuple[str, ...]
    cost_usd: FloatArray
    quality: FloatArray
    cost_range: tuple[float, float]

    @classmethod
    def of(cls, singles: Sequence[SingleModel]) -> Self:
        """Builds the hull of models; where no cost is known it is the best model alone, at cost 0."""
        priced = [single for single in singles if single.cost_usd is not None]
        if not priced:
            best = max(singles, key=lambda single: single.quality)
            return cls((best.name,), np.zeros(1), np.array([best.quality]), (0.0, 0.0))
        costs = [single.cost_usd for single in priced if single.cost_usd is not None]
        cost, quality = upper_hull(costs, [single.quality for single in priced])
        names = []
        for x, y in zip(cost, quality, strict=True):
            names.append(next(one.name for one in priced if one.cost_usd == x and one.quality == y))
        ends = [one.cost_usd for one in priced if one.usable and one.cost_usd is not None] or costs
        return cls(tuple(names), cost, quality, (min(ends), max(ends)))

    def value(self, cost_usd: float) -> float:
        """Quality of the best mix at a cost; flat beyond both ends."""
        return float(np.interp(cost_usd, self.cost_usd, self.quality))

    def mix_at(self, cost_usd: float) -> dict[str, float]:
        """Returns name -> share of the best mix at a cost; shares of zero are left out."""
        cost = float(np.clip(cost_usd, self.cost_usd[0], self.cost_usd[-1]))
        right = min(int(np.searchsorted(self.cost_usd, cost, side="left")), len(self.names) - 1)
        left = max(0, right - 1)
        gap = self.cost_usd[right] - self.cost_usd[left]
        share = 1.0 if gap == 0 else float((cost - self.cost_usd[left]) / gap)
        mix = {self.names[left]: 1 - share, self.names[right]: share} if left != right else {self.names[right]: 1.0}
        return {name: part for name, part in mix.items() if part > 0}


def aiq(cost: Sequence[float], quality: Sequence[float], singles: Sequence[SingleModel]) -> float | None:
    """Returns the area under a curve's hull over the cost range of the single models, divided by the range.

    The cheapest usable model is added to the curve, which is flat to the right of its last corner. None where the range
    has no width or a cost is unknown. Source: RouterBench, arXiv 2403.12031.
    """
    usable = [single for single in singles if single.usable]
    if not usable or any(single.cost_usd is None for single in usable) or np.isnan(np.asarray(cost, dtype=float)).any():
        return None
    low, high = Hull.of(usable).cost_range
    if high <= low:
        return None
    cheapest = min(usable, key=lambda single: (single.cost_usd or 0.0, -single.quality))
    x, y = upper_hull([*cost, cheapest.cost_usd or 0.0], [*quality, cheapest.quality])
    grid = np.unique(np.concatenate([[low, high], x[(x > low) & (x < high)]]))
    return float(np.trapezoid(np.interp(grid, x, y), grid) / (high - low))


def oracle_curve(outcomes: Outcomes, points: int = 61) -> list[Choices]:
    """Returns the oracle's choices at every cost weight, from the best score at the least cost to the cheapest."""
    scores = np.nan_to_num(outcomes.expected_scores(), nan=-1.0)
    costs = outcomes.expected_costs()
    dearest = np.nanmax(costs) if not np.isnan(costs).all() else 0.0
    costs = np.where(np.isnan(costs), dearest, costs)
    spread = float(np.ptp(costs))
    # The first rate is so small that it only decides between equal scores.
    rates = [0.0] if spread == 0 else [1e-6 / spread, *(np.geomspace(1e-3, 1e4, points - 1) / spread)]
    return [Choices.single(outcomes.models, np.argmax(scores - rate * costs, axis=1), "oracle") for rate in rates]
