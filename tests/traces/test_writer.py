"""Rows put away beside an event loop, whatever the disk does."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from routebench.errors import RoutebenchError
from routebench.traces import Trace, TraceWriter, frame_of, read_traces
from routebench.traces.row import TEXTS
from routebench.traces.segments import listed
from tests.traces.rows import FULL, other_writer, row, until


def kinds(folder: Path) -> set[str]:
    return {one.kind for one in listed(folder)}


def ids(folder: Path) -> list[str]:
    return read_traces(folder, columns=["trace_id"])["trace_id"].tolist()


def names(count: int, first: int = 0) -> list[str]:
    return [f"t{number:06}" for number in range(first, first + count)]


def test_every_row_is_parquet_when_it_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "traces"
    writer = TraceWriter(folder, segment_rows=400)
    writer.start()
    rows = [row(number, **(FULL if number % 3 else {})) for number in range(1000)]
    for one in rows:
        writer.put(one)
    writer.close()
    assert (writer.n_written, writer.n_waiting, writer.n_lost) == (1000, 0, 0)
    assert kinds(folder) == {"parquet"}
    assert len(listed(folder)) == 1, "the segments of a writer that has ended are one"
    assert read_traces(folder).equals(frame_of(rows))
    writer.close()
    writer.put(row(1))
    assert (writer.n_written, writer.n_lost) == (1000, 1)


def test_rows_are_read_while_they_are_written(tmp_path: Path) -> None:
    with TraceWriter(tmp_path, segment_rows=50, flush_s=0.02) as writer:
        for number in range(1000):
            writer.put(row(number))
            if number % 100 == 99:
                written = writer.n_written
                found = ids(tmp_path)
                assert len(found) >= written
                assert found == names(len(found)), "each once, none left out"
        until(lambda: writer.n_written == 1000)
        until(lambda: "parquet" in kinds(tmp_path))
        assert ids(tmp_path) == names(1000)


def test_a_journal_becomes_parquet_when_its_time_is_over(tmp_path: Path) -> None:
    with TraceWriter(tmp_path, segment_s=0.05, flush_s=0.02) as writer:
        writer.put(row(1))
        until(lambda: kinds(tmp_path) == {"parquet"})
        writer.put(row(2))
        until(lambda: writer.n_written == 2)
    assert ids(tmp_path) == names(2, first=1)


def test_two_writers_share_a_folder(tmp_path: Path) -> None:
    with (
        other_writer(tmp_path) as other,
        TraceWriter(tmp_path, segment_rows=300, flush_s=0.02) as writer,
    ):
        for turn in range(5):
            other.put(200)
            for number in range(200):
                writer.put(row(100_000 + turn * 200 + number))
        assert writer.name != other.name
        until(lambda: len(ids(tmp_path)) == 2000)
    assert ids(tmp_path) == names(1000) + names(1000, first=100_000)
    assert kinds(tmp_path) == {"parquet"}
    assert {one.writer for one in listed(tmp_path)} == {writer.name, other.name}


def test_a_folder_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RoutebenchError, match=r"traces .*file.*: cannot be written .*; give another folder"):
            TraceWriter(folder).start()


def test_before_its_start_nothing_is_taken(tmp_path: Path) -> None:
    writer = TraceWriter(tmp_path)
    writer.put(row(1))
    writer.close()
    assert (writer.n_waiting, writer.n_lost) == (0, 1)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_a_writer_that_wrote_nothing(tmp_path: Path) -> None:
    with TraceWriter(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_while_the_disk_refuses_rows_wait_and_those_beyond_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "traces"
    with TraceWriter(folder, flush_s=0.02, max_waiting=50) as writer:
        writer.put(row(0))
        until(lambda: writer.n_written == 1)
        shutil.rmtree(folder)
        folder.touch()
        writer.put(row(1))
        # What was in the folder has gone with it.
        until(lambda: writer.n_lost == 1 and "cannot be written" in caplog.text)
        for number in range(2, 200):
            writer.put(row(number))
        assert writer.n_lost > 1
        assert writer.n_waiting <= 52
        folder.unlink()
        until(lambda: writer.n_waiting == 0)
    found = ids(folder)
    assert found == names(len(found), first=1)
    assert writer.n_written == len(found)
    assert writer.n_written + writer.n_lost == 200
    told = [record.message for record in caplog.records if record.name == "routebench.traces"]
    assert sum("somebody removed it, and 1 rows with it" in line for line in told) == 1
    assert sum("cannot be written" in line for line in told) == 1, "once, not with every row"
    assert sum("can be written again" in line for line in told) == 1


_FULL_DISK = """
import logging, resource, signal, sys
from pathlib import Path
from tests.traces.rows import row, until
from routebench.traces import TraceWriter

