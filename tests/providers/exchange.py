"""One exchange with a wire format over a transport that plays back bytes, cut wherever a test wants them cut."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx

from routebench.providers import Done, Event, prepare
from routebench.providers.http import HttpProvider, Wire
from routebench.types import Completion, Request
from tests.conftest import make_model

REQUEST = Request(messages=({"role": "user", "content": "hi"},))
EVENT_STREAM = {"content-type": "text/event-stream"}


class Body(httpx.AsyncByteStream):
    """Chunks, and perhaps a broken connection after them."""

    def __init__(self, chunks: Sequence[bytes], *, cut: bool) -> None:
        self._chunks = chunks
        self._cut = cut

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        if self._cut:
            raise httpx.ReadError("connection reset by peer")


class Playback(httpx.AsyncBaseTransport):
    """Answers every request with the same response, and keeps the requests."""

    def __init__(self, chunks: Sequence[bytes], status: int, headers: Mapping[str, str], *, cut: bool) -> None:
        self.requests: list[httpx.Request] = []
        self._response = (chunks, status, headers, cut)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        chunks, status, headers, cut = self._response
        return httpx.Response(status, headers=dict(headers), stream=Body(chunks, cut=cut))


def play(
    wire: Wire,
    chunks: bytes | Sequence[bytes],
    *,
    status: int = 200,
    headers: Mapping[str, str] = EVENT_STREAM,
    cut: bool = False,
    request: Request = REQUEST,
    **model: Any,
) -> tuple[Completion, list[Event]]:
    """Returns the completion that a response becomes, and the events before it."""
    transport = Playback([chunks] if isinstance(chunks, bytes) else chunks, status, headers, cut=cut)

    async def once() -> list[Event]:
        provider = HttpProvider(wire, transport, {"KEY": "sk-secret"})
        call = prepare(make_model(base_url="http://127.0.0.1:1/v1", **model), request, timeout_s=5)
        return [event async for event in provider.stream(call)]

    *events, last = asyncio.run(once())
    assert isinstance(last, Done)
    return last.completion, events


def whole(wire: Wire, document: Any, **options: Any) -> Completion:
    """Returns the completion that an answer without streaming becomes."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return play(wire, body, headers={"content-type": "application/json"}, **options)[0]


def sent(wire: Wire, *, request: Request = REQUEST, stream: bool = False, **model: Any) -> tuple[httpx.Request, Any]:
    """Returns the HTTP request and its body that a call becomes."""
    transport = Playback([b"{}"], 200, {"content-type": "application/json"}, cut=False)

    async def once() -> None:
        made = make_model(**{"base_url": "http://127.0.0.1:1/v1", "key_env": "KEY", **model})
        params = {**made.params, "stream": stream}
        provider = HttpProvider(wire, transport, {"KEY": "sk-secret"})
        await provider.complete(prepare(make_model(**{**_fields(made), "params": params}), request, timeout_s=5))

    asyncio.run(once())
    return transport.requests[0], json.loads(transport.requests[0].content)


def _fields(model: Any) -> dict[str, Any]:
    return {name: getattr(model, name) for name in model.__dataclass_fields__}


def without_times(completion: Completion) -> dict[str, Any]:
    """What a completion says, apart from when."""
    fields = _fields(completion)
    return {name: value for name, value in fields.items() if name not in ("latency_s", "ttft_s", "started_at")}


def sse(*events: Any, names: bool = False, end: str = "\n") -> bytes:
    """Writes server-sent events; with `names`, each is named by its `type`."""
    out = []
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
        name = f"event: {event['type']}{end}" if names else ""
        out.append(f"{name}data: {data}{end}{end}")
    return "".join(out).encode()
