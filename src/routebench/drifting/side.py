"""One sample, of production or of a suite: its means, shares and quantiles, robust to clusters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd
from scipy import special

from routebench.evaluate.choices import FloatArray, IntArray
from routebench.evaluate.estimates import ALPHA, Studentised, mean_estimate
from routebench.evaluate.intervals import Interval, wilson


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
        if not self.n:
            return None
        # Where many are alike, the shares below and up to the quantile lie on both sides of the one that is asked for.
        masks = (self.amounts <= self.at(share), self.amounts < self.at(share))
        found = [mean_estimate(mask.astype(float), self.groups, self.weight) for mask in masks]
        errors = [one.error for one in found if one is not None]
        return Quantile(self, share, max(errors), self.freedom) if errors else None

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
