"""How far raters agree beyond chance, such as a judge and people, with intervals by resampling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Level = Literal["nominal", "ordinal", "interval"]
Weights = Literal["linear", "quadratic"]
_Floats = npt.NDArray[np.float64]
_Statistic = Callable[[_Floats], _Floats]
"""How often each unit counts, shape (resamples, units) -> the coefficient, shape (resamples,)."""

RESAMPLES = 2000
MIN_UNITS = 10
"""With fewer units a resampled interval says too little about the next sample to be shown."""
_SEED = 20_110_125
_AT_ONCE = 200
_MIN_DEFINED = 0.5
"""Share of the resamples that must hold any disagreement to measure against; else there is no interval."""


@dataclass(frozen=True, slots=True)
class Coefficient:
    """Agreement beyond chance: 1 is perfect, 0 is chance, below 0 is worse.

    Attributes:
        value: None where it is undefined: nothing was rated twice, or every rating is the same.
        ci95: from resampled units; None where `value` is, or with too few units.
        n: units that were rated twice.
    """

    value: float | None
    ci95: tuple[float, float] | None
    n: int

    def __str__(self) -> str:
        if self.value is None:
            return "undefined"
        return f"{self.value:.2f}" + ("" if self.ci95 is None else f" [{self.ci95[0]:.2f}, {self.ci95[1]:.2f}]")


def krippendorff_alpha(
    ratings: npt.ArrayLike,
    level: Level = "interval",
    *,
    groups: npt.ArrayLike | None = None,
    chance: npt.ArrayLike | None = None,
    resamples: int = RESAMPLES,
    seed: int = _SEED,
) -> Coefficient:
    """Krippendorff's alpha: 1 - observed / expected disagreement, for any number of raters and gaps.

    Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), with its distances for nominal, ordinal and
    interval data. The interval is a percentile bootstrap over units.

    Args:
        ratings: shape (raters, units), NaN where a rater did not rate.
        level: what differences mean: equal or not, places between in rank, or the square of the difference.
        groups: units that are drawn together, such as the answers to one case, shape (units,).
        chance: the probability with which each unit was drawn, by whose inverse it counts; shape (units,). All alike
            when left out.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    table = np.asarray(ratings, dtype=float)
    twice = (~np.isnan(table)).sum(axis=0) >= 2
    table = table[:, twice]
    if not table.shape[1]:
        return Coefficient(None, None, 0)
    groups = None if groups is None else np.asarray(groups)[twice]
    alpha = _interval_alpha(table) if level == "interval" else _alpha(table, level)
    return _resampled(alpha, _stands_for(chance, twice), groups, resamples, seed)


def _interval_alpha(table: _Floats) -> _Statistic:
    """By sums of squares, so that any number of different values costs the same."""
    # From one of the values on: where all are the same, the sums are exactly 0.
    shifted = table - table[~np.isnan(table)][0]
    count, total, squares = (~np.isnan(table)).sum(axis=0), np.nansum(shifted, axis=0), np.nansum(shifted**2, axis=0)
    apart = 2 * (count * squares - total**2) / (count - 1)

    def alpha(times: _Floats) -> _Floats:
        n, first, second = times @ count, times @ total, times @ squares
        return _one_minus(times @ apart, 2 * (n * second - first**2) / (n - 1))

    return alpha


def _alpha(table: _Floats, level: Level) -> _Statistic:
    values = np.unique(table[~np.isnan(table)])
    # Shape (units, values): how often each value was given to each unit.
    counts = np.stack([(table == value).sum(axis=0) for value in values], axis=1).astype(float)
    by_unit = 1.0 / (counts.sum(axis=1) - 1.0)

    def alpha(times: _Floats, distance: _Floats) -> _Floats:
        observed = times @ (((counts @ distance) * counts).sum(axis=1) * by_unit)
        totals = times @ counts
        expected = ((totals @ distance) * totals).sum(axis=1) / (totals.sum(axis=1) - 1.0)
        return _one_minus(observed, expected)

    def ordinal(times: _Floats) -> _Floats:
        # The distance of two ranks is how many ratings lie between them: another one in every resample.
        return np.concatenate([alpha(row[None], _ranks_between(row @ counts)) for row in times])

    return ordinal if level == "ordinal" else lambda times: alpha(times, _distance(values, None))


