"""The latest calls of a run, one by one: what a person watches while it goes."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

from routebench.run.plan import PlannedCall
from routebench.types import Completion, ErrorKind

CALLS_KEPT = 500
PROBLEMS_KEPT = 200


@dataclass(frozen=True, slots=True)
class RecentCall:
    """A call that has ended.

    Attributes:
        at_s: when it ended, in seconds from the start of the run.
        case_id: whose answer it is, None for a call that is no cell of the suite, such as a judge's.
        latency_s: of the last attempt, None while unknown.
        error_kind: why there is no answer, None where there is one.
        retried: the kind of error of every attempt before the last one, in order.
    """

    at_s: float
    model: str
    case_id: str | None
    latency_s: float | None
    error_kind: ErrorKind | None = None
    error: str | None = None
    retried: tuple[ErrorKind, ...] = ()

    @property
    def has_failed(self) -> bool:
        """Whether there is no answer; a model that declines to answer has not failed."""
        return self.error_kind not in (None, "abstained")

    def __str__(self) -> str:
        """What happened to whom: `429 three times, then ok` reads `3 x rate_limited, then ok`."""
        tries = [f"{number} x {kind}" for kind, number in Counter(self.retried).items()]
        end = "ok" if self.error_kind is None else f"{self.error_kind}: {self.error}"
        return ", then ".join([", ".join(tries), end] if tries else [end])


class Recent:
    """Keeps the latest calls, and the latest that did not go smoothly; written by the run's thread, read by any."""

    def __init__(self) -> None:
        self._calls: deque[RecentCall] = deque(maxlen=CALLS_KEPT)
        self._problems: deque[RecentCall] = deque(maxlen=PROBLEMS_KEPT)
        self._retried: dict[str, list[ErrorKind]] = {}
        self._lock = threading.Lock()

    def retried(self, planned: PlannedCall, completion: Completion) -> None:
        """Notes an attempt that failed and will be repeated."""
        if completion.error_kind is not None:
            with self._lock:
                self._retried.setdefault(planned.key, []).append(completion.error_kind)

    def add(self, planned: PlannedCall, completion: Completion, at_s: float) -> None:
        """Notes how a call ended."""
        with self._lock:
            # A repetition that the end of the run has cut off was none.
            retried = self._retried.pop(planned.key, [])[: completion.attempts - 1]
            call = RecentCall(
                at_s,
                planned.model.name,
                planned.case_id,
                completion.latency_s,
                completion.error_kind,
                completion.error,
                tuple(retried),
            )
            self._calls.append(call)
            if call.has_failed or call.retried:
                self._problems.append(call)

    def calls(self) -> Sequence[RecentCall]:
        """The latest calls, newest last."""
        with self._lock:
            return tuple(self._calls)

    def problems(self) -> Sequence[RecentCall]:
        """The latest calls that failed, or were answered only when tried again; newest last."""
        with self._lock:
            return tuple(self._problems)
