"""A ladder of ridge regressions, from few columns to all, folded into one weighted sum of them.

Each level is predicted out of fold; non-negative least squares over the levels shrinks what does not carry over. All
levels are linear, so that their mix is one row of weights a target: what was measured fits into a small artifact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from routebench.evaluate.choices import BoolArray, FloatArray, IntArray

_PENALTIES: FloatArray = np.geomspace(0.1, 1e5, 13)
Fold = tuple[IntArray, IntArray]


@dataclass(frozen=True, slots=True)
class Level:
    """Columns that are looked at together.

    Attributes:
        columns: which, shape (d,).
        scale: what each is multiplied with, shape (d,); the larger, the less its weight is held back.
    """

    columns: IntArray
    scale: FloatArray


@dataclass(frozen=True, slots=True)
class Ladder:
    """Weighted sums of columns.

    Attributes:
        weights: shape (targets, width).
        bias: shape (targets,).
        out_of_fold: predictions by sums that did not see the row, NaN where a row was left out, shape (n, targets).
    """

    weights: FloatArray
    bias: FloatArray
    out_of_fold: FloatArray


def fit_ladder(
    columns: FloatArray,
    targets: FloatArray,
    weight: FloatArray,
    known: BoolArray,
    levels: Sequence[Level],
    folds: Sequence[Fold],
) -> Ladder:
    """Fits every level, and the mix of them.

    Args:
        columns: shape (n, width).
        targets: shape (n, targets).
        weight: of each row, shape (n,).
        known: rows that are learned from, shape (n,).
        levels: from few columns to many.
        folds: (inside, outside) positions; the outsides cover all rows once.
    """
    from scipy.optimize import nnls

    n, m = targets.shape
    inner = [(inside[known[inside]], outside[known[outside]]) for inside, outside in folds]
    rows = np.flatnonzero(known)
    means = np.zeros((n, m))
    for inside, outside in inner:
        means[outside] = np.average(targets[inside], axis=0, weights=weight[inside]) if len(inside) else 0.0
    rest = targets - means
    found, sums = [], []
    for level in levels:
        part = columns[:, level.columns] * level.scale
        predicted = np.zeros((len(_PENALTIES), n, m))
        for inside, outside in inner:
            if len(inside) and len(outside):
                for number, (slopes, bias) in enumerate(_solve(part[inside], targets[inside], weight[inside])):
                    predicted[number, outside] = part[outside] @ slopes + bias
        errors = np.einsum("pnm,n->pm", (predicted[:, rows] - targets[rows]) ** 2, weight[rows])
        best = np.argmin(errors, axis=0)
        found.append(predicted[best, :, np.arange(m)].T - means)
        solved = _solve(part[rows], targets[rows], weight[rows])
        slopes = np.stack([solved[number][0][:, target] for target, number in enumerate(best)], axis=1)
        sums.append((level, slopes, part[rows].T @ weight[rows] / weight[rows].sum()))
    stacked = np.stack([one[rows] for one in found], axis=2)
    root = np.sqrt(weight[rows])
    weights, bias = np.zeros((m, columns.shape[1])), np.average(targets[rows], axis=0, weights=weight[rows])
    out_of_fold = np.full((n, m), np.nan)
    for target in range(m):
        shares = nnls(stacked[:, target] * root[:, None], rest[rows, target] * root)[0]
        out_of_fold[rows, target] = means[rows, target] + stacked[:, target] @ shares
        for share, (level, slopes, centre) in zip(shares, sums, strict=True):
            weights[target, level.columns] += share * slopes[:, target] * level.scale
            bias[target] -= share * float(centre @ slopes[:, target])
    return Ladder(weights, bias, out_of_fold)


def _solve(columns: FloatArray, targets: FloatArray, weight: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
    """Slopes and biases for every penalty; by columns or by rows, whichever are fewer."""
    share = weight / weight.mean()
    centre = np.average(columns, axis=0, weights=share)
    mean = np.average(targets, axis=0, weights=share)
    root = np.sqrt(share)[:, None]
    left, right = (columns - centre) * root, (targets - mean) * root
    if left.shape[1] <= left.shape[0]:
        values, vectors = np.linalg.eigh(left.T @ left)
        before, after = vectors, vectors.T @ (left.T @ right)
    else:
        values, vectors = np.linalg.eigh(left @ left.T)
        before, after = left.T @ vectors, vectors.T @ right
    values = np.maximum(values, 0.0)[:, None]
    found = [before @ (after / (values + penalty)) for penalty in _PENALTIES]
    return [(slopes, mean - centre @ slopes) for slopes in found]
