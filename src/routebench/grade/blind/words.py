"""The words that a person says of an answer or a pair, and what they are worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from routebench.grade.judge import PAIRWISE
from routebench.grade.pairwise import AS_GOOD, NO_WORSE
from routebench.store import BlindAnswer, BlindBatch, BlindItem
from routebench.types import Case

Scale = Literal["1-5", "0-9"]

SKIP = "skip"
"""Said of what a person cannot or does not want to judge; it counts nowhere."""
PAIR_WORDS: Mapping[str, float | None] = {
    "left": 1.0,
    "left_slightly": 1.0,
    "tie": AS_GOOD,
    "both_bad": AS_GOOD,
    "right_slightly": 0.0,
    "right": 0.0,
    SKIP: None,
}
"""Word -> how far the left answer is preferred. Slightly better is better: the judge knows no half steps either."""
SCALES: Mapping[str, tuple[int, int]] = {"1-5": (1, 5), "0-9": (0, 9)}
"""Scale -> its lowest and highest step, which are 0 and 1 as scores."""


def preference(word: str) -> float | None:
    """Returns 1 where the left answer is better, 0.5 where neither is, 0 where the right one is; None for a skip."""
    return PAIR_WORDS[word]


def score_on(scale: str, word: str) -> float | None:
    """Returns a step of a scale as a score in [0, 1]; None for a skip."""
    if word == SKIP:
        return None
    low, high = SCALES[scale]
    return (int(word) - low) / (high - low)


def words_of(batch: BlindBatch) -> tuple[str, ...]:
    """Returns what may be said of an item of a batch."""
    if batch.scale is None:
        return tuple(PAIR_WORDS)
    low, high = SCALES[batch.scale]
    return (*(str(step) for step in range(low, high + 1)), SKIP)


def mirrored(word: str) -> str:
    """Returns what the same person would say of the same pair with its sides swapped."""
    swapped = {"left": "right", "right": "left"}
    side, _, rest = word.partition("_")
    return "_".join(filter(None, (swapped.get(side, side), rest)))


def grade_of(batch: BlindBatch, item: BlindItem, word: str, case: Case) -> tuple[BlindAnswer, float | None] | None:
    """Returns the answer of which a word is a grade, with that grade; None where it says nothing about one answer.

    A score grades its answer. A pair grades an answer only against the reference of a case that a `pairwise` judge
    grades, and on its scale: 1 better, 0.5 as good, 0 worse, and with `verdict: no_worse` whether it is 0.5 or more.
    Which of two models is better is no grade of either.

    Args:
        batch: of which.
        item: what was shown; of a silent repeat the first word is the grade.
        word: what was said; empty where it was taken back.
        case: to which the answers are.
    """
    if item.first_place is not None or batch.opponent == "model":
        return None
    if batch.scale is not None:
        return item.left, score_on(batch.scale, word) if word else None
    if item.right is None or case.grader.name != PAIRWISE:
        return None
    answer, is_left = (item.left, True) if item.left.model is not None else (item.right, False)
    liked = preference(word) if word else None
    if liked is None:
        return answer, None
    score = liked if is_left else 1 - liked
    return answer, float(score >= AS_GOOD) if case.grader.options.get("verdict") == NO_WORSE else score
