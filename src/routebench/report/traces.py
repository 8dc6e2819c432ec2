"""What a gateway served as tables, and as a page: over time, and beside the evidence of its rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from routebench.dash.charts import model_mix
from routebench.dash.figures import TOO_FEW
from routebench.dash.format import UNKNOWN, money, percent, points, seconds
from routebench.drifting import Drift, Row, Served, by_period
from routebench.drifting.labelling import REASONS
from routebench.evaluate.intervals import Interval
from routebench.report.blocks import Block, Facts, Figure, Grid, Page, Points, Section, Text
from routebench.report.render import write_page

_EVERY = ("1min", "5min", "15min", "1h", "3h", "6h", "1D", "7D", "28D")
_MOST_STRETCHES = 24
_LABELS_SHOWN = 50
_COLUMNS = ("", "production [95% CI]", "evidence [95% CI]", "change [95% CI]", "verdict")
_OVER_TIME = (
    *("from (UTC)", "requests", "cost of 1,000 [95% CI]", "p50", "p95", "first token p50", "failed [95% CI]"),
    *("shifted", "escalated", "explored", "cost unknown"),
)
_WORDS = {"moved": "moved", "within": "within the bound", "cannot_tell": "cannot tell", "too_few": TOO_FEW}
_TITLES = {
    "mix": "First model",
    "rules": "Deciding rule",
    "inputs": "Languages",
    "failures": "Failures, by kind and by model",
    "cascade": "Cascades",
    "latency": "Other times",
    "tokens": "Tokens",
    "gateway": "What the gateway did",
}
_FOOT = (
    "Intervals are 95 % ones of each figure alone, robust to several turns of a conversation. Verdicts are adjusted "
    "for all figures that decide (Holm): one has moved where it is surely another one, and by more than its bound. "
    "Requests that named their model, were refused before a decision, or were decided by another policy do not count."
)


def drift_tables(found: Drift, *, n_label: int = _LABELS_SHOWN) -> list[tuple[str, Grid]]:
    """Returns what decides, then what shows where it is, then what to label; without those that have no row.

    Args:
        found: what is shown.
        n_label: so many requests are named as worth a label.
    """
    tables = [("Production beside the evidence", [row for row in found.rows if row.decides])]
    for topic, title in _TITLES.items():
        tables.append((title, [row for row in found.rows if row.topic == topic and not row.decides]))
    made = [(title, _grid(rows)) for title, rows in tables if rows]
    if found.never:
        made.append(("Rules that decided no request", Grid(("rule",), [(name,) for name in found.never])))
    if found.shadows:
        made.append(("Rules in the shadow", _shadow_grid(found)))
    if found.needs:
        made.append(("Labelled cases, and how many it takes", _needs_grid(found)))
    if found.label_next:
        made.append(("To label next", _label_grid(found, n_label)))
    return made


def write_traces(path: str | Path, served: Served, found: Drift | None = None) -> Path:
    """Writes a page, HTML or Markdown by the name of the file, and returns its path; no text of a request is in it.

    Args:
        path: of the file.
        served: all traces.
        found: what they are beside the evidence; None where no rule set was given.

    Raises:
        InputError: the file cannot be written, or its name says no format.
    """
    sections = [*_over_time(served)]
    opening: list[Block] = [Text("There is no trace in this time.", "grave")] if not served.n else []
    if found is not None:
        opening = [Text(one.text, "grave" if one.grave else "finding") for one in found.readings if _leads(one.topic)]
        rest = [(one.text, one.grave) for one in found.readings if not _leads(one.topic)]
        opening += [Points(rest)] if rest else []
        tables = drift_tables(found)
        sections = [
            Section("Beside the evidence", [table for _, table in tables[:1]]),
            *sections,
            *(Section(title, [table]) for title, table in tables[1:]),
            Section("What counts", [Facts(_facts(found)), Text(_FOOT, "soft")]),
        ]
    title = "What was served" if found is None else f"What {Path(found.rules).name} served"
    return write_page(path, Page(title, _when(served), demo=False, opening=opening, sections=sections))


def _leads(topic: str) -> bool:
    return topic in ("policy", "headline")


def _when(served: Served) -> str:
    if not served.n:
        return "0 requests"
    first, last = (pd.Timestamp(at, unit="s", tz="UTC") for at in (served.at_s[0], served.at_s[-1]))
    return f"{served.n:,} requests from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"


def _facts(found: Drift) -> dict[str, str]:
    policies = ", ".join(
        f"{one.policy} ({one.n:,} requests, {one.first_at:%Y-%m-%d %H:%M} to {one.last_at:%Y-%m-%d %H:%M})"
        for one in found.policies
    )
    against = "the figures in the file" if found.replayed is None else f"{found.replayed:,} cases of {found.suite}"
    bounds = found.bounds
    return {
        "rules": f"{found.rules}, policy {found.policy}",
        "policies of the traces": policies or UNKNOWN,
        "evidence": UNKNOWN if found.suite is None else f"{against}, replayed" if found.replayed else against,
        "requests that count": f"{found.n:,} of {found.n_traces:,}",
        "left out": f"{found.n_named:,} that named their model, {found.n_undecided:,} refused before a decision",
        "unknown costs": f"{found.n_cost_unknown:,} requests",
        "bounds": (
            f"mix {bounds.mix_shift:.0%}, cost +{bounds.cost_rise:.0%}, p95 latency +{bounds.latency_rise:.0%}, failed "
            f"+{100 * bounds.failed_rise:.1f} pt, inputs {bounds.input_shift:.2f}"
        ),
    }


def _grid(rows: Sequence[Row]) -> Grid:
    shown = [
        (row.name, _figure(row, row.production), _figure(row, row.evidence), _change(row), _verdict(row))
        for row in rows
    ]
    marked = frozenset(place for place, row in enumerate(rows) if row.harmful)
    return Grid(_COLUMNS, shown, marked=marked)


def _figure(row: Row, one: Interval | None) -> str:
    if row.unit == "distance":
        return ""
    if one is None:
        return UNKNOWN
    if row.unit == "share":
        return percent(one.mean, one.ci95)
    if row.unit == "usd":
        return money(one.mean, one.ci95)
    bounds = one.ci95
    if row.unit == "s":
        return seconds(one.mean) + ("" if bounds is None else f" [{bounds[0]:.3g}, {bounds[1]:.3g}]")
    return f"{one.mean:.4g}" + ("" if bounds is None else f" [{bounds[0]:.4g}, {bounds[1]:.4g}]")


def _change(row: Row) -> str:
    if row.change is None:
        return "" if row.n_evidence is None else UNKNOWN
    if row.change_kind == "points":
        return points(row.change, row.change_ci95)
    if row.change_kind == "ratio":
        bounds = row.change_ci95
        return f"{row.change:+.1%}" + ("" if bounds is None else f" [{bounds[0]:+.1%}, {bounds[1]:+.1%}]")
    chance = f"{row.change:.3f} apart, chance {row.by_chance or 0.0:.3f}"
    if row.times is None:
        return chance
    within = "" if row.times_ci95 is None else f" [{row.times_ci95[0]:.2g}, {row.times_ci95[1]:.2g}]"
    return f"median x {row.times:.2g}{within}; {chance}"


def _verdict(row: Row) -> str:
    if row.verdict is None:
        return "" if row.n_evidence is None else UNKNOWN
    if row.verdict == "moved" and row.change_kind != "distance":
        return f"{'▲' if (row.change or 0.0) > 0 else '▼'} {_WORDS[row.verdict]}"
    return _WORDS[row.verdict]


def _shadow_grid(found: Drift) -> Grid:
    rows = []
    for one in found.shadows:
        rows.append((one.rules, "all", f"{one.n:,}", percent(one.agreement.mean, one.agreement.ci95)))
        rows += [
            (one.rules, rule.rule, f"{rule.n:,}", percent(rule.agreement.mean, rule.agreement.ci95))
            for rule in one.by_rule
        ]
    return Grid(("rules in the shadow", "decided by", "requests", "same first model [95% CI]"), rows)


def _needs_grid(found: Drift) -> Grid:
    rows = [
        (one.name, percent(one.share), f"{one.have:,}", f"{one.need:,}", f"{one.lacking:,}" if one.lacking else "none")
        for one in found.needs
    ]
    caption = "So many labelled cases tell the quality of production to within 2 points."
    return Grid(("requests", "share", "there are", "it takes", "lacking"), rows, caption=caption)


def _label_grid(found: Drift, n: int) -> Grid:
    shown = found.label_next[:n]
    rows = [
        (one.trace_id, one.rule or UNKNOWN, one.model or UNKNOWN, "; ".join(REASONS[why] for why in one.reasons))
        for one in shown
    ]
    caption = f"{len(shown)} of {len(found.label_next)}, those with most reasons first; ids alone, no text."
    return Grid(("trace", "rule", "model", "why"), rows, caption=caption, folded="Requests that are worth a label")


def _over_time(served: Served) -> list[Section]:
    if not served.n:
        return []
    length_s = float(served.at_s[-1] - served.at_s[0])
    every = next((one for one in _EVERY if length_s / pd.Timedelta(one).total_seconds() <= _MOST_STRETCHES), _EVERY[-1])
    table = by_period(served, every=every)
    whole, own = table[table["model"].isna()], table[table["model"].notna()]
    form = "%Y-%m-%d" if pd.Timedelta(every) >= pd.Timedelta("1D") else "%m-%d %H:%M"
    blocks: list[Block] = []
    answered = own[own["share"] > 0]
    if len(answered):
        ranks = {name: rank for rank, name in enumerate(dict.fromkeys(own["model"]))}
        mix = pd.DataFrame(
            {
                # Room for signs that are wider than the drawing takes them to be.
                "strategy": "\u00a0\u00a0" + answered["period"].dt.strftime(form),
                "model": answered["model"],
                "share": answered["share"],
                "rank": answered["model"].map(ranks),
                "share_text": [percent(share) for share in answered["share"]],
            }
        )
        reading = "Share of answers by each model, by stretches of time"
        blocks.append(Figure(model_mix(mix.sort_values(["strategy", "rank"]), reading=reading).svg(), reading))
    rows = [_stretch(row, form) for row in whole.to_dict("records")]
    blocks.append(Grid(_OVER_TIME, rows, caption=f"Stretches of {every}; shifted: sent elsewhere by health."))
    by_model = [_share(row, form) for row in own.to_dict("records") if row["n"]]
    columns = ("from (UTC), model", "requests", "share of answers [95% CI]")
    blocks.append(Grid(columns, by_model, folded="The mix as numbers"))
    return [Section("Over time", blocks)]


def _stretch(told: Mapping[Any, Any], form: str) -> tuple[str, ...]:
    return (
        f"{told['period']:{form}}",
        f"{told['n']:,}",
        money(_known(told["cost_usd_per_1k"]), _pair(told["cost_low"], told["cost_high"])),
        seconds(_known(told["latency_p50_s"])),
        seconds(_known(told["latency_p95_s"])),
        seconds(_known(told["ttft_p50_s"])),
        percent(_known(told["failed_share"]), _pair(told["failed_low"], told["failed_high"])),
        *(f"{told[name]:,}" for name in ("shifted", "escalated", "explored", "n_cost_unknown")),
    )


def _share(told: Mapping[Any, Any], form: str) -> tuple[str, ...]:
    share = percent(_known(told["share"]), _pair(told["share_low"], told["share_high"]))
    return f"{told['period']:{form}}, {told['model']}", f"{told['n']:,}", share


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _pair(low: float, high: float) -> tuple[float, float] | None:
    return None if np.isnan(low) or np.isnan(high) else (float(low), float(high))
