"""The rows behind every table and chart: built once for terminal, notebook and report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from routebench.dash.format import UNKNOWN, money, percent, points, seconds
from routebench.evaluate import Choices, Comparison, Evaluation, replay
from routebench.evaluate.intervals import Interval, mean_interval
from routebench.evaluate.paired import Difference

COMPARISON_COLUMNS = (
    "strategy",
    "quality [95% CI]",
    "mean of splits",
    "$ per 1,000",
    "vs baseline",
    "verdict",
    "vs mix at its cost",
    "p50",
    "p95",
    "failed",
)
_DECIDING = ("strategy", "today")
_COINCIDE = ("best_single", "cheapest", "fixed_mix")
"""Bars that stand where a model or the hull's end already does; a second mark there would only hide it."""
_DRAWN_FAILED_SHARE = 0.5


def comparison_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Rows of COMPARISON_COLUMNS, a strategy each."""
    return [_row(one) for one in comparison.evaluations]


def _row(one: Evaluation) -> tuple[str, ...]:
    interval = one.quality_ci95
    base = one.versus_baseline
    flags = " (abstained)" if one.abstained else " (constant)" if one.constant and one.kind in _DECIDING else ""
    return (
        one.name + flags,
        # Interval, differences and costs are of the first split, so that a row never contradicts itself.
        percent(one.shown_quality, None if interval is None else interval.ci95),
        percent(one.quality),
        money(one.shown_cost_usd_per_1k),
        "baseline" if base is None else _difference(base),
        "" if base is None else "same" if one.is_the_baseline else base.verdict.replace("_", " "),
        UNKNOWN if one.versus_fixed_mix is None else _difference(one.versus_fixed_mix),
        seconds(one.latency_s(0.5)),
        seconds(one.latency_s(0.95)),
        percent(one.failed_share),
    )


def _difference(one: Difference) -> str:
    return "same scores" if one.n_discordant == 0 else points(one.delta, one.ci95_simultaneous or one.ci95)


def mix_rows(comparison: Comparison, names: Sequence[str]) -> list[tuple[str, list[float]]]:
    """Returns (strategy, share of requests that each model answers, and at last the share without an answer)."""
    rows = []
    for name in names:
        one = comparison[name]
        rows.append((name, [*(float(share) for share in one.first.mix()), one.first.failed_share]))
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
    """Returns what is drawn, of the first split, and the names that are left out of the picture.

    Columns name, kind, cost, cost_low, cost_high, quality, low, high; costs in US dollars for 1,000 requests, NaN while
    unknown. A model that fails more than half the cases would stretch the axes until nothing else can be told apart.
    """
    rows, hidden = [], []
    for one in comparison.evaluations:
        hidden_by_another = one.kind == "reference" and _same_as_baseline(one)
        if one.name in _COINCIDE or hidden_by_another:
            continue
        name = one.name.removeprefix("always:")
        if one.failed_share > _DRAWN_FAILED_SHARE:
            hidden.append(name)
            continue
        cost, quality = one.shown_cost_usd_per_1k or float("nan"), one.shown_quality
        low, high = _bounds(one.quality_ci95) or (quality, quality)
        cost_low, cost_high = _bounds(one.cost_ci95) or (cost / 1000, cost / 1000)
        rows.append((name, one.kind, cost, 1000 * cost_low, 1000 * cost_high, quality, low, high))
    columns = ["name", "kind", "cost", "cost_low", "cost_high", "quality", "low", "high"]
    frame = pd.DataFrame(rows, columns=columns)
    # One policy without a price cannot be placed; where none has one, quality alone is drawn.
    unpriced = frame["cost"].isna()
    if not unpriced.all():
        hidden += [f"{name} (no price)" for name in frame.loc[unpriced, "name"]]
        frame = frame[~unpriced]
    return frame.reset_index(drop=True), hidden


def _bounds(interval: Interval | None) -> tuple[float, float] | None:
    return None if interval is None else interval.ci95


def _same_as_baseline(one: Evaluation) -> bool:
    return one.versus_baseline is not None and one.versus_baseline.n_discordant == 0


def chart_hull(comparison: Comparison, steps: int = 41) -> pd.DataFrame:
    """Returns what fixed mixes of two single models reach on the test half: cost, quality, low, high."""
    test = comparison.half.test
    hull = comparison.half.hull
    low, high = max(hull.cost_range[0], hull.cost_usd[0]), hull.cost_range[1]
    scores = {name: replay(test, Choices.same(test.models, (name,), test.n)).score for name in hull.names}
    # Even steps on the chart's logarithmic axis, and every corner.
    steps_usd = np.geomspace(low, high, steps) if low > 0 else np.linspace(low, high, steps)
    corners = hull.cost_usd[(hull.cost_usd >= low) & (hull.cost_usd <= high)]
    rows = []
    for cost in np.unique(np.concatenate([steps_usd, corners])):
        mix = sum(share * scores[name] for name, share in hull.mix_at(float(cost)).items())
        interval = mean_interval(np.asarray(mix), test.keys, test.weight, share=True)
        if interval is None or interval.ci95 is None or cost <= 0:
            continue
        rows.append((1000 * float(cost), interval.mean, *interval.ci95))
    return pd.DataFrame(rows, columns=["cost", "quality", "low", "high"])
