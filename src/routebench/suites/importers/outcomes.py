"""The interchange format: one file of prompts, one file of outcomes, as Parquet, CSV or JSON Lines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from routebench.errors import OutcomesError, nearest
from routebench.types import ERROR_KINDS, Case, GraderSpec, Request

_OUTCOME_COLUMNS = ("prompt_id", "model", "score")
_PROMPT_COLUMNS = ("prompt_id", "prompt")
_ROWS_AT_ONCE = 20_000
_MOST_ABOVE_ONE = 0.5
"""With a larger share of scores above 1 they are on another scale, and clipping them would destroy them."""
_NUMBERS = ("cost_usd", "latency_s", "ttft_s", "input_tokens", "output_tokens")
GRADER = "imported"
"""What the grader of imported scores is called."""


@dataclass
class Tally:
    """What had to be skipped, clipped, left unknown, or is worth telling: reason -> number of rows."""

    rows: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    clipped: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)


def read_prompts(path: str | Path) -> list[Case]:
    """Reads the prompts: prompt_id, prompt; optional category, reference, group, weight, split.

    Raises:
        OutcomesError: the file cannot be read, a column is missing, an id stands for two prompts, or a value cannot be
            what its column says; the row is named.
    """
    path = Path(path)
    cases: dict[str, Case] = {}
    number = 0
    for frame in _frames(path, _PROMPT_COLUMNS):
        for record in frame.to_dict("records"):
            number += 1
            case_id, prompt = _text(record.get("prompt_id")), _text(record.get("prompt"))
            if case_id is None or prompt is None:
                raise OutcomesError(f"{path}: row {number}: prompt_id or prompt is empty; fill it in or drop the row")
            case = Case(
                case_id,
                Request(messages=({"role": "user", "content": prompt},)),
                target=_text(record.get("reference")),
                grader=GraderSpec(GRADER),
                category=_text(record.get("category")),
                group=_text(record.get("group")),
                weight=_weight(record.get("weight"), path, number),
                split=_split(record.get("split"), path, number),
            )
            if cases.setdefault(case_id, case) != case:
                raise OutcomesError(
                    f"{path}: row {number}: prompt_id {case_id!r} stands for two different prompts; give each its own"
                )
    if not cases:
        raise OutcomesError(f"{path}: holds no prompt")
    return list(cases.values())


def read_outcomes(path: str | Path, case_ids: Sequence[str], tally: Tally) -> Iterator[pd.DataFrame]:
    """Reads the outcomes part by part, so that a large file never stands in memory whole.

    Rows that repeat a prompt and a model are samples, numbered in the order of the file unless a column `sample` does.

    Args:
        path: prompt_id, model, score; optional cost_usd, input_tokens, output_tokens, latency_s, ttft_s, response,
            sample, error_kind (a row with one is a failed call).
        case_ids: of the prompts.
        tally: counts what had to be skipped, clipped or left unknown.

    Yields:
        Frames with columns case_id, model, sample, error_kind, score, the numbers and response; None while unknown.

    Raises:
        OutcomesError: the file cannot be read, a column is missing, or no row belongs to a prompt.
    """
    path = Path(path)
    known: pd.Index[Any] = pd.Index(np.array(case_ids, dtype=object))
    seen: dict[str, npt.NDArray[np.int32]] = {}
    above = scored = 0
    for frame in _frames(path, _OUTCOME_COLUMNS):
        rows = _of_prompts(frame, known, tally)
        rows["error_kind"] = _error_kinds(frame.loc[rows.index], path)
        failed = rows["error_kind"].notna()
        score = _numbers(frame.loc[rows.index, "score"])
        above += int((score > 1).sum())
        scored += int(score.notna().sum())
        tally.unknown["scores"] += int((score.isna() & ~failed).sum())
        tally.clipped["scores outside [0, 1]"] += int(((score < 0) | (score > 1)).sum())
        tally.noted["failed calls"] += int(failed.sum())
        rows["score"] = score.clip(0, 1).where(~failed)
        for name in _NUMBERS:
            rows[name] = _amounts(frame.loc[rows.index], name, tally)
        rows["response"] = frame.loc[rows.index].get("response")
        rows["sample"] = _samples(frame.loc[rows.index], rows, known, seen, path, tally)
        tally.rows += len(rows)
        if len(rows):
            yield rows
    if not tally.rows:
        raise OutcomesError(f"{path}: no outcome belongs to a prompt; do the prompt_ids of both files agree?")
    if scored and above > _MOST_ABOVE_ONE * scored:
        raise OutcomesError(
            f"{path}: {above} of {scored} scores are above 1; a score is a share from 0 to 1: divide by the top of "
            "your scale first"
        )


def _of_prompts(frame: pd.DataFrame, known: pd.Index[Any], tally: Tally) -> pd.DataFrame:
    """The rows that name a model and a prompt that there is, with columns case_id and model."""
    ids, models = _texts(frame["prompt_id"]), _texts(frame["model"])
    named = ids.notna() & models.notna()
    there = ids.isin(known)
    tally.skipped["rows without prompt_id or model"] += int((~named).sum())
    tally.skipped["rows whose prompt_id is not in the prompts file"] += int((named & ~there).sum())
    kept = named & there
    return pd.DataFrame({"case_id": ids[kept], "model": models[kept]}, dtype=object)


def _error_kinds(frame: pd.DataFrame, path: Path) -> pd.Series[Any]:
    if "error_kind" not in frame.columns:
        return pd.Series(None, index=frame.index, dtype=object)
    kinds = _texts(frame["error_kind"])
    bad = kinds[kinds.notna() & ~kinds.isin(ERROR_KINDS)]
    if len(bad):
        raise OutcomesError(
            f"{path}: unknown error_kind {bad.iloc[0]!r}{nearest(bad.iloc[0], ERROR_KINDS)}; "
            f"known: {', '.join(ERROR_KINDS)}"
        )
    return kinds


def _amounts(frame: pd.DataFrame, name: str, tally: Tally) -> pd.Series[float]:
    values = _numbers(frame[name]) if name in frame.columns else pd.Series(np.nan, index=frame.index)
    tally.clipped[f"negative {name}, taken as unknown"] += int((values < 0).sum())
    values = values.where(~(values < 0))
    if name in ("cost_usd", "latency_s"):
        tally.unknown[name] += int(values.isna().sum())
    return values


def _samples(
    frame: pd.DataFrame,
    rows: pd.DataFrame,
    known: pd.Index[Any],
    seen: dict[str, npt.NDArray[np.int32]],
    path: Path,
    tally: Tally,
) -> pd.Series[int]:
    """Number of every row among those of its prompt and model, over all parts of the file."""
    if "sample" in frame.columns:
        given = _numbers(frame["sample"])
        if given.isna().any() or (given < 0).any() or (given % 1 != 0).any():
            raise OutcomesError(f"{path}: column `sample` must hold whole numbers from 0 on, or be left out")
        return given.astype(int)
    sample = rows.groupby(["case_id", "model"], sort=False).cumcount()
    for model, part in rows.groupby("model", sort=False):
        counts = seen.setdefault(str(model), np.zeros(len(known), dtype=np.int32))
        at = known.get_indexer(pd.Index(part["case_id"], dtype=object))
        sample.loc[part.index] += counts[at]
        np.add.at(counts, at, 1)
    tally.noted["rows that repeat a prompt and a model, taken as samples"] += int((sample > 0).sum())
    return sample


def _frames(path: Path, needed: Sequence[str]) -> Iterator[pd.DataFrame]:
    """The file part by part, the needed columns checked; an unreadable row is named where the reader can tell."""
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
    texts = ("prompt_id", "model", "prompt", "response", "reference", "category", "group", "error_kind", "split")
    absent = ["", "null", "NaN", "nan", "None"]
    return pd.read_csv(
        path,
        dtype=dict.fromkeys(texts, str),
        chunksize=_ROWS_AT_ONCE,
        encoding="utf-8-sig",
        keep_default_na=False,
        # A prompt may well be the word "null".
        na_values=dict.fromkeys((*_NUMBERS, "score", "weight", "sample"), absent),
    )


def _jsonl(path: Path) -> Iterator[pd.DataFrame]:
    # Only "\n" ends a record: texts hold other line separators.
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        rows = _records(path, file)
        while part := list(islice(rows, _ROWS_AT_ONCE)):
            yield pd.DataFrame(part)


def _records(path: Path, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
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


def _texts(values: pd.Series[Any]) -> pd.Series[Any]:
    """A column as texts, None where it is empty; whole numbers as people write them."""
    # As objects: on pandas' own text columns every look-up goes through Arrow, one value at a time.
    whole = pd.api.types.is_integer_dtype(values.dtype)
    objects = values.astype(str).astype(object) if whole else values.astype(object)
    if pd.api.types.is_string_dtype(values.dtype) or whole:
        return objects.where(values.notna() & (objects != ""), None)
    return objects.map(_text)


def _numbers(values: pd.Series[Any]) -> pd.Series[float]:
    """A column as numbers, NaN where it holds none; `True` and `False` are 1 and 0, also as texts."""
    if values.dtype == object or pd.api.types.is_string_dtype(values.dtype):
        words = values.map(lambda value: value.strip().casefold() if isinstance(value, str) else value)
        values = words.replace({"true": 1.0, "false": 0.0})
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    return numbers.where(np.isfinite(numbers))


def _text(value: Any) -> str | None:
    if value is None or value == "" or (not isinstance(value, str) and pd.isna(value)):
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _weight(value: Any, path: Path, number: int) -> float:
    if value is None or pd.isna(value):
        return 1.0
    try:
        weight = float(value)
    except (TypeError, ValueError):
        weight = -1.0
    if not 0 < weight < float("inf"):
        raise OutcomesError(f"{path}: row {number}: weight {value!r} is not a number above 0")
    return weight


def _split(value: Any, path: Path, number: int) -> Any:
    text = _text(value)
    if text not in (None, "train", "test"):
        raise OutcomesError(f"{path}: row {number}: split {text!r} is neither train nor test")
    return text
