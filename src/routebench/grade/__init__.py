"""Answers into numbers."""

from __future__ import annotations

from routebench.grade.graders import GRADERS, Grader, check_graders, grade
from routebench.grade.grading import Judging, grade_answers
from routebench.grade.judge import check_judges

__all__ = [
    "GRADERS",
    "Grader",
    "Judging",
    "check_graders",
    "check_judges",
    "grade",
    "grade_answers",
]