def cohen_kappa(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    weights: Weights | None = None,
    *,
    groups: npt.ArrayLike | None = None,
    chance: npt.ArrayLike | None = None,
    resamples: int = RESAMPLES,
    seed: int = _SEED,
) -> Coefficient:
    """Cohen's kappa of two raters.

    Cohen, Educational and Psychological Measurement 20 (1960) 37; weighted: Psychological Bulletin 70 (1968) 213.
    The interval is a percentile bootstrap over units.

    Args:
        a: ratings, NaN where there is none, shape (units,).
        b: those of the other rater, shape (units,).
        weights: how much a disagreement counts: all alike (None), by the difference of the two values, or by its
            square.
        groups: units that are drawn together, shape (units,).
        chance: the probability with which each unit was drawn, by whose inverse it counts; shape (units,).
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    both = ~np.isnan(first) & ~np.isnan(second)
    first, second = first[both], second[both]
    if not len(first):
        return Coefficient(None, None, 0)
    groups = None if groups is None else np.asarray(groups)[both]
    kappa = _quadratic_kappa(first, second) if weights == "quadratic" else _kappa(first, second, weights)
    return _resampled(kappa, _stands_for(chance, both), groups, resamples, seed)


def _stands_for(chance: npt.ArrayLike | None, kept: npt.NDArray[np.bool_]) -> _Floats:
    """How many units each of the kept ones stands for, 1 in the mean."""
    if chance is None:
        return np.ones(int(kept.sum()))
    inverse = 1 / np.asarray(chance, dtype=float)[kept]
    stands_for: _Floats = inverse / inverse.mean()
    return stands_for


def _quadratic_kappa(first: _Floats, second: _Floats) -> _Statistic:
    """By sums of squares, so that any number of different values costs the same."""
    one, other = first - first[0], second - first[0]
    apart, squares = (one - other) ** 2, one**2 + other**2

    def kappa(times: _Floats) -> _Floats:
        return _one_minus(times @ apart, times @ squares - 2 * (times @ one) * (times @ other) / times.sum(axis=1))

    return kappa


def _kappa(first: _Floats, second: _Floats, weights: Weights | None) -> _Statistic:
    values = np.unique(np.concatenate([first, second]))
    distance = _distance(values, weights)
    at_first, at_second = np.searchsorted(values, first), np.searchsorted(values, second)
    apart = distance[at_first, at_second]
    of_first, of_second = np.eye(len(values))[at_first], np.eye(len(values))[at_second]

    def kappa(times: _Floats) -> _Floats:
        expected = (((times @ of_first) @ distance) * (times @ of_second)).sum(axis=1) / times.sum(axis=1)
        return _one_minus(times @ apart, expected)

    return kappa


def _distance(values: _Floats, weights: Weights | None) -> _Floats:
    """How far every two values are apart, shape (values, values)."""
    apart: _Floats = np.abs(values[:, None] - values[None, :])
    return apart if weights == "linear" else (apart > 0).astype(float)


def _ranks_between(totals: _Floats) -> _Floats:
    """Squared number of ratings from the middle of one rank to the middle of the other."""
    middle = np.cumsum(totals) - totals / 2
    return _distance(middle, "linear") ** 2


def _one_minus(observed: _Floats, expected: _Floats) -> _Floats:
    share: _Floats = np.divide(observed, expected, out=np.full(observed.shape, np.nan), where=expected > 0)
    return 1.0 - share


def _resampled(
    coefficient: _Statistic,
    counts: _Floats,
    groups: npt.NDArray[np.generic] | None,
    resamples: int,
    seed: int,
) -> Coefficient:
    """The coefficient of all units, and its spread over resamples; it is given how often each unit counts."""
    n = len(counts)
    value = float(coefficient(counts[None])[0])
    if np.isnan(value):
        return Coefficient(None, None, n)
    group = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    n_groups = int(group.max()) + 1
    if n_groups < MIN_UNITS:
        return Coefficient(value, None, n)
    rng, share = np.random.default_rng(seed), np.full(n_groups, 1 / n_groups)
    # A part at a time: thousands of units times thousands of resamples need not stand in memory.
    sizes = [min(_AT_ONCE, resamples - start) for start in range(0, resamples, _AT_ONCE)]
    parts = [coefficient(rng.multinomial(n_groups, share, size)[:, group] * counts) for size in sizes]
    found = np.concatenate(parts)
    found = found[~np.isnan(found)]
    if len(found) < _MIN_DEFINED * resamples:
        return Coefficient(value, None, n)
    low, high = np.quantile(found, (0.025, 0.975))
    return Coefficient(value, (float(low), float(high)), n)


@dataclass(frozen=True, slots=True)
class Agreement:
    """What is known about the judge that scores rest on; its text goes beside every such number.

    Attributes:
        judge: who judged, in words.
        alpha: Krippendorff's, interval level, of the judge and the mean of the people; None where nobody graded.
        kappa: Cohen's of the same two, with quadratic weights.
        people: Krippendorff's alpha of the people among themselves; None where no two graded the same answer.
        flip_rate: share of the compared pairs whose verdict changed when the sides were swapped; None where none were.
    """

    judge: str = "judge"
    alpha: Coefficient | None = None
    kappa: Coefficient | None = None
    people: Coefficient | None = None
    flip_rate: float | None = None

    @classmethod
    def of(
        cls,
        judge: npt.ArrayLike,
        human: npt.ArrayLike,
        *,
        name: str = "judge",
        groups: npt.ArrayLike | None = None,
        chance: npt.ArrayLike | None = None,
        raters: npt.ArrayLike | None = None,
        flip_rate: float | None = None,
    ) -> Agreement:
        """Measures it on the answers that both scored.

        Args:
            judge: scores by the judge, NaN while unscored, shape (answers,).
            human: mean scores by people, NaN where nobody graded, shape (answers,).
            name: who judged, in words.
            groups: answers that are drawn together: those to one case, shape (answers,).
            chance: the probability with which each answer was drawn to be graded, shape (answers,).
            raters: single people's scores, NaN where one did not grade, shape (people, answers).
            flip_rate: as `pairwise.flip_rate` found it.
        """
        scores, people = np.asarray(judge, dtype=float), np.asarray(human, dtype=float)
        if not (~np.isnan(scores) & ~np.isnan(people)).any():
            return cls(name, flip_rate=flip_rate)
        among = None if raters is None else krippendorff_alpha(raters)
        return cls(
            name,
            krippendorff_alpha(np.stack([scores, people]), groups=groups, chance=chance),
            cohen_kappa(scores, people, "quadratic", groups=groups, chance=chance),
            among if among is not None and among.n else None,
            flip_rate,
        )

    @property
    def checked(self) -> bool:
        """Whether people graded any of the answers."""
        return self.alpha is not None

    def __str__(self) -> str:
        if self.alpha is None:
            text = f"{self.judge}, not checked against people"
        else:
            text = f"{self.judge}, alpha {self.alpha} and weighted kappa "
            text += f"{self.kappa} with people on {self.alpha.n} answers"
            if self.people is not None:
                text += f" (people among themselves: alpha {self.people} on {self.people.n})"
        if self.flip_rate is not None:
            text += f"; {self.flip_rate:.0%} of its comparisons changed when the sides were swapped"
        return text
