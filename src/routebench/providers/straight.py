"""HTTP/1.1 spoken on the event loop itself, for a gateway's calls to plain addresses.

pyreqwest works on a thread of its own. Handing a request over to it and every piece of the answer back costs more than
all that is to be done for a server on this machine or in the same cluster (`benchmarks/gateway.py`: a third of what a
whole answer takes, half of a stream). What needs more than sockets stays with it: TLS with its roots and HTTP/2, and
proxies. So do calls from any other event loop than the first, for connections belong to theirs.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import httptools

from routebench.providers.transport import BrokenError, NotReachedError, Response, Transport

_CONNECT_TIMEOUT_S = 20.0
_IDLE_S = 50.0
"""Connections that were idle for longer are not used again: whatever is between may have forgotten them."""
_MOST_IDLE = 256
_MOST_WAITING_BYTES = 256 * 1024
"""Of a body that nobody reads, before no more of it is taken in."""
_MOST_HEAD_BYTES = 64 * 1024
_PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
_AS_IT_IS = "/%:@!$&'()*+,;=~-._?"
"""Signs that stand in a path or a query without being written as numbers."""


@dataclass(slots=True)
class _Place:
    """Where requests to one URL go, and its idle connections, the longest idle first."""

    host: str
    port: int
    named: str
    target: str
    idle: deque[_Connection] = field(default_factory=deque)


class Straight:
    """Carries requests to `http://` addresses; to be closed on the event loop that it was used on.

    Args:
        beyond: carries all others.
        environment: variables, in which a proxy may stand.
    """

    def __init__(self, beyond: Transport, environment: Mapping[str, str] = os.environ) -> None:
        self._beyond = beyond
        self._is_proxied = any(environment.get(name) for name in _PROXIES)
        self._places: dict[str, _Place | None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, whole: bool
    ) -> Response:
        """Sends a request and returns its response once its head has come; how long to wait is the caller's to say."""
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if url not in self._places:
            self._places[url] = None if self._is_proxied else _place_of(url)
        place = self._places[url]
        if place is None or loop is not self._loop:
            return await self._beyond.send(method, url, headers, body, timeout_s=timeout_s, whole=whole)
        request = _request(method, place, headers, body)
        connection = _idle_of(place) or await _connected(place, loop)
        connection.begin(request)
        try:
            await connection.head()
        except BaseException:
            await connection.aclose()
            raise
        return Response(connection.status, connection.headers, connection.chunks(), connection.aclose)

    async def aclose(self) -> None:
        """Closes the idle connections; one that is in use closes at the end of its exchange."""
        for place in self._places.values():
            if place is not None:
                for connection in tuple(place.idle):
                    connection.abort()
        self._places.clear()
        await self._beyond.aclose()


