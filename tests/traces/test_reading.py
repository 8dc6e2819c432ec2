"""Frames of traces: their types, their windows, and what stands beside."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from routebench.errors import InputError
from routebench.traces import TraceFolder, features_of, frame_of, read_attempts, read_traces
from routebench.traces.lines import line_of
from routebench.traces.parquet import write_parquet
from routebench.traces.reading import each_table
from routebench.traces.segments import Segment
from routebench.traces.tables import schema, table_of
from tests.traces.rows import FULL, START, row

WRITER = "20261128T120000-0a0a0a0a"
BEGAN = datetime.fromtimestamp(START, UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten rows: 0 to 3 in one segment, 4 to 7 in another, 8 and 9 in a journal."""
    write_parquet(
        tmp_path / Segment(WRITER, 1, 2).name, [table_of([row(1), row(0, **FULL)]), table_of([row(2), row(3)])]
    )
    write_parquet(tmp_path / Segment(WRITER, 3, 3).name, [table_of([row(number) for number in (4, 5, 6, 7)])])
    (tmp_path / Segment(WRITER, 4, 4, "ndjson").name).write_bytes(line_of(row(9)) + line_of(row(8)) + b'{"trace_id"')
    return tmp_path


def numbers(frame: pd.DataFrame) -> list[int]:
    return [int(name[1:]) for name in frame["trace_id"]]


def test_rows_come_in_the_order_of_their_time_wherever_they_are(folder: Path) -> None:
    frame = read_traces(folder)
    assert numbers(frame) == list(range(10))
    assert frame.index.tolist() == list(range(10))
    assert frame.equals(frame_of([row(0, **FULL), *(row(number) for number in range(1, 10))]))


def test_types_are_those_of_the_column_not_of_the_day(folder: Path) -> None:
    frame = read_traces(folder)
    alone = frame_of([row(0, **FULL)])
    none = frame_of([])
    assert str(frame["at"].dtype) == "datetime64[us, UTC]"
    assert frame["input_tokens"].dtype == alone["input_tokens"].dtype == float
    assert frame["status"].dtype == int
    assert alone.dtypes.equals(frame.dtypes)
    assert none.dtypes.equals(frame.dtypes)


def test_unknown_is_no_number(folder: Path) -> None:
    known, unknown = read_traces(folder).iloc[0], read_traces(folder).iloc[1]
    assert known["cost_usd"] == 0.0003
    assert np.isnan(unknown["cost_usd"])
    assert (known["escalated"], unknown["escalated"]) == (False, None)
    assert known["chain"] == ("large", "small")
    assert (unknown["chain"], unknown["shadow_chain"], unknown["attempts"]) == ((), None, ())
    assert known["attempts"][0]["error_kind"] == "rate_limited"
    assert known["attempts"][0]["cost_usd"] is None


def test_the_first_model_and_shifts_by_health_are_worked_out(folder: Path) -> None:
    frame = read_traces(folder, columns=["shifted", "first", "trace_id"])
    assert list(frame.columns) == ["shifted", "first", "trace_id"]
    assert frame.loc[0].tolist() == [False, "large", "t000000"], "exploration drew it"
    assert not frame.loc[1, "shifted"]
    assert pd.isna(frame.loc[1, "first"])
    assert frame_of([row(chain=("b", "a"), wanted="a")]).loc[0, "shifted"]
    assert not frame_of([row(chain=("a", "b"), wanted="a")]).loc[0, "shifted"]
    assert not frame_of([row(chain=("a", "b"))]).loc[0, "shifted"], "nothing was wanted"


def test_a_window_takes_its_first_moment_and_not_its_last(folder: Path) -> None:
    def at(number: int) -> datetime:
        return BEGAN + timedelta(seconds=number / 100)

    assert numbers(read_traces(folder, since=at(2), until=at(9))) == [2, 3, 4, 5, 6, 7, 8]
    assert numbers(read_traces(folder, since=at(9))) == [9]
    assert numbers(read_traces(folder, until=at(1).replace(tzinfo=None))) == [0], "without a zone it is UTC"
    assert numbers(read_traces(folder, since=at(100))) == []
    assert numbers(read_traces(folder, since=at(2), columns=["trace_id"])) == list(range(2, 10))


def test_a_segment_outside_the_window_is_not_read(folder: Path) -> None:
    early = folder / Segment(WRITER, 1, 2).name
    follows = TraceFolder(folder)
    later = BEGAN + timedelta(seconds=0.04)
    assert numbers(follows.read(since=later)) == [4, 5, 6, 7, 8, 9]
    early.write_bytes(b"spoilt")
    assert numbers(follows.read(since=later)) == [4, 5, 6, 7, 8, 9]


def test_a_folder_that_is_followed_reads_only_what_is_new(folder: Path) -> None:
    follows = TraceFolder(folder)
    assert numbers(follows.read()) == list(range(10))
    for number in ((1, 2), (3, 3)):
        # What was read of a segment is kept; it never changes.
        (folder / Segment(WRITER, *number).name).write_bytes(b"spoilt")
    journal = folder / Segment(WRITER, 4, 4, "ndjson").name
    journal.write_bytes(line_of(row(8)) + line_of(row(9)) + line_of(row(10)))
    assert numbers(follows.read()) == list(range(11))
    write_parquet(folder / Segment(WRITER, 1, 4).name, [table_of([row(number) for number in range(11)])])
    assert numbers(follows.read()) == list(range(11))
    assert len(follows.read_attempts()) == 0


