"""Rows of wide tables with columns of their own, from CSV or Parquet, one part at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from routebench.errors import OutcomesError

_ROWS_AT_ONCE = 2_000
"""Rows of a benchmark hold whole answers of a dozen models each."""
Row = dict[str, Any]


def table_columns(path: Path) -> list[str]:
    """Returns the names of the columns.

    Raises:
        OutcomesError: the file cannot be read.
    """
    import pandas as pd

    if not path.is_file():
        raise OutcomesError(f"{path}: no such file")
    try:
        if is_parquet(path):
            from pyarrow import parquet

            with parquet.ParquetFile(path) as file:
                return [str(name) for name in file.schema_arrow.names]
        return [str(name) for name in pd.read_csv(path, nrows=0, encoding="utf-8-sig").columns]
    except (ValueError, OSError) as error:
        raise _unreadable(path, error) from None


def table_rows(path: Path) -> Iterator[tuple[str, Row]]:
    """Yields the rows, each with its place; cells of a CSV are texts, None where they are empty.

    Raises:
        OutcomesError: the file cannot be read to its end.
    """
    number = 0
    try:
        for part in _parquet(path) if is_parquet(path) else _csv(path):
            for row in part:
                number += 1
                yield f"{path}: row {number}", row
    except (ValueError, OSError) as error:
        raise _unreadable(path, error) from None


def is_parquet(path: Path) -> bool:
    """Whether a file's name says that it is Parquet."""
    return path.suffix.lower() in (".parquet", ".pq")


def _parquet(path: Path) -> Iterator[list[Row]]:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(_ROWS_AT_ONCE):
            yield batch.to_pylist()


def _csv(path: Path) -> Iterator[list[Row]]:
    import pandas as pd

    # As texts: a part whose answers are all digits must not become numbers, nor an answer "null" an absent one.
    with pd.read_csv(path, dtype=str, chunksize=_ROWS_AT_ONCE, encoding="utf-8-sig", keep_default_na=False) as parts:
        for part in parts:
            # With a cell too many, the first column would be taken for the names of the rows.
            if not isinstance(part.index, pd.RangeIndex):
                raise ValueError("rows have more cells than there are columns; quote the commas inside cells")
            columns = [str(name) for name in part.columns]
            yield [_row(columns, values) for values in part.to_numpy(dtype=object)]


def _row(columns: Sequence[str], values: Iterable[Any]) -> Row:
    return {
        name: value if isinstance(value, str) and value else None for name, value in zip(columns, values, strict=True)
    }


def _unreadable(path: Path, error: Exception) -> OutcomesError:
    if isinstance(error, UnicodeDecodeError):
        return OutcomesError(f"{path}: not UTF-8 (byte {error.start}); save the whole file as UTF-8")
    return OutcomesError(f"{path}: not a whole table: {str(error).strip()}")
