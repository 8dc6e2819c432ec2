from __future__ import annotations

from collections.abc import Iterator

import pytest

from routebench.rules.health.policy import HealthPolicy
from routebench.rules.health.standing import Standing
from routebench.rules.health.window import Window


def put(window: Window, at: float, *, bad: bool = False, n: int = 1) -> None:
    for _ in range(n):
        window.add(at, new=True, ended=True, bad=bad, timed=True, slow=False)


def test_the_window_holds_ten_seconds() -> None:
    window = Window(10.0, 60.0, 20)
    for tenth in range(300):
        put(window, tenth / 10, bad=tenth < 150)
    # Ten a second; a fifth of a second is the least that it forgets.
    assert 100 <= window.ended <= 103
    assert window.bad == 0


def test_it_is_stretched_to_the_last_requests_and_to_a_minute_at_most() -> None:
    window = Window(10.0, 60.0, 20)
    for second in range(40):
        put(window, float(second))
    assert window.seen == 20
    slow = Window(10.0, 60.0, 20)
    for second in range(0, 400, 10):
        put(slow, float(second))
    assert slow.seen == 7
    slow.move(1_000.0)
    assert (slow.seen, slow.ended, slow.timed) == (0, 0, 0)


def test_memory_does_not_grow_with_requests() -> None:
    window = Window(10.0, 60.0, 20)
    for number in range(60_000):
        put(window, number / 5_000)
    assert window.seen > 49_000
    assert len(window) <= 52
    # Nor with requests far apart.
    for number in range(1_000):
        put(window, 100.0 + number)
        assert len(window) <= 72


def test_a_probation_is_judged_the_same_whenever_somebody_looks() -> None:
    def states(looks: list[float]) -> Iterator[tuple[str, float]]:
        standing = Standing(HealthPolicy(), None, 0.0)
        for number in range(5):
            standing.count(float(number), float(number), standing.pace(""), latency_s=1.0, bad=True)
        for look in looks:
            standing.settle(look)
        yield standing.state, standing.since_s

    assert list(states([20.0])) == list(states([13.0, 14.0, 17.0, 20.0])) == [("half_open", 14.0)]


def test_kinds_without_end_share_a_pace() -> None:
    standing = Standing(HealthPolicy(), None, 0.0)
    paces = {id(standing.pace(f"k{number}")) for number in range(1_000)}
    assert len(paces) == 128
    assert standing.pace("k0") is not standing.pace("k1")
    assert standing.pace("k900") is standing.pace("k901")


@pytest.mark.parametrize(("span", "most"), [(90.0, 60.0), (10.0, 10.0)])
def test_a_window_longer_than_the_longest_is_not_cut(span: float, most: float) -> None:
    window = Window(span, most, 20)
    for second in range(int(span)):
        put(window, float(second))
    assert window.seen == span


def test_a_kind_is_learned_in_good_times_and_on_probation_but_not_while_it_is_passed_over() -> None:
    standing = Standing(HealthPolicy(), 1.0, 0.0)
    for number in range(5):
        standing.count(float(number), float(number), standing.pace(""), latency_s=1.0, bad=True)
    kind = standing.pace("k")
    for _ in range(30):
        standing.count(10.0, 8.0, kind, latency_s=2.0, bad=False)
    assert (standing.state, kind.learned) == ("open", False)
    standing.settle(14.0)
    for _ in range(20):
        standing.count(17.0, 15.0, kind, latency_s=2.0, bad=False)
    # It was slow by what is known of all kinds, and opened again; what came before that is known now.
    assert (standing.state, kind.learned) == ("open", False)
    for _ in range(6):
        standing.settle(standing.due_s)
        for _ in range(4):
            standing.count(standing.since_s + 3.0, standing.since_s + 1.0, kind, latency_s=2.0, bad=False)
    assert kind.learned
