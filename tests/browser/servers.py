"""JupyterLab as `make lab` starts it, for the length of a block, with settings and files of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOKEN = "only-for-this-test"
_PATIENCE_S = 60.0
# News and updates are asked of other machines; cells that are out of sight would not be drawn.
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}


# As in the Makefile: JupyterLab asks for news, for updates of itself and for a list of extensions.
OFFLINE = (
    "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
    "--LabApp.news_url=None",
    "--LabApp.extension_manager=readonly",
)


@dataclass(frozen=True)
class Lab:
    """A JupyterLab that runs.

    Attributes:
        folder: what it serves.
        address: of the server.
    """

    folder: Path
    address: str

    def notebook(self, name: str, cells: Sequence[str]) -> str:
        """Writes a notebook and returns the address that opens it."""
        (self.folder / name).write_text(json.dumps(notebook(cells)), encoding="utf-8")
        return self.of(name)

    def of(self, name: str) -> str:
        """The address of a notebook of its folder."""
        return f"{self.address}lab/tree/{name}?token={TOKEN}&reset"


def notebook(cells: Sequence[str]) -> dict[str, Any]:
    """A notebook of code cells."""
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "cells": [
            {"cell_type": "code", "id": f"c{n}", "metadata": {}, "execution_count": None, "outputs": [], "source": cell}
            for n, cell in enumerate(cells)
        ],
    }


@contextlib.contextmanager
def open_lab(folder: Path) -> Iterator[Lab]:
    """Starts JupyterLab on a free port of this machine."""
    own, served = folder / "own", folder / "notebooks"
    served.mkdir()
    for name, values in SETTINGS.items():
        path = own / "settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(own / "config"),
        "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
        "JUPYTER_PLATFORM_DIRS": "1",
        "IPYTHONDIR": str(own / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(own / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(own / "workspaces"),
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "passive",
    }
    options = [
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port=0",
        f"--IdentityProvider.token={TOKEN}",
        f"--ServerApp.root_dir={served}",
        "--ServerApp.terminals_enabled=False",
        *OFFLINE,
    ]
    log = folder / "lab.log"
    with (
        log.open("w") as out,
        subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            env=environment,
            cwd=served,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        ) as process,
    ):
        try:
            yield Lab(served, _address(process, own / "runtime", log))
        finally:
            process.terminate()


def _address(process: subprocess.Popen[bytes], runtime: Path, log: Path) -> str:
    give_up = time.monotonic() + _PATIENCE_S
    while time.monotonic() < give_up and process.poll() is None:
        for path in runtime.glob("jpserver-*.json"):
            with contextlib.suppress(json.JSONDecodeError):
                return str(json.loads(path.read_text())["url"])
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    raise AssertionError(log.read_text()[-3000:])
