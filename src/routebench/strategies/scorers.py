"""What scores a request before a model is chosen: learned weights, weights that somebody wrote, boosted trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from routebench.errors import OutcomesError
from routebench.evaluate.cases import rows_of
from routebench.evaluate.choices import FloatArray, IntArray
from routebench.rules.learned.classifier import Classifier, Heuristic, Logistic
from routebench.rules.learned.features import FeatureSpec
from routebench.rules.learned.head import LinearHead, SparseRows
from routebench.rules.learned.llm_classifier import LlmClassifier
from routebench.strategies.prompts import hashed_rows, readings
from routebench.strategies.ridge import fit_ridge
from routebench.types import Request

HEURISTIC_WEIGHTS = {
    "log_words": 0.45,
    "log_input_tokens": 0.25,
    "log_turns": 0.3,
    "log_list_markers": 0.4,
    "log_math_signs": 0.5,
    "has_code": 1.0,
    "log_fences": 0.4,
    "digits": 2.0,
    "json_schema": 0.5,
    "log_tools": 0.4,
    "has_images": 0.5,
    "is_question": -0.4,
}
"""Longer requests, code, sums, lists of demands, tools and schemas need more; a short question needs less. Nobody
measured this: it is what people write down before they measure, and the bar that a learned classifier has to pass."""
HEURISTIC_BIAS = -3.5

_SPEC = FeatureSpec(512)
_SURFACE = FeatureSpec(0)
_WORD_SCALE = 5.0
"""What a column of hashed words, of rows of length 1, is multiplied with to be of the size of a standardised number."""
_STEEPNESS = 4.0
"""A score of 0.5 means no gain, and near it a gain of .1 is a tenth of the score: 4 is the slope that makes it so."""

_CONSTANT = 1e-9
"""A standard deviation below this is the noise of adding equal numbers."""


class Deciding(NamedTuple):
    """What scoring each of n requests cost and how long it took, NaN while unknown, shape (n,)."""

    cost_usd: FloatArray
    latency_s: FloatArray


class Scorer(Protocol):
    """Scores requests between 0 and 1: how far the cheapest model is from enough."""

    @property
    def name(self) -> str:
        """What the strategy is called."""
        ...

    def fit(
        self,
        requests: Sequence[Request],
        gain: FloatArray,
        weight: FloatArray,
        folds: Sequence[tuple[IntArray, IntArray]],
    ) -> FloatArray:
        """Learns from what the best model gains over the cheapest, shape (n,); returns scores made out of fold."""
        ...

    def scores(self, requests: Sequence[Request]) -> FloatArray:
        """Scores requests, shape (n,); NaN where nobody knows, infinite where nothing could be said."""
        ...

    def deciding(self, requests: Sequence[Request]) -> Deciding | None:
        """What scoring costs; None where no model is asked."""
        ...

    def written(self) -> tuple[dict[str, Any], Classifier | LlmClassifier]:
        """The classifier of a rules.yaml, and its settings; where it is learned, its file is the caller's to write.

        Raises:
            OutcomesError: there is no such form.
        """
        ...


class WrittenScorer:
    """Weights that somebody wrote down: the logistic function of a weighted sum of the surface."""

    name = "complexity:heuristic"

    def __init__(self) -> None:
        self._heuristic = Heuristic(HEURISTIC_WEIGHTS, HEURISTIC_BIAS)

    def fit(
        self,
        requests: Sequence[Request],
        gain: FloatArray,  # noqa: ARG002 - nothing is learned
        weight: FloatArray,  # noqa: ARG002
        folds: Sequence[tuple[IntArray, IntArray]],  # noqa: ARG002
    ) -> FloatArray:
        """Scores requests; nothing is learned."""
        return self.scores(requests)

    def scores(self, requests: Sequence[Request]) -> FloatArray:
        """Scores requests, shape (n,)."""

        def score(some: Sequence[Request]) -> FloatArray:
            return np.array([self._heuristic.score(one) for one in readings(some)], dtype=float)

        found: FloatArray = rows_of(requests, "heuristic complexity", score)
        return found

    def deciding(self, requests: Sequence[Request]) -> None:
        """None: no model is asked."""

    def written(self) -> tuple[dict[str, Any], Classifier]:
        """The weights, as a rules.yaml has them."""
        settings = {"kind": "heuristic", "weights": dict(HEURISTIC_WEIGHTS), "bias": HEURISTIC_BIAS}
        return settings, self._heuristic


class LearnedScorer:
    """A linear head on hashed words and the surface: ridge regression of the gain, through the logistic function.

    The score of a request is logistic(4 * predicted gain), so that 0.5 means that nothing is gained.
    """

    name = "complexity"

    def fit(
        self,
        requests: Sequence[Request],
        gain: FloatArray,
        weight: FloatArray,
        folds: Sequence[tuple[IntArray, IntArray]],
    ) -> FloatArray:
        """Learns the weights; returns scores made out of fold."""
        columns = hashed_rows(requests, _SPEC).toarray()
        scale = column_scale(columns, _SPEC)
        found = fit_ridge(columns * scale, gain, weight, folds)
        weights, bias = _STEEPNESS * found.weights * scale, _STEEPNESS * found.bias
        self.head_ = LinearHead(weights[None], np.array([bias]), _SPEC)
        out_of_fold: FloatArray = 1 / (1 + np.exp(-_STEEPNESS * found.out_of_fold))
        return out_of_fold

    def scores(self, requests: Sequence[Request]) -> FloatArray:
        """Scores requests, shape (n,), to the last bit as a rules.yaml with this head does."""
        found = hashed_rows(requests, _SPEC)
        return self.head_.predict_rows(SparseRows(found.indptr, found.indices, found.data))[:, 0]

    def deciding(self, requests: Sequence[Request]) -> None:
        """None: no model is asked."""

    def written(self) -> tuple[dict[str, Any], Classifier]:
        """The head; `artifact` and `sha256` are known once `classifier.head` is saved."""
        return {"kind": "logistic"}, Logistic(self.head_)


class BoostedScorer:
    """Boosted trees on the numbers of the surface; they run offline only."""

    name = "complexity:gbm"

    def fit(
        self,
        requests: Sequence[Request],
        gain: FloatArray,
        weight: FloatArray,
        folds: Sequence[tuple[IntArray, IntArray]],
    ) -> FloatArray:
        """Grows the trees; returns scores made out of fold."""
        columns = hashed_rows(requests, _SURFACE).toarray()
        out_of_fold: FloatArray = np.empty(len(gain))
        for inside, outside in folds:
            out_of_fold[outside] = _grown(columns[inside], gain[inside], weight[inside]).predict(columns[outside])
        self._trees = _grown(columns, gain, weight)
        return _share(out_of_fold)

    def scores(self, requests: Sequence[Request]) -> FloatArray:
        """Scores requests, shape (n,)."""
        return _share(np.asarray(self._trees.predict(hashed_rows(requests, _SURFACE).toarray()), dtype=float))

    def deciding(self, requests: Sequence[Request]) -> None:
        """None: no model is asked."""

    def written(self) -> tuple[dict[str, Any], Classifier]:
        """Trees have no form in a rules.yaml.

        Raises:
            OutcomesError: always.
        """
        raise OutcomesError(f"{self.name} has no form in rules.yaml: boosted trees run offline only; take `complexity`")


def column_scale(columns: FloatArray, spec: FeatureSpec) -> FloatArray:
    """Returns factors: words to a common size, surface to standard deviation 1; 0 where a number never changes.

    Args:
        columns: of training requests, shape (n, width of the features).
        spec: the features.
    """
    deviation = columns[:, spec.hashed_words :].std(axis=0)
    standard = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > _CONSTANT)
    return np.concatenate([np.full(spec.hashed_words, _WORD_SCALE), standard])


def _grown(columns: FloatArray, gain: FloatArray, weight: FloatArray) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    trees = HistGradientBoostingRegressor(
        learning_rate=0.05, max_iter=80, max_leaf_nodes=8, min_samples_leaf=20, early_stopping=False, random_state=0
    )
    with threadpool_limits(limits=1):
        return trees.fit(columns, gain, sample_weight=weight)


def _share(gain: npt.NDArray[np.float64]) -> FloatArray:
    scores: FloatArray = 1 / (1 + np.exp(-_STEEPNESS * gain))
    return scores
