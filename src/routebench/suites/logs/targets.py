"""How a case of a log is graded when nobody said so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)*%?")
_MOST_CHOICES = 20
_MOST_WORDS = 4


def grader_of(target: Any, told: Sequence[str], incumbent: str) -> str | dict[str, Any]:
    """Returns the grader of a suite row.

    Args:
        target: the right answer, None where the log tells none.
        told: the targets in texts of all cases.
        incumbent: the model whose answer stands as the reference.

    Returns:
        `numeric` for a number, `choice` for one of a few short words that come again, `json_schema` for an object,
        `exact` for other texts; without a target the blind pairwise judge.
    """
    if target is None:
        return {"name": "pairwise", "verdict": "no_worse", "incumbent": incumbent}
    if isinstance(target, dict):
        return "json_schema"
    if isinstance(target, (int, float)) or (isinstance(target, str) and _NUMBER.fullmatch(target.strip())):
        return "numeric"
    if isinstance(target, str):
        words = sorted({one for one in told if len(one.split()) <= _MOST_WORDS and not _NUMBER.fullmatch(one.strip())})
        if target in words and len(words) <= _MOST_CHOICES and told.count(target) > 1:
            return {"name": "choice", "choices": [one for one in words if told.count(one) > 1]}
    return "exact"
