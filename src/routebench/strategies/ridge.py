"""Ridge regression of one number, its penalty chosen out of fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from routebench.evaluate.choices import FloatArray, IntArray

PENALTIES: FloatArray = np.geomspace(3.0, 30_000.0, 9)


@dataclass(frozen=True, slots=True)
class Ridge:
    """A weighted sum of columns.

    Attributes:
        weights: shape (columns,).
        out_of_fold: what was predicted for each row by a sum that did not see it, shape (n,).
        penalty: that predicted best.
    """

    weights: FloatArray
    bias: float
    out_of_fold: FloatArray
    penalty: float


def fit_ridge(
    columns: FloatArray,
    target: FloatArray,
    weight: FloatArray,
    folds: Sequence[tuple[IntArray, IntArray]],
    penalties: FloatArray = PENALTIES,
) -> Ridge:
    """Fits a ridge regression with an intercept that is not penalised.

    Args:
        columns: of one scale, shape (n, columns).
        target: shape (n,).
        weight: of each row, shape (n,); only their ratios count.
        folds: (inside, outside) positions; the outsides are disjoint and cover all rows.
        penalties: that are tried; of equally good ones the largest.
    """
    weight = weight / weight.mean()
    whole = _Moments.of(columns, target, weight)
    predicted = np.empty((len(penalties), len(target)))
    for inside, outside in folds:
        held_out = _Moments.of(columns[outside], target[outside], weight[outside])
        # A single group is its own training set.
        rest = whole if len(inside) == len(target) else whole.without(held_out)
        for row, (weights, bias) in enumerate(rest.solve(penalties)):
            predicted[row, outside] = columns[outside] @ weights + bias
    errors = ((predicted - target) ** 2) @ weight
    best = len(penalties) - 1 - int(np.argmin(errors[::-1]))
    ((weights, bias),) = whole.solve(penalties[best : best + 1])
    return Ridge(weights, bias, predicted[best], float(penalties[best]))


@dataclass(frozen=True, slots=True)
class _Moments:
    """Weighted sums over rows; those of a fold can be taken away, so that every row is multiplied once or twice."""

    products: FloatArray
    sums: FloatArray
    with_target: FloatArray
    target: float
    n: float

    @classmethod
    def of(cls, columns: FloatArray, target: FloatArray, weight: FloatArray) -> _Moments:
        weighted = columns * weight[:, None]
        return cls(
            weighted.T @ columns, weighted.sum(axis=0), weighted.T @ target, float(weight @ target), float(weight.sum())
        )

    def without(self, other: _Moments) -> _Moments:
        return _Moments(
            self.products - other.products,
            self.sums - other.sums,
            self.with_target - other.with_target,
            self.target - other.target,
            self.n - other.n,
        )

    def solve(self, penalties: FloatArray) -> list[tuple[FloatArray, float]]:
        means, mean = self.sums / self.n, self.target / self.n
        centred = self.products - np.outer(self.sums, means)
        values, vectors = np.linalg.eigh(centred)
        rotated = vectors.T @ (self.with_target - self.sums * mean)
        found = [vectors @ (rotated / (np.maximum(values, 0.0) + penalty)) for penalty in penalties]
        return [(weights, float(mean - means @ weights)) for weights in found]
