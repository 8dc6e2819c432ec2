"""The conditions that a learned rule may have: words, forms, lengths and flags of requests like the training ones.

Sums over the requests that meet a condition are what learning asks for, again and again. Many conditions overlap: those
on a number with twenty thresholds are all made of twenty-one intervals. So every condition is a union of disjoint
parts, sums are taken over the parts, and those of conditions are sums of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.evaluate.cases import rows_of
from routebench.evaluate.choices import BoolArray, FloatArray, IntArray
from routebench.rules import Condition, Reading
from routebench.strategies.prompts import readings, words_and_pairs
from routebench.types import Request

MIN_SUPPORT = 3
MIN_SUPPORT_SHARE = 0.01

_MAX_KEYWORD_SHARE = 0.9
_MAX_KEYWORDS = 800
_QUANTILES = np.arange(0.05, 1.0, 0.05)
_DIGITS_TOLD = 2
"""Significant digits of a threshold: nobody reads more of them, and they say no more."""

# Forms of a request that words alone do not show; each is linear-time and readable.
_PATTERNS: Mapping[str, str] = {
    "sum": r"\d\s*[-+*/x×÷^]\s*\d",
    "percent": r"\d\s*(%|percent)",
    "money": r"[$€£]\s?\d",
    "decimal": r"\d[.,]\d",
    "large number": r"\d{3,}",
    "formula": r"\\[a-zA-Z]+|\$\S+\$",
    "quoted": r"[\"“'][^\"”']{2,}[\"”']",
    "list": r"\w+, \w+(, | and |,? or )\w+",
    "options": r"(?m)^\s*\(?[A-Da-d1-4][.)]\s",
    "blank": r"_{2,}",
    "colon": r":\s*\S",
    "several lines": r"\n\s*\S",
    "question within": r"\?\s+\S",
    "name": r"[a-z,] [A-Z][a-z]+",
}
_NUMBERS: Mapping[str, Callable[[Reading], float]] = {
    "words": lambda reading: len(reading.text("user").words),
    "characters": lambda reading: len(reading.text("user").text),
    "input_tokens": lambda reading: reading.input_tokens,
    "digits": lambda reading: reading.text("user").digits,
    "turns": lambda reading: reading.turns,
}
_FLAGS = ("has_code", "is_question", "json_schema", "has_tools", "has_images")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A condition that a rule could have, and the training requests that match it, shape (n,)."""

    when: Mapping[str, Any]
    mask: BoolArray


class Candidates(Sequence[Candidate]):
    """The conditions that are tried, c of them, on the same n training requests.

    Args:
        whens: the conditions, keywords first, then those that are made of parts.
        keywords: 1 where a keyword stands in a request, sparse, shape (words, n).
        parts: 1 where a request belongs to a part, sparse, shape (p, n).
        made_of: 1 where a part belongs to a condition, shape (c - words, p).
    """

    def __init__(self, whens: Sequence[Mapping[str, Any]], keywords: Any, parts: Any, made_of: FloatArray) -> None:
        self._whens = tuple(whens)
        self._keywords = keywords
        self._parts = parts
        self._made_of = made_of
        self.n_keywords = int(keywords.shape[0])

    def __len__(self) -> int:
        return len(self._whens)

    def __getitem__(self, place: int) -> Candidate:  # type: ignore[override]  # nobody slices candidates
        return Candidate(self._whens[place], self.masks[place])

    @cached_property
    def masks(self) -> BoolArray:
        """Which requests meet which condition, shape (c, n)."""
        rest = self._made_of @ self._parts.toarray()
        masks: BoolArray = np.vstack([self._keywords.toarray(), rest]) > 0
        return masks

    def sums(self, values: FloatArray) -> FloatArray:
        """Returns sums over the requests that meet each condition, shape (c, q).

        Args:
            values: shape (n, q).
        """
        return np.vstack([self._keywords @ values, self._made_of @ (self._parts @ values)])

    def keyword_sums(self, values: FloatArray, at: IntArray | None = None) -> FloatArray:
        """Returns sums over the requests in which each keyword stands, shape (words, q).

        Args:
            values: shape (n, q), or (len(at), q).
            at: positions of requests; the others do not count.
        """
        found: FloatArray = self._keywords @ values if at is None else self._keywords_by[at].T @ values
        return found

    @cached_property
    def _keywords_by(self) -> Any:
        """The keywords of each request, shape (n, words)."""
        return self._keywords.T.tocsr()


