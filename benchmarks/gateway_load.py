"""A client that asks as fast as it is answered over so many connections, in a process of its own.

Raw HTTP/1.1 on asyncio protocols over uvloop. Reads jobs from its standard input, a JSON object a line, and answers
each by one: latencies in microseconds, times to the first token, its own CPU time, and what went wrong.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from gateway_answers import TOOL, mark, text

FILLER = "Please summarise the following notes for a new colleague, and keep every figure as it is. "
_FIRST_TOKEN = re.compile(rb'"content": ?"[^"]')
_TOKENS = re.compile(rb'"content": ?"((?:[^"\\]|\\.)*)"')
_END = b"\r\n0\r\n\r\n"
_TOLD_BYTES = 300
_ALIKE = 16
"""So many different prompts: answers are written once, so that the upstream costs next to nothing."""


@dataclass(frozen=True)
class Job:
    """What to ask.

    Attributes:
        n: so many requests; 0 where `seconds` says how long.
        kind: of answer (`gateway_answers`).
        n_bytes: of the prompt.
        headers: to send besides.
    """

    port: int
    connections: int = 1
    n: int = 0
    seconds: float = 0.0
    kind: str = "whole"
    stream: bool = False
    n_bytes: int = 1024
    model: str = "routebench/auto"
    headers: Mapping[str, str] = field(default_factory=dict)

    def requests(self) -> list[bytes]:
        return [self._request(number) for number in range(_ALIKE)]

    def _request(self, number: int) -> bytes:
        end = mark(number, self.kind)
        said = (FILLER * (1 + self.n_bytes // len(FILLER)))[: self.n_bytes - len(end)] + end
        document: dict[str, Any] = {"model": self.model, "messages": [{"role": "user", "content": said}]}
        if self.stream:
            document["stream"] = True
        if self.kind == "tool":
            document["tools"] = [TOOL]
        body = json.dumps(document).encode()
        told = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        head = "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        return f"{head}{told}content-length: {len(body)}\r\n\r\n".encode() + body


@dataclass
class Asked:
    """What came of a job; times in microseconds."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    n: int = 0
    wrong: int = 0
    latency_us: list[float] = field(default_factory=list)
    ttft_us: list[float] = field(default_factory=list)
    told: str = ""


class Load:
    """One job at work."""

    def __init__(self, job: Job, loop: asyncio.AbstractEventLoop) -> None:
        self.job = job
        self.requests = job.requests()
        self.expected = [text(number, job.kind).encode() for number in range(_ALIKE)]
        self.asked = Asked()
        self.sent = 0
        self.until = time.perf_counter() + job.seconds if job.seconds else float("inf")
        self.open = job.connections
        self.done = loop.create_future()

    def next(self) -> int | None:
        """Number of the next request; None where that was all."""
        if (self.job.n and self.sent >= self.job.n) or time.perf_counter() >= self.until:
            return None
        self.sent += 1
        return self.sent % _ALIKE

    def took(self, began: float, first: float | None, number: int, head: bytes, body: bytes) -> None:
        asked = self.asked
        asked.latency_us.append(1e6 * (time.perf_counter() - began))
        asked.n += 1
        if first is not None:
            asked.ttft_us.append(1e6 * (first - began))
        whole = body if not self.job.stream else b"".join(_TOKENS.findall(unframed(body)))
        if not head.startswith(b"HTTP/1.1 200") or (self.job.kind != "tool" and self.expected[number] not in whole):
            asked.wrong += 1
            asked.told = asked.told or (head[:40] + b" ... " + body[:_TOLD_BYTES]).decode(errors="replace")

    def ended(self) -> None:
        self.open -= 1
        if not self.open and not self.done.done():
            self.done.set_result(None)


class Connection(asyncio.Protocol):
    """One connection: a request after the other."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._closing = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        number = self._load.next()
        self._parts: list[bytes] = []
        self._first: float | None = None
        self._length: int | None = None
        self._size = 0
        if number is None:
            self._closing = True
            self._transport.close()
            return
        self._number = number
        self._began = time.perf_counter()
        self._transport.write(self._load.requests[number])

    def data_received(self, data: bytes) -> None:
        if not self._parts:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                raise ValueError("a head in two pieces")
            head = data[:end].lower()
            at = head.find(b"content-length:")
            self._length = end + 4 + int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else None
        self._parts.append(data)
        self._size += len(data)
        if self._load.job.stream and self._first is None and _FIRST_TOKEN.search(data):
            self._first = time.perf_counter()
        whole = self._size >= self._length if self._length is not None else self._ends(data)
        if whole:
            head, _, body = b"".join(self._parts).partition(b"\r\n\r\n")
            self._load.took(self._began, self._first, self._number, head, body)
            self._ask()

    def _ends(self, data: bytes) -> bool:
        if len(data) < len(_END) and len(self._parts) > 1:
            data = self._parts[-2][-len(_END) :] + data
        return data.endswith(_END)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._closing:
            self._load.asked.wrong += 1
            self._load.asked.told = self._load.asked.told or f"the connection was closed: {error}"
        self._load.ended()


def unframed(body: bytes) -> bytes:
    """A body of chunked transfer, put together: a server may cut in the middle of an event."""
    parts, at = [], 0
    while (end := body.find(b"\r\n", at)) >= 0:
        length = int(body[at:end], 16)
        parts.append(body[end + 2 : end + 2 + length])
        at = end + 4 + length
    return b"".join(parts)


async def ask(job: Job) -> Asked:
    loop = asyncio.get_running_loop()
    load = Load(job, loop)
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(job.connections):
        await loop.create_connection(lambda: Connection(load), "127.0.0.1", job.port)
    await load.done
    load.asked.wall_s, load.asked.cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    return load.asked


async def main() -> None:
    gc.freeze()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(asdict(await ask(Job(**json.loads(line))))), flush=True)


class Client:
    """The client in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, job: Job) -> Asked:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(job)) + "\n")
        self._process.stdin.flush()
        return Asked(**json.loads(self._process.stdout.readline()))


@contextmanager
def client() -> Iterator[Client]:
    """Runs a client in another process for the length of a `with` block."""
    command = [sys.executable, str(Path(__file__))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        try:
            yield Client(process)
        finally:
            process.stdin.close()


if __name__ == "__main__":
    uvloop.run(main())
