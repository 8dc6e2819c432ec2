"""The latest requests of one model as a few numbers."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

_STEPS = 50
"""The window moves on in so many steps; all calls of one step are a few numbers."""


@dataclass(slots=True)
class _Step:
    start_s: float
    seen: int = 0
    ended: int = 0
    bad: int = 0
    timed: int = 0
    slow: int = 0
    sluggish: int = 0


class Window:
    """Counts of the latest requests, in memory that does not grow with them.

    Args:
        span_s: seconds that are looked back on.
        most_s: seconds that this is stretched to at most while fewer than `least` requests are in it.
        least: requests that there should be.

    Attributes:
        seen: requests in all, each once.
        ended: those whose end is known; `bad` of them failed.
        timed: those whose latency is known, or known to be too long; `slow` of them are slow, `sluggish` of them took
            far longer than the median.
    """

    def __init__(self, span_s: float, most_s: float, least: int) -> None:
        self._span_s = span_s
        self._most_s = max(span_s, most_s)
        self._least = least
        self._steps: deque[_Step] = deque()
        self.clear()

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def from_s(self) -> float:
        """When what it holds was counted first; infinity while it is empty."""
        return self._steps[0].start_s if self._steps else math.inf

    def clear(self) -> None:
        """Forgets all."""
        self._steps.clear()
        self.seen = self.ended = self.bad = self.timed = self.slow = self.sluggish = 0

    def add(
        self, now: float, *, new: bool, ended: bool, bad: bool, timed: bool, slow: bool, sluggish: bool = False
    ) -> None:
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
            counts.sluggish += sluggish
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
            self.sluggish -= first.sluggish
