"""The rows behind every table and chart: built once for terminal, notebook and report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from routebench.dash.format import UNKNOWN, money, percent, points, seconds
from routebench.evaluate import Choices, Comparison, Evaluation, replay
from routebench.evaluate.intervals import mean_interval
from routebench.evaluate.paired import Difference

COMPARISON_COLUMNS = (
    "strategy",
    "quality [95% CI]",
    "vs baseline",
    "verdict",
    "vs mix at its cost",
    "$ per 1,000",
    "p50",
    "p95",
    "failed",
)
_COINCIDE = ("best_single", "cheapest", "fixed_mix")
"""Bars that stand where a model or the hull's end already does; a second mark there would only hide it."""
_DRAWN_FAILED_SHARE = 0.5


def comparison_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Rows of COMPARISON_COLUMNS, a strategy each."""
    return [_row(one) for one in comparison.evaluations]


def _row(one: Evaluation) -> tuple[str, ...]:
    interval = one.quality_ci95
    base = one.versus_baseline
    return (
        one.name + (" (abstained)" if one.abstained else ""),
        percent(one.quality, None if interval is None else interval.ci95),
        "baseline" if base is None else _difference(base),
        "" if base is None else base.verdict.replace("_", " "),
        UNKNOWN if one.versus_fixed_mix is None else _difference(one.versus_fixed_mix),
        money(one.cost_usd_per_1k),
        seconds(one.latency_s(0.5)),
        seconds(one.latency_s(0.95)),
        percent(one.failed_share),
    )


def _difference(one: Difference) -> str:
    return "same answers" if one.n_discordant == 0 else points(one.delta, one.ci95_simultaneous or one.ci95)


def mix_rows(comparison: Comparison, names: Sequence[str]) -> list[tuple[str, list[float]]]:
    """Returns (strategy, share of requests that each model answers, and at last the share without an answer)."""
    rows = []
    for name in names:
        one = comparison[name]
        rows.append((name, [*one.mix(comparison.models).values(), one.failed_share]))
    return rows


def mix_frame(comparison: Comparison, names: Sequence[str]) -> pd.DataFrame:
    """Columns strategy, model, share; requests without an answer stand as model `no answer`."""
    labels = [*comparison.models, "no answer"]
    rows = [
        {"strategy": name, "model": label, "share": share}
        for name, shares in mix_rows(comparison, names)
        for label, share in zip(labels, shares, strict=True)
    ]
    frame = pd.DataFrame(rows)
    return frame[frame.groupby("model")["share"].transform("max") > 0]


def chart_points(comparison: Comparison) -> tuple[pd.DataFrame, list[str]]:
    """Returns what is drawn (name, kind, cost, quality, low, high), and the names that are left out of the picture.

    A model that fails more than half the cases would stretch the axes until nothing else can be told apart.
    """
    rows, hidden = [], []
    for one in comparison.evaluations:
        cost, interval = one.cost_usd_per_1k, one.quality_ci95
        hidden_by_another = one.kind == "reference" and _same_as_baseline(one)
        if one.name in _COINCIDE or hidden_by_another or not cost:
            continue
        if one.failed_share > _DRAWN_FAILED_SHARE:
            hidden.append(one.name.removeprefix("always:"))
            continue
        low, high = (one.quality, one.quality) if interval is None or interval.ci95 is None else interval.ci95
        rows.append(
            {
                "name": one.name.removeprefix("always:"),
                "kind": one.kind,
                "cost": cost,
                "quality": one.quality,
                # The interval is of the first split and the point a mean over splits: it is moved along.
                "low": max(0.0, low + one.quality - (one.quality if interval is None else interval.mean)),
                "high": min(1.0, high + one.quality - (one.quality if interval is None else interval.mean)),
            }
        )
    return pd.DataFrame(rows, columns=["name", "kind", "cost", "quality", "low", "high"]), hidden


def _same_as_baseline(one: Evaluation) -> bool:
    return one.versus_baseline is not None and one.versus_baseline.n_discordant == 0


def chart_hull(comparison: Comparison, steps: int = 25) -> pd.DataFrame:
    """Returns what fixed mixes of two single models reach on the test half: cost, quality, low, high."""
    test = comparison.half.test
    hull = comparison.half.hull
    low, high = hull.cost_range
    scores = {name: replay(test, Choices.same(test.models, (name,), test.n)).score for name in hull.names}
    rows = []
    for cost in np.linspace(max(low, hull.cost_usd[0]), high, steps):
        mix = sum(share * scores[name] for name, share in hull.mix_at(float(cost)).items())
        interval = mean_interval(np.asarray(mix), test.keys, test.weight, share=True)
        if interval is None or interval.ci95 is None:
            continue
        rows.append((1000 * float(cost), interval.mean, *interval.ci95))
    return pd.DataFrame(rows, columns=["cost", "quality", "low", "high"])
