"""The fixed mix that meets a constraint: what is written where no rules are worth it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from routebench.evaluate.frontier import Hull, SingleModel
from routebench.rules import Default
from routebench.tune.constraints import Constraints, Point, choose


def mix_default(
    singles: Sequence[SingleModel], constraints: Constraints, damages: Mapping[str, float | None] | None = None
) -> Default:
    """Returns the mix of two models that meets the constraint on the training half; the best model where none does.

    Args:
        singles: every model alone.
        constraints: what is asked.
        damages: model -> what its wrong answers to 1,000 requests are expected to cost, where that counts.
    """
    hull = Hull.of(singles)
    best = max(single.quality for single in singles)
    low, high = hull.cost_range
    budgets = np.linspace(low, high, 101) if high > low else np.array([hull.cost_usd[-1]])
    points = [
        Point(place, hull.value(cost), 1000 * float(cost), None, damage_usd_per_1k=_damage(hull, cost, damages or {}))
        for place, cost in enumerate(budgets)
    ]
    point = choose(points, replace(constraints, max_latency_p95_s=None), best)
    # Where no mix meets the constraint: the cheapest under a cap, else the best.
    closest = low if constraints.max_cost_usd_per_1k is not None else float("inf")
    shares = hull.mix_at(float(budgets[point.index]) if point is not None else closest)
    order = sorted(singles, key=lambda single: -single.quality)
    rounded = _rounded(shares)
    if len(rounded) == 1:
        (only,) = rounded
        return Default(route=with_best_behind(only, order))
    return Default(mix=tuple((share, with_best_behind(name, order)) for name, share in rounded.items()))


def _damage(hull: Hull, cost_usd: float, damages: Mapping[str, float | None]) -> float | None:
    """Of the best mix at a cost; None where a part of it is unknown."""
    parts = [(share, damages.get(name)) for name, share in hull.mix_at(float(cost_usd)).items()]
    known = [share * usd for share, usd in parts if usd is not None]
    return sum(known) if len(known) == len(parts) else None


def _rounded(shares: Mapping[str, float]) -> dict[str, float]:
    """Shares in whole percent, because a file that says 0.4137 pretends to a precision that nobody measured."""
    names = list(shares)
    first = round(shares[names[0]], 2)
    rounded = {names[0]: first} | ({names[1]: round(1 - first, 2)} if len(names) > 1 else {})
    return {name: share for name, share in rounded.items() if share > 0}


def with_best_behind(name: str, by_quality: Sequence[SingleModel]) -> tuple[str, ...]:
    """Returns a model, and behind it the best other one that usually answers; the models come with the best first."""
    best = next((single.name for single in by_quality if single.usable and single.name != name), None)
    return (name,) if best is None else (name, best)
