"""Rules on prompt features as a strategy: learned ones, and those of a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from routebench.errors import NoEligibleModelError, OutcomesError
from routebench.evaluate.choices import NOBODY, Checks, Choices, Deciders, FloatArray, IntArray
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.replay import replay
from routebench.evaluate.splits import folds
from routebench.rules import Ask, Default, Guard, Reading, Router, Rule, RuleSet
from routebench.strategies.answer_checks import AnswerChecks
from routebench.strategies.base import Policy, lambda_grid
from routebench.strategies.baselines import chains_to_try
from routebench.strategies.candidates import candidates
from routebench.strategies.induce import RuleList, induce
from routebench.strategies.prompts import readings
from routebench.strategies.times import at_time, merged, times_of
from routebench.types import Answer, Decision, Model, Request

_NO_MODEL = "guards, which leave no model"


class RulesFile(Policy):
    """A rule set, replayed as it will run.

    Answers are checked as the rule set's own runtime checks them. Where conditions ask for the time, a request is
    decided at every time of the week, by its share of the week; one whose metadata `at` tells when it came (ISO 8601)
    is decided at that time. Of a day's health and spend nothing is recorded: every model is well, the budget is not
    spent, and conditions on its pace do not hold, so that the evidence is for days within the budget.

    Args:
        rules: the path of a rules.yaml, or a RuleSet.
        ask: where a model has a say in decisions: answers for it as was recorded, such as `LlmScores.ask`. What it
            costs counts.
    """

    def __init__(self, rules: str | Path | RuleSet, *, ask: Ask | None = None) -> None:
        self.ruleset = rules if isinstance(rules, RuleSet) else RuleSet.load(rules)
        self.name = f"rules:{self.ruleset.name if isinstance(rules, RuleSet) else rules}"
        self._router = Router(self.ruleset, ask=ask)
        self._answers = AnswerChecks(self._router, self.name)

    def _fit(self, outcomes: Outcomes) -> None:
        unknown = [name for name in self.ruleset.models if name not in outcomes.models]
        if unknown:
            raise OutcomesError(
                f"{self.name}: no outcomes of {', '.join(unknown)}; run these models on the suite first"
            )

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """One point: the decisions of the rule set's own runtime; `check` goes on where they depend on answers."""
        return [decide_all(self._router, self.models_, readings(requests), label=self.name)]

    def check(self, choices: Choices, outcomes: Outcomes) -> Choices:
        """Looks at the recorded answers that the rule set's cascades would look at.

        Raises:
            OutcomesError: there are such, and of none of them enough is kept.
        """
        return self._answers.look(choices, outcomes) if choices.checks else choices

    def route(self, request: Request, point: int = 0) -> Decision:  # noqa: ARG002 - a file has one point
        """Decides one request, with the rule that fired."""
        return self._router.decide(request)


class Rules(Policy):
    """Learns a readable rule list for every trade of quality against cost.

    Args:
        max_rules: at most so many rules.
        guards: guards that every rule set carries.
        models: settings of the models, for their limits and capabilities; by name only when left out.
    """

    name = "rules"
    rulesets_: list[RuleSet]

    def __init__(self, max_rules: int = 12, guards: Sequence[Guard] = (), models: Sequence[Model] = ()) -> None:
        self.max_rules = max_rules
        self.guards = tuple(guards)
        self.models = tuple(models)

    def _fit(self, outcomes: Outcomes) -> None:
        self._chains = chains_to_try(outcomes)
        self._lambdas = np.concatenate(
            ([0.0], lambda_grid(_chain_costs(outcomes, self._chains).mean(axis=1), 41)[6:-4:3])
        )
        self.rulesets_ = [self._to_ruleset(rules) for rules in self._learn(outcomes)]

    def _learn(self, outcomes: Outcomes) -> list[RuleList]:
        replays = [replay(outcomes, Choices.same(outcomes.models, chain, outcomes.n)) for chain in self._chains]
        scores = np.array([one.score for one in replays])
        costs = _chain_costs(outcomes, self._chains)
        known = ~np.isnan(scores).any(axis=0)
        if not known.any():
            raise OutcomesError(
                f"suite {outcomes.suite!r}: no training case has a graded outcome of every model; run or grade the rest"
            )
        found = candidates(outcomes.take(known).requests)
        weight = outcomes.weight[known]
        return [
            induce(found, scores[:, known] - rate * costs[:, known], weight, max_rules=self.max_rules)
            for rate in self._lambdas
        ]

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """One point a lambda, from quality at any price to the cheapest."""
        read = readings(requests)
        return [
            decide_all(Router(ruleset), self.models_, read, label=f"lambda={rate:.3g}")
            for ruleset, rate in zip(self.rulesets_, self._lambdas, strict=True)
        ]

    def train_curve(self) -> Sequence[Choices]:
        """The curve by rules that were learned without the case, five folds by group."""
        read = readings(self._train.requests)
        width = max(len(chain) for chain in self._chains) + 1
        chains: list[IntArray] = [np.full((self._train.n, width), -1, dtype=np.intp) for _ in self._lambdas]
        for inside, outside in folds(self._train, n_folds=5):
            for point, rules in enumerate(self._learn(self._train.take(inside))):
                decided = decide_all(Router(self._to_ruleset(rules)), self.models_, read[outside]).parts[0][1]
                chains[point][outside, : decided.shape[1]] = decided
        labels = [f"lambda={rate:.3g}" for rate in self._lambdas]
        return [Choices.single(self.models_, chain, label) for chain, label in zip(chains, labels, strict=True)]

    def to_ruleset(self, point: int) -> RuleSet:
        """Returns one operating point as a rule set."""
        return self.rulesets_[point]

    def _to_ruleset(self, rules: RuleList) -> RuleSet:
        chains = [with_fallback(chain, self._chains[rules.default]) for chain in self._chains]
        return RuleSet(
            name=self.name,
            models=self._models(),
            guards=self.guards,
            rules=tuple(
                Rule(rule_name(rule.when, number), rule.when, chains[rule.action])
                for number, rule in enumerate(rules.rules, start=1)
            ),
            default=Default(route=chains[rules.default]),
        )

    def _models(self) -> Mapping[str, Model]:
        given = {model.name: model for model in self.models}
        return {name: given.get(name, Model(name, provider="recorded", model=name)) for name in self.models_}


