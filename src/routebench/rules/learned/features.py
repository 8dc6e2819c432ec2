"""A request as a row of numbers: hashed words and the numbers on its surface, the same on every machine for ever.

The format, v1. Terms are the words of the last user message and, if asked for, pairs of neighbouring words with a space
between; a word of a script that is written without spaces stands for its pairs of neighbouring characters. Let h be the
CRC-32 of a term in UTF-8. The term belongs to column h mod `hashed_words`; it is added where the top bit of h is 0 and
subtracted where it is 1, so that words that share a column cancel on average. A term that occurs c times counts
round((1 + ln c) * 2**20), a whole number, so that no order of adding changes the sum. The columns are divided by their
Euclidean length. Columns of the surface come after them, as they are.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self
from zlib import crc32

from routebench.errors import RulesError, nearest
from routebench.rules.learned.surface import SURFACE, surface
from routebench.rules.reading.request import Reading, Text

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

VERSION = "v1"
MAX_HASHED_WORDS = 2**20
_UNIT = 2**20
_SIGN = 2**31
# Thai, Lao, Myanmar, Khmer, Kana, Han.
_WITHOUT_SPACES = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_COUNTED = tuple(round((1 + math.log(count)) * _UNIT) for count in range(1, 65))


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """Which numbers are read of a request.

    Attributes:
        hashed_words: columns that words are hashed into, 0 for none.
        bigrams: whether pairs of neighbouring words are terms as well.
        surface: whether the numbers of `surface.SURFACE` follow.
        version: of the format.

    Raises:
        RulesError: the columns are none or too many, or the version is another one.
    """

    hashed_words: int = 512
    bigrams: bool = False
    surface: bool = True
    version: str = VERSION

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise RulesError(f"features of version {self.version!r}: this routebench reads {VERSION!r}; update it")
        if not 0 <= self.hashed_words <= MAX_HASHED_WORDS:
            raise RulesError(f"hashed_words: {self.hashed_words} is not between 0 and {MAX_HASHED_WORDS}")
        if self.bigrams and not self.hashed_words:
            raise RulesError("bigrams are hashed like words: give hashed_words more than 0 columns")
        if not self.width:
            raise RulesError("features without a column: give hashed_words more than 0 columns, or set surface")

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.hashed_words + (len(SURFACE) if self.surface else 0)

    def as_dict(self) -> dict[str, Any]:
        """The form that artifacts hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Reads the form of `as_dict`.

        Raises:
            RulesError: a key is missing, unknown or of another type.
        """
        return cls(
            **described(data, {"hashed_words": int, "bigrams": bool, "surface": bool, "version": str}, "features")
        )

    def sparse(self, reading: Reading) -> tuple[list[int], list[float]]:
        """Returns the columns that are not zero by their words, with all of the surface, and their values.

        Columns of words come first, in no order but without repetition.
        """
        columns: list[int] = []
        values: list[float] = []
        if self.hashed_words:
            summed = _hashed(_terms(reading.text("user"), bigrams=self.bigrams), self.hashed_words)
            length = math.sqrt(sum(value * value for value in summed.values()))
            if length:
                columns = list(summed)
                values = [value / length for value in summed.values()]
        if self.surface:
            columns += range(self.hashed_words, self.width)
            values += surface(reading)
        return columns, values

    def vector(self, reading: Reading) -> npt.NDArray[np.float32]:
        """Returns the numbers of one request, shape (width,)."""
        vector: npt.NDArray[np.float32] = self.matrix([reading])[0]
        return vector

    def matrix(self, readings: Sequence[Reading]) -> npt.NDArray[np.float32]:
        """Returns the numbers of many requests, shape (n, width); each row is what `vector` returns for it."""
        import numpy as np

        rows = np.zeros((len(readings), self.width), dtype=np.float32)
        for row, reading in zip(rows, readings, strict=True):
            columns, values = self.sparse(reading)
            row[columns] = values
        return rows


def described(data: Any, kinds: Mapping[str, type], what: str) -> Mapping[str, Any]:
    """Returns what an artifact says of its features, with just the keys and types that are asked for.

    Args:
        data: as read from the artifact.
        kinds: the type of every key.
        what: errors call it.

    Raises:
        RulesError: a key is missing, unknown or of another type.
    """
    if not isinstance(data, Mapping):
        raise RulesError(f"{what} are a mapping of {', '.join(kinds)}, not {data!r:.40}")
    for key in data:
        if key not in kinds:
            raise RulesError(f"{what} have no {key!r:.40}{nearest(str(key), kinds)}")
    for key, kind in kinds.items():
        # type() and not isinstance: True is an int.
        if key not in data or type(data[key]) is not kind:
            raise RulesError(f"{what} need {key}, of type {kind.__name__}")
    return data


def _terms(text: Text, *, bigrams: bool) -> Iterable[str]:
    words = text.words
    if not text.text.isascii():
        words = [part for word in words for part in _parts(word)]
    if not bigrams:
        return words
    return [*words, *map(" ".join, pairwise(words))]


def _parts(word: str) -> list[str]:
    if len(word) < 3 or _WITHOUT_SPACES.search(word) is None:
        return [word]
    return [word[place : place + 2] for place in range(len(word) - 1)]


def _hashed(terms: Iterable[str], n_columns: int) -> dict[int, int]:
    summed: dict[int, int] = {}
    for term, count in Counter(terms).items():
        hashed = crc32(term.encode("utf-8", "replace"))
        value = _COUNTED[count - 1] if count <= len(_COUNTED) else round((1 + math.log(count)) * _UNIT)
        column = hashed % n_columns
        summed[column] = summed.get(column, 0) + (value if hashed < _SIGN else -value)
    return summed
