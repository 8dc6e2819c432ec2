"""Rows as Arrow tables: the types of the columns, and journals read into them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any

from routebench.traces.lines import AS_TEXT, COLUMNS, row_of
from routebench.traces.row import Attempt, Trace

if TYPE_CHECKING:
    import pyarrow as pa

_TIME = "at"
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Journalled:
    """What a journal holds.

    Attributes:
        table: its rows.
        torn: bytes of a last line that was cut short.
        unreadable: whole lines that are no rows.
    """

    table: pa.Table
    torn: bytes = b""
    unreadable: tuple[bytes, ...] = ()


@cache
def schema() -> pa.Schema:
    """Returns the columns of a segment with their types, in the order of `Trace`."""
    return _schema_with(_moment())


def table_of(rows: Iterable[Trace]) -> pa.Table:
    """Returns traces as the table that their segment holds."""
    return _timed(_of_rows([row_of(one) for one in rows]))


def read_journal(data: bytes) -> Journalled:
    """Reads the lines of a journal, one that is being written too.

    A last line without its end is left out: it is still on its way, or its writer was killed amid it.
    """
    whole, end, torn = data.rpartition(b"\n")
    if not whole:
        return Journalled(_empty(), torn)
    import pyarrow as pa
    from pyarrow import json as arrow_json

    try:
        table = arrow_json.read_json(
            pa.BufferReader(whole + end),
            # One block: a row may be as long as a prompt.
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(whole) + 1),
            parse_options=arrow_json.ParseOptions(
                explicit_schema=_lines_schema(), newlines_in_values=False, unexpected_field_behavior="ignore"
            ),
        )
    except pa.ArrowInvalid:
        return _line_by_line(whole.split(b"\n"), torn)
    return Journalled(_timed(table), torn)


def _line_by_line(lines: Iterable[bytes], torn: bytes) -> Journalled:
    """Of a journal with a line that is no row: the others."""
    import pyarrow as pa

    tables, unreadable = [], []
    for line in lines:
        try:
            tables.append(_of_rows([json.loads(line)]))
        except (ValueError, TypeError, AttributeError, OverflowError, pa.ArrowException):
            unreadable.append(line)
    return Journalled(_timed(pa.concat_tables(tables)) if tables else _empty(), torn, tuple(unreadable))


def _of_rows(rows: list[dict[str, Any]]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_pylist(rows, schema=_lines_schema())


def _timed(table: pa.Table) -> pa.Table:
    """The table with times in place of seconds since 1970, its columns in their order."""
    import pyarrow as pa
    from pyarrow import compute

    table = table.select([*COLUMNS])
    seconds = table.column(_TIME)
    microseconds = compute.round(compute.multiply(seconds, _MICROSECONDS)).cast(pa.int64())
    return table.set_column(table.schema.get_field_index(_TIME), schema().field(_TIME), microseconds.cast(_moment()))


def _empty() -> pa.Table:
    return schema().empty_table()


@cache
def _lines_schema() -> pa.Schema:
    import pyarrow as pa

    return _schema_with(pa.float64())


def _schema_with(time: pa.DataType) -> pa.Schema:
    import pyarrow as pa

    return _schema(Trace, {_TIME: time, "attempts": _attempts(), **dict.fromkeys(AS_TEXT, pa.string())})


def _moment() -> pa.DataType:
    import pyarrow as pa

    return pa.timestamp("us", tz="UTC")


def _attempts() -> pa.DataType:
    import pyarrow as pa

    return pa.list_(pa.struct(list(_schema(Attempt, {}))))


def _schema(row: type, given: Mapping[str, pa.DataType]) -> pa.Schema:
    import pyarrow as pa

    types = {
        "bool": pa.bool_(),
        "float": pa.float64(),
        "int": pa.int64(),
        "str": pa.string(),
        "Outcome": pa.string(),
        "Literal": pa.string(),
        "Sequence": pa.list_(pa.string()),
    }

    def of(name: str, told: str) -> pa.DataType:
        return given[name] if name in given else types[told.removesuffix(" | None").partition("[")[0]]

    return pa.schema([(one.name, of(one.name, str(one.type))) for one in fields(row)])
