"""The transport that carries every call.

Chosen by measurement (`benchmarks/harness.py`): at 256 calls in flight httpx's own connection pool rescans every
connection on every request, which made calls of 0.2 s take and *record* seconds. pyreqwest's pool is written in Rust
and takes about a hundredth of that CPU time. Its requests and responses are used as they are: building httpx's around
them costs as much again as the exchange, which a gateway pays for every request. A test, or a user, can hand any
`httpx.AsyncBaseTransport` in, such as `httpx.MockTransport` (`over_httpx`).

pyreqwest brings a transport for httpx of its own. It is not used: it holds back up to 64 KiB of a body before it hands
over the first byte, so that the time to the first token of a stream would be the time to its last.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, Self

from pyreqwest import exceptions

# At the top, although it is heavy: first imported on a thread that then ends, such as a run's, the library brings the
# whole process down when the next thread opens a client.
from pyreqwest.client import ClientBuilder

_WHOLE_BYTES = 64 * 1024
_CONNECT_TIMEOUT_S = 20.0
_MOST_IDLE = 256
"""Connections to one host that are kept for the next calls: after a rush the others are closed at once."""


class TransportError(Exception):
    """An exchange broke, in a way that its subclasses tell apart."""


class NotReachedError(TransportError):
    """Nobody was reached: the request was not sent."""


class TooSlowError(TransportError):
    """The other side took longer than it may."""


class BrokenError(TransportError):
    """The connection broke after the request was sent, at least in part."""


@dataclass(frozen=True, slots=True)
class Response:
    """The head of a response, and its body as it arrives.

    Attributes:
        headers: with lower-case names.
        chunks: the body; may raise a `TransportError`.
        aclose: ends the exchange; whatever has not arrived is not waited for.
    """

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]
    aclose: Callable[[], Awaitable[None]]


class Transport(Protocol):
    """Carries requests."""

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, whole: bool
    ) -> Response:
        """Sends a request and returns its response once its head has come.

        Args:
            method: of HTTP.
            url: absolute.
            headers: to send.
            body: to send, may be empty.
            timeout_s: the longest time of the whole exchange.
            whole: the answer is not streamed, so its body may come in large pieces.

        Raises:
            TransportError: there is none.
        """
        ...

    async def aclose(self) -> None:
        """Closes the connections."""
        ...


def open_transport(*, keep_alive: bool = True) -> Transport:
    """Opens the transport.

    Args:
        keep_alive: use a connection again; off for a server that closes it without saying so.
    """
    return _Pool(keep_alive=keep_alive)


class _Pool:
    def __init__(self, *, keep_alive: bool) -> None:
        # A redirect would send a prompt, and perhaps a key, to an address that nobody wrote down.
        builder = ClientBuilder().follow_redirects(enable=False).connect_timeout(timedelta(seconds=_CONNECT_TIMEOUT_S))
        self._client = builder.pool_max_idle_per_host(_MOST_IDLE if keep_alive else 0).build()

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, whole: bool
    ) -> Response:
        """Sends a request and returns its response once its head has come."""
        exchange = (
            self._client.request(method, url)
            .headers(headers)
            .body_bytes(body)
            .timeout(timedelta(seconds=timeout_s))
            # Of a whole answer a good part may come at once, which saves turns; of a stream nothing is held back
            # but its head, until the first byte that follows.
            .streamed_read_buffer_limit(_WHOLE_BYTES if whole else 1)
            .build_streamed()
        )
        try:
            response = await exchange.__aenter__()
        except exceptions.PyreqwestError as error:
            raise _ours(error) from error

        async def aclose() -> None:
            await exchange.__aexit__(None, None, None)

        return Response(response.status, dict(response.headers.items()), _Body(response.body_reader), aclose)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.close()


class _Body:
    """The chunks of a body; no generator, for an event loop keeps a list of those, at a price for every call."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._reader.read_chunk()
        except exceptions.PyreqwestError as error:
            raise _ours(error) from error
        if chunk is None:
            raise StopAsyncIteration
        return bytes(chunk)


def _ours(error: exceptions.PyreqwestError) -> TransportError:
    """Returns one of pyreqwest's errors as ours."""
    if isinstance(error, exceptions.ConnectTimeoutError):
        return NotReachedError(error.message)
    if isinstance(error, exceptions.RequestTimeoutError):
        return TooSlowError(error.message)
    causes = _causes(error)
    # The library's ConnectError is also a connection that broke after the request was sent, which may have been
    # charged: only its own word for the phase tells the two apart.
    never_there = any("(Connect)" in cause for cause in causes)
    return (NotReachedError if never_there else BrokenError)(causes[-1])


def _causes(error: Any) -> list[str]:
    """What the library tells, outermost first: the innermost is a refused connection, an unknown name, a reset."""
    details = getattr(error, "details", None) or {}
    causes = [str(cause.get("message")) for cause in details.get("causes", ())]
    return [error.message, *causes]
