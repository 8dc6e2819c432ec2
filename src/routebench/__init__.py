"""routebench: find out which LLM routing rules are right for your prompts.

Everything here is imported when it is first used, so that `import routebench` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from routebench.bench import Bench
    from routebench.dash.browsing import browse
    from routebench.dash.cockpit import cockpit
    from routebench.dash.comparing import compare
    from routebench.dash.grading import grader
    from routebench.dash.production import production
    from routebench.dash.today import today
    from routebench.dash.tuning import tuner
    from routebench.dash.watching import live
    from routebench.demonstration import demo, starter
    from routebench.errors import RoutebenchError
    from routebench.evaluate import Comparison, Outcomes
    from routebench.learning import learn_from_traces
    from routebench.packing import pack
    from routebench.rules import Router, RuleSet
    from routebench.strategies import (
        Always,
        Auto,
        AutoCascade,
        BestChain,
        BestSingle,
        Cascade,
        CategoryTable,
        Cheapest,
        Complexity,
        CostThreshold,
        Decisions,
        Distilled,
        FixedMix,
        KnnTfidf,
        Learned,
        LrTfidf,
        Oracle,
        RandomMix,
        Rules,
        RulesFile,
        Similarity,
        Student,
    )
    from routebench.suites import Suite, load_suite
    from routebench.suites.logs import from_logs
    from routebench.tune import Constraints, Tuned

__version__ = "0.1.0"

_ROOM = {
    "Always": "strategies",
    "Auto": "strategies",
    "AutoCascade": "strategies",
    "Bench": "bench",
    "BestChain": "strategies",
    "BestSingle": "strategies",
    "Cascade": "strategies",
    "CategoryTable": "strategies",
    "Cheapest": "strategies",
    "Comparison": "evaluate",
    "Complexity": "strategies",
    "Constraints": "tune",
    "CostThreshold": "strategies",
    "Decisions": "strategies",
    "Distilled": "strategies",
    "FixedMix": "strategies",
    "KnnTfidf": "strategies",
    "Learned": "strategies",
    "LrTfidf": "strategies",
    "Oracle": "strategies",
    "Outcomes": "evaluate",
    "RandomMix": "strategies",
    "RoutebenchError": "errors",
    "Router": "rules",
    "RuleSet": "rules",
    "Rules": "strategies",
    "RulesFile": "strategies",
    "Similarity": "strategies",
    "Student": "strategies",
    "Suite": "suites",
    "Tuned": "tune",
    "browse": "dash.browsing",
    "cockpit": "dash.cockpit",
    "compare": "dash.comparing",
    "demo": "demonstration",
    "from_logs": "suites.logs",
    "grader": "dash.grading",
    "learn_from_traces": "learning",
    "live": "dash.watching",
    "load_suite": "suites",
    "pack": "packing",
    "production": "dash.production",
    "starter": "demonstration",
    "today": "dash.today",
    "tuner": "dash.tuning",
}

__all__ = [
    "Always",
    "Auto",
    "AutoCascade",
    "Bench",
    "BestChain",
    "BestSingle",
    "Cascade",
    "CategoryTable",
    "Cheapest",
    "Comparison",
    "Complexity",
    "Constraints",
    "CostThreshold",
    "Decisions",
    "Distilled",
    "FixedMix",
    "KnnTfidf",
    "Learned",
    "LrTfidf",
    "Oracle",
    "Outcomes",
    "RandomMix",
    "RoutebenchError",
    "Router",
    "RuleSet",
    "Rules",
    "RulesFile",
    "Similarity",
    "Student",
    "Suite",
    "Tuned",
    "__version__",
    "browse",
    "cockpit",
    "compare",
    "demo",
    "from_logs",
    "grader",
    "learn_from_traces",
    "live",
    "load_suite",
    "pack",
    "production",
    "starter",
    "today",
    "tuner",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_ROOM[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOM})
