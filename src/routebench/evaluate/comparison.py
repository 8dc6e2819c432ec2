"""What a comparison found: the values, their table, their JSON form, and the sentence about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from routebench.errors import OutcomesError, nearest
from routebench.evaluate.choices import FloatArray, IntArray
from routebench.evaluate.frontier import Hull, SingleModel
from routebench.evaluate.metrics import arena_score
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.protocol import Kind
from routebench.evaluate.replay import Replayed
from routebench.evaluate.stats import Difference, Interval

SCHEMA = "routebench/compare/v1"

_CONSTANT_FROM = 0.95


@dataclass(frozen=True)
class Measured:
    """One strategy on the test half of one split.

    Attributes:
        replayed: its operating point, per test case.
        label: what the operating point is called.
        quality: mean score over the cases that are compared.
        cost_usd: mean known cost of a request, None where none is known.
        curve: (cost in US dollars a request, quality) of every operating point; cost NaN while unknown.
        aiq: None where a cost is unknown.
        deployed_gain: None likewise.
        gap: APGR, CPT50 and CPT80, None unless there are two models.
        match_cost: least cost that reaches the best single model's quality, as a share of its cost.
    """

    replayed: Replayed
    label: str
    quality: float
    cost_usd: float | None
    curve: tuple[FloatArray, FloatArray]
    aiq: float | None
    deployed_gain: float | None
    gap: tuple[float, float | None, float | None] | None
    match_cost: float | None


@dataclass(frozen=True)
class Half:
    """What one split gives every strategy: the test cases, the bars, and the cases that all can be compared on."""

    train: Outcomes
    test: Outcomes
    singles: tuple[SingleModel, ...]
    train_hull: Hull
    oracle_quality: float
    index: IntArray

    @property
    def hull(self) -> Hull:
        """What mixes of two single models reach on the test half."""
        return Hull.of(self.singles)


@dataclass(frozen=True)
class Evaluation:
    """A strategy replayed on every split.

    Attributes:
        measured: one a seed.
        quality_ci95: of the first seed.
        versus_baseline: paired, first seed; None for the baseline itself.
        versus_fixed_mix: against the fixed mix of train at this strategy's test cost, first seed.
    """

    name: str
    kind: Kind
    abstained: bool
    measured: tuple[Measured, ...]
    quality_ci95: Interval | None
    versus_baseline: Difference | None
    versus_fixed_mix: Difference | None
    worst_slice: Mapping[str, Any] | None

    @property
    def first(self) -> Measured:
        """What was measured on the first seed."""
        return self.measured[0]

    def mean(self, values: Sequence[float | None]) -> float | None:
        """Mean over seeds, None where it is unknown for one of them."""
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known and len(known) == len(values) else None

    @property
    def quality(self) -> float:
        """Mean score, over seeds."""
        return float(np.mean([one.quality for one in self.measured]))

    @property
    def cost_usd_per_1k(self) -> float | None:
        """Mean cost of 1,000 requests in US dollars, over seeds."""
        cost = self.mean([one.cost_usd for one in self.measured])
        return None if cost is None else 1000 * cost

    @property
    def failed_share(self) -> float:
        """Share of requests without an answer, over seeds."""
        return float(np.mean([np.nanmean(one.replayed.failed) for one in self.measured]))

    def latency_s(self, quantile: float) -> float | None:
        """A quantile of the time to the answer, over seeds."""
        return self.mean([one.replayed.latency_quantile(quantile) for one in self.measured])

    def mix(self, models: Sequence[str]) -> dict[str, float]:
        """Share of requests that each model answers, over seeds; with `failed_share` they add up to one."""
        shares = np.mean([one.replayed.answered_by.mean(axis=0) for one in self.measured], axis=0)
        return {name: float(share) for name, share in zip(models, shares, strict=True)}


@dataclass(frozen=True)
class Comparison:
    """Strategies on the same held-out cases.

    Attributes:
        n_left_out: test cases of the first seed that some strategy has no outcome for.
        margin: what counts as no worse, in mean score.
        half: the first seed's split.
    """

    suite: str
    models: tuple[str, ...]
    seeds: tuple[int, ...]
    baseline: str
    n_cases: int
    n_test: int
    n_left_out: int
    margin: float
    zero_aiq: tuple[float | None, ...]
    evaluations: tuple[Evaluation, ...]
    half: Half

    def __getitem__(self, name: str) -> Evaluation:
        for evaluation in self.evaluations:
            if evaluation.name == name:
                return evaluation
        names = [evaluation.name for evaluation in self.evaluations]
        raise OutcomesError(f"no strategy {name!r} was compared{nearest(name, names)}; there are {', '.join(names)}")

    @property
    def reading(self) -> str:
        """One sentence about the best candidate, as the statistics allow it."""
        return _reading(self)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that `compare --json` prints; undefined figures are None."""
        aiqs = [value for value in self.zero_aiq if value is not None]
        return {
            "schema": SCHEMA,
            "suite": self.suite,
            "n_cases": self.n_cases,
            "n_test": self.n_test,
            "n_left_out": self.n_left_out,
            "models": list(self.models),
            "seeds": list(self.seeds),
            "baseline": self.baseline,
            "zero_router": {
                "aiq": float(np.mean(aiqs)) if aiqs and len(aiqs) == len(self.zero_aiq) else None,
                "aiq_by_seed": list(self.zero_aiq),
            },
            "reading": self.reading,
            "strategies": [_row(self, evaluation) for evaluation in self.evaluations],
        }

    def df(self) -> pd.DataFrame:
        """One row a strategy, with the figures that the table of a report shows."""
        return pd.DataFrame(
            [
                {
                    "strategy": one.name,
                    "kind": one.kind,
                    "quality": one.quality,
                    "cost_usd_per_1k": one.cost_usd_per_1k,
                    "latency_p50_s": one.latency_s(0.5),
                    "latency_p95_s": one.latency_s(0.95),
                    "failed_share": one.failed_share,
                    "delta_quality": None if one.versus_baseline is None else one.versus_baseline.delta,
                    "verdict": None if one.versus_baseline is None else one.versus_baseline.verdict(self.margin),
                }
                for one in self.evaluations
            ]
        )

    def _repr_html_(self) -> str:
        return self.df().to_html(index=False, border=0, na_rep="n/a", float_format=lambda value: f"{value:.4g}")

    def __repr__(self) -> str:
        size = f"{len(self.evaluations)} strategies, {self.n_test} test cases"
        return f"Comparison({self.suite!r}, {size}): {self.reading}"


