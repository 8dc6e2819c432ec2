"""Strata of a log: by task, length and cost, and no more than there are draws for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from routebench.suites.logs.sampling import LEAST, FloatArray, IntArray
from routebench.suites.logs.tasks import TASKS

ANY = "any"
SEVERAL = "several"
"""Name of what tasks share that are too rare for a stratum of their own."""
_MIXED = -1


@dataclass(frozen=True)
class Strata:
    """Which stratum each of n things belongs to.

    Attributes:
        names: task, length and cost of each stratum.
        tasks: number of each one's task, from 0, shape (h,).
        of: stratum of each thing, shape (n,).
        sizes: requests of each stratum, shape (h,).
        counts: things in each, shape (h,).
    """

    names: Sequence[tuple[str, str, str]]
    tasks: IntArray
    of: IntArray
    sizes: FloatArray
    counts: IntArray

    def inside(self) -> list[IntArray]:
        """Returns the places of the things of each stratum."""
        return np.split(np.argsort(self.of, kind="stable"), np.cumsum(self.counts)[:-1])


def stratify(task: IntArray, tokens: FloatArray, cost_usd: FloatArray, requests: FloatArray, wanted: int) -> Strata:
    """Returns strata for a number of draws.

    Classes of length and cost that stand for less than two average draws are one with the others of their task; tasks
    that are still too many for two draws each are one with the smallest of the others.

    Args:
        task: place in TASKS of each thing, shape (n,).
        tokens: of each, shape (n,).
        cost_usd: of each, NaN while unknown, shape (n,).
        requests: that each stands for, shape (n,).
        wanted: draws in all.
    """
    n_classes = 3 if wanted >= 300 else 2 if wanted >= 100 else 1
    length, lengths = classes(tokens, n_classes)
    cost, costs = classes(cost_usd, n_classes)
    # One number a cell: sorting a million rows of three would take hundreds of megabytes.
    shape = (len(TASKS), len(lengths), len(costs))
    cell = np.ravel_multi_index((task, length, cost), shape)
    there = np.flatnonzero(np.bincount(cell, minlength=int(np.prod(shape))))
    labels = np.stack(np.unravel_index(there, shape), axis=1)
    of = np.searchsorted(there, cell)
    sizes: FloatArray = np.bincount(of, weights=requests).astype(np.float64)
    labels[sizes * wanted < LEAST * sizes.sum(), 1:] = _MIXED
    counts = np.bincount(of)
    while True:
        found, to = np.unique(labels, axis=0, return_inverse=True)
        to = to.reshape(-1)
        summed: FloatArray = np.bincount(to, weights=sizes).astype(np.float64)
        if len(found) == 1 or np.minimum(np.bincount(to, weights=counts), LEAST).sum() <= wanted:
            break
        labels[np.isin(to, np.argsort(summed, kind="stable")[:2])] = _MIXED
    names = [
        (_name(TASKS, one, SEVERAL), _name(lengths, two, ANY), _name(costs, three, ANY))
        for one, two, three in found.tolist()
    ]
    tasks = np.unique(found[:, 0], return_inverse=True)[1].reshape(-1)
    return Strata(names, tasks, to[of], summed, np.bincount(to, weights=counts).astype(np.intp))


def classes(values: FloatArray, n_classes: int) -> tuple[IntArray, list[str]]:
    """Returns the class of each value by quantiles of the known ones, and the classes' names; unknown is one more.

    Args:
        values: NaN while unknown, shape (n,).
        n_classes: 1, 2 or 3.
    """
    names: Sequence[str] = {1: (ANY,), 2: ("low", "high"), 3: ("low", "middle", "high")}[n_classes]
    known = ~np.isnan(values)
    at = np.full(len(values), len(names), dtype=np.intp)
    if known.any():
        cuts = np.quantile(values[known], [place / n_classes for place in range(1, n_classes)])
        at[known] = np.searchsorted(cuts, values[known], side="left")
    return at, [*names, "unknown"]


def _name(names: Sequence[str], place: int, mixed: str) -> str:
    return mixed if place == _MIXED else names[place]
