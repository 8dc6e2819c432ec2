"""Two rule sets on the same cases: what a change of a rules.yaml does before anybody merges it."""

from __future__ import annotations

from routebench.diffing.diff import RulesDiff, diff_rules
from routebench.diffing.reading import Opened

__all__ = ["Opened", "RulesDiff", "diff_rules"]
