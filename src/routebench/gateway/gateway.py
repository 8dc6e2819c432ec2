"""The gateway as a process has it: loaded, listening, reloaded while it serves, and ended in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn

from routebench.errors import RoutebenchError
from routebench.gateway.app import App
from routebench.gateway.clients import Clients
from routebench.gateway.conversations import Conversations, salt_of
from routebench.gateway.descriptors import with_room
from routebench.gateway.kept import preparing
from routebench.gateway.limits import Seats
from routebench.gateway.listening import check_listening, listening
from routebench.gateway.metrics import Metrics
from routebench.gateway.policy import Look, OpenProvider, Policy, open_by_kind
from routebench.gateway.process import Server, cut_off, quick_loop, signals
from routebench.gateway.protocol import protocol_of
from routebench.gateway.serving import Serving, shadow_router
from routebench.gateway.settings import GatewayConfig, Tracing, load_settings
from routebench.gateway.spent import Spent, spent_path
from routebench.rules import RuleSet
from routebench.traces.writer import TraceWriter

_log = logging.getLogger("routebench.gateway")
_LOOK_EVERY_S = 1.0
_DRAIN_S = 30.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Gateway:
    """A gateway on a thread of its own: `with Gateway("rules.yaml", port=0) as gateway: gateway.url`.

    `run` serves on the calling thread instead, as `routebench serve` does.

    Args:
        rules: the rules.yaml.
        config: a gateway.yaml; without one everything is at its default, and nobody but this machine is served.
        host: the interface.
        port: 0 for any that is free.
        shadow: another rules.yaml, whose decisions are traced and never sent.
        traces: where traces are written; what the gateway.yaml says when left out.
        look: finds secrets by the name of their environment variable.
        open_provider: how a provider is opened; such as recorded answers, in a notebook.
        now: the time, with its zone.
        drain_s: how long requests may take to end once the gateway is told to.

    Raises:
        RulesError: the rules.yaml cannot be used, or does not pass `routebench check`.
        ConfigError: a key is missing, a file cannot be used, or others could reach a gateway without keys.
    """

    def __init__(
        self,
        rules: str | Path,
        *,
        config: str | Path | None = None,
        host: str = "127.0.0.1",
        port: int = 8080,
        shadow: str | Path | None = None,
        traces: str | Path | None = None,
        look: Look = os.environ.get,
        open_provider: OpenProvider = open_by_kind,
        now: Callable[[], datetime] = _utc_now,
        drain_s: float = _DRAIN_S,
    ) -> None:
        self._rules = Path(rules)
        self._config_path = None if config is None else Path(config)
        self._shadow_path = None if shadow is None else Path(shadow)
        self._traces = None if traces is None else Path(traces)
        self._look, self._open_provider, self._now = look, open_provider, now
        self._host, self._port, self._drain_s = host, port, drain_s
        self._app = App()
        self._thread: threading.Thread | None = None
        self._server: uvicorn.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._reload = asyncio.Event()
        self._spent: Spent | None = None
        self._config = self._settings()
        # Before it is read: what is changed meanwhile is a change.
        self._marks = self._marked()
        self._policy = self._loaded()
        self._config.check_models(self._policy.ruleset.order)
        check_listening(host, self._config)
        self._shadow = self._shadowed(self._config)
        self._protocol = protocol_of(self._config.limits)
        self._socket = listening(host, port)

    @property
    def url(self) -> str:
        """Where clients find it: their `base_url`."""
        host, port = self._socket.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"

    @property
    def ruleset(self) -> RuleSet:
        """What decides now."""
        return self._policy_now.ruleset

    @property
    def config(self) -> GatewayConfig:
        """What the gateway.yaml says now."""
        return self._config

    @property
    def traces_folder(self) -> Path:
        """Where traces are written."""
        return self._config.traces.folder

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serves until the process is told to end: SIGTERM or SIGINT end it in order, SIGHUP reads the files again.

        Args:
            ready: called once requests are served.
        """

        def settled() -> None:
            # Rules, libraries and modules stay for good: a collection that looks through them stops all requests.
            gc.collect()
            gc.freeze()
            ready()

        with quick_loop() as runner:
            runner.run(self._serve(settled, by_signals=True))

    def start(self) -> Self:
        """Serves on a thread of its own; returns once requests are served.

        Raises:
            RoutebenchError: it could not begin.
        """
        self._thread = threading.Thread(target=self._on_thread, name="routebench-gateway", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def stop(self) -> None:
        """Ends it in order: requests are served to their end, and traces are written."""
        if self._server is not None:
            self._app.draining = True
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()

    def reload(self) -> None:
        """Reads the files again, soon; a rule set that cannot be used is told in the log, and the old one stays."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._reload.set)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _policy_now(self) -> Policy:
        serving = self._app.serving
        return self._policy if serving is None else serving.policy

    def _provider_of(self, model: str) -> str | None:
        known = self.ruleset.models.get(model)
        return None if known is None else known.provider

    def _on_thread(self) -> None:
        try:
            with quick_loop() as runner:
                runner.run(self._serve(lambda: None, by_signals=False))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self, ready: Callable[[], None], *, by_signals: bool) -> None:
        loop = self._loop = asyncio.get_running_loop()
        try:
            serving, writer, spans = self._begun()
        except BaseException:
            self._socket.close()
            raise
        self._app.serving = serving
        server = self._server = Server(
            uvicorn.Config(
                self._app,
                http=self._protocol,
                lifespan="off",
                log_config=None,
                access_log=False,
                # Whoever sends it could say who they are.
                proxy_headers=False,
                server_header=False,
                date_header=True,
                ws="none",
                timeout_keep_alive=int(serving.limits.keep_alive_s),
                # Parts of a second do as well, whatever the annotation says.
                timeout_graceful_shutdown=self._drain_s,  # type: ignore[arg-type]
            )
        )
        with signals(loop, self._end, self._reload.set) if by_signals else nullcontext():
            watching = asyncio.create_task(self._watch(server, ready))
            try:
                await server.serve(sockets=[self._socket])
            finally:
                watching.cancel()
                await asyncio.wait([watching])
                await cut_off(server.server_state.tasks)
                try:
                    await serving.policy.retire()
                finally:
                    # On a thread: traces are written to the last row, and connections end meanwhile.
                    await asyncio.to_thread(self._closed, writer, spans)
        if not watching.cancelled():
            watching.result()

    def _end(self) -> None:
        self._app.draining = True
        if self._server is not None:
            if self._server.should_exit:
                self._server.force_exit = True
            self._server.should_exit = True

    def _closed(self, writer: TraceWriter, spans: Any) -> None:
        writer.close()
        if spans is not None:
            spans.close()
        if self._spent is not None:
            self._spent.close()

    def _begun(self) -> tuple[Serving, TraceWriter, Any]:
        config, policy = self._config, self._policy
        policy.serve_on(asyncio.get_running_loop())
        folder = config.traces.folder
        salt = salt_of(folder, secrets.token_bytes(16))
        texts = config.traces.privacy.text != "none"
        prepare = preparing(config.traces.privacy, lambda: self._policy_now.secrets)
        writer = TraceWriter(folder, keep_days=config.traces.keep_days, prepare=prepare)
        spans = None
        if config.traces.otel:
            from routebench.traces.spans import Spans

            spans = Spans(provider_of=self._provider_of, texts=texts, prepare=prepare)
        host, port = self._socket.getsockname()[:2]
        self._spent = Spent(spent_path(folder, host, port))
        if policy.router.ledger is not None:
            self._spent.keep("rules", policy.router.ledger)
        clients = Clients(config.keys, now=self._now, clock=time.monotonic, spent=self._spent)
        # Last: what fails before leaves no thread behind.
        writer.start()
        self._spent.start()
        serving = Serving(
            name=writer.name,
            policy=policy,
            clients=clients,
            limits=config.limits,
            seats=Seats(config.limits.max_concurrency),
            conversations=Conversations(salt),
            metrics=Metrics(),
            shadow=self._shadow,
            keeps_texts=texts,
            writer=writer,
            spans=spans,
        )
        return serving, writer, spans

    async def _watch(self, server: uvicorn.Server, ready: Callable[[], None]) -> None:
        """Tells when requests are served, and reads the files again when one has changed or a signal says so."""
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.001)
        self._ready.set()
        ready()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._reload.wait()
            marks = self._marked()
            if self._reload.is_set() or marks != self._marks:
                self._reload.clear()
                self._marks = marks
                await self._renew()

    async def _renew(self) -> None:
        serving = self._app.serving
        assert serving is not None
        try:
            config, policy, shadow = await asyncio.to_thread(self._again)
        except Exception as error:  # noqa: BLE001 - files name code of the user's, which fails as it likes
            serving.metrics.reloaded(ok=False)
            unforeseen = not isinstance(error, (RoutebenchError, ModuleNotFoundError))
            _log.error("not reloaded, the rules of before stay: %s", error, exc_info=unforeseen)
            return
        before = serving.policy
        policy.serve_on(asyncio.get_running_loop())
        policy.router.take_over(before.router)
        if policy.router.ledger is not None and self._spent is not None:
            self._spent.keep("rules", policy.router.ledger)
        serving.clients.change(config.keys)
        serving.policy, serving.shadow = policy, shadow
        if _marks_of(config.traces) != _marks_of(self._config.traces):
            _log.warning("%s: what `traces` says now holds from the next start", config.path)
        self._config = replace(config, traces=self._config.traces)
        serving.limits = self._protocol.limits = config.limits
        serving.seats.limit = config.limits.max_concurrency
        serving.metrics.reloaded(ok=True)
        _log.info("reloaded: %s, policy %s", policy.ruleset.name, policy.digest)
        await before.retire()

    def _again(self) -> tuple[GatewayConfig, Policy, Any]:
        config, policy = self._settings(), self._loaded()
        # Where the last key was taken out nobody is let in any more, wherever the gateway listens.
        config.check_models(policy.ruleset.order)
        return config, policy, self._shadowed(config)

    def _settings(self) -> GatewayConfig:
        config = load_settings(self._config_path)
        config = replace(config, limits=with_room(config.limits))
        if self._traces is not None:
            config = replace(config, traces=replace(config.traces, folder=self._traces))
        return config

    def _loaded(self) -> Policy:
        return Policy.load(self._rules, look=self._look, now=self._now, open_provider=self._open_provider)

    def _shadowed(self, config: GatewayConfig) -> Any:
        path = self._shadow_path or config.shadow
        return None if path is None else shadow_router(RuleSet.load(path))

    def _marked(self) -> Mapping[Path, Any]:
        """What tells that a file was changed."""
        files = [self._rules, self._config_path, self._shadow_path or self._config.shadow]
        marks = {}
        for file in files:
            if file is not None:
                # A file that is being replaced is not there for a moment.
                with suppress(OSError):
                    found = file.stat()
                    marks[file] = (found.st_mtime_ns, found.st_size, found.st_ino)
        return marks


def _marks_of(traces: Tracing) -> tuple[object, ...]:
    return traces.folder, traces.privacy.text, traces.keep_days, traces.otel
