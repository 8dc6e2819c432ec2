"""The traces that a panel looks at, as columns; what only a panel asks for stands beside what drift asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from routebench.drifting import Served
from routebench.drifting.served import Words, is_filled
from routebench.evaluate.choices import BoolArray, FloatArray, IntArray

READ = (
    *("trace_id", "at", "outcome", "status", "policy", "rules", "client", "conversation", "asked", "rule"),
    *("chain", "wanted", "explored", "model", "error_kind", "attempts", "escalated", "cascade_wait_s"),
    *("cascade_extra_usd", "input_tokens", "output_tokens", "cost_usd", "latency_s", "ttft_s", "propensity"),
    *("shadow_rules", "shadow_rule", "shadow_chain", "features"),
)
"""What is read of every trace; the rest of one is read when it is opened."""
NONE = "(none)"
"""What stands where a trace has no such word."""


@dataclass(frozen=True, slots=True, eq=False)
class Log:
    """n traces in the order of time.

    Attributes:
        served: what was decided, what it cost and how long it took; its frame has no columns.
        ids: of the traces, shape (n,).
        status: of HTTP, NaN where unknown; shape (n,).
        client: names of gateway keys.
        rules: names of the rule sets that decided.
        shadow: 1 where the shadow would have asked the same model first, 0 where another one or none, NaN where there
            was no shadow; shape (n,).
        shadow_first: the model that it would have asked.
        shadow_rule: its rule.
        tries: a pair (row, kind) for every call that failed or whose answer a check refused.
    """

    served: Served
    ids: npt.NDArray[np.object_]
    status: FloatArray
    client: Words
    rules: Words
    shadow: FloatArray
    shadow_first: Words
    shadow_rule: Words
    tries: tuple[IntArray, Words]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Self:
        """Reads a frame of traces.

        Raises:
            InputError: it holds no traces.
        """
        served = Served.of(frame)
        frame = served.frame
        attempts = served.attempts()
        unanswered = attempts.verdict.are("failed", "refused")
        kinds = [
            "answer refused" if verdict == "refused" else f"call failed: {kind or 'unknown'}"
            for verdict, kind in zip(
                _texts(attempts.verdict, unanswered), _texts(attempts.error_kind, unanswered), strict=True
            )
        ]
        shadow_first = Words.of([one[0] if is_filled(one) else None for one in _cells(frame, "shadow_chain")])
        return cls(
            served=replace(served, frame=frame[[]]),
            ids=frame["trace_id"].to_numpy(dtype=object),
            status=_numbers(frame, "status"),
            client=Words.of(_cells(frame, "client")),
            rules=Words.of(_cells(frame, "rules")),
            shadow=_agreement(served.first, shadow_first, Words.of(_cells(frame, "shadow_rules"))),
            shadow_first=shadow_first,
            shadow_rule=Words.of(_cells(frame, "shadow_rule")),
            tries=(attempts.row[unanswered], Words.of(kinds)),
        )

    @property
    def n(self) -> int:
        """How many they are."""
        return self.served.n

    def take(self, kept: BoolArray) -> Self:
        """Returns some of the traces."""
        if kept.all():
            return self
        place = np.cumsum(kept) - 1
        row, kinds = self.tries
        those = kept[row]
        return replace(
            self,
            served=self.served.take(kept),
            ids=self.ids[kept],
            status=self.status[kept],
            client=self.client.take(kept),
            rules=self.rules.take(kept),
            shadow=self.shadow[kept],
            shadow_first=self.shadow_first.take(kept),
            shadow_rule=self.shadow_rule.take(kept),
            tries=(place[row[those]], kinds.take(those)),
        )


def word_at(words: Words, row: int) -> str | None:
    """Returns the word of one trace."""
    code = int(words.by[row])
    return None if code < 0 else words.names[code]


def _agreement(first: Words, shadow: Words, rules: Words) -> FloatArray:
    # The words of both are numbered apart.
    place = {name: number for number, name in enumerate(first.names)}
    same = np.array([*(place.get(name, -2) for name in shadow.names), -2], dtype=np.intp)
    return np.where(rules.known, (same[shadow.by] == first.by).astype(float), np.nan)


def _texts(words: Words, those: BoolArray) -> list[str | None]:
    return [None if code < 0 else words.names[code] for code in words.by[those].tolist()]


def _cells(frame: pd.DataFrame, name: str) -> Any:
    return frame[name] if name in frame else [None] * len(frame)


def _numbers(frame: pd.DataFrame, name: str) -> FloatArray:
    if name not in frame:
        return np.full(len(frame), np.nan)
    return pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
