"""Grading by people who do not see whose answer it is: what is shown, what was said, and what that amounts to."""

from __future__ import annotations

from routebench.dash.grading.opening import grader
from routebench.dash.grading.panel import GraderPanel

__all__ = ["GraderPanel", "grader"]
