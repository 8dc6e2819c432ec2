"""The rows behind every table and chart: built once for terminal, notebook and report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from routebench.dash.format import UNKNOWN, money, percent, points, seconds
from routebench.evaluate import Choices, Comparison, Evaluation, replay
from routebench.evaluate.intervals import Interval, mean_interval
from routebench.evaluate.paired import Difference, Verdict

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
VERDICTS: Mapping[Verdict, str] = {
    "better": "better",
    "worse": "worse",
    "no_worse": "no worse",
    "cannot_tell": "cannot tell",
    "too_few": "too few",
}
"""The words for a difference."""
BY_TEST = " (Holm)"
"""Follows a verdict that its interval does not show; the interval holds for all comparisons at once, and is wider."""
NOBODY = "no answer"
"""Stands for a model where a request is not answered."""
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
        "" if base is None else "same" if one.is_the_baseline else _verdict(base),
        UNKNOWN if one.versus_fixed_mix is None else _difference(one.versus_fixed_mix),
        seconds(one.latency_s(0.5)),
        seconds(one.latency_s(0.95)),
        percent(one.failed_share),
    )


def _verdict(one: Difference) -> str:
    return VERDICTS[one.verdict] + (BY_TEST if one.by_test_alone else "")


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
    """Columns strategy, model, share, rank (of the model) and share_text.

    Requests without an answer stand as model `no answer`.
    """
    labels = [*comparison.models, NOBODY]
    rows = [
        (shown_name(name), label, share, rank, percent(share))
        for name, shares in mix_rows(comparison, names)
        for rank, (label, share) in enumerate(zip(labels, shares, strict=True))
    ]
    frame = pd.DataFrame(rows, columns=["strategy", "model", "share", "rank", "share_text"])
    return frame[frame.groupby("model")["share"].transform("max") > 0].reset_index(drop=True)


def shown_name(name: str) -> str:
    """What a strategy is called in pictures and tables: a model by its own name, a file without its folders.

    Folders stay where they were typed from the current one on: they tell `old/rules.yaml` from `new/rules.yaml`.
    """
    kind, _, file = name.partition(":")
    return f"{kind}:{Path(file).name}" if file.startswith("/") else name.removeprefix("always:")


def chart_points(comparison: Comparison, pick: str | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Returns what is drawn, of the first split, and the names that are left out of the picture.

    Columns name, label, kind, is_pick, cost, cost_low, cost_high, quality, low, high, p50, p95 and texts for the
    tooltip; costs in US dollars for 1,000 requests, times in seconds, NaN while unknown. A model that fails more than
    half the cases would stretch the axes until nothing else can be told apart.

    Args:
        comparison: what is drawn.
        pick: the strategy that is marked as the present pick.
    """
    rows, hidden = [], []
    for one in comparison.evaluations:
        hidden_by_another = one.kind == "reference" and _same_as_baseline(one)
        if one.name in _COINCIDE or hidden_by_another:
            continue
        if one.failed_share > _DRAWN_FAILED_SHARE:
            hidden.append(shown_name(one.name))
            continue
        rows.append(_point(one, pick))
    frame = pd.DataFrame(rows, columns=_POINT_COLUMNS).astype(dict.fromkeys(_POINT_NUMBERS, float))
    # One policy without a price cannot be placed; where none has one, quality alone is drawn.
    unpriced = frame["cost"].isna()
    if not unpriced.all():
        hidden += [f"{shown_name(name)} (no price)" for name in frame.loc[unpriced, "name"]]
        frame = frame[~unpriced]
    return frame.reset_index(drop=True), hidden


_POINT_NUMBERS = ("cost", "cost_low", "cost_high", "quality", "low", "high", "p50", "p95")
_POINT_COLUMNS = [
    *("name", "label", "kind", "is_pick"),
    *_POINT_NUMBERS,
    *("quality_text", "cost_text", "delta_text", "time_text"),
]


def _point(one: Evaluation, pick: str | None) -> tuple[object, ...]:
    cost, quality = one.shown_cost_usd_per_1k, one.shown_quality
    bounds = _bounds(one.quality_ci95)
    low, high = bounds or (quality, quality)
    cost_bounds = _bounds(one.cost_ci95)
    around = None if cost is None or cost_bounds is None else (1000 * cost_bounds[0], 1000 * cost_bounds[1])
    cost_low, cost_high = around or (cost, cost)
    p50, p95 = one.latency_s(0.5), one.latency_s(0.95)
    label = shown_name(one.name) + (" (pick)" if one.name == pick else " (upper bound)" if one.name == "oracle" else "")
    return (
        *(one.name, label, one.kind, one.name == pick, cost, cost_low, cost_high, quality, low, high, p50, p95),
        percent(quality, bounds),
        money(cost, around),
        "is the baseline" if one.versus_baseline is None else f"{_difference(one.versus_baseline)}",
        f"{seconds(p50)} / {seconds(p95)}",
    )


def is_logarithmic(points: pd.DataFrame) -> bool:
    """Whether costs can be drawn on a logarithmic axis: what costs nothing has no place on one."""
    return bool((points["cost"].dropna() > 0).all())


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
        interval = mean_interval(np.asarray(mix), test.cases.cluster, test.weight, share=True)
        if interval is None or interval.ci95 is None:
            continue
        rows.append((1000 * float(cost), interval.mean, *interval.ci95))
    return pd.DataFrame(rows, columns=["cost", "quality", "low", "high"])
