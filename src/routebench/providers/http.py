"""One exchange over HTTP, for every wire format: send, read, stamp the times, turn every fault into a typed error."""

from __future__ import annotations

import abc
import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from routebench.providers.answer import Answer, read_json
from routebench.providers.base import Call, failed, now, requested_output_cap
from routebench.providers.events import Done, Event
from routebench.providers.faults import from_exception, from_status, request_id
from routebench.providers.sse import Decoder
from routebench.providers.transport import Response, Transport, TransportError, as_transport
from routebench.providers.waits import exhausted_s
from routebench.redact import Secrets
from routebench.types import Completion, Model, Request

if TYPE_CHECKING:
    from routebench.providers.transport import Carrier

MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""More than any model writes: what is longer is not an answer, and would fill the memory."""
_MAX_ERROR_BYTES = 64 * 1024
_MAX_ERROR_CHARACTERS = 600
_UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError)
_END: Any = object()
_JSON = {"content-type": "application/json"}
_STREAM_STARTS = (b"data:", b"event:", b":", b"id:", b"retry:")


@dataclass(frozen=True, slots=True)
class WireRequest:
    """What a wire format makes of a call: an absolute URL, headers without the key, and a JSON body."""

    url: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]


class Wire(abc.ABC):
    """One wire format: pure functions between calls, documents and answers. Bad documents raise ValueError."""

    @abc.abstractmethod
    def check(self, model: Model, request: Request) -> None:
        """Checks a rendered request.

        Raises:
            ConfigError: it asks for what this format lacks.
        """

    @abc.abstractmethod
    def request(self, call: Call, secrets: Mapping[str, str], *, stream: bool) -> WireRequest:
        """Writes a call in this format; `secrets` are environment variable name -> value."""

    @abc.abstractmethod
    def read_event(self, answer: Answer, name: str, data: str) -> None:
        """Takes one server-sent event."""

    @abc.abstractmethod
    def read_document(self, answer: Answer, document: Any) -> None:
        """Takes a whole answer that was not streamed."""

    def read_headers(self, answer: Answer, headers: Mapping[str, str]) -> None:  # noqa: B027 - most say nothing there
        """Takes what a gateway says about an answer in its headers."""

    def read_end(self, answer: Answer) -> None:  # noqa: B027 - most formats have a terminal event
        """Takes the clean end of a stream."""

    def output_cap(self, model: Model, request: Request) -> int | None:
        """Returns the most output tokens of a call, None where nothing bounds them."""
        return requested_output_cap(model, request)


class HttpProvider:
    """Sends calls in one wire format.

    A call is streamed, so that its time to first token is real, unless its parameter `stream` is false.

    Args:
        wire: the format.
        transport: carries the requests; a test injects one, an `httpx.MockTransport` will do.
        secrets: environment variable name -> secret value.
    """

    def __init__(self, wire: Wire, transport: Carrier, secrets: Mapping[str, str] | None = None) -> None:
        self._wire = wire
        self._transport = as_transport(transport)
        self._secrets = dict(secrets or {})
        self._mask = Secrets(self._secrets.values())

    async def complete(self, call: Call) -> Completion:
        """Sends one attempt and returns its answer or its typed error."""
        return await self._send(call, _ignore)

    async def stream(self, call: Call) -> AsyncGenerator[Event]:
        """Sends one attempt; yields its pieces as they come, and the whole Completion last.

        Leaving the iteration early ends the exchange.
        """
        events: asyncio.Queue[Event] = asyncio.Queue()
        sending = asyncio.create_task(self._send(call, events.put_nowait))
        sending.add_done_callback(lambda _: events.put_nowait(_END))
        try:
            while (event := await events.get()) is not _END:
                yield event
            yield Done(await sending)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send(self, call: Call, emit: Callable[[Event], None]) -> Completion:
        completion = await self._exchange(call, emit)
        if completion.error is None:
            return completion
        # Blanked before it is shortened: a key that is cut in two would not be found any more.
        return replace(completion, error=self._mask.clean(completion.error)[:_MAX_ERROR_CHARACTERS])

    async def _exchange(self, call: Call, emit: Callable[[Event], None]) -> Completion:
        answer = Answer(emit)
        streamed = call.request.params.get("stream", True) is not False
        try:
            wired = self._wire.request(call, self._secrets, stream=streamed)
            body = _write(wired.body)
        except _UNREADABLE as error:
            return failed(
                "bad_request", f"the request cannot be written in this provider's format: {error}", billed_cost_usd=0.0
            )
        exchange = _Exchange(self._wire, self._transport, answer)
        try:
            async with asyncio.timeout(call.timeout_s):
                refused = await exchange.run(wired, body, call.timeout_s, whole=not streamed)
        except (TransportError, TimeoutError) as error:
            if answer.done:
                # The answer was whole; what broke is only what came after it.
                return answer.completion(**exchange.times())
            fault = from_exception(error, timeout_s=call.timeout_s, started=answer.started)
            if fault.error_kind == "connection":
                place = urlsplit(wired.url)
                fault = replace(fault, error=f"{fault.error} ({place.scheme}://{place.netloc})")
            return replace(fault, usage=answer.usage_so_far(), served_model=answer.served_model, **exchange.times())
        except _UNREADABLE as error:
            # JSON that is none, and JSON of shapes that nobody foresaw: one odd answer is one failed call.
            told = str(error) if isinstance(error, ValueError) else repr(error)
            sentence = f"not an answer in this provider's format: {told}"
            return failed("malformed", sentence, usage=answer.usage_so_far(), **exchange.times())
        if refused is not None and refused.error_kind == "auth" and call.model.key_env is None:
            return replace(refused, error=f"{refused.error} (no key was sent: the model names no `key_env`)")
        return refused or answer.completion(retry_after_s=exchange.wait_s, **exchange.times())

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._transport.aclose()


def _ignore(event: Event) -> None:
    """Nobody follows the answer while it is written."""


class _Exchange:
    """One request and its response, with the times of both; they are taken before anything is parsed."""

    def __init__(self, wire: Wire, transport: Transport, answer: Answer) -> None:
        self._wire = wire
        self._transport = transport
        self._answer = answer
        self._started_at: datetime | None = None
        self._start = self._arrived = time.perf_counter()
        self._ttft_s: float | None = None
        self.wait_s: float | None = None

    def times(self) -> dict[str, Any]:
        """The fields of a Completion that this exchange has measured; where nothing has come, up to now."""
        arrived = self._arrived if self._arrived > self._start else time.perf_counter()
        return {
            "latency_s": arrived - self._start,
            "ttft_s": self._ttft_s,
            "started_at": self._started_at,
        }

    async def run(self, wired: WireRequest, body: bytes, timeout_s: float, *, whole: bool) -> Completion | None:
        """Fills the answer; returns the typed error of a response that refuses the request."""
        self._started_at, self._start = now(), time.perf_counter()
        # Our deadline ends the call; the transport's own, a little later, frees what it holds.
        response = await self._transport.send(
            "POST", wired.url, {**_JSON, **wired.headers}, body, timeout_s=timeout_s + 1.0, whole=whole
        )
        self._arrived = time.perf_counter()
        try:
            headers = response.headers
            chunks = self._chunks(response)
            if response.status >= 300:
                told = await _read(chunks, _MAX_ERROR_BYTES)
                refused = from_status(response.status, headers, told.decode(errors="replace"))
                return replace(refused, latency_s=self._arrived - self._start, started_at=self._started_at)
            self._answer.request_id = request_id(headers)
            self._wire.read_headers(self._answer, headers)
            self.wait_s = exhausted_s(headers, now=self._started_at)
            first = await anext(chunks, b"")
            document: bytes | None = None
            if _is_stream(headers, first):
                await self._read_events(first, chunks)
            else:
                document = first + await _read(chunks, MAX_ANSWER_BYTES)
        finally:
            await response.aclose()
        # What has arrived meanwhile is taken in first, so that answers which came together are all stamped before the
        # first of them is worked on.
        await asyncio.sleep(0)
        if document is not None:
            if len(document) > MAX_ANSWER_BYTES:
                raise ValueError(f"longer than {MAX_ANSWER_BYTES} bytes")
            self._wire.read_document(self._answer, read_json(document))
        return None

    async def _read_events(self, first: bytes, chunks: AsyncIterator[bytes]) -> None:
        decoder, size, chunk = Decoder(), 0, first
        while chunk:
            size += len(chunk)
            if size > MAX_ANSWER_BYTES:
                raise ValueError(f"longer than {MAX_ANSWER_BYTES} bytes")
            for event in decoder.feed(chunk):
                self._wire.read_event(self._answer, event.name, event.data)
                if self._answer.done:
                    break
            if self._ttft_s is None and self._answer.started:
                self._ttft_s = self._arrived - self._start
            if self._answer.done:
                # The end of the body is there already, or nobody waits for it.
                return
            chunk = await anext(chunks, b"")
        self._wire.read_end(self._answer)

    async def _chunks(self, response: Response) -> AsyncIterator[bytes]:
        """Yields the chunks of the body, and stamps each when it comes."""
        async for chunk in response.chunks:
            self._arrived = time.perf_counter()
            if chunk:
                yield chunk


def _write(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _is_stream(headers: Mapping[str, str], first: bytes) -> bool:
    """By the content type, or by the first bytes where a proxy has lost the type."""
    if "text/event-stream" in headers.get("content-type", ""):
        return True
    return first.lstrip().startswith(_STREAM_STARTS)


async def _read(chunks: AsyncIterator[bytes], at_most: int) -> bytes:
    """Reads until the end, or until there is more than `at_most`."""
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size > at_most:
            break
    return b"".join(parts)
