"""Numbers with the texts that show them, and the words for differences; the same in every table."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import numpy as np

from routebench.dash.tables import BY_TEST, VERDICTS
from routebench.evaluate.paired import Difference, Verdict

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


def verdict_text(one: Difference) -> str:
    """Returns the word for a difference, with an arrow where it has a direction.

    Where the interval that is shown beside it says otherwise, the test that decided is named.
    """
    return _ARROWS.get(one.verdict, "") + _WORDS[one.verdict] + (BY_TEST if one.by_test_alone else "")


_WORDS: dict[Verdict, str] = {**VERDICTS, "too_few": TOO_FEW}


def unadjusted(one: Difference) -> Difference:
    """Returns a difference as if it had been the only one that was looked at."""
    return replace(one, p_adjusted=one.p_value, p_noninferior_adjusted=one.p_noninferior, ci95_simultaneous=None)