def _row(comparison: Comparison, one: Evaluation) -> dict[str, Any]:
    cost = one.cost_usd_per_1k
    gaps = [measured.gap for measured in one.measured]
    base = comparison[comparison.baseline].cost_usd_per_1k
    replayed = one.first.replayed
    answered = 1 - one.failed_share
    return {
        "name": one.name,
        "kind": one.kind,
        "aiq": one.mean([measured.aiq for measured in one.measured]),
        "aiq_by_seed": [measured.aiq for measured in one.measured],
        "deployed_gain": one.mean([measured.deployed_gain for measured in one.measured]),
        "deployed_gain_by_seed": [measured.deployed_gain for measured in one.measured],
        "abstained": one.abstained,
        "apgr": one.mean([None if gap is None else gap[0] for gap in gaps]),
        "cpt50": one.mean([None if gap is None else gap[1] for gap in gaps]),
        "cpt80": one.mean([None if gap is None else gap[2] for gap in gaps]),
        "quality": one.quality,
        "quality_ci95": None
        if one.quality_ci95 is None or one.quality_ci95.ci95 is None
        else list(one.quality_ci95.ci95),
        "score_when_answered": one.quality / answered if answered > 0 else None,
        "cost_usd_per_1k": cost,
        "n_cost_unknown": int(np.isnan(replayed.cost_usd).sum()),
        "latency_p50_s": one.latency_s(0.5),
        "latency_p95_s": one.latency_s(0.95),
        "match_cost": one.mean([measured.match_cost for measured in one.measured]),
        "regret": comparison.half.oracle_quality - one.first.quality,
        "arena_score": None if cost is None else arena_score(one.quality, cost),
        # Deciding is not timed here: replay knows no clock.
        "decision_latency_p95_s": None,
        "decision_cost_usd_per_1k": None,
        "failed_share": one.failed_share,
        "worst_slice": one.worst_slice,
        "constant_router": bool(replayed.decided.mean(axis=0).max() > _CONSTANT_FROM),
        "mix": one.mix(comparison.models),
        "mde": None if one.versus_baseline is None else one.versus_baseline.mde,
        "versus_baseline": _difference(one.versus_baseline, comparison.margin, cost, base),
        "versus_fixed_mix": _difference(one.versus_fixed_mix, comparison.margin, None, None),
    }


def _difference(one: Difference | None, margin: float, cost: float | None, base: float | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "delta_quality": one.delta,
        "ci95": None if one.ci95 is None else list(one.ci95),
        "delta_cost_pct": None if cost is None or not base else 100 * (cost / base - 1),
        "p_value": one.p_value,
        "p_adjusted": one.p_adjusted,
        "n_discordant": one.n_discordant,
        "method": one.method,
        "verdict": one.verdict(margin),
    }


_WORDS = {
    "better": "better than",
    "worse": "worse than",
    "no_worse": "no worse than",
    "cannot_tell": "not distinguishable from",
    "too_few": "not to be told from (too few cases differ)",
}


def _reading(comparison: Comparison) -> str:
    base = comparison[comparison.baseline]
    base_cost = base.cost_usd_per_1k
    best = max(
        (one for one in comparison.evaluations if one.kind == "strategy" and one.versus_baseline is not None),
        key=lambda one: one.quality,
        default=None,
    )
    if best is None or best.versus_baseline is None:
        price = "at an unknown cost" if base_cost is None else f"for ${base_cost:.3g} per 1,000 requests"
        return f"{base.name} scores {base.quality:.1%} {price}; no candidate was compared with it."
    versus = best.versus_baseline
    word = _WORDS[versus.verdict(comparison.margin)]
    sentence = f"{best.name} is {word} {base.name}: {_points(versus)} on {versus.n} held-out cases"
    cost = best.cost_usd_per_1k
    if cost is not None and base_cost:
        change = cost / base_cost - 1
        sentence += f", at {abs(change):.0%} {'more' if change > 0 else 'less'} cost"
    mix = best.versus_fixed_mix
    if mix is not None:
        sentence += f"; it is {_WORDS[mix.verdict(comparison.margin)]} the fixed mix at its own cost: {_points(mix)}"
    return f"{sentence}."


def _points(one: Difference) -> str:
    interval = "" if one.ci95 is None else f" [{100 * one.ci95[0]:+.1f}, {100 * one.ci95[1]:+.1f}]"
    return f"{100 * one.delta:+.1f} pt{interval}"
