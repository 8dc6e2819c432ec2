"""A dashboard from outside: its server is a process with a clean environment, and ends with ours."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from routebench.errors import ConfigError, MissingDependencyError
from routebench.serving.access import Access
from routebench.serving.environment import clean_environment
from routebench.serving.page import Page

_STOP_S = 20.0
"""Kernels that are at work get five seconds, and are killed then."""


class Dashboard:
    """A page that is being served.

    Attributes:
        url: where it is, with the token if there is one.
    """

    def __init__(self, process: subprocess.Popen[str], url: str, address: str) -> None:
        self._process = process
        self.url = url
        self.address = address

    def wait(self) -> int:
        """Blocks until the server ends, and returns its exit code."""
        return self._process.wait()


@contextlib.contextmanager
def open_dashboard(
    page: Page,
    access: Access,
    *,
    keys: Collection[str] = (),
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[Dashboard]:
    """Serves a page for the length of a `with` block.

    Args:
        page: what it shows.
        access: where, and to whom.
        keys: environment variables that runs need; passed only where runs are allowed.
        environment: ours, by default.
        folder: where the server keeps its own files; a temporary one, gone afterwards, when left out.

    Raises:
        ConfigError: the port is taken, or the address cannot be listened on.
        MissingDependencyError: Voila is not installed.
    """
    own = Path(tempfile.mkdtemp(prefix="routebench-")) if folder is None else folder
    try:
        page.write(own)
        ours = os.environ if environment is None else environment
        with _start(own, access, keys if access.allows_runs else (), ours) as process:
            try:
                port = _port(process, access)
                host = f"[{access.host}]" if ":" in access.host else access.host
                address = f"http://{host}:{port}/"
                yield Dashboard(process, address + (f"?token={quote(access.token)}" if access.token else ""), address)
            finally:
                _stop(process)
    finally:
        if folder is None:
            shutil.rmtree(own, ignore_errors=True)


def _start(
    folder: Path, access: Access, keys: Collection[str], environment: Mapping[str, str]
) -> subprocess.Popen[str]:
    import importlib.util

    if importlib.util.find_spec("voila") is None:
        raise MissingDependencyError("the dashboard needs Voila: pip install 'routebench[lab,dashboard]'")
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "routebench.serving.server", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=clean_environment(environment, folder, keys),
        # Ctrl-C is ours to handle: kernels are shut down in order.
        start_new_session=True,
    )
    assert process.stdin is not None
    told = {
        "host": access.host,
        "port": access.port,
        "theme": access.theme,
        "token": access.token,
        "local": access.is_local,
        "max_pages": access.max_pages,
    }
    process.stdin.write(json.dumps(told) + "\n")
    process.stdin.flush()
    return process


def _port(process: subprocess.Popen[str], access: Access) -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise ConfigError("the dashboard's server ended before it listened; its own lines above say why")
    told = json.loads(line)
    if "error" in told:
        raise access.refusal(str(told["error"]))
    return int(told["port"])


def _stop(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        # It takes SIGTERM for a wish; kernels end by themselves when it is gone.
        process.kill()
        process.wait()
