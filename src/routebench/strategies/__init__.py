"""The policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from routebench.errors import InputError, nearest
from routebench.evaluate.protocol import Strategy
from routebench.strategies.auto import Auto, AutoCascade
from routebench.strategies.base import Policy
from routebench.strategies.baselines import Always, BestChain, BestSingle, Cheapest, FixedMix, Oracle, RandomMix
from routebench.strategies.cascade import Cascade
from routebench.strategies.complexity import Complexity
from routebench.strategies.cost_threshold import CostThreshold
from routebench.strategies.decisions import Decisions
from routebench.strategies.distilled.readable import Distilled
from routebench.strategies.distilled.student import Student
from routebench.strategies.learned.strategy import Learned
from routebench.strategies.llm_scores import LlmScores
from routebench.strategies.recorded import RecordedRules
from routebench.strategies.references import CategoryTable, KnnTfidf, LrTfidf
from routebench.strategies.rules import Rules, RulesFile, decide_all, decided_cases
from routebench.strategies.similarity import Similarity

BY_NAME: Mapping[str, Callable[[], Policy]] = {
    "auto": Auto,
    "auto_cascade": AutoCascade,
    "best_chain": BestChain,
    "best_single": BestSingle,
    "cascade": Cascade,
    "category_table": CategoryTable,
    "cheapest": Cheapest,
    "complexity": Complexity,
    "cost_threshold": CostThreshold,
    "distilled": Distilled,
    "fixed_mix": FixedMix,
    "knn_tfidf": KnnTfidf,
    "learned": Learned,
    "lr_tfidf": LrTfidf,
    "oracle": Oracle,
    "random_mix": RandomMix,
    "rules": Rules,
    "similarity": Similarity,
    "student": Student,
    "zero": FixedMix,
}
"""Strategies that need no argument; `zero` is another word for `fixed_mix`."""

_WITH_ARGUMENT: Mapping[str, Callable[[str], Policy]] = {
    "always": Always,
    "auto": Auto,
    "cascade": Cascade,
    "complexity": Complexity,
    "cost_threshold": CostThreshold.within,
    "decisions": Decisions,
    "learned": Learned,
    "rules": RulesFile,
    "similarity": Similarity,
}

DEFAULT = ("auto",)
"""What is compared when nothing else was asked for, besides the baselines."""


def parse_strategy(text: str) -> Policy:
    """Turns `name` or `name:argument` into a strategy.

    Raises:
        InputError: no such strategy; the nearest name is suggested.
    """
    name, colon, argument = text.strip().partition(":")
    if colon and name in _WITH_ARGUMENT:
        return _WITH_ARGUMENT[name](argument)
    if not colon and name in BY_NAME:
        return BY_NAME[name]()
    known = [*sorted(BY_NAME), *(f"{key}:…" for key in _WITH_ARGUMENT)]
    raise InputError(f"unknown strategy {text!r}{nearest(name, BY_NAME)}; known: {', '.join(known)}")


def with_baselines(wanted: Sequence[str | Strategy] | None, models: Sequence[str]) -> list[Strategy]:
    """Returns the baselines, then what was asked for (the default strategies for None), each name once."""
    baselines: list[Strategy] = [Always(model) for model in models]
    baselines += [Cheapest(), BestSingle(), BestChain(), RandomMix(), FixedMix(), Oracle()]
    chosen = [parse_strategy(one) if isinstance(one, str) else one for one in (DEFAULT if wanted is None else wanted)]
    by_name = {strategy.name: strategy for strategy in (*baselines, *chosen)}
    return list(by_name.values())


__all__ = [
    "BY_NAME",
    "DEFAULT",
    "Always",
    "Auto",
    "AutoCascade",
    "BestChain",
    "BestSingle",
    "Cascade",
    "CategoryTable",
    "Cheapest",
    "Complexity",
    "CostThreshold",
    "Decisions",
    "Distilled",
    "FixedMix",
    "KnnTfidf",
    "Learned",
    "LlmScores",
    "LrTfidf",
    "Oracle",
    "Policy",
    "RandomMix",
    "RecordedRules",
    "Rules",
    "RulesFile",
    "Similarity",
    "Student",
    "decide_all",
    "decided_cases",
    "parse_strategy",
    "with_baselines",
]
