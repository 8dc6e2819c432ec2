"""Tiers over a score: which models requests go to below and above thresholds, every setting looked at at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from routebench.errors import OutcomesError
from routebench.evaluate.choices import Choices, FloatArray, IntArray
from routebench.evaluate.frontier import Hull, single_models
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.replay import replay

_DECIMALS = 4
"""Of a threshold: people read it."""
_TINY = 1e-12
"""Less utility than this is no reason for a tier more."""


@dataclass(frozen=True, slots=True)
class Tiering:
    """Requests with a score below the first threshold go to the first place, and so on; the last one takes the rest.

    Attributes:
        places: of the models, by growing cost, one more than thresholds.
        below: the thresholds, growing.
    """

    places: tuple[int, ...]
    below: tuple[float, ...] = ()

    def of(self, scores: FloatArray) -> IntArray:
        """Returns the place that each score falls into, shape (n,)."""
        return np.asarray(self.places, dtype=np.intp)[np.searchsorted(self.below, scores, side="right")]


@dataclass(frozen=True, slots=True)
class Ladder:
    """Models by growing cost, each with another to fall back to, and what they brought on the training cases.

    Attributes:
        chains: one a model; the best one follows, and the best one is followed by the next on the hull.
        scores: of every chain on every training case, shape (n, t); NaN where its cells are missing.
        costs_usd: likewise; an unknown cost is the dearest known one.
    """

    chains: tuple[tuple[str, ...], ...]
    scores: FloatArray
    costs_usd: FloatArray

    @classmethod
    def of(cls, outcomes: Outcomes, names: Sequence[str] | None = None) -> Ladder:
        """Returns the ladder of training outcomes.

        Args:
            outcomes: of the training cases.
            names: of its models, by growing cost; those on the hull when left out.

        Raises:
            OutcomesError: no case has the outcomes of all of its models.
        """
        hull = Hull.of(single_models(outcomes)).names
        names = hull if names is None else names
        chains = tuple((name, *[other for other in hull[::-1] if other != name][:1]) for name in names)
        replays = [replay(outcomes, Choices.same(outcomes.models, chain, outcomes.n)) for chain in chains]
        scores = np.column_stack([one.score for one in replays])
        costs = np.column_stack([one.cost_usd for one in replays])
        if np.isnan(scores).any(axis=1).all():
            raise OutcomesError(
                f"suite {outcomes.suite!r}: no training case has a graded outcome of {', '.join(names)}; run or grade "
                "the rest"
            )
        dearest = 0.0 if np.isnan(costs).all() else float(np.nanmax(costs))
        return cls(chains, scores, np.where(np.isnan(costs), dearest, costs))

    @property
    def known(self) -> IntArray:
        """The cases on which every chain is known."""
        return np.flatnonzero(~np.isnan(self.scores).any(axis=1))


def sweep_tiers(
    signal: FloatArray,
    scores: FloatArray,
    costs: FloatArray,
    weight: FloatArray,
    rates: FloatArray,
    *,
    max_tiers: int = 2,
) -> list[Tiering]:
    """Returns for every cost weight the tiers with the best mean score - weight * cost.

    Exact: every threshold that tells two scores apart is looked at, alone and with every other, by sums over the
    requests below it. Of equal ones the fewer tiers, and the lower thresholds.

    Args:
        signal: of each request, shape (n,); infinite where only the last tier is right.
        scores: of every model, by growing cost, shape (n, t), none unknown.
        costs: in US dollars, shape (n, t), none unknown.
        weight: shape (n,).
        rates: the cost weights, shape (r,).
        max_tiers: 1, 2 or 3.
    """
    share = weight / weight.sum()
    order = np.argsort(signal, kind="stable")
    ranked = signal[order]
    below = np.unique(np.round(ranked[np.isfinite(ranked)], _DECIMALS))
    at = np.searchsorted(ranked, below, side="left")
    # A threshold that nothing, or everything, lies below is none.
    told = np.unique(at, return_index=True)[1]
    told = told[(at[told] > 0) & (at[told] < len(ranked))]
    below, at = below[told], at[told]
    zero = np.zeros((1, scores.shape[1]))
    score_sums = np.concatenate([zero, np.cumsum(scores[order] * share[order, None], axis=0)])
    cost_sums = np.concatenate([zero, np.cumsum(costs[order] * share[order, None], axis=0)])
    return [
        _best(score_sums[at] - rate * cost_sums[at], score_sums[-1] - rate * cost_sums[-1], below, max_tiers)
        for rate in rates
    ]


def _best(sums: FloatArray, totals: FloatArray, below: FloatArray, max_tiers: int) -> Tiering:
    """The best tiers by the utility of the requests below each threshold, shape (c, t), and of all, shape (t,)."""
    first = int(np.argmax(totals))
    worth, best = float(totals[first]), Tiering((first,))
    t = len(totals)
    for low in range(t if len(below) and max_tiers > 1 else 0):
        for middle in range(low + 1, t):
            gained = sums[:, low] - sums[:, middle]
            one = int(np.argmax(gained))
            if gained[one] + totals[middle] > worth + _TINY:
                worth = float(gained[one] + totals[middle])
                best = Tiering((low, middle), (float(below[one]),))
            # The best that a first threshold can do below every second one.
            reached = np.maximum.accumulate(gained)
            for high in range(middle + 1, t if max_tiers > 2 else 0):
                both = reached + sums[:, middle] - sums[:, high]
                two = int(np.argmax(both))
                one = int(np.argmax(gained[: two + 1]))
                if one < two and both[two] + totals[high] > worth + _TINY:
                    worth = float(both[two] + totals[high])
                    best = Tiering((low, middle, high), (float(below[one]), float(below[two])))
    return best


def chain_choices(models: Sequence[str], chains: Sequence[tuple[str, ...]], places: IntArray, label: str) -> Choices:
    """Returns choices for n requests by the place of each one's chain; -1 where nothing is known of a request."""
    width = max(map(len, chains))
    table = np.full((len(chains) + 1, width), -1, dtype=np.intp)
    for row, chain in enumerate(chains):
        table[row, : len(chain)] = [models.index(name) for name in chain]
    return Choices.single(models, table[places], label)
