"""Connections that are slow, deaf, many or wrong."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from routebench.gateway.bodies import ClientGoneError, read_body
from routebench.gateway.limits import Limits
from routebench.gateway.refusal import Refusal, error_body
from tests.gateway.wire import Wire, served

LIMITS = replace(
    Limits(),
    max_body_bytes=100_000,
    max_header_bytes=2_000,
    max_connections=50,
    header_timeout_s=0.3,
    body_timeout_s=0.3,
    send_timeout_s=0.3,
)
POST = "POST / HTTP/1.1\r\nhost: x\r\n"


class Echo:
    """Tells the length of what it was sent; `/stream` sends for ever, `/slow` waits until it is released."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.seen: list[str] = []
        self.ended = threading.Event()
        self.released = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append(scope["path"])
        headers = [(b"content-type", b"application/json")]
        try:
            body = await read_body(receive, dict(scope["headers"]), self.limits)
            status, answer = 200, b"%d" % len(body)
        except ClientGoneError:
            self.ended.set()
            return
        except Refusal as refusal:
            status, answer = refusal.status, error_body(refusal)
            headers += [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
        if scope["path"] == "/stream":
            await self.stream(receive, send)
            return
        if scope["path"] == "/slow":
            await asyncio.to_thread(self.released.wait, 20)
        await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"content-length", b"%d" % len(answer))]})  # fmt: skip
        await send({"type": "http.response.body", "body": answer})

    async def stream(self, receive: Any, send: Any) -> None:
        gone = asyncio.ensure_future(receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not gone.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await asyncio.sleep(0)
        self.ended.set()


@pytest.fixture(scope="module")
def echo() -> Echo:
    return Echo(LIMITS)


@pytest.fixture(scope="module")
def address(echo: Echo) -> Iterator[tuple[str, int]]:
    with served(echo, LIMITS) as found:
        yield found


@pytest.fixture
def wire(address: tuple[str, int]) -> Iterator[Wire]:
    with Wire(address) as made:
        yield made


def test_requests_of_one_connection(wire: Wire) -> None:
    for size in (0, 1, 99_999):
        told = wire.send(f"{POST}content-length: {size}\r\n\r\n").send(b"x" * size).answer()
        assert (told.status, told.body) == (200, b"%d" % size)


def test_a_head_in_pieces_is_read_if_it_comes_in_time(wire: Wire) -> None:
    for piece in ("PO", "ST / HT", "TP/1.1\r\nho", "st: x\r\ncontent-", "length: 2\r\n", "\r\n", "h", "i"):
        wire.send(piece)
    assert wire.answer().body == b"2"


@pytest.mark.parametrize("begun", ["G", "GET / HTTP/1.1\r\n", f"{POST}x: y\r\n", "\r\n"])
def test_a_slow_head_is_refused(wire: Wire, begun: str) -> None:
    told = wire.send(begun).answer()
    assert (told.status, told.error["code"], told.headers["connection"]) == (408, "header_timeout", "close")
    assert wire.rest() == b""


def test_a_head_that_grows_for_ever_is_refused_in_time_all_the_same(wire: Wire) -> None:
    wire.send(POST)
    n_sent = 0
    try:
        while n_sent < 1_000_000:
            n_sent += 1
            wire.send(f"{n_sent % 7}: y\r\n")
            if wire_has_answer(wire):
                break
    except ConnectionError:
        pass
    assert n_sent < 1_000_000
    assert wire.rest()[:12] in (b"HTTP/1.1 408", b"HTTP/1.1 431", b"")


def wire_has_answer(wire: Wire) -> bool:
    import select

    return bool(select.select([wire.socket], [], [], 0)[0])


def test_an_idle_connection_that_never_asked_is_closed_without_a_word(wire: Wire) -> None:
    assert wire.rest() == b""


def test_a_slow_body_is_refused(wire: Wire) -> None:
    told = wire.send(f"{POST}content-length: 10\r\n\r\nabc").answer()
    assert (told.status, told.error["code"], told.headers["connection"]) == (408, "body_timeout", "close")
    assert wire.rest() == b""


def test_a_body_that_drips_is_refused_too(wire: Wire) -> None:
    stop = threading.Event()

    def drip() -> None:
        try:
            while not stop.wait(0.02):
                wire.send("x")
        except OSError:
            return

    wire.send(f"{POST}content-length: 10000\r\n\r\n")
    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        assert wire.answer().status == 408
    finally:
        stop.set()
        dripping.join()


@pytest.mark.parametrize(
    "head",
    [
        f"{POST}x: {'y' * 3000}\r\n\r\n",
        f"{POST}{''.join(f'x{n}: y{chr(13)}{chr(10)}' for n in range(400))}\r\n",
        f"GET /{'y' * 3000} HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
@pytest.mark.parametrize("cut", [None, 1500])
def test_a_flood_of_headers_is_refused(wire: Wire, head: str, cut: int | None) -> None:
    wire.send(head[:cut])
    if cut is not None:
        wire.send(head[cut:])
    told = wire.answer()
    assert (told.status, told.error["code"], told.headers["content-type"]) == (
        431,
        "headers_too_large",
        "application/json",
    )


@pytest.mark.parametrize("trailer", ["x: y\r\n", "y"])
def test_a_flood_of_trailers_is_refused_too(wire: Wire, trailer: str) -> None:
    wire.send(f"{POST}transfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n")
    assert wire.answer().status == 100
    wire.send("2\r\nhi\r\n0\r\nx: " + trailer * (4_000 // len(trailer)))
    told = wire.answer()
    assert (told.status, told.error["code"]) == (431, "headers_too_large")


def test_small_chunks_are_no_flood(wire: Wire) -> None:
    wire.send(f"{POST}transfer-encoding: chunked\r\n\r\n")
    for _ in range(100):
        wire.send("1\r\nx\r\n" * 100)
    assert wire.send("0\r\nx: y\r\n\r\n").answer().body == b"10000"


def test_a_large_body_behind_a_small_head_is_no_flood(wire: Wire) -> None:
    assert wire.send(f"{POST}content-length: 90000\r\n\r\n{'x' * 90000}").answer().body == b"90000"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_too_large_is_told_while_it_is_sent_and_the_connection_goes_on(wire: Wire, chunked: bool) -> None:
    # More than the sockets hold: without being read to its end it could not be sent, nor the answer be read.
    body = b"x" * 8_000_000
    if chunked:
        wire.send(f"{POST}transfer-encoding: chunked\r\n\r\n{len(body):x}\r\n").send(body).send("\r\n0\r\n\r\n")
    else:
        wire.send(f"{POST}content-length: {len(body)}\r\n\r\n").send(body)
    told = wire.answer()
    assert (told.status, told.error["code"]) == (413, "body_too_large")
    assert wire.send(f"{POST}content-length: 2\r\n\r\nhi").answer().body == b"2"


def test_who_waits_to_be_asked_for_a_body_is_asked(wire: Wire) -> None:
    wire.send(f"{POST}content-length: 2\r\nexpect: 100-continue\r\n\r\n")
    assert wire.answer().status == 100
    assert wire.send("hi").answer().body == b"2"


def test_who_is_refused_before_is_not_read_any_further(wire: Wire) -> None:
    # Whether the body follows or another request cannot be known.
    told = wire.send(f"{POST}content-length: 200000\r\nexpect: 100-continue\r\n\r\n").answer()
    assert told.status == 413
    assert wire.rest() == b""


@pytest.mark.parametrize(
    "request_",
    [
        f"{POST}content-length: 2\r\ncontent-length: 5\r\n\r\nhi",
        f"{POST}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        f"{POST}transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        f"{POST}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\nhi",
        f"{POST}transfer-encoding: chunked, identity\r\n\r\nhi",
        f"{POST}transfer-encoding : chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        f"{POST}content-length: -2\r\n\r\nhi",
        f"{POST}content-length: +2\r\n\r\nhi",
        f"{POST}content-length: 2, 2\r\n\r\nhi",
        f"{POST}content-length: 0x2\r\n\r\nhi",
        f"{POST}content-length: {'9' * 30}\r\n\r\nhi",
        f"{POST} content-length: 2\r\n\r\nhi",
        f"{POST}transfer-encoding: chunked\r\n\r\n2;\n\nhi\r\n0\r\n\r\n",
        f"{POST}transfer-encoding: chunked\r\n\r\nzz\r\nhi\r\n0\r\n\r\n",
        f"{POST}transfer-encoding: chunked\r\n\r\n{'f' * 20}\r\nhi\r\n0\r\n\r\n",
        "POST / HTTP/1.1\nhost: x\ncontent-length: 2\n\nhi",
        f"{POST}x\0y: z\r\n\r\n",
        f"{POST}x: a\rb\r\n\r\n",
        "POST / HTTP/9.9\r\nhost: x\r\n\r\n",
        "POST /\r\n\r\n",
        "{}\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_two_readers_could_read_differently_is_refused(wire: Wire, echo: Echo, request_: str) -> None:
    n_seen = len(echo.seen)
    # At once: who sends on to a closed connection may lose what it was told.
    wire.send(request_ + "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n")
    read = wire.rest()
    assert read.startswith(b"HTTP/1.1 400 Bad Request\r\n"), read
    assert read.count(b"\r\n\r\n") == 1
    assert b"invalid_http" in read
    assert b"connection: close" in read
    assert "/smuggled" not in echo.seen[n_seen:]


def test_requests_one_after_the_other_without_waiting(wire: Wire) -> None:
    wire.send("".join(f"{POST}content-length: {size}\r\n\r\n{'x' * size}" for size in range(10)))
    assert [wire.answer().body for _ in range(10)] == [b"%d" % size for size in range(10)]


def test_more_of_them_than_anybody_needs_end_the_connection(wire: Wire, echo: Echo) -> None:
    n_seen = len(echo.seen)
    wire.send("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n" + "GET /queued HTTP/1.1\r\nhost: x\r\n\r\n" * 100)
    assert wire.rest() == b""
    echo.released.set()
    assert "/queued" not in echo.seen[n_seen:]


def test_who_leaves_with_requests_waiting_is_noticed(address: tuple[str, int], echo: Echo) -> None:
    echo.ended.clear()
    with Wire(address) as wire:
        wire.send("GET /stream HTTP/1.1\r\nhost: x\r\n\r\n" + "GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 3)
        assert wire.socket.recv(1000)
        assert not echo.ended.is_set()
    assert echo.ended.wait(20)


def test_what_is_wrong_after_a_request_does_not_get_into_its_answer(address: tuple[str, int], echo: Echo) -> None:
    echo.released.clear()
    with Wire(address) as wire:
        wire.send("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").send("no http at all\r\n\r\n")
        assert wire.rest() == b""
    echo.released.set()


def test_a_slow_second_head_does_not_cost_the_answer_before_it(address: tuple[str, int], echo: Echo) -> None:
    echo.released.clear()
    with Wire(address) as wire:
        wire.send("GET /slow HTTP/1.1\r\nhost: x\r\n\r\nGET / HT")
        threading.Timer(3 * LIMITS.header_timeout_s, echo.released.set).start()
        assert wire.answer().body == b"0"
        assert wire.answer().status == 408


def test_who_does_not_read_is_not_waited_for(address: tuple[str, int], echo: Echo) -> None:
    echo.ended.clear()
    with Wire(address, receive_buffer=4096) as wire:
        wire.send("GET /stream HTTP/1.1\r\nhost: x\r\n\r\n")
        assert echo.ended.wait(20)


def test_who_reads_on_is_served_on(address: tuple[str, int], echo: Echo) -> None:
    echo.ended.clear()
    with Wire(address) as wire:
        wire.send("GET /stream HTTP/1.1\r\nhost: x\r\n\r\n")
        for _ in range(500):
            assert wire.socket.recv(1_000_000)
        assert not echo.ended.is_set()
    assert echo.ended.wait(20)


def test_an_upgrade_is_passed_over_and_its_body_is_read(wire: Wire) -> None:
    # So does the HTTP client of Java ask, of every server that it does not know.
    upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
    body = "\r\nupgrade: h2c\r\n"
    for _ in range(2):
        assert wire.send(f"{POST}{upgrade}content-length: {len(body)}\r\n\r\n{body}").answer().body == b"16"


def test_an_upgrade_that_cannot_be_passed_over_is_refused(wire: Wire) -> None:
    told = wire.send(f"{POST}CONNECTION: UPGRADE\r\nUPGRADE: h2c\r\ncontent-length: 2\r\n\r\nhi").answer()
    assert (told.status, told.error["code"]) == (400, "no_upgrade")


def test_connections_beyond_the_most_are_told_so_and_the_others_stay(address: tuple[str, int]) -> None:
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(address)) for _ in range(LIMITS.max_connections + 30)]
        refused = 0
        for wire in wires:
            try:
                wire.send(f"{POST}content-length: 2\r\n\r\nhi")
                told = wire.answer()
            except (ConnectionError, EOFError):
                refused += 1
                continue
            if told.status == 503:
                assert told.error["code"] == "too_many_connections"
                assert told.headers["retry-after"] == "1"
                refused += 1
            else:
                assert told.body == b"2"
        assert refused >= 30
    with Wire(address) as wire:
        assert wire.send(f"{POST}content-length: 2\r\n\r\nhi").answer().status in (200, 503)


def test_half_open_connections_are_given_back() -> None:
    echo = Echo(LIMITS)
    limits = replace(LIMITS, max_connections=1_000, header_timeout_s=2.0)
    with served(echo, limits) as address, ExitStack() as stack:
        wires = [stack.enter_context(Wire(address)).send("POST / HT") for _ in range(1_000)]
        with Wire(address) as late:
            assert late.answer().status == 503
        assert all(wire.answer().status == 408 for wire in wires)
        with Wire(address) as wire:
            assert wire.send(f"{POST}content-length: 2\r\n\r\nhi").answer().body == b"2"


def test_bytes_at_random_neither_hang_nor_break_it(
    address: tuple[str, int], echo: Echo, caplog: pytest.LogCaptureFixture
) -> None:
    echo.released.set()
    drawn = random.Random(9)
    whole = f"{POST}content-type: application/json\r\ntransfer-encoding: chunked\r\nx: y\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    pieces = [
        b"\r\n",
        b"\n",
        b"\0",
        b":",
        b" ",
        b"\xff",
        b"content-length: 3\r\n",
        b"POST",
        b"HTTP/1.1",
        b"0\r\n\r\n",
        b"fffffff",
    ]
    statuses = Counter[bytes]()
    for _ in range(400):
        sent = bytearray(whole.encode() * drawn.choice((1, 1, 3)))
        for _ in range(drawn.randint(0, 4)):
            at = drawn.randrange(len(sent) + 1)
            sent[at : at + drawn.choice((0, 0, 1, 5))] = drawn.choice(pieces)
        with Wire(address) as wire:
            wire.send(bytes(sent))
            wire.socket.shutdown(socket.SHUT_WR)
            statuses[wire.rest()[9:12]] += 1
    assert set(statuses) <= {b"", b"200", b"400", b"408", b"413", b"431"}
    assert statuses[b"400"] > 50
    assert statuses[b"200"] > 20
    with Wire(address) as wire:
        assert wire.send(f"{POST}content-length: 2\r\n\r\nhi").answer().body == b"2"
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
