"""What an import held, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from routebench.store import Added
from routebench.suites.importers import Tally


@dataclass(frozen=True, slots=True)
class Imported:
    """What two files held, and what became of it.

    Attributes:
        n_cases: prompts.
        n_outcomes: rows that were taken.
        models: in the order of their first appearance.
        answers: which of the rows were new, and which said something else than before.
        scores: the same of their scores.
        tally: what had to be skipped, clipped or left unknown.
    """

    n_cases: int
    n_outcomes: int
    models: tuple[str, ...]
    answers: Added
    scores: Added
    tally: Tally

    def as_dict(self) -> dict[str, Any]:
        """The JSON form of the summary."""
        return {
            "n_cases": self.n_cases,
            "n_outcomes": self.n_outcomes,
            "models": list(self.models),
            "n_new": self.answers.new,
            "n_changed": max(self.answers.changed, self.scores.changed),
            **{name: dict(counts) for name, counts in _counts(self.tally)},
        }

    def __str__(self) -> str:
        lines = [f"{self.n_outcomes} outcomes of {self.n_cases} prompts x {len(self.models)} models"]
        changed = max(self.answers.changed, self.scores.changed)
        if self.answers.new != self.n_outcomes:
            kept = self.n_outcomes - self.answers.new - changed
            lines[0] += f": {self.answers.new} new, {changed} changed, {kept} as they were"
        return "\n".join([*lines, *count_lines(self.tally)])


@dataclass(frozen=True, slots=True)
class ImportedGrades:
    """What a table of grades held, and what became of it.

    Attributes:
        n_grades: rows that were taken.
        raters: the people, sorted.
        graders: graders whose scores were worked out elsewhere, sorted.
        grades: which of the rows were new, and which said something else than before.
        tally: what had to be skipped or clipped.
    """

    n_grades: int
    raters: tuple[str, ...]
    graders: tuple[str, ...]
    grades: Added
    tally: Tally

    def as_dict(self) -> dict[str, Any]:
        """The JSON form of the summary."""
        return {
            "n_grades": self.n_grades,
            "raters": list(self.raters),
            "graders": list(self.graders),
            "n_new": self.grades.new,
            "n_changed": self.grades.changed,
            **{name: dict(counts) for name, counts in _counts(self.tally)},
        }

    def __str__(self) -> str:
        kept = self.n_grades - self.grades.new - self.grades.changed
        by = [*(f"by {rater}" for rater in self.raters), *(f"of grader {grader}" for grader in self.graders)]
        line = f"{self.n_grades} grades {', '.join(by)}: {self.grades.new} new, {self.grades.changed} changed, {kept} "
        return "\n".join([f"{line}as they were", *count_lines(self.tally)])


def _counts(tally: Tally) -> list[tuple[str, Mapping[str, int]]]:
    """Only what there is of each: a reason that never occurred is no news."""
    named = (
        ("skipped", tally.skipped),
        ("clipped", tally.clipped),
        ("unknown", tally.unknown),
        ("noted", tally.noted),
    )
    return [(name, {reason: count for reason, count in counts.items() if count}) for name, counts in named]


def count_lines(tally: Tally) -> list[str]:
    """Returns one line a reason: `skipped: 3 rows without a model`, `latency_s missing in 60 of 60 rows`."""
    return [
        f"{reason} missing in {count} of {tally.rows} rows" if name == "unknown" else f"{name}: {count} {reason}"
        for name, counts in _counts(tally)
        for reason, count in counts.items()
    ]
