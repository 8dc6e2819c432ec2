"""Whether prompts tell models apart at all: the same levels on outcomes that were laid beside other prompts.

A bootstrap or a split of the training half asks how far a gain would vary, and with a hundred choices behind it a gain
of pure chance varies little around a value above zero. Shuffling asks the question itself. Under it every outcome
belongs to some other prompt, so whatever is explained of it is explained by chance and by choosing; the true outcomes
count only where more of them is explained than of nearly all of those. The level of this test is exact, however much
was chosen (Phipson and Smyth 2010; stopped early as in Besag and Clifford 1991).

What is compared is the explained share of the contrasts, and not what routing gains: a gain hangs on the few prompts at
which a choice turns, and finds a true signal far less often.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from routebench.evaluate.cases import StrArray
from routebench.evaluate.choices import IntArray

_SHUFFLES = 99
_ALLOWED = 4
"""Shuffles of which as much may be explained: of 99 four, which makes the level 5 in 100."""


@dataclass(frozen=True, slots=True)
class Chance:
    """How often as much of shuffled outcomes is explained as of the true ones.

    Attributes:
        as_much: shuffles of which at least as much is explained.
        shuffles: how many were tried.
    """

    as_much: int
    shuffles: int

    @property
    def p_value(self) -> float:
        """The probability of so much where prompts say nothing about models."""
        return (1 + self.as_much) / (1 + self.shuffles)

    @property
    def enough(self) -> bool:
        """Whether the evidence is beyond chance."""
        return self.as_much <= _ALLOWED and self.shuffles == _SHUFFLES


def by_chance(told: Callable[[IntArray], float], keys: StrArray, seed: int = 0) -> Chance:
    """Shuffles outcomes among prompts, until there are enough or too many of which as much is explained.

    Args:
        told: takes an order in which outcomes are laid beside the prompts, and returns how much of them is explained.
        keys: of the groups that belong together, shape (n,).
        seed: of the shuffles.
    """
    true = told(np.arange(len(keys)))
    if true <= 0:
        return Chance(1, 1)
    draw = np.random.default_rng(seed)
    as_much = tried = 0
    while tried < _SHUFFLES and as_much <= _ALLOWED:
        tried += 1
        as_much += told(shuffle(keys, draw)) >= true
    return Chance(as_much, tried)


def shuffle(keys: StrArray, draw: np.random.Generator) -> IntArray:
    """Returns an order in which groups are shuffled as wholes, shape (n,).

    Groups change places with groups of their own size where there are such; the others are laid end to end in a
    shuffled order, so that what belongs together still lies together.
    """
    _, member, counts = np.unique(keys, return_inverse=True, return_counts=True)
    places = np.split(np.argsort(member, kind="stable"), np.cumsum(counts)[:-1])
    order = np.empty(len(keys), dtype=np.intp)
    alone: list[IntArray] = []
    for size in np.unique(counts):
        alike = [places[group] for group in np.flatnonzero(counts == size)]
        if len(alike) == 1:
            alone += alike
            continue
        for to, group in zip(alike, draw.permutation(len(alike)), strict=True):
            order[to] = alike[group]
    if alone:
        shuffled = [alone[group] for group in draw.permutation(len(alone))]
        order[np.concatenate(alone)] = np.concatenate(shuffled)
    return order
