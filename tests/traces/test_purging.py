"""Texts taken out of traces, beside a gateway that writes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from routebench.cli import main
from routebench.errors import InputError
from routebench.traces import TraceWriter, read_traces
from routebench.traces.purging import purge_texts
from routebench.traces.row import TEXTS
from routebench.traces.segments import listed
from tests.traces.rows import FULL, START, other_writer, row, until

MIDDLE = datetime.fromtimestamp(START, UTC) + timedelta(seconds=0.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with TraceWriter(tmp_path / "traces", segment_rows=30) as writer:
        for number in range(100):
            writer.put(row(number, **FULL))
    return tmp_path / "traces"


def test_texts_of_the_time_before_are_gone_from_every_file_and_the_rest_is_as_it_was(folder: Path) -> None:
    whole = read_traces(folder)
    told = purge_texts(folder, MIDDLE)
    assert (told.n_rows, told.n_left) == (50, 0)
    after = read_traces(folder)
    for name in TEXTS:
        assert after[name].isna().tolist() == [True] * 50 + [False] * 50
    kept = [name for name in whole.columns if name not in TEXTS]
    pd.testing.assert_frame_equal(after[kept], whole[kept])
    assert purge_texts(folder, MIDDLE).n_rows == 0
    assert purge_texts(folder, MIDDLE + timedelta(days=1)).n_rows == 50
    assert not any(
        b"Two\\u2028lines" in path.read_bytes() or b"He said" in path.read_bytes() for path in folder.iterdir()
    )


def test_what_a_killed_gateway_left_is_purged_too(tmp_path: Path) -> None:
    from routebench.traces.lines import line_of

    (tmp_path / "20261128T120000-0a0a0a0a.000003.ndjson").write_bytes(line_of(row(1, **FULL)) + b"He said\n")
    assert purge_texts(tmp_path, MIDDLE).n_rows == 1
    assert not any(b"He said" in path.read_bytes() for path in tmp_path.iterdir())
    assert len(read_traces(tmp_path)) == 1


def test_rows_that_are_being_written_are_told(tmp_path: Path) -> None:
    with TraceWriter(tmp_path, flush_s=0.02) as writer:
        writer.put(row(1, **FULL))
        until(lambda: writer.n_written == 1)
        told = purge_texts(tmp_path, MIDDLE)
        assert (told.n_rows, told.n_left) == (0, 1)
        assert "1 more are being written just now" in str(told)
    assert purge_texts(tmp_path, MIDDLE).n_rows == 1


def test_what_is_purged_while_files_are_put_together_stays_so(tmp_path: Path) -> None:
    with other_writer(tmp_path, segment_rows=10) as other:
        for _ in range(30):
            other.put(40)
            purge_texts(tmp_path, MIDDLE)
    assert len(read_traces(tmp_path)) == 1200
    assert {one.kind for one in listed(tmp_path)} == {"parquet"}


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    day = ["--before", "2026-01-01"]
    assert main(["purge", "--traces", str(folder), *day, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"n_rows": 100, "n_left": 0}
    assert main(["purge", "--traces", str(folder), *day]) == 0
    assert "texts of 0 traces are gone; decisions, costs and times are kept" in capsys.readouterr().out
    for wrong in (["--traces", str(folder)], [*day], ["--traces", str(folder), "--case", "a", *day]):
        assert main(["purge", *wrong]) == 2
        assert "purge" in capsys.readouterr().err


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be purged .No such file or directory"):
        purge_texts(tmp_path / "nothing", MIDDLE)


def test_files_that_a_killed_process_left_half_made_go(folder: Path) -> None:
    whole = next(folder.glob("*.parquet"))
    half = folder / f".{whole.name}.part"
    half.write_bytes(whole.read_bytes()[:500])
    purge_texts(folder, MIDDLE)
    assert not half.exists()
