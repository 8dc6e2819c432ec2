"""The calls to one account of one provider, with the limit that they share and a breaker for each model."""

from __future__ import annotations

from collections import deque

from routebench.run.breaker import Breaker
from routebench.run.limiter import Limiter, Ticket
from routebench.run.plan import PlannedCall
from routebench.run.progress import LaneProgress
from routebench.run.retry import MAX_WAIT_S
from routebench.types import Completion


class Lane:
    """One account's calls.

    Args:
        provider: the provider's name.
        name: what people see: the provider, and where it is when that is not its own address.
        limiter: the account's limit.
        calls: what is still to be sent, in order.

    Attributes:
        paused: model -> why nothing more is sent to it.
        n_workers: how many calls it works on at once, waits for retries included.
    """

    def __init__(self, provider: str, name: str, limiter: Limiter, calls: deque[PlannedCall]) -> None:
        self.provider = provider
        self.name = name
        self.limiter = limiter
        self.paused: dict[str, str] = {}
        self.n_workers = min(len(calls), limiter.maximum)
        self._queue = calls
        self._breakers: dict[str, Breaker] = {}

    def next(self) -> PlannedCall | None:
        """Takes the next call of a model that is not paused; None when there is none."""
        while self._queue:
            planned = self._queue.popleft()
            if planned.model.name not in self.paused:
                return planned
        return None

    def put_back(self, planned: PlannedCall) -> None:
        """Returns a call that was not sent."""
        self._queue.appendleft(planned)

    def release(self, ticket: Ticket, completion: Completion | None) -> None:
        """Ends an attempt: what it brought moves the limit."""
        if completion is None:
            self.limiter.give_back(ticket)
            return
        wait_s = min(completion.retry_after_s or 0.0, MAX_WAIT_S)
        if completion.error_kind == "rate_limited":
            self.limiter.refused(ticket, wait_s)
        else:
            self.limiter.give_back(ticket, ok=completion.status == "ok")
            self.limiter.pause(wait_s)

    def ended(self, planned: PlannedCall, completion: Completion) -> None:
        """Notes how a call ended, and pauses its model where it only fails."""
        name = planned.model.name
        breaker = self._breakers.setdefault(name, Breaker())
        breaker.note(completion)
        reason = breaker.reason
        if completion.error_kind == "rate_limited" and (completion.retry_after_s or 0.0) > MAX_WAIT_S:
            reason = f"the provider asks to wait {completion.retry_after_s:.0f} s ({completion.error})"
        if reason is not None:
            self.paused.setdefault(name, reason)

    def progress(self) -> LaneProgress:
        """A snapshot; safe from any thread."""
        limiter = self.limiter
        return LaneProgress(self.name, limiter.limit, limiter.in_flight, limiter.wait_s, limiter.cuts)
