"""What routing by expectations gains over the best mixes of two models, on the outcomes of training prompts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from routebench.evaluate.choices import FloatArray
from routebench.evaluate.frontier import SingleModel, aiq, single_models
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.sweep import LambdaSweep, Points
from routebench.strategies.base import known_costs, lambda_grid, mean_costs, training_scores


@dataclass(frozen=True, eq=False)
class Gain:
    """Outcomes of n training prompts under m models, and the single models that routing has to beat.

    Attributes:
        scores: failures 0, a model's mean where a cell is unknown, shape (n, m).
        costs: US dollars, a model's mean where one is unknown, shape (n, m).
        weight: requests that each prompt stands for, shape (n,).
        rates: the cost weights of the curve.
    """

    models: tuple[str, ...]
    singles: tuple[SingleModel, ...]
    scores: FloatArray
    costs: FloatArray
    weight: FloatArray
    rates: FloatArray

    @classmethod
    def of(cls, train: Outcomes) -> Self:
        """Reads training outcomes."""
        means = mean_costs(train)
        return cls(
            train.models,
            single_models(train),
            training_scores(train),
            known_costs(train),
            train.weight,
            lambda_grid(means),
        )

    @property
    def contrasts(self) -> FloatArray:
        """Scores less the prompt's mean over the models: how hard a prompt is for all of them cancels; shape (n, m)."""
        return self.scores - self.scores.mean(axis=1, keepdims=True)

    def weighed(self, weight: FloatArray) -> Self:
        """Returns the same under other weights of the prompts, shape (n,): what single models reach changes with them."""
        share = weight / weight.sum()
        quality, cost = share @ self.scores, share @ self.costs
        singles = tuple(
            replace(single, quality=float(one), cost_usd=None if single.cost_usd is None else float(price))
            for single, one, price in zip(self.singles, quality, cost, strict=True)
        )
        return replace(self, singles=singles, weight=weight)

    def sweep(self, scores: FloatArray, costs: FloatArray) -> LambdaSweep:
        """Returns the curve of expectations, from quality at any price to the cheapest."""
        return LambdaSweep(self.models, scores, costs, self.rates)

    def reached(self, scores: FloatArray, costs: FloatArray) -> Points:
        """Returns what the curve of expectations reaches."""
        return self.sweep(scores, costs).reached(self.scores, self.costs, self.weight)

    def of_curve(self, cost: FloatArray, quality: FloatArray) -> float:
        """Returns how far operating points and the single models together are above the single models alone.

        That is the difference of the areas under their hulls (AIQ); of the best qualities, where costs do not differ.
        """
        own = aiq([*cost, *self._single_costs], [*quality, *self._single_qualities], self.singles)
        if own is None or self._bar is None:
            return float(max(0.0, np.max(quality) - max(self._single_qualities)))
        return own - self._bar

    def __call__(self, scores: FloatArray, costs: FloatArray) -> float:
        """Returns what routing by expectations gains, never below 0: a single model is always at hand.

        Args:
            scores: expected, or contrasts of them, shape (n, m).
            costs: expected US dollars, shape (n, m).
        """
        found = self.reached(scores, costs)
        return self.of_curve(found.cost_usd, found.quality)

    @property
    def _single_costs(self) -> list[float]:
        return [single.cost_usd or 0.0 for single in self.singles]

    @property
    def _single_qualities(self) -> list[float]:
        return [single.quality for single in self.singles]

    @property
    def _bar(self) -> float | None:
        return aiq(self._single_costs, self._single_qualities, self.singles)
