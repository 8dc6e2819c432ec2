"""What a process uses, from outside, as Linux tells it: memory, CPU time, open files, children."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_RSS = re.compile(r"VmRSS:\s+(\d+) kB")
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


def resident_mb(pid: int) -> float:
    """Its resident memory; 0.0 where it has ended."""
    found = _RSS.search(_read(pid, "status"))
    return int(found[1]) / 1024 if found else 0.0


def proportional_mb(pid: int) -> float:
    """Its memory with what it shares with others counted in parts; 0.0 where it has ended."""
    found = _PSS.search(_read(pid, "smaps_rollup"))
    return int(found[1]) / 1024 if found else 0.0


def cpu_s(pid: int) -> float:
    """Its CPU time of all threads, without its children's."""
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def open_files(pid: int) -> int:
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return 0


def descendants(pid: int) -> Iterator[int]:
    """Its children and theirs."""
    for thread in _threads(pid):
        for child in _read(pid, f"task/{thread}/children").split():
            yield int(child)
            yield from descendants(int(child))


def command(pid: int) -> str:
    return _read(pid, "cmdline").replace("\0", " ").strip()


def _threads(pid: int) -> list[str]:
    try:
        return [one.name for one in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return []


def _read(pid: int, what: str) -> str:
    try:
        return Path(f"/proc/{pid}/{what}").read_text()
    except OSError:
        return ""
