"""Traces as OpenTelemetry spans with the names of its GenAI conventions, sent in the background.

Where to, with which headers and as which service the standard variables tell: OTEL_EXPORTER_OTLP_ENDPOINT,
OTEL_EXPORTER_OTLP_HEADERS, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from routebench.errors import MissingDependencyError
from routebench.traces.preparing import Prepare, prepared
from routebench.traces.row import TEXTS, Trace

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

_LOG = logging.getLogger("routebench.traces")
_SLICES = 500
"""Stretches in which waiting rows become spans, each some 0.2 ms: for so long the event loop may wait for its turn. Of
very many that wait there are longer stretches instead of more of them."""
_PAUSE_S = 0.0005
_BATCH = 128
_NANOSECONDS = 1_000_000_000
_SERVER_ERROR = 500
_CLOSE_S = 10.0
_NAMES: Mapping[str, str] = {"gemini": "gcp.gemini", "mistral": "mistral_ai"}
"""Providers that the conventions call otherwise."""
_OWN = (
    "trace_id gateway rules policy client asked rule chain wanted eligible explored propensity deployment outcome "
    "cascade escalated cascade_wait_s cascade_extra_usd cost_usd decision_s features_sha256 shadow_rules shadow_rule "
    "shadow_chain tags"
).split()
"""Of a trace, under `routebench.`."""
_WITHOUT_TEXTS = tuple(one.name for one in fields(Trace) if one.name not in ("features", *TEXTS))
_WITH_TEXTS = (*_WITHOUT_TEXTS, "messages", "answer")


class Spans:
    """Sends a span a request.

    No text of a prompt or an answer is sent unless it is asked for.

    Args:
        provider_of: the provider of a model by name; None where it is unknown.
        texts: whether spans hold the texts of traces that have any.
        prepare: what becomes of a row before, on the sending thread, as in `TraceWriter`.
        exporter: takes spans; OTLP over HTTP by default.
        every_s: how often they are sent.
        max_waiting: rows that may wait; those beyond are counted as lost.

    Raises:
        MissingDependencyError: OpenTelemetry is not installed.
    """

    def __init__(
        self,
        *,
        provider_of: Callable[[str], str | None] = lambda _model: None,
        texts: bool = False,
        prepare: Prepare | None = None,
        exporter: SpanExporter | None = None,
        every_s: float = 1.0,
        max_waiting: int = 20_000,
    ) -> None:
        self._provider_of = provider_of
        self._texts = texts
        self._prepare = prepare
        self._every_s = every_s
        self._max_waiting = max_waiting
        self._names = _WITH_TEXTS if texts else _WITHOUT_TEXTS
        self._values_of = attrgetter(*self._names)
        self._waiting: deque[tuple[Any, ...]] = deque()
        self._ended: list[ReadableSpan] = []
        self._n_sent = 0
        self._n_overflown = 0
        self._n_refused = 0
        self._close = threading.Event()
        self._until = math.inf
        try:
            self._begin(exporter)
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                f"spans: {error.name} is not installed; run: pip install 'routebench[otel]'"
            ) from None
        self._thread = threading.Thread(target=self._run, name="routebench-spans", daemon=True)
        self._thread.start()

    def put(self, trace: Trace) -> None:
        """Takes a row; never waits. A row for which there is no room is counted as lost."""
        if len(self._waiting) < self._max_waiting and not self._close.is_set():
            # Not the row itself: its features hold the request, and rows may wait for as long as nobody takes them.
            self._waiting.append(self._values_of(trace))
        else:
            self._n_overflown += 1

    @property
    def n_sent(self) -> int:
        """Spans that were taken."""
        return self._n_sent

    @property
    def n_lost(self) -> int:
        """Rows for which there was no room, and spans that nobody took."""
        return self._n_overflown + self._n_refused

    def close(self) -> None:
        """Sends what waits, as long as somebody takes it, for about 10 s; a second call does nothing."""
        if not self._close.is_set():
            self._until = time.monotonic() + _CLOSE_S
            self._close.set()
        self._thread.join()

    def _begin(self, exporter: SpanExporter | None) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

        ended = self._ended

        class Collecting(SpanProcessor):
            """Hands spans over that have ended, where the SDK's own would drop those beyond its queue unseen."""

            def on_end(self, span: ReadableSpan) -> None:
                ended.append(span)

        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            exporter = OTLPSpanExporter()
        self._exporter = exporter
        # The environment's name goes before ours.
        resource = Resource.create({"service.name": "routebench"}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(Collecting())
        self._tracer = self._provider.get_tracer("routebench.traces")
        self._kind = trace.SpanKind.CLIENT
        self._failed = trace.StatusCode.ERROR

    def _run(self) -> None:
        while not self._close.wait(self._every_s):
            self._send_waiting()
        self._send_waiting()
        if self._waiting:
            self._n_refused += len(self._waiting)
            _LOG.error("spans: %d more could not be sent, and are lost", len(self._waiting))
            self._waiting.clear()
        self._exporter.shutdown()
        self._provider.shutdown()

    def _send_waiting(self) -> None:
        stretch = max(1, len(self._waiting) // _SLICES)
        for left in range(len(self._waiting), 0, -1):
            self._span(Trace(**dict(zip(self._names, self._waiting.popleft(), strict=True))))
            if len(self._ended) >= _BATCH:
                taken = self._send()
                if self._close.is_set() and (not taken or time.monotonic() > self._until):
                    # A gateway that ends waits for no collector that is gone, batch after batch.
                    return
            elif left % stretch == 0 and not self._close.is_set():
                # The event loop's turn.
                time.sleep(_PAUSE_S)
        self._send()

    def _span(self, trace: Trace) -> None:
        trace = prepared(trace, self._prepare)
        attributes = dict(self._attributes(trace))
        name = attributes.get("gen_ai.request.model")
        span = self._tracer.start_span(
            "chat" if name is None else f"chat {name}",
            kind=self._kind,
            attributes=attributes,
            start_time=int(trace.at * _NANOSECONDS),
        )
        if trace.outcome in ("failed", "broken") or trace.status >= _SERVER_ERROR:
            span.set_status(self._failed, trace.error)
        span.end(int((trace.at + trace.latency_s) * _NANOSECONDS))

    def _send(self) -> bool:
        """Sends the spans that are ready, and returns whether they were taken."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        if not self._ended:
            return True
        taken: bool = self._exporter.export(tuple(self._ended)) is SpanExportResult.SUCCESS
        if taken:
            self._n_sent += len(self._ended)
        else:
            self._n_refused += len(self._ended)
            _LOG.error("spans: %d were not taken, see above; see to OTEL_EXPORTER_OTLP_ENDPOINT", len(self._ended))
        self._ended.clear()
        return taken

    def _attributes(self, trace: Trace) -> Iterator[tuple[str, Any]]:
        """The span's attributes; what is unknown has none."""
        model = trace.model or next(iter(trace.chain), trace.asked)
        provider = None if model is None else self._provider_of(model)
        told: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": None if provider is None else _NAMES.get(provider, provider),
            "gen_ai.request.model": model,
            "gen_ai.request.stream": trace.streamed,
            "gen_ai.response.model": trace.served_model,
            "gen_ai.response.finish_reasons": None if trace.finish_reason is None else [trace.finish_reason],
            "gen_ai.response.time_to_first_chunk": trace.ttft_s,
            "gen_ai.conversation.id": trace.conversation,
            "gen_ai.usage.input_tokens": trace.input_tokens,
            "gen_ai.usage.output_tokens": trace.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": trace.cached_input_tokens,
            "gen_ai.usage.reasoning.output_tokens": trace.reasoning_tokens,
            "http.response.status_code": trace.status,
            "error.type": None if trace.outcome == "ok" else trace.error_kind or trace.outcome,
            **{f"routebench.{name}": getattr(trace, name) for name in _OWN},
            # When each of them began nobody knows: they are lists here, not spans.
            "routebench.attempts.model": [one.model for one in trace.attempts],
            "routebench.attempts.deployment": [one.deployment for one in trace.attempts],
            "routebench.attempts.verdict": [one.verdict for one in trace.attempts],
            "routebench.attempts.error_kind": [one.error_kind or "" for one in trace.attempts],
        }
        if self._texts:
            told["gen_ai.input.messages"] = None if trace.messages is None else _messages(trace.messages)
            told["gen_ai.output.messages"] = None if trace.answer is None else _said(trace.answer, trace.finish_reason)
        for name, value in told.items():
            if value is not None and not (isinstance(value, (list, tuple)) and not value):
                yield name, list(value) if isinstance(value, (list, tuple)) else value


def _messages(messages: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps([{"role": one.get("role"), "parts": _parts(one.get("content"))} for one in messages])


def _said(answer: str, finish: str | None) -> str:
    return json.dumps([{"role": "assistant", "parts": _parts(answer), "finish_reason": finish}])


def _parts(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "content": content}]
    found = content if isinstance(content, list) else []
    return [
        {"type": "text", "content": part["text"]} if isinstance(part, Mapping) and "text" in part else {"type": "other"}
        for part in found
    ]
