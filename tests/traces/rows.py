"""Traces to write and read, and a writer in a process of its own that may be killed."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from routebench.traces import Attempt, Trace

START = 1764000000.0
FULL: dict[str, Any] = {
    "client": "web",
    "conversation": "c" * 16,
    "asked": "small",
    "rule": "tables",
    "chain": ("large", "small"),
    "wanted": "small",
    "eligible": ("small", "large"),
    "explored": True,
    "propensity": 0.02,
    "model": "large",
    "deployment": "large@eu",
    "served_model": "big-2026",
    "finish_reason": "stop",
    "error_kind": "rate_limited",
    "error": "the provider is busy",
    "attempts": (
        Attempt("small", "small@eu", "failed", "rate_limited", 0.25),
        Attempt("large", "large@eu", "accepted", None, 0.5, 0.125, 100, 20, 0.0001),
    ),
    "cascade": "check",
    "escalated": False,
    "cascade_wait_s": 0.25,
    "cascade_extra_usd": 0.0002,
    "input_tokens": 100,
    "cached_input_tokens": 64,
    "output_tokens": 20,
    "reasoning_tokens": 5,
    "cost_usd": 0.0003,
    "ttft_s": 0.5,
    "decision_s": 0.0001,
    "features": {"input_tokens": 30, "language": "en", "has_code": False},
    "features_sha256": "ab" * 32,
    "shadow_rules": "next",
    "shadow_rule": "default",
    "shadow_chain": ("small",),
    "tags": ("beta", "eu"),
    "messages": ({"role": "user", "content": "Two\u2028lines, \U0001f600?"},),
    "answer": 'He said "no".\n',
    "tool_calls": ({"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"city": "Oslo"}'}},),
    "request": {"tools": [{"type": "function", "function": {"name": "look"}}], "params": {"temperature": 0}},
}
"""Everything that a row may tell."""


def row(number: int = 0, **changes: Any) -> Trace:
    """A row that tells only what every row does, one every 10 ms."""
    told = {
        "trace_id": f"t{number:06}",
        "at": START + number / 100,
        "gateway": "g-1",
        "rules": "support",
        "policy": "abcdef012345",
        "status": 200,
        "outcome": "ok",
        "streamed": False,
        "latency_s": 0.5,
    }
    return Trace(**{**told, **changes})


def until(holds: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    turn = threading.Event()
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        turn.wait(0.01)


_OTHER = """
import sys
from pathlib import Path
from tests.traces.rows import row
from routebench.traces import TraceWriter

with TraceWriter(Path(sys.argv[1]), segment_rows=int(sys.argv[2]), flush_s=0.02) as writer:
    print(writer.name, flush=True)
    number = int(sys.argv[3])
    for line in sys.stdin:
        for _ in range(int(line)):
            writer.put(row(number))
            number += 1
        print(writer.n_written, flush=True)
"""


class OtherWriter:
    """Drives a writer in another process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.name = self._told()

    def put(self, count: int) -> int:
        """Has it put rows, and returns how many it says are on disk."""
        assert self._process.stdin is not None
        print(count, file=self._process.stdin, flush=True)
        return int(self._told())

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _told(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def other_writer(folder: Path, *, segment_rows: int = 300, first: int = 0) -> Iterator[OtherWriter]:
    command = [sys.executable, "-c", _OTHER, str(folder), str(segment_rows), str(first)]
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root)
    try:
        yield OtherWriter(process)
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.wait(60)
        process.stdout.close()
