"""Three providers' upstreams for the gateway's benchmarks, with as little work a request as Python allows.

Raw HTTP/1.1 on asyncio protocols over uvloop, without reading JSON: the mark in the text says what to answer
(`gateway_answers`). One process is one provider. It is told on its standard input, a JSON object a line, to fail, to
slow down, to break streams, or to restart; each line is answered by one with what it has seen so far:

    {"fail_share": 0.3, "break_share": 0.02, "slow_factor": 10, "restart_s": 10}
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import uvloop
from gateway_answers import LAST_CHUNK, STREAM_HEAD, WIRES, Said, Wire, read_mark, refusal, response, say
from processes import cpu_s

_ABORT = struct.pack("ii", 1, 0)
"""SO_LINGER of no seconds: closing resets the connection, as a process that was killed does."""
_AT_ONCE = frozenset({"whole", "flood", "tool", "cascaded"})
"""Kinds of answers whose streams are written in one piece."""
_BROKEN_AFTER = 3
"""A stream that breaks has said so many events."""


class Upstream:
    """What one provider answers, how it is today, and what it has seen."""

    def __init__(self, wire: Wire, first_s: float, gap_s: float, seed: int) -> None:
        self.wire = wire
        self.first_s = first_s
        self.gap_s = gap_s
        self.fail_share = self.break_share = 0.0
        self.slow_factor = 1.0
        self.accepted = self.requests = self.failed = self.broken = self.whole = 0
        self.left: list[int] = []
        self.cut: list[int] = []
        self.long_ended: dict[int, float] = {}
        self.luck = random.Random(seed)
        self.connections: set[Connection] = set()
        self.saying = lru_cache(maxsize=256)(self._say)

    def _say(self, model: str, number: int, kind: str, stream: bool) -> Said:  # noqa: FBT001 - a key of the cache
        return say(self.wire, model, number, kind, stream=stream)

    def seen(self) -> Mapping[str, Any]:
        """Counts, the numbers of requests whose client went away or that were cut here, and when long streams ended."""
        return {
            "accepted": self.accepted,
            "requests": self.requests,
            "failed": self.failed,
            "broken": self.broken,
            "whole": self.whole,
            "left": self.left,
            "cut": self.cut,
            "long_ended": self.long_ended,
            "open": len(self.connections),
        }


class Connection(asyncio.Protocol):
    """One connection; requests on it are answered in order."""

    def __init__(self, upstream: Upstream, loop: asyncio.AbstractEventLoop) -> None:
        self._upstream = upstream
        self._loop = loop
        self._buffer = b""
        self._number: int | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._upstream.connections.add(self)
        self._upstream.accepted += 1

    def connection_lost(self, _error: Exception | None) -> None:
        self._upstream.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._number is not None:
            self._upstream.left.append(self._number)

    def reset(self) -> None:
        """Drops the connection as a killed process does."""
        if self._number is not None:
            self._upstream.cut.append(self._number)
        self._number = None
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            low = head.lower()
            at = low.find(b"content-length:")
            length = int(low[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            if head.startswith(b"POST"):
                self._answer(head[: head.find(b"\r\n")], body)
            else:
                self._transport.write(response(200, b'{"object":"list","data":[]}'))

    def _answer(self, line: bytes, body: bytes) -> None:
        upstream = self._upstream
        upstream.requests += 1
        number, kind = read_mark(body)
        if upstream.fail_share and upstream.luck.random() < upstream.fail_share:
            upstream.failed += 1
            self._transport.write(refusal(upstream.wire, 503))
            return
        stream = b"streamGenerateContent" in line or b'"stream":true' in body or b'"stream": true' in body
        # Answers of a benchmark are alike, so that saying them costs next to nothing; those of the soak are not.
        said = upstream.saying(_model(line, body), number, kind, stream)
        self._number = number
        breaks = stream and upstream.break_share > 0 and upstream.luck.random() < upstream.break_share
        wait_s = upstream.first_s * upstream.slow_factor
        if wait_s:
            # Whole answers take as long as the streams of the same words.
            wait_s += 0 if stream else upstream.gap_s * upstream.slow_factor * 12
            self._timer = self._loop.call_later(wait_s, self._begin, said, kind, breaks)
        else:
            self._begin(said, kind, breaks)

    def _begin(self, said: Said, kind: str, breaks: bool) -> None:  # noqa: FBT001
        self._timer = None
        if said.whole:
            self._transport.write(said.whole)
            self._end(kind)
        elif kind in _AT_ONCE and not breaks:
            self._transport.write(said.at_once)
            self._end(kind)
        else:
            self._transport.write(STREAM_HEAD)
            self._go_on(said, 0, kind, breaks)

    def _go_on(self, said: Said, place: int, kind: str, breaks: bool) -> None:  # noqa: FBT001
        if breaks and place == _BROKEN_AFTER:
            self._upstream.broken += 1
            self.reset()
            return
        if place == len(said.events) - 1:
            self._transport.write(said.events[place] + LAST_CHUNK)
            self._end(kind)
            return
        self._transport.write(said.events[place])
        gap_s = self._upstream.gap_s * self._upstream.slow_factor
        self._timer = self._loop.call_later(gap_s, self._go_on, said, place + 1, kind, breaks)

    def _end(self, kind: str) -> None:
        if kind == "long" and self._number is not None:
            self._upstream.long_ended[self._number] = time.time()
        self._number = self._timer = None
        self._upstream.whole += 1


def _model(line: bytes, body: bytes) -> str:
    if b"/models/" in line:
        return line.split(b"/models/")[1].split(b":")[0].decode()
    at = body.find(b'"model"')
    return body[at + 7 :].split(b'"', 2)[1].decode() if at >= 0 else "unknown"


async def main(wire: Wire, port: int, first_s: float, gap_s: float) -> None:
    loop = asyncio.get_running_loop()
    upstream = Upstream(wire, first_s, gap_s, seed=port)

    async def listen(at: int) -> asyncio.Server:
        return await loop.create_server(lambda: Connection(upstream, loop), "127.0.0.1", at, backlog=2048)

    server = await listen(port)
    port = server.sockets[0].getsockname()[1]
    print(port, flush=True)
    gc.freeze()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        told = json.loads(line)
        for name in ("fail_share", "break_share", "slow_factor"):
            setattr(upstream, name, told.get(name, getattr(upstream, name)))
        if "restart_s" in told:
            server.close()
            for connection in tuple(upstream.connections):
                connection.reset()
            await asyncio.sleep(told["restart_s"])
            server = await listen(port)
        print(json.dumps(upstream.seen()), flush=True)


class Running:
    """An upstream in a process of its own."""

    def __init__(self, wire: Wire, port: int, process: subprocess.Popen[str]) -> None:
        self.wire = wire
        self.port = port
        self._process = process

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{'v1beta' if self.wire == 'gemini' else 'v1'}"

    @property
    def cpu_s(self) -> float:
        return cpu_s(self._process.pid)

    def tell(self, **how: float) -> Mapping[str, Any]:
        """Says how to be from now on; returns what it has seen. A restart is waited for."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(how) + "\n")
        self._process.stdin.flush()
        seen: Mapping[str, Any] = json.loads(self._process.stdout.readline())
        return seen


@contextmanager
def serve(wire: Wire, *, first_s: float = 0.0, gap_s: float = 0.0) -> Iterator[Running]:
    """Runs an upstream in another process for the length of a `with` block."""
    command = [sys.executable, str(Path(__file__)), wire, "--first-s", str(first_s), "--gap-s", str(gap_s)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield Running(wire, int(process.stdout.readline()), process)
        finally:
            process.stdin.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wire", choices=WIRES)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--first-s", type=float, default=0.0, help="until the first byte of an answer")
    parser.add_argument("--gap-s", type=float, default=0.0, help="between two events of a stream")
    asked = parser.parse_args()
    uvloop.run(main(asked.wire, asked.port, asked.first_s, asked.gap_s))
