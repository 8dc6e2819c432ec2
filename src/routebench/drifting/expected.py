"""What a rule set does on the cases of a suite: that which production is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from routebench.errors import OutcomesError
from routebench.evaluate import Choices, Outcomes, Replayed, replay
from routebench.evaluate.choices import FloatArray
from routebench.evaluate.estimates import numbered
from routebench.rules import Router, RuleSet
from routebench.strategies import RulesFile, decide_all
from routebench.strategies.prompts import readings


@dataclass(frozen=True, eq=False)
class Expected:
    """A rule set replayed on n cases.

    Attributes:
        outcomes: the cases.
        choices: what the rule set decides for each.
        replayed: what became of it.
    """

    outcomes: Outcomes
    choices: Choices
    replayed: Replayed

    @property
    def suite(self) -> str:
        """Whose cases they are."""
        return self.outcomes.suite

    @property
    def n(self) -> int:
        """Number of cases."""
        return self.outcomes.n

    @property
    def weight(self) -> FloatArray:
        """Requests that each case stands for, shape (n,)."""
        return self.outcomes.weight

    @cached_property
    def groups(self) -> Any:
        """Number of each case's group, shape (n,)."""
        return numbered(self.outcomes.keys)

    @property
    def first(self) -> tuple[tuple[str, ...], FloatArray]:
        """The models, and the chance with which each is tried first, shape (n, m)."""
        return self.outcomes.models, self.replayed.decided

    @cached_property
    def rules(self) -> tuple[tuple[str, ...], FloatArray]:
        """What decides, and the chance with which it does so, shape (n, r)."""
        names = tuple(dict.fromkeys(name for one in self.choices.deciders if one is not None for name in one.names))
        chances = np.zeros((self.n, len(names)))
        rows = np.arange(self.n)
        for (share, _), one in zip(self.choices.parts, self.choices.deciders, strict=True):
            if one is None:
                continue
            place = np.array([names.index(name) for name in one.names], dtype=np.intp)
            known = one.by >= 0
            chances[rows[known], place[one.by[known]]] += share
        return names, chances

    @cached_property
    def latency(self) -> tuple[FloatArray, Any, FloatArray]:
        """Times to an answer, with the group and the weight of each."""
        times = self.replayed.latency_s
        weight = np.broadcast_to(self.weight[:, None, None] * self.replayed.shares[None, :, None], times.shape)
        groups = np.broadcast_to(self.groups[:, None, None], times.shape)
        return times.reshape(-1), groups.reshape(-1), weight.reshape(-1)

    @cached_property
    def features(self) -> list[Mapping[str, Any]]:
        """What conditions can read of each case."""
        return [dict(one.features()) for one in readings(self.outcomes.requests)]


def expect(ruleset: RuleSet, outcomes: Outcomes) -> Expected:
    """Replays a rule set on all cases of a suite whose prompts are known.

    Nothing is chosen here, so that all of them count, whatever half they were in when the rules were tuned.

    Raises:
        OutcomesError: the rule set decides for a model without outcomes, or no prompt is known.
        RulesError: a condition cannot be used.
    """
    told = outcomes.cases.has_text
    if not told.any():
        raise OutcomesError(
            f"suite {outcomes.suite!r} keeps no prompts, so that nothing can be decided again; give the suite's file "
            "with --prompts"
        )
    outcomes = outcomes if told.all() else outcomes.take(told)
    unknown = [name for name in ruleset.order if name not in outcomes.models]
    if unknown:
        raise OutcomesError(
            f"{ruleset.source or ruleset.name}: suite {outcomes.suite!r} has no outcomes of {', '.join(unknown)}; run "
            "these models on the suite first"
        )
    router = Router(ruleset)
    choices = decide_all(router, outcomes.models, readings(outcomes.requests), ruleset.name)
    choices = RulesFile(ruleset).check(choices, outcomes)
    return Expected(outcomes, choices, replay(outcomes, choices))


@dataclass(frozen=True, slots=True)
class Written:
    """The figures that a rules.yaml holds under `evidence`, where no suite is there to replay it on.

    Attributes:
        suite: that they are about, None where the file does not say.
        n: held-out cases that they are about, 0 where the file does not say.
        cost_usd_per_1k: None while unknown.
        latency_s: 50 and 95 -> seconds, as far as known.
        failed_share: None while unknown.
    """

    suite: str | None
    n: int
    cost_usd_per_1k: float | None
    latency_s: Mapping[int, float]
    failed_share: float | None


def written(ruleset: RuleSet) -> Written | None:
    """Returns what a rule set's file says of itself; None where it has no evidence."""
    told = ruleset.evidence
    if not told:
        return None
    n, suite = told.get("n_test"), told.get("suite")
    latency = {percent: _number(told.get("latency_s"), f"p{percent}") for percent in (50, 95)}
    return Written(
        suite=None if suite is None else str(suite),
        n=n if isinstance(n, int) else 0,
        cost_usd_per_1k=_number(told.get("cost_usd_per_1k"), "mean"),
        latency_s={percent: value for percent, value in latency.items() if value is not None},
        failed_share=_number(told, "failed_share"),
    )


def _number(told: Any, key: str) -> float | None:
    value = told.get(key) if isinstance(told, Mapping) else None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
