"""The program that runs an answer's code and its tests: a process of its own, under limits that it sets itself.

Run as `python -I sandbox.py JOB KEY RESULT`: the file of the job (JSON), and two inherited pipes. It writes `ready` and
what it could not limit, then either the key, when every test ran through, or what went wrong. The key can only be read
after the tests: an answer that ends the process, however it does that, has not written it.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import traceback
from typing import Any

_NEW_USER, _NEW_PROCESSES, _NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
_DIE_WITH_PARENT = 1
_MOST_WRITTEN_BYTES = 16 * 2**20
_MOST_FILES = 64
_MOST_PROCESSES = 32


def main(job_path: str, key_fd: int, result_fd: int) -> None:
    """Runs one job and ends the process."""
    read, write, leave = os.read, os.write, os._exit
    with open(job_path, encoding="utf-8") as file:  # noqa: PTH123 - as little as possible is imported here
        job = json.load(file)
    os.unlink(job_path)  # noqa: PTH108
    alone = _leave_network(result_fd)
    _limit(job, alone=alone)
    write(result_fd, b"ready" if alone else b"ready, with network")
    write(result_fd, b"\n")
    # The answer should not find the numbers of the pipes where programs look first.
    sys.argv = ["answer.py"]
    problem = _problem(job)
    write(result_fd, b"failed: " + problem.encode(errors="replace") if problem else b"passed: " + read(key_fd, 64))
    write(result_fd, b"\n")
    # At once: what the answer has left to be done at exit is not waited for.
    leave(0)


def _leave_network(result_fd: int) -> bool:
    """Moves on into a process without network; False where the system does not allow that."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_USER | _NEW_PROCESSES | _NEW_NETWORK) != 0:
        return False
    child = os.fork()
    if child:
        os.close(result_fd)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        os._exit(code if code >= 0 else 128 - code)
    # The first process of the new space: when it ends, so does every process that the answer began.
    libc.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    return True


def _limit(job: dict[str, Any], *, alone: bool) -> None:
    import resource

    memory = int(job["memory_mb"] * 2**20)
    limits = [
        (resource.RLIMIT_CPU, int(job["cpu_s"])),
        (resource.RLIMIT_FSIZE, _MOST_WRITTEN_BYTES),
        (resource.RLIMIT_NOFILE, _MOST_FILES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, memory),
    ]
    if alone:
        # Elsewhere it counts all processes of the user, not those of this answer.
        limits.append((resource.RLIMIT_NPROC, _MOST_PROCESSES))
    for kind, most in limits:
        hard = resource.getrlimit(kind)[1]
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (value, value))
        except (OSError, ValueError):
            # Not every system limits memory like this.
            if kind != resource.RLIMIT_AS:
                raise


def _problem(job: dict[str, Any]) -> str | None:
    """Runs the answer, then the tests, in one namespace; returns what went wrong."""
    names: dict[str, Any] = {"__name__": "answer"}
    part = "the answer"
    try:
        exec(compile(job["answer"], "answer.py", "exec"), names)  # noqa: S102 - that is the job
        part = "the tests"
        if job["entry"] is not None:
            if job["entry"] not in names:
                return f"the answer defines no {job['entry']!r}"
            names["candidate"] = names[job["entry"]]
        exec(compile(job["tests"], "tests.py", "exec"), names)  # noqa: S102
    except MemoryError:
        return f"out of memory ({job['memory_mb']:g} MB) in {part}"
    except SystemExit:
        return f"the answer ended the program in {part}"
    except BaseException as error:  # noqa: BLE001 - whatever it is, the tests have not passed
        return f"{_named(error)} in {part}{_line(error)}"
    return None


def _named(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an exception of the answer's own making
        text = ""
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


def _line(error: BaseException) -> str:
    ours = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "tests.py"]
    return f", line {ours[0]}" if ours else ""


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
