"""A model that only fails is paused, so that a wrong key does not fail ten thousand calls."""

from __future__ import annotations

from routebench.types import Completion, ErrorKind

PERMANENT_IN_A_ROW = 5
TRANSIENT_IN_A_ROW = 10
AFTER_SUCCESS = 25
"""Failures in a row that pause a model which has answered before: an outage, and not a mistake."""

_CASE_BY_CASE: frozenset[ErrorKind | None] = frozenset({"abstained", "content_filter", "context_overflow"})
_PERMANENT: frozenset[ErrorKind | None] = frozenset({"auth", "bad_request"})


class Breaker:
    """Counts how the calls of one model ended; every call was tried as often as it may be before it counts here."""

    def __init__(self) -> None:
        self._answered = False
        self._kind: ErrorKind | None = None
        self._in_a_row = 0
        self.reason: str | None = None

    def note(self, completion: Completion, *, in_flight: int = 0) -> None:
        """Takes the end of a call; afterwards `reason` says why the model should be paused, if it should.

        Refusals come back faster than answers. What is still in flight may be answered, so a refusal that can be the
        case's own fault counts only beyond that.

        Args:
            completion: how the call ended.
            in_flight: calls of the same model that have not ended.
        """
        kind = completion.error_kind
        if kind is None:
            self._answered, self._in_a_row, self.reason = True, 0, None
            return
        if kind in _CASE_BY_CASE:
            return
        self._in_a_row = self._in_a_row + 1 if kind == self._kind else 1
        self._kind = kind
        first = PERMANENT_IN_A_ROW if kind in _PERMANENT else TRANSIENT_IN_A_ROW
        waiting = in_flight if kind == "bad_request" else 0
        if self._in_a_row >= (AFTER_SUCCESS if self._answered else first) + waiting:
            self.reason = f"{self._in_a_row} calls in a row failed ({kind}: {completion.error})"
