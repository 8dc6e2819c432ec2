"""An OpenAI-compatible server on loopback for the faults that a real one does not show on demand."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """What the server sends: a status, headers and the raw pieces of the body; `cut` drops the connection after them."""

    pieces: list[bytes]
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "text/event-stream"})
    cut: bool = False


def chat_stream(text: str, *, usage: dict[str, Any] | None = None, finish: str = "stop", done: bool = True) -> Reply:
    """A well-formed event stream that says `text`, a word an event."""
    events: list[Any] = [
        {"model": "served-model", "choices": [{"index": 0, "delta": {"content": word + " "}}]} for word in text.split()
    ]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    events.append({"choices": [], "usage": usage or {"prompt_tokens": 10, "completion_tokens": 2}})
    pieces = [f"data: {json.dumps(event)}\n\n".encode() for event in events]
    return Reply(pieces + ([b"data: [DONE]\n\n"] if done else []))


def error(status: int, message: str, **headers: str) -> Reply:
    """An error body as OpenAI sends it."""
    body = json.dumps({"error": {"message": message, "type": "test", "param": None, "code": None}}).encode()
    return Reply([body], status=status, headers={"content-type": "application/json", **headers})


class Upstream:
    """Counts what it was asked, and answers what `reply` says."""

    def __init__(self, reply: Callable[[dict[str, Any], int], Reply]) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.reply = reply
        self.url = ""
        self._lock = threading.Lock()

    def take(self, body: dict[str, Any], headers: dict[str, str]) -> Reply:
        with self._lock:
            self.requests.append(body)
            self.headers.append(headers)
            number = len(self.requests)
        return self.reply(body, number)


@contextmanager
def serve(reply: Callable[[dict[str, Any], int], Reply]) -> Iterator[Upstream]:
    """Runs the server for the length of a `with` block."""
    upstream = Upstream(reply)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            answer = upstream.take(body, {name.lower(): value for name, value in self.headers.items()})
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("connection", "close")
            if answer.cut:
                self.send_header("content-length", str(sum(map(len, answer.pieces)) + 100))
            self.end_headers()
            for piece in answer.pieces:
                self.wfile.write(piece)
                self.wfile.flush()
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    upstream.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield upstream
    finally:
        server.shutdown()
        server.server_close()
