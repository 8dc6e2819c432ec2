"""Routing by what happened to similar prompts; learns over time by `observe`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from routebench.embedding import Embedder, find_embedder
from routebench.errors import InputError
from routebench.evaluate.choices import Choices, FloatArray, IntArray
from routebench.evaluate.frontier import SingleModel, aiq, single_models
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.splits import folds
from routebench.evaluate.sweep import LambdaSweep, curve_points
from routebench.rules import Default, Guard, Reading, RuleSet
from routebench.rules import Similarity as SimilarityPart
from routebench.rules.learned.embedded import EmbedderSpec
from routebench.rules.learned.features import FeatureSpec
from routebench.rules.learned.head import SparseRows
from routebench.rules.learned.library import DEFAULT_COLUMNS, Library, Usage
from routebench.rules.learned.nearest import DECIMALS
from routebench.strategies.base import Policy, lambda_grid, mean_costs
from routebench.strategies.baselines import cost_of
from routebench.strategies.neighbours import nearest_rows
from routebench.strategies.prompts import embeddings, hashed_rows
from routebench.types import Decision, Model, Request

KS = (24, 48, 96, 192)
SHRINKAGES = (0.3, 1.0, 3.0, 10.0)
_SPEC = FeatureSpec(DEFAULT_COLUMNS, bigrams=True, surface=False)


class Setting(NamedTuple):
    """What is chosen on train.

    Attributes:
        k: neighbours.
        shrinkage: the weight of the mean, in neighbours.
        costs_of_similar: whether costs are those of similar prompts too, or every model's mean.
    """

    k: int
    shrinkage: float
    costs_of_similar: bool


class Similarity(Policy):
    """Scores and costs of past prompts, weighted by similarity and shrunk towards each model's mean.

    What to expect of a model is (sum_i w_i y_i + a * mean) / (sum_i w_i + a) over the k nearest prompts whose y_i is
    known, w_i the squared cosine: with nothing similar in the library the mean stands. The model with the highest
    expected score - lambda * expected cost is picked. What is not given of k, the shrinkage a and whether costs are
    those of similar prompts is chosen by the AIQ on five folds of train, by group.

    Args:
        embedder: reads prompts, or its name, such as `minilm`; hashed words and pairs of words when left out.
        k: neighbours.
        shrinkage: the weight `a` of the mean, in neighbours.
        models: settings of the models for `to_ruleset`; by name only when left out.
        guards: guards that every rule set carries.

    Raises:
        InputError: there is no embedder of that name.
        MissingDependencyError: it needs a package that is not installed.

    Attributes:
        setting_: after `fit`: what was chosen.
    """

    name = "similarity"
    setting_: Setting

    def __init__(
        self,
        embedder: Embedder | str | None = None,
        k: int | None = None,
        shrinkage: float | None = None,
        *,
        models: Sequence[Model] = (),
        guards: Sequence[Guard] = (),
    ) -> None:
        self.embedder = _found(embedder) if isinstance(embedder, str) else embedder
        self.k = k
        self.shrinkage = shrinkage
        self.models = tuple(models)
        self.guards = tuple(guards)
        if self.embedder is not None:
            self.name = f"similarity:{self.embedder.name}"

    def _fit(self, outcomes: Outcomes) -> None:
        self._rates = lambda_grid(mean_costs(outcomes))
        self._library: Library | None = None
        self._is_behind = False
        self._known = _Known(self._read(outcomes.requests), outcomes.expected_scores(), outcomes.expected_costs())
        settings = [
            Setting(*one)
            for one in product(
                KS if self.k is None else (self.k,),
                SHRINKAGES if self.shrinkage is None else (self.shrinkage,),
                (False, True),
            )
        ]
        curves = self._out_of_fold(outcomes, settings)
        singles = single_models(outcomes)
        reached = [_reached(outcomes, curve, singles) for curve in curves]
        # Of equals the first.
        best = reached.index(max(reached))
        self.setting_, self._train_curve = settings[best], curves[best]

    def _read(self, requests: Sequence[Request]) -> Any:
        return hashed_rows(requests, _SPEC) if self.embedder is None else embeddings(requests, self.embedder)

    def _out_of_fold(self, outcomes: Outcomes, settings: Sequence[Setting]) -> list[LambdaSweep]:
        """The training curve of each setting, from prompts of other folds."""
        shape = (len(settings), outcomes.n, len(self.models_))
        scores, costs = np.empty(shape), np.empty(shape)
        for inside, outside in folds(outcomes, n_folds=5):
            known = self._known.take(inside)
            near = known.nearest(self._known.rows[outside], max(setting.k for setting in settings))
            for place, setting in enumerate(settings):
                scores[place, outside], costs[place, outside] = known.expected(*near, setting)
        return [self._sweep(*both) for both in zip(scores, costs, strict=True)]

    def _sweep(self, scores: FloatArray, costs: FloatArray) -> LambdaSweep:
        return LambdaSweep(self.models_, scores, costs, self._rates)

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """One point a lambda, from quality at any price to the cheapest."""
        if self._is_behind:
            # Once for all requests, however many prompts were observed one by one.
            self._known, self._is_behind = _Known.of(self.library()), False
        near = self._known.nearest(self._read(requests), self.setting_.k)
        return self._sweep(*self._known.expected(*near, self.setting_))

    def train_curve(self) -> Sequence[Choices]:
        """The curve on what prompts of other folds let one expect, five folds by group."""
        return self._train_curve

    def route(self, request: Request, point: int = 0) -> Decision:
        """Decides one request at one operating point, with what was observed in mind."""
        expected = self.library().predict(Reading(request))
        choices = self._sweep(*_filled(expected.scores[None], expected.costs_usd[None]))[point]
        model = choices.models[int(choices.parts[0][1][0, 0])]
        return Decision((model,), rule=self.name, why=f"{choices.label}, the nearest at {expected.similarity:.2f}")

    def observe(
        self, request: Request, scores: Mapping[str, float], costs_usd: Mapping[str, float] | None = None
    ) -> None:
        """Adds one request and what became of it; later decisions have it in mind.

        Args:
            request: what was asked.
            scores: model name -> score in [0, 1]; of models that are left out nothing is known.
            costs_usd: model name -> US dollars; counted where costs are those of similar prompts.

        Raises:
            InputError: a model is unknown, or a number out of bounds; nothing was added.
        """
        self.library().learn(Reading(request), scores, costs_usd if self.setting_.costs_of_similar else None)
        self._is_behind = True

    def library(self) -> Library:
        """Returns the training prompts, and those that were observed since, as a rules.yaml holds them."""
        if self._library is None:
            known, setting = self._known, self.setting_
            reads = _SPEC if self.embedder is None else EmbedderSpec.of(self.embedder)
            rows = known.rows
            if self.embedder is None:
                rows = SparseRows(rows.indptr, rows.indices, rows.data)
            costs = known.costs_usd if setting.costs_of_similar else _means(known.costs_usd)
            usage = Usage(setting.k, setting.shrinkage)
            self._library = Library.of(rows, known.scores, costs, self.models_, reads, usage, self.embedder)
        return self._library

    def to_ruleset(self, point: int) -> RuleSet:
        """Returns one operating point as a rule set, ready to route; `part` says how it comes into a file."""
        given = {model.name: model for model in self.models}
        singles = single_models(self._train)
        best = max(singles, key=lambda single: (single.quality, -cost_of(single)))
        return RuleSet(
            name=self.name,
            models={name: given.get(name, Model(name, provider="recorded", model=name)) for name in self.models_},
            guards=self.guards,
            similarity=self.part(point),
            default=Default(route=(best.name,)),
        )

    def part(self, point: int, min_similarity: float = 0.0) -> SimilarityPart:
        """Returns the `similarity` of a rule set that decides as this strategy does at one operating point.

        Its settings lack `library`: whoever writes the rules.yaml saves the library beside it first, and adds the
        artifact's name and sha256.

        Args:
            point: of the curve.
            min_similarity: where the nearest past prompt is less similar, the rule set's next phase decides.
        """
        usage = Usage(self.setting_.k, self.setting_.shrinkage, min_similarity, float(self._rates[point]))
        settings = {
            "embedder": "hashed" if self.embedder is None else self.embedder.name,
            "k": usage.k,
            "shrinkage": usage.shrinkage,
            "min_similarity": usage.min_similarity,
            "cost_weight": usage.cost_weight,
        }
        return SimilarityPart(settings, self.library().opened(usage=usage))


@dataclass(frozen=True, eq=False)
class _Known:
    """Past prompts for many requests at once, by the formula of `rules.learned.library.shrunk`.

    Attributes:
        rows: sparse, or an array; shape (n, width).
        scores: NaN where unknown, shape (n, m).
        costs_usd: NaN where unknown, shape (n, m).
    """

    rows: Any
    scores: FloatArray
    costs_usd: FloatArray

    @classmethod
    def of(cls, library: Library) -> _Known:
        """Returns what a library holds by now."""
        import scipy.sparse

        rows, seen = library.past.rows()
        part = slice(seen.first, seen.end)
        if isinstance(rows, SparseRows):
            shape = (seen.n, seen.index.width)
            rows = scipy.sparse.csr_matrix((rows.values, rows.columns, rows.starts), shape=shape)
        return cls(rows, seen.scores[part].astype(np.float64), seen.costs_usd[part])

    def take(self, index: IntArray) -> _Known:
        """Returns some of the prompts."""
        return _Known(self.rows[index], self.scores[index], self.costs_usd[index])

    def nearest(self, queries: Any, k: int) -> tuple[FloatArray, IntArray]:
        """Returns the similarities and positions of the k nearest prompts of each query."""
        near, index = nearest_rows(queries, self.rows, k)
        return np.round(near, DECIMALS).clip(0, 1), index

    def expected(self, near: FloatArray, index: IntArray, setting: Setting) -> tuple[FloatArray, FloatArray]:
        """Returns the scores and costs to expect, both of shape (queries, m), none unknown."""
        import scipy.sparse

        near, index = near[:, : setting.k], index[:, : setting.k]
        n, k = near.shape
        weight = scipy.sparse.csr_matrix(
            ((near**2).ravel(), index.ravel(), np.arange(n + 1) * k), shape=(n, self.rows.shape[0])
        )

        def shrunk(values: FloatArray) -> FloatArray:
            known, means = ~np.isnan(values), _means(values)
            total = weight @ known.astype(np.float64) + setting.shrinkage
            summed = weight @ np.where(known, values, 0) + setting.shrinkage * means
            return np.where(total > 0, summed / np.where(total > 0, total, 1), means)

        scores = shrunk(self.scores)
        if setting.costs_of_similar:
            return _filled(scores, shrunk(self.costs_usd))
        return _filled(scores, np.broadcast_to(_means(self.costs_usd), scores.shape))


def _found(name: str) -> Embedder:
    try:
        return find_embedder(name)
    except InputError as error:
        raise InputError(f"similarity: {error}") from None


def _means(values: FloatArray) -> FloatArray:
    """Means of what is known in each column, NaN where nothing is."""
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    return np.where(counts, np.where(known, values, 0).sum(axis=0) / np.maximum(counts, 1), np.nan)


def _filled(scores: FloatArray, costs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Scores and costs without unknown ones: a model nobody scored has 0, an unknown cost is the dearest known one."""
    known = ~np.isnan(costs)
    dearest = np.max(np.where(known, costs, 0.0), axis=1, keepdims=True)
    return np.nan_to_num(scores), np.where(known, costs, dearest)


def _reached(outcomes: Outcomes, curve: LambdaSweep, singles: Sequence[SingleModel]) -> float:
    """The AIQ of a training curve, minus infinity where there is none."""
    points = curve_points(outcomes, curve)
    known = ~np.isnan(points.cost_usd) & ~np.isnan(points.quality)
    found = aiq(points.cost_usd[known].tolist(), points.quality[known].tolist(), singles)
    return -np.inf if found is None else found
