"""Where nothing meets a constraint: what comes closest, what it lacks, and whether more cases could help."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from routebench.tune.constraints import Constraints, Point, shortfalls
from routebench.tune.curve import Curve
from routebench.tune.ground import Ground


@dataclass(frozen=True, slots=True)
class Closest:
    """The operating point that misses least of a constraint.

    Attributes:
        form: its name.
        point: as it did out of fold.
        lacks: what it misses and by how much, as `shortfalls` tells it; empty where it meets everything.
        more_cases: how many more cases the suite needs for its lower bound to reach the floor, if scores stay as they
            are; None where that is not all that it lacks, or its mean score itself is too low.
    """

    form: str
    point: Point
    lacks: Mapping[str, float]
    more_cases: int | None


def closest(curves: Iterable[Curve], constraints: Constraints, ground: Ground) -> Closest | None:
    """Returns the point that misses least: few things rather than many, and little of them; None without points."""
    best = ground.best_quality
    missed = [(curve.name, point, shortfalls(point, constraints, best)) for curve in curves for point in curve.points]
    if not missed:
        return None
    form, point, lacks = min(
        missed, key=lambda one: (len(one[2]), sum(one[2].values()), constraints.rank(one[1]), one[1].index)
    )
    return Closest(form, point, lacks, _more_cases(point, lacks, constraints, ground))


def _more_cases(point: Point, lacks: Mapping[str, float], constraints: Constraints, ground: Ground) -> int | None:
    above = point.quality - constraints.floor(ground.best_quality)
    error = constraints.error(point)
    if set(lacks) != {"quality"} or above <= 0 or not error:
        return None
    # An error shrinks with the root of the cases; the training half is half of them.
    return math.ceil(2 * ground.train.n * ((error / above) ** 2 - 1))
