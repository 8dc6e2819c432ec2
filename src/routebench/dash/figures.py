"""Numbers with the texts that show them, and the words for differences; the same in every table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import pandas as pd

from routebench.dash.format import UNKNOWN
from routebench.dash.parts import Column, Numbers
from routebench.dash.tables import VERDICTS
from routebench.evaluate.paired import Difference, Verdict
from routebench.evaluate.slices import MIN_CASES

TOO_FEW = "too few to decide"
_ARROWS = {"better": "▲ ", "worse": "▼ "}


class Figure(float):
    """A number with the text that shows it; it sorts, and is copied, as the number."""

    text: str

    def __new__(cls, value: float | None, text: str) -> Self:
        """An unknown number is NaN, and shows as such."""
        made = super().__new__(cls, np.nan if value is None else value)
        made.text = text
        return made


def figure_text(value: Figure) -> str:
    """Returns the text that shows a figure."""
    return value.text


def verdict_text(one: Difference, n: int, *, adjusted: bool = True) -> str:
    """Returns the word for a difference, with an arrow where it has a direction.

    Args:
        one: the difference.
        n: cases that it rests on; of fewer than 30 nothing is said.
        adjusted: whether the word allows for the family of comparisons.
    """
    if n < MIN_CASES:
        return TOO_FEW
    verdict = one.verdict if adjusted else unadjusted(one).verdict
    return _ARROWS.get(verdict, "") + _WORDS[verdict]


_WORDS: dict[Verdict, str] = {**VERDICTS, "too_few": TOO_FEW}


def unadjusted(one: Difference) -> Difference:
    """Returns a difference as if it had been the only one that was looked at."""
    return replace(one, p_adjusted=one.p_value, p_noninferior_adjusted=one.p_noninferior, ci95_simultaneous=None)


def numbers_of(caption: str, columns: Sequence[Column], frame: pd.DataFrame) -> Numbers:
    """Returns the rows of a table as finished texts, for where there is no widget.

    Args:
        caption: what it tells.
        columns: as of the table.
        frame: has them by name.
    """
    shown = [[_cell(column, value) for value in frame[column.name].tolist()] for column in columns]
    return Numbers(caption, [column.title for column in columns], list(zip(*shown, strict=True)))


def _cell(column: Column, value: Any) -> str:
    return UNKNOWN if value is None or (isinstance(value, float) and np.isnan(value)) else column.show(value)
