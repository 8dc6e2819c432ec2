from __future__ import annotations

import pytest

from routebench.simulation import Incident
from routebench.simulation.calls import Allowance, Weather
from routebench.simulation.recorded import Call
from routebench.types import Answer, ErrorKind

CALL = Call(2.0, Answer("yes", latency_s=2.0, cost_usd=0.01), 1.0)


def weather(*incidents: Incident) -> Weather:
    return Weather(incidents, {"small": ("small",), "large": ("large#1", "large#2")})


def test_a_call_outside_every_incident_is_what_was_recorded() -> None:
    sky = weather(Incident("small", "outage", 10.0, 20.0))
    assert sky.change(CALL, "small", 9.9, 0.0) is CALL
    assert sky.change(CALL, "small", 20.0, 0.0) is CALL
    assert sky.change(CALL, "large#1", 15.0, 0.0) is CALL
    assert sky.is_fair("small", 9.9)
    assert not sky.is_fair("small", 10.0)


@pytest.mark.parametrize(
    ("incident", "kind", "latency_s"),
    [
        (Incident("small", "outage"), "connection", 0.1),
        (Incident("small", "errors", share=0.5, after_s=3.0), "server", 3.0),
        (Incident("small", "hang", timeout_s=30.0), "timeout", 30.0),
        (Incident("small", "rate_limit", requests_per_s=1e-9), "rate_limited", 0.1),
    ],
)
def test_a_call_that_an_incident_makes_fail(incident: Incident, kind: ErrorKind, latency_s: float) -> None:
    sky = weather(incident)
    sky.change(CALL, "small", 0.0, 0.4)  # a rate limit lets its first one through
    failed = sky.change(CALL, "small", 1.0, 0.4)
    assert failed == Call(latency_s, Answer(error_kind=kind, latency_s=latency_s), None)


def test_errors_spare_the_lucky() -> None:
    assert weather(Incident("small", "errors", share=0.5)).change(CALL, "small", 1.0, 0.5) is CALL


def test_slow_downs_and_prices_multiply_and_an_unknown_cost_stays_unknown() -> None:
    sky = weather(
        Incident("small", "slow_down", factor=5.0),
        Incident("small", "slow_down", factor=2.0),
        Incident("small", "price_change", factor=3.0),
    )
    changed = sky.change(CALL, "small", 1.0, 0.9)
    assert changed.latency_s == changed.answer.latency_s == 20.0
    assert changed.answer.cost_usd == pytest.approx(0.03)
    assert changed.score == 1.0
    assert sky.change(Call(1.0, Answer("x", latency_s=1.0), None), "small", 1.0, 0.9).answer.cost_usd is None
    assert weather(Incident("small", "price_change", factor=3.0)).is_fair("small", 0.0)


def test_an_incident_of_a_model_is_one_of_all_its_deployments_and_one_of_a_deployment_is_its_own() -> None:
    assert weather(Incident("large", "outage")).change(CALL, "large#2", 0.0, 0.0).answer.error_kind == "connection"
    alone = weather(Incident("large#2", "outage"))
    assert alone.change(CALL, "large#1", 0.0, 0.0) is CALL
    assert alone.change(CALL, "large#2", 0.0, 0.0) is not CALL


def test_a_rate_limit_lets_its_rate_through() -> None:
    allowance = Allowance(5.0)
    passed = sum(allowance.lets_through(0.05 * number) for number in range(2_000))
    assert passed == pytest.approx(5 * 100 + 5, abs=2)
