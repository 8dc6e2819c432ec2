"""Outcomes and suites that others made."""

from __future__ import annotations

from routebench.suites.importers.outcomes import ImportedOutcome, ImportedOutcomes, read_outcome_files

__all__ = ["ImportedOutcome", "ImportedOutcomes", "read_outcome_files"]
