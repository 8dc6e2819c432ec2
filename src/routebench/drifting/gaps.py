"""How far two independent samples are apart, and how surely: traces of production and cases of a suite.

Both sides may come in clusters (turns of a conversation, a suite's groups) and with weights. As in
`evaluate.estimates`, interval and p-value of a gap come from one formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse, special

from routebench.evaluate.choices import FloatArray, IntArray
from routebench.evaluate.estimates import ALPHA, MIN_FREEDOM, Studentised, mean_estimate
from routebench.evaluate.intervals import Interval, wilson

_BISECTIONS = 50
_SAME = 1e-12
_DRAWS = 20_000
_PERMUTATIONS = 2_000
_AT_ONCE = 250
_MOST_POINTS = 256


@dataclass(frozen=True, eq=False)
class Side:
    """One sample: what is known of it.

    Attributes:
        amounts: none unknown, shape (n,).
        groups: number of each value's cluster, from 0 on without gaps, shape (n,).
        weight: of each value, shape (n,).
    """

    amounts: FloatArray
    groups: IntArray
    weight: FloatArray

    @classmethod
    def of(cls, values: FloatArray, groups: IntArray, weight: FloatArray | None = None) -> Self:
        """Takes values of which some may be NaN; they weigh alike when nothing is said."""
        weight = np.ones(len(values)) if weight is None else weight
        known = ~np.isnan(values)
        if not known.all():
            values, groups, weight = values[known], groups[known], weight[known]
        if len(groups) and not np.bincount(groups).all():
            # By hashing: of a million traces the clusters would be sorted for every figure.
            groups = pd.factorize(groups)[0].astype(np.intp, copy=False)
        return cls(values, groups, weight)

    @property
    def n(self) -> int:
        """Number of values."""
        return len(self.amounts)

    @cached_property
    def n_groups(self) -> int:
        """Number of clusters."""
        return int(self.groups.max(initial=-1)) + 1

    @cached_property
    def freedom(self) -> float:
        """Degrees of freedom: Kish's effective number of clusters less one."""
        sizes = np.bincount(self.groups, weights=self.weight)
        return float(sizes.sum() ** 2 / (sizes**2).sum()) - 1 if self.n else 0.0

    @cached_property
    def estimate(self) -> Studentised | None:
        """The mean; None where there are too few clusters for an error."""
        return mean_estimate(self.amounts, self.groups, self.weight)

    @cached_property
    def worth(self) -> tuple[float, float] | None:
        """The mean of values in [0, 1], and as how many independent zeros and ones it is worth; None as above."""
        if self.estimate is None:
            return None
        share = min(1.0, max(0.0, self.estimate.value))
        spread = share * (1 - share)
        if spread <= 0:
            return share, self.estimate.freedom + 1
        size = spread / self.estimate.error**2 if self.estimate.error > 0 else float(self.n)
        # Chances of a replayed mix spread less than zeros and ones do, and are worth more than their number.
        plain = bool(((self.amounts == 0) | (self.amounts == 1)).all())
        return share, min(size, float(self.n)) if plain else size

    def mean(self) -> Interval | None:
        """The mean with its interval; None where nothing is known."""
        if not self.n:
            return None
        if self.estimate is None:
            return Interval(float(np.average(self.amounts, weights=self.weight)), None, None, "too few clusters")
        return Interval(self.estimate.value, *self.estimate.interval(), self.estimate.method)

    def share(self) -> Interval | None:
        """The mean of values in [0, 1] with Wilson's interval on what they are worth; None where nothing is known."""
        if self.worth is None:
            return self.mean()
        share, size = self.worth
        return Interval(share, *wilson(share * size, size), "Wilson on the effective number of cases")

    @cached_property
    def _ordered(self) -> tuple[FloatArray, FloatArray]:
        """The values in their order, and the share of the weight that each does not exceed."""
        order = np.argsort(self.amounts, kind="stable")
        reached = np.cumsum(self.weight[order])
        return self.amounts[order], reached / reached[-1]

    def at(self, share: float) -> float:
        """The smallest value that a share of the weight does not exceed."""
        values, reached = self._ordered
        return float(values[min(int(np.searchsorted(reached, share - 1e-12, side="left")), self.n - 1)])

    def quantile(self, share: float) -> Quantile | None:
        """A quantile with its interval; None where there are too few clusters."""
        below = (
            mean_estimate((self.amounts <= self.at(share)).astype(float), self.groups, self.weight) if self.n else None
        )
        return None if below is None else Quantile(self, share, below.error, below.freedom)

    def shown(self, share: float) -> Interval | None:
        """A quantile with its 95 % interval where there is one; None where nothing is known."""
        found = self.quantile(share)
        if found is None:
            return Interval(self.at(share), None, None, "too few clusters") if self.n else None
        return Interval(found.value, *found.interval(ALPHA), "Woodruff")


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile, with Woodruff's interval (J. American Statistical Association 47 (1952) 635).

    The values at the ends of the interval of the share that does not exceed it.

    Attributes:
        side: whose.
        share: of the values that do not exceed it.
        error: of that share.
        freedom: degrees of freedom of the error.
    """

    side: Side
    share: float
    error: float
    freedom: float

    @property
    def value(self) -> float:
        """The quantile."""
        return self.side.at(self.share)

    def interval(self, alpha: float) -> tuple[float, float]:
        """Two-sided interval with coverage 1 - alpha."""
        reach = float(special.stdtrit(self.freedom, 1 - alpha / 2)) * self.error
        return self.side.at(max(0.0, self.share - reach)), self.side.at(min(1.0, self.share + reach))


@dataclass(frozen=True, slots=True)
class ShareGap:
    """Difference of two shares, by Newcombe's hybrid of Wilson intervals (Statistics in Medicine 17 (1998) 873).

    Attributes:
        first: a share.
        first_n: as how many independent values it is worth.
        second: another.
        second_n: likewise.
    """

    first: float
    first_n: float
    second: float
    second_n: float
    method: str = "Newcombe"

    @property
    def value(self) -> float:
        """The first less the second."""
        return self.first - self.second

    @property
    def error(self) -> float:
        """Standard error of the difference."""
        return math.sqrt(self.first * (1 - self.first) / self.first_n + self.second * (1 - self.second) / self.second_n)

    def interval(self, alpha: float = ALPHA) -> tuple[float, float]:
        """Two-sided interval with coverage 1 - alpha."""
        low, high = wilson(self.first * self.first_n, self.first_n, alpha)
        its_low, its_high = wilson(self.second * self.second_n, self.second_n, alpha)
        return (
            self.value - math.hypot(self.first - low, its_high - self.second),
            self.value + math.hypot(high - self.first, self.second - its_low),
        )

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided: the level at which the interval ends at the null."""
        return _level(self.interval, null)

    def p_above(self, null: float) -> float:
        """One-sided: of the hypothesis that the truth is at most `null`."""
        half = self.p_value(null) / 2
        return half if self.value > null else 1 - half


