"""An array that grows by a row at a time, while others read what it held before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt


class Growing:
    """Rows in one array with room at its end, a quarter more each time.

    Adding one costs the same on average, however many there are.

    Only one thread may add. Others may read up to any length that they were told meanwhile: rows never move.

    Args:
        rows: to begin with; not changed.
    """

    __slots__ = ("_n", "_room")

    def __init__(self, rows: npt.NDArray[Any]) -> None:
        self._room = rows
        self._n = len(rows)

    def __len__(self) -> int:
        return self._n

    def upto(self, n: int) -> npt.NDArray[Any]:
        """Returns the first n rows."""
        return self._room[:n]

    def add(self, row: Any) -> None:
        """Adds a row."""
        import numpy as np

        if self._n == len(self._room):
            room = np.empty((max(8, self._n + self._n // 4), *self._room.shape[1:]), self._room.dtype)
            room[: self._n] = self._room
            self._room = room
        self._room[self._n] = row
        self._n += 1
