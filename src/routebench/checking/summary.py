"""The result of a check as Markdown, for the page of a job."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from routebench.checking.check import Checked
from routebench.errors import InputError

_SIGNS = {True: "✅", False: "❌", None: "➖"}
_SHOWN_GOLDEN = 10
_MARKED = re.compile(r"([\\`*_{}\[\]<>|#~&@!])")


def append_summary(path: Path, checked: Checked) -> None:
    """Appends what was found: what fails first, then every gate.

    Raises:
        InputError: the file cannot be written.
    """
    failed = sorted(checked.failed, key=lambda gate: gate.name == "golden")
    golden = checked.golden.failed
    lines = [f"## routebench check: {_plain(checked.file)}", ""]
    if checked.ok:
        lines += ["No gate fails.", ""]
    else:
        lines += [f"**{len(failed)} of {len(checked.gates)} gates fail.**", ""]
        lines += [f"- {_SIGNS[False]} {_plain(gate.reading)}" for gate in failed]
        lines += [f"    - {_plain(str(one))}" for one in golden[:_SHOWN_GOLDEN]]
        if len(golden) > _SHOWN_GOLDEN:
            lines.append(f"    - … and {len(golden) - _SHOWN_GOLDEN} more")
        lines.append("")
    lines += ["| | gate | reading |", "|---|---|---|"]
    lines += [f"| {_SIGNS[gate.ok]} | {_plain(gate.name)} | {_plain(gate.reading)} |" for gate in checked.gates]
    _append(path, lines)


def append_summary_error(path: Path, rules: str | Path, message: str) -> None:
    """Appends why a check could not be made.

    Raises:
        InputError: the file cannot be written.
    """
    told = [f"- {_SIGNS[False]} {_plain(line)}" for line in message.split("\n")]
    _append(path, [f"## routebench check: {_plain(str(rules))}", "", "**It could not be measured.**", "", *told])


def _append(path: Path, lines: Iterable[str]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write("\n".join(lines) + "\n\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another path with --summary") from None


def _plain(text: str) -> str:
    """A text that stays in its line and its table cell, and in which nothing is Markdown, HTML or a mention."""
    shown = "".join(sign if sign.isprintable() else "\ufffd" for sign in " ".join(text.split()))
    return _MARKED.sub(r"\\\1", shown)
