"""What is measured on the held-out half: a setting, and the policy that it came to when that was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from routebench.dash.tuning.setting import Setting
from routebench.dash.tuning.state import Tuning
from routebench.tune import Constraints, Found, Study


@dataclass(frozen=True, eq=False)
class Candidate:
    """A setting at one moment; what is learned afterwards makes another one of it.

    Attributes:
        setting: what is asked, and what was picked.
        study: what was learned by then.
        found: what the setting came to.
        asked: as tuning takes it.
    """

    setting: Setting
    study: Study
    found: Found
    asked: Constraints

    @classmethod
    def of(cls, tuning: Tuning) -> Candidate:
        """Takes the setting as it is."""
        return cls(tuning.setting, tuning.study, tuning.found, tuning.constraints)

    def still_is(self, tuning: Tuning) -> bool:
        """Whether the setting is the same and still comes to this very policy: forms may have been learned since."""
        if self.setting != tuning.setting:
            return False
        one, other = self.found.trial, tuning.found.trial
        if one is None or other is None:
            return one is other
        return one.form is other.form and one.point.index == other.point.index
