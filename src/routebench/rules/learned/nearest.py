"""Which rows are the most similar ones, said alike by every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

DECIMALS = 6
"""Of a similarity: below them is how a machine adds up, and that must not decide which neighbours count."""


def most_similar(similarity: npt.NDArray[Any], k: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Returns the places of the k largest similarities, the largest first, and what they are, between 0 and 1.

    Of equal ones the earlier comes first; those below 0 count as 0.

    Args:
        similarity: cosines, shape (n,), n above 0.
        k: neighbours; all of fewer.
    """
    import numpy as np

    rounded = np.round(similarity, DECIMALS).clip(0, 1)
    k = min(k, len(rounded))
    # All that are as similar as the k-th, in their order, so that ties fall the same way everywhere.
    least = np.partition(rounded, len(rounded) - k)[len(rounded) - k]
    places = np.flatnonzero(rounded >= least)
    places = places[np.argsort(-rounded[places], kind="stable")[:k]]
    return places, rounded[places].astype(np.float64)
