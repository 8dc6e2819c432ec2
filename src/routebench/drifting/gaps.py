"""How far two independent samples are apart in a figure, and how surely: traces of production and cases of a suite.

Both sides may come in clusters (turns of a conversation, a suite's groups) and with weights. As in
`evaluate.estimates`, interval and p-value of a gap come from one formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy import special

from routebench.drifting.side import Quantile, Side
from routebench.evaluate.estimates import ALPHA, Studentised
from routebench.evaluate.intervals import wilson

_BISECTIONS = 50
_SAME = 1e-12


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
