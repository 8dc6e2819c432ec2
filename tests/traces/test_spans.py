"""Spans as a collector on loopback receives them."""

from __future__ import annotations

import json
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from routebench.traces import Trace
from routebench.traces.spans import Spans
from tests.traces.rows import FULL, START, row


class Collector:
    """Takes what OTLP over HTTP sends."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200

    @contextmanager
    def listening(self) -> Iterator[str]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.headers.append({**self.headers, "path": self.path})
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(collector.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


def plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [plain(one) for one in value.array_value.values] if kind == "array_value" else getattr(value, kind)


def told(span: Any) -> dict[str, Any]:
    return {one.key: plain(one.value) for one in span.attributes}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    found = Collector()
    with found.listening() as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        yield found


def sent(*rows: Trace, **how: Any) -> Spans:
    spans = Spans(**how)
    for one in rows:
        spans.put(one)
    spans.close()
    return spans


def test_a_request_is_a_span_with_the_names_of_the_conventions(collector: Collector) -> None:
    spans = sent(row(1, **FULL), provider_of={"large": "gemini"}.get)
    assert (spans.n_sent, spans.n_lost) == (1, 0)
    (span,) = collector.spans
    assert span.name == "chat large"
    assert span.kind == span.SPAN_KIND_CLIENT
    assert (span.start_time_unix_nano, span.end_time_unix_nano - span.start_time_unix_nano) == (
        int((START + 0.01) * 1e9),
        pytest.approx(5e8, abs=1000),
    )
    found = told(span)
    wanted = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "large",
        "gen_ai.request.stream": False,
        "gen_ai.response.model": "big-2026",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": 0.5,
        "gen_ai.conversation.id": "c" * 16,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 64,
        "gen_ai.usage.reasoning.output_tokens": 5,
        "http.response.status_code": 200,
        "routebench.trace_id": "t000001",
        "routebench.rule": "tables",
        "routebench.chain": ["large", "small"],
        "routebench.propensity": 0.02,
        "routebench.cost_usd": 0.0003,
        "routebench.escalated": False,
        "routebench.attempts.model": ["small", "large"],
        "routebench.attempts.verdict": ["failed", "accepted"],
        "routebench.attempts.error_kind": ["rate_limited", ""],
        "routebench.tags": ["beta", "eu"],
    }
    assert {name: found.get(name) for name in wanted} == wanted
    assert "error.type" not in found, "it was answered"
    assert span.status.code == span.status.STATUS_CODE_UNSET


def test_no_text_is_sent_unless_it_is_asked_for(collector: Collector) -> None:
    sent(row(1, **FULL))
    assert not {name for name in told(collector.spans[0]) if "messages" in name}
    raw = collector.requests[0].SerializeToString()
    assert b"Two" not in raw
    assert b"He said" not in raw
    sent(row(2, **FULL), row(3), texts=True)
    found = told(collector.spans[1])
    assert json.loads(found["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": FULL["messages"][0]["content"]}]}
    ]
    assert json.loads(found["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": FULL["answer"]}], "finish_reason": "stop"}
    ]
    assert not {name for name in told(collector.spans[2]) if "messages" in name}


def test_personal_data_is_taken_out_before(collector: Collector) -> None:
    def fails(trace: Trace) -> Trace:
        raise ValueError("theirs")

    sent(row(1, **FULL), texts=True, prepare=fails)
    assert not {name for name in told(collector.spans[0]) if "messages" in name}


def test_what_is_unknown_has_no_attribute(collector: Collector) -> None:
    sent(row(1))
    found = told(collector.spans[0])
    assert collector.spans[0].name == "chat"
    assert not {name for name in found if name.startswith(("gen_ai.usage", "gen_ai.provider", "routebench.cost"))}
    assert "routebench.propensity" not in found


@pytest.mark.parametrize(
    ("changes", "kind", "fails"),
    [
        ({"outcome": "failed", "status": 502, "error_kind": "timeout", "error": "slow"}, "timeout", True),
        ({"outcome": "broken", "error_kind": "incomplete"}, "incomplete", True),
        ({"outcome": "refused", "status": 429, "error_kind": "rate_limit_error"}, "rate_limit_error", False),
        ({"outcome": "cancelled"}, "cancelled", False),
    ],
)
def test_failures_are_told(collector: Collector, changes: dict[str, Any], kind: str, fails: bool) -> None:
    sent(row(1, **changes))
    (span,) = collector.spans
    assert told(span)["error.type"] == kind
    assert (span.status.code == span.status.STATUS_CODE_ERROR) is fails
    assert span.status.message == changes.get("error", "")


def test_the_standard_variables_tell_where_to_and_as_what(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent(row(1))
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop-gateway")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=shop")
    sent(row(2))
    names = [
        {one.key: plain(one.value) for one in request.resource_spans[0].resource.attributes}["service.name"]
        for request in collector.requests
    ]
    assert names == ["routebench", "shop-gateway"]
    assert [one["path"] for one in collector.headers] == ["/v1/traces", "/v1/traces"]
    assert collector.headers[1]["x-tenant"] == "shop"


def test_spans_go_in_batches(collector: Collector) -> None:
    spans = sent(*(row(number) for number in range(1500)))
    assert (spans.n_sent, spans.n_lost) == (1500, 0)
    assert [told(span)["routebench.trace_id"] for span in collector.spans] == [
        f"t{number:06}" for number in range(1500)
    ]
    assert len(collector.requests) >= 3


def test_what_a_collector_refuses_is_counted(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    collector.status = 400
    spans = sent(row(1), row(2))
    assert (spans.n_sent, spans.n_lost) == (0, 2)
    assert "2 were not taken" in caplog.text


class Slow(SpanExporter):
    """Holds the first batch until it is let go."""

    def __init__(self) -> None:
        self.has_begun, self.go = threading.Event(), threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.has_begun.set()
        assert self.go.wait(30)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        pass


def test_of_a_collector_that_is_slow_rows_beyond_are_counted() -> None:
    slow = Slow()
    spans = Spans(exporter=slow, every_s=0.01, max_waiting=10)
    spans.put(row(0))
    assert slow.has_begun.wait(30)
    for number in range(1, 30):
        spans.put(row(number))
    assert spans.n_lost == 19
    slow.go.set()
    spans.close()
    spans.close()
    assert (spans.n_sent, spans.n_lost) == (11, 19)
    spans.put(row(30))
    assert spans.n_lost == 20


class Refusing(SpanExporter):
    """Takes nothing, and counts how often it was asked."""

    n = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.n += len(spans)
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        pass


def test_what_ends_waits_for_no_collector_that_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    refusing = Refusing()
    spans = sent(*(row(number) for number in range(5000)), exporter=refusing, every_s=3600.0)
    assert (spans.n_sent, spans.n_lost) == (0, 5000)
    assert refusing.n < 1000
    assert "more could not be sent, and are lost" in caplog.text


class Asked(dict[str, Any]):
    """Features, which hold the request."""


def test_rows_that_wait_hold_no_request() -> None:
    slow = Slow()
    spans = Spans(exporter=slow, every_s=3600.0)
    features = Asked(turns=1)
    held = weakref.ref(features)
    spans.put(row(1, features=features, messages=[{"content": "Who?"}]))
    del features
    assert held() is None
    slow.go.set()
    spans.close()
    assert spans.n_sent == 1
