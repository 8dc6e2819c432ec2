"""Tables that users bring, as Parquet, CSV or JSON Lines: read part by part, their columns as texts and numbers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from routebench.errors import OutcomesError, nearest

_ROWS_AT_ONCE = 20_000
_TEXTS = (
    "prompt_id",
    "model",
    "prompt",
    "response",
    "reference",
    "category",
    "group",
    "error_kind",
    "split",
    "rater",
    "grader",
    "detail",
)
NUMBERS = ("cost_usd", "latency_s", "ttft_s", "input_tokens", "output_tokens")
"""Columns of amounts, unknown where they hold no number."""


@dataclass
class Tally:
    """What had to be skipped, clipped, left unknown, or is worth telling: reason -> number of rows."""

    rows: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    clipped: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)


def frames(path: Path, needed: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Yields a file part by part.

    Raises:
        OutcomesError: the file cannot be read or lacks a needed column; the row is named where the reader can tell.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise OutcomesError(f"{path}: expected a .parquet, .csv or .jsonl file")
    if not path.is_file():
        raise OutcomesError(f"{path}: no such file")
    try:
        for frame in reader(path):
            for column in needed:
                if column not in frame.columns:
                    columns = [str(name) for name in frame.columns]
                    raise OutcomesError(
                        f"{path}: no column {column!r}{nearest(column, columns)}; it has {', '.join(columns)}"
                    )
            yield frame
    except (ValueError, OSError) as error:
        raise OutcomesError(f"{path}: not what its name says: {str(error).strip()}") from None


def _parquet(path: Path) -> Iterator[pd.DataFrame]:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        if not file.metadata.num_rows:
            yield file.schema_arrow.empty_table().to_pandas()
        for batch in file.iter_batches(_ROWS_AT_ONCE):
            yield batch.to_pandas()


def _csv(path: Path) -> Iterable[pd.DataFrame]:
    absent = ["", "null", "NaN", "nan", "None"]
    return pd.read_csv(
        path,
        dtype=dict.fromkeys(_TEXTS, str),
        chunksize=_ROWS_AT_ONCE,
        encoding="utf-8-sig",
        keep_default_na=False,
        # A prompt may well be the word "null".
        # An empty field does not say that the answer was empty.
        na_values={**dict.fromkeys((*NUMBERS, "score", "weight", "sample"), absent), "response": [""]},
    )


def _jsonl(path: Path) -> Iterator[pd.DataFrame]:
    # Only "\n" ends a record: texts hold other line separators.
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        rows = records(path, file)
        while part := list(islice(rows, _ROWS_AT_ONCE)):
            yield pd.DataFrame(part)


def records(path: Path, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yields the objects of JSON Lines.

    Raises:
        OutcomesError: a line is no object; it is named.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise OutcomesError(
                f"{path}:{number}: not valid JSON ({error.msg} at column {error.colno}); mend or drop the line"
            ) from None
        if not isinstance(record, dict):
            raise OutcomesError(f"{path}:{number}: a row is a JSON object, got {type(record).__name__}")
        yield record


_READERS: Mapping[str, Callable[[Path], Iterable[pd.DataFrame]]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
}


def texts(values: pd.Series[Any]) -> pd.Series[Any]:
    """Returns a column as texts, None where it is empty; whole numbers as people write them."""
    # As objects: on pandas' own text columns every look-up goes through Arrow, one value at a time.
    whole = pd.api.types.is_integer_dtype(values.dtype)
    objects = values.astype(str).astype(object) if whole else values.astype(object)
    if pd.api.types.is_string_dtype(values.dtype) or whole:
        return objects.where(values.notna() & (objects != ""), None)
    return objects.map(text_or_none)


def numbers(values: pd.Series[Any]) -> pd.Series[float]:
    """Returns a column as numbers, NaN where it holds none; `True` and `False` are 1 and 0, also as texts."""
    if values.dtype == object or pd.api.types.is_string_dtype(values.dtype):
        words = values.map(lambda value: value.strip().casefold() if isinstance(value, str) else value)
        values = words.replace({"true": 1.0, "false": 0.0})
    found = pd.to_numeric(values, errors="coerce").astype(float)
    return found.where(np.isfinite(found))


def text_or_none(value: Any) -> str | None:
    """Returns one value as a text, None where it is empty; a whole number as people write it."""
    if value is None or value == "" or (not isinstance(value, str) and pd.isna(value)):
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
