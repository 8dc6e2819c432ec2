"""Any transport of httpx as one of ours, so that a test or a user can hand one in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager

import httpx

from routebench.providers.transport import BrokenError, NotReachedError, Response, TooSlowError


class OverHttpx:
    """Sends through a transport of httpx."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, whole: bool
    ) -> Response:
        """Sends a request and returns its response once its head has come."""
        del whole  # httpx hands over what it has, in either case
        timeout = httpx.Timeout(timeout_s).as_dict()
        request = httpx.Request(method, url, headers=dict(headers), content=body, extensions={"timeout": timeout})
        with _told_apart():
            response = await self._inner.handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        return Response(response.status_code, dict(response.headers.items()), _chunks(response.stream), response.aclose)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._inner.aclose()


async def _chunks(stream: httpx.AsyncByteStream) -> AsyncIterator[bytes]:
    with _told_apart():
        async for chunk in stream:
            yield chunk


@contextmanager
def _told_apart() -> Iterator[None]:
    """Turns httpx's errors into ours."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise NotReachedError(str(error)) from error
    except httpx.TimeoutException as error:
        raise TooSlowError(str(error)) from error
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise BrokenError(str(error)) from error
