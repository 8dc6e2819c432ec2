"""Answers into numbers."""

from __future__ import annotations

from routebench.grade.filing import Filing, check_privacy
from routebench.grade.graders import GRADERS, Grader, check_graders, grade
from routebench.grade.grading import grade_answers
from routebench.grade.judge import JUDGING, check_judges
from routebench.grade.judging import Judging
from routebench.grade.pairwise import flip_rate

__all__ = [
    "GRADERS",
    "JUDGING",
    "Filing",
    "Grader",
    "Judging",
    "check_graders",
    "check_judges",
    "check_privacy",
    "flip_rate",
    "grade",
    "grade_answers",
]
