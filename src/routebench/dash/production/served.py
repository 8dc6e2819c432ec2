"""What a gateway served, as columns: a hundred thousand traces are filtered and counted in milliseconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

WORDS = (
    "model",
    "rule",
    "client",
    "outcome",
    "policy",
    "rules",
    "error_kind",
    "wanted",
    "conversation",
    "shadow_rules",
    "shadow_rule",
)
"""Columns of words, by the names of `Trace`; besides them `first` and `shadow_first`, the heads of the two chains."""
NUMBERS = (
    "cost_usd",
    "latency_s",
    "ttft_s",
    "input_tokens",
    "output_tokens",
    "cascade_wait_s",
    "cascade_extra_usd",
    "escalated",
    "explored",
    "status",
)
"""Columns of numbers, NaN where unknown; `escalated` and `explored` are 1 and 0."""
READ = (
    "trace_id",
    "at",
    *WORDS,
    *NUMBERS,
    "chain",
    "shadow_chain",
    "attempts",
)
"""What is read of every trace; the rest of one is read when it is opened."""
NOBODY = -1
"""The code of what is None."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of words.

    Attributes:
        codes: places in `words`, -1 for None, shape (n,).
        words: each once.
    """

    codes: Codes
    words: tuple[str, ...]

    @classmethod
    def of(cls, values: Iterable[Any], words: Sequence[str] = ()) -> Self:
        """Codes a column; words that are known already keep their places."""
        place = {word: number for number, word in enumerate(words)}
        codes = [
            place.setdefault(value, len(place)) if isinstance(value, str) else NOBODY
            for value in values
        ]
        return cls(np.array(codes, dtype=np.int32), tuple(place))

    def is_word(self, word: str | None) -> npt.NDArray[np.bool_]:
        """Where a word stands; None finds where none does."""
        code = NOBODY if word is None else self.words.index(word) if word in self.words else NOBODY - 1
        return np.asarray(self.codes == code)

    def at(self, row: int) -> str | None:
        """The word of one row."""
        code = int(self.codes[row])
        return None if code == NOBODY else self.words[code]

    def texts(self, rows: npt.NDArray[np.intp]) -> list[str | None]:
        """The words of some rows."""
        return [None if code == NOBODY else self.words[code] for code in self.codes[rows].tolist()]


@dataclass(frozen=True, slots=True)
class Tries:
    """Calls to models that failed or were refused by a check, of all traces.

    Attributes:
        row: whose call it was.
        kind: why there is no answer; `refused` where a check refused it.
        model: that was asked.
    """

    row: npt.NDArray[np.intp]
    kind: Coded
    model: Coded


@dataclass(frozen=True, slots=True)
class Served:
    """Traces in the order of their time.

    Attributes:
        ids: trace ids, shape (n,).
        at_s: seconds since 1970 (UTC).
        words: columns of words by name.
        numbers: columns of numbers by name.
        tries: calls that gave no answer that was handed over.
    """

    ids: npt.NDArray[np.object_]
    at_s: Floats
    words: Mapping[str, Coded]
    numbers: Mapping[str, Floats]
    tries: Tries

    @classmethod
    def empty(cls) -> Self:
        """Returns no traces at all."""
        nothing = Coded(np.zeros(0, np.int32), ())
        return cls(
            ids=np.zeros(0, object),
            at_s=np.zeros(0),
            words=dict.fromkeys((*WORDS, "first", "shadow_first"), nothing),
            numbers=dict.fromkeys(NUMBERS, np.zeros(0)),
            tries=Tries(np.zeros(0, np.intp), nothing, nothing),
        )

    @property
    def n(self) -> int:
        """How many they are."""
        return len(self.ids)

    @property
    def shifted(self) -> npt.NDArray[np.bool_]:
        """Where health put another model first than the policy wanted."""
        # The words of both are coded apart, so codes cannot be compared.
        wanted, first = self.words["wanted"], self.words["first"]
        same = {word: number for number, word in enumerate(first.words)}
        into = np.array([same.get(word, NOBODY - 1) for word in wanted.words] + [NOBODY], dtype=np.int32)
        return np.asarray((wanted.codes != NOBODY) & (first.codes != NOBODY) & (into[wanted.codes] != first.codes))

    @property
    def agrees(self) -> Floats:
        """1 where the shadow would have asked the same model first, 0 where another, NaN where there was no shadow."""
        first, shadow = self.words["first"], self.words["shadow_first"]
        same = {word: number for number, word in enumerate(first.words)}
        into = np.array([same.get(word, NOBODY - 1) for word in shadow.words] + [NOBODY], dtype=np.int32)
        alike = (into[shadow.codes] == first.codes).astype(float)
        return np.where(self.words["shadow_rules"].codes == NOBODY, np.nan, alike)

    def joined(self, frame: pd.DataFrame) -> Served:
        """Returns these traces and those of a frame, each once.

        Args:
            frame: columns by the names of `Trace`; those that are missing are unknown.
        """
        ids = _column(frame, "trace_id")
        known = set(self.ids.tolist())
        fresh = np.array([one not in known for one in ids.tolist()], dtype=bool)
        fresh &= ~pd.Series(ids).duplicated().to_numpy()
        if not fresh.any():
            return self
        if not fresh.all():
            frame, ids = frame[fresh], ids[fresh]
        chains = {"first": _heads(frame, "chain"), "shadow_first": _heads(frame, "shadow_chain")}
        words = {
            name: _more(self.words[name], chains[name] if name in chains else _column(frame, name))
            for name in self.words
        }
        numbers = {name: np.concatenate([self.numbers[name], _floats(frame, name)]) for name in self.numbers}
        at_s = np.concatenate([self.at_s, seconds_of(frame["at"])])
        tries = _tries(_column(frame, "attempts"), self.n)
        order = np.argsort(at_s, kind="stable")
        place = np.empty(len(order), np.intp)
        place[order] = np.arange(len(order))
        return Served(
            ids=np.concatenate([self.ids, ids])[order],
            at_s=at_s[order],
            words={name: Coded(one.codes[order], one.words) for name, one in words.items()},
            numbers={name: one[order] for name, one in numbers.items()},
            tries=Tries(
                place[np.concatenate([self.tries.row, tries[0]]).astype(np.intp)],
                _more(self.tries.kind, tries[1]),
                _more(self.tries.model, tries[2]),
            ),
        )


def seconds_of(at: pd.Series[Any]) -> Floats:
    """Returns times as seconds since 1970 (UTC).

    Args:
        at: seconds, or times with or without a zone; those without are UTC.
    """
    if pd.api.types.is_numeric_dtype(at):
        return at.to_numpy(dtype=float)
    times = pd.to_datetime(at, utc=True).dt.tz_localize(None)
    return times.to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6


def _more(known: Coded, values: Iterable[Any]) -> Coded:
    added = Coded.of(values, known.words)
    return Coded(np.concatenate([known.codes, added.codes]), added.words)


def _column(frame: pd.DataFrame, name: str) -> npt.NDArray[np.object_]:
    if name not in frame:
        return np.full(len(frame), None, dtype=object)
    return frame[name].to_numpy(dtype=object)


def _floats(frame: pd.DataFrame, name: str) -> Floats:
    if name not in frame:
        return np.full(len(frame), np.nan)
    return pd.to_numeric(frame[name].astype(object).where(frame[name].notna(), None)).to_numpy(dtype=float, na_value=np.nan)


def _heads(frame: pd.DataFrame, name: str) -> list[str | None]:
    return [
        str(chain[0]) if chain is not None and not isinstance(chain, float) and len(chain) else None
        for chain in _column(frame, name)
    ]


def _tries(attempts: npt.NDArray[np.object_], start: int) -> tuple[list[int], list[str], list[str]]:
    rows, kinds, models = [], [], []
    for row, several in enumerate(attempts, start):
        if several is None or isinstance(several, float):
            continue
        for one in several:
            if one["verdict"] in ("failed", "refused"):
                rows.append(row)
                kinds.append("refused" if one["verdict"] == "refused" else one["error_kind"] or "unknown")
                models.append(one["model"])
    return rows, kinds, models
