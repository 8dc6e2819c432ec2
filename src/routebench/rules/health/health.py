"""Health: models that fail or slow down go to the end of the chain until they are well again."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from routebench.errors import InputError, nearest
from routebench.rules.health.pace import Ticket
from routebench.rules.health.policy import HealthPolicy
from routebench.rules.health.standing import Cause, Standing, State
from routebench.types import ErrorKind

__all__ = ["Health", "HealthPolicy", "HealthReport", "State", "Ticket"]

BLAMELESS_KINDS: frozenset[ErrorKind] = frozenset({"bad_request", "context_overflow", "content_filter", "abstained"})
"""Errors that a request brings upon itself: the next one would fare well, and so would this one nowhere else. They
count as neither good nor bad, for a provider that refuses at once may still be down for what it would have to answer.
All other kinds count, `budget` too: an account without credit fails every request until somebody pays."""


class HealthReport(TypedDict):
    """How one model is doing, in plain values.

    Attributes:
        state: `closed` (well), `open` (passed over) or `half_open` (probed).
        since_s: for how many seconds.
        cause: `errors` or `slow`; None while it is well.
        n: requests in the window.
        error_rate: share of those ended that failed; None while none has ended.
        slow_share: share of those with a known latency that were slow or are overdue; None while there is none.
        p90_s: 90th percentile of the latency in good times of requests without a kind; None while unknown.
    """

    state: State
    since_s: float
    cause: Cause | None
    n: int
    error_rate: float | None
    slow_share: float | None
    p90_s: float | None


@dataclass(frozen=True, slots=True)
class _Board:
    """What readers see: who is not well, and until when that is sure to hold if nobody records anything."""

    ill: Mapping[str, State] = field(default_factory=dict)
    due_s: float = math.inf


class Health:
    """Keeps watch over models or their deployments; safe to use from many threads.

    Recording takes a lock for some microseconds. `order` and `state` take none while all are well and nothing is
    overdue: they read one immutable board, which writers replace and never change. Loading an attribute is atomic under
    CPython with and without the global lock, so that a reader has the old board or the new one, whole.

    Args:
        policy: when a model is ill.
        names: what can be asked: models, or deployments such as `large#2`.
        clock: seconds that only grow.
    """

    def __init__(self, policy: HealthPolicy, names: Iterable[str], clock: Callable[[], float]) -> None:
        self.policy = policy
        self._clock = clock
        self._lock = threading.Lock()
        now = clock()
        self._standings = {name: Standing(policy, _known_p90(policy, name), now) for name in names}
        self._board = _Board()

    def is_like(self, other: Health) -> bool:
        """Whether another one watches the same names under the same policy."""
        return self.policy == other.policy and self._standings.keys() == other._standings.keys()

    def started(self, name: str, kind: str = "") -> Ticket:
        """Notes that a request was sent, so that it counts as slow as soon as it is overdue.

        Args:
            name: who is asked.
            kind: calls of one kind take alike long; few kinds are best, and beyond 32 a name they share one.

        Returns:
            What `ended` or `cancelled` must be given. One that never is counts as overdue once, and is then forgotten.

        Raises:
            InputError: nobody has that name.
        """
        standing = self._standing(name)
        with self._lock:
            pace, now = standing.pace(kind), self._clock()
            ticket = Ticket(name, pace, now)
            standing.start(now)
            pace.wait(ticket)
            standing.due_s = min(standing.due_s, pace.due_s)
            self._tell(name, standing)
        return ticket

    def ended(self, ticket: Ticket, *, error_kind: ErrorKind | None = None, latency_s: float | None = None) -> None:
        """Counts the end of a request, once.

        Args:
            ticket: that `started` gave.
            error_kind: how it failed; None where it did not.
            latency_s: how long it took, where that was measured; by the clock when left out.
        """
        with self._lock:
            if ticket.done:
                return
            ticket.done = True
            ticket.pace.waiting.pop(ticket, None)
            now = self._clock()
            took_s = now - ticket.started_s if latency_s is None else _finite(latency_s)
            standing = self._standings[ticket.name]
            standing.settle(now)
            if error_kind not in BLAMELESS_KINDS:
                bad = error_kind is not None
                standing.count(now, ticket.started_s, ticket.pace, latency_s=took_s, bad=bad, overdue=ticket.overdue)
            self._tell(ticket.name, standing)

    def cancelled(self, ticket: Ticket) -> None:
        """Forgets a request that the client gave up; that it was overdue already stays counted."""
        with self._lock:
            ticket.done = True
            ticket.pace.waiting.pop(ticket, None)

    def observe(
        self, name: str, *, latency_s: float | None, error_kind: ErrorKind | None = None, kind: str = ""
    ) -> None:
        """Counts a request of which one is told only now that it has ended: it was sent `latency_s` ago.

        What was sent before the present probation, or before the present good times, says nothing about them. Of calls
        that hang it is told only when they time out; with `started` they count as soon as they are overdue.

        Args:
            name: who was asked.
            latency_s: how long it took, None while unknown.
            error_kind: how it failed; None where it did not.
            kind: calls of one kind take alike long.

        Raises:
            InputError: nobody has that name.
        """
        standing = self._standing(name)
        if error_kind in BLAMELESS_KINDS:
            return
        took_s = None if latency_s is None else _finite(latency_s)
        with self._lock:
            now = self._clock()
            standing.settle(now)
            pace = standing.pace(kind)
            standing.count(now, now - (took_s or 0.0), pace, latency_s=took_s, bad=error_kind is not None)
            self._tell(name, standing)

    def order(self, chain: Sequence[str], probe: bool = True) -> tuple[str, ...]:  # noqa: FBT001, FBT002
        """Returns a chain with those who are well first, then those on probation, then those passed over.

        One on probation keeps its place before those who are well when a probe is granted, and behind the first of them
        in any case: it is not asked yet, and where it comes to that, this is asked again. No name is dropped or added,
        and each group keeps its order. Of those passed over, who is slow comes before who fails: where all are,
        somebody must be asked, and a slow answer is one.

        Args:
            chain: names in the order in which they would be asked; those that nobody has are taken to be well.
            probe: whether the request may be a probe, which counts against `probe_per_s`.
        """
        ill = self._now().ill if len(chain) > 1 else {}
        if not ill:
            return tuple(chain)
        passed_over = [name for name in chain if ill.get(name) == "open"]
        if len(passed_over) > 1:
            passed_over.sort(key=lambda name: self._standings[name].cause == "errors")
        asked = [name for name in chain if ill.get(name) != "open"]
        first_well = next((place for place, name in enumerate(asked) if name not in ill), None)
        if first_well is None:
            return (*asked, *passed_over)
        before = asked[:first_well]
        probed = next((name for name in before if self.may_probe(name)), None) if probe else None
        later = [name for name in before if name != probed]
        return (*([] if probed is None else [probed]), *asked[first_well:], *later, *passed_over)

    def may_probe(self, name: str) -> bool:
        """Returns whether one request may go to a name that is half open, and counts it as sent.

        Raises:
            InputError: nobody has that name.
        """
        standing = self._standing(name)
        with self._lock:
            now = self._clock()
            standing.settle(now)
            granted = standing.grant_probe(now)
            self._tell(name, standing)
        return granted

    def state(self, name: str) -> State:
        """Returns how a name is doing: `closed` (well), `open` (passed over) or `half_open` (probed).

        Raises:
            InputError: nobody has that name.
        """
        self._standing(name)
        return self._now().ill.get(name, "closed")

    def ill(self) -> Mapping[str, State]:
        """Returns who is not well, by name; empty while all are."""
        return self._now().ill

    def report(self) -> dict[str, HealthReport]:
        """Returns how everybody is doing, for panels and metrics."""
        with self._lock:
            now = self._clock()
            self._refresh(now)
            return {name: _report(standing, now) for name, standing in self._standings.items()}

    def _now(self) -> _Board:
        board = self._board
        if self._clock() < board.due_s:
            return board
        with self._lock:
            self._refresh(self._clock())
            return self._board

    def _refresh(self, now: float) -> None:
        for standing in self._standings.values():
            standing.settle(now)
        self._publish()

    def _tell(self, name: str, standing: Standing) -> None:
        """Publishes a change of one standing, where it is one that readers must see."""
        board = self._board
        if standing.state != board.ill.get(name, "closed") or standing.due_s < board.due_s:
            self._publish()

    def _publish(self) -> None:
        ill: dict[str, State] = {
            name: standing.state for name, standing in self._standings.items() if standing.state != "closed"
        }
        self._board = _Board(ill, min((standing.due_s for standing in self._standings.values()), default=math.inf))

    def _standing(self, name: str) -> Standing:
        found = self._standings.get(name)
        if found is None:
            known = ", ".join(self._standings)
            raise InputError(f"no health is kept of {name!r}{nearest(name, self._standings)}; it is of: {known}")
        return found


def _known_p90(policy: HealthPolicy, name: str) -> float | None:
    """What is known of a deployment is what is known of its model."""
    model, mark, number = name.rpartition("#")
    return policy.p90_s.get(name, policy.p90_s.get(model) if mark and number.isdigit() else None)


def _finite(latency_s: float) -> float | None:
    return latency_s if math.isfinite(latency_s) and latency_s >= 0 else None


def _report(standing: Standing, now: float) -> HealthReport:
    window = standing.window
    window.move(now)
    return {
        "state": standing.state,
        "since_s": now - standing.since_s,
        "cause": standing.cause,
        "n": window.seen,
        "error_rate": window.bad / window.ended if window.ended else None,
        "slow_share": window.slow / window.timed if window.timed else None,
        "p90_s": standing.pace("").p90_s,
    }