def test_attempts_are_rows_of_their_own(folder: Path) -> None:
    calls = read_attempts(folder)
    assert calls[["trace_id", "place", "model", "verdict"]].to_numpy().tolist() == [
        ["t000000", 0, "small", "failed"],
        ["t000000", 1, "large", "accepted"],
    ]
    assert calls["at"].tolist() == [pd.Timestamp(BEGAN)] * 2
    assert calls["cost_usd"].isna().tolist() == [True, False]
    assert list(read_attempts(folder, since=BEGAN + timedelta(seconds=1)).columns) == list(calls.columns)


def test_features_are_columns_of_their_own() -> None:
    frame = frame_of(
        [row(1, features={"words": 3, "language": "en"}), row(2), row(3, features={"words": 4, "has_code": True})]
    ).set_index("trace_id")
    found = features_of(frame)
    assert found.index.equals(frame.index)
    assert found["words"].tolist()[::2] == [3, 4]
    assert np.isnan(found["words"].iloc[1])
    assert found["has_code"].iloc[2] is True
    assert features_of(frame_of([row(1)])).shape == (1, 0)
    with pytest.raises(InputError, match="no column 'features'"):
        features_of(frame.drop(columns="features"))


def test_files_are_read_too(folder: Path) -> None:
    segments = sorted(folder.iterdir())
    assert numbers(read_traces(segments)) == list(range(10))
    assert numbers(read_traces(str(segments[1]))) == [4, 5, 6, 7]
    assert numbers(read_traces([folder, segments[1]])) == [0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9]


def test_no_traces_yet_is_a_frame_without_rows(tmp_path: Path) -> None:
    frame = read_traces(tmp_path)
    assert len(frame) == 0
    assert list(frame.columns) == list(frame_of([row()]).columns)
    assert len(read_attempts(tmp_path)) == 0


def test_what_cannot_be_read_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match="nothing: no such file or folder"):
        read_traces(folder / "nothing")
    with pytest.raises(InputError, match=r"nothing: cannot be read .No such file"):
        TraceFolder(folder / "nothing").read()
    with pytest.raises(InputError, match=r"gone\.parquet: no such file"):
        read_traces(folder / "gone.parquet")
    (folder / "log.csv").touch()
    with pytest.raises(InputError, match=r"log\.csv: expected a folder"):
        read_traces(folder / "log.csv")
    with pytest.raises(InputError, match=r"no column 'modle' .did you mean 'model'"):
        read_traces(folder, columns=["modle"])
    spoilt = folder / Segment(WRITER, 3, 3).name
    spoilt.write_bytes(b"PAR1 no more")
    with pytest.raises(InputError, match=rf"{spoilt.name}: not Parquet, or damaged"):
        read_traces(folder)


def test_a_segment_of_an_older_version_lacks_columns(tmp_path: Path) -> None:
    from pyarrow import parquet

    older = table_of([row(1, **FULL)]).drop_columns(["shadow_chain", "answer"])
    parquet.write_table(older, tmp_path / Segment(WRITER, 1, 1).name)
    told = read_traces(tmp_path).iloc[0]
    assert told["shadow_chain"] is None
    assert pd.isna(told["answer"])
    assert told["model"] == "large"


def test_parquet_of_something_else_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"trace_id": ["a"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="holds no traces"):
        read_traces(tmp_path / "other.parquet")


def test_calls_of_other_versions_are_told_as_this_one_tells_them(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    from routebench.traces.packing import Packing

    def written(number: int, calls: pa.ListType, **told: Any) -> None:
        rows = [{**one, "attempts": told["attempts"]} for one in table_of([row(number)]).to_pylist()]
        fields = [pa.field(one.name, calls if one.name == "attempts" else one.type) for one in schema()]
        later = pa.table({"later": [1]}) if number == 3 else None
        table = pa.Table.from_pylist(rows, schema=pa.schema(fields))
        table = table if later is None else table.append_column("later", later.column(0))
        parquet.write_table(table, tmp_path / Segment(WRITER, number, number).name)

    now = list(schema().field("attempts").type.value_type)
    older = pa.list_(pa.struct([one for one in now if one.name != "ttft_s"]))
    newer = pa.list_(pa.struct([*now[:2], pa.field("region", pa.string()), *now[2:]]))
    call = {"model": "a", "deployment": "a", "verdict": "accepted", "cost_usd": 0.5}
    written(1, older, attempts=[call])
    written(2, schema().field("attempts").type, attempts=[{**call, "ttft_s": 0.25}])
    written(3, newer, attempts=[{**call, "ttft_s": 0.75, "region": "eu"}])
    told = read_attempts(tmp_path)
    assert told["cost_usd"].tolist() == [0.5] * 3
    assert told["ttft_s"].tolist()[1:] == [0.25, 0.75]
    assert np.isnan(told["ttft_s"].iloc[0])
    Packing(tmp_path, WRITER).merge(of_all_ages=True)
    assert [one.name for one in tmp_path.glob("*.parquet")] == [Segment(WRITER, 1, 3).name]
    pd.testing.assert_frame_equal(read_attempts(tmp_path), told)


def test_a_file_that_is_never_found_is_an_error(folder: Path) -> None:
    (folder / Segment(WRITER, 7, 7).name).symlink_to(folder / "nowhere")
    with pytest.raises(InputError, match="a file is listed and cannot be found, over and over; take broken links out"):
        read_traces(folder)
    with pytest.raises(InputError, match="over and over"):
        list(each_table(folder))


@pytest.mark.skipif(os.geteuid() == 0, reason="this user may read everything")
def test_a_file_of_another_user_is_named(folder: Path) -> None:
    for number in ((4, 4, "ndjson"), (3, 3)):
        path = folder / Segment(WRITER, *number).name
        path.chmod(0)
        with pytest.raises(InputError, match=rf"{path.name}: this user may not read it"):
            read_traces(folder)
        path.chmod(0o600)
