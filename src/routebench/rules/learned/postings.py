"""Sparse rows, kept by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """Sparse rows by column, so that a product with a sparse vector reads only that vector's columns.

    Attributes:
        starts: place in the others at which each column begins, and the end, shape (columns + 1,).
        rows: the rows that are not zero in a column.
        values: what they are there.
        n: the number of rows.
    """

    starts: list[int]
    rows: npt.NDArray[np.intp]
    values: npt.NDArray[np.float32]
    n: int

    @classmethod
    def of(cls, vectors: npt.NDArray[np.float32]) -> Self:
        """Returns the rows of a dense array, shape (n, columns)."""
        import numpy as np

        columns, rows = np.nonzero(vectors.T)
        starts = np.searchsorted(columns, np.arange(vectors.shape[1] + 1)).tolist()
        return cls(starts, rows, vectors[rows, columns], len(vectors))

    def products(self, columns: Sequence[int], values: Sequence[float]) -> npt.NDArray[np.float64]:
        """Returns the product of every row with a sparse vector, shape (n,); added up in the order of the columns."""
        import numpy as np

        if not columns:
            return np.zeros(self.n)
        # One after the other, not by a library for matrices, which adds up differently from machine to machine.
        ordered = sorted(zip(columns, values, strict=True))
        parts = [(slice(self.starts[column], self.starts[column + 1]), value) for column, value in ordered]
        rows = np.concatenate([self.rows[part] for part, _ in parts])
        added = np.concatenate([self.values[part] * value for part, value in parts])
        return np.bincount(rows, weights=added, minlength=self.n).astype(np.float64, copy=False)
