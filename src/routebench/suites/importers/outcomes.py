"""The interchange format: one file of prompts, one file of outcomes, as Parquet, CSV or JSON Lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from routebench.errors import OutcomesError, nearest
from routebench.suites.importers.frames import NUMBERS, Tally, frames, numbers, text_or_none, texts
from routebench.types import ERROR_KINDS, Case, GraderSpec, Request

_OUTCOME_COLUMNS = ("prompt_id", "model", "score")
_PROMPT_COLUMNS = ("prompt_id", "prompt")
_MOST_ABOVE_ONE, _MOST_FROM_TWO = 0.5, 0.05
"""With a larger share of scores above 1, or from 2 on, they are on another scale, and clipping would destroy them."""
GRADER = "imported"
"""What the grader of imported scores is called."""


def read_prompts(path: str | Path) -> list[Case]:
    """Reads the prompts: prompt_id, prompt; optional category, reference, group, weight, split.

    Raises:
        OutcomesError: the file cannot be read, a column is missing, an id stands for two prompts, or a value cannot be
            what its column says; the row is named.
    """
    path = Path(path)
    cases: dict[str, Case] = {}
    number = 0
    for frame in frames(path, _PROMPT_COLUMNS):
        for record in frame.to_dict("records"):
            number += 1
            case_id, prompt = text_or_none(record.get("prompt_id")), text_or_none(record.get("prompt"))
            if case_id is None or prompt is None:
                raise OutcomesError(f"{path}: row {number}: prompt_id or prompt is empty; fill it in or drop the row")
            case = Case(
                case_id,
                Request(messages=({"role": "user", "content": prompt},)),
                target=text_or_none(record.get("reference")),
                grader=GraderSpec(GRADER),
                category=text_or_none(record.get("category")),
                group=text_or_none(record.get("group")),
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
    above = scored = doubled = 0
    for frame in frames(path, _OUTCOME_COLUMNS):
        rows = _of_prompts(frame, known, tally)
        rows["error_kind"] = _error_kinds(frame.loc[rows.index], path)
        failed = rows["error_kind"].notna()
        score = numbers(frame.loc[rows.index, "score"])
        above += int((score > 1).sum())
        doubled += int((score >= 2).sum())
        scored += int(score.notna().sum())
        tally.unknown["scores"] += int((score.isna() & ~failed).sum())
        tally.clipped["scores outside [0, 1]"] += int(((score < 0) | (score > 1)).sum())
        tally.noted["failed calls"] += int(failed.sum())
        rows["score"] = score.clip(0, 1).where(~failed)
        for name in NUMBERS:
            rows[name] = _amounts(frame.loc[rows.index], name, tally)
        rows["response"] = frame.loc[rows.index].get("response")
        rows["sample"] = _samples(frame.loc[rows.index], rows, known, seen, path, tally)
        tally.rows += len(rows)
        if len(rows):
            yield rows
    if not tally.rows:
        raise OutcomesError(f"{path}: no outcome belongs to a prompt; do the prompt_ids of both files agree?")
    if above > _MOST_ABOVE_ONE * scored or doubled > _MOST_FROM_TWO * scored:
        raise OutcomesError(
            f"{path}: {above} of {scored} scores are above 1; a score is a share from 0 to 1: divide by the top of "
            "your scale first"
        )


def _of_prompts(frame: pd.DataFrame, known: pd.Index[Any], tally: Tally) -> pd.DataFrame:
    """The rows that name a model and a prompt that there is, with columns case_id and model."""
    ids, models = texts(frame["prompt_id"]), texts(frame["model"])
    named = ids.notna() & models.notna()
    there = ids.isin(known)
    tally.skipped["rows without prompt_id or model"] += int((~named).sum())
    tally.skipped["rows whose prompt_id is not in the prompts file"] += int((named & ~there).sum())
    kept = named & there
    return pd.DataFrame({"case_id": ids[kept], "model": models[kept]}, dtype=object)


def _error_kinds(frame: pd.DataFrame, path: Path) -> pd.Series[Any]:
    if "error_kind" not in frame.columns:
        return pd.Series(None, index=frame.index, dtype=object)
    kinds = texts(frame["error_kind"])
    bad = kinds[kinds.notna() & ~kinds.isin(ERROR_KINDS)]
    if len(bad):
        raise OutcomesError(
            f"{path}: unknown error_kind {bad.iloc[0]!r}{nearest(bad.iloc[0], ERROR_KINDS)}; "
            f"known: {', '.join(ERROR_KINDS)}"
        )
    return kinds


def _amounts(frame: pd.DataFrame, name: str, tally: Tally) -> pd.Series[float]:
    values = numbers(frame[name]) if name in frame.columns else pd.Series(np.nan, index=frame.index)
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
        given = numbers(frame["sample"])
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
    text = text_or_none(value)
    if text not in (None, "train", "test"):
        raise OutcomesError(f"{path}: row {number}: split {text!r} is neither train nor test")
    return text
