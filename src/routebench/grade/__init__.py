"""Answers into numbers."""

from __future__ import annotations

from routebench.grade.graders import GRADERS, Grader, check_graders, grade

__all__ = ["GRADERS", "Grader", "check_graders", "grade"]
