"""Ridge regression of one number or several, its penalty chosen out of fold."""

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


@dataclass(frozen=True, slots=True)
class Ridges:
    """Weighted sums of the same columns, one a target.

    Attributes:
        weights: shape (columns, m).
        bias: shape (m,).
        out_of_fold: what was predicted for each row by sums that did not see it, shape (n, m).
        penalty: that predicted best, all targets together.
    """

    weights: FloatArray
    bias: FloatArray
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
    found = fit_ridges(columns, target[:, None], weight, folds, penalties)
    return Ridge(found.weights[:, 0], float(found.bias[0]), found.out_of_fold[:, 0], found.penalty)


def fit_ridges(
    columns: FloatArray,
    targets: FloatArray,
    weight: FloatArray,
    folds: Sequence[tuple[IntArray, IntArray]],
    penalties: FloatArray = PENALTIES,
) -> Ridges:
    """Fits ridge regressions of several targets, all with the penalty that is best for their squared errors together.

    Args:
        columns: of one scale, shape (n, columns).
        targets: of one scale, shape (n, m).
        weight: of each row, shape (n,); only their ratios count.
        folds: (inside, outside) positions; the outsides are disjoint and cover all rows.
        penalties: that are tried; of equally good ones the largest.
    """
    from threadpoolctl import threadpool_limits

    weight = weight / weight.mean()
    # Its products are so short that a second thread mostly waits for the first, and for other programs.
    with threadpool_limits(limits=1):
        return _fitted(columns, targets, weight, folds, penalties)


def _fitted(
    columns: FloatArray,
    targets: FloatArray,
    weight: FloatArray,
    folds: Sequence[tuple[IntArray, IntArray]],
    penalties: FloatArray,
) -> Ridges:
    whole = _Moments.of(columns, targets, weight)
    predicted = np.empty((len(penalties), *targets.shape))
    for inside, outside in folds:
        held_out = _Moments.of(columns[outside], targets[outside], weight[outside])
        # A single group is its own training set.
        rest = whole if len(inside) == len(targets) else whole.without(held_out)
        for row, (weights, bias) in enumerate(rest.solve(penalties)):
            predicted[row, outside] = columns[outside] @ weights + bias
    errors = ((predicted - targets) ** 2).sum(axis=2) @ weight
    best = len(penalties) - 1 - int(np.argmin(errors[::-1]))
    ((weights, bias),) = whole.solve(penalties[best : best + 1])
    return Ridges(weights, bias, predicted[best], float(penalties[best]))


def ridges_at(
    columns: FloatArray, targets: FloatArray, weight: FloatArray, penalty: float
) -> tuple[FloatArray, FloatArray]:
    """Returns weights, shape (columns, m), and biases, shape (m,), for a penalty that is known."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        ((weights, bias),) = _Moments.of(columns, targets, weight / weight.mean()).solve(np.array([penalty]))
    return weights, bias


@dataclass(frozen=True, slots=True)
class _Moments:
    """Weighted sums over rows; those of a fold can be taken away, so that every row is multiplied once or twice."""

    products: FloatArray
    sums: FloatArray
    with_targets: FloatArray
    targets: FloatArray
    n: float

    @classmethod
    def of(cls, columns: FloatArray, targets: FloatArray, weight: FloatArray) -> _Moments:
        weighted = columns * weight[:, None]
        return cls(
            weighted.T @ columns, weighted.sum(axis=0), weighted.T @ targets, weight @ targets, float(weight.sum())
        )

    def without(self, other: _Moments) -> _Moments:
        return _Moments(
            self.products - other.products,
            self.sums - other.sums,
            self.with_targets - other.with_targets,
            self.targets - other.targets,
            self.n - other.n,
        )

    def solve(self, penalties: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
        means, mean = self.sums / self.n, self.targets / self.n
        centred = self.products - np.outer(self.sums, means)
        values, vectors = np.linalg.eigh(centred)
        rotated = vectors.T @ (self.with_targets - np.outer(self.sums, mean))
        found = [vectors @ (rotated / (np.maximum(values, 0.0) + penalty)[:, None]) for penalty in penalties]
        return [(weights, mean - means @ weights) for weights in found]
