"""What would spoil a measurement on a suite, and how to mend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from routebench.suites.duplicates import Duplicates


@dataclass(frozen=True, slots=True)
class Danger:
    """A sentence, and the mend; `is_leak` where numbers measured on the suite are wrong already."""

    what: str
    mend: str
    is_leak: bool = False


def dangers(groups: Sequence[Duplicates]) -> list[Danger]:
    """Returns what groups of near-duplicates do to a measurement, the worst first."""
    found = []
    leaks = [one for one in groups if one.danger == "leak"]
    if leaks:
        what = (
            f"LEAK: {_groups(leaks)} on both sides of the suite's split, such as {_named(leaks[0])}: what is learned "
            "from one half is tested on itself."
        )
        found.append(Danger(what, "Put each group on one side, or take all but one of its cases out.", is_leak=True))
    torn = [one for one in groups if one.danger == "torn"]
    if torn:
        what = (
            f"{_groups(torn)} in no common `group`, such as {_named(torn[0])}: a split can train on one and test on "
            "the other."
        )
        mend = "Give the cases of a group one `group` in the suite file, or take all but one of them out."
        found.append(Danger(what, mend))
    contradictions = [one for one in groups if one.is_contradiction]
    if contradictions:
        what = f"{_groups(contradictions)} graded by different targets, such as {_named(contradictions[0])}."
        mend = "Look at them: questions that only look alike are fine, one question with two right answers is not."
        found.append(Danger(what, mend))
    return found


def _groups(some: Sequence[Duplicates]) -> str:
    n_cases = sum(len(one.case_ids) for one in some)
    if len(some) == 1:
        return f"1 group of near-duplicates ({n_cases} cases) is"
    return f"{len(some):,} groups of near-duplicates ({n_cases:,} cases) are"


def _named(one: Duplicates) -> str:
    return " and ".join(one.case_ids[:2])
