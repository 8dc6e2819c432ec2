"""The transport that carries every call.

Chosen by measurement (`benchmarks/harness.py`): at 256 calls in flight httpx's own connection pool rescans every
connection on every request, which made calls of 0.2 s take and *record* seconds. pyreqwest's pool is written in Rust
and takes about a hundredth of that CPU time. It stands behind httpx's interface here, so that a test, or a user, can
hand any other transport in, such as `httpx.MockTransport`.

pyreqwest brings a transport for httpx of its own. It is not used: it holds back up to 64 KiB of a body before it hands
over the first byte, so that the time to the first token of a stream would be the time to its last.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import timedelta
from typing import Any

import httpx
from pyreqwest import exceptions

# At the top, although it is heavy: first imported on a thread that then ends, such as a run's, the library brings the
# whole process down when the next thread opens a client.
from pyreqwest.client import ClientBuilder

WHOLE = "routebench.whole"
"""Request extension: the answer is not streamed, so its body may come in large pieces."""
_WHOLE_BYTES = 64 * 1024
_CONNECT_TIMEOUT_S = 20.0


def open_transport(*, keep_alive: bool = True) -> httpx.AsyncBaseTransport:
    """Opens the transport.

    Args:
        keep_alive: use a connection again; off for a server that closes it without saying so.
    """
    return _Transport(keep_alive=keep_alive)


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, *, keep_alive: bool) -> None:
        # A redirect would send a prompt, and perhaps a key, to an address that nobody wrote down.
        builder = ClientBuilder().follow_redirects(enable=False).connect_timeout(timedelta(seconds=_CONNECT_TIMEOUT_S))
        self._client = (builder if keep_alive else builder.pool_max_idle_per_host(0)).build()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request and returns its response."""
        builder = (
            self._client.request(request.method, str(request.url))
            .headers(request.headers.multi_items())
            .body_bytes(request.content)
        )
        timeout_s = request.extensions.get("timeout", {}).get("read")
        if timeout_s is not None:
            builder = builder.timeout(timedelta(seconds=timeout_s))
        with _as_httpx(request):
            # Of a whole answer a good part may come at once, which saves turns; of a stream nothing is held back but
            # its head, until the first byte that follows.
            held_back = _WHOLE_BYTES if request.extensions.get(WHOLE) else 1
            exchange = builder.streamed_read_buffer_limit(held_back).build_streamed()
            response = await exchange.__aenter__()
        return httpx.Response(
            response.status,
            headers=list(response.headers.items()),
            stream=_Body(request, exchange, response.body_reader),
        )

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.close()


class _Body(httpx.AsyncByteStream):
    """The body of a response, chunk by chunk as it arrives."""

    def __init__(self, request: httpx.Request, exchange: AbstractAsyncContextManager[Any], reader: Any) -> None:
        self._request = request
        self._exchange = exchange
        self._reader = reader

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx(self._request):
            while (chunk := await self._reader.read_chunk()) is not None:
                yield bytes(chunk)

    async def aclose(self) -> None:
        await self._exchange.__aexit__(None, None, None)


@contextmanager
def _as_httpx(request: httpx.Request) -> Iterator[None]:
    """Turns pyreqwest's errors into httpx's."""
    try:
        yield
    except exceptions.ConnectTimeoutError as error:
        raise httpx.ConnectTimeout(error.message, request=request) from error
    except exceptions.RequestTimeoutError as error:
        raise httpx.ReadTimeout(error.message, request=request) from error
    except exceptions.PyreqwestError as error:
        causes = _causes(error)
        # The library's ConnectError is also a connection that broke after the request was sent, which may have been
        # charged: only its own word for the phase tells the two apart.
        never_there = any("(Connect)" in cause for cause in causes)
        kind = httpx.ConnectError if never_there else httpx.ReadError
        raise kind(causes[-1], request=request) from error


def _causes(error: Any) -> list[str]:
    """What the library tells, outermost first: the innermost is a refused connection, an unknown name, a reset."""
    details = getattr(error, "details", None) or {}
    causes = [str(cause.get("message")) for cause in details.get("causes", ())]
    return [error.message, *causes]
