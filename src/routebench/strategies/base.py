"""What every strategy of ours shares: it remembers what it was fitted on, and decides single requests by its curve."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, Self

import numpy as np

from routebench.evaluate.choices import Choices, FloatArray, IntArray
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.protocol import Kind
from routebench.evaluate.splits import folds
from routebench.evaluate.sweep import LambdaSweep
from routebench.types import Decision, Request


class Policy:
    """Base of the strategies in this room. Subclasses write `_fit` and `curve`.

    Attributes:
        name: what tables call it.
        kind: what it is compared as.
        abstained: after `fit`: whether the evidence was too thin and a fixed mix stands in.
        models_: after `fit`: the models it chooses among.
    """

    name: str = ""
    kind: Kind = "strategy"
    abstained: bool = False
    models_: tuple[str, ...]

    def fit(self, outcomes: Outcomes) -> Self:
        """Learns from training outcomes and returns self."""
        self.models_ = outcomes.models
        self._train = outcomes
        self._fit(outcomes)
        return self

    def _fit(self, outcomes: Outcomes) -> None:
        """Nothing to learn unless a subclass says so."""

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """Decisions for n requests at every operating point."""
        raise NotImplementedError

    def train_curve(self) -> Sequence[Choices]:
        """Decisions for the training cases; a policy that could overfit them overrides this with out-of-fold ones."""
        return self.curve(self._train.requests)

    def route(self, request: Request, point: int = 0) -> Decision:
        """Decides one request at one operating point; of a mix, the likeliest part."""
        choices = self.curve([request])[point]
        _share, chains = max(choices.parts, key=lambda part: part[0])
        chain = tuple(choices.models[index] for index in chains[0] if index >= 0)
        return Decision(chain, rule=self.name, why=choices.label or self.name)

    def route_many(self, requests: Sequence[Request], point: int = 0) -> Choices:
        """Decides n requests at one operating point."""
        return self.curve(requests)[point]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class Predictive(Policy):
    """A policy that predicts every model's score from the prompt and picks the best trade of score against cost.

    The knob is lambda: the model with the highest predicted score - lambda * mean training cost is picked. Subclasses
    write `_features`, `_fit_scores` and `_predict_scores`.
    """

    def _fit(self, outcomes: Outcomes) -> None:
        self._scores = training_scores(outcomes)
        self._costs = mean_costs(outcomes)
        self._lambdas = lambda_grid(self._costs)
        self._fit_scores(self._features(outcomes.requests), self._scores)

    def _features(self, requests: Sequence[Request]) -> Any:
        """What is read of n requests, each row from its own request alone, shape (n, columns)."""
        raise NotImplementedError

    def _fit_scores(self, features: Any, scores: FloatArray) -> None:
        raise NotImplementedError

    def _predict_scores(self, features: Any) -> FloatArray:
        raise NotImplementedError

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """One point a lambda, from quality at any price to the cheapest."""
        return self._sweep(self._predict_scores(self._features(requests)))

    def train_curve(self) -> Sequence[Choices]:
        """The curve on predictions made by models that did not see the case, five folds by group."""
        features = self._features(self._train.requests)
        predicted = np.empty_like(self._scores)
        for inside, outside in folds(self._train, n_folds=5):
            held_out = copy(self)
            predicted[outside] = held_out._predicted(features, inside, outside)  # noqa: SLF001 - a copy of ourselves
        return self._sweep(predicted)

    def _predicted(self, features: Any, inside: IntArray, outside: IntArray) -> FloatArray:
        self._fit_scores(features[inside], self._scores[inside])
        return self._predict_scores(features[outside])

    def _sweep(self, predicted: FloatArray) -> LambdaSweep:
        return LambdaSweep(self.models_, predicted, self._costs, self._lambdas)


def training_scores(outcomes: Outcomes) -> FloatArray:
    """Returns scores averaged over samples, shape (n, m): failures 0, and a model's mean where a cell is unknown."""
    scores = outcomes.expected_scores()
    means = np.nan_to_num(np.nanmean(scores, axis=0)) if len(scores) else np.zeros(len(outcomes.models))
    return np.where(np.isnan(scores), means, scores)


def mean_costs(outcomes: Outcomes) -> FloatArray:
    """Returns every model's mean known cost in US dollars, shape (m,); the dearest one's where none is known."""
    counts = np.sum(~np.isnan(outcomes.cost_usd), axis=(0, 2))
    sums = np.nansum(outcomes.cost_usd, axis=(0, 2))
    known = counts > 0
    means: FloatArray = np.full(len(outcomes.models), np.nan)
    means[known] = sums[known] / counts[known]
    # An unknown price must not look like a bargain.
    return np.where(known, means, np.max(means[known]) if known.any() else 0.0)


def lambda_grid(costs: FloatArray, points: int = 41) -> FloatArray:
    """Returns points of the cost weight, from 0 to where one point of score no longer pays for the dearest model."""
    spread = float(np.ptp(costs))
    if spread == 0:
        return np.zeros(1)
    return np.concatenate(([0.0], np.geomspace(1e-3, 30.0, points - 1) / spread))
