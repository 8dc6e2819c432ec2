"""Segments as Parquet files: written whole or not at all, read by column."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from routebench.errors import InputError
from routebench.traces.tables import schema

if TYPE_CHECKING:
    import pyarrow as pa

HALF_MADE = ".part"
ALWAYS = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_GROUP_ROWS, _GROUP_BYTES = 100_000, 8 << 20
_TIME = "at"


def write_parquet(path: Path, tables: Iterable[pa.Table]) -> None:
    """Writes rows as a file that is there only when it is whole, and safe on disk.

    Raises:
        OSError: it cannot be written; there is no such file then.
    """
    from pyarrow import parquet

    hidden = path.with_name(f".{path.name}{HALF_MADE}")
    try:
        with hidden.open("wb") as file:
            with parquet.ParquetWriter(file, schema(), compression="zstd") as writer:
                for group in _groups(tables):
                    writer.write_table(group)
            file.flush()
            os.fsync(file.fileno())
        hidden.rename(path)
    finally:
        hidden.unlink(missing_ok=True)


def parquet_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Returns columns of a segment, all by default; those that an older version did not write are unknown.

    Raises:
        FileNotFoundError: it has gone.
        InputError: it is damaged, or holds something else.
    """
    import pyarrow as pa
    from pyarrow import parquet

    asked = schema().names if columns is None else columns
    try:
        with parquet.ParquetFile(path) as file:
            there = set(file.schema_arrow.names)
            table = file.read([name for name in asked if name in there])
    except pa.ArrowInvalid as error:
        raise _damaged(path, error) from None
    except PermissionError:
        raise unreadable(path) from None
    if _TIME not in there:
        raise InputError(f"traces {path}: holds no traces: it has no column {_TIME!r}")
    try:
        return pa.table({name: _as_of_now(table, name) for name in asked}, schema=pa.schema(map(schema().field, asked)))
    except pa.ArrowException as error:
        raise _damaged(path, error) from None


def times_of(path: Path) -> tuple[datetime, datetime]:
    """Returns the first and the last moment of a segment, as its footer tells; all time where it tells none.

    Raises:
        FileNotFoundError: it has gone.
        InputError: it is damaged.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        footer = parquet.read_metadata(path)
    except pa.ArrowInvalid as error:
        raise _damaged(path, error) from None
    except PermissionError:
        raise unreadable(path) from None
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    columns = [group.column(place) for group in groups for place in range(group.num_columns)]
    told = [column.statistics for column in columns if column.path_in_schema == _TIME]
    if not told or any(one is None or not one.has_min_max for one in told):
        return ALWAYS
    return min(one.min for one in told), max(one.max for one in told)


def use_little() -> None:
    """Makes this process read and write with one thread each, with memory that goes back to the system."""
    import pyarrow as pa

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    pa.set_memory_pool(pa.system_memory_pool())


def give_back() -> None:
    """Gives memory that was used back to the system, before a time of waiting."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def _groups(tables: Iterable[pa.Table]) -> Iterable[pa.Table]:
    """Small tables as groups of rows that are worth a reader's while; of long texts fewer rows make one."""
    import pyarrow as pa

    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(one.num_rows for one in held) >= _GROUP_ROWS or sum(one.nbytes for one in held) >= _GROUP_BYTES:
            yield pa.concat_tables(held)
            held.clear()
    if held:
        yield pa.concat_tables(held)


def _as_of_now(table: pa.Table, name: str) -> pa.ChunkedArray | pa.Array:
    """A column of the type that it has now, whatever it had when it was written."""
    import pyarrow as pa

    kind = schema().field(name).type
    return table.column(name).cast(kind) if name in table.column_names else pa.nulls(table.num_rows, kind)


def unreadable(path: Path) -> InputError:
    """Returns the error of a file that belongs to somebody else."""
    return InputError(f"traces {path}: this user may not read it; read as the gateway's user, or give the file away")


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"traces {path}: not Parquet, or damaged ({str(error).splitlines()[0]}); move the file away")
