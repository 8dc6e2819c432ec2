"""The ladder: what its levels expect out of fold, and how far each of them is trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from routebench.evaluate.cases import StrArray
from routebench.evaluate.choices import FloatArray, IntArray
from routebench.strategies.learned.levels import Smooth, Smoother, smoothers
from routebench.strategies.learned.representation import Rows

_EVEN = 0.05
"""Weight of an even trust in all levels beside what least squares say, as a share of the levels' own energy."""
_STEPS = 8


@dataclass(frozen=True, slots=True)
class Expected:
    """What levels expect of n prompts for m targets each.

    Attributes:
        mean: of the training targets, where nothing else is known, shape (n, m).
        levels: by name, shape (n, m).
    """

    mean: FloatArray
    levels: Mapping[str, FloatArray]

    def combined(self, trust: Mapping[str, float]) -> FloatArray:
        """Returns the mean, moved towards every level as far as it is trusted, shape (n, m)."""
        moved = self.mean.copy()
        for name, weight in trust.items():
            if weight:
                moved += weight * (self.levels[name] - self.mean)
        return moved


class OutOfFold:
    """Levels that each training prompt is smoothed by without itself and its group.

    Args:
        rows: the n training prompts.
        labels: their categories, empty where there is none, shape (n,).
        folds: (inside, outside) positions; every prompt is outside of some, and of as many as any other.
    """

    def __init__(self, rows: Rows, labels: StrArray, folds: Sequence[tuple[IntArray, IntArray]]) -> None:
        self._n = len(rows)
        self._folds: list[tuple[IntArray, IntArray, dict[str, Smooth]]] = []
        for inside, outside in folds:
            prepared = smoothers(rows[inside], labels[inside])
            self._folds.append((inside, outside, {name: one.at(rows[outside]) for name, one in prepared.items()}))
        # A level that some fold lacks, because all of its categories are outside, is no level.
        self.names = tuple(name for name in self._folds[0][2] if all(name in fold[2] for fold in self._folds))

    def expect(self, target: FloatArray, names: Sequence[str] | None = None) -> Expected:
        """Returns what is expected of every training prompt from the targets of others, averaged over the folds.

        Args:
            target: shape (n, m).
            names: of the levels; all by default.
        """
        names = self.names if names is None else names
        mean = np.zeros_like(target)
        levels = {name: np.zeros_like(target) for name in names}
        for inside, outside, smooth in self._folds:
            mean[outside] += target[inside].mean(axis=0)
            for name in names:
                levels[name][outside] += smooth[name](target[inside])
        times = sum(len(outside) for _, outside, _ in self._folds) / self._n
        return Expected(mean / times, {name: summed / times for name, summed in levels.items()})


def least_squares(expected: Expected, target: FloatArray) -> dict[str, float]:
    """Returns how far each level is trusted: least squares without negative weights, drawn to an even trust.

    One weight a level, shared by all targets: many weights would fit the noise of the few prompts.
    """
    from scipy.optimize import nnls

    names = list(expected.levels)
    columns = np.column_stack([(expected.levels[name] - expected.mean).ravel() for name in names])
    drawn = float(np.sqrt(_EVEN * (columns**2).sum() / len(names)))
    columns = np.vstack([columns, drawn * np.eye(len(names))])
    wanted = np.concatenate([(target - expected.mean).ravel(), np.full(len(names), drawn / len(names))])
    weights, _ = nnls(columns, wanted)
    return {name: float(weight) for name, weight in zip(names, weights, strict=True)}


def explained(expected: Expected, target: FloatArray) -> float:
    """Returns the share of the squared deviations from the mean that trusted levels explain out of fold."""
    left = target - expected.combined(least_squares(expected, target))
    whole = float(((target - expected.mean) ** 2).sum())
    return 1 - float((left**2).sum()) / whole if whole > 0 else 0.0


def by_gain(
    expected: Expected, start: Mapping[str, float], gain: Callable[[FloatArray], float]
) -> tuple[dict[str, float], float]:
    """Returns a trust in the levels that brings more, and what it brings.

    Least squares ask how near expectations come to scores, and not which model they would pick. So from their solution
    on, one level after the other is averaged in, each time the one that gains most, and the best average on that way is
    kept (ensemble selection, Caruana et al. 2004).

    Args:
        expected: out of fold.
        start: the trust to start from.
        gain: takes expectations of all training prompts and returns what routing by them gains.
    """
    # To trust no level is a choice too: the mean alone.
    steps: dict[str, dict[str, float]] = {"": {}, **{name: {name: 1.0} for name in expected.levels}}
    choices = {name: expected.combined(trust) for name, trust in steps.items()}
    total, trust, n = expected.combined(start), dict(start), 1
    best = (gain(total), dict(trust))
    for _ in range(_STEPS):
        gains = {name: gain((total + choice) / (n + 1)) for name, choice in choices.items()}
        name = max(gains, key=lambda one: gains[one])
        total, n = total + choices[name], n + 1
        trust = {level: trust.get(level, 0.0) + steps[name].get(level, 0.0) for level in expected.levels}
        if gains[name] > best[0]:
            best = gains[name], {level: weight / n for level, weight in trust.items()}
    return best[1], best[0]


@dataclass(frozen=True, eq=False)
class Ladder:
    """Levels that know all training prompts, trusted as their out-of-fold expectations deserve.

    Attributes:
        smoothers: by name.
        target: of the training prompts, shape (n, m).
        trust: in each level.
    """

    smoothers: Mapping[str, Smoother]
    target: FloatArray
    trust: Mapping[str, float]

    def expect(self, rows: Rows) -> FloatArray:
        """Returns what is expected of other prompts, shape (q, m)."""
        mean = np.broadcast_to(self.target.mean(axis=0), (len(rows), self.target.shape[1]))
        levels = {name: self.smoothers[name].at(rows)(self.target) for name, weight in self.trust.items() if weight}
        return Expected(mean, levels).combined(self.trust)
