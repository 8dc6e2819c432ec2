"""How long the calls of one kind take when all is well, and the calls that are under way."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from dataclasses import dataclass

_STEP = math.log(1.03)
"""Latencies are counted in steps of 3 %, so that however many come, a few hundred counts hold them."""
_SHORTEST_S = 1e-3
_SETTLED_N = 100
_SETTLED_S = 60.0
"""From so many calls over so long, a 90th percentile is known to about a tenth and is no accident of one moment."""
_BLOCK_S = 600.0
_MOST_CHANGE = 1.1
"""After that it moves by a tenth in ten minutes at most. A slow-down that creeps is over `slow_factor` 1.5 before the
baseline has followed, unless it takes most of an hour: then it is no incident, but how the model is now."""
_USUAL_SPREAD = 2.0
"""How often the median the 90th percentile is, at most, where no call is an outlier. Where a tenth takes many times as
long as all others, as with retries inside a provider, calls that take five times as long as they did are still far from
`slow_factor` times the 90th percentile: then they are told by the median, as if it had this spread."""
_ABANDONED_S = 600.0
"""A call that nobody has ended for so long is forgotten, without blame; its answer counts if it comes after all."""
_MOST_WAITING = 10_000


@dataclass(slots=True, eq=False)
class Ticket:
    """A request that is under way; `Health.started` gives it, `Health.ended` takes it back.

    Attributes:
        name: who was asked.
        pace: of its kind.
        started_s: when, on the clock of the `Health` that gave it.
        overdue: it was counted as slow before it ended.
        done: it ended or was cancelled; nothing that is said of it later counts.
    """

    name: str
    pace: Pace
    started_s: float
    overdue: bool = False
    done: bool = False


class Pace:
    """The median and the 90th percentile of the latency of one kind of request to one model, learned in good times.

    They are learned freely from the first calls and slowly ever after: in blocks of ten minutes at least, each of which
    moves them by a tenth at most. Not safe to use from many threads; its `Health` holds the lock.

    Args:
        factor: a call is slow that takes so many times the 90th percentile.
        least: calls that it needs before it judges.
        known_s: a 90th percentile that is known from elsewhere, in seconds.
        of_kind: `known_s` is of this very kind of request, not only of all together: then it is held to as if learned.

    Attributes:
        p50_s: the median in seconds, None while unknown.
        p90_s: the 90th percentile in seconds, None while unknown.
        limit_s: a call that takes longer is slow.
        learned: it is of this very kind.
        settled: from now on it moves slowly.
        waiting: calls under way that are not overdue, the oldest first.
    """

    __slots__ = (
        "_begun_s",
        "_counts",
        "_factor",
        "_n",
        "_next_n",
        "learned",
        "limit_s",
        "p50_s",
        "p90_s",
        "settled",
        "waiting",
    )

    def __init__(self, factor: float, least: int, known_s: float | None = None, *, of_kind: bool = False) -> None:
        self._factor = factor
        self._next_n = least
        self._counts: Counter[int] = Counter()
        self._n = 0
        self._begun_s = -math.inf
        self.settled = self.learned = of_kind and known_s is not None
        self.p50_s: float | None = None
        self.p90_s = known_s
        self.limit_s = None if known_s is None else factor * known_s
        self.waiting: OrderedDict[Ticket, None] = OrderedDict()

    def is_slow(self, latency_s: float) -> bool:
        """Whether a call took too long; False while nothing is known to tell by."""
        return self.limit_s is not None and latency_s > self.limit_s

    def is_sluggish(self, latency_s: float) -> bool:
        """Whether a call took far longer than the median one; False while nothing is known to tell by."""
        return self.p50_s is not None and latency_s > self._factor * _USUAL_SPREAD * self.p50_s

    def learn(self, latency_s: float, now: float, *, adopt: bool = True) -> bool:
        """Takes in the latency of a good call, and returns whether `limit_s` has changed.

        Args:
            latency_s: how long it took, in seconds.
            now: when it ended, in seconds.
            adopt: times are good enough to judge by what was taken in.
        """
        if not self._n:
            self._begun_s = now
        self._counts[math.floor(math.log(max(latency_s, _SHORTEST_S)) / _STEP)] += 1
        self._n += 1
        age_s = now - self._begun_s
        if not adopt:
            return False
        if self.settled:
            if self._n < _SETTLED_N or age_s < _BLOCK_S:
                return False
            assert self.p90_s is not None
            found = _near(self._quantile(0.9), self.p90_s)
            # Of a 90th percentile that is known from elsewhere, no median is.
            median_s = self._quantile(0.5) if self.p50_s is None else _near(self._quantile(0.5), self.p50_s)
        elif self._n >= self._next_n:
            # At 20, 40, 80, ...: the first judgement comes early, and a better one soon.
            self._next_n = 2 * self._n
            found, median_s = self._quantile(0.9), self._quantile(0.5)
        else:
            return False
        self.learned = True
        self.p50_s, self.p90_s, self.limit_s = median_s, found, self._factor * found
        if self.settled or (self._n >= _SETTLED_N and age_s >= _SETTLED_S):
            self.settled = True
            self.restart()
        return True

    def restart(self) -> None:
        """Forgets the calls since the percentiles were last set: the times were not so good after all."""
        if self.learned:
            self._counts.clear()
            self._n = 0

    def wait(self, ticket: Ticket) -> None:
        """Takes note of a call that has started."""
        waiting = self.waiting
        waiting[ticket] = None
        oldest = next(iter(waiting))
        if len(waiting) > _MOST_WAITING or ticket.started_s - oldest.started_s > _ABANDONED_S:
            del waiting[oldest]

    def overdue(self, now: float) -> list[Ticket]:
        """Takes out the calls that have been under way for too long, and returns them."""
        found = []
        while self.due_s <= now:
            ticket, _ = self.waiting.popitem(last=False)
            ticket.overdue = True
            found.append(ticket)
        return found

    @property
    def due_s(self) -> float:
        """When the next call becomes overdue; infinity for never."""
        if self.limit_s is None or not self.waiting:
            return math.inf
        return next(iter(self.waiting)).started_s + self.limit_s

    def _quantile(self, share: float) -> float:
        """The upper edge of the step that holds a quantile: too long by 3 % at most."""
        left = share * self._n
        for step in sorted(self._counts):
            left -= self._counts[step]
            if left <= 0:
                break
        return math.exp((step + 1) * _STEP)


def _near(found_s: float, before_s: float) -> float:
    """A quantile, as far as it may move from what it was."""
    return min(max(found_s, before_s / _MOST_CHANGE), before_s * _MOST_CHANGE)
