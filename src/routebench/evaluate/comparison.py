"""What a comparison found: the values, their table, and their JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from routebench.errors import OutcomesError, nearest
from routebench.evaluate.estimates import ALPHA
from routebench.evaluate.evaluation import Cached, Evaluation, Half
from routebench.evaluate.intervals import Interval, ratio_interval
from routebench.evaluate.metrics import arena_score
from routebench.evaluate.paired import Difference, paired
from routebench.evaluate.sentence import Sentence
from routebench.evaluate.slices import Slice

SCHEMA = "routebench/compare/v1"
_NO_FINDING = 2.5


@dataclass(frozen=True)
class Comparison:
    """Strategies on the same held-out cases.

    Attributes:
        n_left_out: test cases of the first seed that some strategy has no outcome for.
        lacking: model -> test cases of the first seed without a graded outcome of it.
        margin: what counts as no worse, in mean score.
        half: the first seed's split.
        outcomes_sha256: digest of the whole matrix, see `Outcomes.sha256`.
        agreement: how far the judge agrees with people, in words; None where no judge graded.
        cache_hit_rate: share of input tokens read from the provider's cache; None where that was left out.
        n_without_text: cases that are left out because their prompts are not kept any more.
        n_sealed: cases that are kept back for a last look.
        readings: what was found, as sentences: the findings first, what they rest on after them.
    """

    suite: str
    models: tuple[str, ...]
    seeds: tuple[int, ...]
    baseline: str
    n_cases: int
    n_test: int
    n_left_out: int
    lacking: Mapping[str, int]
    margin: float
    zero_aiq: tuple[float | None, ...]
    evaluations: tuple[Evaluation, ...]
    half: Half
    outcomes_sha256: str
    agreement: str | None = None
    cache_hit_rate: float | None = None
    n_without_text: int = 0
    n_sealed: int = 0
    readings: tuple[Sentence, ...] = ()

    def __getitem__(self, name: str) -> Evaluation:
        for evaluation in self.evaluations:
            if evaluation.name == name:
                return evaluation
        names = [evaluation.name for evaluation in self.evaluations]
        raise OutcomesError(f"no strategy {name!r} was compared{nearest(name, names)}; there are {', '.join(names)}")

    def between(self, first: str, second: str, tries: int = 1) -> Difference:
        """The difference of two strategies on the first seed, paired; as one of so many tries (Bonferroni)."""
        test = self.half.test
        one, other = self[first].first.replayed.score, self[second].first.replayed.score
        found = paired(one, other, test.keys, test.weight, self.margin)
        if tries < 2 or found.estimate is None:
            return found
        return replace(
            found,
            p_adjusted=min(1.0, tries * found.estimate.p_value()),
            p_noninferior_adjusted=min(1.0, tries * found.estimate.p_above(-self.margin)),
            ci95_simultaneous=found.estimate.interval(ALPHA / tries),
        )

    def cost_between(self, first: str, second: str) -> Interval | None:
        """Cost of one strategy against another's, less one, on the first seed; None while unknown."""
        test = self.half.test
        one, other = self[first].first.replayed.cost_usd, self[second].first.replayed.cost_usd
        return ratio_interval(one, other, test.keys, test.weight)

    @property
    def cheapest_model(self) -> str:
        """The model with the least cost among those that answer at least half the cases; of the first seed."""
        usable = [one for one in self.half.singles if one.usable] or list(self.half.singles)
        return min(usable, key=lambda one: float("inf") if one.cost_usd is None else one.cost_usd).name

    @property
    def candidates(self) -> tuple[Evaluation, ...]:
        """What could be deployed and was asked for."""
        return tuple(one for one in self.evaluations if one.kind == "strategy")

    @property
    def today(self) -> Evaluation | None:
        """The router that the team runs now, where its decisions were given."""
        return next((one for one in self.evaluations if one.kind == "today"), None)

    @property
    def pick(self) -> Evaluation | None:
        """What the reading is about: the best of the candidates that are better, else the cheapest that loses least."""
        ranks = {"better": 0, "no_worse": 1, "cannot_tell": 2, "too_few": 2, "worse": 3}

        def order(one: Evaluation) -> tuple[float, float, float]:
            versus, cost = one.versus_baseline, one.cost_usd_per_1k
            # The same as the baseline's is no finding, nor a loss that too few cases tell of.
            price = float("inf") if cost is None else cost
            if versus is None or one.is_the_baseline:
                return _NO_FINDING, price, -one.quality
            verdict = versus.verdict
            if verdict == "too_few" and versus.delta < -self.margin:
                return _NO_FINDING, -one.quality, price
            return (0, -one.quality, price) if verdict == "better" else (ranks[verdict], price, -one.quality)

        return min(self.candidates, key=order, default=None)

    @property
    def reading(self) -> str:
        """The findings in one text, as the statistics allow it."""
        return " ".join(sentence.text for sentence in self.readings if sentence.is_finding)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that `compare --json` prints; undefined figures are None."""
        aiqs = [value for value in self.zero_aiq if value is not None]
        return {
            "schema": SCHEMA,
            "suite": self.suite,
            "n_cases": self.n_cases,
            "n_test": self.n_test,
            "n_left_out": self.n_left_out,
            "n_without_text": self.n_without_text,
            "n_sealed": self.n_sealed,
            "lacking": dict(self.lacking),
            "models": list(self.models),
            "seeds": list(self.seeds),
            "outcomes_sha256": self.outcomes_sha256,
            "baseline": self.baseline,
            "zero_router": {
                "aiq": float(np.mean(aiqs)) if aiqs and len(aiqs) == len(self.zero_aiq) else None,
                "aiq_by_seed": list(self.zero_aiq),
            },
            "reading": self.reading,
            "readings": [sentence.as_dict() for sentence in self.readings],
            "judge": self.agreement,
            "cache_hit_rate": self.cache_hit_rate,
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
                    "verdict": None if one.versus_baseline is None else one.versus_baseline.verdict,
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
    first = one.first
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
        "quality_first_seed": first.quality,
        "quality_ci95": _bounds(one.quality_ci95),
        "score_when_answered": one.score_when_answered,
        "cost_usd_per_1k": cost,
        "cost_usd_per_1k_ci95": _bounds(one.cost_ci95, 1000),
        "cost_cached": _cached(one.cached),
        "n_cost_unknown": int(np.isnan(first.replayed.cost_usd).sum()),
        "latency_p50_s": one.latency_s(0.5),
        "latency_p95_s": one.latency_s(0.95),
        "match_cost": one.mean([measured.match_cost for measured in one.measured]),
        "regret": one.mean([measured.regret for measured in one.measured]),
        "arena_score": None if cost is None else arena_score(one.quality, cost),
        "decision_latency_p95_s": one.decision_latency_s(0.95),
        "decision_cost_usd_per_1k": one.decision_cost_usd_per_1k,
        "failed_share": one.failed_share,
        "escalated_share": one.escalated_share,
        "cells_share": one.mean([measured.cells_share for measured in one.measured]),
        "noise_share": one.noise_share,
        "worst_slice": _slice(one.worst_slice),
        "break_even_hit_rate": one.break_even_hit_rate,
        "constant_router": one.constant,
        "largest_share": one.largest_share,
        "mix": one.mix(comparison.models),
        "mde": None if one.versus_baseline is None else one.versus_baseline.mde,
        "judged": one.judged,
        "versus_baseline": _difference(one.versus_baseline, one),
        "versus_fixed_mix": _difference(one.versus_fixed_mix, None),
    }


def _difference(one: Difference | None, costs: Evaluation | None) -> dict[str, Any] | None:
    if one is None:
        return None
    row: dict[str, Any] = {
        "delta_quality": one.delta,
        "ci95": None if one.ci95 is None else list(one.ci95),
        "ci95_simultaneous": None if one.ci95_simultaneous is None else list(one.ci95_simultaneous),
    }
    if costs is not None:
        change = costs.cost_versus_baseline
        row["delta_cost_pct"] = None if change is None else 100 * change.mean
        row["delta_cost_pct_ci95"] = _bounds(change, 100)
        row["saving_usd_per_1k"] = None if costs.saving_usd is None else 1000 * costs.saving_usd.mean
    return {
        **row,
        "p_value": one.p_value,
        "p_adjusted": one.p_adjusted,
        "p_noninferior_adjusted": one.p_noninferior_adjusted,
        "n_discordant": one.n_discordant,
        "method": one.method,
        "verdict": one.verdict,
    }


def _cached(one: Cached | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "hit_rate": one.hit_rate,
        "cost_usd_per_1k": one.cost_usd_per_1k,
        "delta_cost_pct": None if one.change is None else 100 * one.change.mean,
        "delta_cost_pct_ci95": _bounds(one.change, 100),
        "delta_cost_pct_if_lost": None if one.change_if_lost is None else 100 * one.change_if_lost.mean,
    }


def _slice(one: Slice | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "name": one.name,
        "n": one.n,
        "delta_quality": one.delta,
        "ci95_simultaneous": None if one.ci95 is None else list(one.ci95),
        "n_slices": one.n_slices,
        "n_too_small": one.n_too_small,
    }


def _bounds(interval: Interval | None, scale: float = 1.0) -> list[float] | None:
    if interval is None or interval.ci95 is None:
        return None
    return [scale * bound for bound in interval.ci95]