class _Connection(asyncio.Protocol):
    """One connection: an exchange at a time."""

    def __init__(self, place: _Place, loop: asyncio.AbstractEventLoop) -> None:
        self._place = place
        self._loop = loop
        self._waiter: asyncio.Future[None] | None = None
        self._is_busy = self._is_paused = self.is_lost = False
        self.idle_since_s = 0.0

    def begin(self, request: bytes) -> None:
        """Sends a request."""
        self._parser = httptools.HttpResponseParser(self)
        self.headers: dict[str, str] = {}
        self.status = 0
        self._parts: list[bytes] = []
        self._waiting_bytes = self._head_bytes = 0
        self._has_head = self._is_whole = self._is_kept = False
        self._error: str | None = None
        self._is_busy = True
        self._transport.write(request)

    async def head(self) -> None:
        """Returns once status and headers are there.

        Raises:
            BrokenError: they do not come.
        """
        while not self._has_head:
            await self._more()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yields the body as it comes.

        Raises:
            BrokenError: it does not come to its end.
        """
        while True:
            if self._parts:
                chunk = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
                self._parts.clear()
                self._waiting_bytes = 0
                if self._is_paused:
                    self._is_paused = False
                    self._transport.resume_reading()
                yield chunk
            elif self._is_whole:
                return
            else:
                await self._more()

    async def aclose(self) -> None:
        """Ends the exchange: the connection is kept where the answer has come to its end."""
        if not self._is_busy:
            return
        self._is_busy = False
        if self._is_whole and self._is_kept and not self.is_lost and len(self._place.idle) < _MOST_IDLE:
            self.idle_since_s = time.monotonic()
            self._place.idle.append(self)
        else:
            self.abort()

    def abort(self) -> None:
        """Closes it at once."""
        self._transport.abort()

    async def _more(self) -> None:
        if self._error is not None:
            raise BrokenError(self._error)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _break(self, why: str) -> None:
        self._error = self._error or why
        self.abort()

    def connection_made(self, transport: Any) -> None:
        """Of asyncio."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Of asyncio."""
        if not self._is_busy:
            # Nobody asked: whatever it is, the next answer would be taken for it.
            self.abort()
            return
        if not self._has_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._break(f"not HTTP: {error}")
        if not self._has_head and self._head_bytes > _MOST_HEAD_BYTES:
            self._break(f"its headers are longer than {_MOST_HEAD_BYTES:,} bytes")
        if self._waiting_bytes > _MOST_WAITING_BYTES and not self._is_paused and not self._is_whole:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """Of asyncio."""
        self.is_lost = True
        if not self._is_busy:
            if self in self._place.idle:
                self._place.idle.remove(self)
            return
        if error is None and self._has_head and self._error is None and self._ends_with_connection():
            self._is_whole = True
        elif not self._is_whole:
            self._error = self._error or (str(error) if error is not None else "the connection was closed")
        self._wake()

    def _ends_with_connection(self) -> bool:
        return "content-length" not in self.headers and "transfer-encoding" not in self.headers

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of the parser."""
        if self._is_whole:
            self._break("more than one answer")
            return
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Of the parser."""
        self.status = self._parser.get_status_code()
        self._has_head = self.status >= 200

    def on_body(self, body: bytes) -> None:
        """Of the parser."""
        self._parts.append(body)
        self._waiting_bytes += len(body)

    def on_message_complete(self) -> None:
        """Of the parser."""
        if not self._has_head:
            # One that only says that another will follow.
            self.headers = {}
            return
        self._is_whole = True
        self._is_kept = self._parser.should_keep_alive()


def _place_of(url: str) -> _Place | None:
    """Returns where a URL is; None where it takes more than a socket to get there."""
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError:
        return None
    if parts.scheme != "http" or not parts.hostname or "@" in parts.netloc:
        return None
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Place(parts.hostname, port, parts.netloc, quote(target, safe=_AS_IT_IS))


def _request(method: str, place: _Place, headers: Mapping[str, str], body: bytes) -> bytes:
    told = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if told.count("\n") != len(headers) or told.count("\r") != len(headers):
        raise NotReachedError("a header holds a line break")
    head = f"{method} {place.target} HTTP/1.1\r\nhost: {place.named}\r\n{told}content-length: {len(body)}\r\n\r\n"
    try:
        return head.encode("latin-1") + body
    except UnicodeEncodeError:
        raise NotReachedError("a header holds a sign that headers cannot hold") from None


def _idle_of(place: _Place) -> _Connection | None:
    """The connection that was used last, None where all are too old; those are closed."""
    oldest_s = time.monotonic() - _IDLE_S
    while place.idle and place.idle[0].idle_since_s < oldest_s:
        place.idle.popleft().abort()
    return place.idle.pop() if place.idle else None


async def _connected(place: _Place, loop: asyncio.AbstractEventLoop) -> _Connection:
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            _, connection = await loop.create_connection(lambda: _Connection(place, loop), place.host, place.port)
    except TimeoutError:
        raise NotReachedError(f"no connection to {place.named} within {_CONNECT_TIMEOUT_S:g} s") from None
    except (OSError, UnicodeError) as error:
        raise NotReachedError(str(error)) from error
    return connection
