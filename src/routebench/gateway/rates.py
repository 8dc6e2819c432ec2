"""Requests a minute, evenly spread, with room for a burst."""

from __future__ import annotations

from collections.abc import Callable

_SLACK_S = 1e-6
"""Sums of floats are off by less; a request that is early by so little is in time."""


class Rate:
    """A bucket of tokens that fills evenly: each request takes one. To be used on one event loop.

    It is kept as one time, that at which the bucket will be full again (the generic cell rate algorithm, ITU-T I.371):
    the same decisions as a count that is filled up, without a step for the filling.

    Args:
        per_minute: requests; also how fast the bucket fills.
        burst: tokens that it holds.
        clock: seconds that only grow.
    """

    def __init__(self, per_minute: float, burst: int, clock: Callable[[], float]) -> None:
        self.per_minute = per_minute
        self.burst = burst
        self._each_s = 60.0 / per_minute
        self._clock = clock
        self._full_at = clock()

    def take(self) -> float:
        """Takes a token; returns 0.0, or the seconds after which there is one, and then none was taken."""
        now = self._clock()
        full_at = max(self._full_at, now) + self._each_s
        wait_s = full_at - now - self.burst * self._each_s
        if wait_s > _SLACK_S:
            return wait_s
        self._full_at = full_at
        return 0.0

    @property
    def remaining(self) -> int:
        """Whole tokens that are there."""
        return int(self.burst - (self.reset_s - _SLACK_S) / self._each_s) if self.reset_s else self.burst

    @property
    def reset_s(self) -> float:
        """Seconds until the bucket is full."""
        return max(self._full_at - self._clock(), 0.0)

    def changed(self, per_minute: float, burst: int) -> Rate:
        """Returns one with other figures that lacks as many tokens as this one, as far as it can hold them."""
        made = Rate(per_minute, burst, self._clock)
        lacking = min(self.reset_s / self._each_s, float(burst))
        made._full_at += lacking * made._each_s
        return made
