"""The server's own process: Voila with everything shut that widgets do not need."""

from __future__ import annotations

import json
import logging
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import nbformat
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import RequestHandler
from traitlets import Unicode
from traitlets.config import Config
from voila.app import Voila
from voila.tornado.handler import TornadoVoilaHandler

from routebench.serving.environment import ENDING
from routebench.serving.gate import MAX_PAGES, TO_KERNEL, Doorkeeper, Gate, PageHandler
from routebench.serving.page import NOTEBOOK, copies_of

_MAX_SOCKET_PATH = 100
"""Bytes that the path of a socket may have on every system, less a few."""
_IDLE_S = 600
"""A kernel whose page is gone, without a word of goodbye, goes after so long."""


class Kernels(AsyncMappingKernelManager):
    """The kernels of the pages; what a page has copied goes with its kernel."""

    folder = Unicode(config=True, help="where the copies lie")

    def remove_kernel(self, kernel_id: str) -> Any:
        """Forgets a kernel that has ended, and what it worked on."""
        for copy in copies_of(Path(self.folder), kernel_id):
            shutil.rmtree(copy, ignore_errors=True)
        return super().remove_kernel(kernel_id)


class Server(Voila):  # type: ignore[misc]
    """Voila, for one page."""

    port: Any

    def init_settings(self) -> Any:
        """Adds to Voila's settings what it leaves open."""
        settings = super().init_settings()
        self.kernel_manager.allowed_message_types = list(TO_KERNEL)
        # Of our own making; Voila warns of notebooks of others.
        notebook = nbformat.read(self.notebook_path, as_version=4)  # type: ignore[no-untyped-call]
        self.contents_manager.notary.sign(notebook)
        return settings

    def init_handlers(self) -> Any:
        """Puts our page in the place of Voila's."""
        return [
            (pattern, PageHandler, *rest) if handler is TornadoVoilaHandler else (pattern, handler, *rest)
            for pattern, handler, *rest in super().init_handlers()
        ]

    def listen(self) -> None:
        """Binds the port that was asked for, and no other, and serves until the parent goes."""
        try:
            sockets = bind_sockets(self.port, self.ip)
        except OSError as error:
            print(json.dumps({"error": error.strerror or str(error)}), flush=True)  # noqa: T201 - read by the parent
            sys.exit(1)
        HTTPServer(self.app).add_sockets(sockets)
        self.port = sockets[0].getsockname()[1]
        print(json.dumps({"port": self.port}), flush=True)  # noqa: T201 - read by the parent
        self.ioloop = IOLoop.current()
        threading.Thread(target=self._outlive_nobody, daemon=True).start()
        # Who ends a service tells every process of it at once; kernels and files should go in order all the same.
        for one in ENDING:
            signal.signal(one, lambda *_: self.ioloop.add_callback(self.ioloop.stop))
        try:
            self.ioloop.start()
        finally:
            self.stop()

    def _outlive_nobody(self) -> None:
        # The parent's end of the pipe closes however it ends.
        sys.stdin.read()
        self.ioloop.add_callback(self.ioloop.stop)


def serve(folder: Path, *, host: str, port: int, theme: str, token: str | None, local: bool, max_pages: int) -> None:
    """Serves the page that lies in a folder until the standard input closes."""
    config = Config()
    config.Voila = Config(
        ip=host,
        port=port,
        open_browser=False,
        notebook_path=str(folder / NOTEBOOK),
        root_dir=str(folder),
        config_file_paths=[str(folder / "config")],
        connection_dir_root=str(folder),
        token=token or "",
        identity_provider_class=Doorkeeper,
        kernel_websocket_connection_class=Gate,
        tornado_settings={
            # Without it any web page could reach this machine's server by a name of its own that points here.
            "allow_remote_access": not local,
            "headers": {"Referrer-Policy": "no-referrer"},
            "log_function": _log_failures,
            MAX_PAGES: max_pages,
        },
        log_level="WARN",
    )
    config.VoilaConfiguration = Config(
        template="routebench",
        theme=theme,
        strip_sources=True,
        show_tracebacks=False,
        multi_kernel_manager_class=Kernels,
        allow_template_override="NO",
        allow_theme_override="NO",
        # No file of the folder is served.
        file_allowlist=[],
        extension_allowlist=["@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8", "anywidget"],
    )
    config.Doorkeeper.cookie_options = {"samesite": "Lax"}
    config.MappingKernelManager = Config(cull_idle_timeout=_IDLE_S, cull_interval=60, cull_connected=False)
    config.Kernels.folder = str(folder)
    config.NotebookNotary.db_file = ":memory:"
    if len(f"{folder}/voila_12345678/kernel-{'0' * 36}.json-ipc-1".encode()) <= _MAX_SOCKET_PATH:
        # Sockets in our own folder: no port to which another user of this machine could speak.
        config.KernelManager.transport = "ipc"
    # It takes Jupyter's milliseconds for seconds, and says so on every page.
    logging.getLogger("tornado.general").setLevel(logging.ERROR)
    app = Server(config=config)
    app.initialize([])
    app.start()


def _log_failures(handler: RequestHandler) -> None:
    """Says which requests failed, without their query, which may hold the token."""
    if handler.get_status() >= 400:
        line = f"{handler.get_status()} {handler.request.method} {handler.request.path}"
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - the server's log


if __name__ == "__main__":
    # Not as arguments or in the environment, where other processes and the kernels could read the token.
    serve(Path(sys.argv[1]), **json.loads(sys.stdin.readline()))
