"""What could be shown to a person: single answers, or pairs of answers to one case."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from routebench.grade.judge import JUDGE, JUDGING, PAIRWISE, as_text
from routebench.types import Case

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

Kind = Literal["score", "pairwise"]
Against = Literal["model", "reference"]

MIDDLE = (0.3, 0.7)
"""A judge's score in here says neither yes nor no."""
NEAR = 0.1
"""Two scores of a judge that differ by no more, a point of ten, do not tell which answer is better."""
_ROUNDING = 1e-9
_CHANGED = r"^[1-9]\d* of \d+ pairs changed"
_VOTES = r"votes from (\S+) to ([0-9.]+)"


@dataclass(frozen=True)
class Units:
    """What could be drawn, and what could not.

    Attributes:
        table: case_id, category, group_key, weight, and of both sides model, request_key and run_id (`one_model`, …,
            `other_model`, …; no other side for scores); `doubtful`: the judge cannot tell, or contradicts itself.
        opponent: `model` or `reference`; None for scores.
        counts: `drawable`, `doubtful`, and by reason what was left out: `identical`, `no_text`, `no_answer`,
            `no_reference`.
    """

    table: pd.DataFrame
    opponent: str | None
    counts: Mapping[str, int]


def find_units(
    showable: pd.DataFrame,
    kind: Kind,
    models: Sequence[str],
    cases: Iterable[Case],
    against: Against = "model",
) -> Units:
    """Finds what a person could be shown.

    Equal answers are no pair to look at: a tie without a look.

    Args:
        showable: as `read_showable` returns it.
        kind: single answers or pairs.
        models: in their order.
        cases: of the suite.
        against: what an answer is paired with: the case's `reference`, which is what a `pairwise` judge compares, or
            another `model`.
    """
    there = showable["status"] == "ok"
    kept = showable["mark"].notna()
    counts = {"no_answer": int((~there).sum()), "no_text": int((there & ~kept).sum())}
    rows = showable[there & kept].reset_index(drop=True)
    if kind == "score":
        table = _single(rows)
        opponent, same = None, np.zeros(len(table), dtype=bool)
    elif against == "reference":
        marks = {case.id: _mark(as_text(case.target)) for case in cases if case.target is not None}
        with_target = rows["case_id"].isin(list(marks))
        counts["no_reference"] = int((~with_target).sum())
        rows = rows[with_target].reset_index(drop=True)
        table = _single(rows)
        opponent, same = "reference", (rows["mark"] == rows["case_id"].map(marks)).to_numpy(dtype=bool)
    else:
        table, same = _pairs(rows, models)
        opponent = "model"
    table = table[~same].reset_index(drop=True)
    counts |= {
        "identical": int(same.sum()),
        "drawable": len(table),
        "doubtful": int(table["doubtful"].sum()),
    }
    return Units(table, opponent, counts)


_OF_CASE = ["case_id", "category", "group_key", "weight"]
_OF_SIDE = ["model", "request_key", "run_id"]


def _single(rows: pd.DataFrame) -> pd.DataFrame:
    table = rows[_OF_CASE].copy()
    for name in _OF_SIDE:
        table[f"one_{name}"] = rows[name]
    table["doubtful"] = _in_doubt(rows)
    return table


def _pairs(rows: pd.DataFrame, models: Sequence[str]) -> tuple[pd.DataFrame, npt.NDArray[np.bool_]]:
    import pandas as pd

    by_model = dict(list(rows.groupby("model", sort=False)))
    found = []
    keys = [*_OF_CASE, "grader"]
    for one, other in itertools.combinations([name for name in models if name in by_model], 2):
        found.append(by_model[one].merge(by_model[other], on=keys, suffixes=("", "_other")))
    columns = [*_OF_CASE, "doubtful", *(f"{side}_{name}" for side in ("one", "other") for name in _OF_SIDE)]
    if not found:
        return pd.DataFrame({name: [] for name in columns}).astype({"doubtful": bool}), np.zeros(0, dtype=bool)
    both = pd.concat(found, ignore_index=True)
    table = both[_OF_CASE].copy()
    for name in _OF_SIDE:
        table[f"one_{name}"], table[f"other_{name}"] = both[name], both[f"{name}_other"]
    gap = (both["score"] - both["score_other"]).abs().to_numpy()
    table["doubtful"] = both["grader"].isin(JUDGING).to_numpy() & ~(gap > NEAR + _ROUNDING)
    return table, (both["mark"] == both["mark_other"]).to_numpy(dtype=bool)


def _in_doubt(rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Where a judge left an answer unscored, said neither yes nor no, or its votes do not agree."""
    score, detail = rows["score"].to_numpy(dtype=float), rows["detail"].astype("string").fillna("")
    middle = ~((score < MIDDLE[0] - _ROUNDING) | (score > MIDDLE[1] + _ROUNDING))
    votes = detail.str.extract(_VOTES)
    split = votes[0].notna() & (votes[0] != votes[1])
    by_score = (rows["grader"] == JUDGE).to_numpy() & (middle | split.to_numpy(dtype=bool))
    flipped = detail.str.contains(_CHANGED).to_numpy(dtype=bool)
    return by_score | ((rows["grader"] == PAIRWISE).to_numpy() & (middle | flipped))


def _mark(text: str) -> str:
    """The digest under which the store tells equal texts."""
    return hashlib.md5(text.strip(" \t\r\n").encode(), usedforsecurity=False).hexdigest()