@dataclass(frozen=True, slots=True)
class Ratio:
    """How much larger one amount is than another: their ratio less one, by Student's t on its logarithm.

    Attributes:
        log: of the ratio.
    """

    log: Studentised

    @property
    def value(self) -> float:
        """The ratio less one."""
        return math.expm1(self.log.value)

    @property
    def error(self) -> float:
        """Standard error, to the first order."""
        return (1 + self.value) * self.log.error

    @property
    def method(self) -> str:
        """What it is called."""
        return f"log ratio, {self.log.method}"

    def interval(self, alpha: float = ALPHA) -> tuple[float, float]:
        """Two-sided interval with coverage 1 - alpha."""
        low, high = self.log.interval(alpha)
        return math.expm1(low), math.expm1(high)

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided."""
        return self.log.p_value(math.log1p(null))

    def p_above(self, null: float) -> float:
        """One-sided: of the hypothesis that the truth is at most `null`."""
        return self.log.p_above(math.log1p(null))


@dataclass(frozen=True, slots=True)
class QuantileRatio:
    """How much larger one quantile is than another: their ratio less one, from the intervals of both.

    The variances are recovered from the interval of each logarithm, its two sides apart (Zou and Donner, Statistics in
    Medicine 27 (2008) 1693): times are rounded and skewed, and a normal error for them would be wrong.

    Attributes:
        first: a quantile.
        second: another, or an amount of which nobody knows how uncertain it is.
    """

    first: Quantile
    second: Quantile | float

    @property
    def value(self) -> float:
        """The ratio less one."""
        return self.first.value / self._beside - 1

    @property
    def _beside(self) -> float:
        return self.second if isinstance(self.second, float) else self.second.value

    @property
    def error(self) -> float:
        """As if the interval were a normal one."""
        low, high = self.interval()
        return (high - low) / 2 / float(special.ndtri(1 - ALPHA / 2))

    @property
    def method(self) -> str:
        """What it is called."""
        return "log ratio, Woodruff"

    def interval(self, alpha: float = ALPHA) -> tuple[float, float]:
        """Two-sided interval with coverage 1 - alpha."""
        own, beside = self.first.value, self._beside
        low, high = self.first.interval(alpha)
        its_low, its_high = (beside, beside) if isinstance(self.second, float) else self.second.interval(alpha)
        log = math.log(own / beside)
        # A time of 0 has no logarithm; of such a one nothing is known below.
        down = math.hypot(_log(own, low), _log(its_high, beside))
        up = math.hypot(_log(high, own), _log(beside, its_low))
        return math.expm1(log - down), math.expm1(log + up)

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided: the level at which the interval ends at the null."""
        return _level(self.interval, null)

    def p_above(self, null: float) -> float:
        """One-sided: of the hypothesis that the truth is at most `null`."""
        half = self.p_value(null) / 2
        return half if self.value > null else 1 - half


