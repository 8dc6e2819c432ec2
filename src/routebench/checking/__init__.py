"""Does a rule set still decide, measure, cost and run as its file says: the gate of a continuous integration."""

from __future__ import annotations

from routebench.checking.check import Checked, check_rules
from routebench.checking.ci import lay_out_ci
from routebench.checking.gates import Bounds, Gate
from routebench.checking.junit import write_junit, write_junit_error
from routebench.checking.summary import append_summary, append_summary_error

__all__ = [
    "Bounds",
    "Checked",
    "Gate",
    "append_summary",
    "append_summary_error",
    "check_rules",
    "lay_out_ci",
    "write_junit",
    "write_junit_error",
]
