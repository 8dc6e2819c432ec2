"""How many calls may be in flight to one account of one provider: found out by asking, not guessed.

Slow start, then additive growth and multiplicative cut, as TCP does (RFC 5681): the limit grows only when it was
reached, since a limit that nobody pushed against has proved nothing, and one burst of refusals is one cut, since all
of them answer to the same past limit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

_CUT = 0.5
_SPACING_S = 0.0004
_BURST_S = 0.005
"""Calls begin so far apart at the least, but for some that may begin together. Answers to calls that began at one
instant arrive at one instant, and each waits for those before it to be read: measured at 256 in flight, recorded
latencies of 200 ms had a 99th percentile of 245 ms without this, and of 208 ms with it; the run was no slower."""
INITIAL = 16
"""Calls in flight at the beginning, where the user does not say."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to have one call in flight.

    Attributes:
        age: how many cuts there had been when it was given.
        pushed: it was the last one that the limit allowed, or others were waiting: the limit held something back.
    """

    age: int
    pushed: bool


class Limiter:
    """The limit of one provider and account; everything of it happens on one event loop.

    Args:
        maximum: never more than so many in flight.
        initial: the limit at the beginning.
        adaptive: whether the limit moves; off for a provider that knows its own capacity.
        requests_per_minute: no more requests than that are begun in a minute, evenly spread.
        clock: seconds, monotonic.
        sleep: waits so many seconds.

    Attributes:
        maximum: as above.
        in_flight: calls that hold a ticket.
        cuts: how often the limit was cut.
    """

    def __init__(
        self,
        maximum: int,
        *,
        initial: int = INITIAL,
        adaptive: bool = True,
        requests_per_minute: float | None = None,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.maximum = self._most = maximum
        self._limit = float(min(maximum, initial) if adaptive else maximum)
        self._adaptive = adaptive
        self._slow_start = True
        self._spacing_s = _SPACING_S if requests_per_minute is None else 60.0 / requests_per_minute
        self._burst_s = _BURST_S if requests_per_minute is None else 0.0
        self._clock = clock
        self._sleep = sleep
        self._not_before_s = 0.0
        self._next_start_s = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()
        # Room that is promised to calls whose turn has come. Without it, a call that comes by at that moment takes the
        # room, and the one that waited goes to the end: a model that is asked seldom would wait for the others' end.
        self._granted = 0
        self.in_flight = 0
        self.cuts = 0

    @property
    def limit(self) -> int:
        """How many calls may be in flight now."""
        return int(self._limit)

    @property
    def wait_s(self) -> float:
        """Seconds for which nothing is sent, because the provider asked for it."""
        return max(0.0, self._not_before_s - self._clock())

    def throttle(self, maximum: int) -> None:
        """Allows no more than so many in flight from now on, and never more than at the beginning.

        A limit that moves is cut to it at once, and finds its own way up again where there is more room.
        """
        self.maximum = max(1, min(maximum, self._most))
        self._limit = min(self._limit, float(self.maximum)) if self._adaptive else float(self.maximum)
        self._wake()

    async def acquire(self) -> Ticket:
        """Waits until one more call may be sent."""
        while True:
            if self.wait_s > 0:
                await self._sleep(self.wait_s)
            else:
                if self.in_flight + self._granted >= self.limit:
                    await self._turn()
                self.in_flight += 1
                ticket = Ticket(self.cuts, pushed=self.in_flight >= self.limit or bool(self._waiting))
                await self._space()
                if not self.wait_s:
                    return ticket
                # While this call waited for its distance from the one before, the provider has asked to wait.
                self.give_back(ticket)

    def give_back(self, ticket: Ticket, *, ok: bool = False) -> None:
        """Ends a call; an answered one that was at the limit makes the limit grow."""
        self.in_flight -= 1
        if ok and ticket.pushed and self._adaptive:
            # Every answer of a full window: doubling in slow start, one more a window after it.
            self._limit = min(self.maximum, self._limit + (1.0 if self._slow_start else 1.0 / self._limit))
        self._wake()

    def refused(self, ticket: Ticket, wait_s: float) -> None:
        """Ends a call that was rate limited: cuts the limit once a burst, and sends nothing for `wait_s`."""
        self.in_flight -= 1
        if ticket.age == self.cuts and self._adaptive:
            self.cuts += 1
            self._slow_start = False
            self._limit = max(1.0, self._limit * _CUT)
        self.pause(wait_s)
        self._wake()

    def pause(self, wait_s: float) -> None:
        """Sends nothing for so many seconds; calls in flight go on."""
        self._not_before_s = max(self._not_before_s, self._clock() + wait_s)

    async def _space(self) -> None:
        now_s = self._clock()
        start_s = max(now_s, self._next_start_s)
        self._next_start_s = start_s + self._spacing_s
        if start_s - now_s <= self._burst_s:
            return
        try:
            await self._sleep(start_s - now_s)
        except asyncio.CancelledError:
            self.in_flight -= 1
            raise

    async def _turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # Its turn had come: it goes to the next one.
                self._granted -= 1
                self._wake()
            raise
        self._granted -= 1

    def _wake(self) -> None:
        while self._waiting and self.in_flight + self._granted < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._granted += 1
