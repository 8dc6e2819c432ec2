"""The rows of the summary table: numbers that sort as numbers and show with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from routebench.dash.figures import Figure, figure_text, unadjusted, verdict_text
from routebench.dash.format import UNKNOWN, money, percent, points, seconds
from routebench.dash.parts import Column
from routebench.dash.tables import shown_name
from routebench.evaluate import Comparison, Evaluation
from routebench.evaluate.paired import Difference
from routebench.evaluate.protocol import Kind

_CHOSEN = ("best_single", "cheapest")
_MIX_SHOWN, _MIX_LEAST = 3, 0.005
_ORDER: tuple[Kind, ...] = ("strategy", "today", "reference", "model")
"""What a reader came for stands first, and the pick before all."""

COLUMNS = (
    Column("name", "name", help="best_single and cheapest are chosen on the training half, as every strategy is"),
    Column(
        "verdict",
        "verdict",
        help="what the paired difference allows to say, by Holm's test; (Holm) where the interval beside it does not "
        "show it: that holds for all candidates at once, and is a little wider",
    ),
    Column("quality", "quality [95% CI]", "right", figure_text, "mean score on held-out cases of the first split"),
    Column("delta", "vs baseline", "right", figure_text, "paired difference of mean scores, in points"),
    Column(
        "versus_mix", "vs mix at its cost", "right", figure_text, "against a fixed mix of single models of equal cost"
    ),
    Column("cost", "$ per 1,000 [95% CI]", "right", figure_text, "cost of 1,000 requests"),
    Column("mix", "answered by", help="share of the requests that each model answers, the largest first"),
    Column("p50_s", "p50", "right", seconds, "middle time to the answer"),
    Column("p95_s", "p95", "right", seconds, "time that 95% of the answers stay within"),
    Column("failed", "failed", "right", percent, "share of requests without an answer"),
)


def figures(comparison: Comparison, *, adjusted: bool, pick: str | None) -> pd.DataFrame:
    """Returns a row of COLUMNS a strategy, by its name.

    Args:
        comparison: of the cases that are shown.
        adjusted: whether intervals and verdicts allow for how many strategies are compared.
        pick: the strategy that is marked as the present pick.
    """
    listed = sorted(comparison.evaluations, key=lambda one: (one.name != pick, _ORDER.index(one.kind)))
    rows = [_row(one, comparison, adjusted=adjusted, pick=pick) for one in listed]
    columns = {
        column.name: pd.Series([row[place] for row in rows], dtype=object) for place, column in enumerate(COLUMNS)
    }
    frame = pd.DataFrame(columns)
    return frame.set_index(pd.Index([one.name for one in listed]))


def _row(one: Evaluation, comparison: Comparison, *, adjusted: bool, pick: str | None) -> tuple[object, ...]:
    base, mix, cost = one.versus_baseline, one.versus_fixed_mix, one.shown_cost_usd_per_1k
    if not adjusted:
        base, mix = (None if difference is None else unadjusted(difference) for difference in (base, mix))
    cost_bounds = None if one.cost_ci95 is None else one.cost_ci95.ci95
    around = None if cost_bounds is None else (1000 * cost_bounds[0], 1000 * cost_bounds[1])
    quality = percent(one.shown_quality, None if one.quality_ci95 is None else one.quality_ci95.ci95)
    # Which model that is was chosen on train; on the held-out half another may score higher.
    mark = f" ({one.most_sent(comparison.models)})" if one.name in _CHOSEN else ""
    mark += " (pick)" if one.name == pick else ""
    mark += " (upper bound)" if one.name == "oracle" else " (abstained)" if one.abstained else ""
    return (
        shown_name(one.name) + mark,
        "baseline" if base is None else "same" if one.is_the_baseline else verdict_text(base),
        Figure(one.shown_quality, quality),
        Figure(0.0, "baseline") if base is None else _difference(base),
        Figure(None, UNKNOWN) if mix is None else _difference(mix),
        Figure(cost, money(cost, around) if cost is not None else "n/a (no price)"),
        _mix(one, comparison.models),
        _known(one.latency_s(0.5)),
        _known(one.latency_s(0.95)),
        one.failed_share,
    )


def _difference(one: Difference) -> Figure:
    if one.n_discordant == 0:
        return Figure(0.0, "same scores")
    return Figure(one.delta, points(one.delta, one.ci95_simultaneous or one.ci95))


def _mix(one: Evaluation, models: Sequence[str]) -> str:
    """`large 60%, small 38%, 2% other`."""
    shares = sorted(zip(one.first.mix().tolist(), models, strict=True), key=lambda pair: -pair[0])
    told = [f"{model} {share:.0%}" for share, model in shares[:_MIX_SHOWN] if share >= _MIX_LEAST]
    rest = sum(share for share, _ in shares) - sum(share for share, _ in shares[: len(told)])
    return ", ".join(told + ([f"{rest:.0%} other"] if rest >= _MIX_LEAST else [])) or "nobody"


def _known(value: float | None) -> float:
    return float("nan") if value is None else value
