from __future__ import annotations

import random
from itertools import pairwise

import pytest

from routebench.rules.health.pace import Pace, Ticket


def taught(latencies: list[float], *, every_s: float = 0.1, pace: Pace | None = None, now: float = 0.0) -> Pace:
    pace = pace or Pace(1.5, 20)
    for number, latency_s in enumerate(latencies):
        pace.learn(latency_s, now + number * every_s)
    return pace


def lognormal(n: int, median_s: float = 1.0, seed: int = 1) -> list[float]:
    rng = random.Random(seed)
    return [median_s * rng.lognormvariate(0, 0.5) for _ in range(n)]


def test_it_judges_nothing_before_it_has_seen_enough() -> None:
    pace = taught([1.0] * 19)
    assert (pace.p90_s, pace.limit_s, pace.is_slow(1e6), pace.learned) == (None, None, False, False)
    assert pace.learn(1.0, 2.0) is True
    assert pace.learned
    assert pace.p90_s == pytest.approx(1.0, rel=0.031)
    assert pace.limit_s == pytest.approx(1.5, rel=0.031)
    assert (pace.is_slow(1.4), pace.is_slow(1.6)) == (False, True)


@pytest.mark.parametrize("median_s", [0.002, 1.0, 300.0])
def test_the_p90_is_that_of_the_latencies(median_s: float) -> None:
    latencies = lognormal(2560, median_s)
    pace = taught(latencies)
    exact = sorted(latencies)[int(0.9 * len(latencies)) - 1]
    assert exact <= pace.p90_s * 1.0001 <= exact * 1.031


def test_latencies_that_creep_up_are_slow_before_they_are_normal() -> None:
    pace, now, creep = taught(lognormal(1280)), 200.0, 1.0
    normal = pace.p90_s
    while creep < 2.0:
        pace = taught(lognormal(600, creep, seed=int(now)), now=now, pace=pace)
        now, creep = now + 60.0, creep * 1.05
    # It doubled in a quarter of an hour: the baseline followed by a tenth at most.
    assert normal is not None
    assert pace.p90_s <= normal * 1.1001
    assert pace.is_slow(normal * creep)


def test_what_lasts_for_hours_becomes_normal_by_a_tenth_in_ten_minutes() -> None:
    pace = taught(lognormal(1280))
    found = [pace.p90_s]
    for block in range(8):
        # Half a second apart: 1,201 calls are a block of ten minutes.
        pace = taught(lognormal(1201, 1.5, seed=block), every_s=0.5, now=1000.0 + block * 700.0, pace=pace)
        found.append(pace.p90_s)
    growth = [after / before for before, after in pairwise(found)]
    assert max(growth) == pytest.approx(1.1)
    assert found[-1] == pytest.approx(1.5 * found[0], rel=0.1)


def test_a_few_calls_of_ten_minutes_move_nothing() -> None:
    pace = taught(lognormal(640))
    normal = pace.p90_s
    assert not pace.learn(9.0, 1000.0)
    assert not any(pace.learn(9.0, 1700.0 + number) for number in range(98))
    assert pace.p90_s == normal
    assert pace.learn(9.0, 1800.0)


def test_restart_forgets_the_running_block_only() -> None:
    pace = taught(lognormal(640))
    normal = pace.p90_s
    for number in range(200):
        pace.learn(9.0, 1000.0 + number)
    pace.restart()
    assert not pace.learn(1.0, 2000.0)
    assert pace.p90_s == normal
    # One that has judged nothing yet keeps what it has seen: it would never come to judge.
    young = taught([1.0] * 19)
    young.restart()
    assert young.learn(1.0, 3.0)


def test_a_known_p90_judges_from_the_first_call() -> None:
    of_all = Pace(1.5, 20, 2.0)
    assert (of_all.is_slow(2.9), of_all.is_slow(3.1), of_all.learned) == (False, True, False)
    # Its own kind is slower: that is learned at once.
    assert taught([4.0] * 20, pace=of_all).p90_s == pytest.approx(4.0, rel=0.031)
    of_kind = Pace(1.5, 20, 2.0, of_kind=True)
    assert of_kind.learned
    assert taught([4.0] * 120, pace=of_kind).p90_s == 2.0


def test_counts_stay_few_however_many_calls_come() -> None:
    rng = random.Random(3)
    pace = Pace(1.5, 20)
    for number in range(20_000):
        pace.learn(10 ** rng.uniform(-4, 4), number * 0.01)
    assert len(pace._counts) < 600


def test_calls_under_way_become_overdue_in_their_order() -> None:
    pace = Pace(1.5, 20, 2.0)
    tickets = [Ticket("a", pace, float(start)) for start in range(4)]
    for ticket in tickets:
        pace.wait(ticket)
    assert pace.due_s == 3.0
    assert pace.overdue(2.9) == []
    assert pace.overdue(4.0) == tickets[:2]
    assert [one.overdue for one in tickets] == [True, True, False, False]
    assert pace.due_s == 5.0


def test_abandoned_calls_are_forgotten_after_ten_minutes() -> None:
    pace = Pace(1.5, 20)
    for start in range(0, 6_000, 10):
        pace.wait(Ticket("a", pace, float(start)))
    assert len(pace.waiting) <= 61
    for _ in range(30_000):
        pace.wait(Ticket("a", pace, 6_000.0))
    assert len(pace.waiting) == 10_000


def test_calls_far_over_the_median_are_sluggish_however_long_the_outliers_take() -> None:
    # Retries inside a provider: one call of seven takes nine times as long.
    pace = taught([4.5 if number % 7 == 0 else 0.5 for number in range(1_400)])
    assert pace.p50_s == pytest.approx(0.5, rel=0.031)
    assert pace.p90_s == pytest.approx(4.5, rel=0.031)
    assert (pace.is_slow(2.5), pace.is_sluggish(2.5)) == (False, True)
    # As far over it as `slow_factor` is, with a spread of two.
    assert (pace.is_sluggish(1.5 * 2.0 * 0.49), pace.is_sluggish(1.5 * 2.0 * 0.53)) == (False, True)
    patient = taught([0.5] * 20, pace=Pace(4.0, 20))
    assert not patient.is_sluggish(4.0)


def test_the_median_is_unknown_until_it_was_seen_and_then_moves_as_slowly_as_the_p90() -> None:
    known = Pace(1.5, 20, 2.0, of_kind=True)
    assert (known.p50_s, known.is_sluggish(1e6)) == (None, False)
    pace = taught(lognormal(1280))
    before_s = pace.p50_s
    pace = taught(lognormal(1201, 3.0), every_s=0.5, now=1000.0, pace=pace)
    assert before_s is not None
    assert before_s < pace.p50_s <= 1.1001 * before_s
