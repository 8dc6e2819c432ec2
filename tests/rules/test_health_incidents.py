"""How soon trouble is found and forgotten, on simulated traffic with fixed seeds."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from statistics import median

import pytest

from routebench.rules.health.health import Health, HealthPolicy, Ticket
from routebench.types import ErrorKind

SEEDS = range(12)
MEDIAN_S = {"short": 0.8, "long": 5.0}
SIGMA = 0.5
P90_S = {kind: median_s * math.exp(1.2816 * SIGMA) for kind, median_s in MEDIAN_S.items()}
Incident = Callable[[random.Random, float], tuple[float, ErrorKind | None]]


def outage(_rng: random.Random, _latency_s: float) -> tuple[float, ErrorKind | None]:
    return 0.05, "connection"


def thirty_percent_errors(rng: random.Random, latency_s: float) -> tuple[float, ErrorKind | None]:
    return (0.1, "server") if rng.random() < 0.3 else (latency_s, None)


def five_times_slower(_rng: random.Random, latency_s: float) -> tuple[float, ErrorKind | None]:
    return 5.0 * latency_s, None


def hang(_rng: random.Random, _latency_s: float) -> tuple[float, ErrorKind | None]:
    return 60.0, "timeout"


@dataclass
class Traffic:
    """Requests to `front`, with `back` behind it, some failing and one of ten long."""

    seed: int
    incident: Incident | None = None
    onset_s: float = math.inf
    recovery_s: float = math.inf
    rate: float = 20.0
    error_share: float = 0.01
    bursts: tuple[float, ...] = ()
    changes: list[tuple[float, str]] = field(default_factory=list)

    def run(self, until_s: float) -> Traffic:
        rng, at, numbers, state = random.Random(self.seed), [0.0], count(), "closed"
        health = Health(HealthPolicy(), ["front", "back"], lambda: at[0])
        # Events: an end has its ticket, an arrival has none.
        events: list[tuple[float, int, Ticket | None, ErrorKind | None]] = [(0.0, next(numbers), None, None)]
        while events[0][0] < until_s:
            at[0], _, ticket, error_kind = heapq.heappop(events)
            if ticket is not None:
                health.ended(ticket, error_kind=error_kind)
            else:
                heapq.heappush(events, (at[0] + rng.expovariate(self.rate), next(numbers), None, None))
                name = health.order(("front", "back"))[0]
                in_burst = any(start <= at[0] < start + 300.0 for start in self.bursts)
                kind = "long" if rng.random() < (0.95 if in_burst else 0.1) else "short"
                latency_s = MEDIAN_S[kind] * rng.lognormvariate(0.0, SIGMA)
                error_kind = "server" if rng.random() < self.error_share else None
                if self.incident is not None and name == "front" and self.onset_s <= at[0] < self.recovery_s:
                    latency_s, error_kind = self.incident(rng, latency_s)
                ticket = health.started(name, kind)
                heapq.heappush(events, (at[0] + latency_s, next(numbers), ticket, error_kind))
            if health.state("front") != state:
                state = health.state("front")
                self.changes.append((at[0], state))
        return self

    def found_after_s(self) -> float:
        return next(at for at, state in self.changes if state == "open") - self.onset_s

    def back_after_s(self) -> float:
        return next(at for at, state in self.changes if state == "closed" and at >= self.recovery_s) - self.recovery_s


def incidents(incident: Incident) -> list[Traffic]:
    # When it ends, it is cooling down in some and probed in others.
    return [Traffic(seed, incident, 100.0, 141.0 + 2.3 * seed).run(220.0) for seed in SEEDS]


@pytest.mark.parametrize(
    ("incident", "within_s"),
    [
        (outage, 5.0),
        (thirty_percent_errors, 12.0),
        (five_times_slower, 1.5 * P90_S["short"] + 8.0),
        (hang, 1.5 * P90_S["short"] + 8.0),
    ],
    ids=["outage", "errors", "slow", "hang"],
)
def test_trouble_is_found_soon_and_traffic_is_back_soon_after(incident: Incident, within_s: float) -> None:
    many = incidents(incident)
    found = [one.found_after_s() for one in many]
    assert min(found) > 0.0
    assert max(found) <= within_s
    back = [one.back_after_s() for one in many]
    assert max(back) <= 35.0
    assert median(back) <= 25.0


BURSTS = tuple(300.0 + 1_200.0 * number for number in range(45))


@pytest.mark.parametrize(("rate", "hours"), [(20.0, 3), (2.0, 15), (0.5, 15)])
def test_bursts_of_a_slow_kind_are_no_slow_down(rate: float, hours: int) -> None:
    assert Traffic(1, rate=rate, error_share=0.0, bursts=BURSTS).run(3_600.0 * hours).changes == []


def test_there_is_less_than_one_false_alarm_in_ten_hours() -> None:
    # Five failures of twenty by chance, at one in a hundred: it happens, about once in a hundred hours.
    alarms = 0
    for rate in (2.0, 0.5):
        changes = Traffic(2, rate=rate, bursts=BURSTS).run(15 * 3_600.0).changes
        alarms += sum(state == "open" for _, state in changes)
    assert alarms <= 3


def test_an_outage_costs_few_requests() -> None:
    """Of a minute's 1,200 requests, those before it is found and its probes."""
    asked = 0

    def counted(rng: random.Random, latency_s: float) -> tuple[float, ErrorKind | None]:
        nonlocal asked
        asked += 1
        return outage(rng, latency_s)

    Traffic(5, counted, 100.0, 160.0).run(200.0)
    assert 40 <= asked <= 80
