from __future__ import annotations

import random

from routebench.gateway.rates import Rate


class Clock:
    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


def test_a_burst_then_evenly() -> None:
    clock = Clock()
    rate = Rate(60, 3, clock)
    assert [rate.take() for _ in range(3)] == [0.0, 0.0, 0.0]
    assert rate.take() == 1.0
    assert (rate.remaining, rate.reset_s) == (0, 3.0)
    clock.s += 1.0
    assert rate.remaining == 1
    assert rate.take() == 0.0
    assert rate.take() == 1.0


def test_what_was_refused_took_nothing() -> None:
    clock = Clock()
    rate = Rate(60, 1, clock)
    assert rate.take() == 0.0
    for _ in range(100):
        assert rate.take() == 1.0
    clock.s += 1.0
    assert rate.take() == 0.0


def test_a_pause_fills_no_more_than_the_burst() -> None:
    clock = Clock()
    rate = Rate(60, 2, clock)
    clock.s += 3600
    assert [rate.take() for _ in range(3)] == [0.0, 0.0, 1.0]


def test_it_decides_as_a_count_that_is_filled_up() -> None:
    drawn = random.Random(7)
    for _ in range(50):
        clock, per_minute, burst = Clock(), drawn.uniform(1, 600), drawn.randint(1, 20)
        rate, tokens, at = Rate(per_minute, burst, clock), float(burst), clock.s
        for _ in range(300):
            clock.s += drawn.expovariate(per_minute / 60 * drawn.choice((0.5, 1, 3)))
            tokens, at = min(tokens + (clock.s - at) * per_minute / 60, burst), clock.s
            assert abs(rate.remaining - tokens) < 1 + 1e-6
            taken = tokens >= 1 - 1e-6
            assert (rate.take() == 0.0) == taken
            tokens -= taken


def test_after_a_change_what_lacked_lacks() -> None:
    clock = Clock()
    rate = Rate(60, 10, clock)
    for _ in range(8):
        rate.take()
    assert rate.changed(120, 10).remaining == 2
    assert rate.changed(60, 4).remaining == 0
    assert Rate(60, 4, clock).changed(60, 10).remaining == 10
