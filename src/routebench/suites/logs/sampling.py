"""Which of many things stand for all of them: strata by square-root allocation, large ones for certain, and weights.

Power allocation: Bankier, The American Statistician 42 (1988) 174. A thing that stands for more requests than a draw
would is taken for certain and stands for itself alone: drawn by chance, it would be all or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.intp]
FloatArray = npt.NDArray[np.float64]

_LEAST = 2
"""Draws that every stratum gets where it has them: fewer than two tell nothing of its spread."""


@dataclass(frozen=True, slots=True)
class Draw:
    """What was drawn of one stratum.

    Attributes:
        certain: those that are taken for certain.
        drawn: the others, in the order in which they were drawn; a first part of them is a draw too.
        n_others: how many the others were drawn from.
        wanted: how many of both are wanted in the end.
    """

    certain: IntArray
    drawn: IntArray
    n_others: int
    wanted: int


def allocate(sizes: FloatArray, counts: IntArray, total: int) -> IntArray:
    """Returns how many to draw of each stratum: in proportion to the root of its size, none more than it has.

    Args:
        sizes: requests of each stratum, shape (h,).
        counts: things in each, shape (h,).
        total: draws in all; fewer where there are not so many things.
    """
    total = int(min(total, counts.sum()))
    given = np.minimum(counts, _LEAST) if total >= np.minimum(counts, _LEAST).sum() else np.zeros_like(counts)
    order = np.argsort(-sizes, kind="stable")
    while given.sum() < total:
        room = counts > given
        roots = np.where(room, np.sqrt(sizes), 0.0)
        more = np.minimum(np.floor((total - given.sum()) * roots / roots.sum()).astype(np.intp), counts - given)
        if not more.any():
            # What is left after rounding goes to the largest.
            more = np.zeros_like(counts)
            more[[place for place in order if room[place]][: total - int(given.sum())]] = 1
        given = given + more
    return given


def draw(requests: FloatArray, wanted: int, spare: int, rng: np.random.Generator) -> Draw:
    """Draws from one stratum.

    Args:
        requests: that each of its things stands for, shape (n,).
        wanted: how many to draw.
        spare: how many more of those drawn by chance, for others that turn out to be the same.
        rng: the generator.
    """
    certain = np.zeros(len(requests), dtype=bool)
    while wanted > certain.sum():
        rest = requests[~certain].sum()
        more = ~certain & (requests * (wanted - certain.sum()) > rest)
        if not more.any() or certain.sum() + more.sum() > wanted:
            break
        certain |= more
    others = np.flatnonzero(~certain)
    n_drawn = min(len(others), max(0, wanted - int(certain.sum())) + spare)
    return Draw(np.flatnonzero(certain), rng.permutation(others)[:n_drawn], len(others), wanted)


def classes(values: FloatArray, n_classes: int) -> tuple[IntArray, list[str]]:
    """Returns the class of each value by quantiles of the known ones, and the classes' names; unknown is one more.

    Args:
        values: NaN while unknown, shape (n,).
        n_classes: 1, 2 or 3.
    """
    names: Sequence[str] = {1: ("any",), 2: ("low", "high"), 3: ("low", "middle", "high")}[n_classes]
    known = ~np.isnan(values)
    at = np.full(len(values), len(names), dtype=np.intp)
    if known.any():
        cuts = np.quantile(values[known], [place / n_classes for place in range(1, n_classes)])
        at[known] = np.searchsorted(cuts, values[known], side="left")
    return at, [*names, "unknown"]


def effective(weight: FloatArray) -> float:
    """Returns how many equally weighted draws are worth as much (Kish)."""
    return float(weight.sum() ** 2 / (weight**2).sum())
