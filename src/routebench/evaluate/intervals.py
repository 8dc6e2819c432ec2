"""Intervals of one strategy's figures: its mean score, its cost, its cost as a share of another's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from routebench.evaluate.choices import FloatArray, Groups
from routebench.evaluate.estimates import ALPHA, independent, mean_estimate


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval; None where there are too few cases or clusters for one."""

    mean: float
    low: float | None
    high: float | None
    method: str

    @property
    def ci95(self) -> tuple[float, float] | None:
        """The interval as a pair."""
        return None if self.low is None or self.high is None else (self.low, self.high)


def mean_interval(values: FloatArray, groups: Groups, weight: FloatArray, *, share: bool = False) -> Interval | None:
    """Returns the mean of per-case values with a 95 % interval; None for no known value.

    Wilson's interval for 0/1 values of independent, equally weighted cases, else that of `mean_estimate`.

    Args:
        values: NaN where unknown, shape (n,).
        groups: cluster of each case, shape (n,).
        weight: of each case, shape (n,).
        share: whether the mean cannot leave [0, 1].
    """
    known = ~np.isnan(values)
    values, groups, weight = values[known], groups[known], weight[known]
    if not len(values):
        return None
    if share and independent(groups, weight) and np.isin(values, (0.0, 1.0)).all():
        return Interval(float(values.mean()), *wilson(int(values.sum()), len(values)), "Wilson")
    estimate = mean_estimate(values, groups, weight)
    if estimate is None:
        return Interval(float(np.average(values, weights=weight)), None, None, "too few clusters")
    if share and np.isin(values, (0.0, 1.0)).all():
        # As if so many independent cases had been seen; where all score alike, as many as there are effective groups.
        spread = estimate.value * (1 - estimate.value)
        # Clusters whose means are all equal have no error at all, and are worth no more than their cases.
        sure = spread / estimate.error**2 if estimate.error > 0 else np.inf
        size = min(sure, float(len(values))) if spread > 0 else estimate.freedom + 1
        return Interval(estimate.value, *wilson(estimate.value * size, size), "Wilson on the effective number of cases")
    if share and estimate.error == 0:
        return Interval(estimate.value, None, None, "every case scores alike")
    low, high = estimate.interval()
    if share:
        low, high = max(0.0, low), min(1.0, high)
    return Interval(estimate.value, low, high, estimate.method)


def wilson(successes: float, n: float, alpha: float = ALPHA) -> tuple[float, float]:
    """Returns Wilson's score interval of a share (Journal of the American Statistical Association 22 (1927) 209)."""
    z = float(special.ndtri(1 - alpha / 2))
    share = successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * float(np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)))
    return max(0.0, centre - reach), min(1.0, centre + reach)


def ratio_interval(
    numerator: FloatArray, denominator: FloatArray, groups: Groups, weight: FloatArray
) -> Interval | None:
    """Returns how much larger one mean is than another on the same cases: their ratio less one, with a 95 % interval.

    Linearised: the ratio's influence is (numerator - ratio * denominator) / mean(denominator). None where the
    denominator's mean is not above 0 or nothing is known of both.
    """
    known = ~(np.isnan(numerator) | np.isnan(denominator))
    numerator, denominator, groups, weight = numerator[known], denominator[known], groups[known], weight[known]
    if not len(numerator) or (base := float(np.average(denominator, weights=weight))) <= 0:
        return None
    ratio = float(np.average(numerator, weights=weight)) / base
    estimate = mean_estimate((numerator - ratio * denominator) / base, groups, weight)
    if estimate is None:
        return Interval(ratio - 1, None, None, "too few clusters")
    low, high = estimate.interval()
    # Nothing costs less than nothing.
    return Interval(ratio - 1, max(-1.0, ratio - 1 + low), ratio - 1 + high, f"linearised ratio, {estimate.method}")
