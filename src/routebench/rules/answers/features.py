"""A request and an answer to it as a row of numbers, the same on every machine for ever.

The format, v1. The columns are, in this order: the features v1 of the request (`learned.features`, with as many hashed
words, and its surface); the hashed words of the answer, made as those of a request; `ANSWER_SURFACE`;
`AGREEMENT`, which holds the answer against those that other models of the chain gave before it. Answers of the past are
looked at, never one of a model that is not asked yet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from routebench.errors import RulesError
from routebench.rules.answers.gist import gist, said
from routebench.rules.answers.surface import ANSWER_SURFACE, answer_surface
from routebench.rules.learned.features import MAX_HASHED_WORDS, FeatureSpec, described
from routebench.rules.learned.surface import SURFACE
from routebench.rules.reading.request import Reading
from routebench.types import Answer, Request

VERSION = "v1"
AGREEMENT: tuple[str, ...] = ("agreeing", "agrees", "likeness", "likeness_of_others")
"""The share of the earlier answers that come down to the same; whether one does; the greatest cosine of its words with
an earlier answer's; the same where none agrees, else 0. All are 0 where nobody answered before."""


@dataclass(frozen=True, slots=True)
class AnswerSpec:
    """Which numbers are read of an answer.

    Attributes:
        hashed_words: columns that the words of the request, and again those of the answer, are hashed into.
        version: of the format.

    Raises:
        RulesError: the columns are none or too many, or the version is another one.
    """

    hashed_words: int = 512
    version: str = VERSION

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise RulesError(f"answer features of version {self.version!r}: this routebench reads {VERSION!r}")
        if not 1 <= self.hashed_words <= MAX_HASHED_WORDS:
            raise RulesError(f"hashed_words: {self.hashed_words} is not between 1 and {MAX_HASHED_WORDS}")

    @property
    def request(self) -> FeatureSpec:
        """The features of the request, the first columns."""
        return FeatureSpec(self.hashed_words)

    @property
    def answer(self) -> FeatureSpec:
        """The words of the answer, the columns after those of the request."""
        return FeatureSpec(self.hashed_words, surface=False)

    @property
    def blocks(self) -> dict[str, slice]:
        """Where the columns are of each part, by its name, in their order."""
        lengths = {
            "request_words": self.hashed_words,
            "request_surface": len(SURFACE),
            "answer_words": self.hashed_words,
            "answer_surface": len(ANSWER_SURFACE),
            "agreement": len(AGREEMENT),
        }
        found, start = {}, 0
        for name, length in lengths.items():
            found[name] = slice(start, start + length)
            start += length
        return found

    @property
    def width(self) -> int:
        """The number of columns."""
        return 2 * self.hashed_words + len(SURFACE) + len(ANSWER_SURFACE) + len(AGREEMENT)

    def as_dict(self) -> dict[str, Any]:
        """The form that artifacts hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Reads the form of `as_dict`.

        Raises:
            RulesError: a key is missing, unknown or of another type.
        """
        return cls(**described(data, {"hashed_words": int, "version": str}, "answer features"))

    def words(self, answer: Answer) -> tuple[list[int], list[float]]:
        """Returns the columns of an answer's words, counted from 0, and their values."""
        return self.answer.sparse(Reading(Request(({"role": "user", "content": said(answer)},))))

    def sparse(self, reading: Reading, answer: Answer, earlier: Sequence[Answer] = ()) -> tuple[list[int], list[float]]:
        """Returns the columns that are not zero by their words, with all other columns, and their values.

        Args:
            reading: the request.
            answer: to it.
            earlier: what other models of the chain answered before.
        """
        columns, values = self.request.sparse(reading)
        own_columns, own_values = self.words(answer)
        start = self.blocks["answer_words"].start
        columns = [*columns, *(start + column for column in own_columns)]
        columns += range(self.blocks["answer_surface"].start, self.width)
        values = [*values, *own_values, *answer_surface(reading, answer)]
        values += agreement(
            gist(answer),
            dict(zip(own_columns, own_values, strict=True)),
            [(gist(one), dict(zip(*self.words(one), strict=True))) for one in earlier],
        )
        return columns, values


def agreement(
    own: str | None, words: Mapping[int, float], earlier: Sequence[tuple[str | None, Mapping[int, float]]]
) -> list[float]:
    """Returns the numbers of AGREEMENT.

    Args:
        own: the answer's gist.
        words: column -> value of the answer's words.
        earlier: the same two of every earlier answer.
    """
    if not earlier:
        return [0.0] * len(AGREEMENT)
    share = sum(own is not None and own == other for other, _ in earlier) / len(earlier)
    likeness = max(
        math.fsum(value * others.get(column, 0.0) for column, value in words.items()) for _, others in earlier
    )
    return [share, float(share > 0), likeness, 0.0 if share else likeness]
