"""Halves and folds of cases; a group is never torn apart."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from routebench.errors import OutcomesError
from routebench.evaluate.choices import IntArray
from routebench.evaluate.outcomes import Outcomes


def split(outcomes: Outcomes, seed: int) -> tuple[IntArray, IntArray]:
    """Returns the positions of the train half and of the test half.

    The sorted distinct keys are permuted by numpy's default generator; the first half, rounded down, is train. A case
    whose suite names its split goes there.

    Raises:
        OutcomesError: one of the halves would be empty, or the suite's own split tears a group apart.
    """
    keys = np.random.default_rng(seed).permutation(np.unique(outcomes.keys))
    train = np.isin(outcomes.keys, keys[: len(keys) // 2])
    own = outcomes.cases.split
    train = np.where(own == "", train, own == "train")
    torn = np.intersect1d(outcomes.keys[train], outcomes.keys[~train])
    if len(torn):
        raise OutcomesError(
            f"suite {outcomes.suite!r}: its column `split` tears {len(torn)} groups apart, such as {str(torn[0])!r}; "
            "give all cases of a group the same split"
        )
    inside, outside = np.flatnonzero(train), np.flatnonzero(~train)
    if not len(inside) or not len(outside):
        raise OutcomesError(
            f"suite {outcomes.suite!r}: {outcomes.n} cases in {len(keys)} groups cannot be split into train and test; "
            "add cases, or rows with both values of `split`"
        )
    return inside, outside


def folds(outcomes: Outcomes, n_folds: int, seed: int = 0) -> Iterator[tuple[IntArray, IntArray]]:
    """Yields (inside, outside) positions of every fold; the outsides partition the cases.

    With fewer groups than folds there are as many folds as groups. A single group is its own training set.
    """
    keys, member = np.unique(outcomes.keys, return_inverse=True)
    n_folds = min(n_folds, len(keys))
    if n_folds < 2:
        everything = np.arange(outcomes.n)
        yield everything, everything
        return
    fold = np.empty(len(keys), dtype=np.intp)
    fold[np.random.default_rng(seed).permutation(len(keys))] = np.arange(len(keys)) % n_folds
    for number in range(n_folds):
        outside = fold[member] == number
        yield np.flatnonzero(~outside), np.flatnonzero(outside)
