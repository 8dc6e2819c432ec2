"""Two phases: a score of the request first, then the tier of models that it falls into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from routebench.errors import InputError, nearest
from routebench.evaluate.choices import Choices, FloatArray, IntArray
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.splits import folds
from routebench.rules import Complexity as ComplexityContents
from routebench.rules import Default, Guard, RuleSet, Tier
from routebench.strategies.base import Policy, lambda_grid
from routebench.strategies.llm_scores import LlmScores
from routebench.strategies.scorers import BoostedScorer, LearnedScorer, Scorer, WrittenScorer
from routebench.strategies.tiers import Ladder, Tiering, chain_choices, sweep_tiers
from routebench.types import Model, Request

_SCORERS: dict[str, type[LearnedScorer | WrittenScorer | BoostedScorer]] = {
    "learned": LearnedScorer,
    "heuristic": WrittenScorer,
    "gbm": BoostedScorer,
}


class Complexity(Policy):
    """Scores a request, and sends it to a tier of models on the training hull; one point a trade of score for cost.

    Thresholds and models of the tiers are those with the best training score - lambda * cost of all that there are.

    Args:
        classifier: `learned` from the training cases, `heuristic` as somebody wrote it, `gbm` boosted trees, which run
            offline only; or what a small language model said in a recorded run.
        max_tiers: 2, or 3, which has not been better on public data.
        models: settings of the models for `to_ruleset`; by name only when left out.
        guards: guards that every rule set carries.

    Raises:
        InputError: there is no such classifier.
    """

    name = "complexity"
    tierings_: list[Tiering]

    def __init__(
        self,
        classifier: str | LlmScores = "learned",
        *,
        max_tiers: int = 2,
        models: Sequence[Model] = (),
        guards: Sequence[Guard] = (),
    ) -> None:
        if isinstance(classifier, str) and classifier not in _SCORERS:
            raise InputError(
                f"complexity has no classifier {classifier!r}{nearest(classifier, _SCORERS)}; it has "
                f"{', '.join(_SCORERS)}, and in Python Complexity(LlmScores(…))"
            )
        self.scorer: Scorer = _SCORERS[classifier]() if isinstance(classifier, str) else classifier
        self.name = self.scorer.name
        self.max_tiers = max_tiers
        self.models = tuple(models)
        self.guards = tuple(guards)

    def _fit(self, outcomes: Outcomes) -> None:
        ladder = Ladder.of(outcomes)
        self.chains_ = ladder.chains
        self._known = known = ladder.known
        self._scores, self._costs = ladder.scores[known], ladder.costs_usd[known]
        graded = outcomes.take(known)
        self._rates = lambda_grid(self._costs.mean(axis=0))
        self._folds = list(folds(graded, n_folds=5))
        gain = self._scores[:, -1] - self._scores[:, 0]
        self._signal = self.scorer.fit(graded.requests, gain, graded.weight, self._folds)
        self._weight = graded.weight
        self.tierings_ = self._sweep(np.arange(graded.n))

    def _sweep(self, index: IntArray) -> list[Tiering]:
        """The best tiers on some of the cases; those whose score nobody knows say nothing."""
        told = index[~np.isnan(self._signal[index])]
        if not len(told):
            return [Tiering((0,))] * len(self._rates)
        return sweep_tiers(
            self._signal[told],
            self._scores[told],
            self._costs[told],
            self._weight[told],
            self._rates,
            max_tiers=self.max_tiers,
        )

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """One point a lambda, from quality at any price to the cheapest."""
        scores = self.scorer.scores(requests)
        return [self._choices(tiers, scores, requests, self._label(tiers)) for tiers in self.tierings_]

    def train_curve(self) -> Sequence[Choices]:
        """The curve by scores and by thresholds that were learned without the case, five folds by group."""
        requests = self._train.requests
        scores = self.scorer.scores(requests).copy()
        scores[self._known] = self._signal
        places = [self._places(tiers, scores) for tiers in self.tierings_]
        for inside, outside in self._folds:
            for row, tiers in zip(places, self._sweep(inside), strict=True):
                row[self._known[outside]] = self._places(tiers, self._signal[outside])
        labels = [f"lambda={rate:.3g}" for rate in self._rates]
        made = [
            chain_choices(self.models_, self.chains_, row, label) for row, label in zip(places, labels, strict=True)
        ]
        return [self._paid(one, requests) for one in made]

    def _choices(self, tiers: Tiering, scores: FloatArray, requests: Sequence[Request], label: str) -> Choices:
        made = chain_choices(self.models_, self.chains_, self._places(tiers, scores), label)
        return self._paid(made, requests)

    def _places(self, tiers: Tiering, scores: FloatArray) -> IntArray:
        # Nothing is known of a request whose score was not recorded, even where every score leads to one model.
        return np.where(np.isnan(scores), -1, tiers.of(scores))

    def _paid(self, choices: Choices, requests: Sequence[Request]) -> Choices:
        deciding = self.scorer.deciding(requests)
        if deciding is None:
            return choices
        return replace(choices, decision_cost_usd=deciding.cost_usd, decision_latency_s=deciding.latency_s)

    def _label(self, tiers: Tiering) -> str:
        names = [self.chains_[place][0] for place in tiers.places]
        said = [f"below {below:g} {name}" for below, name in zip(tiers.below, names, strict=False)]
        return ", ".join([*said, f"else {names[-1]}" if said else f"always {names[-1]}"])

    def to_contents(self, point: int) -> tuple[ComplexityContents | None, Default]:
        """Returns what a rules.yaml says of one operating point: the section `complexity` and the default.

        Where the classifier was learned its file is the caller's to write, by `section.classifier.head.save(path)`; its
        `settings` lack `artifact` and `sha256` until then.

        Args:
            point: position in the curve.

        Returns:
            No section where every request goes to one tier.

        Raises:
            OutcomesError: the classifier has no form in a rules.yaml.
        """
        tiers = self.tierings_[point]
        chains = [self.chains_[place] for place in tiers.places]
        default = Default(route=chains[-1])
        if not tiers.below:
            return None, default
        settings, classifier = self.scorer.written()
        below: list[float | None] = [*tiers.below, None]
        parts = tuple(Tier(threshold, chain) for threshold, chain in zip(below, chains, strict=True))
        return ComplexityContents(settings, parts, classifier), default

    def to_ruleset(self, point: int) -> RuleSet:
        """Returns one operating point as a rule set, ready to route; `to_contents` says how it comes into a file.

        Raises:
            OutcomesError: the classifier has no form in a rules.yaml.
        """
        section, default = self.to_contents(point)
        given = {model.name: model for model in self.models}
        models: dict[str, Any] = {
            name: given.get(name, Model(name, provider="recorded", model=name)) for name in self.models_
        }
        return RuleSet(name=self.name, models=models, guards=self.guards, default=default, complexity=section)