def candidates(requests: Sequence[Request]) -> Candidates:
    """Returns the conditions worth trying for requests like these, each met by 1 % of them, and by 3, at least."""
    import scipy.sparse

    n = len(requests)
    names, held = _keywords(requests)
    whens: list[Mapping[str, Any]] = [{"any_keyword": [name]} for name in names]
    parts: list[BoolArray] = []
    made_of: list[list[int]] = []
    for when, places, own in _unions(requests):
        if own is not None:
            parts += own
        support = sum(int(parts[len(parts) + place].sum()) for place in places)
        if least_support(n) <= support < n:
            whens.append(when)
            made_of.append([len(parts) + place for place in places])
    table = np.zeros((len(made_of), len(parts)))
    for row, columns in enumerate(made_of):
        table[row, columns] = 1.0
    stacked = np.array(parts, dtype=float).reshape(len(parts), n)
    return Candidates(whens, held, scipy.sparse.csr_array(stacked), table)


def least_support(n: int) -> float:
    """Returns how many of n training requests a rule has to take."""
    return max(MIN_SUPPORT, MIN_SUPPORT_SHARE * n)


def _unions(requests: Sequence[Request]) -> Iterator[tuple[Mapping[str, Any], range, list[BoolArray] | None]]:
    """Conditions, each with its parts as places from the end of the latest ones, and those if they are new."""
    tests: list[Mapping[str, Any]] = [{"regex": pattern} for pattern in _PATTERNS.values()]
    tests += [{flag: True} for flag in _FLAGS]
    for when in tests:
        mask = matching(requests, when)
        yield when, range(-2, -1), [mask, ~mask]
        yield ({"not": when} if "regex" in when else dict.fromkeys(when, False)), range(-1, 0), None
    for language in np.unique(_languages(requests)):
        if language:
            mask = _languages(requests) == language
            yield {"language": str(language)}, range(-1, 0), [mask]
    for name, number in _NUMBERS.items():
        values = _numbers(requests, name, number)
        cuts = _cuts(values)
        interval = np.searchsorted(cuts, values, side="left")
        new: list[BoolArray] | None = [interval == place for place in range(len(cuts) + 1)]
        for place, cut in enumerate(cuts):
            at = float(cut) if name == "digits" else int(cut)
            yield {name: {"le": at}}, range(-len(cuts) - 1, place - len(cuts)), new
            yield {name: {"gt": at}}, range(place - len(cuts), 0), None
            new = None


def _cuts(values: FloatArray) -> FloatArray:
    """Thresholds between requests, at two significant digits."""
    quantiles = np.quantile(values, _QUANTILES) if len(values) else np.zeros(0)
    return np.unique([float(f"{value:.{_DIGITS_TOLD}g}") for value in quantiles])


def matching(requests: Sequence[Request], when: Mapping[str, Any]) -> BoolArray:
    """Returns which requests meet a condition, as the runtime decides it, shape (n,)."""

    def match(some: Sequence[Request]) -> BoolArray:
        condition = Condition.parse(when)
        return np.fromiter((condition.matches(one) for one in readings(some)), dtype=bool, count=len(some))

    found: BoolArray = rows_of(requests, f"condition {when}", match)
    return found


def _numbers(requests: Sequence[Request], name: str, number: Callable[[Reading], float]) -> FloatArray:
    found: FloatArray = rows_of(
        requests, f"number of {name}", lambda some: np.array([number(one) for one in readings(some)], dtype=float)
    )
    return found


def _languages(requests: Sequence[Request]) -> npt.NDArray[np.str_]:
    found: npt.NDArray[np.str_] = rows_of(
        requests,
        "languages",
        lambda some: np.array([one.text("user").language or "" for one in readings(some)], dtype=str),
    )
    return found


def _keywords(requests: Sequence[Request]) -> tuple[list[str], Any]:
    """The most frequent words and pairs of words, and in which texts they stand, sparse, shape (words, n)."""
    import scipy.sparse

    found = words_and_pairs(requests)
    counts = np.asarray(found.held.sum(axis=0)).ravel()
    n = len(requests)
    frequent = np.flatnonzero((counts >= least_support(n)) & (counts <= _MAX_KEYWORD_SHARE * n))
    chosen = frequent[np.lexsort((found.names[frequent], -counts[frequent]))][:_MAX_KEYWORDS]
    held = scipy.sparse.csr_array(found.held[:, chosen].T.astype(float))
    return [str(name) for name in found.names[chosen]], held
