"""One exchange over HTTP, for every wire format: send, read, stamp the times, turn every fault into a typed error."""

from __future__ import annotations

import abc
import asyncio
import json
import math
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from routebench.providers.answer import Answer, read_json
from routebench.providers.base import Call, failed, now, requested_output_cap
from routebench.providers.carriers import as_transport
from routebench.providers.deadline import Deadline
from routebench.providers.events import Done, Event
from routebench.providers.faults import from_exception, from_status, request_id
from routebench.providers.sse import Decoder
from routebench.providers.transport import Response, Transport, TransportError
from routebench.providers.waits import exhausted_s
from routebench.redact import Secrets
from routebench.types import Completion, Model, Request

if TYPE_CHECKING:
    from routebench.providers.carriers import Carrier

MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""More than any model writes: what is longer is not an answer, and would fill the memory."""
_MAX_ERROR_BYTES = 64 * 1024
_MAX_ERROR_CHARACTERS = 600
_UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError)
_FAULTS = (TransportError, TimeoutError, *_UNREADABLE)
_JSON = {"content-type": "application/json"}
_AS_JSON = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
"""Dates and our own values are no JSON, and stand in a request by mistake."""
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
        self._in_flight = 0

    async def complete(self, call: Call) -> Completion:
        """Sends one attempt and returns its answer or its typed error."""
        exchange = self._begun(call, _ignore)
        if isinstance(exchange, Completion):
            return self._masked(exchange)
        fault: Exception | None = None
        try:
            await exchange.begin()
            while not exchange.is_over:
                await exchange.go_on()
        except _FAULTS as error:
            fault = error
        finally:
            await self._left(exchange)
        return self._masked(self._ended(exchange, fault))

    async def stream(self, call: Call) -> AsyncGenerator[Event]:
        """Sends one attempt; yields its pieces as they come, and the whole Completion last.

        Leaving the iteration early ends the exchange.
        """
        pieces: list[Event] = []
        exchange = self._begun(call, pieces.append)
        if isinstance(exchange, Completion):
            yield Done(self._masked(exchange))
            return
        fault: Exception | None = None
        try:
            # One after the other on the task of whoever listens: a task and a queue of its own for every call would
            # cost more than all else that is done with a piece.
            await exchange.begin()
            while not exchange.is_over:
                for piece in pieces:
                    yield piece
                pieces.clear()
                await exchange.go_on()
        except _FAULTS as error:
            fault = error
        finally:
            await self._left(exchange)
        for piece in pieces:
            yield piece
        yield Done(self._masked(self._ended(exchange, fault)))

    def _begun(self, call: Call, emit: Callable[[Event], None]) -> _Exchange | Completion:
        """The exchange of a call, or why there can be none."""
        streamed = call.request.params.get("stream", True) is not False
        try:
            wired = self._wire.request(call, self._secrets, stream=streamed)
            body = _write(wired.body)
        except _UNREADABLE as error:
            sentence = f"the request cannot be written in this provider's format: {error}"
            return failed("bad_request", sentence, billed_cost_usd=0.0)
        self._in_flight += 1
        return _Exchange(self._wire, self._transport, call, wired, body, Answer(emit), self._are_many)

    async def _left(self, exchange: _Exchange) -> None:
        self._in_flight -= 1
        await exchange.aclose()

    def _are_many(self) -> bool:
        return self._in_flight > 1

    def _ended(self, exchange: _Exchange, fault: Exception | None) -> Completion:
        call, answer = exchange.call, exchange.answer
        if fault is None:
            refused = exchange.refused
            if refused is not None and refused.error_kind == "auth" and call.model.key_env is None:
                return replace(refused, error=f"{refused.error} (no key was sent: the model names no `key_env`)")
            return refused or answer.completion(retry_after_s=exchange.wait_s, **exchange.times())
        if not isinstance(fault, (TransportError, TimeoutError)):
            # JSON that is none, and JSON of shapes that nobody foresaw: one odd answer is one failed call.
            told = str(fault) if isinstance(fault, ValueError) else repr(fault)
            sentence = f"not an answer in this provider's format: {told}"
            return failed("malformed", sentence, usage=answer.usage_so_far(), **exchange.times())
        if answer.done:
            # The answer was whole; what broke is only what came after it.
            return answer.completion(**exchange.times())
        failure = from_exception(fault, timeout_s=call.timeout_s, started=answer.started)
        if failure.error_kind == "connection":
            place = urlsplit(exchange.wired.url)
            failure = replace(failure, error=f"{failure.error} ({place.scheme}://{place.netloc})")
        return replace(failure, usage=answer.usage_so_far(), served_model=answer.served_model, **exchange.times())

    def _masked(self, completion: Completion) -> Completion:
        if completion.error is None:
            return completion
        # Blanked before it is shortened: a key that is cut in two would not be found any more.
        return replace(completion, error=self._mask.clean(completion.error)[:_MAX_ERROR_CHARACTERS])

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._transport.aclose()


def _ignore(event: Event) -> None:
    """Nobody follows the answer while it is written."""


class _Exchange:
    """One request and its response, with the times of both; they are taken before anything is parsed."""

    def __init__(
        self,
        wire: Wire,
        transport: Transport,
        call: Call,
        wired: WireRequest,
        body: bytes,
        answer: Answer,
        are_many: Callable[[], bool],
    ) -> None:
        self.call = call
        self.wired = wired
        self.answer = answer
        self.is_over = False
        self.wait_s: float | None = None
        self.refused: Completion | None = None
        self._wire = wire
        self._transport = transport
        self._body = body
        self._are_many = are_many
        self._deadline = Deadline(call.timeout_s)
        self._response: Response | None = None
        self._decoder = Decoder()
        self._size = 0
        self._started_at: datetime | None = None
        self._start = self._arrived = time.perf_counter()
        self._ttft_s: float | None = None

    async def aclose(self) -> None:
        """Ends it, wherever it stands."""
        self._deadline.close()
        response, self._response = self._response, None
        if response is not None:
            await response.aclose()

    def times(self) -> dict[str, Any]:
        """The fields of a Completion that this exchange has measured; where nothing has come, up to now."""
        arrived = self._arrived if self._arrived > self._start else time.perf_counter()
        return {
            "latency_s": arrived - self._start,
            "ttft_s": self._ttft_s,
            "started_at": self._started_at,
        }

    async def begin(self) -> None:
        """Sends the request, and reads a whole answer or what comes first of a stream."""
        streamed = self.call.request.params.get("stream", True) is not False
        self._started_at, self._start = now(), time.perf_counter()
        # Our deadline ends the call; the transport's own, a little later, frees what it holds.
        with self._deadline:
            response = self._response = await self._transport.send(
                "POST",
                self.wired.url,
                {**_JSON, **self.wired.headers},
                self._body,
                timeout_s=self.call.timeout_s + 1.0,
                whole=not streamed,
            )
        self._arrived = time.perf_counter()
        headers = response.headers
        if response.status >= 300:
            self.is_over = True
            told = await self._read(b"", _MAX_ERROR_BYTES)
            refused = from_status(response.status, headers, told.decode(errors="replace"))
            self.refused = replace(refused, latency_s=self._arrived - self._start, started_at=self._started_at)
            return
        self.answer.request_id = request_id(headers)
        self._wire.read_headers(self.answer, headers)
        self.wait_s = exhausted_s(headers, now=self._started_at)
        first = await self._next()
        if _is_stream(headers, first):
            self._take(first)
            return
        self.is_over = True
        document = await self._read(first, MAX_ANSWER_BYTES)
        self._response = None
        await response.aclose()
        if self._are_many():
            # What has arrived meanwhile is taken in first, so that answers which came together are all stamped before
            # the first of them is worked on.
            await asyncio.sleep(0)
        if len(document) > MAX_ANSWER_BYTES:
            raise ValueError(f"longer than {MAX_ANSWER_BYTES} bytes")
        self._wire.read_document(self.answer, read_json(document))

    async def go_on(self) -> None:
        """Reads what comes next of a stream."""
        self._take(await self._next())

    def _take(self, chunk: bytes) -> None:
        if not chunk:
            self.is_over = True
            self._wire.read_end(self.answer)
            return
        self._size += len(chunk)
        if self._size > MAX_ANSWER_BYTES:
            raise ValueError(f"longer than {MAX_ANSWER_BYTES} bytes")
        for event in self._decoder.feed(chunk):
            self._wire.read_event(self.answer, event.name, event.data)
            if self.answer.done:
                # The end of the body is there already, or nobody waits for it.
                self.is_over = True
                break
        if self._ttft_s is None and self.answer.started:
            self._ttft_s = self._arrived - self._start

    async def _next(self) -> bytes:
        """The next bytes of the body, stamped when they come; empty at its end."""
        assert self._response is not None
        with self._deadline:
            async for chunk in self._response.chunks:
                self._arrived = time.perf_counter()
                if chunk:
                    return chunk
        return b""

    async def _read(self, first: bytes, at_most: int) -> bytes:
        """Reads until the end, or until there is more than `at_most`."""
        parts, size = [first], len(first)
        while size <= at_most and (chunk := await self._next()):
            parts.append(chunk)
            size += len(chunk)
        return b"".join(parts)


def _write(body: Mapping[str, Any]) -> bytes:
    try:
        written = orjson.dumps(body, option=_AS_JSON)
    except orjson.JSONEncodeError:
        # It knows no numbers of more than 64 bits and no names that are numbers; what is no JSON is none here either.
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    if b"null" in written and _holds_nan(body):
        raise ValueError("NaN and infinity are no numbers of JSON")
    return written


def _holds_nan(value: Any) -> bool:
    """Whether a value stands somewhere that would be written as null."""
    if isinstance(value, float):
        return not math.isfinite(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return any(_holds_nan(one) for one in inner)


def _is_stream(headers: Mapping[str, str], first: bytes) -> bool:
    """By the content type, or by the first bytes where a proxy has lost the type."""
    if "text/event-stream" in headers.get("content-type", ""):
        return True
    return first.lstrip().startswith(_STREAM_STARTS)
