"""Asks the models of bench.yaml every settled request of the log and writes recorded.jsonl.gz.

`python record.py FOLDER` keeps its store in the folder and goes on there after an interrupt. More is recorded than one
suite holds, so that another `n` or seed in the notebook finds its answers too.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import routebench as rb
from routebench.providers import completion_from_json, write_recording
from routebench.redact import Privacy, load_redactor
from routebench.store import read_completions
from routebench.suites.formats import find_format
from routebench.suites.importers import Tally
from routebench.types import Completion

HERE = Path(__file__).parent


def settled_rows(log: Path) -> Iterator[dict[str, Any]]:
    """Yields a suite row for every answered request with a target, as `from_logs` would ask it."""
    privacy = Privacy("redacted", load_redactor("names.py:without_names", HERE))
    for answer in find_format("jsonl").read([log], Tally(), None):
        if answer.error_kind is None and answer.case.target is not None:
            request = privacy.of_case(answer.case).request
            row = {"messages": [dict(message) for message in request.messages]}
            yield {**row, "tools": [dict(tool) for tool in request.tools]} if request.tools else row


def completions(bench: rb.Bench) -> Iterator[tuple[str, Completion]]:
    """Yields what the store holds of a bench's suite, by request key."""
    for row in read_completions(bench.store, bench.suite.name):
        known = {name: value for name, value in row.items() if value is not None}
        for name in ("started_at", "price_date"):
            if name in known:
                known[name] = known[name].isoformat()
        for name in ("tool_calls", "usage_raw"):
            if name in known:
                known[name] = json.loads(known[name])
        yield row["request_key"], completion_from_json(known)


def main(folder: Path) -> None:
    """Runs what is missing and writes the recording beside this file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("bench.yaml", "names.py", *(path.name for path in HERE.glob("shots-*.jsonl"))):
        shutil.copyfile(HERE / name, folder / name)
    lines = dict.fromkeys(json.dumps(row) for row in settled_rows(HERE / "log.jsonl.gz"))
    (folder / "suite.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    bench = rb.Bench(folder / "bench.yaml")
    print(bench.run().wait())
    write_recording(HERE / "recorded.jsonl.gz", completions(bench))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
