"""Paired statistics of held-out cases: intervals, tests, multiplicity, and the word that sums them up.

Methods were chosen by measured coverage: at n = 50 bootstrap intervals cover .88-.93 where t covers .94-.95, and where
few pairs disagree Agresti-Min keeps its level and BCa does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special
from scipy import stats as scipy_stats

from routebench.evaluate.choices import FloatArray

Verdict = Literal["better", "worse", "no_worse", "cannot_tell", "too_few"]

MIN_DISCORDANT = 10
"""With fewer pairs that differ no interval keeps its level, and none is given."""
_ALPHA = 0.05
_SAME = 1e-12
_POWER_FACTOR = 2.8
"""z(.975) + z(.80): the difference that 80 % of repetitions would find, in standard errors."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval; None where there are too few cases for one."""

    mean: float
    low: float | None
    high: float | None
    method: str

    @property
    def ci95(self) -> tuple[float, float] | None:
        """The interval as a pair."""
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean paired difference of two strategies on the same cases.

    Attributes:
        delta: mean of the first minus the second.
        ci95: its 95 % interval, None with fewer than MIN_DISCORDANT pairs that differ.
        p_value: two-sided, None likewise.
        p_adjusted: after Holm over the candidates; the same as `p_value` until `adjust` is called.
        n: pairs.
        n_discordant: pairs that differ.
        mde: the smallest true difference that 80 % of such comparisons would find.
        method: of interval and test.
    """

    delta: float
    ci95: tuple[float, float] | None
    p_value: float | None
    p_adjusted: float | None
    n: int
    n_discordant: int
    mde: float | None
    method: str

    def verdict(self, margin: float) -> Verdict:
        """Returns the word for the difference: `no_worse` when at most `margin` is lost, with 95 % confidence."""
        if self.ci95 is None or self.p_adjusted is None:
            return "too_few"
        if self.p_adjusted < _ALPHA:
            return "better" if self.delta > 0 else "worse"
        return "no_worse" if self.ci95[0] > -margin else "cannot_tell"


def mean_interval(values: FloatArray, groups: npt.NDArray[np.str_], weight: FloatArray) -> Interval | None:
    """Returns the mean of per-case values with a 95 % interval; None for no known value.

    Wilson's interval for 0/1 values of independent, equally weighted cases, else t, robust to clusters by group.
    """
    known = ~np.isnan(values)
    values, groups, weight = values[known], groups[known], weight[known]
    if not len(values):
        return None
    if _independent(groups, weight) and np.isin(values, (0.0, 1.0)).all():
        result = scipy_stats.binomtest(int(values.sum()), len(values)).proportion_ci(method="wilson")
        return Interval(float(values.mean()), float(result.low), float(result.high), "Wilson")
    mean, error, freedom = _cluster_mean(values, groups, weight)
    if error is None:
        return Interval(mean, None, None, "t")
    reach = float(special.stdtrit(freedom, 1 - _ALPHA / 2)) * error
    return Interval(mean, mean - reach, mean + reach, "t" if _independent(groups, weight) else "cluster-robust t")


def paired(first: FloatArray, second: FloatArray, groups: npt.NDArray[np.str_], weight: FloatArray) -> Difference:
    """Compares two strategies on the same cases.

    Agresti-Min interval with McNemar's mid-p test for 0/1 scores of independent cases, else a paired t, robust to
    clusters by group.

    Args:
        first: per-case values, NaN where unknown, shape (n,).
        second: of the other strategy, shape (n,).
        groups: cluster of each case, shape (n,).
        weight: of each case, shape (n,).
    """
    known = ~(np.isnan(first) | np.isnan(second))
    first, second, groups, weight = first[known], second[known], groups[known], weight[known]
    gaps = first - second
    n, discordant = len(gaps), int((np.abs(gaps) > _SAME).sum())
    delta = float(np.average(gaps, weights=weight)) if n else 0.0
    binary = _independent(groups, weight) and np.isin(first, (0.0, 1.0)).all() and np.isin(second, (0.0, 1.0)).all()
    method = "Agresti-Min, mid-p McNemar" if binary else "t" if _independent(groups, weight) else "cluster-robust t"
    mde = _POWER_FACTOR * float(np.sqrt(np.average(gaps**2, weights=weight) / n)) if discordant else None
    if discordant < MIN_DISCORDANT:
        return Difference(delta, None, None, None, n, discordant, mde, method)
    if binary:
        wins, losses = int((gaps > 0).sum()), int((gaps < 0).sum())
        p_value = mcnemar_mid_p(wins, losses)
        return Difference(delta, agresti_min(wins, losses, n), p_value, p_value, n, discordant, mde, method)
    mean, error, freedom = _cluster_mean(gaps, groups, weight)
    if error is None or error == 0:
        return Difference(delta, None, None, None, n, discordant, mde, method)
    reach = float(special.stdtrit(freedom, 1 - _ALPHA / 2)) * error
    p_value = float(2 * special.stdtr(freedom, -abs(mean / error)))
    return Difference(delta, (mean - reach, mean + reach), p_value, p_value, n, discordant, mde, method)


def adjust(differences: Sequence[Difference]) -> list[Difference]:
    """Returns the differences with Holm's step-down p-values over all that have one (Holm 1979)."""
    places = [place for place, one in enumerate(differences) if one.p_value is not None]
    places.sort(key=lambda place: differences[place].p_value or 0.0)
    result, highest = list(differences), 0.0
    for rank, place in enumerate(places):
        highest = max(highest, min(1.0, (len(places) - rank) * (differences[place].p_value or 0.0)))
        result[place] = replace(differences[place], p_adjusted=highest)
    return result