def _log(above: float, below: float) -> float:
    return math.inf if below <= 0 else math.log(above / below)


def _level(interval: Callable[[float], tuple[float, float]], null: float) -> float:
    """The smallest level at which an interval does not hold the null, between 1e-12 and 1."""
    low, high = 1e-12, 1.0
    for _ in range(_BISECTIONS):
        middle = math.sqrt(low * high)
        bounds = interval(middle)
        if bounds[0] - _SAME <= null <= bounds[1] + _SAME:
            low = middle
        else:
            high = middle
    return high


@dataclass(frozen=True, slots=True)
class Distance:
    """How far two distributions are apart, from 0 for the same to 1.

    Attributes:
        value: total variation, or Kolmogorov and Smirnov's largest distance.
        by_chance: so far apart are one in twenty pairs of samples of one and the same distribution.
        p_value: of one and the same distribution.
        method: of the test.
    """

    value: float
    by_chance: float
    p_value: float
    method: str


def share_gap(first: Side, second: Side) -> ShareGap | None:
    """Returns the difference of two shares; None where a side has too few clusters."""
    return None if first.worth is None or second.worth is None else ShareGap(*first.worth, *second.worth)


def mean_ratio(first: Side, second: Side | float) -> Ratio | None:
    """Returns how much larger the first mean is; None where a mean is not above 0 or has too few clusters.

    Args:
        first: a sample.
        second: another, or an amount of which nobody knows how uncertain it is; then only the first one's error counts.
    """
    return _ratio(_relative_mean(first), _relative_mean(second))


def quantile_ratio(first: Side, second: Side | float, share: float) -> QuantileRatio | None:
    """Returns how much larger the first side's quantile is; None where one is not above 0 or has no interval.

    Args:
        first: a sample.
        second: another, or an amount, as in `mean_ratio`.
        share: of the values that do not exceed the quantile.
    """
    one = first.quantile(share)
    other = second if isinstance(second, float) else second.quantile(share)
    if one is None or other is None or one.value <= 0:
        return None
    beside = other if isinstance(other, float) else other.value
    return QuantileRatio(one, other) if beside > 0 else None


_Amount = tuple[float, float, float]
"""An amount above 0, its relative error, and the degrees of freedom of that."""


def _relative_mean(side: Side | float) -> _Amount | None:
    if isinstance(side, float):
        return _certain(side)
    found = side.estimate
    return None if found is None or found.value <= 0 else (found.value, found.error / found.value, found.freedom)


def _certain(amount: float) -> _Amount | None:
    return (amount, 0.0, math.inf) if amount > 0 else None


def _ratio(first: _Amount | None, second: _Amount | None) -> Ratio | None:
    """With Welch's degrees of freedom."""
    if first is None or second is None:
        return None
    squares = first[1] ** 2, second[1] ** 2
    total = sum(squares)
    freedom = min(first[2], second[2])
    if total > 0:
        freedom = total**2 / (squares[0] ** 2 / first[2] + squares[1] ** 2 / second[2])
    return Ratio(Studentised(math.log(first[0] / second[0]), math.sqrt(total), freedom))


