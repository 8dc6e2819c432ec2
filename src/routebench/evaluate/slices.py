"""Where a strategy loses most: its slices, with intervals that allow for having looked at all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from routebench.evaluate.choices import BoolArray, FloatArray, Groups
from routebench.evaluate.estimates import ALPHA
from routebench.evaluate.paired import MIN_CASES, paired


@dataclass(frozen=True, slots=True)
class Slice:
    """One part of the cases, and how a strategy does on it against another.

    Attributes:
        name: such as `category=law`.
        n: its cases.
        delta: mean difference on them.
        ci95: simultaneous over all slices that were looked at; None where too few of its pairs differ.
        method: of the interval.
        n_slices: slices that were looked at.
        n_too_small: slices with fewer than MIN_CASES cases, which were not.
    """

    name: str
    n: int
    delta: float
    ci95: tuple[float, float] | None
    method: str
    n_slices: int
    n_too_small: int


def rank_slices(
    first: FloatArray,
    second: FloatArray,
    slices: Mapping[str, BoolArray],
    groups: Groups,
    weight: FloatArray,
    *,
    min_cases: int = MIN_CASES,
) -> tuple[Slice, ...]:
    """Returns the slices that are large enough to judge, the one with the lowest mean difference first.

    The intervals are at Sidak's level over the slices: most of them are disjoint, so that little is given away.

    Args:
        first: per-case scores, shape (n,).
        second: of the other strategy, shape (n,).
        slices: name -> which cases are in, shape (n,).
        groups: cluster of each case, shape (n,).
        weight: of each case, shape (n,).
        min_cases: a slice with fewer is too small to judge.
    """
    gaps = first - second
    known = ~np.isnan(gaps)
    large = {name: mask & known for name, mask in slices.items() if (mask & known).sum() >= min_cases}
    alpha = 1 - (1 - ALPHA) ** (1 / max(1, len(large)))
    found = []
    for name, mask in large.items():
        one = paired(first[mask], second[mask], groups[mask], weight[mask])
        found.append(
            Slice(
                name=name,
                n=int(mask.sum()),
                delta=one.delta,
                ci95=None if one.estimate is None else one.estimate.interval(alpha),
                method=f"{one.method}, Sidak over {len(large)}",
                n_slices=len(large),
                n_too_small=len(slices) - len(large),
            )
        )
    return tuple(sorted(found, key=lambda one: one.delta))