def agresti_min(wins: int, losses: int, n: int) -> tuple[float, float]:
    """Returns the 95 % interval of a difference of paired proportions.

    Half an observation is added to each of the four cells: Agresti and Min, Statistics in Medicine 24 (2005).

    Args:
        wins: pairs in which only the first is right.
        losses: pairs in which only the second is right.
        n: all pairs.
    """
    wins_, losses_, n_ = wins + 0.5, losses + 0.5, n + 2.0
    delta = (wins_ - losses_) / n_
    error = np.sqrt((wins_ + losses_) - (wins_ - losses_) ** 2 / n_) / n_
    reach = float(special.ndtri(1 - _ALPHA / 2) * error)
    return max(-1.0, delta - reach), min(1.0, delta + reach)


def mcnemar_mid_p(wins: int, losses: int) -> float:
    """Returns McNemar's two-sided mid-p value (Fagerland, Lydersen and Laake 2013)."""
    binomial = scipy_stats.binom(wins + losses, 0.5)
    fewer = min(wins, losses)
    if wins == losses:
        return float(1 - 0.5 * binomial.pmf(fewer))
    return float(min(1.0, 2 * binomial.cdf(fewer) - binomial.pmf(fewer)))


def max_t(gaps: FloatArray, groups: npt.NDArray[np.str_], *, seed: int = 0, draws: int = 4000) -> float:
    """Returns the critical value of simultaneous 95 % intervals over c comparisons on the same cases.

    The 95 % point of the largest absolute t over comparisons, under sign flips of whole clusters: comparisons that move
    together cost less than Holm takes.

    Args:
        gaps: per-case differences, shape (n, c), none unknown.
        groups: cluster of each case, shape (n,).
        seed: of the draws.
        draws: how many.
    """
    _, member = np.unique(groups, return_inverse=True)
    sums = np.zeros((int(member.max()) + 1, gaps.shape[1]))
    np.add.at(sums, member, gaps - gaps.mean(axis=0))
    spread = np.sqrt((sums**2).sum(axis=0))
    sums = sums[:, spread > 0] / spread[spread > 0]
    if not sums.shape[1]:
        return float(special.ndtri(1 - _ALPHA / 2))
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=(draws, len(sums)))
    return float(np.quantile(np.abs(signs @ sums).max(axis=1), 1 - _ALPHA))


def _independent(groups: npt.NDArray[np.str_], weight: FloatArray) -> bool:
    return len(np.unique(groups)) == len(groups) and bool((weight == weight[:1]).all())


def _cluster_mean(
    values: FloatArray, groups: npt.NDArray[np.str_], weight: FloatArray
) -> tuple[float, float | None, int]:
    """Weighted mean, its standard error robust to clusters, and degrees of freedom; clusters of one give the t."""
    mean = float(np.average(values, weights=weight))
    _, member = np.unique(groups, return_inverse=True)
    clusters = int(member.max()) + 1
    if clusters < 2:
        return mean, None, 0
    sums = np.bincount(member, weights=weight * (values - mean)) / weight.sum()
    return mean, float(np.sqrt(clusters / (clusters - 1) * (sums**2).sum())), clusters - 1
