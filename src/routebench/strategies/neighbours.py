"""Exact nearest neighbours of sparse rows, some queries at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from routebench.evaluate.choices import FloatArray, IntArray

_QUERIES_AT_ONCE = 1024


def nearest_rows(queries: Any, library: Any, k: int) -> tuple[FloatArray, IntArray]:
    """Returns the cosine similarities and positions of the k nearest rows of a library, in no order.

    Args:
        queries: sparse rows of length 1, shape (n, columns).
        library: sparse rows of length 1, shape (l, columns).
        k: neighbours; all rows of a smaller library.

    Returns:
        Two arrays of shape (n, min(k, l)).
    """
    k = min(k, library.shape[0])
    columns = library.T.tocsr()
    near, index = np.empty((queries.shape[0], k)), np.empty((queries.shape[0], k), dtype=np.intp)
    for start in range(0, queries.shape[0], _QUERIES_AT_ONCE):
        part = slice(start, start + _QUERIES_AT_ONCE)
        similarity = (queries[part] @ columns).toarray()
        index[part] = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        near[part] = np.take_along_axis(similarity, index[part], axis=1)
    return near, index
