"""A gateway that is killed at any instant: what it said was written is there, once."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from routebench.traces import TraceWriter, read_traces
from routebench.traces.segments import listed
from tests.traces.rows import other_writer, row, until


@pytest.mark.parametrize("seed", range(6))
def test_rows_that_were_written_are_there_once(tmp_path: Path, seed: int) -> None:
    draws = random.Random(seed)
    told = 0
    with other_writer(tmp_path, segment_rows=draws.choice([20, 200, 100_000])) as other:
        for _ in range(draws.randrange(1, 30)):
            told = other.put(draws.randrange(1, 150))
        other.kill()
    # At once, while its child still makes Parquet of what it left.
    found = read_traces(tmp_path, columns=["trace_id"])["trace_id"].tolist()
    assert len(found) >= told
    assert found == [f"t{number:06}" for number in range(len(found))], "in their order: no row before the last is lost"
    until(lambda: all(one.kind == "parquet" for one in listed(tmp_path)))
    assert read_traces(tmp_path, columns=["trace_id"])["trace_id"].tolist() == found


def test_what_a_killed_gateway_left_is_packed_by_the_next(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from routebench.traces.lines import line_of

    left = tmp_path / "20261128T120000-0a0a0a0a.000003.ndjson"
    left.write_bytes(line_of(row(1)) + line_of(row(2)) + line_of(row(3))[:77])
    with TraceWriter(tmp_path) as writer:
        until(lambda: not left.exists())
        writer.put(row(4))
    assert read_traces(tmp_path)["trace_id"].tolist() == ["t000001", "t000002", "t000004"]
    assert left.with_suffix(".parquet").exists()
    assert "its last line was cut short and is left out" in capfd.readouterr().err


def test_nobody_packs_what_another_gateway_still_writes(tmp_path: Path) -> None:
    with other_writer(tmp_path, segment_rows=100_000) as other:
        other.put(10)
        until(lambda: other.put(0) == 10)
        with TraceWriter(tmp_path) as writer:
            writer.put(row(500))
        (journal,) = (one for one in listed(tmp_path) if one.kind == "ndjson")
        assert journal.writer == other.name
        other.put(10)
    assert len(read_traces(tmp_path)) == 21


def test_files_that_others_stand_for_go(tmp_path: Path) -> None:
    """As left by a packer that was killed after it had made a file, and before it removed what that was made of."""
    from routebench.traces.packing import Packing
    from routebench.traces.parquet import write_parquet
    from routebench.traces.segments import Segment
    from routebench.traces.tables import table_of

    name = "20261128T120000-0a0a0a0a"
    rows = [row(number) for number in range(4)]
    write_parquet(tmp_path / Segment(name, 1, 2).name, [table_of(rows)])
    write_parquet(tmp_path / Segment(name, 1, 1).name, [table_of(rows[:2])])
    (tmp_path / Segment(name, 2, 2, "ndjson").name).write_bytes(b"")
    assert len(read_traces(tmp_path)) == 4
    Packing(tmp_path, "another").pack_all()
    assert listed(tmp_path) == [Segment(name, 1, 2)]


def test_old_segments_are_deleted_only_where_that_is_asked_for(tmp_path: Path) -> None:
    from datetime import UTC, datetime, timedelta

    from routebench.traces.packing import Packing
    from routebench.traces.parquet import write_parquet
    from routebench.traces.segments import Segment
    from routebench.traces.tables import table_of
    from tests.traces.rows import START

    name = "20261128T120000-0a0a0a0a"
    old, new = Segment(name, 1, 1), Segment(name, 2, 2)
    write_parquet(tmp_path / old.name, [table_of([row(1)])])
    write_parquet(tmp_path / new.name, [table_of([row(2), row(3, at=START + 86400)])])
    now = datetime.fromtimestamp(START, UTC) + timedelta(days=7.5)
    Packing(tmp_path, "another").tidy(now)
    assert listed(tmp_path) == [old, new]
    Packing(tmp_path, "another", keep_days=7).tidy(now)
    assert listed(tmp_path) == [new]
