"""Bringing grades from elsewhere to answers that a store holds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from routebench.errors import OutcomesError
from routebench.importing.told import ImportedGrades, count_lines
from routebench.store import PEOPLE, Store, add_ratings, read_cases, read_places
from routebench.suites.importers import Tally, read_grades

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_UNNAMED = "unnamed"
"""The rater of grades whose table names none."""


def import_grades(store: Store, suite: str, path: str | Path, at: datetime) -> ImportedGrades:
    """Reads a table of grades for answers that the store holds; calls no model.

    A row without a grader is what a person said: it is kept under `human#<rater>`, and the mean of all people under
    `human`. A row with one is a score of that grader, worked out elsewhere.

    Args:
        store: where the answers are.
        suite: the suite's name.
        path: prompt_id, model, score; optional sample, rater, grader, detail.
        at: when the grades are said to be from.

    Raises:
        OutcomesError: the file cannot be used, or none of its rows grades an answer; the store is as it was.
        StoreError: the store holds no such suite.
    """
    import pandas as pd

    tally = Tally()
    given = pd.concat(read_grades(path, tally), ignore_index=True)
    rows = _placed(given, read_places(store, suite), tally)
    if rows.empty:
        read_cases(store, suite)
        reasons = "; ".join(count_lines(tally))
        raise OutcomesError(f"{path}: no row grades an answer of suite {suite!r} ({reasons}); nothing was written")
    person = rows["grader"].isna()
    rows["rater"] = rows["rater"].where(~person | rows["rater"].notna(), _UNNAMED)
    # Of a grader of the suite, the key under which its cases look for it, options included.
    own = ~person & (rows["grader"] == rows["primary_grader"].str.split("#").str[0])
    rows["grader"] = rows["grader"].where(~own, rows["primary_grader"])
    rows["grader"] = rows["grader"].where(~person, f"{PEOPLE}#" + rows["rater"].astype(str))
    key = ["case_id", "request_key", "run_id", "grader"]
    tally.noted["rows that an other row of the same answer and rater replaces"] += int(
        rows.duplicated(key, keep="last").sum()
    )
    rows = rows.drop_duplicates(key, keep="last")
    added = add_ratings(store, _as_table(suite, at, rows))
    raters = sorted(set(rows["rater"][rows["grader"].str.startswith(f"{PEOPLE}#")]))
    graders = sorted({key.split("#")[0] for key in rows["grader"]} - {PEOPLE})
    return ImportedGrades(len(rows), tuple(raters), tuple(graders), added, tally)


def _placed(given: pd.DataFrame, places: pd.DataFrame, tally: Tally) -> pd.DataFrame:
    """The grades of answers that there are, with the keys of those; the others are counted by reason."""
    rows = given.merge(places, how="left", on=["case_id", "model", "sample"])
    known = {name: rows[name].isin(set(places[name])) for name in ("case_id", "model")}
    there = rows["status"] == "ok"
    reasons = (
        ("rows whose prompt_id is not in the suite", ~known["case_id"]),
        ("rows whose model has no cells in the suite", known["case_id"] & ~known["model"]),
        ("rows without an answer in the store", known["case_id"] & known["model"] & ~there),
    )
    for reason, which in reasons:
        tally.skipped[reason] += int(which.sum())
    return rows[there].copy()


def _as_table(suite: str, at: datetime, rows: pd.DataFrame) -> pa.Table:
    import pyarrow as pa

    texts = ("case_id", "request_key", "run_id", "grader", "detail", "rater")
    return pa.table(
        {
            **{name: pa.array(rows[name], pa.string(), from_pandas=True) for name in texts},
            "suite": pa.array([suite] * len(rows), pa.string()),
            "score": pa.array(rows["score"], pa.float64()),
            "told_at": pa.array([at.astimezone(UTC).replace(tzinfo=None)] * len(rows), pa.timestamp("us")),
        }
    )
