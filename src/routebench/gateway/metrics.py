"""What the gateway counts, in the form that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from routebench.rules.budget import Ledger
from routebench.traces.row import Attempt, Trace

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0)
_STATES = ("closed", "half_open", "open")
CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()


@dataclass(frozen=True, slots=True)
class Standing:
    """How the gateway is doing at the moment when it is asked.

    Attributes:
        rules: the name of the rule set.
        policy: the first digits of its digest.
        deployments: every place where a model is asked.
        ill: those that are not well, and how they are: `open` or `half_open`.
        traces_waiting: rows that are not on disk yet.
        traces_lost: rows that could not be written.
        ledgers: what was spent today, by what it is called: `rules`, or `key` and its name.
    """

    rules: str
    policy: str
    deployments: Sequence[str] = ()
    ill: Mapping[str, str] = field(default_factory=dict)
    traces_waiting: int = 0
    traces_lost: int = 0
    ledgers: Mapping[str, Ledger] = field(default_factory=dict)


class Metrics:
    """Counts requests; to be used on one event loop.

    Labels are names of the rule set and of keys, and words of ours: nothing that a client sends becomes one, so that no
    client can fill the memory of who counts.
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry(auto_describe=False)
        self._requests = Counter(
            "routebench_requests", "Requests by what became of them.", ("model", "rule", "outcome", "status"),
            registry=registry,
        )  # fmt: skip
        self._of_client = Counter(
            "routebench_client_requests", "Requests by the gateway key.", ("client", "outcome"), registry=registry
        )
        self._client_cost = Counter(
            "routebench_client_cost_usd", "US dollars by the gateway key.", ("client",), registry=registry
        )
        self._seconds = Histogram(
            "routebench_request_seconds", "From a request's first byte to its answer's last.", ("model",),
            registry=registry, buckets=_SECONDS,
        )  # fmt: skip
        self._first = Histogram(
            "routebench_ttft_seconds", "To the first byte of a streamed answer's text.", ("model",),
            registry=registry, buckets=_SECONDS,
        )  # fmt: skip
        self._cost = Counter("routebench_cost_usd", "US dollars known to be billed.", ("model",), registry=registry)
        self._unknown = Counter(
            "routebench_cost_unknown", "Calls to models of unknown cost.", ("model",), registry=registry
        )
        self._tokens = Counter(
            "routebench_tokens", "Tokens of the answers handed over.", ("model", "direction"), registry=registry
        )
        self._attempts = Counter(
            "routebench_attempts", "Calls to models.", ("model", "deployment", "verdict", "error_kind"),
            registry=registry,
        )  # fmt: skip
        self._escalations = Counter(
            "routebench_escalations", "Requests of which a cascade's check refused an answer.", ("rule",),
            registry=registry,
        )  # fmt: skip
        self._shifted = Counter(
            "routebench_health_shifts", "Requests that began at another model because the first was not well.",
            ("wanted",), registry=registry,
        )  # fmt: skip
        self._explored = Counter("routebench_explored", "Requests that explored.", ("model",), registry=registry)
        self._shadow = Counter(
            "routebench_shadow", "Requests that a shadow decided too, by whether it wants the same model first.",
            ("agrees",), registry=registry,
        )  # fmt: skip
        self._reloads = Counter(
            "routebench_reloads", "Reloads of the rule set or the settings.", ("result",), registry=registry
        )
        self._in_flight = Gauge("routebench_in_flight", "Requests that are being served.", registry=registry)
        # Looking a child up by its labels takes several microseconds; there are few, and they stay.
        self._ended = cache(self._of_request)
        self._called = cache(self._of_attempt)
        for result in ("ok", "refused"):
            self._reloads.labels(result)

    def begin(self) -> None:
        """Counts a request that begins."""
        self._in_flight.inc()

    def end(self, trace: Trace) -> None:
        """Counts a request that ended."""
        self._in_flight.dec()
        requests, of_client, client_cost, seconds, first, read, written = self._ended(
            trace.model or "", trace.rule or "", trace.outcome, trace.status, trace.client or ""
        )
        requests.inc()
        of_client.inc()
        seconds.observe(trace.latency_s)
        if trace.ttft_s is not None:
            first.observe(trace.ttft_s)
        if trace.input_tokens is not None:
            read.inc(trace.input_tokens)
        if trace.output_tokens is not None:
            written.inc(trace.output_tokens)
        for attempt in trace.attempts:
            self._count(attempt, client_cost)
        if trace.escalated:
            self._escalations.labels(trace.rule or "").inc()
        if trace.explored:
            self._explored.labels(trace.model or "").inc()
        elif trace.wanted is not None and trace.chain and trace.wanted != trace.chain[0]:
            self._shifted.labels(trace.wanted).inc()
        if trace.shadow_chain is not None and trace.wanted is not None and not trace.explored:
            # The shadow knows nothing of health: what both want is compared, and not who was asked.
            self._shadow.labels("yes" if tuple(trace.shadow_chain[:1]) == (trace.wanted,) else "no").inc()

    def reloaded(self, *, ok: bool) -> None:
        """Counts a reload, or one that was refused."""
        self._reloads.labels("ok" if ok else "refused").inc()

    def render(self, standing: Standing) -> bytes:
        """Returns all of it as `CONTENT_TYPE` says."""
        return generate_latest(_Both(self._registry, standing))

    def _count(self, attempt: Attempt, client_cost: Any) -> None:
        calls, cost, unknown = self._called(
            attempt.model, attempt.deployment, attempt.verdict, attempt.error_kind or ""
        )
        calls.inc()
        if attempt.cost_usd is not None:
            cost.inc(attempt.cost_usd)
            client_cost.inc(attempt.cost_usd)
        else:
            unknown.inc()

    def _of_request(self, model: str, rule: str, outcome: str, status: int, client: str) -> tuple[Any, ...]:
        return (
            self._requests.labels(model, rule, outcome, status),
            self._of_client.labels(client, outcome),
            self._client_cost.labels(client),
            self._seconds.labels(model),
            self._first.labels(model),
            self._tokens.labels(model, "input"),
            self._tokens.labels(model, "output"),
        )

    def _of_attempt(self, model: str, deployment: str, verdict: str, error_kind: str) -> tuple[Any, ...]:
        return (
            self._attempts.labels(model, deployment, verdict, error_kind),
            self._cost.labels(model),
            self._unknown.labels(model),
        )


