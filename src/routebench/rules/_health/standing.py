"""How one model is doing: well, passed over, or on probation."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from routebench.rules.pace import Pace

State = Literal["closed", "open", "half_open"]
"""Words of a circuit breaker: requests flow (closed), are cut off (open), or are let through one by one (half open)."""

Cause = Literal["errors", "slow"]
"""Why a model was passed over."""

_SLOW_SHARE = 0.5
"""Of the calls, this share being slow is a slow-down. In good times a few in a hundred are."""
_STEPS = 50
"""The window moves on in so many steps; all calls of one step are four numbers."""
_MOST_KINDS = 32
"""Kinds of request with a pace of their own; further ones share one, so that callers cannot fill the memory."""
_COOLER = 1.1
_COOLEST = 1.25
"""The cool-down grows by a tenth each time, to a quarter more and no further: the four or five probes of each round
cost next to nothing, and a model that is well again must be back in 35 s: 12.5 to cool down, 15 for 30 probes, the
rest for calls that were sent before, and for the answers."""
_FEW = 5
"""Where requests are too few for all the probes, so many must do after the time that all would have taken."""


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """When a model is passed over because it fails or slows down, and when it is tried again.

    Attributes:
        window_s: seconds that are looked back on.
        min_requests: where the window holds fewer, it is stretched to the last so many; where these are not to be had,
            the missing ones are taken to be good.
        max_error_rate: share of failures that is too much.
        min_errors: failures that there must be at least.
        slow_factor: a call is slow that takes so many times the 90th percentile of its kind.
        cooldown_s: seconds without requests before it is probed.
        probe_per_s: probes in a second.
        max_window_s: seconds that the window is stretched to at most.
        reopen_bad: it is healthy again when at most so many of the last `reopen_of` were bad.
        reopen_of: requests that this looks back on.
        p90_s: known 90th percentiles of latency in seconds, by model. That of one kind of request is learned, and then
            counts for that kind; requests without a kind are held to this one.
    """

    window_s: float = 10.0
    min_requests: int = 20
    max_error_rate: float = 0.2
    min_errors: int = 5
    slow_factor: float = 1.5
    cooldown_s: float = 10.0
    probe_per_s: float = 2.0
    max_window_s: float = 60.0
    reopen_bad: int = 3
    reopen_of: int = 30
    p90_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Step:
    start_s: float
    seen: int = 0
    ended: int = 0
    bad: int = 0
    timed: int = 0
    slow: int = 0


class Window:
    """Counts of the latest requests, in memory that does not grow with them.

    Args:
        span_s: seconds that are looked back on.
        most_s: seconds that this is stretched to at most while fewer than `least` requests are in it.
        least: requests that there should be.

    Attributes:
        seen: requests in all, each once.
        ended: those whose end is known; `bad` of them failed.
        timed: those whose latency is known, or known to be too long; `slow` of them are slow.
    """

    def __init__(self, span_s: float, most_s: float, least: int) -> None:
        self._span_s = span_s
        self._most_s = max(span_s, most_s)
        self._least = least
        self._steps: deque[_Step] = deque()
        self.clear()

    def __len__(self) -> int:
        return len(self._steps)

    def clear(self) -> None:
        """Forgets all."""
        self._steps.clear()
        self.seen = self.ended = self.bad = self.timed = self.slow = 0

    def add(self, now: float, *, new: bool, ended: bool, bad: bool, timed: bool, slow: bool) -> None:
        """Counts one request, or what has become known of one since it was counted (not `new`)."""
        if not self._steps or now >= self._steps[-1].start_s + self._span_s / _STEPS:
            self._steps.append(_Step(now))
        last = self._steps[-1]
        for counts in (last, self):
            counts.seen += new
            counts.ended += ended
            counts.bad += bad
            counts.timed += timed
            counts.slow += slow
        self.move(now)

    def move(self, now: float) -> None:
        """Forgets what is too old: older than the window while enough is left, or older than the longest window."""
        while self._steps:
            first = self._steps[0]
            age_s = now - first.start_s
            if age_s <= self._span_s or (age_s <= self._most_s and self.seen - first.seen < self._least):
                break
            self._steps.popleft()
            self.seen -= first.seen
            self.ended -= first.ended
            self.bad -= first.bad
            self.timed -= first.timed
            self.slow -= first.slow


class Standing:
    """The state of one model and what it rests on. Not safe to use from many threads; its `Health` holds the lock.

    closed ── too many errors, or half of the calls slow ──► open ── cool-down over ──► half_open
      ▲                                                       ▲                           │ │
      │                                                       └── again bad, cooler ──────┘ │
      └──────────── few bad ones among enough requests ─────────────────────────────────────┘

    It takes 20 % of errors to open and 10 % to close; in between it stays on probation.

    Attributes:
        state: as of the last `settle` or `count`.
        since_s: when it came about.
        cause: why it is not closed; None while it is.
        due_s: nothing changes by time alone before this.
        window: the latest requests.
    """

    def __init__(self, policy: HealthPolicy, known_s: float | None, now: float) -> None:
        self._policy = policy
        self._known_s = known_s
        self._paces = {"": self._pace(of_kind=True)}
        self._others = self._pace()
        self._results: deque[Cause | None] = deque(maxlen=policy.reopen_of)
        self._until_s = math.inf
        self._next_probe_s = -math.inf
        self._well_s = -math.inf
        self._reopened = 0
        self.state: State = "closed"
        self.since_s = now
        self.cause: Cause | None = None
        self.due_s = math.inf
        self.window = Window(policy.window_s, policy.max_window_s, policy.min_requests)
        # In good times a few calls in a hundred are slow, and half of them is far from that: the later half of the
        # window tells as surely, and some seconds sooner.
        self._later_half = Window(policy.window_s / 2, policy.max_window_s, policy.min_requests)

    def pace(self, kind: str) -> Pace:
        """Returns the pace of a kind of request."""
        found = self._paces.get(kind)
        if found is None:
            if len(self._paces) >= _MOST_KINDS:
                return self._others
            found = self._paces[kind] = self._pace()
        return found

    def settle(self, now: float) -> None:
        """Lets time pass: a cool-down ends, calls that are under way become overdue."""
        if now < self.due_s:
            return
        if now >= self._until_s:
            # Not `now`: when the probation began must not depend on who asked first.
            self.state, self.since_s, self._until_s = "half_open", self._until_s, math.inf
            self._results.clear()
        paces = (*self._paces.values(), self._others)
        for pace in paces:
            for ticket in pace.overdue(now):
                self._count(now, ticket.started_s, new=True, ended=False, bad=False, timed=True, slow=True)
        self.due_s = min(self._until_s, *(pace.due_s for pace in paces))

    def count(
        self, now: float, began_s: float, pace: Pace, *, latency_s: float | None, bad: bool, overdue: bool = False
    ) -> None:
        """Counts a request that has ended.

        Args:
            now: when, in seconds.
            began_s: when it was sent.
            pace: of its kind.
            latency_s: how long it took, None while unknown.
            bad: whether it failed through the fault of the provider.
            overdue: it was counted as slow already.
        """
        slow = latency_s is not None and not overdue and pace.is_slow(latency_s)
        if latency_s is not None and not bad and self._learns(pace, began_s, latency_s, now):
            # Calls under way may be overdue by the new limit.
            self.due_s = now
        # A quick failure is no sign of speed; a late one is a sign of slowness.
        timed = slow or (latency_s is not None and not overdue and not bad)
        self._count(now, began_s, new=not overdue, ended=True, bad=bad, timed=timed, slow=slow)

    def grant_probe(self, now: float) -> bool:
        """Returns whether one request may be sent to try it, and counts that it is sent."""
        if self.state != "half_open" or now < self._next_probe_s:
            return False
        self._next_probe_s = now + 1.0 / self._policy.probe_per_s
        return True

    def _pace(self, *, of_kind: bool = False) -> Pace:
        return Pace(self._policy.slow_factor, self._policy.min_requests, self._known_s, of_kind=of_kind)

    def _learns(self, pace: Pace, began_s: float, latency_s: float, now: float) -> bool:
        if not pace.learned:
            # Else a kind that is slow by nature would be held for ever to what is known of all kinds together.
            return self.state != "open" and pace.learn(latency_s, now)
        if self.state != "closed" or began_s < self._well_s:
            return False
        # What comes while many calls are slow may be the beginning of a slow-down; or the first guess was too low,
        # and then leaving out what is slow would keep it there.
        later = self._later_half
        calm = later.slow < 0.5 * _SLOW_SHARE * max(later.timed, self._policy.min_requests)
        return (calm or not pace.settled) and pace.learn(latency_s, now, adopt=calm)

    def _count(self, now: float, began_s: float, *, new: bool, ended: bool, bad: bool, timed: bool, slow: bool) -> None:
        if began_s < self._well_s:
            # Sent before it was found to be well again, such as a call that hung: that trouble is over and judged.
            return
        for window in (self.window, self._later_half):
            window.add(now, new=new, ended=ended, bad=bad, timed=timed, slow=slow)
        if self.state == "closed":
            cause = self._trouble() if bad or slow else None
            if cause is not None:
                self._open(now, cause)
        elif self.state == "half_open" and new and began_s >= self.since_s:
            self._results.append("errors" if bad else "slow" if slow else None)
            self._prove(now)

    def _trouble(self) -> Cause | None:
        policy, window, later = self._policy, self.window, self._later_half
        if window.bad >= max(policy.min_errors, policy.max_error_rate * max(window.ended, policy.min_requests)):
            return "errors"
        if later.slow >= _SLOW_SHARE * max(later.timed, policy.min_requests):
            return "slow"
        return None

    def _prove(self, now: float) -> None:
        """Ends the probation where the results so far suffice."""
        policy, results = self._policy, self._results
        n, errors, slow = len(results), results.count("errors"), results.count("slow")
        allowed = policy.reopen_bad
        if errors > allowed and errors >= policy.max_error_rate * n:
            self._open(now, "errors")
        elif slow > allowed and slow >= _SLOW_SHARE * n:
            self._open(now, "slow")
        elif self._proven(n, errors + slow, now):
            self._close(now)

    def _proven(self, n: int, bad: int, now: float) -> bool:
        """Whether enough of the results are good.

        Of 15 results none may be bad, of 20 one, of 25 two, of 30 three, which takes 7 to 15 s at 2 probes a second: at
        30 % errors each is passed about once in 100 times, at 3 % the first in 63 of 100. Where requests are few, 5
        good ones must do after the time that all probes would have taken, or 10 with one bad.
        """
        policy = self._policy
        allowed, of = policy.reopen_bad, policy.reopen_of
        if bad * of <= allowed * (2 * n - of) or self._good_in_a_row() >= (of + 1) // 2:
            return True
        return n >= _FEW and bad * of <= allowed * n and now - self.since_s >= of / policy.probe_per_s

    def _good_in_a_row(self) -> int:
        number = 0
        for result in reversed(self._results):
            if result is not None:
                break
            number += 1
        return number

    def _open(self, now: float, cause: Cause) -> None:
        policy = self._policy
        again = self.state == "half_open" or now - self._well_s < policy.max_window_s
        self._reopened = self._reopened + 1 if again else 0
        self.state, self.since_s, self.cause = "open", now, cause
        # An exponent of any size would overflow one day.
        self._until_s = now + policy.cooldown_s * min(_COOLER ** min(self._reopened, 8), _COOLEST)
        self.due_s = min(self.due_s, self._until_s)
        for pace in (*self._paces.values(), self._others):
            pace.restart()

    def _close(self, now: float) -> None:
        self.state, self.since_s, self.cause = "closed", now, None
        self._well_s = now
        self.window.clear()
        self._later_half.clear()
