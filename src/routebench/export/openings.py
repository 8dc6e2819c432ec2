"""Which model of a cascade is asked first where nobody checks answers: both orders, replayed on recorded outcomes."""

from __future__ import annotations

import numpy as np

from routebench.evaluate import Choices, Outcomes, replay
from routebench.evaluate.choices import FloatArray
from routebench.evaluate.paired import MIN_CASES
from routebench.export.tiers import consulted
from routebench.export.unchecked import Cascade, Opening, cascades_of
from routebench.rules import Router, RuleSet
from routebench.strategies import decide_all
from routebench.strategies.prompts import readings


def openings_of(ruleset: RuleSet, outcomes: Outcomes) -> tuple[Opening, ...]:
    """Returns for every cascade the order with the better mean score, of equally good ones the cheaper.

    A cascade that fewer than MIN_CASES cases take begins at its last model, and says why. Where a model has a say in
    the decisions nothing is replayed.

    Args:
        ruleset: the policy.
        outcomes: of its models.
    """
    cascades = [one for one in cascades_of(ruleset) if len(one.chain) > 1]
    if not cascades or consulted(ruleset) is not None:
        return ()
    told = outcomes.cases.has_text
    if not told.all():
        outcomes = outcomes.take(told)
    models = (*outcomes.models, *(name for name in ruleset.order if name not in outcomes.models))
    decided = decide_all(Router(ruleset), models, readings(outcomes.requests))
    return tuple(_opening(one, outcomes, _taking(one, decided) * outcomes.weight) for one in cascades)


def _taking(cascade: Cascade, decided: Choices) -> FloatArray:
    """The share of the time that each case takes the whole of a cascade, shape (n,)."""
    chain = [decided.models.index(name) for name in cascade.chain]
    taking = np.zeros(len(decided.parts[0][1]))
    for (share, chains), checks in zip(decided.parts, decided.checks_by_part, strict=True):
        if checks is None or cascade.check not in checks.names or chains.shape[1] < len(chain):
            continue
        padded = np.pad(chain, (0, chains.shape[1] - len(chain)), constant_values=-1)
        checked = checks.by == checks.names.index(cascade.check)
        taking += share * (checked & (chains == padded).all(axis=1))
    return taking


def _opening(cascade: Cascade, outcomes: Outcomes, weight: FloatArray) -> Opening:
    unknown = [name for name in cascade.chain if name not in outcomes.models]
    if unknown:
        return Opening(cascade.part, as_written=False, why=f"the suite has no outcomes of {', '.join(unknown)}")
    last_first, written = (
        replay(outcomes, Choices.same(outcomes.models, cascade.opened(as_written=as_written), outcomes.n))
        for as_written in (False, True)
    )
    known = (weight > 0) & ~(last_first.missing | written.missing)
    n = int(known.sum())
    if n < MIN_CASES:
        why = f"of the suite's cases {n} take it and are graded, too few to decide on another"
        return Opening(cascade.part, as_written=False, why=why)
    scores = [float(np.average(one.score[known], weights=weight[known])) for one in (last_first, written)]
    costs = [_mean(one.cost_usd[known], weight[known]) for one in (last_first, written)]
    gained = round(100 * (scores[1] - scores[0]), 1)
    # Of costs that nobody knows none is the lower one.
    is_cheaper = costs[0] is not None and costs[1] is not None and costs[1] <= costs[0]
    as_written = gained > 0 or (gained == 0 and is_cheaper)
    last, first = _told(cascade.chain[-1], scores[0], costs[0]), _told(cascade.chain[0], scores[1], costs[1])
    told = (first, last) if as_written else (last, first)
    return Opening(cascade.part, as_written, f"replayed on {n:,} cases, {told[0]}, and {told[1]}")


def _mean(costs_usd: FloatArray, weight: FloatArray) -> float | None:
    return None if np.isnan(costs_usd).any() else float(np.average(costs_usd, weights=weight))


def _told(name: str, score: float, cost_usd: float | None) -> str:
    cost = "n/a" if cost_usd is None else f"${1000 * cost_usd:.3f}"
    return f"{name} first scores {score:.1%} at {cost} for 1,000 requests"
