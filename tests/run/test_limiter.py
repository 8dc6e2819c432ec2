from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from routebench.run.limiter import Limiter, Ticket


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += max(0.0, seconds)
        await asyncio.sleep(0)


def limiter(maximum: int = 64, **options: Any) -> tuple[Limiter, Clock]:
    clock = Clock()
    return Limiter(maximum, clock=clock, sleep=clock.sleep, **options), clock


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


async def take(limit: Limiter, count: int) -> list[Ticket]:
    return [await limit.acquire() for _ in range(count)]


def test_slow_start_doubles_with_every_full_window() -> None:
    limit, _ = limiter(initial=4)

    async def windows() -> list[int]:
        seen = []
        for _ in range(4):
            tickets = await take(limit, limit.limit)
            for ticket in tickets:
                limit.give_back(Ticket(ticket.age, pushed=True), ok=True)
            seen.append(limit.limit)
        return seen

    assert run(windows()) == [8, 16, 32, 64]


def test_a_limit_that_nobody_reached_does_not_grow() -> None:
    limit, _ = limiter(initial=8)

    async def one_by_one() -> None:
        for _ in range(100):
            limit.give_back(await limit.acquire(), ok=True)

    run(one_by_one())
    assert limit.limit == 8


def test_a_failed_call_does_not_make_it_grow() -> None:
    limit, _ = limiter(initial=1)
    run(_give(limit, ok=False))
    assert limit.limit == 1
    run(_give(limit, ok=True))
    assert limit.limit == 2


async def _give(limit: Limiter, *, ok: bool) -> None:
    limit.give_back(await limit.acquire(), ok=ok)


def test_one_burst_of_refusals_is_one_cut_and_growth_is_additive_after_it() -> None:
    limit, _ = limiter(initial=16)

    async def burst() -> None:
        for ticket in await take(limit, 16):
            limit.refused(ticket, 0.0)
        assert (limit.limit, limit.cuts, limit.in_flight) == (8, 1, 0)
        # A window of answers: one more, not twice as many.
        for ticket in await take(limit, 8):
            limit.give_back(Ticket(ticket.age, pushed=True), ok=True)
        assert limit.limit == 8
        limit.give_back(Ticket((await limit.acquire()).age, pushed=True), ok=True)
        assert limit.limit == 9
        limit.refused(await limit.acquire(), 0.0)
        assert (limit.limit, limit.cuts) == (4, 2)

    run(burst())


def test_it_never_falls_below_one_nor_rises_above_the_user_s_limit() -> None:
    limit, _ = limiter(3, initial=2)

    async def both() -> None:
        for _ in range(10):
            limit.refused(await limit.acquire(), 0.0)
        assert limit.limit == 1
        for _ in range(50):
            for ticket in await take(limit, limit.limit):
                limit.give_back(Ticket(ticket.age, pushed=True), ok=True)
        assert limit.limit == 3

    run(both())


def test_nothing_is_sent_while_the_provider_asks_to_wait() -> None:
    limit, clock = limiter()

    async def wait() -> None:
        limit.refused(await limit.acquire(), 7.5)
        assert limit.wait_s == 7.5
        await limit.acquire()
        assert clock.now == 7.5

    run(wait())


def test_requests_per_minute_are_spread_evenly() -> None:
    limit, clock = limiter(requests_per_minute=30)

    async def starts() -> list[float]:
        seen = []
        for _ in range(4):
            limit.give_back(await limit.acquire(), ok=True)
            seen.append(clock.now)
        return seen

    assert run(starts()) == [0.0, 2.0, 4.0, 6.0]


def test_a_fixed_limit_does_not_move() -> None:
    limit, _ = limiter(2, adaptive=False, initial=1)

    async def refuse() -> None:
        assert limit.limit == 2
        limit.refused(await limit.acquire(), 0.0)

    run(refuse())
    assert (limit.limit, limit.cuts) == (2, 0)


@given(st.lists(st.sampled_from(["ok", "failed", "refused"]), min_size=1, max_size=60), st.integers(1, 5))
def test_whatever_happens_no_more_than_the_limit_is_in_flight_and_no_turn_is_lost(
    ends: list[str], initial: int
) -> None:
    limit, _ = limiter(8, initial=initial)
    seen: list[bool] = []

    async def call(end: str) -> None:
        ticket = await limit.acquire()
        seen.append(limit.in_flight <= 8)
        await asyncio.sleep(0)
        if end == "refused":
            limit.refused(ticket, 0.0)
        else:
            limit.give_back(ticket, ok=end == "ok")

    async def all_of_them() -> None:
        async with asyncio.timeout(5):
            await asyncio.gather(*(call(end) for end in ends))

    run(all_of_them())
    assert all(seen)
    assert len(seen) == len(ends)
    assert limit.in_flight == 0


def test_a_waiter_that_is_cancelled_passes_its_turn_on() -> None:
    limit, _ = limiter(1, adaptive=False)

    async def cancel() -> None:
        held = await limit.acquire()
        first, second = asyncio.create_task(limit.acquire()), asyncio.create_task(limit.acquire())
        await asyncio.sleep(0)
        limit.give_back(held)
        first.cancel()
        async with asyncio.timeout(2):
            await second

    run(cancel())


def test_who_waits_is_served_before_who_comes_by() -> None:
    limit, _ = limiter(1, adaptive=False)
    served: list[str] = []

    async def busy(name: str) -> None:
        for _ in range(3):
            ticket = await limit.acquire()
            served.append(name)
            await asyncio.sleep(0)
            # Gives back, and asks again before anybody else could run.
            limit.give_back(ticket)

    async def both() -> None:
        await asyncio.gather(busy("one"), busy("other"))

    run(both())
    assert served == ["one", "other"] * 3


def test_a_call_that_gives_up_when_its_turn_has_come_passes_it_on() -> None:
    limit, _ = limiter(1, adaptive=False)

    async def work() -> None:
        ticket = await limit.acquire()
        first, second = asyncio.create_task(limit.acquire()), asyncio.create_task(limit.acquire())
        await asyncio.sleep(0)
        limit.give_back(ticket)
        first.cancel()
        limit.give_back(await second)
        assert first.cancelled()
        # No room is lost by it.
        await limit.acquire()

    run(asyncio.wait_for(work(), 5))
    assert limit.in_flight == 1


def test_fewer_at_once_and_never_more_than_at_the_beginning() -> None:
    limit, _ = limiter(8, initial=8)
    limit.throttle(3)
    assert (limit.limit, limit.maximum) == (3, 3)
    limit.throttle(99)
    assert (limit.limit, limit.maximum) == (3, 8), "a limit that moves finds its own way up"
    limit.throttle(0)
    assert limit.limit == 1
    fixed, _ = limiter(8, adaptive=False)
    fixed.throttle(3)
    fixed.throttle(8)
    assert fixed.limit == 8
