"""Grades from a table: what people said about answers, or scores that were worked out elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from routebench.errors import OutcomesError
from routebench.suites.importers.frames import Tally, frames, numbers, texts

_COLUMNS = ("prompt_id", "model", "score")


def read_grades(path: str | Path, tally: Tally) -> Iterator[pd.DataFrame]:
    """Reads grades part by part.

    Args:
        path: prompt_id, model, score; optional sample (0 when left out), rater, grader, detail.
        tally: counts what had to be skipped or clipped.

    Yields:
        Frames with columns case_id, model, sample, score, rater, grader and detail; None while unknown.

    Raises:
        OutcomesError: the file cannot be read, a column is missing, or it holds no grade.
    """
    path = Path(path)
    scored = above = 0
    for frame in frames(path, _COLUMNS):
        rows = pd.DataFrame({"case_id": texts(frame["prompt_id"]), "model": texts(frame["model"])}, dtype=object)
        for name in ("rater", "grader", "detail"):
            rows[name] = texts(frame[name]) if name in frame.columns else None
        rows["sample"] = _samples(frame, path)
        score = numbers(frame["score"])
        named = rows["case_id"].notna() & rows["model"].notna()
        tally.skipped["rows without prompt_id or model"] += int((~named).sum())
        tally.skipped["rows without a score"] += int((named & score.isna()).sum())
        tally.clipped["scores outside [0, 1]"] += int((named & ((score < 0) | (score > 1))).sum())
        rows["score"] = score.clip(0, 1)
        kept = named & score.notna()
        scored += int(kept.sum())
        above += int((kept & (score > 1)).sum())
        yield rows[kept]
    if not scored:
        raise OutcomesError(f"{path}: holds no grade; a row needs prompt_id, model and a score from 0 to 1")
    if 2 * above > scored:
        raise OutcomesError(
            f"{path}: {above} of {scored} scores are above 1; a score is a share from 0 to 1: divide by the top of "
            "your scale first"
        )


def _samples(frame: pd.DataFrame, path: Path) -> pd.Series[int]:
    if "sample" not in frame.columns:
        return pd.Series(0, index=frame.index)
    given = numbers(frame["sample"]).fillna(0.0)
    if (given < 0).any() or (given % 1 != 0).any():
        raise OutcomesError(f"{path}: column `sample` must hold whole numbers from 0 on, or be left out")
    return given.astype(int)
