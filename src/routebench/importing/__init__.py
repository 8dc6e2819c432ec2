"""Bringing outcomes, logs and grades from elsewhere into a store."""

from __future__ import annotations

from routebench.importing.answers import import_answers
from routebench.importing.grades import import_grades
from routebench.importing.outcomes import import_outcomes
from routebench.importing.told import Imported, ImportedGrades

__all__ = ["Imported", "ImportedGrades", "import_answers", "import_grades", "import_outcomes"]
