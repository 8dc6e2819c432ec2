"""Routing by what happened to similar prompts; learns over time by `observe`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from routebench.evaluate.choices import FloatArray
from routebench.strategies.base import Predictive
from routebench.strategies.neighbours import nearest_rows
from routebench.strategies.prompts import pieces
from routebench.types import Request


class Similarity(Predictive):
    """Scores of past prompts, weighted by similarity and shrunk towards each model's mean.

    Prompts are hashed words, word pairs and character 3-4-grams. A model's score for a prompt is
    (sum_i w_i s_i + a * mean) / (sum_i w_i + a) over the k nearest, w_i the squared cosine: with nothing similar in
    the library the model's mean stands.

    Args:
        k: neighbours.
        shrinkage: the weight `a` of the mean, in neighbours.
    """

    name = "similarity"

    def __init__(self, k: int = 24, shrinkage: float = 0.3) -> None:
        self.k = k
        self.shrinkage = shrinkage

    def _features(self, requests: Sequence[Request]) -> Any:
        return pieces(requests)

    def _fit_scores(self, features: Any, scores: FloatArray) -> None:
        self._library = features
        self._known = scores

    def observe(self, request: Request, scores: Mapping[str, float]) -> None:
        """Adds one request and the scores of models on it; a model without a score keeps its mean.

        Args:
            request: what was asked.
            scores: model name -> score in [0, 1].
        """
        import scipy.sparse

        means = self._known.mean(axis=0)
        row = np.array([scores.get(name, mean) for name, mean in zip(self.models_, means, strict=True)])
        self._library = scipy.sparse.vstack([self._library, pieces([request])]).tocsr()
        self._known = np.vstack([self._known, row])

    def _predict_scores(self, features: Any) -> FloatArray:
        near, index = nearest_rows(features, self._library, self.k)
        weight = near**2
        summed = np.einsum("nk,nkm->nm", weight, self._known[index])
        mean = self._known.mean(axis=0)
        predicted: FloatArray = (summed + self.shrinkage * mean) / (weight.sum(axis=1, keepdims=True) + self.shrinkage)
        return predicted
