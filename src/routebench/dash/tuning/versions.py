"""Kept versions beside the baselines, as a comparison: out of fold on the training half, or on test once it is open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from routebench.dash.tuning.state import Tuning
from routebench.dash.tuning.version import Version
from routebench.errors import InputError
from routebench.evaluate import Choices, Comparison, Outcomes, compare
from routebench.strategies import RulesFile, with_baselines
from routebench.strategies.base import Policy


def compare_versions(tuning: Tuning) -> Comparison:
    """Returns the kept versions beside the baselines.

    Where each of them was measured on the test half already, that half tells. Else the training half does, halved once
    more: what a version decides there is decided out of fold, its point was chosen on these very cases, and the suite
    is called so.

    Raises:
        InputError: no version was kept.
    """
    versions = tuning.versions
    if not versions:
        raise InputError("no version was kept; press `Save version`, or call save_version(), and compare again")
    study = tuning.learned
    if all(one.tuned is not None for one in versions):
        tested = [_Named(RulesFile(one.tuned.ruleset), one.name) for one in versions if one.tuned is not None]
        return compare(study.outcomes, with_baselines(tested, study.outcomes.models), seeds=[study.seed])
    train = replace(study.ground.train, suite=f"{study.outcomes.suite}, training half, out of fold")
    fixed = [_OutOfFold(one, train) for one in versions]
    found = compare(train, with_baselines(fixed, train.models), seeds=[study.seed])
    # No case of it is held out: points were chosen on these very ones.
    said = tuple(replace(one, text=one.text.replace("held-out cases", "training cases")) for one in found.readings)
    return replace(found, readings=said)


class _OutOfFold(Policy):
    """What a version decided of the training cases, by what was learned without them.

    Args:
        version: that was kept.
        train: the training half, all of it.
    """

    def __init__(self, version: Version, train: Outcomes) -> None:
        self.name = version.name
        self._choices = version.standing.choices
        self._places = {str(case_id): place for place, case_id in enumerate(train.cases.ids)}

    def peek(self, outcomes: Outcomes) -> Sequence[Choices]:
        """What was decided of these cases, by their ids."""
        at = np.array([self._places[str(case_id)] for case_id in outcomes.cases.ids], dtype=np.intp)
        return [self._choices.take(at)]


class _Named(RulesFile):
    """A rule set under the name of its version."""

    def __init__(self, rules: RulesFile, name: str) -> None:
        super().__init__(rules.ruleset)
        self.name = name
