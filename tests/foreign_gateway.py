"""A gateway on loopback that answers by method and path, as a function of the test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Said:
    """A response: JSON, a status and headers."""

    document: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


NOTHING = Said({"detail": "Not Found"}, status=404)
Answer = Callable[[str, Any], Said]
"""Of a path and a body, None for GET, what is said."""


@dataclass
class Gateway:
    """Where it is, and what it was asked: (path, body, headers)."""

    url: str
    asked: list[tuple[str, Any, Mapping[str, str]]]

    def bodies(self, path: str) -> list[Any]:
        return [body for where, body, _ in self.asked if where == path]


@contextmanager
def gateway(answer: Answer) -> Iterator[Gateway]:
    """Runs it for the length of a `with` block."""
    asked: list[tuple[str, Any, Mapping[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def _answer(self, body: Any) -> None:
            asked.append((self.path, body, {name.lower(): value for name, value in self.headers.items()}))
            said = answer(self.path, body)
            content = json.dumps(said.document).encode()
            self.send_response(said.status)
            for name, value in {"content-type": "application/json", **said.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield Gateway(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        server.server_close()


ROUTER = {
    "model_name": "auto",
    "litellm_params": {"model": "auto_router/complexity_router", "complexity_router_config": {}},
    "model_info": {"id": "id-auto"},
}
SMALL = {"model_name": "small", "litellm_params": {"model": "openai/s"}, "model_info": {"id": "id-small"}}


def litellm(path: str, body: Any, *, dry_run: bool = True, router: Mapping[str, Any] = ROUTER) -> Said:
    """LiteLLM as far as it is asked: long prompts are COMPLEX."""
    if path == "/health/readiness/details":
        return Said({"status": "healthy", "litellm_version": "1.108.7"})
    if path == "/model/info":
        return Said({"data": [SMALL, router]})
    if path == "/auto_router/test_routing" and dry_run:
        text = body["messages"][-1]["content"]
        tier, model = ("COMPLEX", "large") if len(text) > 20 else ("SIMPLE", "small")
        decision = {"tier": tier, "cause": "heuristic_scorer", "score": 0.1 + 0.2, "signals": [f"quotes {text}"]}
        return Said({"routed_model": model, "routing_decision": decision})
    if path == "/v1/chat/completions":
        prefix = "x-litellm-complexity-router-"
        told = {f"{prefix}tier": "SIMPLE", f"{prefix}cause": "heuristic_scorer", f"{prefix}score": "-0.1"}
        served = {"x-litellm-model-id": "id-small", "x-litellm-model-name": "openai/s"}
        return Said({"model": "auto"}, headers={**told, **served})
    return NOTHING
