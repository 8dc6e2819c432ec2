"""Cases of one suite that ask nearly the same, and what that does to a split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from routebench.messages import spoken
from routebench.suites.logs.similar import same_texts, similarity
from routebench.suites.suite import canonical_json
from routebench.types import Case

Danger = Literal["leak", "torn", "none"]
"""On both sides of the suite's own split; in no common group, so that a split can put them there; neither."""


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Cases that ask nearly the same.

    Attributes:
        case_ids: in the order of the suite.
        similarity: share of word triples that the least similar of them has in common with the first.
        danger: what a split makes of them.
        is_contradiction: whether they have different targets, or are graded otherwise.
    """

    case_ids: tuple[str, ...]
    similarity: float
    danger: Danger
    is_contradiction: bool


def find_duplicates(cases: Sequence[Case]) -> tuple[Duplicates, ...]:
    """Returns the groups of cases whose conversations say nearly the same, leaks first and then the largest.

    12,000 cases take some seconds. Cases without a text, such as purged ones, are like none.

    Args:
        cases: of one suite.
    """
    read = [(case, "\n".join(spoken(message) for message in case.request.messages)) for case in cases]
    told = [(case, text) for case, text in read if text.strip()]
    texts = [text for _, text in told]
    members: defaultdict[int, list[int]] = defaultdict(list)
    for place, first in enumerate(same_texts(texts)):
        members[int(first)].append(place)
    found = [_group([told[place] for place in places]) for places in members.values() if len(places) > 1]
    return tuple(sorted(found, key=lambda one: (_ORDER[one.danger], -len(one.case_ids))))


_ORDER: dict[Danger, int] = {"leak": 0, "torn": 1, "none": 2}


def _group(members: Sequence[tuple[Case, str]]) -> Duplicates:
    cases = [case for case, _ in members]
    first = members[0][1]
    return Duplicates(
        tuple(case.id for case in cases),
        min(similarity(first, text) for _, text in members[1:]),
        _danger(cases),
        len({canonical_json([case.target, case.grader.name, case.grader.options]) for case in cases}) > 1,
    )


def _danger(cases: Sequence[Case]) -> Danger:
    splits = {case.split for case in cases}
    if len(splits) > 1 and splits != {None}:
        return "leak"
    groups = {case.group for case in cases}
    # Rows that a suite has fixed to one side are never split, whatever their groups.
    return "none" if splits != {None} or (len(groups) == 1 and None not in groups) else "torn"
