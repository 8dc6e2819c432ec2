"""The evidence in a rules.yaml: measured by replaying the written rule set."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from routebench.evaluate import Comparison, Evaluation, Outcomes, Strategy, compare
from routebench.evaluate.paired import Difference
from routebench.rules import RuleSet
from routebench.strategies import RulesFile, with_baselines

_DIGITS = 6


def measure(ruleset: RuleSet, outcomes: Outcomes, seed: int, beside: Sequence[Strategy] = ()) -> Comparison:
    """Replays a rule set on the test half of a split, beside the baselines and perhaps other bars."""
    return compare(outcomes, with_baselines([RulesFile(ruleset), *beside], outcomes.models), seeds=[seed])


def make_evidence(
    comparison: Comparison, outcomes: Outcomes, *, seed: int, abstained: bool, constraint: str, created: date
) -> dict[str, Any]:
    """Returns what is written under `evidence`.

    Args:
        comparison: what `measure` found.
        outcomes: the whole matrix.
        seed: of the split.
        abstained: whether a fixed mix stands in for rules.
        constraint: what was asked, as a sentence.
        created: the day.
    """
    own = own_evaluation(comparison)
    grouped = bool((outcomes.cases.group != "").any())
    return {
        "suite": outcomes.suite,
        "outcomes_sha256": outcomes.sha256(),
        "split": {"seed": seed, "by": "group" if grouped else "case"},
        "n_test": comparison.n_test,
        "n_left_out": comparison.n_left_out,
        "abstained": abstained,
        "constraint": constraint,
        "created": created,
        **_figures(own),
        "versus": {
            "best_single": _versus(comparison["best_single"], own.versus_baseline),
            "best_chain": _figures(comparison["best_chain"]),
            "cheapest": _figures(comparison["cheapest"]),
            "random_mix": _figures(comparison["random_mix"]),
            "fixed_mix": _difference(own.versus_fixed_mix) | {"at": "the same cost"},
            "oracle": _figures(comparison["oracle"]),
        },
    }


def own_evaluation(comparison: Comparison) -> Evaluation:
    """The line of the rule set that `measure` replayed."""
    return next(one for one in comparison.evaluations if one.kind == "strategy")


def _figures(one: Evaluation) -> dict[str, Any]:
    interval = one.quality_ci95
    ci95 = None if interval is None or interval.ci95 is None else [_round(bound) for bound in interval.ci95]
    return {
        "quality": {"mean": _round(one.quality), "ci95": ci95},
        "cost_usd_per_1k": {"mean": _round(one.cost_usd_per_1k)},
        "latency_s": {"p50": _round(one.latency_s(0.5)), "p95": _round(one.latency_s(0.95))},
        "failed_share": _round(one.failed_share),
    }


def _versus(one: Evaluation, difference: Difference | None) -> dict[str, Any]:
    return {**_figures(one), **_difference(difference)}


def _difference(one: Difference | None) -> dict[str, Any]:
    if one is None:
        return {}
    return {
        "delta_quality": _round(one.delta),
        "delta_ci95": None if one.ci95 is None else [_round(bound) for bound in one.ci95],
        "verdict": one.verdict,
    }


def _round(value: float | None) -> float | None:
    return None if value is None else round(float(value), _DIGITS)
