"""Traces as columns of numbers: read once from a frame, cut and counted as often as somebody asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain as joined
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from routebench.errors import InputError
from routebench.evaluate.choices import BoolArray, FloatArray, IntArray

NEEDED = ("trace_id", "at", "outcome")
"""Without these columns a frame is none of traces."""
COLUMNS = (
    *("trace_id", "at", "outcome", "policy", "conversation", "asked", "rule", "first", "wanted", "model", "error_kind"),
    *("explored", "propensity", "escalated", "cascade_wait_s", "cascade_extra_usd", "cost_usd", "latency_s", "ttft_s"),
    *("input_tokens", "output_tokens", "attempts", "features", "features_sha256", "shadow_rules", "shadow_chain"),
    "tags",
)
"""Those that are looked at, without texts."""
TEXTS = ("messages", "request")
"""Those that rows of a suite are made of besides."""
FAILURES = ("failed", "broken")
"""Outcomes of requests that got no whole answer although a model was asked."""
_UNKNOWN = -1


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """One word a trace, out of few.

    Attributes:
        names: the distinct ones, in the order in which they come first.
        by: position of each trace's word in `names`, -1 where there is none; shape (n,).
    """

    names: tuple[str, ...]
    by: IntArray

    @classmethod
    def of(cls, values: Any) -> Self:
        """Takes a word a trace; None and NaN are none."""
        series = values if isinstance(values, pd.Series) else pd.Series(values, dtype=object)
        codes, names = pd.factorize(series)
        return cls(tuple(map(str, names)), codes.astype(np.intp, copy=False))

    def take(self, at: IntArray | BoolArray) -> Self:
        """Returns the same for some of the traces; names that none of them has stay."""
        return replace(self, by=self.by[at])

    def are(self, *names: str) -> BoolArray:
        """Whether each trace has one of these words, shape (n,)."""
        codes = [place for place, name in enumerate(self.names) if name in names]
        return np.isin(self.by, codes)

    @property
    def known(self) -> BoolArray:
        """Whether each trace has a word, shape (n,)."""
        return self.by >= 0

    def chances(self, names: Sequence[str]) -> FloatArray:
        """Returns 1 for each trace's word among some names and 0 for the others, shape (n, k)."""
        place = {name: number for number, name in enumerate(names)}
        made = np.zeros((len(self.by), len(names)))
        at = np.array([*(place.get(name, -1) for name in self.names), -1], dtype=np.intp)[self.by]
        known = np.flatnonzero(at >= 0)
        made[known, at[known]] = 1.0
        return made

    def name(self, row: int) -> str | None:
        """Returns one trace's word."""
        at = int(self.by[row])
        return self.names[at] if at >= 0 else None

    def counts(self) -> dict[str, int]:
        """How many traces have each word, the commonest first."""
        found = np.bincount(self.by[self.by >= 0], minlength=len(self.names))
        order = np.argsort(-found, kind="stable")
        return {self.names[place]: int(found[place]) for place in order if found[place]}


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """n traces in the order of time; what is unknown is NaN, -1 or no word.

    Attributes:
        frame: the rows themselves, for texts, features and attempts.
        at_s: seconds since 1970 (UTC), shape (n,).
        conversation: number of each trace's conversation, a trace without one is alone; shape (n,).
        outcome: `ok`, `refused`, `failed`, `broken`, `cancelled`.
        policy: digests of the rule sets that decided.
        rule: that decided; none where nothing was decided.
        first: the model of the chain's head.
        wanted: the model that would have come first were every model well.
        model: that answered.
        error_kind: of the last failure.
        named: whether the client named the model, shape (n,).
        explored: whether exploration chose the first model, shape (n,).
        propensity: the chance with which it was chosen, shape (n,).
        escalated: 1 where a check refused an answer, 0 where it refused none, NaN without a cascade; shape (n,).
        cost_usd, latency_s, ttft_s, cascade_wait_s, cascade_extra_usd: shape (n,).
        input_tokens, output_tokens: shape (n,).
    """

    frame: pd.DataFrame
    at_s: FloatArray
    conversation: IntArray
    outcome: Words
    policy: Words
    rule: Words
    first: Words
    wanted: Words
    model: Words
    error_kind: Words
    named: BoolArray
    explored: BoolArray
    propensity: FloatArray
    escalated: FloatArray
    cost_usd: FloatArray
    latency_s: FloatArray
    ttft_s: FloatArray
    cascade_wait_s: FloatArray
    cascade_extra_usd: FloatArray
    input_tokens: FloatArray
    output_tokens: FloatArray

    @classmethod
    def of(cls, traces: pd.DataFrame | Self) -> Self:
        """Reads a frame with the columns of a `Trace`; columns that are missing are unknown throughout.

        Raises:
            InputError: the frame holds no traces.
        """
        if isinstance(traces, cls):
            return traces
        frame = cast("pd.DataFrame", traces)
        lacking = [name for name in NEEDED if name not in frame]
        if lacking:
            raise InputError(f"these are no traces: column {lacking[0]!r} is missing; give what `read_traces` returns")
        at = _moments(frame["at"])
        if len(at) and (np.diff(at) < 0).any():
            order = np.argsort(at, kind="stable")
            frame, at = frame.iloc[order], at[order]

        def words(name: str) -> Words:
            return Words.of(frame[name]) if name in frame else Words((), np.full(len(frame), _UNKNOWN, dtype=np.intp))

        def numbers(name: str) -> FloatArray:
            if name not in frame:
                return np.full(len(frame), np.nan)
            return pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)

        def flags(name: str) -> FloatArray:
            if name not in frame:
                return np.full(len(frame), np.nan)
            values = frame[name]
            if values.dtype == bool:
                return values.to_numpy(dtype=float)
            return pd.to_numeric(values.astype("boolean").astype("Float64")).to_numpy(dtype=float, na_value=np.nan)

        chains = frame["chain"] if "chain" in frame else [None] * len(frame)
        return cls(
            frame=frame,
            at_s=at,
            conversation=_conversations(frame),
            outcome=words("outcome"),
            policy=words("policy"),
            rule=words("rule"),
            first=words("first") if "first" in frame else Words.of([head(chain) for chain in chains]),
            wanted=words("wanted"),
            model=words("model"),
            error_kind=words("error_kind"),
            named=frame["asked"].notna().to_numpy() if "asked" in frame else np.zeros(len(frame), dtype=bool),
            explored=flags("explored") == 1,
            propensity=numbers("propensity"),
            escalated=flags("escalated"),
            cost_usd=numbers("cost_usd"),
            latency_s=numbers("latency_s"),
            ttft_s=numbers("ttft_s"),
            cascade_wait_s=numbers("cascade_wait_s"),
            cascade_extra_usd=numbers("cascade_extra_usd"),
            input_tokens=numbers("input_tokens"),
            output_tokens=numbers("output_tokens"),
        )

    @property
    def n(self) -> int:
        """Number of traces."""
        return len(self.at_s)

    @property
    def decided(self) -> BoolArray:
        """Requests whose model the policy chose: something was decided, and no client named a model; shape (n,)."""
        return self.rule.known & ~self.named

    @property
    def asked(self) -> BoolArray:
        """Requests for which a model was asked to the end: neither refused nor given up by the client; shape (n,)."""
        return ~self.outcome.are("refused", "cancelled")

    @property
    def failed(self) -> BoolArray:
        """Requests that got no whole answer although a model was asked, shape (n,)."""
        return self.outcome.are(*FAILURES)

    @property
    def shifted(self) -> BoolArray:
        """Requests that health sent elsewhere than first wanted; exploration is none of its shifts. Shape (n,)."""
        place = {name: number for number, name in enumerate(self.first.names)}
        same = np.array([place.get(name, _UNKNOWN) for name in self.wanted.names] or [_UNKNOWN], dtype=np.intp)
        moved = same[np.maximum(self.wanted.by, 0)] != self.first.by
        told: BoolArray = moved & self.wanted.known & self.first.known & ~self.explored
        return told

    def take(self, at: IntArray | BoolArray) -> Self:
        """Returns some of the traces, by position or by a mask; conversations are numbered anew."""
        if at.dtype == bool and at.all():
            return self
        cut: dict[str, Any] = {"frame": self.frame[at] if at.dtype == bool else self.frame.iloc[at]}
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, Words):
                cut[one.name] = value.take(at)
            elif isinstance(value, np.ndarray):
                cut[one.name] = value[at]
        cut["conversation"] = pd.factorize(cut["conversation"])[0].astype(np.intp, copy=False)
        return replace(self, **cut)

    def attempts(self) -> Attempts:
        """Returns every call to a model that these traces tell of."""
        told = self.frame["attempts"].to_numpy(dtype=object) if "attempts" in self.frame else [()] * self.n
        some = [() if one is None else one for one in told]
        rows = np.repeat(np.arange(self.n), np.fromiter(map(len, some), dtype=np.intp, count=self.n))
        calls = list(joined.from_iterable(some))
        return Attempts(
            rows,
            Words.of([one["model"] for one in calls]),
            Words.of([one["verdict"] for one in calls]),
            Words.of([one.get("error_kind") for one in calls]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Attempts:
    """Calls to models.

    Attributes:
        row: the position of the trace that a call belongs to, shape (c,).
        model: that was called.
        verdict: `accepted`, `refused`, `failed`, `cancelled`.
        error_kind: why there is no answer.
    """

    row: IntArray
    model: Words
    verdict: Words
    error_kind: Words


def is_filled(value: Any) -> bool:
    """Whether a cell of a frame holds a list with something in it."""
    return isinstance(value, (list, tuple, np.ndarray)) and len(value) > 0


def head(chain: Any) -> str | None:
    """Returns the first model of a cell that holds a chain, None where it holds none."""
    return chain[0] if is_filled(chain) else None


def _moments(values: pd.Series) -> FloatArray:
    """Seconds since 1970 (UTC)."""
    if isinstance(values.dtype, pd.DatetimeTZDtype) or values.dtype.kind == "M":
        moments = pd.DatetimeIndex(values)
        moments = moments.tz_convert("UTC").tz_localize(None) if moments.tz is not None else moments
        return moments.to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
    return cast("npt.NDArray[np.float64]", values.to_numpy(dtype=float))


def _conversations(frame: pd.DataFrame) -> IntArray:
    if "conversation" not in frame:
        return np.arange(len(frame), dtype=np.intp)
    codes = pd.factorize(frame["conversation"])[0].astype(np.intp, copy=False)
    alone = codes < 0
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(int(alone.sum()))
    return codes
