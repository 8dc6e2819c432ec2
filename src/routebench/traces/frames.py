"""Rows as pandas frames: what people and panels work with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from routebench.errors import InputError, nearest
from routebench.traces.lines import COLUMNS
from routebench.traces.row import Trace
from routebench.traces.tables import table_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FIRST, SHIFTED = "first", "shifted"
WORKED_OUT: dict[str, tuple[str, ...]] = {FIRST: ("chain",), SHIFTED: ("chain", "wanted", "explored")}
"""Columns of a frame that no segment holds -> the columns that they are worked out from."""
_ALWAYS_KNOWN = frozenset({"status", "streamed", "explored"})
"""Counts and flags that every row tells; others hold NaN or None, also on a day when all of them are known."""


def frame_of(traces: Iterable[Trace]) -> pd.DataFrame:
    """Returns traces as `read_traces` would return them from their folder."""
    return framed(table_of(traces))


def needed(columns: Sequence[str] | None) -> list[str]:
    """Returns the columns of segments that some columns of a frame are made of.

    Raises:
        InputError: there is no such column.
    """
    if columns is None:
        return [*COLUMNS]
    known = (*COLUMNS, *WORKED_OUT)
    for name in columns:
        if name not in known:
            raise InputError(f"traces: no column {name!r}{nearest(name, known)}; they have {', '.join(known)}")
    wanted = {part for name in columns for part in WORKED_OUT.get(name, (name,))}
    return [name for name in COLUMNS if name in wanted]


def framed(table: pa.Table, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Returns a table as a frame, one row a request.

    Times are `datetime64[us, UTC]`, amounts and counts floats with NaN while unknown, flags that may be unknown True,
    False or None, lists of names tuples, `attempts` tuples of dictionaries, `features`, `messages`, `tool_calls` and
    `request` JSON. `first` is the model that came first, `shifted` whether health put it before the one that was
    `wanted`.

    Args:
        table: with the columns that `needed` tells.
        columns: of the frame, in their order; all by default.
    """
    import pandas as pd

    asked = (*COLUMNS, *WORKED_OUT) if columns is None else columns
    found: dict[str, Any] = {}
    for name in asked:
        if name in WORKED_OUT:
            found[name] = (_first if name == FIRST else _shifted)(table).to_pandas()
        else:
            found[name] = _series(name, table.column(name))
    return pd.DataFrame(found, columns=list(asked))


def attempts_framed(table: pa.Table) -> pd.DataFrame:
    """Returns the attempts of a table with `trace_id`, `at` and `attempts`: a row a call, `place` counts from 0."""
    import pandas as pd
    import pyarrow as pa
    from pyarrow import compute

    lists = table.column("attempts").combine_chunks()
    lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    parents = compute.list_parent_indices(lists)
    calls = lists.flatten()
    found: dict[str, Any] = {
        "trace_id": table.column("trace_id").take(parents).to_pandas(),
        "at": table.column("at").take(parents).to_pandas(),
    }
    for number, field in enumerate(calls.type):
        found[field.name] = _numbers(calls.field(number)).to_pandas()
    frame = pd.DataFrame(found)
    place: Any = frame.groupby("trace_id", sort=False).cumcount() if len(frame) else []
    frame.insert(2, "place", place)
    return frame


def features_of(traces: pd.DataFrame) -> pd.DataFrame:
    """Returns a column for every feature that a frame's `features` hold, on the frame's index; unknown is NaN or None.

    Raises:
        InputError: the frame has no column `features`.
    """
    import pandas as pd

    if "features" not in traces:
        raise InputError("traces: no column 'features'; read them with it")
    told = traces["features"]
    # Of many requests with the same features each text is read once.
    codes, texts = pd.factorize(told)
    known = pd.DataFrame.from_records([json.loads(text) for text in texts])
    if known.empty:
        return pd.DataFrame(index=traces.index)
    if (codes < 0).any():
        known.loc[len(known)] = None
        codes = codes.copy()
        codes[codes < 0] = len(known) - 1
    return known.take(codes).set_axis(traces.index)


def _series(name: str, column: pa.ChunkedArray) -> Any:
    import pyarrow as pa

    if name == "attempts":
        return _objects([() if calls is None else tuple(calls) for calls in column.to_pylist()])
    if pa.types.is_list(column.type):
        return _tuples(column)
    if name in _ALWAYS_KNOWN:
        return column.to_pandas()
    return _objects(column.to_pylist()) if pa.types.is_boolean(column.type) else _numbers(column).to_pandas()


def _numbers(column: pa.Array | pa.ChunkedArray) -> Any:
    """Counts as floats."""
    import pyarrow as pa

    return column.cast(pa.float64()) if pa.types.is_integer(column.type) else column


def _tuples(column: pa.ChunkedArray) -> Any:
    """Lists of names as tuples; the same lists are one object, for there are few of them among many rows."""
    held: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    found: list[tuple[Any, ...] | None] = []
    for chunk in column.chunks:
        names = chunk.values.to_pylist()  # noqa: PD011 - Arrow's
        starts = chunk.offsets.to_pylist()
        known = chunk.is_valid().to_pylist()
        for start, end, is_known in zip(starts, starts[1:], known, strict=False):
            one = tuple(names[start:end])
            found.append(held.setdefault(one, one) if is_known else None)
    return _objects(found)


def _objects(values: list[Any]) -> Any:
    import numpy as np

    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _first(table: pa.Table) -> Any:
    from pyarrow import compute

    chains = table.column("chain")
    # The first of an empty chain would be an error.
    filled = compute.if_else(compute.greater(compute.list_value_length(chains), 0), chains, None)
    return compute.list_element(filled, 0)


def _shifted(table: pa.Table) -> Any:
    from pyarrow import compute

    another = compute.fill_null(compute.not_equal(table.column("wanted"), _first(table)), fill_value=False)
    # What was drawn is no doing of health.
    return compute.and_not(another, compute.fill_null(table.column("explored"), fill_value=False))