def decide_all(
    router: Router,
    models: Sequence[str],
    requests: Iterable[Request | Reading],
    label: str = "",
) -> Choices:
    """Returns a router's decisions for n requests as indices into `models`; the one bridge from runtime to replay.

    One part for every kind of time at which the router decides otherwise. Answers are not looked at yet: where
    decisions depend on them, `RulesFile.check` goes on.

    Args:
        router: decides.
        models: what the indices point at.
        requests: what it decides.
        label: of the choices.
    """
    times = times_of(router.ruleset)
    if not times:
        return _decide(router, models, requests, label)
    read = [one if isinstance(one, Reading) else Reading(one) for one in requests]
    found = [_decide(router, models, (at_time(one, at) for one in read), label) for _, at in times]
    shares = [share for share, _ in times]
    return replace(
        merged(shares, found),
        decision_cost_usd=_expected(shares, [one.decision_cost_usd for one in found], len(read)),
        decision_latency_s=_expected(shares, [one.decision_latency_s for one in found], len(read)),
    )


def decided_cases(ruleset: RuleSet, outcomes: Outcomes) -> Choices:
    """Returns a chain a case, with what the rule set's checks say of the recorded answers.

    Raises:
        OutcomesError: a case would go to a model that has no outcomes.
    """
    models = (*outcomes.models, *(name for name in ruleset.order if name not in outcomes.models))
    choices = decide_all(Router(ruleset), models, readings(outcomes.requests), ruleset.name)
    asked = np.unique(np.concatenate([chains.ravel() for _, chains in choices.parts]))
    unknown = [models[at] for at in asked if at >= len(outcomes.models)]
    if unknown:
        raise OutcomesError(
            f"{ruleset.source or ruleset.name}: suite {outcomes.suite!r} has no outcomes of {', '.join(unknown)}; run "
            "these models on the suite first"
        )
    return RulesFile(ruleset).check(replace(choices, models=outcomes.models), outcomes)


def _decide(router: Router, models: Sequence[str], requests: Iterable[Request | Reading], label: str) -> Choices:
    place = {name: index for index, name in enumerate(models)}
    decided: list[list[int]] = []
    cascades: list[str | None] = []
    consulted: list[tuple[Answer, ...]] = []
    told: list[str | None] = []
    for request in requests:
        try:
            found = router.decide(request)
        except NoEligibleModelError:
            decided.append([NOBODY])
            told.append(_NO_MODEL)
            cascades.append(None)
            consulted.append(())
            continue
        decided.append([place[name] for name in found.chain])
        told.append(found.rule)
        cascades.append(found.cascade)
        consulted.append(found.consulted)
    chains = np.full((len(decided), max([1, *map(len, decided)])), -1, dtype=np.intp)
    for row, chain in enumerate(decided):
        chains[row, : len(chain)] = chain
    choices = replace(Choices.single(models, chains, label), deciders=(Deciders.of(told),))
    if any(consulted):
        choices = replace(
            choices,
            decision_cost_usd=_sums([[one.cost_usd for one in answers] for answers in consulted]),
            decision_latency_s=_sums([[one.latency_s for one in answers] for answers in consulted]),
        )
    names = tuple(sorted({name for name in cascades if name is not None}))
    if not names:
        return choices
    by = np.array([-1 if name is None else names.index(name) for name in cascades], dtype=np.intp)
    return replace(choices, checks=(Checks(names, by),))


def _expected(shares: Sequence[float], amounts: Sequence[FloatArray | None], n: int) -> FloatArray | None:
    """The mean over kinds of time, shape (n,); None where nothing was asked at any."""
    if all(one is None for one in amounts):
        return None
    parts = [share * (np.zeros(n) if one is None else one) for share, one in zip(shares, amounts, strict=True)]
    return np.asarray(np.sum(parts, axis=0), dtype=float)


def _sums(amounts: Sequence[Sequence[float | None]]) -> FloatArray:
    """The sum of every request's amounts, NaN where one of them is unknown, shape (n,)."""
    return np.array([sum(np.nan if one is None else one for one in some) for some in amounts], dtype=float)


def with_fallback(chain: tuple[str, ...], default: tuple[str, ...]) -> tuple[str, ...]:
    """Appends the default chain's models, so that a request survives the failure of its first choice."""
    return (*chain, *(name for name in default if name not in chain))


def rule_name(when: Mapping[str, Any], number: int) -> str:
    """Returns a short name for a learned rule, unique by its number."""
    words = when.get("any_keyword")
    head = "-".join(str(words[0]).split()) if words else next(iter(when))
    return f"{number}-{head}"


def _chain_costs(outcomes: Outcomes, chains: Sequence[tuple[str, ...]]) -> FloatArray:
    """Expected cost of every chain on every case, shape (c, n); unknown costs count as the dearest known one."""
    costs = np.array([replay(outcomes, Choices.same(outcomes.models, chain, outcomes.n)).cost_usd for chain in chains])
    dearest = np.nanmax(costs) if not np.isnan(costs).all() else 0.0
    return np.where(np.isnan(costs), dearest, costs)
