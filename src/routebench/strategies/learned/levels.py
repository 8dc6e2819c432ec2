"""The levels of the ladder: ways to expect a number of a prompt from those of training prompts.

Each is a smoother: what it expects of a prompt is a weighted sum of the training targets, with weights that come from
the prompts alone (of the ridge, for a given penalty). So the costly part is done once, and many targets, true ones and
shuffled ones, are smoothed by the same weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from routebench.evaluate.cases import StrArray
from routebench.evaluate.choices import FloatArray, IntArray
from routebench.strategies.learned.representation import Rows

Smooth = Callable[[FloatArray], FloatArray]
"""Takes training targets, shape (n, m), and returns what they let one expect of other prompts, shape (q, m)."""

_PENALTIES = np.geomspace(1e-2, 1e4, 25)
_NEIGHBOURS = 40
_NEIGHBOURS_PRIOR = 1.5
_CASES_A_CLUSTER = 60
_MAX_CLUSTERS = 40
_CLUSTER_PRIOR = 20.0
_CATEGORY_PRIOR = 10.0
_RECOGNISER_C = 5.0
_CLUSTER_ROUNDS = 30
_QUERIES_AT_ONCE = 2048


class Smoother(Protocol):
    """A level that knows its training prompts."""

    def at(self, rows: Rows) -> Smooth:
        """Returns the smoother of other prompts."""
        ...


class Ridge:
    """Linear regression with a penalty on the squared weights, chosen by generalised cross-validation.

    Args:
        inside: of the training prompts, shape (n, d).
        read: which of a prompt's numbers.
    """

    def __init__(self, inside: Rows, read: Callable[[Rows], FloatArray]) -> None:
        self._read = read
        numbers = read(inside)
        self._center = numbers.mean(axis=0)
        centred = numbers - self._center
        # By the smaller of the two Gram matrices: the rows are hundreds or thousands, the columns at most two hundred.
        values, vectors = np.linalg.eigh(centred.T @ centred)
        kept = values > max(values[-1], 0.0) * 1e-10
        self._values, self._vectors = values[kept], vectors[:, kept]
        self._basis = centred @ self._vectors

    def at(self, rows: Rows) -> Smooth:
        """Returns the smoother of other prompts."""
        turned = (self._read(rows) - self._center) @ self._vectors

        def smooth(target: FloatArray) -> FloatArray:
            mean = target.mean(axis=0)
            on_basis = self._basis.T @ (target - mean)
            weights = on_basis / (self._values + self._penalty(target - mean, on_basis))[:, None]
            expected: FloatArray = turned @ weights + mean
            return expected

        return smooth

    def _penalty(self, centred: FloatArray, on_basis: FloatArray) -> float:
        """The penalty with the least generalised cross-validation error, summed over the targets."""
        n = len(centred)
        kept = self._values / (self._values + _PENALTIES[:, None])
        energy = (on_basis**2).sum(axis=1) / self._values if len(self._values) else np.zeros(0)
        left = (centred**2).sum() - (2 * kept - kept**2) @ energy
        free = np.maximum(n - 1 - kept.sum(axis=1), 1e-9)
        return float(_PENALTIES[np.argmin(left / free**2)])


class Neighbours:
    """The mean over the most similar training prompts, shrunk towards the mean over all.

    Args:
        inside: the training prompts.
        read: which of a prompt's numbers: rows of length 1.
    """

    def __init__(self, inside: Rows, read: Callable[[Rows], FloatArray]) -> None:
        self._read = read
        self._inside = read(inside)

    def at(self, rows: Rows) -> Smooth:
        """Returns the smoother of other prompts; of equally similar ones any count."""
        k, queries = min(_NEIGHBOURS, len(self._inside)), self._read(rows)
        index, near = np.empty((len(rows), k), dtype=np.intp), np.empty((len(rows), k))
        for start in range(0, len(rows), _QUERIES_AT_ONCE):
            part = slice(start, start + _QUERIES_AT_ONCE)
            similarity = queries[part] @ self._inside.T
            index[part] = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
            near[part] = np.take_along_axis(similarity, index[part], axis=1)
        weight = np.maximum(near, 0) ** 2

        def smooth(target: FloatArray) -> FloatArray:
            summed = np.einsum("nk,nkm->nm", weight, target[index]) + _NEIGHBOURS_PRIOR * target.mean(axis=0)
            expected: FloatArray = summed / (weight.sum(axis=1, keepdims=True) + _NEIGHBOURS_PRIOR)
            return expected

        return smooth


class Clusters:
    """The mean of a prompt's cluster, shrunk towards the mean over all."""

    def __init__(self, inside: Rows) -> None:
        from sklearn.cluster import KMeans

        k = int(np.clip(len(inside) // _CASES_A_CLUSTER, 2, _MAX_CLUSTERS))
        self._found = KMeans(min(k, len(inside)), n_init=1, random_state=0, max_iter=_CLUSTER_ROUNDS).fit(inside.unit)

    def at(self, rows: Rows) -> Smooth:
        """Returns the smoother of other prompts."""
        of, inside = self._found.predict(rows.unit), self._found.labels_
        return lambda target: _table(inside, self._found.n_clusters, target, _CLUSTER_PRIOR)[of]


class Categories:
    """The means of the categories, shrunk towards the mean over all, weighted by how likely each is from the text.

    Labels are those of training prompts alone: of other prompts a logistic regression recognises the category.

    Args:
        inside: of the training prompts.
        labels: their categories, of two kinds at least, shape (n,).
    """

    def __init__(self, inside: Rows, labels: StrArray) -> None:
        from sklearn.linear_model import LogisticRegression

        names, self._member = np.unique(labels, return_inverse=True)
        self._n = len(names)
        self._recogniser = LogisticRegression(C=_RECOGNISER_C, tol=1e-2, max_iter=1000).fit(inside.joint, self._member)

    def at(self, rows: Rows) -> Smooth:
        """Returns the smoother of other prompts."""
        likely = self._recogniser.predict_proba(rows.joint)
        return lambda target: likely @ _table(self._member, self._n, target, _CATEGORY_PRIOR)


def _table(member: IntArray, n: int, target: FloatArray, prior: float) -> FloatArray:
    """The mean target of every one of n sets, shrunk towards the mean over all by so many cases."""
    sums = np.zeros((n, target.shape[1]))
    np.add.at(sums, member, target)
    counts = np.bincount(member, minlength=n)[:, None]
    means: FloatArray = (sums + prior * target.mean(axis=0)) / (counts + prior)
    return means


def smoothers(inside: Rows, labels: StrArray) -> Mapping[str, Smoother]:
    """Returns the levels by name, each for the same n training prompts.

    Args:
        inside: the training prompts.
        labels: their categories, empty where there is none, shape (n,).
    """
    found: dict[str, Smoother] = {
        "surface": Ridge(inside, lambda rows: rows.surface),
        "text": Ridge(inside, lambda rows: rows.joint),
        "neighbours": Neighbours(inside, lambda rows: rows.unit),
        "clusters": Clusters(inside),
    }
    if inside.embedded is not None:
        found["embedding"] = Ridge(inside, _embedded_and_surface)
        found["embedding neighbours"] = Neighbours(inside, _embedded)
    if len(np.unique(labels)) > 1:
        found["categories"] = Categories(inside, labels)
    return found


def _embedded(rows: Rows) -> FloatArray:
    assert rows.embedded is not None
    return rows.embedded


def _embedded_and_surface(rows: Rows) -> FloatArray:
    # Rows of length 1 beside standardised columns: as large as all of these together.
    return np.hstack([_embedded(rows) * np.sqrt(rows.surface.shape[1]), rows.surface])
