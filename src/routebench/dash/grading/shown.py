"""What stands before a person who grades, how far they are, and why there may be nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SHOWN_CHARACTERS = 20_000
"""Of a text in the page; the whole of it is in Python."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What stands before the person: nothing here tells whose answer it is, what it cost, or what a judge said.

    Attributes:
        place: from 0 on.
        reference: None where there is none, or where it is one of the two sides.
        right: None where single answers are scored.
    """

    place: int
    prompt: str
    left: str
    right: str | None
    reference: str | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the person is.

    Attributes:
        left_s: seconds that the rest will take at the recent pace; None while unknown.
    """

    total: int
    done: int
    ties: int
    skipped: int
    left_s: float | None


def why_nothing(counts: Mapping[str, int], suite: str, kind: str, models: Sequence[str]) -> str:
    """Returns why there is nothing to show, and what helps.

    Args:
        counts: of a batch without an item.
        suite: whose answers.
        kind: `score` or `pairwise`.
        models: whose answers may be shown.
    """
    if counts.get("no_text"):
        return (
            f"of {counts['no_text']} answers of suite {suite!r} no text is kept, and blind grading shows texts; keep "
            "them (`store: {text: redacted}`) and ask again with cache='refresh', or import the column `response` too"
        )
    if counts.get("identical"):
        return f"no pairs with different answers (identical {counts['identical']}); give other models, or kind='score'"
    if kind == "pairwise" and len(models) < 2 and not counts.get("no_reference"):
        return "pairs take two models, and here is one; add a second model, or grade with kind='score'"
    if counts.get("no_reference"):
        return "no case has a reference to compare with; give against='model', or kind='score'"
    return f"suite {suite!r} has no answers yet; run it first: bench.run().wait()"
