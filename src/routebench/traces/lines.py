"""A trace as one line of JSON, with the names and forms of the Parquet columns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from routebench.traces.row import Attempt, Trace

COLUMNS: tuple[str, ...] = tuple(one.name for one in fields(Trace))
"""Of a row, in their order."""
AS_TEXT = ("features", "messages", "tool_calls", "request")
"""Columns of any shape: JSON in a text."""
_SORTED = "features"
"""Written with sorted keys: the same features are the same text, and have the same digest."""
_ATTEMPT: tuple[str, ...] = tuple(one.name for one in fields(Attempt))
_values = attrgetter(*COLUMNS)
_values_of_attempt = attrgetter(*_ATTEMPT)
_MOST = 1 << 63
_DEEPEST = 200


def row_of(trace: Trace) -> dict[str, Any]:
    """Returns a trace as plain values; its time with its zone, and those of any shape as JSON."""
    row = _row(trace)
    row["attempts"] = [dict(zip(_ATTEMPT, _values_of_attempt(one), strict=True)) for one in trace.attempts]
    for name in AS_TEXT:
        if row[name] is not None:
            row[name] = json.dumps(
                row[name], default=plain, ensure_ascii=False, sort_keys=name == _SORTED, separators=(",", ":")
            )
    return _digested(row)


def line_of(trace: Trace) -> bytes:
    """Returns the line of a trace, with its line feed.

    Raises:
        TypeError: a value is none of JSON, nor can be made one.
        ValueError, OverflowError: its time is none.
    """
    import orjson

    row = _row(trace)
    try:
        for name in AS_TEXT:
            if row[name] is not None:
                row[name] = orjson.dumps(
                    row[name], default=plain, option=orjson.OPT_SORT_KEYS if name == _SORTED else None
                ).decode()
        return orjson.dumps(_digested(row), default=plain, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        # A lone surrogate in an answer, a number beyond 64 bits: rare, and no reason to lose a row.
        mended = _mended(row_of(trace), 0)
        return orjson.dumps(mended, option=orjson.OPT_APPEND_NEWLINE)


def _row(trace: Trace) -> dict[str, Any]:
    row = dict(zip(COLUMNS, _values(trace), strict=True))
    # As text, for whoever reads a journal; of seconds since 1970 nobody could tell the unit.
    row["at"] = datetime.fromtimestamp(trace.at, UTC)
    return row


def _digested(row: dict[str, Any]) -> dict[str, Any]:
    """The row with the digest of its features, where nobody else worked it out."""
    if row[_SORTED] is not None and row["features_sha256"] is None:
        row["features_sha256"] = hashlib.sha256(row[_SORTED].encode(errors="replace")).hexdigest()
    return row


def plain(value: Any) -> Any:
    """Returns a value that JSON does not know as one that it does.

    Raises:
        TypeError: there is none.
    """
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no value of JSON")


def _mended(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -_MOST <= value < _MOST else float(value)
    if depth > _DEEPEST:
        return None
    if isinstance(value, Mapping):
        return {str(name): _mended(one, depth + 1) for name, one in value.items()}
    return [_mended(one, depth + 1) for one in value] if isinstance(value, (list, tuple)) else value
