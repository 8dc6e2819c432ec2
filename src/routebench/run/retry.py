"""What to do after an attempt: the one place that decides whether a call is sent again, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from routebench.types import Completion, ErrorKind

TRANSIENT: frozenset[ErrorKind] = frozenset({"timeout", "connection", "server", "malformed", "incomplete"})
"""Faults that may pass within seconds; a rate limit is not among them, it is an instruction."""

FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 20.0
MAX_WAIT_S = 120.0
"""A provider that asks for a longer wait than this is taken at its word by a later run, not by this one."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The decision about one attempt.

    Attributes:
        after: `answer` (nothing to repeat), `rate_limit`, `transient`, or `permanent`.
        wait_s: seconds until the next attempt, None where there is none.
    """

    after: Literal["answer", "rate_limit", "transient", "permanent"]
    wait_s: float | None = None

    @classmethod
    def decide(
        cls, completion: Completion, *, attempt: int, max_attempts: int, uniform: Callable[[float, float], float]
    ) -> Retry:
        """Decides after attempt number `attempt`, counted from 1.

        A wait that the provider asks for is obeyed and never shortened. Else the wait doubles with every attempt, with
        jitter, so that calls that failed together do not come back together.

        Args:
            completion: what the attempt brought.
            attempt: its number.
            max_attempts: how many there may be.
            uniform: draws between two numbers.
        """
        kind = completion.error_kind
        if kind is None:
            return cls("answer")
        if kind not in TRANSIENT and kind != "rate_limited":
            return cls("permanent")
        after: Literal["rate_limit", "transient"] = "rate_limit" if kind == "rate_limited" else "transient"
        asked = completion.retry_after_s
        if attempt >= max_attempts or (asked is not None and asked > MAX_WAIT_S):
            return cls(after)
        ceiling = min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2 ** (attempt - 1))
        jitter = uniform(ceiling / 2, ceiling)
        # What was asked for, and then not all at the same instant.
        return cls(after, jitter if asked is None else asked + min(jitter, 1.0) * 0.1)
