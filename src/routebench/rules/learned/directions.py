"""Dense rows of length 1, and the exact search for those that point where a query points."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, NamedTuple

from routebench.rules.learned.growing import Growing
from routebench.rules.learned.nearest import most_similar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_LARGE = 4096
"""Fewer rows are looked at one by one."""
_SAMPLE = 8192
_HEAD = 192
"""Numbers of a turned row that are looked at first."""
_MANY = 16
"""More rows than one in so many are faster looked at all in order than picked out."""
_MARGIN = 1e-5
"""More than what 32-bit floats lose in a product."""
_LOST = 1e-6
"""More than what they lose in a squared length."""


class _Turned(NamedTuple):
    """The rows turned so that their first numbers hold the most, and kept number by number.

    Attributes:
        axes: a column each, those that hold the most first, shape (dim, dim).
        numbers: of the turned rows, with room for more, shape (dim, room): products run along them without a gap.
        rests: the length of what each row has behind its head, shape (room,).
    """

    axes: npt.NDArray[np.float32]
    numbers: npt.NDArray[np.float32]
    rests: npt.NDArray[np.float32]


class Directions:
    """Dense rows of length 1 or 0.

    A product is at most that of the heads plus that of the lengths of both rests (Cauchy-Schwarz): most rows are ruled
    out by half of their numbers, and the others are looked at whole, so that what is found is exact. One thread may add
    while others look up among rows that were there before.

    Args:
        rows: to begin with, shape (n, dim).
    """

    is_scattered = False
    """Rows that were added are as good as those of the beginning."""

    def __init__(self, rows: npt.NDArray[np.float32]) -> None:
        self.width = rows.shape[1]
        self._rows = Growing(rows)
        self._turned: _Turned | None = None
        self._turn()

    def add(self, row: npt.NDArray[np.float32]) -> None:
        """Adds a row."""
        self._rows.add(row)
        n, turned = len(self._rows), self._turned
        if turned is None or n > turned.numbers.shape[1]:
            self._turn()
            return
        turned.numbers[:, n - 1] = row @ turned.axes
        turned.rests[n - 1] = _rest(turned.numbers[:, n - 1 : n])[0]

    def copy(self) -> Directions:
        """Returns an index of the same rows."""
        other, turned, n = copy(self), self._turned, len(self._rows)
        other._rows = Growing(self._rows.upto(n))  # noqa: SLF001 - a copy of ourselves
        other._turned = None if turned is None else _with_room(turned, n)  # noqa: SLF001
        return other

    def nearest(
        self, query: npt.NDArray[np.float32], k: int, first: int, end: int
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
        """Returns the most similar rows of [first, end), and how similar they are; see `most_similar`."""
        rows, turned = self._rows.upto(end)[first:], self._turned
        if turned is None:
            places, near = most_similar(rows @ query, k)
        else:
            places, near = self._among(query, min(k, len(rows)), rows, turned, slice(first, end))
        return places + first, near

    def rows(self, first: int, end: int) -> npt.NDArray[np.float32]:
        """Returns the rows of [first, end)."""
        return self._rows.upto(end)[first:].copy()

    @staticmethod
    def _among(
        query: npt.NDArray[np.float32], k: int, rows: npt.NDArray[np.float32], turned: _Turned, part: slice
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
        import numpy as np

        asked = query @ turned.axes
        heads = asked[:_HEAD] @ turned.numbers[:_HEAD, part]
        # As similar as the k-th of some rows is the k-th of all at least.
        some = np.flatnonzero(heads >= np.partition(heads, len(heads) - k)[len(heads) - k])
        floor = float(np.partition(rows[some] @ query, len(some) - k)[len(some) - k]) - _MARGIN
        kept = np.flatnonzero(turned.rests[part] * _rest(asked[:, None])[0] + heads >= floor - _MARGIN)
        # Those below 0 count as 0, all alike.
        if floor <= 0 or len(kept) * _MANY > len(rows):
            return most_similar(heads + asked[_HEAD:] @ turned.numbers[_HEAD:, part], k)
        places, near = most_similar(rows[kept] @ query, k)
        return kept[places], near

    def _turn(self) -> None:
        """Turns all rows, with room for as many again."""
        import numpy as np

        n = len(self._rows)
        if n < _LARGE or self.width <= _HEAD:
            return
        rows = self._rows.upto(n)
        sample = rows[:: max(1, n // _SAMPLE)].astype(np.float64)
        _, found = np.linalg.eigh(sample.T @ sample)
        axes = np.ascontiguousarray(found[:, ::-1], dtype=np.float32)
        room = n if self._turned is None else 2 * n
        numbers, rests = np.empty((self.width, room), np.float32), np.empty(room, np.float32)
        np.matmul(axes.T, rows.T, out=numbers[:, :n])
        rests[:n] = _rest(numbers[:, :n])
        self._turned = _Turned(axes, numbers, rests)


def _with_room(turned: _Turned, n: int) -> _Turned:
    """The first n rows, with room for some more."""
    import numpy as np

    numbers = np.empty((len(turned.numbers), n + n // 4), np.float32)
    numbers[:, :n] = turned.numbers[:, :n]
    rests = np.empty(n + n // 4, np.float32)
    rests[:n] = turned.rests[:n]
    return _Turned(turned.axes, numbers, rests)


def _rest(numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The lengths of what turned rows, shape (dim, n), have behind their heads; rather too long than too short."""
    import numpy as np

    lengths: npt.NDArray[np.float32] = np.sqrt(np.square(numbers[_HEAD:]).sum(axis=0) + np.float32(_LOST))
    return lengths
