"""Which conversations are drawn, and how many requests each of them stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from routebench.suites.logs.sampling import Draw, FloatArray, allocate, classes, draw
from routebench.suites.logs.seen import Seen
from routebench.suites.logs.similar import same_texts
from routebench.suites.logs.tasks import TASKS

_SPARE = 2
"""So many more than wanted are drawn for each that may turn out to be the same as another."""


@dataclass(frozen=True)
class Picked:
    """What was drawn of every stratum, before it was seen which of it says nearly the same.

    Attributes:
        names: task, length and cost of each stratum.
        sizes: requests of each.
        draws: of each, by conversation.
        weight: requests that each drawn conversation stands for if all drawn ones stay.
        stratum: of each drawn conversation.
    """

    names: Sequence[tuple[str, str, str]]
    sizes: FloatArray
    draws: Sequence[Draw]
    weight: Mapping[int, float]
    stratum: Mapping[int, int]

    @property
    def conversations(self) -> list[int]:
        """All that were drawn."""
        return sorted(self.weight)

    def merge(self, texts: Mapping[int, str]) -> Merged:
        """Keeps as many of each stratum as are wanted, those that say nearly the same as one, and weighs them."""
        weight: dict[int, float] = {}
        n_similar = 0
        for size, one in zip(self.sizes, self.draws, strict=True):
            drawn = [*one.certain.tolist(), *one.drawn.tolist()]
            first = same_texts([texts[number] for number in drawn])
            families: dict[int, list[int]] = {}
            for place, number in enumerate(drawn):
                families.setdefault(int(first[place]), []).append(number)
            n_similar += len(drawn) - len(families)
            n_certain = sum(place < len(one.certain) for place in families)
            # The rest is in the order of the draw, so its first part is a draw as well.
            room = max(one.wanted - n_certain, 0)
            chance = [place for place in families if place >= len(one.certain)]
            scale = len(chance) / room if room and len(chance) > room else 1.0
            kept = [place for place in families if place < len(one.certain)] + chance[:room]
            own = {
                drawn[place]: sum(self.weight[number] for number in families[place])
                * (scale if place >= len(one.certain) else 1.0)
                for place in kept
            }
            total = sum(own.values())
            weight |= {number: value * float(size) / total for number, value in own.items()}
        return Merged(weight, n_similar)


@dataclass(frozen=True)
class Merged:
    """The conversations that stay.

    Attributes:
        weight: conversation -> requests that it stands for; of a stratum they add up to all of its requests.
        n_similar: drawn conversations that say nearly the same as another.
    """

    weight: Mapping[int, float]
    n_similar: int


def pick(seen: Seen, n: int, rng: np.random.Generator) -> Picked:
    """Draws about n requests, as whole conversations, each for all that repeat it."""
    order = rng.permutation(len(seen.text))
    _, first, family = np.unique(seen.text[order], return_index=True, return_inverse=True)
    shown = order[first]
    requests = np.bincount(family, weights=seen.requests[order]).astype(float)
    # Of about so many conversations, n requests.
    wanted = max(1, round(n / float(seen.requests[shown].mean())))
    n_classes = 3 if wanted >= 300 else 2 if wanted >= 100 else 1
    length, length_names = classes(np.asarray(seen.tokens[shown], dtype=float), n_classes)
    cost, cost_names = classes(np.asarray(seen.cost_usd[shown], dtype=float), n_classes)
    task = seen.task[shown]
    labels, stratum = np.unique(np.stack([task, length, cost], axis=1), axis=0, return_inverse=True)
    stratum = stratum.reshape(-1)
    sizes = np.bincount(stratum, weights=requests).astype(float)
    counts = np.bincount(stratum)
    given = allocate(sizes, counts, wanted)
    draws: list[Draw] = []
    weight: dict[int, float] = {}
    of: dict[int, int] = {}
    for place, count in enumerate(given):
        inside = np.flatnonzero(stratum == place)
        one = draw(requests[inside], int(count), _SPARE * int(count), rng)
        certain, drawn = shown[inside[one.certain]], shown[inside[one.drawn]]
        each = one.n_others / max(len(one.drawn), 1)
        weight |= dict(zip(certain.tolist(), requests[inside[one.certain]].tolist(), strict=True))
        weight |= dict(zip(drawn.tolist(), (requests[inside[one.drawn]] * each).tolist(), strict=True))
        of |= dict.fromkeys([*certain.tolist(), *drawn.tolist()], place)
        draws.append(Draw(certain, drawn, one.n_others, one.wanted))
    names = [(TASKS[one], length_names[two], cost_names[three]) for one, two, three in labels.tolist()]
    return Picked(names, sizes, draws, weight, of)
