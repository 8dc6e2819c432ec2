"""Which conversations are drawn, and how many requests each of them stands for.

Three draws, each by chances in proportion to what a thing stands for: more conversations than wanted, so that those
that say nearly the same can be merged; as many of the merged families as are wanted; one conversation of each family.
So means are unbiased whatever is taken for the same, also where it is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from routebench.suites.logs.sampling import FloatArray, IntArray, allocate, chances, draw
from routebench.suites.logs.seen import Seen
from routebench.suites.logs.similar import same_texts
from routebench.suites.logs.strata import Strata, stratify

_POOL = 3
"""Conversations that are looked at for each that is wanted."""
_LEAST_SHARE = 0.1
"""Conversations drawn for each case wanted, at the least: where a few fill the log, its other ones are drawn too."""


@dataclass(frozen=True)
class Pool:
    """What was drawn of every stratum, before it was seen which of it says nearly the same.

    Attributes:
        names: task, length and cost of each stratum.
        sizes: requests of each, shape (h,).
        wanted: conversations that are wanted of each, shape (h,).
        weight: requests that each drawn conversation stands for if all stay.
        stratum: of each drawn conversation.
    """

    names: Sequence[tuple[str, str, str]]
    sizes: FloatArray
    wanted: IntArray
    weight: Mapping[int, float]
    stratum: Mapping[int, int]

    @property
    def conversations(self) -> list[int]:
        """All that were drawn."""
        return sorted(self.weight)

    def merge(self, texts: Mapping[int, str], rng: np.random.Generator) -> Merged:
        """Draws as many as are wanted of each stratum, at most one of those that say nearly the same.

        Args:
            texts: what was asked in each conversation.
            rng: the generator.
        """
        numbers = self.conversations
        first = same_texts([texts[number] for number in numbers])
        family = {number: int(place) for number, place in zip(numbers, first, strict=True)}
        inside: list[dict[int, list[int]]] = [{} for _ in self.names]
        for number in numbers:
            inside[self.stratum[number]].setdefault(family[number], []).append(number)
        weight: dict[int, float] = {}
        for families, wanted in zip(inside, self.wanted.tolist(), strict=True):
            members = list(families.values())
            sizes = [np.array([self.weight[number] for number in own]) for own in members]
            drawn = draw(np.array([own.sum() for own in sizes]), wanted, rng)
            for place, stands_for in zip(drawn.places.tolist(), drawn.weight.tolist(), strict=True):
                chosen = draw(sizes[place], 1, rng).places[0]
                weight[members[place][chosen]] = stands_for
        n_similar = len(numbers) - sum(map(len, inside))
        return Merged(weight, {number: family[number] for number in weight}, n_similar)


@dataclass(frozen=True)
class Merged:
    """The conversations that stay.

    Attributes:
        weight: conversation -> requests that it stands for; of a stratum they add up to all of its requests.
        family: conversation -> number that those share, also of different strata, that say nearly the same.
        n_similar: drawn conversations that were merged into another.
    """

    weight: Mapping[int, float]
    family: Mapping[int, int]
    n_similar: int


def pick(seen: Seen, n: int, rng: np.random.Generator) -> Pool:
    """Draws about three times as many conversations as make n requests, each for all that repeat it."""
    order = rng.permutation(len(seen.text))
    _, first, repeated = np.unique(seen.text[order], return_index=True, return_inverse=True)
    shown = order[first]
    requests: FloatArray = np.bincount(repeated, weights=seen.requests[order]).astype(np.float64)
    own = seen.requests[shown].astype(np.float64)
    del order, first, repeated
    # A draw by size finds long conversations more often: so many requests has one on average.
    about = max(1, round(n * requests.sum() / float((requests * own).sum())))
    strata = stratify(seen.task[shown], seen.tokens[shown].astype(np.float64), seen.cost_usd[shown], requests, about)
    inside = strata.inside()
    wanted = _draws(strata, [requests[places] for places in inside], [own[places] for places in inside], n)
    weight: dict[int, float] = {}
    stratum: dict[int, int] = {}
    for number, (places, count) in enumerate(zip(inside, wanted.tolist(), strict=True)):
        drawn = draw(requests[places], _POOL * count, rng)
        conversations = shown[places[drawn.places]].tolist()
        weight |= dict(zip(conversations, drawn.weight.tolist(), strict=True))
        stratum |= dict.fromkeys(conversations, number)
    return Pool(strata.names, strata.sizes, wanted, weight, stratum)


def _draws(strata: Strata, requests: Sequence[FloatArray], own: Sequence[FloatArray], n: int) -> IntArray:
    """Returns how many conversations to draw of each stratum, so that n requests are to be expected."""
    low, high = max(1, round(_LEAST_SHARE * n)), n
    while low < high:
        middle = (low + high + 1) // 2
        given = allocate(strata.sizes, strata.counts, strata.tasks, middle)
        expected = sum(
            float((chances(sizes, count) * turns).sum())
            for sizes, turns, count in zip(requests, own, given.tolist(), strict=True)
        )
        low, high = (middle, high) if expected <= n else (low, middle - 1)
    return allocate(strata.sizes, strata.counts, strata.tasks, low)
