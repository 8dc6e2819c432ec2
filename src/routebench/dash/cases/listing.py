"""The table of cases on which strategies differ: its columns depend on who is held beside whom."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from routebench.dash.cases.differing import HARM, PROMPT, SAVED, STAKES, WEIGHT, model_column, score_column
from routebench.dash.figures import Figure, figure_text
from routebench.dash.format import money
from routebench.dash.parts import Column
from routebench.dash.tables import shown_name

CASE = "case"


def case_columns(names: Sequence[str], frame: pd.DataFrame, titles: Sequence[str] = ()) -> list[Column]:
    """Returns the columns for strategies side by side; what no case has is left out.

    Args:
        names: the first is what the others are held against.
        frame: as `case_rows` makes it.
        titles: of the strategies' columns; their names when left out.
    """
    heads = titles or [shown_name(name) for name in names]
    against = heads[0]
    beside = [
        Column(_column(place), head, "left", figure_text, "score of the answer, and who gave it")
        for place, head in enumerate(heads)
    ]
    columns = [
        Column(CASE, "case"),
        Column("category", "category"),
        Column(HARM, "harm", "right", _harm, f"loss of score against {against}, times the requests a case stands for"),
        *beside,
        Column(SAVED, "saves per 1,000", "right", _saved, f"what 1,000 such requests cost less than with {against}"),
        Column(WEIGHT, "weight", "right", lambda value: f"{value:g}", "requests that the case stands for"),
        Column(STAKES, "stakes", "right", money, "what a wrong answer costs"),
        Column(PROMPT, "prompt", help="the beginning of what was asked"),
    ]
    return [column for column in columns if column.name in frame]


def case_rows(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Returns the rows of the table from those of `cases.differing` with prompts."""
    made = frame.assign(**{CASE: pd.Series(frame.index, index=frame.index, dtype=object)})
    for place in range(len(names)):
        scores, models = frame[score_column(place)].tolist(), frame[model_column(place)].tolist()
        cells = [Figure(score, f"{score:.2g} · {model}") for score, model in zip(scores, models, strict=True)]
        made[_column(place)] = pd.Series(cells, index=frame.index, dtype=object)
    absent = [name for name in (SAVED, STAKES) if frame[name].isna().all()]
    absent += [name for name in ("category", PROMPT) if name in frame and not frame[name].astype(bool).any()]
    if not len(frame) or (frame[WEIGHT] == frame[WEIGHT].iloc[0]).all():
        absent.append(WEIGHT)
    return made.drop(columns=absent)


def _column(place: int) -> str:
    return f"beside_{place}"


def _harm(value: float) -> str:
    return f"▼ {value:.2g}" if value > 0 else f"▲ {-value:.2g}" if value < 0 else "0"


def _saved(value: float) -> str:
    return money(value) if value >= 0 else f"-{money(-value)}"
