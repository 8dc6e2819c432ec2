"""The policy as a file, and at work: all that production needs."""

from __future__ import annotations

from routebench.rules.asking import Ask
from routebench.rules.budget import Budget
from routebench.rules.cascade import Check, Verdict
from routebench.rules.conditions.condition import Condition
from routebench.rules.contents import Complexity, Default, Golden, Guard, Learned, Rule, Similarity, Tier
from routebench.rules.deployments import Deployment
from routebench.rules.golden import GoldenCheck, GoldenFailure, check_golden, make_golden
from routebench.rules.health.health import Health, HealthPolicy
from routebench.rules.reading.request import Reading
from routebench.rules.ruleset import RuleSet, rules_json_schema
from routebench.rules.runtime import Router

__all__ = [
    "Ask",
    "Budget",
    "Check",
    "Complexity",
    "Condition",
    "Default",
    "Deployment",
    "Golden",
    "GoldenCheck",
    "GoldenFailure",
    "Guard",
    "Health",
    "HealthPolicy",
    "Learned",
    "Reading",
    "Router",
    "Rule",
    "RuleSet",
    "Similarity",
    "Tier",
    "Verdict",
    "check_golden",
    "make_golden",
    "rules_json_schema",
]
