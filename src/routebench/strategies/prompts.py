"""What the text strategies read of requests, worked out once a suite; every row comes from its own request alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.embedding import Embedder
from routebench.evaluate.cases import rows_of
from routebench.evaluate.choices import FloatArray, IntArray
from routebench.messages import last_user_text
from routebench.rules import Reading
from routebench.rules.learned.features import FeatureSpec
from routebench.rules.learned.head import sparse_rows
from routebench.rules.reading.request import Scope
from routebench.types import Request

_WORD = r"(?u)\b\w+\b"
_ANY_WORD = re.compile(r"\w+")
_PAIR = re.compile(r"(?=(?<!\w)(\w+ \w+)(?!\w))")
_COUNT_COLUMNS = 2**22
"""So many that two words of a suite hardly ever share one."""
_MAX_WORDS = 50_000


def texts(requests: Sequence[Request]) -> npt.NDArray[np.object_]:
    """Returns the last user message of each request, shape (n,)."""
    return _rows(requests, "texts", lambda some: [last_user_text(request.messages) for request in some])


def readings(requests: Sequence[Request]) -> npt.NDArray[np.object_]:
    """Returns each request as conditions read it, shape (n,)."""
    return _rows(requests, "readings", lambda some: [Reading(request) for request in some])


def word_counts(requests: Sequence[Request]) -> Any:
    """Returns how often each hashed word stands in each text, a sparse array of shape (n, columns)."""

    def count(some: Sequence[Request]) -> Any:
        from sklearn.feature_extraction.text import HashingVectorizer

        words = HashingVectorizer(
            n_features=_COUNT_COLUMNS, token_pattern=_WORD, alternate_sign=False, norm=None, dtype=np.float64
        )
        return words.transform(texts(some))

    return rows_of(requests, "word counts", count)


def hashed_rows(requests: Sequence[Request], spec: FeatureSpec) -> Any:
    """Returns the numbers that rules.yaml artifacts read of each request, a sparse array of shape (n, width)."""

    def read(some: Sequence[Request]) -> Any:
        import scipy.sparse

        rows = sparse_rows(spec, readings(some).tolist())
        shape = (len(some), spec.width)
        return scipy.sparse.csr_matrix((rows.values, rows.columns, rows.starts), shape=shape)

    return rows_of(requests, f"hashed rows {spec}", read)


def embeddings(requests: Sequence[Request], embedder: Embedder) -> npt.NDArray[np.float32]:
    """Returns each text as an embedder's vector, rows of length 1 or 0, shape (n, dim); once a suite and embedder.

    A text that stands in a suite several times is embedded once.
    """

    def embed(some: Sequence[Request]) -> npt.NDArray[np.float32]:
        place: dict[str, int] = {}
        row = [place.setdefault(text, len(place)) for text in texts(some)]
        return np.asarray(embedder.embed(list(place))[row], dtype=np.float32)

    found: npt.NDArray[np.float32] = rows_of(requests, f"embeddings by {embedder.key}", embed)
    return found


@dataclass(frozen=True, slots=True)
class Words:
    """Which words and pairs of words stand in which text: a sparse array of shape (n, words), and their names."""

    held: Any
    names: npt.NDArray[np.str_]

    def __getitem__(self, at: IntArray) -> Words:
        return Words(self.held[at], self.names)


def words_and_pairs(requests: Sequence[Request], scope: Scope = "user") -> Words:
    """Returns which words, and pairs of words with one space between, stand in each request; numbers are left out.

    Args:
        requests: n of them.
        scope: which messages are read.
    """

    def read(some: Sequence[Request]) -> Words:
        import scipy.sparse

        place: dict[str, int] = {}
        columns: list[int] = []
        ends = [0]
        for reading in readings(some):
            text = reading.text(scope).folded
            held = set(_ANY_WORD.findall(text)) | {match[1] for match in _PAIR.finditer(text)}
            columns += [place.setdefault(word, len(place)) for word in held if not word.isdigit() and len(word) > 1]
            ends.append(len(columns))
        shape = (len(some), len(place))
        matrix = scipy.sparse.csr_array((np.ones(len(columns), dtype=np.float32), columns, ends), shape=shape)
        return Words(matrix, np.array(list(place), dtype=str))

    found: Words = rows_of(requests, f"words and pairs, {scope}", read)
    return found


class Tfidf:
    """Weights of word counts, learned on training requests: (1 + log count) * (log((1 + n) / (1 + df)) + 1), length 1.

    Words that training never saw have no weight; of more than 50,000 the most frequent ones count.
    """

    def fit(self, counts: Any) -> Tfidf:
        """Learns from the word counts of training requests."""
        totals = np.asarray(counts.sum(axis=0)).ravel()
        seen = np.flatnonzero(totals)
        self._columns = np.sort(seen[np.argsort(-totals[seen], kind="stable")[:_MAX_WORDS]])
        held = counts[:, self._columns]
        frequency = np.bincount(held.indices, minlength=len(self._columns))
        self._idf: FloatArray = np.log((1 + counts.shape[0]) / (1 + frequency)) + 1
        return self

    def transform(self, counts: Any) -> Any:
        """Returns the weighted rows, sparse, shape (n, words)."""
        from sklearn.preprocessing import normalize

        rows = counts[:, self._columns].astype(np.float64)
        rows.data = (1 + np.log(rows.data)) * self._idf[rows.indices]
        return normalize(rows, copy=False)


def _rows(requests: Sequence[Request], name: str, work_out: Any) -> npt.NDArray[np.object_]:
    def objects(some: Sequence[Request]) -> npt.NDArray[np.object_]:
        made = np.empty(len(some), dtype=object)
        made[:] = work_out(some)
        return made

    found: npt.NDArray[np.object_] = rows_of(requests, name, objects)
    return found