@dataclass(frozen=True, slots=True)
class _Both:
    """What was counted, and what is so now; the latter is asked for at each reading and never goes stale."""

    counted: CollectorRegistry
    standing: Standing

    def collect(self) -> Iterator[Metric]:
        for family in self.counted.collect():
            # When a series began is of no interest here, and would double their number.
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family
        yield from _families(self.standing)


def _families(now: Standing) -> Iterable[Metric]:
    rules = InfoMetricFamily("routebench_rules", "The rule set that decides.")
    rules.add_metric([], {"rules": now.rules, "policy": now.policy})
    yield rules
    health = GaugeMetricFamily(
        "routebench_health_state", "1 at the state that a place is in.", labels=("deployment", "state")
    )
    for name in now.deployments:
        for state in _STATES:
            health.add_metric([name, state], float(now.ill.get(name, "closed") == state))
    yield health
    waiting = GaugeMetricFamily("routebench_traces_waiting", "Trace rows that are not on disk yet.")
    waiting.add_metric([], now.traces_waiting)
    yield waiting
    lost = CounterMetricFamily("routebench_traces_lost", "Trace rows that could not be written.")
    lost.add_metric([], now.traces_lost)
    yield lost
    spent = GaugeMetricFamily("routebench_spent_usd", "US dollars known to be spent today.", labels=("budget",))
    budget = GaugeMetricFamily("routebench_budget_usd", "US dollars that a day may cost.", labels=("budget",))
    unknown = GaugeMetricFamily("routebench_spent_unknown", "Calls of today of unknown cost.", labels=("budget",))
    for name, ledger in now.ledgers.items():
        _, usd, n_unknown = ledger.today
        spent.add_metric([name], usd)
        budget.add_metric([name], ledger.budget.usd_per_day)
        unknown.add_metric([name], n_unknown)
    yield from (spent, budget, unknown)
