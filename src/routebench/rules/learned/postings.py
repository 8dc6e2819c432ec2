"""Sparse rows, kept by column: what a few words bring up is found without looking at the rest."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING

from routebench.rules.learned.growing import Growing
from routebench.rules.learned.head import SparseRows
from routebench.rules.learned.nearest import most_similar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_OFTEN = 8
"""A column that more than one in so many rows has is kept as a whole: adding it up in order is faster then."""
_LARGE = 4096
_SHORT = 512
"""Columns that fewer rows have are looked up together."""
_FRESH = 4
"""Rows that were added are sorted in when they are more than one in so many."""


SparseRow = tuple[Sequence[int], Sequence[float]]
"""The columns of a row that are not zero, in any order, and their values."""


class Postings:
    """Sparse rows by column, so that a product with a sparse vector reads only that vector's columns.

    One thread may add while others look up among rows that were there before.

    Args:
        rows: to begin with.
        width: the number of columns.
    """

    def __init__(self, rows: SparseRows, width: int) -> None:
        self.width = width
        self._n = len(rows.starts) - 1
        self._sorted = _Sorted(rows, width)
        self._fresh: dict[int, tuple[Growing, Growing]] = {}
        self._n_fresh = 0

    @classmethod
    def of(cls, vectors: npt.NDArray[np.floating]) -> Postings:
        """Returns the rows of a dense array, shape (n, columns)."""
        return cls(sparse(vectors), vectors.shape[1])

    def add(self, row: SparseRow) -> None:
        """Adds a row."""
        import numpy as np

        for column, value in zip(*row, strict=True):
            found = self._fresh.get(column)
            if found is None:
                found = (Growing(np.empty(0, np.intp)), Growing(np.empty(0, np.float32)))
                self._fresh[column] = found
            # The value first: who reads goes by the number of rows.
            found[1].add(value)
            found[0].add(self._n)
        self._n += 1
        self._n_fresh += 1

    def copy(self) -> Postings:
        """Returns an index of the same rows; what is sorted is shared, since it never changes."""
        other = copy(self)
        other._fresh = {  # noqa: SLF001 - a copy of ourselves
            column: (Growing(rows.upto(len(rows))), Growing(values.upto(len(rows))))
            for column, (rows, values) in self._fresh.items()
        }
        return other

    @property
    def is_scattered(self) -> bool:
        """Whether so much was added that it is time to sort it in, by `Postings(postings.rows(...), width)`."""
        return self._n_fresh * _FRESH > max(self._n, _LARGE)

    def nearest(
        self, query: SparseRow, k: int, first: int, end: int
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
        """Returns the most similar rows of [first, end), and how similar they are; see `most_similar`.

        Args:
            query: of length 1, or all zeros.
            k: neighbours.
            first: of the rows that count.
            end: of the rows that count.
        """
        places, near = most_similar(self.products(*query, end)[first:], k)
        return places + first, near

    def products(self, columns: Sequence[int], values: Sequence[float], end: int) -> npt.NDArray[np.floating]:
        """Returns the product of the first rows with a sparse vector, shape (end,); the same on every machine."""
        import numpy as np

        # One after the other, not by a library for matrices, which adds up differently from machine to machine.
        ordered = sorted(zip(columns, values, strict=True))
        rows: list[npt.NDArray[np.intp]] = []
        added: list[npt.NDArray[np.float32]] = []
        whole = self._sorted.gather(ordered, rows, added)
        for column, value in ordered if self._fresh else ():
            found = self._fresh.get(column)
            if found is not None:
                n = len(found[0])
                rows.append(found[0].upto(n))
                added.append(found[1].upto(n) * np.float32(value))
        total = np.zeros(end)
        if rows:
            total += np.bincount(np.concatenate(rows), np.concatenate(added), minlength=end)[:end]
        if whole is not None:
            held = min(end, len(whole))
            total[:held] += whole[:held]
        return total

    def rows(self, first: int, end: int) -> SparseRows:
        """Returns the rows of [first, end)."""
        import numpy as np

        row, column, value = self._sorted.entries()
        for one, (rows, values) in self._fresh.items():
            n = len(rows)
            row, column = np.append(row, rows.upto(n)), np.append(column, np.full(n, one, np.intp))
            value = np.append(value, values.upto(n))
        kept = (row >= first) & (row < end)
        row, column, value = row[kept] - first, column[kept], value[kept]
        order = np.lexsort((column, row))
        starts = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=end - first))])
        return SparseRows(starts, column[order], value[order].astype(np.float64))


class _Sorted:
    """The rows that were there at the beginning."""

    def __init__(self, rows: SparseRows, width: int) -> None:
        import numpy as np

        n = len(rows.starts) - 1
        order = np.argsort(rows.columns, kind="stable")
        self._rows = np.repeat(np.arange(n, dtype=np.intp), np.diff(rows.starts))[order]
        self._values = rows.values[order].astype(np.float32, copy=False)
        counts = np.bincount(rows.columns, minlength=width)
        self._starts: list[int] = [0, *np.cumsum(counts).tolist()]
        self._often: dict[int, npt.NDArray[np.float32]] = {}
        self._n = n
        for column in np.flatnonzero(counts * _OFTEN > n).tolist() if n >= _LARGE else ():
            whole = np.zeros(n, np.float32)
            part = slice(self._starts[column], self._starts[column + 1])
            whole[self._rows[part]] = self._values[part]
            self._often[column] = whole

    def gather(
        self,
        query: Sequence[tuple[int, float]],
        rows: list[npt.NDArray[np.intp]],
        added: list[npt.NDArray[np.float32]],
    ) -> npt.NDArray[np.float32] | None:
        """Appends what rows of rare columns get, and returns what all rows get of those that are often there."""
        import numpy as np

        total: npt.NDArray[np.float32] | None = None
        short: list[tuple[int, int, float]] = []
        for column, value in query:
            whole = self._often.get(column)
            if whole is not None:
                if total is None:
                    total, part = np.zeros(self._n, np.float32), np.empty(self._n, np.float32)
                np.multiply(whole, np.float32(value), out=part)
                np.add(total, part, out=total)
                continue
            start, end = self._starts[column], self._starts[column + 1]
            if end - start < _SHORT:
                short.append((start, end - start, value))
            else:
                rows.append(self._rows[start:end])
                added.append(self._values[start:end] * np.float32(value))
        if short:
            # A long prompt has hundreds of words that are rare: one look for all of them.
            starts, lengths, values = (np.array(one) for one in zip(*short, strict=True))
            ends = np.cumsum(lengths)
            places = np.arange(ends[-1]) + np.repeat(starts - ends + lengths, lengths)
            rows.append(self._rows[places])
            added.append(self._values[places] * np.repeat(values.astype(np.float32), lengths))
        return total

    def entries(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float32]]:
        """Returns (row, column, value) of everything that is not zero."""
        import numpy as np

        columns = np.repeat(np.arange(len(self._starts) - 1, dtype=np.intp), np.diff(self._starts))
        return self._rows, columns, self._values


def sparse(vectors: npt.NDArray[np.floating]) -> SparseRows:
    """Returns the rows of a dense array, shape (n, columns)."""
    import numpy as np

    rows, columns = np.nonzero(vectors)
    starts = np.searchsorted(rows, np.arange(len(vectors) + 1))
    return SparseRows(starts, columns, vectors[rows, columns].astype(np.float64))
