"""Lets the judge of bench.yaml grade the starter suite's recorded answers, and writes both into recorded.jsonl.gz.

`python record.py FOLDER` keeps its store in the folder and goes on there after an interrupt.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import routebench as rb
from routebench.demonstration import lay_out, recording
from routebench.providers import completion_from_json, write_recording
from routebench.types import Completion

HERE = Path(__file__).parent
RUBRIC = "The answer says what the reference answer says."


def judged_rows(starter: Path) -> Iterator[dict[str, Any]]:
    """Yields the starter suite's cases with a judge in place of their grader, where the target is an answer."""
    for line in starter.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["grader"] != "regex":
            yield {**row, "grader": {"name": "judge", "rubric": RUBRIC, "self": "allow"}}


def completions(bench: rb.Bench) -> Iterator[tuple[str, Completion]]:
    """Yields every answer and every verdict of a bench's store, by request key."""
    frame = bench.sql("SELECT * FROM completions ORDER BY request_key")
    for row in json.loads(frame.to_json(orient="records", date_format="iso")):
        known = {name: value for name, value in row.items() if value is not None}
        for name in ("tool_calls", "usage_raw"):
            if name in known:
                known[name] = json.loads(known[name])
        if "price_date" in known:
            known["price_date"] = known["price_date"][:10]
        yield row["request_key"], completion_from_json(known)


def main(folder: Path) -> None:
    """Runs what is missing and writes the recording beside this file."""
    lay_out(folder)
    for name in ("bench.yaml", "judge-shots.jsonl"):
        shutil.copyfile(HERE / name, folder / name)
    rows = judged_rows(folder / "starter.jsonl")
    (folder / "judged.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    print(rb.Bench(folder / "bench.yaml", recorded=recording()).run().wait())
    bench = rb.Bench(folder / "bench.yaml")
    run = bench.judge()
    if run is not None:
        print(run.wait())
    write_recording(HERE / "recorded.jsonl.gz", completions(bench))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
