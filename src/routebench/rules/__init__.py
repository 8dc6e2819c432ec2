"""The policy as a file, and at work: all that production needs."""

from __future__ import annotations

from routebench.rules.conditions import Condition
from routebench.rules.golden import GoldenCheck, GoldenFailure, check_golden, make_golden
from routebench.rules.reading import Reading
from routebench.rules.ruleset import Default, Golden, Guard, Rule, RuleSet, rules_json_schema
from routebench.rules.runtime import Router

__all__ = [
    "Condition",
    "Default",
    "Golden",
    "GoldenCheck",
    "GoldenFailure",
    "Guard",
    "Reading",
    "Router",
    "Rule",
    "RuleSet",
    "check_golden",
    "make_golden",
    "rules_json_schema",
]