def variation(
    first: FloatArray, first_side: Side, second: FloatArray, second_side: Side, *, seed: int = 0
) -> Distance | None:
    """Returns the total variation between two mixes; None where a side has too few clusters.

    Under the null the difference of the two mixes is drawn from a t distribution with their cluster-robust covariance.

    Args:
        first: the chance of each word for each value of the first side, shape (n, k).
        first_side: clusters and weights of those; its values do not count.
        second: likewise, the same k words.
        second_side: likewise.
        seed: of the draws.
    """
    one, other = _mix(first, first_side), _mix(second, second_side)
    if one is None or other is None:
        return None
    found = float(np.abs(one[0] - other[0]).sum() / 2)
    covariance = one[1] + other[1]
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    random = np.random.default_rng(seed)
    freedom = min(one[2], other[2])
    scale = np.sqrt(freedom / random.chisquare(freedom, _DRAWS))
    drawn = np.abs(random.standard_normal((_DRAWS, len(values))) @ root.T).sum(axis=1) / 2 * scale
    p_value = float((1 + np.count_nonzero(drawn >= found)) / (1 + _DRAWS))
    return Distance(found, float(np.quantile(drawn, 1 - ALPHA)), p_value, "total variation, cluster-robust")


def _mix(chances: FloatArray, side: Side) -> tuple[FloatArray, FloatArray, float] | None:
    """Shares, their covariance (CR1), and degrees of freedom."""
    if side.freedom < MIN_FREEDOM:
        return None
    sizes = np.bincount(side.groups, weights=side.weight)
    shares = np.average(chances, axis=0, weights=side.weight)
    moved = side.weight[:, None] * (chances - shares)
    influence = np.column_stack([np.bincount(side.groups, weights=column) for column in moved.T])
    covariance = influence.T @ influence / sizes.sum() ** 2 * len(sizes) / (len(sizes) - 1)
    return shares, covariance, side.freedom


def largest_distance(first: Side, second: Side, *, seed: int = 0) -> Distance | None:
    """Returns Kolmogorov and Smirnov's distance, with a permutation of whole clusters; None for too few of them.

    At the most 256 values are looked at, spread evenly over both samples.
    """
    if min(first.n_groups, second.n_groups) < 3:
        return None
    values = np.concatenate([first.amounts, second.amounts])
    points = np.unique(values)
    if len(points) > _MOST_POINTS:
        points = np.unique(np.quantile(values, np.linspace(0, 1, _MOST_POINTS + 1)[1:], method="inverted_cdf"))
    bins = np.searchsorted(points, values)
    member = np.concatenate([first.groups, second.groups + first.n_groups])
    # Each side weighs the same in all, whatever a case stands for.
    weight = np.concatenate([first.weight / first.weight.mean(), second.weight / second.weight.mean()])
    table = sparse.csr_array((weight, (bins, member)), shape=(len(points), first.n_groups + second.n_groups))
    distances = np.empty(_PERMUTATIONS + 1)
    drawn = _labels(first.n_groups, second.n_groups, seed)
    for start in range(0, len(drawn), _AT_ONCE):
        labels = np.unpackbits(drawn[start : start + _AT_ONCE], axis=1, count=table.shape[1]).astype(float)
        own = table @ labels.T
        rest = table.sum(axis=1)[:, None] - own
        gaps = np.cumsum(own, axis=0) / own.sum(axis=0) - np.cumsum(rest, axis=0) / rest.sum(axis=0)
        distances[start : start + _AT_ONCE] = np.abs(gaps).max(axis=0)
    beyond = int(np.count_nonzero(distances[1:] >= distances[0] - 1e-12))
    return Distance(
        float(distances[0]),
        float(np.quantile(distances[1:], 1 - ALPHA)),
        (1 + beyond) / (1 + _PERMUTATIONS),
        "Kolmogorov-Smirnov, permutation of conversations",
    )


@lru_cache(maxsize=2)
def _labels(n_first: int, n_second: int, seed: int) -> npt.NDArray[np.uint8]:
    """Which clusters are the first side's, as bits: as it is in the first row, permuted in the others.

    Every feature of a request asks for the same.
    """
    random = np.random.default_rng(seed)
    labels = np.zeros((_PERMUTATIONS + 1, n_first + n_second), dtype=np.uint8)
    labels[0, :n_first] = 1
    for row in labels[1:]:
        row[random.permutation(len(row))[:n_first]] = 1
    return np.packbits(labels, axis=1)
