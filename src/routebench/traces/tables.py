"""Rows as Arrow tables: the types of the columns, and journals read into them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from routebench.traces.lines import AS_TEXT, COLUMNS, row_of
from routebench.traces.row import Attempt, Trace

if TYPE_CHECKING:
    import pyarrow as pa

_OF_ROWS = ("trace_id", "at", "outcome")
"""What every row tells; a line without is none."""


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
    import pyarrow as pa

    given = {
        "at": pa.timestamp("us", tz="UTC"),
        "attempts": pa.list_(pa.struct(list(_schema(Attempt, {})))),
        **dict.fromkeys(AS_TEXT, pa.string()),
    }
    return _schema(Trace, given)


def table_of(rows: Iterable[Trace]) -> pa.Table:
    """Returns traces as the table that their segment holds."""
    import pyarrow as pa

    return pa.Table.from_pylist([row_of(one) for one in rows], schema=schema())


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
                explicit_schema=schema(), newlines_in_values=False, unexpected_field_behavior="ignore"
            ),
        )
    except pa.ArrowInvalid:
        return _line_by_line(whole.split(b"\n"), torn)
    if _lacks(table):
        return _line_by_line(whole.split(b"\n"), torn)
    return Journalled(table.select([*COLUMNS]), torn)


def _line_by_line(lines: Iterable[bytes], torn: bytes) -> Journalled:
    """Of a journal with a line that is no row: the others."""
    import pyarrow as pa

    tables, unreadable = [_empty()], []
    for line in lines:
        try:
            row = json.loads(line)
            one = pa.Table.from_pylist([{**row, "at": datetime.fromisoformat(row["at"])}], schema=schema())
        except (ValueError, TypeError, KeyError, OverflowError, pa.ArrowException):
            unreadable.append(line)
            continue
        if _lacks(one):
            unreadable.append(line)
        else:
            tables.append(one)
    return Journalled(pa.concat_tables(tables), torn, tuple(unreadable))


def _lacks(table: pa.Table) -> bool:
    return any(table.column(name).null_count for name in _OF_ROWS)


def _empty() -> pa.Table:
    return schema().empty_table()


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
