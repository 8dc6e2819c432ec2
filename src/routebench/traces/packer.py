"""The hold that a gateway has on the process that makes Parquet of its journals."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

_LOG = logging.getLogger("routebench.traces")


class Packer:
    """The child process; another one is started where it died.

    Args:
        folder: of traces.
        writer: whose segments it puts together.
        keep_days: as in `TraceWriter`.
    """

    def __init__(self, folder: Path, writer: str, keep_days: float | None) -> None:
        self._command = [sys.executable, "-P", "-m", "routebench.traces.packing", str(folder), "--writer", writer]
        if keep_days is not None:
            self._command += ["--keep-days", str(keep_days)]
        self._child: subprocess.Popen[bytes] | None = None

    def wake(self) -> None:
        """Has it look for journals; what cannot be told now is told with the next journal."""
        try:
            if self._child is None or self._child.poll() is not None:
                self._start()
            elif self._child.stdin is not None:
                os.write(self._child.stdin.fileno(), b"\n")
        except OSError as error:
            _LOG.error("traces: no process makes Parquet of journals (%s); they stay as they are", error)

    def end(self, timeout_s: float) -> bool:
        """Has it make Parquet of what is left, and returns whether it did so in time."""
        child, self._child = self._child, None
        if child is None or child.stdin is None:
            return True
        child.stdin.close()
        try:
            return child.wait(timeout_s) == 0
        except subprocess.TimeoutExpired:
            return False

    def _start(self) -> None:
        if self._child is not None and self._child.stdin is not None:
            _LOG.warning("traces: what makes Parquet has ended with %s; it is started anew", self._child.returncode)
            self._child.stdin.close()
        # A session of its own: what ends the gateway must not end it amid a file; it ends with its standard input.
        self._child = subprocess.Popen(  # noqa: S603 - our own module
            self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, bufsize=0, start_new_session=True
        )