logging.basicConfig()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
with TraceWriter(Path(sys.argv[1]), flush_s=0.02) as writer:
    for number in range(10):
        writer.put(row(number))
    until(lambda: writer.n_written == 10)
    for number in range(10, 40):
        writer.put(row(number))
    until(lambda: writer._is_failing)
    assert writer.n_written + writer.n_waiting == 40, (writer.n_written, writer.n_waiting)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    until(lambda: writer.n_written == 40)
print(writer.n_lost)
"""


def test_lines_that_only_a_part_of_was_taken_are_written_again_whole(tmp_path: Path) -> None:
    import subprocess
    import sys

    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(tmp_path)], cwd=root, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
    assert ids(tmp_path) == names(40)
    assert "cannot be written (File too large)" in done.stderr
    assert "cut short" not in done.stderr


def test_a_row_that_is_none_is_told_and_the_others_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with TraceWriter(tmp_path) as writer:
        writer.put(row(1, features={"a": object()}))
        writer.put(row(2, at=float("inf")))
        writer.put(row(3))
    assert ids(tmp_path) == names(1, first=3)
    assert writer.n_lost == 2
    assert "row t000001 cannot be written: object is no value of JSON" in caplog.text


def test_what_prepares_rows_is_called_in_the_background(tmp_path: Path) -> None:
    import threading

    threads = set()

    def prepare(trace: Trace) -> Trace:
        from dataclasses import replace

        threads.add(threading.current_thread().name)
        return replace(trace, answer="[email]")

    with TraceWriter(tmp_path, prepare=prepare) as writer:
        writer.put(row(1, answer="me@example.org"))
    assert read_traces(tmp_path).loc[0, "answer"] == "[email]"
    assert threads == {"routebench-traces"}


def test_where_texts_cannot_be_prepared_none_is_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def prepare(trace: Trace) -> Trace:
        raise ZeroDivisionError(f"no way to mask {trace.answer}")

    with TraceWriter(tmp_path, prepare=prepare) as writer:
        writer.put(row(1, **FULL))
    (told,) = read_traces(tmp_path).to_dict("records")
    assert told["model"] == "large"
    assert {name for name in (*TEXTS, "error") if isinstance(told[name], str)} == set()
    assert writer.n_written == 1
    assert "row t000001 is kept without its texts: ZeroDivisionError" in caplog.text
    assert "He said" not in caplog.text, "what an error of theirs says may quote the text"


def children() -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(folder.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            command = folder.joinpath("cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == os.getpid() and b"routebench.traces.packing" in command:
            found.append(int(folder.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
def test_what_makes_parquet_is_started_anew_where_it_died(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with TraceWriter(tmp_path, segment_rows=10, flush_s=0.02) as writer:
        for turn in range(2):
            for number in range(10):
                writer.put(row(turn * 10 + number))
            wanted = 10 + turn * 10
            until(lambda wanted=wanted: kinds(tmp_path) == {"parquet"} and len(ids(tmp_path)) == wanted)
            (child,) = children()
            if not turn:
                os.kill(child, signal.SIGKILL)
                until(lambda child=child: Path(f"/proc/{child}/stat").read_text().split()[2] == "Z")
    assert children() == []
    assert ids(tmp_path) == names(20)
    assert "has ended with -9; it is started anew" in caplog.text


def test_a_journal_that_another_program_spoilt_keeps_its_rows(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with TraceWriter(tmp_path, flush_s=0.02) as writer:
        writer.put(row(1))
        until(lambda: writer.n_written == 1)
        (journal,) = tmp_path.iterdir()
        with journal.open("ab") as file:
            file.write(b"not a row\n")
        writer.put(row(2))
    assert ids(tmp_path) == names(2, first=1)
    assert journal.with_suffix(".unread").read_bytes() == b"not a row"
    assert "1 of its lines are no rows; they are kept in" in capfd.readouterr().err


def test_the_gateways_process_never_loads_what_reads_parquet(tmp_path: Path) -> None:
    import json
    import subprocess
    import sys

    code = (
        "import sys, json; from pathlib import Path; from tests.traces.rows import row, FULL\n"
        "from routebench.traces.writer import TraceWriter\n"
        "with TraceWriter(Path(sys.argv[1])) as writer: writer.put(row(1, **FULL))\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=root, capture_output=True, text=True, check=True
    )
    loaded: set[Any] = set(json.loads(done.stdout))
    assert not loaded & {"pyarrow", "pandas", "numpy", "opentelemetry"}
    assert ids(tmp_path) == names(1, first=1)


def test_a_hundred_thousand_rows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with TraceWriter(tmp_path, max_waiting=100_000) as writer:
        for number in range(100_000):
            writer.put(row(number, chain=("a", "b"), cost_usd=0.1))
        until(lambda: writer.n_waiting == 0)
    assert writer.n_lost == 0
    frame = read_traces(tmp_path, columns=["trace_id", "cost_usd", "first"])
    assert frame["trace_id"].tolist() == names(100_000)
    assert frame["cost_usd"].sum() == pytest.approx(10_000)
    assert len(listed(tmp_path)) == 1
    assert caplog.records == []


class Asked(Mapping[str, Any]):
    """Features that are worked out late, and hold the request until then."""

    def __getitem__(self, name: str) -> Any:
        return {"turns": 1}[name]

    def __iter__(self) -> Iterator[str]:
        return iter(["turns"])

    def __len__(self) -> int:
        return 1


def test_rows_that_wait_for_the_disk_hold_no_request(tmp_path: Path) -> None:
    folder = tmp_path / "traces"
    with TraceWriter(folder, flush_s=0.02) as writer:
        writer.put(row(0))
        until(lambda: writer.n_written == 1)
        shutil.rmtree(folder)
        folder.touch()
        asked = Asked()
        held = weakref.ref(asked)
        # What holds an error is made a line on the thread.
        writer.put(row(1, features=asked, error="busy"))
        writer.put(row(2))
        del asked
        until(lambda: held() is None)
        assert writer.n_waiting == 2
        folder.unlink()
    assert ids(folder) == names(2, first=1)
    assert writer.n_lost == 1, "what was in the folder"


def test_no_more_waits_for_the_disk_than_there_is_room_for(tmp_path: Path) -> None:
    folder = tmp_path / "traces"
    long = "x" * (8 << 20)
    with TraceWriter(folder, flush_s=0.02) as writer:
        folder.rmdir()
        folder.touch()

        def overflows() -> bool:
            writer.put(row(1, answer=long))
            return writer.n_lost > 0

        until(overflows)
        assert writer.n_waiting < 100
        folder.unlink()
        until(lambda: writer.n_waiting == 0)
    assert len(ids(folder)) == writer.n_written > 5


@pytest.mark.parametrize("name", [*TEXTS, "error"])
def test_no_text_passes_by_what_takes_personal_data_out(tmp_path: Path, name: str) -> None:
    from dataclasses import replace

    with TraceWriter(tmp_path, prepare=lambda trace: replace(trace, **{name: None})) as writer:
        writer.put(row(1, **{name: FULL[name]}))
    assert read_traces(tmp_path)[name].isna().all()
