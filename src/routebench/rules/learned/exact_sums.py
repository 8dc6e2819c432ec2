"""Sums of many rows at once, each rounded once, as `math.fsum` does: equal to the last bit whatever the machine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_BITS = 53
"""Of a float's digits."""
_DOUBT = 2.0**-20
"""Nearer than this to the middle between two floats, as a share of their distance, a row is added up by `fsum`."""
_CANCELLED = 2.0**-40
"""Sums smaller than this, as a share of the largest term, are too."""
_TINY = 2.0**-900
"""Rows of numbers this small, or this large above one, are too: their last digits would be lost."""


def row_sums(terms: Floats, starts: npt.NDArray[np.intp]) -> Floats:
    """Returns the correctly rounded sum of every row of terms in every column, shape (n, m).

    Every term is cut into a leading and a middle part on grids so coarse that the sums of the parts are exact in any
    order, and a rest so small that the error of its sum only matters for rows in doubt. Source: Rump, Ogita and Oishi,
    Accurate floating-point summation, part I, 2008.

    Args:
        terms: finite, the rows one after the other, shape (k, m).
        starts: where each row begins, and the end, shape (n + 1,); no row is empty.
    """
    import numpy as np

    if len(starts) < 2:
        return np.zeros((0, terms.shape[1]))
    largest = float(np.abs(terms).max(initial=0.0))
    if not largest:
        return np.zeros((len(starts) - 1, terms.shape[1]))
    every = np.ones((len(starts) - 1, terms.shape[1]), dtype=bool)
    if not _TINY < largest < 1 / _TINY:
        return _one_by_one(terms, starts, np.zeros(every.shape), every)
    longest = int(np.diff(starts).max())
    room = math.frexp(largest)[1] + math.frexp(longest)[1] + 1
    coarse = math.ldexp(1.0, room)
    leading = (terms + coarse) - coarse
    rest = terms - leading
    fine = math.ldexp(coarse, math.frexp(longest)[1] + 1 - _BITS)
    middle = (rest + fine) - fine
    rest -= middle
    first, second, third = (np.add.reduceat(part, starts[:-1], axis=0) for part in (leading, middle, rest))
    total = first + second
    # What that addition rounded away, exactly.
    back = total - first
    error = (first - (total - back)) + (second - back) + third
    found: Floats = total + error
    # The middle between neighbours is at half their distance, or at a quarter where it changes, at a power of two.
    with np.errstate(over="ignore", invalid="ignore"):  # totals near 0, which are in doubt below
        quarters = 4 * np.abs(error) / np.spacing(np.abs(total))
        nearest = np.rint(quarters)
        doubtful = (nearest != 0) & (np.abs(quarters - nearest) <= 4 * _DOUBT)
    # What is left of numbers that cancel is below the grids, unless all of them are 0.
    doubtful |= (np.abs(total) <= _CANCELLED * largest) & (np.maximum.reduceat(np.abs(terms), starts[:-1], axis=0) > 0)
    return _one_by_one(terms, starts, found, doubtful)


def _one_by_one(terms: Floats, starts: npt.NDArray[np.intp], found: Floats, which: npt.NDArray[np.bool_]) -> Floats:
    import numpy as np

    for row, column in zip(*np.nonzero(which), strict=True):
        found[row, column] = math.fsum(terms[starts[row] : starts[row + 1], column].tolist())
    return found
