"""A server on loopback that answers every chat request with the name of the model that it stands for."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


class NamingUpstream:
    """Stands for every model of a rule set: what is asked at the address of a model is answered with its name.

    Attributes:
        url: its address; `base_url(name)` is what a product is told of a model.
        failing: names that answer 500 instead, to see a product fail over.
        asked: names, in the order in which they were asked.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.failing: set[str] = set()
        self.asked: list[str] = []
        self._names: list[str] = []

    def base_url(self, name: str) -> str:
        """Returns the address of the server that stands for a model."""
        # By number, for a name may hold what an address may not, such as a slash.
        if name not in self._names:
            self._names.append(name)
        return f"{self.url}/{self._names.index(name)}/v1"

    def name(self, path: str) -> str:
        """Returns the model whose address a path begins with."""
        return self._names[int(path.lstrip("/").partition("/")[0])]


@contextmanager
def upstream() -> Iterator[NamingUpstream]:
    """Serves on a free port of loopback until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    host, port = server.server_address[:2]
    served = NamingUpstream(f"http://{host!s}:{port}")
    server.RequestHandlerClass = _answering(served)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answering(served: NamingUpstream) -> type[BaseHTTPRequestHandler]:
    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body are written apart: the second would wait 40 ms for the first one's receipt.
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            name = served.name(self.path)
            served.asked.append(name)
            if name in served.failing:
                self._say(500, {"error": {"message": "out of order", "type": "server_error", "code": None}})
                return
            message = {"role": "assistant", "content": name}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._say(
                200,
                {
                    "id": "c1",
                    "object": "chat.completion",
                    "created": 1,
                    "model": name,
                    "choices": [choice],
                    "usage": _USAGE,
                },
            )

        def _say(self, status: int, document: Any) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
            """Says nothing: prompts are on their way here."""

    return Answering
