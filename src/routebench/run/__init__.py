"""Spending money carefully."""

from __future__ import annotations

from routebench.run.journal import recover
from routebench.run.plan import CacheMode, ModelPlan, Plan, make_plan
from routebench.run.progress import ModelProgress, Progress, RunStatus
from routebench.run.runner import Limits, Run

__all__ = [
    "CacheMode",
    "Limits",
    "ModelPlan",
    "ModelProgress",
    "Plan",
    "Progress",
    "Run",
    "RunStatus",
    "make_plan",
    "recover",
]
