"""Estimates that know how uncertain they are: a mean over clusters, and a difference of paired proportions.

Every estimate answers the same three questions: its interval at any level, how surprising a value would be, and how
surely it lies above one. Interval and p-values of an estimate come from one formula, so they never contradict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import special

from routebench.evaluate.choices import FloatArray, Groups, IntArray

ALPHA = 0.05
MIN_FREEDOM = 2.0
"""Below so many degrees of freedom (few or very unequal clusters) no interval keeps its level."""
_MARKED_SKEWNESS = 0.15
_EQUAL_CLUSTERS = 1.5
_BISECTIONS = 60


class Estimate(Protocol):
    """A number with its uncertainty."""

    @property
    def value(self) -> float:
        """The estimate."""
        ...

    @property
    def error(self) -> float:
        """Its standard error."""
        ...

    @property
    def method(self) -> str:
        """What it is called."""
        ...

    def interval(self, alpha: float = ALPHA) -> tuple[float, float]:
        """Two-sided interval with coverage 1 - alpha."""
        ...

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided."""
        ...

    def p_above(self, null: float) -> float:
        """One-sided: of the hypothesis that the truth is at most `null`."""
        ...


@dataclass(frozen=True, slots=True)
class Studentised:
    """A mean with its standard error; Student's t, with Hall's transformation where the values are skewed.

    Attributes:
        value: the mean.
        error: its standard error.
        freedom: degrees of freedom.
        skewness: of the clusters' influences over the root of their number; 0 for plain t. Hall, Annals of
            Statistics 20 (1992) 221.
        clustered: whether clusters of several cases, or unequal weights, are in it.
    """

    value: float
    error: float
    freedom: float
    skewness: float = 0.0
    clustered: bool = False

    @property
    def method(self) -> str:
        """What it is called."""
        name = "cluster-robust t (CR2)" if self.clustered else "t"
        return f"{name}, adjusted for skewness (Hall)" if self.skewness else name

    def interval(self, alpha: float = ALPHA) -> tuple[float, float]:
        """Two-sided interval with coverage 1 - alpha."""
        reach = float(special.stdtrit(self.freedom, 1 - alpha / 2))
        return self.value - self._undone(reach) * self.error, self.value - self._undone(-reach) * self.error

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided."""
        return float(2 * special.stdtr(self.freedom, -abs(self._transformed(null))))

    def p_above(self, null: float) -> float:
        """One-sided: of the hypothesis that the truth is at most `null`."""
        return float(special.stdtr(self.freedom, -self._transformed(null)))

    def _transformed(self, null: float) -> float:
        gap = self.value - null
        t = gap / self.error if self.error > 0 else np.copysign(np.inf, gap) if gap else 0.0
        s = self.skewness
        return float(t + s * t**2 / 3 + s**2 * t**3 / 27 + s / 6) if s and np.isfinite(t) else float(t)

    def _undone(self, x: float) -> float:
        s = self.skewness
        return x if not s else float(3 / s * (np.cbrt(1 + s * (x - s / 6)) - 1))


@dataclass(frozen=True, slots=True)
class ScoreDifference:
    """Difference of two paired proportions, by Tango's score test (Statistics in Medicine 17 (1998) 891).

    Attributes:
        wins: pairs in which only the first is right.
        losses: pairs in which only the second is right.
        n: all pairs, independent and equally weighted.
    """

    wins: int
    losses: int
    n: int
    method: str = "Tango score"

    @property
    def value(self) -> float:
        """The difference."""
        return (self.wins - self.losses) / self.n

    @property
    def error(self) -> float:
        """Standard error of the difference."""
        return float(np.sqrt(((self.wins + self.losses) / self.n - self.value**2) / self.n))

    def interval(self, alpha: float = ALPHA) -> tuple[float, float]:
        """Two-sided interval with coverage 1 - alpha."""
        reach = float(special.ndtri(1 - alpha / 2))
        return self._solved(reach, -1.0, self.value), self._solved(-reach, self.value, 1.0)

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided; at 0 it is McNemar's test."""
        return float(2 * special.ndtr(-abs(self._statistic(null))))

    def p_above(self, null: float) -> float:
        """One-sided: of the hypothesis that the truth is at most `null`."""
        return float(special.ndtr(-self._statistic(null)))

    def _statistic(self, null: float) -> float:
        n, wins, losses = self.n, self.wins, self.losses
        b = -wins - losses + (2 * n - wins + losses) * null
        c = -losses * null * (1 - null)
        # The share of losses that is likeliest under the null.
        share = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
        variance = n * (2 * share + null * (1 - null))
        gap = wins - losses - n * null
        if variance <= 0:
            return math.copysign(math.inf, gap) if gap else 0.0
        return gap / math.sqrt(variance)

    def _solved(self, target: float, low: float, high: float) -> float:
        """The null at which the statistic, which falls with it, is the target."""
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            if self._statistic(middle) > target:
                low = middle
            else:
                high = middle
        return (low + high) / 2


def independent(groups: Groups, weight: FloatArray) -> bool:
    """Whether every case is a cluster of its own and all weigh the same."""
    return bool((weight == weight[:1]).all()) and n_clusters(groups) == len(groups)


def n_clusters(groups: Groups) -> int:
    """Returns how many clusters there are."""
    return int(np.count_nonzero(np.bincount(groups))) if groups.dtype.kind == "i" else len(np.unique(groups))


def numbered(groups: Groups) -> IntArray:
    """Returns the number of each case's cluster, from 0 on without gaps, shape (n,)."""
    # Sorting them again and again is what panels would wait for.
    if groups.dtype.kind == "i" and len(groups) and np.bincount(groups).all():
        return groups.astype(np.intp, copy=False)
    return np.unique(groups, return_inverse=True)[1]


def mean_estimate(values: FloatArray, groups: Groups, weight: FloatArray) -> Studentised | None:
    """Returns the weighted mean of values with a standard error that is robust to clusters, None for too few clusters.

    The error is CR2 of Bell and McCaffrey (Survey Methodology 28 (2002) 169), the degrees of freedom are Kish's
    effective number of clusters less one: with clusters of equal size and weight that is the usual CR1 error with one
    less than their number, and with single cases the usual t. Where clusters are alike and their values are skewed,
    Hall's transformation is put on top.

    Args:
        values: none unknown, shape (n,).
        groups: cluster of each case, shape (n,).
        weight: of each case, shape (n,).
    """
    if len(values) < 2:
        return None
    alone = n_clusters(groups) == len(groups)
    member = np.empty(0, dtype=np.intp) if alone else numbered(groups)

    def by_cluster(amounts: FloatArray) -> FloatArray:
        return amounts if alone else np.bincount(member, weights=amounts).astype(float, copy=False)

    sizes = by_cluster(weight)
    leverage = sizes / sizes.sum()
    freedom = float(1 / (leverage**2).sum()) - 1
    if freedom < MIN_FREEDOM:
        return None
    mean = float(np.average(values, weights=weight))
    influence = by_cluster(weight * (values - mean)) / sizes.sum()
    squares = influence**2
    error = float(np.sqrt((squares / (1 - leverage)).sum()))
    skewness = 0.0
    if error > 0 and leverage.max() <= _EQUAL_CLUSTERS * leverage.min():
        skewness = float((influence**3).sum() / squares.sum() ** 1.5)
    return Studentised(
        value=mean,
        error=error,
        freedom=freedom,
        skewness=skewness if abs(skewness) > _MARKED_SKEWNESS else 0.0,
        clustered=not (alone and bool((weight == weight[:1]).all())),
    )
