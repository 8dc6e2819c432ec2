"""Words, pairs of words and short runs of characters of texts, counted over bytes: one pass over all texts at once."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.evaluate.cases import rows_of
from routebench.evaluate.choices import IntArray
from routebench.strategies.prompts import texts
from routebench.types import Request

_Hashes = npt.NDArray[np.uint64]

_COLUMNS = 2**18
"""So many that two words of a suite seldom share one."""
_RUNS = (3, 4)
_BASE = np.uint64(0x100000001B3)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_IN_WORDS = np.zeros(256, dtype=bool)
_IN_WORDS[[*(string.ascii_letters + string.digits + "_").encode(), *range(128, 256)]] = True


def grams(requests: Sequence[Request]) -> tuple[Any, Any]:
    """Returns how often words and their pairs, and runs of three and four bytes, stand in each last user message.

    Two sparse arrays of shape (n, 2**18), hashed; case and the width of white space do not count.
    """
    both = rows_of(requests, "grams", _counted)
    return both[:, :_COLUMNS], both[:, _COLUMNS:]


def _counted(requests: Sequence[Request]) -> Any:
    import scipy.sparse

    # A space at both ends, so that the first and the last word look like all others.
    data = [f" {' '.join(text.lower().split())} ".encode("utf-8", "replace") for text in texts(requests)]
    ends = np.cumsum([len(one) for one in data], dtype=np.intp)
    flat = np.frombuffer(b"".join(data), dtype=np.uint8)
    row = np.repeat(np.arange(len(data)), np.diff(ends, prepend=0))
    words = _counts(*_words_and_pairs(flat, row), len(data))
    return scipy.sparse.hstack([words, _counts(*_runs(flat, row), len(data))], format="csr")


def _words_and_pairs(flat: npt.NDArray[np.uint8], row: IntArray) -> tuple[_Hashes, IntArray]:
    held = _IN_WORDS[flat]
    starts = np.flatnonzero(held & ~np.concatenate([[False], held[:-1]]))
    if not len(starts):
        return np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.intp)
    # A polynomial over the bytes of each word; the spaces between count nothing.
    before = np.concatenate([[0], starts])
    place = np.arange(len(flat)) - np.repeat(before, np.diff(before, append=len(flat)))
    powers = _BASE ** np.arange(int(place.max()) + 1, dtype=np.uint64)
    values = np.where(held, (flat.astype(np.uint64) + np.uint64(1)) * powers[place], np.uint64(0))
    words = np.add.reduceat(values, starts)
    of = row[starts]
    follows = np.flatnonzero(of[1:] == of[:-1])
    pairs = words[follows] * _SPREAD + words[follows + 1]
    return np.concatenate([words, pairs]), np.concatenate([of, of[follows]])


def _runs(flat: npt.NDArray[np.uint8], row: IntArray) -> tuple[_Hashes, IntArray]:
    hashes, rows = [], []
    for length in _RUNS:
        n = max(0, len(flat) - length + 1)
        whole = row[:n] == row[length - 1 : length - 1 + n]
        value = np.zeros(n, dtype=np.uint64)
        for place in range(length):
            value = value * _BASE + flat[place : place + n]
        hashes.append(value[whole] + np.uint64(length))
        rows.append(row[:n][whole])
    return np.concatenate(hashes), np.concatenate(rows)


def _counts(hashes: _Hashes, rows: IntArray, n: int) -> Any:
    import scipy.sparse

    columns = ((hashes * _SPREAD) >> np.uint64(46)).astype(np.int32)
    ones = np.ones(len(columns), dtype=np.float32)
    counts = scipy.sparse.coo_array((ones, (rows, columns)), shape=(n, _COLUMNS)).tocsr()
    counts.sum_duplicates()
    return counts
