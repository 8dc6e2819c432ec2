"""A model that only fails is paused, so that a wrong key does not fail ten thousand calls."""

from __future__ import annotations

from routebench.types import Completion, ErrorKind

PERMANENT_IN_A_ROW = 5
TRANSIENT_IN_A_ROW = 10
AFTER_SUCCESS = 25
"""Failures in a row that pause a model which has answered before: an outage, and not a mistake."""

_CASE_BY_CASE: frozenset[ErrorKind | None] = frozenset({"abstained", "content_filter", "context_overflow", "malformed"})
_PERMANENT: frozenset[ErrorKind | None] = frozenset({"auth", "bad_request"})


class Breaker:
    """Counts how the calls of one model ended; every call was tried as often as it may be before it counts here."""

    def __init__(self) -> None:
        self._answered = False
        self._kind: ErrorKind | None = None
        self._in_a_row = 0
        self.reason: str | None = None

    def note(self, completion: Completion) -> None:
        """Takes the end of a call; afterwards `reason` says why the model should be paused, if it should."""
        kind = completion.error_kind
        if kind is None:
            self._answered, self._in_a_row, self.reason = True, 0, None
            return
        if kind in _CASE_BY_CASE:
            return
        self._in_a_row = self._in_a_row + 1 if kind == self._kind else 1
        self._kind = kind
        first = PERMANENT_IN_A_ROW if kind in _PERMANENT else TRANSIENT_IN_A_ROW
        if self._in_a_row >= (AFTER_SUCCESS if self._answered else first):
            self.reason = f"{self._in_a_row} calls in a row failed ({kind}: {completion.error})"
