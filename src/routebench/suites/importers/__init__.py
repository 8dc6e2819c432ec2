"""Outcomes and suites that others made."""

from __future__ import annotations

from routebench.suites.importers.outcomes import GRADER, Tally, read_outcomes, read_prompts

__all__ = ["GRADER", "Tally", "read_outcomes", "read_prompts"]
