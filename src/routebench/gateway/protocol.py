"""HTTP/1.1 as uvicorn speaks it, with an end to patience: for slow heads and bodies, for floods, for deaf readers."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from routebench.gateway.limits import Limits
from routebench.gateway.refusal import Refusal, error_body

_MAX_PIPELINED = 16
"""Requests that wait on one connection for the one before them; each holds memory that nobody else can bound."""
_GRACE_S = 5.0
"""A body that is late is the application's to refuse; so much later the connection is cut, whoever still waits."""

_FRAMING = 8
"""Bytes around each byte of a body: chunks of one byte have five. What is beyond is trailers, which nobody reads."""

_IDLE, _HEAD, _BODY = range(3)
_VERSIONS = ("1.0", "1.1")
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)


class _RefusedError(Exception):
    """Ends the parser's reading from within."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    A request that arrives in one piece, as most do, starts no timer.
    """

    limits: ClassVar[Limits] = Limits()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.timeout_keep_alive = self.limits.keep_alive_s  # type: ignore[assignment]
        self._phase = _IDLE
        self._timer: asyncio.TimerHandle | None = None
        self._timed = _IDLE
        self._deaf: asyncio.TimerHandle | None = None
        self._completed = False
        self._head_bytes = 0
        self._is_long = False
        self._late_bytes = 0
        self._body_bytes = 0
        self._refusal: Refusal | None = None
        self._running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins a connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.max_connections:
            self._refuse(
                Refusal(
                    503,
                    f"the gateway has {self.limits.max_connections} open connections, and no more at once; try again "
                    "in a second",
                    kind="api_error",
                    code="too_many_connections",
                    headers={"retry-after": "1"},
                )
            )
            return
        self._wait_for(_HEAD, self.limits.header_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends it, and its timers."""
        self._wait_no_more()
        self._hear()
        super().connection_lost(exc)
        running = self._running
        if running is not None and not running.response_complete:
            # uvicorn tells the latest request only, and others may wait behind the one that is being served.
            running.disconnected = True
            running.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Reads on; what is not whole after this has a time to become so."""
        if self.transport.is_closing():
            return
        self._completed = False
        if self._phase == _BODY:
            self._late_bytes += len(data)
        self._is_long = self._head_bytes + len(data) > self.limits.max_header_bytes
        super().data_received(self._without_upgrade(data) if self._phase == _IDLE and b"pgrade" in data else data)
        phase = self._phase
        if phase == _IDLE and self._completed:
            self._wait_no_more()
        elif phase == _BODY:
            if self._late_bytes > self.limits.max_header_bytes + (1 + _FRAMING) * self._body_bytes:
                self._refuse(self._flood())
            else:
                self._wait_for(_BODY, self.limits.body_timeout_s + _GRACE_S)
        else:
            # What comes between requests, such as empty lines, is a head that is not whole either.
            self._head_bytes += 0 if self._completed else len(data)
            if self._head_bytes > self.limits.max_header_bytes:
                self._refuse(self._flood())
            else:
                self._wait_for(_HEAD, self.limits.header_timeout_s)

    def on_message_begin(self) -> None:
        """Notes the first byte of a request."""
        self._phase = _HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Hands a request to the application, unless its head is too long or too many wait before it."""
        self._phase = _BODY
        self._head_bytes = self._late_bytes = self._body_bytes = 0
        if self._is_long:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self.limits.max_header_bytes:
                self._refusal = self._flood()
                raise _RefusedError
        if self.parser.get_http_version() not in _VERSIONS:
            raise _RefusedError
        if self.parser.should_upgrade():
            # Its body would be taken for what comes after the upgrade.
            self._refusal = Refusal(400, "the gateway speaks HTTP/1.1: leave `upgrade` out", code="no_upgrade")
            raise _RefusedError
        if len(self.pipeline) >= _MAX_PIPELINED:
            self.transport.abort()
            raise _RefusedError
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Hands on a piece of a body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Notes the last byte of a request."""
        self._phase = _IDLE
        self._completed = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Notes the last byte of an answer; a client that does not read it is not waited for."""
        super().on_response_complete()
        if self._phase == _BODY and self.expect_100_continue:
            # Told before it was asked for its body, a client may send it or not: what comes next cannot be read.
            self.transport.close()
        if self.transport.is_closing() and self.transport.get_write_buffer_size():
            self._wait_for_reader()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, _in_one_piece(app, cycle) if cycle.scope["http_version"] == "1.0" else app)

    def timeout_keep_alive_handler(self) -> None:
        """Closes a connection without a request, also where its client never read the last answer."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def pause_writing(self) -> None:
        """Notes that the client does not read what it is sent; it has a time to catch up in."""
        super().pause_writing()
        self._wait_for_reader()

    def resume_writing(self) -> None:
        """Notes that the client has caught up."""
        super().resume_writing()
        self._hear()

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP, in the form of every other error."""
        refusal, self._refusal = self._refusal, None
        self._refuse(
            refusal
            or Refusal(
                400, f"{msg[:-1]}; what comes after it is not read either: open another connection", code="invalid_http"
            )
        )

    @staticmethod
    def _without_upgrade(data: bytes) -> bytes:
        """What was sent, without the offer to go on in HTTP/2.

        A server may pass the offer over, which clients such as Java's make to every one; the parser cannot.
        """
        head, end, body = data.partition(b"\r\n\r\n")
        return _UPGRADE.sub(b"", head) + end + body

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, refusal: Refusal) -> None:
        if self.transport.is_closing():
            return
        if self._is_answering:
            if self.pipeline or self.cycle.response_started or self._phase != _BODY:
                # Whatever is written now would be read as the answer that is under way, or as part of it.
                self.transport.abort()
                return
            # The application was given the head of what is wrong further on; nobody hears its answer any more.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        body = error_body(refusal)
        headers = {
            **refusal.headers,
            "content-type": "application/json",
            "content-length": str(len(body)),
            "connection": "close",
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.transport.write(STATUS_LINE[refusal.status] + lines.encode("latin-1") + b"\r\n" + body)
        self.transport.close()
        self._wait_for_reader()

    def _flood(self) -> Refusal:
        return Refusal(
            431,
            f"the first line and the headers are longer than the {self.limits.max_header_bytes:,} bytes that the "
            "gateway takes; send fewer or shorter ones",
            code="headers_too_large",
        )

    def _wait_for(self, phase: int, seconds: float) -> None:
        if self._timer is not None:
            if self._timed == phase:
                return
            self._timer.cancel()
        self._timed = phase
        self._timer = self.loop.call_later(seconds, self._late)

    def _wait_no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self._timed == _BODY:
            self.transport.abort()
        elif self._is_answering:
            # The next request of a connection is slow while an answer is under way, which must not suffer for it.
            self._wait_for(_HEAD, self.limits.header_timeout_s)
        elif self._phase == _HEAD or self._head_bytes:
            self._refuse(
                Refusal(
                    408,
                    f"the headers were not whole after {self.limits.header_timeout_s:g} s; send them at once",
                    code="header_timeout",
                )
            )
        else:
            self.transport.close()

    def _wait_for_reader(self) -> None:
        if self._deaf is None:
            self._deaf = self.loop.call_later(self.limits.send_timeout_s, self.transport.abort)

    def _hear(self) -> None:
        if self._deaf is not None:
            self._deaf.cancel()
            self._deaf = None


def _in_one_piece(app: Any, cycle: RequestResponseCycle) -> Any:
    """Answers a client that speaks HTTP/1.0, and knows no chunks: the end of the connection ends what it is sent."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        async def told(message: Any) -> None:
            if message["type"] == "http.response.start":
                # uvicorn sends chunks unless it was told a length; it is told one of no end.
                cycle.chunked_encoding, cycle.expected_content_length = False, sys.maxsize
            elif not message.get("more_body", False):
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, told)

    return serve


def protocol_of(limits: Limits) -> type[BoundedProtocol]:
    """Returns the protocol with its limits, as uvicorn takes it: `Config(app, http=protocol_of(limits))`."""
    return type("LimitedProtocol", (BoundedProtocol,), {"limits": limits})
