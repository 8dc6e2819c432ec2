"""What every command says and returns: exit codes, JSON, the console."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

DONE, SHORT, BAD = 0, 1, 2
_LOG_COLUMNS = 140

Command = Callable[[argparse.Namespace], int]
Add = Callable[[str, Command, str], argparse.ArgumentParser]
"""Adds a command by its name, what it calls, and its help."""


def print_json(document: Any) -> None:
    """Prints one JSON document; undefined numbers are null in it, never NaN."""
    print(json.dumps(document, ensure_ascii=False, allow_nan=False, default=str))


def open_console(*, stderr: bool = False) -> Any:
    """Returns where tables and progress go: the terminal, or a log without folded lines."""
    from rich.console import Console

    console = Console(stderr=stderr)
    # A log file has no width: tables need not be folded there.
    return console if console.is_terminal else Console(stderr=stderr, width=max(console.width, _LOG_COLUMNS))
