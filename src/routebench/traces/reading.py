"""Traces read while the gateway writes them: segments, and rows that are still in journals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from routebench.errors import InputError
from routebench.traces import frames
from routebench.traces.parquet import ALWAYS, parquet_table, times_of, unreadable
from routebench.traces.segments import JOURNAL, PARQUET, Segment, listed, standing
from routebench.traces.tables import read_journal, schema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Source = Path | str | Sequence[Path | str]
"""A folder of traces, a file of one, or several of both."""
_TIME = "at"
_OF_ATTEMPTS = ("trace_id", _TIME, "attempts")
_TRIES = 20


class TraceFolder:
    """A folder that is read again and again, as by a panel that follows it: what was read of a segment is kept.

    Args:
        folder: where a gateway writes, or wrote.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._held: dict[tuple[Segment, tuple[str, ...]], pa.Table] = {}
        self._times: dict[Segment, tuple[datetime, datetime]] = {}

    def read(
        self, *, since: datetime | None = None, until: datetime | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Returns what `read_traces` does of this folder."""
        return frames.framed(self.table(frames.needed(columns), since=since, until=until), columns)

    def read_attempts(self, *, since: datetime | None = None, until: datetime | None = None) -> pd.DataFrame:
        """Returns what `read_attempts` does of this folder."""
        return frames.attempts_framed(self.table(_OF_ATTEMPTS, since=since, until=until))

    def table(
        self, columns: Sequence[str], *, since: datetime | None = None, until: datetime | None = None
    ) -> pa.Table:
        """Returns some columns of the rows in the order of their time, as Arrow.

        Raises:
            InputError: the folder, or a file in it, cannot be read.
        """
        return _in_order(self.parts(columns, since=since, until=until), columns, _window(since, until))

    def parts(
        self, columns: Sequence[str], *, since: datetime | None = None, until: datetime | None = None
    ) -> list[pa.Table]:
        """Returns some columns of every file that may hold rows of a time, in no order; for rows too many for a table.

        Raises:
            InputError: the folder, or a file in it, cannot be read.
        """
        names, window = _with_time(columns), _window(since, until)
        for _ in range(_TRIES):
            segments = self.standing()
            try:
                found = {one: self._segment(one, names, window) for one in segments}
            except FileNotFoundError:
                # It has become another file since it was listed.
                continue
            self._held = {key: table for key, table in self._held.items() if key[0] in found}
            return list(found.values())
        raise _always_gone(self.folder)

    def standing(self) -> list[Segment]:
        """Returns the files that hold every row once, sorted by writer.

        Raises:
            InputError: the folder cannot be read.
        """
        try:
            return standing(listed(self.folder))
        except OSError as error:
            raise InputError(
                f"traces {self.folder}: cannot be read ({error.strerror}); give the folder that the gateway writes"
            ) from None

    def _segment(self, segment: Segment, columns: tuple[str, ...], window: tuple[datetime, datetime]) -> pa.Table:
        path = self.folder / segment.name
        if segment.kind == JOURNAL:
            return _read_journal(path, columns)
        if segment not in self._times:
            self._times[segment] = times_of(path)
        first, last = self._times[segment]
        if last < window[0] or first >= window[1]:
            return _none(columns)
        key = (segment, columns)
        if key not in self._held:
            self._held[key] = parquet_table(path, columns)
        return self._held[key]


def read_traces(
    source: Source,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Returns one row a request, in the order of their time; also while they are written.

    The columns are those of `Trace` and two more, see `routebench.traces.frames.framed`. A folder without traces gives
    a frame without rows.

    Args:
        source: the folder that a gateway writes, files of one, or several.
        since: the first moment; one without a zone is UTC.
        until: the moment after the last.
        columns: of the frame; naming the few that are needed is some times faster.

    Raises:
        InputError: a file cannot be read, or there is no such column.
    """
    return frames.framed(_table(source, frames.needed(columns), since, until), columns)


def read_attempts(source: Source, *, since: datetime | None = None, until: datetime | None = None) -> pd.DataFrame:
    """Returns one row a call to a model: `trace_id`, `at` of the request, `place` in it, and what `Attempt` holds.

    Raises:
        InputError: a file cannot be read.
    """
    return frames.attempts_framed(_table(source, _OF_ATTEMPTS, since, until))


def each_table(path: Path) -> Iterator[pa.Table]:
    """Yields all columns of a folder's files, one file at a time, for rows too many to stand in memory; or of a file.

    The order is that in which they were written, by writer. A folder that is written to may change meanwhile: a row may
    come twice then, and is told by its `trace_id`.

    Raises:
        InputError: a file cannot be read.
    """
    names = tuple(schema().names)
    if not path.is_dir():
        yield _read_file(path, names)
        return
    folder, done, tries = TraceFolder(path), Segment("", 0, 0), 0
    while left := [one for one in folder.standing() if (one.writer, one.last) > (done.writer, done.last)]:
        for one in left:
            read = _read_journal if one.kind == JOURNAL else parquet_table
            try:
                table = read(path / one.name, names)
            except FileNotFoundError:
                # It has become another file since it was listed.
                tries += 1
                break
            yield table
            done, tries = one, 0
        if tries > _TRIES:
            raise _always_gone(path)


def whole_files(path: Path) -> list[Path]:
    """Returns the Parquet files of a folder, for who reads them more than once; a file stands for itself.

    Raises:
        InputError: there is none.
    """
    if not path.is_dir():
        return [path]
    found = [path / one.name for one in TraceFolder(path).standing() if one.kind == PARQUET]
    if not found:
        raise InputError(f"traces {path}: holds no Parquet file yet; wait some seconds, or end the gateway")
    return found


def _table(source: Source, columns: Sequence[str], since: datetime | None, until: datetime | None) -> pa.Table:
    names, window = _with_time(columns), _window(since, until)
    tables: list[pa.Table] = []
    for one in (source,) if isinstance(source, (str, Path)) else source:
        path = Path(one)
        if path.is_dir():
            tables += TraceFolder(path).parts(columns, since=since, until=until)
        else:
            tables.append(_read_file(path, names))
    return _in_order(tables, columns, window)


def _read_file(path: Path, columns: tuple[str, ...]) -> pa.Table:
    if not path.exists():
        raise InputError(f"traces {path}: no such file or folder")
    if path.suffix not in (".parquet", ".ndjson"):
        raise InputError(f"traces {path}: expected a folder, or a .parquet or .ndjson file of one")
    return _read_journal(path, columns) if path.suffix == ".ndjson" else parquet_table(path, columns)


def _read_journal(path: Path, columns: tuple[str, ...]) -> pa.Table:
    try:
        data = path.read_bytes()
    except PermissionError:
        raise unreadable(path) from None
    return read_journal(data).table.select([*columns])


def _always_gone(folder: Path) -> InputError:
    return InputError(
        f"traces {folder}: a file is listed and cannot be found, over and over; take broken links out of the folder"
    )


def _in_order(tables: Sequence[pa.Table], columns: Sequence[str], window: tuple[datetime, datetime]) -> pa.Table:
    import pyarrow as pa
    from pyarrow import compute

    table = pa.concat_tables(tables) if tables else _none(_with_time(columns))
    at = table.column(_TIME)
    if window != ALWAYS:
        inside = compute.and_(
            compute.greater_equal(at, pa.scalar(window[0], at.type)), compute.less(at, pa.scalar(window[1], at.type))
        )
        table = table.filter(inside)
    order = compute.sort_indices(table, sort_keys=[(_TIME, "ascending")])
    return table.take(order).select([*columns])


def _none(columns: tuple[str, ...]) -> pa.Table:
    return schema().empty_table().select([*columns])


def _with_time(columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*columns, _TIME)))


def _window(since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    first, after = (None if one is None else one if one.tzinfo else one.replace(tzinfo=UTC) for one in (since, until))
    return first or ALWAYS[0], after or ALWAYS[1]
