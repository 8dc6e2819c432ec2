"""The grader for code: unit tests of the answer, in a process of its own under limits.

What the limits hold off are mistakes: endless loops, too much memory, files without end, calls to the network (on
Linux, where the system allows unprivileged namespaces; the detail of a grade says where it did not). What they do not
hold off is an attack: the code runs with your rights and may read your files, and an answer that was written to cheat
can look into the process that tests it, or return objects that are equal to everything. Grade code of a source that
you would not run at all inside a container or a virtual machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import Any

from routebench.types import Case, Grade

TIMEOUT_S = 5.0
MEMORY_MB = 256.0
_START_S = 30.0
"""Longest wait for the process to be ready: a busy machine is not the answer's fault."""
_MOST_TOLD_BYTES = 10_000
# As shells write the signal that ended a process.
_KILLED, _OUT_OF_TIME = 128 + 9, 128 + 24
_FENCE = re.compile(r"```(?:python|py|python3)[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)
_BARE_FENCE = re.compile(r"```[ \t]*\n(.*?)```", re.DOTALL)
_SANDBOX = Path(__file__).with_name("sandbox.py")
# Libraries that start a thread for every core would run into the limits.
_ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def code(case: Case, answer: str) -> Grade:
    """1 when the tests run through after the answer's code, 0 when anything stops them; Python only.

    The answer's code is its first Python block, else its first block, else all of it. The packages of this environment
    can be imported. A process that cannot be started leaves the answer unscored. Options:

    - `tests`: the tests, where they are not the target: Python code with asserts, or a list of such.
    - `entry`: a function of the answer that the tests call `candidate`.
    - `timeout_s` (5), `memory_mb` (256): of answer and tests together.
    """
    options = case.grader.options
    timeout_s = float(options.get("timeout_s", TIMEOUT_S))
    job = {
        "answer": source_of(answer),
        "tests": tests_of(case),
        "entry": options.get("entry"),
        "memory_mb": float(options.get("memory_mb", MEMORY_MB)),
        # Several threads use it up faster than the clock runs; the clock's own limit is ours to keep.
        "cpu_s": int(timeout_s) + 2,
    }
    return run_tests(job, timeout_s)


def source_of(answer: str) -> str:
    """Returns the code in an answer."""
    fenced = _FENCE.search(answer) or _BARE_FENCE.search(answer)
    return fenced[1] if fenced else answer


def tests_of(case: Case) -> str:
    """Returns the tests of a case as one program."""
    tests = case.grader.options.get("tests", case.target)
    return "\n".join(map(str, tests)) if isinstance(tests, (list, tuple)) else str(tests)


def run_tests(job: dict[str, Any], timeout_s: float, *, sandbox: Sequence[str] = ("-I", str(_SANDBOX))) -> Grade:
    """Runs one job of the sandbox and reads what it tells.

    Args:
        job: as `sandbox.main` reads it.
        timeout_s: from when the process is ready.
        sandbox: the interpreter's arguments before those of the job.
    """
    if os.name != "posix":
        return Grade("code", None, "the sandbox needs a POSIX system")
    key = secrets.token_hex(16)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="routebench-", ignore_cleanup_errors=True))
        path = Path(folder, "job.json")
        path.write_text(json.dumps(job), encoding="utf-8")
        key_reader, key_writer = _pipe(stack)
        reader, writer = _pipe(stack)
        key_writer.write(key.encode())
        try:
            process = subprocess.Popen(  # noqa: S603 - to run what was answered is the job
                [sys.executable, *sandbox, str(path), str(key_reader.fileno()), str(writer.fileno())],
                cwd=folder,
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(key_reader.fileno(), writer.fileno()),
                start_new_session=True,
            )
        except OSError as error:
            return Grade("code", None, f"the sandbox could not start: {error.strerror}")
        try:
            # Ours is closed, so that the end of the process is the end of what it tells.
            writer.close()
            lines = _Lines(reader)
            first = lines.read(_START_S)
            last = lines.read(timeout_s) if first is not None else None
            if lines.ended:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(1.0)
        finally:
            # The whole group, whatever was found: what the answer began must not stay behind.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            status = process.wait()
    if first not in ("ready", "ready, with network"):
        why = f"it ended with code {status}" if lines.ended else f"it was not ready after {_START_S:g} s"
        return Grade("code", None, f"the sandbox could not start: {why}")
    note = "" if first == "ready" else "; the network was within its reach"
    if last == f"passed: {key}":
        return Grade("code", 1.0, f"all tests passed{note}")
    return Grade("code", 0.0, f"{_failure(last, lines, status, timeout_s)}{note}")


def _failure(last: str | None, lines: _Lines, status: int, timeout_s: float) -> str:
    if last is not None and last.startswith("failed: "):
        return last.removeprefix("failed: ")
    if last is not None:
        return "the answer wrote where only the tests report"
    if not lines.ended:
        return f"timeout: not done after {timeout_s:g} s"
    if status in (_KILLED, -signal.SIGKILL, _OUT_OF_TIME, -signal.SIGXCPU):
        return "killed: out of CPU time or memory"
    return f"the process ended before the tests did (code {status})"


def _pipe(stack: contextlib.ExitStack) -> tuple[FileIO, FileIO]:
    reader, writer = os.pipe()
    return stack.enter_context(FileIO(reader, "r")), stack.enter_context(FileIO(writer, "w"))


class _Lines:
    """Lines of a pipe that another process writes, each waited for only so long.

    Attributes:
        ended: whether the writer has closed it, or has told too much.
    """

    def __init__(self, reader: FileIO) -> None:
        self.ended = False
        self._reader = reader
        self._rest = b""
        self._n_bytes = 0

    def read(self, timeout_s: float) -> str | None:
        """Returns the next line, None when there is none in time."""
        give_up = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._reader, selectors.EVENT_READ)
            while b"\n" not in self._rest and not self.ended:
                if not selector.select(max(0.0, give_up - time.monotonic())):
                    return None
                part = self._reader.read(_MOST_TOLD_BYTES) or b""
                self._n_bytes += len(part)
                self._rest += part
                self.ended = not part or self._n_bytes > _MOST_TOLD_BYTES
        line, found, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace") if found else None
