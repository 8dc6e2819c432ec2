"""A transport of httpx behind our interface."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest

from routebench.providers.carriers import as_transport
from routebench.providers.transport import (
    BrokenError,
    NotReachedError,
    TooSlowError,
    TransportError,
    open_transport,
)


def carried(answer: Callable[[httpx.Request], httpx.Response]) -> tuple[int, str, bytes]:
    async def once() -> tuple[int, str, bytes]:
        transport = as_transport(httpx.MockTransport(answer))
        sent = await transport.send("POST", "http://a/b", {"x-a": "1"}, b"body", timeout_s=3, whole=True)
        chunks = [chunk async for chunk in sent.chunks]
        await sent.aclose()
        await transport.aclose()
        return sent.status, sent.headers["x-b"], b"".join(chunks)

    return asyncio.run(once())


def test_a_request_and_its_response_are_carried_as_they_are() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        said = f"{request.method} {request.url} {request.headers['x-a']} {request.content.decode()}"
        return httpx.Response(201, headers={"X-B": "2"}, text=said)

    assert carried(answer) == (201, "2", b"POST http://a/b 1 body")


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (httpx.ConnectError("refused"), NotReachedError),
        (httpx.ConnectTimeout("slow"), NotReachedError),
        (httpx.ReadTimeout("slow"), TooSlowError),
        (httpx.ReadError("reset"), BrokenError),
    ],
)
def test_its_faults_are_told_apart(raised: Exception, told: type[TransportError]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise raised

    with pytest.raises(told, match=str(raised)):
        carried(answer)


def test_ours_stays_as_it_is() -> None:
    async def once() -> bool:
        ours = open_transport()
        same = as_transport(ours) is ours
        await ours.aclose()
        return same

    assert asyncio.run(once())
