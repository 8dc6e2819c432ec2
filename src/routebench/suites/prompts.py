"""The prompts of a suite from a file, in whichever form they were run: a suite, or interchange prompts."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path

from routebench.errors import SuiteError
from routebench.suites.loaders import load_suite
from routebench.types import Case


def read_prompt_file(path: str | Path) -> tuple[Case, ...]:
    """Reads the cases of a suite file, or of a file of prompts with a column `prompt_id` as `import outcomes` takes it.

    Raises:
        SuiteError: the file is not there, or it is a suite that cannot be used.
        OutcomesError: it is a file of prompts that cannot be used.
    """
    path = Path(path)
    if not path.is_file():
        raise SuiteError(f"{path}: no such file; give the suite, or the prompts, that were run")
    if "prompt_id" in _columns(path):
        from routebench.suites.importers.outcomes import read_prompts

        return tuple(read_prompts(path))
    return load_suite(path).cases


def _columns(path: Path) -> Iterable[str]:
    """The names in a file's first row; none where it has no such row, of which its reader will complain."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet_columns(path)
    with path.open(encoding="utf-8-sig", errors="replace", newline="\n") as file:
        if suffix == ".csv":
            return next(csv.reader(file), [])
        first = next((line for line in file if line.strip()), "")
    try:
        row = json.loads(first or "null")
    except json.JSONDecodeError:
        return ()
    return row if isinstance(row, dict) else ()


def _parquet_columns(path: Path) -> Iterable[str]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        names: list[str] = parquet.read_schema(path).names
    except (OSError, pa.ArrowException):
        raise SuiteError(f"{path}: no Parquet file, or a damaged one; write it anew") from None
    return names
