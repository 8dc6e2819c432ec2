"""What a team asks of a rule set, and which operating point meets it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from routebench.errors import InputError


@dataclass(frozen=True, slots=True)
class Constraints:
    """What is asked: without a cost cap the cheapest rule set above the quality floor, with one the best under it.

    Attributes:
        max_quality_drop: how far below the best single model the mean score may be, in [0, 1].
        max_quality_drop_per_slice: how far below it the mean score of any one category or tag may be.
        min_quality: a floor of the mean score that replaces the one above.
        max_cost_usd_per_1k: a cap on the mean cost of 1,000 requests.
        max_latency_p95_s: a cap on the 95th percentile of latency, in seconds.
        max_rules: at most so many rules.
        count_damage: whether the least sum of cost and of the damage that wrong answers are expected to do is wanted,
            in place of the least cost or of the best quality.
    """

    max_quality_drop: float = 0.01
    max_quality_drop_per_slice: float = 0.05
    min_quality: float | None = None
    max_cost_usd_per_1k: float | None = None
    max_latency_p95_s: float | None = None
    max_rules: int = 12
    count_damage: bool = False

    def __post_init__(self) -> None:
        if self.max_rules < 1:
            raise InputError(f"max_rules is {self.max_rules}; a rule set needs room for at least one rule")

    def floor(self, best_single_quality: float) -> float:
        """The lowest mean score that is acceptable; under a cost cap alone there is none."""
        if self.min_quality is None and self.max_cost_usd_per_1k is not None:
            return float("-inf")
        return self.min_quality if self.min_quality is not None else best_single_quality - self.max_quality_drop

    def error(self, point: Point) -> float:
        """The standard error of what the floor is held against."""
        return point.quality_se if self.min_quality is None else point.absolute_se

    def rank(self, point: Point) -> tuple[float, float]:
        """The order among points that meet the constraint, the best first: by cost, under a cap on it by quality."""
        if self.count_damage:
            return (point.charge, -point.quality)
        if self.max_cost_usd_per_1k is not None:
            return (-point.quality, _cost(point))
        return (_cost(point), -point.quality)

    def describe(self) -> str:
        """The constraint as a sentence."""
        parts = []
        if self.max_cost_usd_per_1k is not None:
            what = "the least cost and expected damage" if self.count_damage else "the best quality"
            parts.append(f"{what} for at most ${self.max_cost_usd_per_1k:.3g} per 1,000 requests")
            if self.min_quality is not None:
                parts.append(f"not below {self.min_quality:.1%}")
        elif self.min_quality is not None:
            parts.append(f"{self._least} with a mean score of at least {self.min_quality:.1%}")
        else:
            drop = 100 * self.max_quality_drop
            parts.append(f"{self._least} with a mean score at most {drop:g} point(s) below the best single model's")
        if self.max_latency_p95_s is not None:
            parts.append(f"95 % of answers within {self.max_latency_p95_s:g} s")
        parts.append(f"no category or tag more than {100 * self.max_quality_drop_per_slice:g} points below it")
        return ", ".join(parts)

    @property
    def _least(self) -> str:
        return "the least cost and expected damage" if self.count_damage else "the least cost"


@dataclass(frozen=True, slots=True)
class Point:
    """One operating point, as measured out of fold on train; None while unknown.

    Attributes:
        quality_se: standard error of the difference to the best single model, which a floor is held against.
        worst_drop: of the slices that are large enough to judge, how far the one that loses most is below the best
            single model, drawn towards the mean of all as far as chance goes; None without such slices.
        absolute_se: standard error of the mean score itself, which a floor in absolute terms is held against.
        damage_usd_per_1k: what wrong answers to 1,000 requests are expected to cost.
        n_rules: of its rule set.
        worst_slice: the name of that slice.
    """

    index: int
    quality: float
    cost_usd_per_1k: float | None
    latency_p95_s: float | None
    worst_drop: float | None = None
    quality_se: float = 0.0
    absolute_se: float = 0.0
    damage_usd_per_1k: float | None = None
    n_rules: int = 0
    worst_slice: str | None = None

    @property
    def charge(self) -> float:
        """Cost and expected damage of 1,000 requests in US dollars, infinite where one of them is unknown."""
        if self.damage_usd_per_1k is None:
            return float("inf")
        return _cost(self) + self.damage_usd_per_1k


def choose(points: Sequence[Point], constraints: Constraints, best_single_quality: float) -> Point | None:
    """Returns the point that meets the constraints best, None when none does.

    A floor has to be kept with a standard error to spare: of many points that seem to keep it, the cheapest is the one
    that was luckiest. A point whose cost or latency is unknown does not meet a cap on it; nor one of unknown damage,
    where that counts.
    """
    return min(
        (point for point in points if not shortfalls(point, constraints, best_single_quality)),
        key=constraints.rank,
        default=None,
    )


def shortfalls(point: Point, constraints: Constraints, best_single_quality: float) -> dict[str, float]:
    """Returns what a point misses of `quality cost latency slice rules damage`, and by how much; empty if it meets all.

    Each as a share of what is asked, of scores in points of score; infinite where it is unknown.
    """
    found = {
        "quality": constraints.floor(best_single_quality) - (point.quality - constraints.error(point)),
        "cost": _over(point.cost_usd_per_1k, constraints.max_cost_usd_per_1k),
        "latency": _over(point.latency_p95_s, constraints.max_latency_p95_s),
        "slice": 0.0 if point.worst_drop is None else point.worst_drop - constraints.max_quality_drop_per_slice,
        "rules": float(point.n_rules - constraints.max_rules),
        "damage": float("inf") if constraints.count_damage and point.damage_usd_per_1k is None else 0.0,
    }
    return {name: by for name, by in found.items() if by > 0}


def _over(value: float | None, cap: float | None) -> float:
    if cap is None:
        return 0.0
    return float("inf") if value is None else (value - cap) / cap if cap > 0 else value - cap


def _cost(point: Point) -> float:
    return point.cost_usd_per_1k if point.cost_usd_per_1k is not None else float("inf")
