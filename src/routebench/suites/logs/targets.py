"""How a case of a log is graded when nobody said so."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)*%?")
_DAY = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}")
_MOST_CHOICES = 20
_MOST_WORDS = 4


def choices_of(targets: Iterable[Any]) -> Sequence[str]:
    """Returns the few short words that come again among the targets of all cases; none where they are many."""
    told = Counter(one for one in targets if isinstance(one, str))
    words = [one for one in told if len(one.split()) <= _MOST_WORDS and not _is_amount(one.strip())]
    return sorted(one for one in words if told[one] > 1) if len(words) <= _MOST_CHOICES else ()


def grader_of(target: Any, choices: Sequence[str], incumbent: str) -> str | dict[str, Any]:
    """Returns the grader of a suite row.

    Args:
        target: the right answer, None where the log tells none.
        choices: what `choices_of` finds in the targets of all cases.
        incumbent: the model whose answer stands as the reference.

    Returns:
        `numeric` for a number, `choice` for one of a few short words that come again, `json_schema` for an object,
        `exact` for everything else; without a target the blind pairwise judge.
    """
    if target is None:
        return {"name": "pairwise", "verdict": "no_worse", "incumbent": incumbent}
    if isinstance(target, dict):
        return "json_schema"
    if isinstance(target, bool):
        return "exact"
    if isinstance(target, (int, float)) or (isinstance(target, str) and _NUMBER.fullmatch(target.strip())):
        return "numeric"
    if target in choices:
        return {"name": "choice", "choices": list(choices)}
    return "exact"


def _is_amount(text: str) -> bool:
    """Whether a text is a number or a day: one that comes twice is no label for that."""
    return bool(_NUMBER.fullmatch(text) or _DAY.fullmatch(text))
