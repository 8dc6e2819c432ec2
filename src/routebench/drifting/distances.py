"""How far two distributions are apart, and whether chance explains it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import sparse

from routebench.drifting.side import Side
from routebench.evaluate.choices import FloatArray
from routebench.evaluate.estimates import ALPHA, MIN_FREEDOM

_DRAWS = 20_000
_PERMUTATIONS = 2_000
_AT_ONCE = 250
_MOST_POINTS = 256


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
    worth = one[2] + 1, other[2] + 1
    pooled = np.average([one[0], other[0]], axis=0, weights=worth)
    covariance = one[1] + other[1] + _unseen(one[0], pooled, worth[0]) + _unseen(other[0], pooled, worth[1])
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    random = np.random.default_rng(seed)
    freedom = min(one[2], other[2])
    scale = np.sqrt(freedom / random.chisquare(freedom, _DRAWS))
    drawn = np.abs(random.standard_normal((_DRAWS, len(values))) @ root.T).sum(axis=1) / 2 * scale
    p_value = float((1 + np.count_nonzero(drawn >= found)) / (1 + _DRAWS))
    return Distance(found, float(np.quantile(drawn, 1 - ALPHA)), p_value, "total variation, cluster-robust")


def _unseen(shares: FloatArray, pooled: FloatArray, worth: float) -> FloatArray:
    """What a side's covariance lacks: that a word did not come among few requests does not say that it never does."""
    which = (shares == 0) & (pooled > 0)
    # What goes to such a word is taken from the others by their shares.
    moves = np.eye(len(shares))[which] - shares
    lacking: FloatArray = moves.T * (pooled[which] * (1 - pooled[which]) / worth) @ moves
    return lacking


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
