"""The real transport against real sockets that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from routebench.providers import Done, Event, TextDelta, prepare
from routebench.providers.http import HttpProvider
from routebench.providers.openai import Dialect, OpenAIChat
from routebench.providers.transport import open_transport
from routebench.types import Completion
from tests.conftest import make_model
from tests.providers.exchange import REQUEST, sse

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
TEXT = sse({"choices": [{"index": 0, "delta": {"content": "half"}}]})
END = sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, "[DONE]")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    return head + await reader.readexactly(length)


def reset(writer: asyncio.StreamWriter) -> None:
    """Closes with a reset and not with an orderly end."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def with_server(serve: Serve, work: Callable[[HttpProvider, str], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        writers: list[asyncio.StreamWriter] = []

        async def kept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await serve(reader, writer)

        server = await asyncio.start_server(kept, "127.0.0.1", 0)
        provider = HttpProvider(OpenAIChat(Dialect("test", "")), open_transport(), {"KEY": "sk-secret"})
        try:
            return await work(provider, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        finally:
            await provider.aclose()
            server.close()
            for writer in writers:
                # One that is closed already has no event loop any more, and cannot be aborted.
                if not writer.is_closing():
                    writer.transport.abort()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.wait(others, timeout=2) if others else None

    return asyncio.run(main())


def once(serve: Serve, *, timeout_s: float = 5.0, **params: Any) -> Completion:
    async def work(provider: HttpProvider, url: str) -> Completion:
        model = make_model(base_url=url, params=params, key_env="KEY")
        return await provider.complete(prepare(model, REQUEST, timeout_s=timeout_s))

    completion: Completion = with_server(serve, work)
    return completion


async def reset_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    reset(writer)


async def close_after_a_piece(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(HEAD + chunk(TEXT))
    await writer.drain()
    writer.close()


async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(HEAD)
    while True:
        writer.write(chunk(b": still here\n\n"))
        await writer.drain()
        await asyncio.sleep(0.02)


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    await reader.read()
    writer.close()


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"this is not HTTP\r\n\r\n")
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("serve", "kinds"),
    [
        (reset_at_once, {"connection"}),
        (close_after_a_piece, {"incomplete", "connection"}),
        (trickle, {"timeout"}),
        (say_nothing, {"timeout"}),
        (garbage, {"connection"}),
    ],
)
def test_broken_connections_are_typed_errors(serve: Serve, kinds: set[str], stream: bool) -> None:
    completion = once(serve, timeout_s=0.5, stream=stream)
    assert completion.error_kind in kinds, completion.error
    assert (completion.text, completion.cost_usd, completion.billed_cost_usd) == (None, None, None)


def test_a_stream_that_breaks_off_after_a_piece_is_incomplete() -> None:
    assert once(close_after_a_piece).error_kind == "incomplete"


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/v1", "http://no-such-host.invalid/v1"])
def test_nobody_there_and_no_such_name_are_connection_errors_that_cost_nothing(address: str) -> None:
    async def work(provider: HttpProvider, _url: str) -> Completion:
        return await provider.complete(prepare(make_model(base_url=address), REQUEST, timeout_s=10))

    completion: Completion = with_server(say_nothing, work)
    assert (completion.error_kind, completion.billed_cost_usd) == ("connection", 0.0)
    assert completion.error


def test_pieces_are_handed_over_when_they_arrive_and_not_at_the_end() -> None:
    released = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD + chunk(TEXT))
        await writer.drain()
        # The rest is sent only after the first piece has come out at the other end.
        await released.wait()
        writer.write(chunk(END) + chunk(b""))
        await writer.drain()
        writer.close()

    async def work(provider: HttpProvider, url: str) -> list[Event]:
        events = []
        async for event in provider.stream(prepare(make_model(base_url=url), REQUEST, timeout_s=5)):
            events.append(event)
            released.set()
        return events

    first, last = with_server(serve, work)
    assert first == TextDelta("half")
    assert isinstance(last, Done)
    assert last.completion.text == "half"
    assert last.completion.ttft_s is not None
    assert last.completion.latency_s is not None
    assert last.completion.ttft_s < last.completion.latency_s


def test_leaving_a_stream_early_ends_the_exchange() -> None:
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD + chunk(TEXT))
        await writer.drain()
        await reader.read()
        gone.set()
        writer.close()

    async def work(provider: HttpProvider, url: str) -> None:
        events = provider.stream(prepare(make_model(base_url=url), REQUEST, timeout_s=30))
        assert await anext(events) == TextDelta("half")
        await events.aclose()  # type: ignore[attr-defined]
        async with asyncio.timeout(5):
            await gone.wait()

    with_server(serve, work)


@pytest.mark.parametrize("stream", [True, False])
def test_a_connection_is_used_again_after_a_stream(stream: bool) -> None:
    connections = 0
    body = b'{"choices": [{"message": {"content": "half"}, "finish_reason": "stop"}]}'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await read_request(reader)
            if stream:
                writer.write(HEAD + chunk(TEXT) + chunk(END) + chunk(b""))
            else:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()

    async def work(provider: HttpProvider, url: str) -> list[str | None]:
        model = make_model(base_url=url, params={"stream": stream})
        return [(await provider.complete(prepare(model, REQUEST, timeout_s=5))).text for _ in range(5)]

    assert with_server(serve, work) == ["half"] * 5
    assert connections == 1


def test_a_redirect_is_not_followed_and_no_key_goes_there() -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        host = writer.get_extra_info("sockname")
        location = f"http://127.0.0.1:{host[1]}/elsewhere".encode()
        writer.write(b"HTTP/1.1 307 Temporary Redirect\r\nlocation: " + location + b"\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    completion = once(serve)
    assert completion.error_kind == "bad_request"
    assert "base_url" in (completion.error or "")
    assert len(seen) == 1


@pytest.mark.parametrize("status", [b"200 OK", b"500 Internal Server Error"])
def test_a_body_of_ten_megabytes_is_survived(status: bytes) -> None:
    big = b'{"choices": [{"message": {"content": "' + b"x" * 10_000_000 + b'"}, "finish_reason": "stop"}]}'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(
            b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(big))
        )
        writer.write(big)
        await writer.drain()
        writer.close()

    completion = once(serve, timeout_s=20, stream=False)
    if status.startswith(b"200"):
        assert len(completion.text or "") == 10_000_000
    else:
        assert completion.error_kind == "server"
        assert len(completion.error or "") <= 600
