"""An OpenAI-compatible server with a fixed latency and as little work a request as Python allows.

Speaks raw HTTP/1.1 on an asyncio protocol, so that two cores suffice for it and for the client under test. Counts
every request by its last message, so that a benchmark can tell what was asked twice.

    GET /counts     {"<last message>": times asked, ...}
    GET /latencies  seconds between the last byte of each request and the first byte of its answer, as this side saw it
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Upstream:
    """What the server answers, and what it has seen."""

    def __init__(self, latency_s: float, answer_bytes: int) -> None:
        self.latency_s = latency_s
        self.counts: Counter[str] = Counter()
        self.latencies_s: list[float] = []
        text = (
            "yes"
            if answer_bytes <= 3
            else ("The answer is a plain sentence of a few words. " * (1 + answer_bytes // 47))[:answer_bytes]
        )
        usage = {
            "prompt_tokens": 20,
            "completion_tokens": max(1, answer_bytes // 4),
            "total_tokens": 20 + answer_bytes // 4,
        }
        document = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": "mock-1",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": usage,
        }
        body = json.dumps(document).encode()
        self.whole = (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        first = {
            "id": "chatcmpl-1",
            "model": "mock-1",
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}],
        }
        last = {"id": "chatcmpl-1", "model": "mock-1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        tail = {"id": "chatcmpl-1", "model": "mock-1", "choices": [], "usage": usage}
        events = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in (first, last, tail))
        events += b"data: [DONE]\n\n"
        self.streamed = _STREAM_HEAD + b"%x\r\n" % len(events) + events + b"\r\n0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One client connection; requests on it are answered in order."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._buffer = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            if head.startswith(b"post"):
                self._post(body)
            else:
                self._get(head)

    def _post(self, body: bytes) -> None:
        upstream = self._upstream
        document = json.loads(body)
        content = document["messages"][-1]["content"]
        upstream.counts[content if isinstance(content, str) else json.dumps(content)] += 1
        answer = upstream.streamed if document.get("stream") else upstream.whole
        loop = asyncio.get_running_loop()
        loop.call_later(upstream.latency_s, self._answer, answer, loop.time())

    def _answer(self, answer: bytes, asked: float) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)
        self._upstream.latencies_s.append(asyncio.get_running_loop().time() - asked)

    def _get(self, head: bytes) -> None:
        wanted: Any = self._upstream.latencies_s if b"/latencies" in head else self._upstream.counts
        body = json.dumps(wanted).encode()
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )


async def main(latency_s: float, answer_bytes: int) -> None:
    upstream = Upstream(latency_s, answer_bytes)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(upstream), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    gc.disable()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


class Running:
    """A server in a process of its own."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1"

    def get(self, what: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/{what}", timeout=60) as response:
            return json.load(response)


@contextmanager
def serve(*, latency_s: float, answer_bytes: int = 3) -> Iterator[Running]:
    """Runs the server in another process for the length of a `with` block."""
    command = [sys.executable, str(Path(__file__)), "--latency-s", str(latency_s), "--answer-bytes", str(answer_bytes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield Running(int(process.stdout.readline()))
        finally:
            process.stdin.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency-s", type=float, default=0.2)
    parser.add_argument("--answer-bytes", type=int, default=3)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.latency_s, arguments.answer_bytes))
