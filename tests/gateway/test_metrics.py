"""What Prometheus reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from routebench.gateway.metrics import CONTENT_TYPE, Metrics, Standing
from routebench.rules.budget import Budget, Ledger
from routebench.traces.row import Attempt, Trace

NOW = Standing("support-bot", "0123456789ab", ("small", "large#1"))
SERVED = Trace(
    "t", 0.0, "g", "support-bot", "0123456789ab", 200, "ok", True, 0.3,
    client="bot", rule="default", chain=("small", "large"), wanted="small", model="small", deployment="small",
    attempts=(Attempt("small", "small", "accepted", None, 0.3, 0.1, 10, 20, 0.25),),
    input_tokens=10, output_tokens=20, ttft_s=0.1, cost_usd=0.25,
)  # fmt: skip


def read(metrics: Metrics, standing: Standing = NOW) -> dict[tuple[str, ...], float]:
    """(name, label values in the order of their names) -> value; of histograms the sum and the count."""
    text = metrics.render(standing).decode()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_bucket")
    }


def after(*traces: Trace) -> dict[tuple[str, ...], float]:
    metrics = Metrics()
    for trace in traces:
        metrics.begin()
        metrics.end(trace)
    return read(metrics)


def changed(**fields: Any) -> Trace:
    return replace(SERVED, **fields)


def test_a_request_that_was_served() -> None:
    told = after(SERVED, SERVED)
    expected = {
        ("routebench_requests_total", "small", "ok", "default", "200"): 2,
        ("routebench_client_requests_total", "bot", "ok"): 2,
        ("routebench_client_cost_usd_total", "bot"): 0.5,
        ("routebench_request_seconds_count", "small"): 2,
        ("routebench_request_seconds_sum", "small"): 0.6,
        ("routebench_ttft_seconds_sum", "small"): 0.2,
        ("routebench_cost_usd_total", "small"): 0.5,
        ("routebench_cost_unknown_total", "small"): 0,
        ("routebench_tokens_total", "input", "small"): 20,
        ("routebench_tokens_total", "output", "small"): 40,
        ("routebench_attempts_total", "small", "", "small", "accepted"): 2,
        ("routebench_in_flight",): 0,
    }
    assert {key: told[key] for key in expected} == expected
    assert not [key for key in told if key[0].endswith("_created")]
    assert b"text/plain" in CONTENT_TYPE


def test_unknown_costs_and_tokens_are_no_zeros() -> None:
    failed = Attempt("small", "small", "failed", "timeout")
    told = after(changed(attempts=(failed, *SERVED.attempts), input_tokens=None, output_tokens=None, ttft_s=None))
    assert told["routebench_cost_unknown_total", "small"] == 1
    assert told["routebench_cost_usd_total", "small"] == 0.25
    assert told["routebench_tokens_total", "input", "small"] == 0
    assert told["routebench_ttft_seconds_count", "small"] == 0
    assert told["routebench_attempts_total", "small", "timeout", "small", "failed"] == 1


def test_what_is_in_flight() -> None:
    metrics = Metrics()
    metrics.begin()
    metrics.begin()
    metrics.end(SERVED)
    assert read(metrics)["routebench_in_flight",] == 1


def test_escalations_exploration_shifts_and_the_shadow() -> None:
    told = after(
        changed(escalated=True),
        changed(escalated=False),
        changed(explored=True, chain=("large", "small"), model="large"),
        changed(chain=("large", "small")),
        changed(shadow_chain=("small",)),
        changed(shadow_chain=("large", "small")),
        changed(shadow_chain=()),
        # Neither a draw nor health is a matter of what the rules want.
        changed(shadow_chain=("small",), explored=True, chain=("large", "small"), model="large"),
        changed(shadow_chain=("small",), chain=("large", "small")),
    )
    assert told["routebench_escalations_total", "default"] == 1
    assert told["routebench_explored_total", "large"] == 2
    assert told["routebench_health_shifts_total", "small"] == 2
    assert told["routebench_shadow_total", "yes"] == 2
    assert told["routebench_shadow_total", "no"] == 2


def test_how_it_is_doing_now() -> None:
    metrics = Metrics()
    metrics.reloaded(ok=True)
    metrics.reloaded(ok=False)
    metrics.reloaded(ok=False)
    ledger = Ledger(Budget(5.0), lambda: datetime(2026, 11, 25, tzinfo=UTC))
    ledger.add(1.5)
    ledger.add(None)
    standing = replace(NOW, ill={"large#1": "open"}, traces_waiting=3, traces_lost=2, ledgers={"key bot": ledger})
    told = read(metrics, standing)
    assert told["routebench_reloads_total", "ok"] == 1
    assert told["routebench_reloads_total", "refused"] == 2
    assert told["routebench_rules_info", "0123456789ab", "support-bot"] == 1
    states = [told["routebench_health_state", "large#1", state] for state in ("closed", "half_open", "open")]
    assert states == [0, 0, 1]
    assert told["routebench_health_state", "small", "closed"] == 1
    assert told["routebench_traces_waiting",] == 3
    assert told["routebench_traces_lost_total",] == 2
    assert told["routebench_spent_usd", "key bot"] == 1.5
    assert told["routebench_budget_usd", "key bot"] == 5
    assert told["routebench_spent_unknown", "key bot"] == 1
    # A place that is gone after a reload leaves nothing behind.
    assert ("routebench_health_state", "large#1", "open") not in read(metrics, replace(NOW, deployments=("small",)))


def test_nothing_that_a_client_sends_becomes_a_label() -> None:
    sent = "chosen-by-the-client"
    told = after(
        *(
            changed(
                trace_id=f"{sent}-{number}", asked=f"{sent}-{number}", tags=(f"{sent}-{number}",), model=None, rule=None,
                conversation=f"{sent}-{number}", error=f"{sent}-{number}", outcome="refused", status=404, attempts=(),
                error_kind="model_not_found", chain=(), wanted=None,
            )
            for number in range(100)
        )
    )  # fmt: skip
    assert not [key for key in told if any(sent in part for part in key)]
    assert told["routebench_requests_total", "", "refused", "", "404"] == 100


def test_each_reading_is_of_its_moment() -> None:
    metrics = Metrics()
    assert read(metrics) == read(metrics)
    metrics.begin()
    metrics.end(SERVED)
    first = read(metrics)
    metrics.begin()
    metrics.end(SERVED)
    assert read(metrics)["routebench_requests_total", "small", "ok", "default", "200"] == 2
    assert first["routebench_requests_total", "small", "ok", "default", "200"] == 1
