"""The evidence in a rules.yaml: measured by replaying the written rule set, and checked in the same way later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from routebench.errors import InputError
from routebench.evaluate import Comparison, Evaluation, Outcomes, Strategy, compare
from routebench.evaluate.paired import Difference
from routebench.rules import RuleSet
from routebench.strategies import RulesFile, with_baselines

_DIGITS = 6
_SAME = 1e-5


@dataclass(frozen=True, slots=True)
class Gates:
    """Bounds that a rule set must keep on the test half; None asks nothing.

    Attributes:
        min_quality: lowest mean score.
        max_cost_usd_per_1k: highest mean cost of 1,000 requests, in US dollars.
        max_latency_p95_s: highest 95th percentile of the time to an answer, in seconds.
    """

    min_quality: float | None = None
    max_cost_usd_per_1k: float | None = None
    max_latency_p95_s: float | None = None


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
    own = _own(comparison)
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


def check_evidence(ruleset: RuleSet, outcomes: Outcomes, gates: Gates) -> dict[str, Any]:
    """Measures a rule set again and holds it against its evidence and against gates.

    Returns:
        `gates`, a list of `name`, `ok` and `reading`; and `evidence`, what was measured now.

    Raises:
        InputError: the rule set's evidence does not say which split it was measured on.
    """
    written = ruleset.evidence
    split = written.get("split")
    if not isinstance(split, Mapping) or not isinstance(split.get("seed"), int):
        where = ruleset.source or ruleset.name
        raise InputError(
            f"{where}: `evidence.split.seed` is missing, so there is nothing to check; `routebench tune` writes it"
        )
    missing = [name for name in ruleset.models if name not in outcomes.models]
    if missing:
        raise InputError(
            f"suite {outcomes.suite!r} has no outcomes of {', '.join(missing)}, which the rule set routes to"
        )
    own = _own(measure(ruleset, outcomes, split["seed"]))
    now = _figures(own)
    same = written.get("outcomes_sha256") == outcomes.sha256()
    found = [_reproduced(written, now, same=same), *_gates(own, gates)]
    return {"gates": found, "evidence": {**now, "same_outcomes": same}}


def _own(comparison: Comparison) -> Evaluation:
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


def _reproduced(written: Mapping[str, Any], now: Mapping[str, Any], *, same: bool) -> dict[str, Any]:
    before, after = _mean(written, "quality"), _mean(now, "quality")
    held = before is not None and after is not None and abs(before - after) <= _SAME
    outcomes = "the same outcomes" if same else "other outcomes than the file's evidence"
    before_text = "no figure" if before is None else f"{before:.1%}"
    reading = f"evidence: the file says {before_text}, on {outcomes} it is {after:.1%}"
    # On other outcomes another figure is news, not a broken promise.
    return {"name": "evidence", "ok": held or not same, "reading": reading}


def _mean(figures: Mapping[str, Any], name: str) -> float | None:
    value = figures.get(name)
    mean = value.get("mean") if isinstance(value, Mapping) else None
    return float(mean) if isinstance(mean, (int, float)) else None


def _gates(own: Evaluation, gates: Gates) -> list[dict[str, Any]]:
    cost, slow = own.cost_usd_per_1k, own.latency_s(0.95)
    bounds: list[dict[str, Any]] = []
    if gates.min_quality is not None:
        reading = f"quality {own.quality:.1%}, at least {gates.min_quality:.1%} wanted"
        bounds.append({"name": "min_quality", "ok": own.quality >= gates.min_quality, "reading": reading})
    if gates.max_cost_usd_per_1k is not None:
        shown = "unknown" if cost is None else f"${cost:.3g}"
        reading = f"cost {shown} per 1,000 requests, at most ${gates.max_cost_usd_per_1k:.3g} wanted"
        bounds.append(
            {"name": "max_cost_usd_per_1k", "ok": _within(cost, gates.max_cost_usd_per_1k), "reading": reading}
        )
    if gates.max_latency_p95_s is not None:
        shown = "unknown" if slow is None else f"{slow:.3g} s"
        reading = f"p95 latency {shown}, at most {gates.max_latency_p95_s:g} s wanted"
        bounds.append({"name": "max_latency_p95_s", "ok": _within(slow, gates.max_latency_p95_s), "reading": reading})
    return bounds


def _within(value: float | None, bound: float) -> bool:
    """What is unknown does not keep a bound."""
    return value is not None and value <= bound
