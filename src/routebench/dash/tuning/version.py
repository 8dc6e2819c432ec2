"""A setting that was kept, to be compared with others."""

from __future__ import annotations

from dataclasses import dataclass

from routebench.dash.tuning.setting import Setting
from routebench.dash.tuning.standing import Standing
from routebench.rules import RuleSet
from routebench.tune import Tuned


@dataclass(frozen=True, eq=False)
class Version:
    """A setting that was kept.

    Attributes:
        name: what it is called.
        setting: what was asked.
        standing: on the training half, out of fold.
        ruleset: what it comes to, before its files are written.
        tuned: with the test half looked at; None while that is sealed.
    """

    name: str
    setting: Setting
    standing: Standing
    ruleset: RuleSet
    tuned: Tuned | None = None
