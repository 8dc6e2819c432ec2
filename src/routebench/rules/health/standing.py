"""How one model is doing: well, passed over, or on probation."""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

from routebench.rules.health.pace import Pace
from routebench.rules.health.policy import HealthPolicy
from routebench.rules.health.window import Window

State = Literal["closed", "open", "half_open"]
"""Words of a circuit breaker: requests flow (closed), are cut off (open), or are let through one by one (half open)."""

Cause = Literal["errors", "slow"]
"""Why a model was passed over."""

_SLOW_SHARE = 0.5
"""Of the calls, this share being slow is a slow-down. In good times a few in a hundred are."""
_SLUGGISH_SHARE = 0.85
"""Of the calls, this share taking far longer than the median is one too. In good times it is at most a sixth, and four
in ten in a burst of a slow category that has no kind of its own; five times slower, it is nine in ten."""
_STARTS = 256
"""Of so many requests it is remembered when they were sent."""
_NEARLY = 0.8
"""Calls that are sent together do not end together: of those sent with a slow one, this part is counted by then."""
_MOST_KINDS = 128
"""Kinds of request with a pace of their own; further ones share one, so that callers cannot fill the memory."""
_COOLER = 1.1
_COOLEST = 1.25
"""The cool-down grows by a tenth each time, to a quarter more and no further: the four or five probes of each round
cost next to nothing, and a model that is well again must be back in 35 s: 12.5 to cool down, 15 for 30 probes, the
rest for calls that were sent before, and for the answers."""
_FEW = 5
"""Where requests are too few for all the probes, so many must do after the time that all would have taken."""


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
        self._sluggish: deque[bool] = deque(maxlen=policy.reopen_of)
        self._starts: deque[float] = deque(maxlen=_STARTS)
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

    def start(self, at_s: float) -> None:
        """Notes when a request was sent."""
        self._starts.append(at_s)

    def settle(self, now: float) -> None:
        """Lets time pass: a cool-down ends, calls that are under way become overdue."""
        if now < self.due_s:
            return
        if now >= self._until_s:
            # Not `now`: when the probation began must not depend on who asked first.
            self.state, self.since_s, self._until_s = "half_open", self._until_s, math.inf
            self._results.clear()
            self._sluggish.clear()
        paces = (*self._paces.values(), self._others)
        for pace in paces:
            for ticket in pace.overdue(now):
                self._count(
                    now, ticket.started_s, new=True, ended=False, bad=False, timed=True, slow=True, sluggish=True
                )
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
        told_s = None if overdue else latency_s
        slow = told_s is not None and pace.is_slow(told_s)
        sluggish = slow or (told_s is not None and not bad and pace.is_sluggish(told_s))
        if latency_s is not None and not bad and self._learns(pace, began_s, latency_s, now):
            # Calls under way may be overdue by the new limit.
            self.due_s = now
        # A quick failure is no sign of speed; a late one is a sign of slowness.
        timed = slow or (told_s is not None and not bad)
        self._count(now, began_s, new=not overdue, ended=True, bad=bad, timed=timed, slow=slow, sluggish=sluggish)

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
        many = max(later.timed, self._policy.min_requests)
        calm = later.slow < 0.5 * _SLOW_SHARE * many and later.sluggish < 0.75 * _SLUGGISH_SHARE * many
        return (calm or not pace.settled) and pace.learn(latency_s, now, adopt=calm)

    def _count(
        self,
        now: float,
        began_s: float,
        *,
        new: bool,
        ended: bool,
        bad: bool,
        timed: bool,
        slow: bool,
        sluggish: bool,
    ) -> None:
        if began_s < self._well_s:
            # Sent before it was found to be well again, such as a call that hung: that trouble is over and judged.
            return
        for window in (self.window, self._later_half):
            window.add(now, new=new, ended=ended, bad=bad, timed=timed, slow=slow, sluggish=sluggish)
        if self.state == "closed":
            cause = self._trouble(now, began_s) if bad or slow or sluggish else None
            if cause is not None:
                self._open(now, cause)
        elif self.state == "half_open" and new and began_s >= self.since_s:
            self._results.append("errors" if bad else "slow" if slow else None)
            self._sluggish.append(sluggish)
            self._prove(now)

    def _trouble(self, now: float, began_s: float) -> Cause | None:
        policy, window, later = self._policy, self.window, self._later_half
        if window.bad >= max(policy.min_errors, policy.max_error_rate * max(window.ended, policy.min_requests)):
            return "errors"
        many = max(later.timed, policy.min_requests)
        if _is_slow(later.slow, later.sluggish, many) and self._are_most(now, began_s):
            return "slow"
        return None

    def _are_most(self, now: float, began_s: float) -> bool:
        """Whether the slow calls are many of those that were sent with the one at hand, and not what is left of them.

        When requests stop coming, the last calls to end are the long ones, and tell nothing of the others.
        """
        later, starts = self._later_half, self._starts
        span_s = now - later.from_s
        earliest_s = began_s - span_s
        if len(starts) == _STARTS:
            # Further back it is forgotten: those that followed stand in.
            earliest_s = max(earliest_s, starts[0])
        sent = sum(earliest_s <= start_s <= earliest_s + span_s for start_s in starts)
        return _is_slow(later.slow, later.sluggish, _NEARLY * sent)

    def _prove(self, now: float) -> None:
        """Ends the probation where the results so far suffice."""
        policy, results = self._policy, self._results
        n, errors, slow = len(results), results.count("errors"), results.count("slow")
        sluggish = sum(self._sluggish)
        allowed = policy.reopen_bad
        if errors > allowed and errors >= policy.max_error_rate * n:
            self._open(now, "errors")
        elif max(slow, sluggish) > allowed and _is_slow(slow, sluggish, n):
            self._open(now, "slow")
        elif sluggish <= _SLOW_SHARE * n and self._proven(n, errors + slow, now):
            self._close(now)

    def _proven(self, n: int, bad: int, now: float) -> bool:
        """Whether enough of the results are good.

        Of 15 results none may be bad, of 20 one, of 25 two, of 30 three, which takes 7 to 15 s at 2 probes a second: at
        30 % errors each is passed about once in 100 times, at 3 % the first in 63 of 100. Where requests are few, 5
        good ones must do after the time that all probes would have taken, or 10 with one bad.
        """
        policy = self._policy
        allowed, of = policy.reopen_bad, policy.reopen_of
        half = (of + 1) // 2
        if (n >= half and bad * of <= allowed * (2 * n - of)) or self._good_in_a_row() >= half:
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


def _is_slow(slow: int, sluggish: int, n: float) -> bool:
    """Whether so many of n calls are a slow-down."""
    return slow >= _SLOW_SHARE * n or sluggish >= _SLUGGISH_SHARE * n
