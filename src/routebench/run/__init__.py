"""Spending money carefully."""

from __future__ import annotations

from routebench.run.journal import is_alive, recover
from routebench.run.limits import Limits, ProviderLimit
from routebench.run.plan import CacheMode, Plan, PlanLine, PlannedCall
from routebench.run.planning import in_shard, make_plan, plan_calls, read_shard
from routebench.run.progress import LaneProgress, ModelProgress, Progress, RunStatus
from routebench.run.purging import purge_all
from routebench.run.purse import Purse
from routebench.run.recent import RecentCall
from routebench.run.runner import Run, going_on

__all__ = [
    "CacheMode",
    "LaneProgress",
    "Limits",
    "ModelProgress",
    "Plan",
    "PlanLine",
    "PlannedCall",
    "Progress",
    "ProviderLimit",
    "Purse",
    "RecentCall",
    "Run",
    "RunStatus",
    "going_on",
    "in_shard",
    "is_alive",
    "make_plan",
    "plan_calls",
    "purge_all",
    "read_shard",
    "recover",
]
