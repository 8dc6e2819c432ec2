"""Prompts as rows of numbers: the directions in which training prompts differ most, and their surface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from routebench.embedding import Embedder
from routebench.evaluate.cases import rows_of
from routebench.evaluate.choices import BoolArray, FloatArray, IntArray
from routebench.rules.learned.surface import SURFACE, surface
from routebench.strategies.learned.grams import grams
from routebench.strategies.prompts import embeddings, readings
from routebench.types import Request

_DIRECTIONS = 160
_MORE_DIRECTIONS = 30
_ITERATIONS = 4
_MAX_PROMPTS = 4_000
_MAX_TERMS = 60_000
_FARTHEST = 4.0
"""Standard deviations beyond which a number of the surface counts no more: one huge prompt must not tilt a plane."""


@dataclass(frozen=True, slots=True)
class Rows:
    """n prompts as numbers.

    Attributes:
        surface: standardised, shape (n, 27).
        joint: text and surface, at like scales, shape (n, d + 27).
        unit: text alone, rows of length 1 (0 for a prompt without a known word), shape (n, d).
        embedded: by an embedding model, rows of length 1, shape (n, e); None without one.
    """

    surface: FloatArray
    joint: FloatArray
    unit: FloatArray
    embedded: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.surface)

    def __getitem__(self, index: IntArray | BoolArray) -> Rows:
        embedded = None if self.embedded is None else self.embedded[index]
        return Rows(self.surface[index], self.joint[index], self.unit[index], embedded)


class Representation:
    """Learns what to read of prompts from training prompts; labels and outcomes are not looked at.

    Words, pairs of words and runs of three and four bytes, weighted by tf-idf, enter as their projections on the
    160 directions of a truncated singular value decomposition.

    Args:
        embedder: an embedding model that reads prompts too.
    """

    def __init__(self, embedder: Embedder | None = None) -> None:
        self.embedder = embedder

    def fit(self, requests: Sequence[Request]) -> Self:
        """Learns from n prompts."""
        self._weights = [_Weights.of(counts) for counts in grams(requests)]
        terms = self._terms(requests)
        self._axes = _directions(terms)
        numbers = surfaces(requests)
        self._mean, spread = numbers.mean(axis=0), numbers.std(axis=0)
        self._spread = np.where(spread > 1e-9, spread, 1.0)
        text = self._projected(terms)
        variance = float(text.var(axis=0).sum())
        # Text and surface weigh alike, whatever the number of their columns.
        self._scale = float(np.sqrt(len(SURFACE) / variance)) if variance > 0 else 0.0
        return self

    def rows(self, requests: Sequence[Request]) -> Rows:
        """Returns the numbers of n prompts, each from its own text alone."""
        text = self._projected(self._terms(requests))
        length = np.linalg.norm(text, axis=1, keepdims=True)
        numbers = np.clip((surfaces(requests) - self._mean) / self._spread, -_FARTHEST, _FARTHEST)
        embedded = None if self.embedder is None else embeddings(requests, self.embedder).astype(np.float64)
        unit = text / np.where(length > 0, length, 1.0)
        return Rows(numbers, np.hstack([text * self._scale, numbers]), unit, embedded)

    def _terms(self, requests: Sequence[Request]) -> list[Any]:
        """Weighted words, and weighted runs of bytes: two sparse arrays, of half the weight each."""
        both = zip(self._weights, grams(requests), strict=True)
        return [weights.weighed(counts) for weights, counts in both]

    def _projected(self, terms: Sequence[Any]) -> FloatArray:
        # Side by side they would be one array twice as large, only to be summed again.
        projected = sum(part @ axes for part, axes in zip(terms, self._axes, strict=True))
        return np.asarray(projected, dtype=np.float64)


def _directions(terms: Sequence[Any]) -> list[FloatArray]:
    """The right singular vectors of the largest singular values of arrays side by side, by subspace iteration.

    Of many prompts some thousands suffice; their products with each other are few numbers beside their terms.

    Returns:
        One array a part, shape (columns, d).
    """
    draw = np.random.default_rng(0)
    n = terms[0].shape[0]
    if n > _MAX_PROMPTS:
        chosen = np.sort(draw.permutation(n)[:_MAX_PROMPTS])
        terms = [part[chosen] for part in terms]
    products = np.asarray(sum((part @ part.T).toarray() for part in terms), dtype=np.float64)
    basis = draw.standard_normal((len(products), min(_DIRECTIONS + _MORE_DIRECTIONS, len(products))))
    for _ in range(_ITERATIONS):
        basis, _ = np.linalg.qr(products @ basis)
    squares, turned = np.linalg.eigh(basis.T @ products @ basis)
    largest = np.flatnonzero(squares > max(squares[-1], 0.0) * 1e-9)[::-1][:_DIRECTIONS]
    left = (basis @ turned[:, largest] / np.sqrt(squares[largest])).astype(np.float32)
    return [np.asarray(part.T @ left) for part in terms]


@dataclass(frozen=True, slots=True)
class _Weights:
    """Which columns count, and their inverse document frequency in training."""

    columns: IntArray
    idf: FloatArray

    @classmethod
    def of(cls, counts: Any) -> Self:
        frequency = np.bincount(counts.indices, minlength=counts.shape[1])
        # What stands in one prompt alone says nothing about others, unless there is nothing else.
        seen = np.flatnonzero(frequency >= min(2, frequency.max(initial=0)))
        kept = np.sort(seen[np.argsort(-frequency[seen], kind="stable")[:_MAX_TERMS]])
        return cls(kept, np.log((1 + counts.shape[0]) / (1 + frequency[kept])) + 1)

    def weighed(self, counts: Any) -> Any:
        from sklearn.preprocessing import normalize

        rows = counts[:, self.columns]
        rows.data = (1 + np.log(rows.data)) * self.idf.astype(np.float32)[rows.indices]
        rows = normalize(rows, copy=False)
        rows.data *= np.float32(np.sqrt(0.5))
        return rows


def surfaces(requests: Sequence[Request]) -> FloatArray:
    """Returns the numbers on the surface of each request, as the runtime reads them, shape (n, 27)."""

    def read(some: Sequence[Request]) -> FloatArray:
        return np.array([surface(one) for one in readings(some)], dtype=np.float64).reshape(len(some), len(SURFACE))

    numbers: FloatArray = rows_of(requests, "surface", read)
    return numbers
