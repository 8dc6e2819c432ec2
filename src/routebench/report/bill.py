"""What a month costs, and what a strategy saves in it, with the uncertainty of both."""

from __future__ import annotations

from routebench.dash.format import UNKNOWN, money
from routebench.evaluate import Comparison, Evaluation
from routebench.evaluate.intervals import Interval
from routebench.report.blocks import Block, Grid, Section, Text
from routebench.traffic import Traffic


def bill(comparison: Comparison, traffic: Traffic | None) -> Section | None:
    """Returns the monthly bill of every strategy; None where nobody said how many requests there are."""
    if traffic is None:
        return None
    rows = [_row(one, comparison, traffic.requests_per_month) for one in comparison.evaluations if _listed(one)]
    base = comparison.baseline
    caption = (
        f"{traffic.requests_per_month:,.0f} requests a month; list prices without prompt caching; 95 % intervals over "
        "the held-out cases of the first split."
    )
    columns = ("strategy", "a month [95% CI]", f"saving against {base} [95% CI]")
    blocks: list[Block] = [Grid(columns, rows, caption=caption)]
    blocks += [Text(sentence, "grave") for sentence in traffic.remarks]
    if not traffic.weighted:
        blocks.append(Text("This holds if your traffic looks like this suite.", "soft"))
    return Section("What a month costs", blocks)


def _listed(one: Evaluation) -> bool:
    return one.kind in ("strategy", "today") or one.name in ("best_single", "cheapest", "random_mix")


def _row(one: Evaluation, comparison: Comparison, requests: float) -> tuple[str, str, str]:
    saving = "baseline" if one.name == comparison.baseline else _dollars(one.saving_usd, requests)
    return one.name, _dollars(one.cost_ci95, requests), saving


def _dollars(interval: Interval | None, requests: float) -> str:
    """`$1,234 [1,100, 1,370]`; a negative saving has its sign."""
    if interval is None:
        return UNKNOWN
    text = _signed(interval.mean * requests)
    if interval.ci95 is None:
        return f"{text} (too few cases for an interval)"
    low, high = interval.ci95
    return f"{text} [{_signed(low * requests)}, {_signed(high * requests)}]"


def _signed(value: float) -> str:
    return money(value) if value >= 0 else f"-{money(-value)}"
