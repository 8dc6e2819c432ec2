"""What routing by expectations gains over the best mixes of two models, on the outcomes of training prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from routebench.evaluate.choices import Choices, FloatArray
from routebench.evaluate.frontier import SingleModel, aiq, single_models
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.replay import replay
from routebench.evaluate.sweep import LambdaSweep, Points
from routebench.strategies.base import lambda_grid, mean_costs
from routebench.strategies.baselines import chains_to_try


@dataclass(frozen=True, eq=False)
class Gain:
    """Outcomes of n training prompts under a arms, and the single models that routing has to beat.

    An arm is a model, or, for a model that often fails or abstains, it with another to fall back to.

    Attributes:
        arms: the chains that are chosen among.
        singles: the single models.
        scores: failures 0, an arm's mean where a cell is unknown, shape (n, a).
        costs: US dollars, an arm's mean where one is unknown, shape (n, a).
        charges: costs, and where the stakes of a prompt are known, what a wrong answer costs; shape (n, a).
        weight: requests that each prompt stands for, shape (n,).
        rates: the cost weights of the curve.
    """

    models: tuple[str, ...]
    arms: tuple[tuple[str, ...], ...]
    singles: tuple[SingleModel, ...]
    scores: FloatArray
    costs: FloatArray
    charges: FloatArray
    weight: FloatArray
    rates: FloatArray

    @classmethod
    def of(cls, train: Outcomes) -> Self:
        """Reads training outcomes."""
        arms = tuple(chains_to_try(train))
        replays = [replay(train, Choices.same(train.models, arm, train.n)) for arm in arms]
        scores = np.column_stack([_filled(one.score, 0.0) for one in replays])
        # An unknown price must not look like a bargain.
        dearest = float(mean_costs(train).max())
        costs = np.column_stack([_filled(one.cost_usd, dearest) for one in replays])
        stakes = np.nan_to_num(train.cases.stakes_usd)[:, None]
        charges = costs + stakes * (1 - scores)
        return cls(
            train.models,
            arms,
            single_models(train),
            scores,
            costs,
            charges,
            train.weight,
            lambda_grid(costs.mean(axis=0)),
        )

    @property
    def contrasts(self) -> FloatArray:
        """Scores less the prompt's mean over the models: how hard a prompt is for all of them cancels; shape (n, a)."""
        means: FloatArray = self.scores.mean(axis=1, keepdims=True)
        return self.scores - means

    def weighed(self, weight: FloatArray) -> Self:
        """Returns the same under other weights of the prompts, shape (n,); what single models reach changes too."""
        share = weight / weight.sum()
        at = [self.arms.index((single.name,)) for single in self.singles]
        quality, cost = share @ self.scores[:, at], share @ self.costs[:, at]
        singles = tuple(
            replace(single, quality=float(one), cost_usd=None if single.cost_usd is None else float(price))
            for single, one, price in zip(self.singles, quality, cost, strict=True)
        )
        return replace(self, singles=singles, weight=weight)

    def sweep(self, scores: FloatArray, costs: FloatArray) -> LambdaSweep:
        """Returns the curve of expectations, from quality at any price to the cheapest."""
        return LambdaSweep(tuple(">".join(arm) for arm in self.arms), scores, costs, self.rates)

    def curve(self, scores: FloatArray, costs: FloatArray) -> Sequence[Choices]:
        """Returns the same as decisions for n requests, each a chain of models."""
        swept = self.sweep(scores, costs)
        if all(len(arm) == 1 for arm in self.arms):
            return swept
        width = max(map(len, self.arms))
        table = np.full((len(self.arms), width), -1, dtype=np.intp)
        for place, arm in enumerate(self.arms):
            table[place, : len(arm)] = [self.models.index(name) for name in arm]
        return [Choices.single(self.models, table[choices.parts[0][1][:, 0]], choices.label) for choices in swept]

    def constant(self, n: int) -> list[Choices]:
        """Returns every arm for all of n requests."""
        return [Choices.same(self.models, arm, n, label=f"always {' > '.join(arm)}") for arm in self.arms]

    def reached(self, scores: FloatArray, costs: FloatArray) -> Points:
        """Returns what the curve of expectations reaches."""
        return self.sweep(scores, costs).reached(self.scores, self.costs, self.weight)

    def of_curve(self, cost: FloatArray, quality: FloatArray) -> float:
        """Returns how far operating points and the single models together are above the single models alone.

        That is the difference of the areas under their hulls (AIQ); of the best qualities, where costs do not differ.
        """
        priced = [(one.cost_usd, one.quality) for one in self.singles if one.cost_usd is not None]
        costs, qualities = [one for one, _ in priced], [one for _, one in priced]
        own, bar = aiq([*cost, *costs], [*quality, *qualities], self.singles), aiq(costs, qualities, self.singles)
        if own is None or bar is None:
            return float(max(0.0, np.max(quality) - max(single.quality for single in self.singles)))
        return float(own - bar)

    def __call__(self, scores: FloatArray, costs: FloatArray) -> float:
        """Returns what routing by expectations gains, never below 0: a single model is always at hand.

        Args:
            scores: expected, or contrasts of them, shape (n, a).
            costs: expected US dollars, shape (n, a).
        """
        found = self.reached(scores, costs)
        return self.of_curve(found.cost_usd, found.quality)


def _filled(values: FloatArray, unknown: float) -> FloatArray:
    """Values with their mean where one is unknown; `unknown` where all are."""
    known = ~np.isnan(values)
    return np.where(known, values, values[known].mean() if known.any() else unknown)
