"""Exact nearest neighbours of many rows, some queries at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.evaluate.choices import FloatArray, IntArray

_CELLS_AT_ONCE = 2**23


def nearest_rows(queries: Any, library: Any, k: int) -> tuple[FloatArray, IntArray]:
    """Returns the cosine similarities and positions of the k nearest rows of a library, the nearest first.

    Args:
        queries: rows of length 1, sparse or an array, shape (n, columns).
        library: rows of length 1, of the same kind, shape (l, columns).
        k: neighbours; all rows of a smaller library.

    Returns:
        Two arrays of shape (n, min(k, l)).
    """
    n, size = queries.shape[0], library.shape[0]
    k = min(k, size)
    columns = library.T if isinstance(library, np.ndarray) else library.T.tocsr()
    near, index = np.empty((n, k)), np.empty((n, k), dtype=np.intp)
    step = max(1, _CELLS_AT_ONCE // size)
    for start in range(0, n, step):
        part = slice(start, start + step)
        similarity = _dense(queries[part] @ columns)
        found = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(similarity, found, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        index[part] = np.take_along_axis(found, order, axis=1)
        near[part] = np.take_along_axis(values, order, axis=1)
    return near, index


def _dense(product: Any) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = product if isinstance(product, np.ndarray) else product.toarray()
    return found
