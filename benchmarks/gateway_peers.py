"""The gateways that are measured side by side, each started on loopback in front of the same upstreams.

Every one is a process that speaks `POST /v1/chat/completions`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from gateway_upstream import Running
from processes import cpu_s, descendants

HERE = Path(__file__).parent
LITELLM = HERE.parent / ".venv-interop" / "bin" / "litellm"
PORTKEY = "node_modules/@portkey-ai/gateway/build/start-server.js"
N_RULES = 50
_START_S, _STOP_S = 180.0, 15.0


@dataclass(frozen=True)
class Contender:
    """One way from a client to the upstream.

    Attributes:
        model: that a client asks for.
        pid: of its process; None for none.
        ready_s: from its start to its first ready answer.
        slow: so slow that fewer requests tell as much.
    """

    name: str
    port: int
    model: str = "mock-1"
    pid: int | None = None
    ready_s: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    slow: bool = False

    def cpu_s(self) -> float:
        """CPU time of its process so far, all threads."""
        return 0.0 if self.pid is None else cpu_s(self.pid)

    def children_cpu_s(self) -> float:
        """CPU time of its children so far."""
        return 0.0 if self.pid is None else sum(map(cpu_s, descendants(self.pid)))


class NotThereError(Exception):
    """It cannot be started here; the message says why."""


def direct(upstream: Running) -> Contender:
    return Contender("direct", upstream.port)


@contextmanager
def bare(upstream: Running, folder: Path) -> Iterator[Contender]:
    port = free_port()
    command = [sys.executable, str(HERE / "gateway_bare.py"), "--upstream", upstream.base_url, "--port", str(port)]
    with started(command, folder / "bare.log", port, "/readyz") as (process, ready_s):
        yield Contender("bare Starlette + pyreqwest", port, pid=process.pid, ready_s=ready_s)


@contextmanager
def ours(upstreams: Mapping[str, Running], folder: Path) -> Iterator[Contender]:
    port = free_port()
    (folder / "rules.yaml").write_text(rules(upstreams))
    command = [
        sys.executable, "-m", "routebench", "serve", str(folder / "rules.yaml"), "--port", str(port),
        "--traces", str(folder / "traces"),
    ]  # fmt: skip
    with started(command, folder / "ours.log", port, "/readyz") as (process, ready_s):
        yield Contender(f"routebench serve, {N_RULES} rules, traces", port, "routebench/auto", process.pid, ready_s)


def rules(upstreams: Mapping[str, Running]) -> str:
    """Fifty rules, none of which matches but the one for cascades; models of three wires."""
    price = {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 2.0}
    models = {
        name: {"provider": wire, "model": f"{name}-1", "base_url": upstreams[wire].base_url, "price": price}
        for name, wire in (("small", "openai"), ("large", "openai"), ("claude", "anthropic"), ("gemini", "gemini"))
        if wire in upstreams
    }
    made: list[Mapping[str, object]] = [
        {"name": f"r{number}", "when": {"regex": rf"(?i)\bword{number}\s+[a-z]+ing\b"}, "route": ["large"]}
        for number in range(N_RULES - 1)
    ]
    made.append({"name": "checked", "when": {"regex": " cascaded@"}, "route": ["small", "large"], "cascade": "usable"})
    document = {
        "schema": "routebench/rules/v1",
        "name": "benchmark",
        "models": models,
        "rules": made,
        "cascade": {"usable": {"finish": ["stop"]}},
        "default": {"route": ["small", "large"]},
        "health": {},
    }
    return yaml.safe_dump(document, sort_keys=False)


@contextmanager
def litellm(upstream: Running, folder: Path) -> Iterator[Contender]:
    if not LITELLM.exists():
        raise NotThereError("not installed: `make interop` builds .venv-interop")
    port, key = free_port(), f"sk-{secrets.token_hex(24)}"
    behind = {"model": "openai/mock-1", "api_base": upstream.base_url, "api_key": "x"}
    config = {
        "model_list": [{"model_name": "mock-1", "litellm_params": behind}],
        "litellm_settings": {"telemetry": False, "num_retries": 0},
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
    }
    (folder / "litellm.yaml").write_text(yaml.safe_dump(config))
    environment = {
        "LITELLM_MASTER_KEY": key,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
        "LITELLM_LOCAL_BLOG_POSTS": "True",
        "LITELLM_LOCAL_POLICY_TEMPLATES": "True",
        "LITELLM_LOG": "ERROR",
    }
    command = [str(LITELLM), "--config", str(folder / "litellm.yaml"), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--telemetry", "False"]
    with started(command, folder / "litellm.log", port, "/health/readiness", environment) as (process, ready_s):
        told = {"authorization": f"Bearer {key}"}
        yield Contender("LiteLLM proxy", port, "mock-1", process.pid, ready_s, told, slow=True)


@contextmanager
def portkey(upstream: Running, folder: Path, installed: Sequence[Path]) -> Iterator[Contender]:
    script = next((place / PORTKEY for place in installed if (place / PORTKEY).exists()), None)
    node = shutil.which("node")
    if script is None or node is None:
        raise NotThereError("not installed: `npm install @portkey-ai/gateway` in a folder, and --portkey FOLDER")
    port = free_port()
    environment = {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost", "NODE_ENV": "production"}
    command = [node, str(script), "--headless", f"--port={port}"]
    with started(command, folder / "portkey.log", port, "/", environment) as (process, ready_s):
        told = {
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": upstream.base_url,
            "authorization": "Bearer x",
        }
        yield Contender("Portkey gateway", port, "mock-1", process.pid, ready_s, told)


@contextmanager
def started(
    command: Sequence[str], log: Path, port: int, path: str, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """Runs a server until the end of the block; yields it and the seconds until it was ready."""
    # Nothing of the shell but its path: no key of a real provider, no proxy setting.
    known = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    began = time.perf_counter()
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=log.parent, env={**known, **(environment or {})}, stdout=output, stderr=output
        ) as process,
    ):
        try:
            wait_until_ready(process, port, path, log)
            yield process, time.perf_counter() - began
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_until_ready(process: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
    until = time.perf_counter() + _START_S
    while process.poll() is None and time.perf_counter() < until:
        if status(port, path) == 200:
            return
        time.sleep(0.005)
    how = "was not ready in time" if process.returncode is None else f"ended with {process.returncode}"
    lines = log.read_text(errors="replace").strip().splitlines()
    raise NotThereError(f"{how}: {' | '.join(lines[-3:])}")


def status(port: int, path: str) -> int | None:
    """Of a GET; None where nobody listens yet."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2.0) as one:
            one.sendall(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode())
            head = one.recv(64).split()
            return int(head[1]) if len(head) > 1 else None
    except OSError:
        return None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
