"""The simple routers of the literature, as references: nearest neighbours, logistic regression, the label's table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from routebench.evaluate.choices import Choices, FloatArray
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.sweep import LambdaSweep
from routebench.strategies.base import Policy, Predictive, lambda_grid, mean_costs, training_scores
from routebench.strategies.neighbours import nearest_rows
from routebench.strategies.prompts import Tfidf, word_counts
from routebench.types import Request


class KnnTfidf(Predictive):
    """Mean score of the k most similar training prompts, by cosine of tf-idf word vectors.

    Args:
        k: neighbours.
    """

    name = "knn_tfidf"

    def __init__(self, k: int = 40) -> None:
        self.k = k

    def _features(self, requests: Sequence[Request]) -> Any:
        return word_counts(requests)

    def _fit_scores(self, features: Any, scores: FloatArray) -> None:
        self._tfidf = Tfidf().fit(features)
        self._library = self._tfidf.transform(features)
        self._known = scores

    def _predict_scores(self, features: Any) -> FloatArray:
        _, index = nearest_rows(self._tfidf.transform(features), self._library, self.k)
        return np.asarray(self._known[index].mean(axis=1))


class LrTfidf(Predictive):
    """Ridge-penalised logistic regression of every model's score on tf-idf word vectors.

    Scores between 0 and 1 enter as weighted pairs of a right and a wrong answer.
    """

    name = "lr_tfidf"

    def _features(self, requests: Sequence[Request]) -> Any:
        return word_counts(requests)

    def _fit_scores(self, features: Any, scores: FloatArray) -> None:
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        self._tfidf = Tfidf().fit(features)
        matrix = self._tfidf.transform(features)
        n = matrix.shape[0]
        rows, labels = np.tile(np.arange(n), 2), np.repeat([1, 0], n)
        self._models: list[Any] = []
        for column in np.clip(scores, 0, 1).T:
            weights = np.concatenate([column, 1 - column])
            if weights[:n].sum() == 0 or weights[n:].sum() == 0:
                self._models.append(float(column.mean()))
                continue
            kept = weights > 0
            # A tenth of the time of the default solver; the scale keeps its penalty off the intercept.
            model = LogisticRegression(C=1.0, solver="liblinear", intercept_scaling=10.0)
            # Its products are so short that a second thread mostly waits for the first, and for other programs.
            with threadpool_limits(limits=1):
                self._models.append(model.fit(matrix[rows[kept]], labels[kept], sample_weight=weights[kept]))

    def _predict_scores(self, features: Any) -> FloatArray:
        matrix = self._tfidf.transform(features)
        columns = [
            np.full(matrix.shape[0], model) if isinstance(model, float) else model.predict_proba(matrix)[:, 1]
            for model in self._models
        ]
        return np.column_stack(columns)


class CategoryTable(Policy):
    """The best model of every category, with the data set's own label given: what recognising the task could bring."""

    name = "category_table"
    kind = "reference"

    def _fit(self, outcomes: Outcomes) -> None:
        scores = training_scores(outcomes)
        self._costs = mean_costs(outcomes)
        self._lambdas = lambda_grid(self._costs)
        self._overall = scores.mean(axis=0)
        labels = outcomes.cases.category
        self._table = {label: scores[labels == label].mean(axis=0) for label in np.unique(labels)}

    def peek(self, outcomes: Outcomes) -> Sequence[Choices]:
        """One point a lambda; reads the category of every case."""
        predicted = np.array([self._table.get(label, self._overall) for label in outcomes.cases.category])
        return LambdaSweep(self.models_, predicted, self._costs, self._lambdas)

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """Without labels every request gets the overall best trade."""
        predicted = np.broadcast_to(self._overall, (len(requests), len(self.models_)))
        return LambdaSweep(self.models_, predicted, self._costs, self._lambdas)

    def train_curve(self) -> Sequence[Choices]:
        """The curve on the training cases, with their labels."""
        return self.peek(self._train)
