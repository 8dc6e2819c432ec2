"""What callers say of their requests and rules read: tags, and what no trace tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from routebench.drifting.expected import Expected
from routebench.drifting.figures import share_row, side_of
from routebench.drifting.row import Row
from routebench.drifting.served import Served
from routebench.drifting.side import Side
from routebench.rules import RuleSet
from routebench.rules.conditions.parts import parts_of

WITH_TAG = "with the tag "
_METADATA, _PACE = "metadata.", "budget_pace"


def tag_rows(served: Served, expected: Expected, ruleset: RuleSet, bound: float) -> Iterator[Row]:
    """Yields the share of requests with each tag that the rules read: clients may send others than the cases have.

    Args:
        served: requests that one policy decided.
        expected: the cases.
        ruleset: that policy.
        bound: the difference of shares that does not matter.
    """
    if "tags" not in served.frame:
        return
    told = served.frame["tags"].to_numpy(dtype=object)
    known = np.array([one is not None for one in told], dtype=bool)
    for tag in tags_read(ruleset):
        ours = np.array([one is not None and tag in one for one in told], dtype=bool)
        theirs = np.array([tag in request.tags for request in expected.outcomes.requests], dtype=float)
        beside = Side.of(theirs, expected.groups, expected.weight)
        if ours.any() or theirs.any():
            yield share_row("inputs", f"{WITH_TAG}{tag}", side_of(served, ours, known), beside, bound)


def tags_read(ruleset: RuleSet) -> tuple[str, ...]:
    """Returns the tags that rules and guards ask for, each once."""
    asked = [part["tag"] for part in _parts(ruleset) if part.get("tag") is not None]
    return tuple(dict.fromkeys(tag for one in asked for tag in ((one,) if isinstance(one, str) else one)))


def untold(ruleset: RuleSet) -> tuple[str, ...]:
    """Returns what rules and guards ask for of which traces tell nothing, such as `metadata.tenant`."""
    names = [name for part in _parts(ruleset) for name in part if name.startswith(_METADATA) or name == _PACE]
    return tuple(dict.fromkeys(names))


def _parts(ruleset: RuleSet) -> Iterator[Mapping[str, Any]]:
    whens = [*(guard.when for guard in ruleset.guards), *(rule.when for rule in ruleset.rules)]
    for when in whens:
        yield from parts_of(when)
