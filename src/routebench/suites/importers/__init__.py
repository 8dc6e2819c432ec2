"""Outcomes and suites that others made."""

from __future__ import annotations

from routebench.suites.importers.answers import Answer, Format, Read
from routebench.suites.importers.decisions import (
    RecordedDecision,
    RecordedDecisions,
    RunningRouter,
    decision_line,
    read_decisions,
    router_line,
)
from routebench.suites.importers.frames import Tally
from routebench.suites.importers.grades import read_grades
from routebench.suites.importers.outcomes import GRADER, read_outcomes, read_prompts

__all__ = [
    "GRADER",
    "Answer",
    "Format",
    "Read",
    "RecordedDecision",
    "RecordedDecisions",
    "RunningRouter",
    "Tally",
    "decision_line",
    "read_decisions",
    "read_grades",
    "read_outcomes",
    "read_prompts",
    "router_line",
]
