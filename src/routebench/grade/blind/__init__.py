"""Grading by people who do not see whose answer it is: what is drawn, and what their words stand for."""

from __future__ import annotations

from routebench.grade.blind.drawing import draw, draw_batch
from routebench.grade.blind.units import Against, Kind, Units, find_units
from routebench.grade.blind.words import (
    PAIR_WORDS,
    SCALES,
    SKIP,
    Scale,
    grade_of,
    mirrored,
    preference,
    score_on,
    words_of,
)

__all__ = [
    "PAIR_WORDS",
    "SCALES",
    "SKIP",
    "Against",
    "Kind",
    "Scale",
    "Units",
    "draw",
    "draw_batch",
    "find_units",
    "grade_of",
    "mirrored",
    "preference",
    "score_on",
    "words_of",
]
