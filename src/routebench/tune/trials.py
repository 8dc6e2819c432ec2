"""Operating points that were chosen on the training half, and which of them is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from routebench.evaluate.frontier import weighted_mean
from routebench.rules import RuleSet
from routebench.tune.constraints import Constraints, Point, choose
from routebench.tune.curve import Curve, Deployable
from routebench.tune.ground import Ground

_KEEPS = 0.8
"""A more readable form may be worth less than the best one by a fifth of its gain over the fixed mix."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One form at one operating point.

    Attributes:
        form: fitted on the training half.
        point: as it did out of fold.
        gain: mean score above the fixed mix of two models at its own cost, out of fold.
        gain_se: its standard error; infinite where too few cases differ.
        over_baseline: mean score above the best single model, out of fold.
        curve_gain: what all operating points of the form gain over mixes of two models, out of fold, in AIQ.
    """

    form: Deployable
    point: Point
    gain: float
    gain_se: float
    over_baseline: float
    curve_gain: float

    @classmethod
    def of(cls, curve: Curve, place: int, ground: Ground) -> Trial | None:
        """Holds one operating point against the bars; None where no case of it is known.

        Args:
            curve: the form.
            place: of the point on it.
            ground: what it was replayed on.
        """
        over = weighted_mean(curve.score[place] - ground.bar, ground.train.weight)
        if over is None:
            return None
        gain = ground.over_mix(curve.score[place], curve.cost_usd[place])
        bounds = gain.ci95
        error = float("inf") if bounds is None else (bounds[1] - bounds[0]) / (2 * 1.96)
        return cls(curve.form, curve.points[place], gain.delta, error, over, curve.gain(ground))

    @property
    def told(self) -> bool:
        """Whether the gain is more than its standard error."""
        return self.gain > self.gain_se

    def ruleset(self) -> RuleSet:
        """The rule set of this point."""
        return self.form.to_ruleset(self.point.index)


def best_point(curve: Curve, constraints: Constraints, ground: Ground) -> Point | None:
    """Returns the operating point of a form that meets the constraint best; None where none is known to."""
    return choose(curve.points, constraints, ground.best_quality)


def best_of(trials: Sequence[Trial], constraints: Constraints, rate: float) -> tuple[Trial, Trial | None]:
    """Returns the trial to use and the runner-up.

    The best one by the constraint is used, or the first that is worth nearly as much: the forms come with the more
    readable ones first. What a trial is worth is its score less its cost, at the rate at which mixes trade them. Where
    damage counts, the best one is used: what a wrong answer costs is then in the order itself.
    """
    points = [replace(trial.point, index=place) for place, trial in enumerate(trials)]
    ranked = sorted(points, key=constraints.rank)
    first = trials[ranked[0].index]
    least = _worth(first, rate) - (1 - _KEEPS) * max(0.0, first.gain)
    readable = () if constraints.count_damage else trials[: ranked[0].index]
    best = next((one for one in readable if _worth(one, rate) >= least), first)
    others = [trials[point.index] for point in ranked if trials[point.index] is not best]
    return best, others[0] if others else None


def _worth(trial: Trial, rate: float) -> float:
    cost = trial.point.cost_usd_per_1k
    if cost is None:
        # An unknown cost must not look like a bargain; where costs buy nothing, it does not matter.
        return trial.point.quality if rate == 0 else float("-inf")
    return trial.point.quality - rate * cost


def exchange_rate(ground: Ground) -> float:
    """Returns the score that a US dollar more for 1,000 requests buys with mixes of the cheapest and the best model."""
    hull = ground.hull
    cost = 1000 * float(hull.cost_usd[-1] - hull.cost_usd[0])
    return float(hull.quality[-1] - hull.quality[0]) / cost if cost > 0 else 0.0
