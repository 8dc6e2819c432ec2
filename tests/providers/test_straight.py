"""What is our own in speaking HTTP: how an answer ends, which connection is used again, and who takes what we leave."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest

from routebench.providers.straight import Straight
from routebench.providers.transport import BrokenError, NotReachedError, Response
from tests.providers.test_transport import read_request, reset

Say = Callable[[asyncio.StreamWriter], Awaitable[None]]
NO_PROXY: Mapping[str, str] = {}
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


class Beyond:
    """Notes what it is to carry."""

    def __init__(self) -> None:
        self.urls: list[str] = []

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, whole: bool
    ) -> Response:
        self.urls.append(url)

        async def chunks() -> AsyncIterator[bytes]:
            yield b"beyond"

        async def aclose() -> None:
            pass

        return Response(200, {}, chunks(), aclose)

    async def aclose(self) -> None:
        pass


async def exchange(straight: Straight, url: str, headers: Mapping[str, str] = NO_PROXY) -> tuple[int, bytes]:
    response = await straight.send("POST", url, headers, b"{}", timeout_s=5.0, whole=True)
    try:
        return response.status, b"".join([chunk async for chunk in response.chunks])
    finally:
        await response.aclose()


def against(*answers: Say, asks: int = 1, headers: Mapping[str, str] = NO_PROXY) -> tuple[list[Any], list[bytes], int]:
    """Asks so often of a server that answers in turn; what came, what the server got, and on how many connections."""
    got: list[bytes] = []
    connections = 0
    left = iter(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                got.append(await read_request(reader))
                await next(left)(writer)
                await writer.drain()
        writer.close()

    async def main() -> list[Any]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/chat?one=two words"
        straight = Straight(Beyond(), NO_PROXY)
        came: list[Any] = []
        for _ in range(asks):
            try:
                async with asyncio.timeout(5):
                    came.append(await exchange(straight, url, headers))
            except (BrokenError, NotReachedError) as error:
                came.append(error)
        await straight.aclose()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(others, timeout=2) if others else None
        return came

    return asyncio.run(main()), got, connections


def says(*pieces: bytes, close: bool = False) -> Say:
    async def say(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if close:
            writer.close()

    return say


async def resets(writer: asyncio.StreamWriter) -> None:
    writer.write(WHOLE[:-1])
    await writer.drain()
    reset(writer)


def test_a_request_is_written_as_it_is_meant() -> None:
    came, got, _ = against(says(WHOLE), headers={"authorization": "Bearer x"})
    assert came == [(200, b"hi")]
    head, _, body = got[0].partition(b"\r\n\r\n")
    line, *told = head.split(b"\r\n")
    assert (line, body) == (b"POST /v1/chat?one=two%20words HTTP/1.1", b"{}")
    assert told[1:] == [b"authorization: Bearer x", b"content-length: 2"]


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 100 Continue\r\n\r\n", WHOLE],
        [b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + WHOLE],
        [bytes([byte]) for byte in WHOLE],
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nh\r\n", b"1\r\ni\r\n0\r\n\r\n"],
    ],
)
def test_an_answer_is_read_however_it_comes(pieces: list[bytes]) -> None:
    came, _, connections = against(says(*pieces), says(*pieces), asks=2)
    assert (came, connections) == ([(200, b"hi")] * 2, 1)


def test_without_a_length_an_answer_ends_with_its_connection() -> None:
    pieces = [b"HTTP/1.1 200 OK\r\n\r\n", b"h", b"i"]
    came, _, connections = against(says(*pieces, close=True), says(*pieces, close=True), asks=2)
    assert (came, connections) == ([(200, b"hi")] * 2, 2)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi", b"HTTP/1.1 200 OK\r\n", b""])
def test_a_connection_that_ends_too_soon_is_a_broken_answer(answer: bytes) -> None:
    (came,), _, _ = against(says(answer, close=True))
    assert isinstance(came, BrokenError)


def test_a_reset_is_a_broken_answer_and_the_next_one_takes_another_connection() -> None:
    (first, second), _, connections = against(resets, says(WHOLE), asks=2)
    assert isinstance(first, BrokenError)
    assert (second, connections) == ((200, b"hi"), 2)


@pytest.mark.parametrize(
    "answer", [WHOLE.replace(b"OK\r\n", b"OK\r\nconnection: close\r\n"), WHOLE.replace(b"1.1", b"1.0"), WHOLE + WHOLE]
)
def test_a_connection_that_is_not_sure_is_not_used_again(answer: bytes) -> None:
    _, _, connections = against(says(answer), says(answer), asks=2)
    assert connections == 2


def test_endless_headers_are_no_answer() -> None:
    (came,), _, _ = against(says(b"HTTP/1.1 200 OK\r\n", *[b"x: " + b"y" * 9000 + b"\r\n"] * 10))
    assert isinstance(came, BrokenError)
    assert "headers" in str(came)


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nb", "漢"])
def test_a_header_that_is_none_is_not_sent(value: str) -> None:
    (came,), got, _ = against(says(WHOLE), headers={"x-key": value})
    assert isinstance(came, NotReachedError)
    assert value not in str(came)
    assert got == []


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        ("https://127.0.0.1:9/v1", {}),
        ("http://user:word@127.0.0.1:9/v1", {}),
        ("http://127.0.0.1:9/v1", {"HTTP_PROXY": "http://127.0.0.1:1"}),
        ("http://127.0.0.1:nine/v1", {}),
    ],
)
def test_what_takes_more_than_a_socket_goes_beyond(url: str, environment: Mapping[str, str]) -> None:
    beyond = Beyond()
    assert asyncio.run(exchange(Straight(beyond, environment), url)) == (200, b"beyond")
    assert beyond.urls == [url]


def test_so_does_another_event_loop() -> None:
    beyond = Beyond()
    straight = Straight(beyond, NO_PROXY)
    with pytest.raises(NotReachedError):
        asyncio.run(exchange(straight, "http://127.0.0.1:9/v1"))
    assert asyncio.run(exchange(straight, "http://127.0.0.1:9/v1")) == (200, b"beyond")
