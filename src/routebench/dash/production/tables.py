"""The tables of production: stretches, models, rules, the shadow, and the traces themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from routebench.dash.figures import TOO_FEW, Figure, figure_text
from routebench.dash.format import UNKNOWN, money, percent, seconds
from routebench.dash.parts import Column
from routebench.dash.production.log import Log, word_at
from routebench.evaluate.paired import MIN_CASES

MOST_TRACES = 1_000
"""Traces that the table holds: the latest of what is chosen. Narrower choices reach the others."""


def _whole(value: Any) -> str:
    return f"{value:,.0f}"


_FIGURES = (
    Column("share", "share of answers [95% CI]", "right", figure_text, "of the requests that were answered"),
    Column("cost", "$ per 1,000 [95% CI]", "right", figure_text, "of requests with a known cost"),
    Column("unknown", "cost unknown", "right", _whole, "requests whose cost nobody knows"),
    Column("p50", "p50", "right", seconds, "half of the requests took at most so long"),
    Column("p95", "p95", "right", seconds, "95 of 100 requests took at most so long"),
    Column("ttft", "first token p50", "right", seconds, "of streams"),
    Column("failed", "failed [95% CI]", "right", figure_text, "asked to the end, without a whole answer"),
    Column("shifted", "shifted", "right", _whole, "health sent them elsewhere than first wanted"),
    Column("explored", "explored", "right", _whole, "the first model was drawn, to learn from"),
    Column("escalated", "escalated", "right", _whole, "a check refused an answer"),
)
PERIOD_COLUMNS = (
    Column("when", "from (UTC)"),
    Column("n", "requests", "right", _whole),
    *(column for column in _FIGURES if column.name != "share"),
    Column("policies", "rule sets", "right", _whole, "how many decided"),
)
MODEL_COLUMNS = (
    Column("model", "model"),
    Column("n", "answered", "right", _whole, "or, where nobody answered, was asked first"),
    Column("sent", "asked first", "right", _whole),
    *_FIGURES,
)
RULE_COLUMNS = (Column("model", "rule"), Column("n", "requests", "right", _whole), *_FIGURES)
SHADOW_COLUMNS = (
    Column("rule", "rule"),
    Column("n", "requests", "right", _whole),
    Column("agree", "same first model [95% CI]", "right", figure_text),
    Column("differ", "differ", "right", _whole),
    Column("most", "most often", show=str, help="asked first → what the shadow would have asked first"),
)
POLICY_COLUMNS = (
    Column("rules", "rule set"),
    Column("policy", "digest"),
    Column("n", "requests", "right", _whole),
    Column("from", "from"),
    Column("to", "to"),
)
TRACE_COLUMNS = (
    Column("when", "at (UTC)"),
    Column("rule", "rule"),
    Column("model", "answered by"),
    Column("outcome", "outcome"),
    Column("marks", "what was special"),
    Column("latency", "time", "right", seconds),
    Column("ttft", "first token", "right", seconds),
    Column("cost", "$", "right", money),
    Column("input", "tokens in", "right", _whole),
    Column("output", "out", "right", _whole),
    Column("client", "client"),
    Column("trace", "trace"),
)


def figure_rows(found: pd.DataFrame) -> pd.DataFrame:
    """Returns rows of `by_period` with their figures as texts; below 30 requests no interval is told."""
    few = found["n"] < MIN_CASES
    return pd.DataFrame(
        {
            "model": found["model"],
            "n": found["n"],
            "sent": found["sent"],
            "share": _figures(found, ("share", "share_low", "share_high"), percent, few),
            "cost": _figures(found, ("cost_usd_per_1k", "cost_low", "cost_high"), money, few),
            "unknown": found["n_cost_unknown"],
            "p50": found["latency_p50_s"],
            "p95": found["latency_p95_s"].where(~few),
            "ttft": found["ttft_p50_s"],
            "failed": _figures(found, ("failed_share", "failed_low", "failed_high"), percent, few),
            "shifted": found["shifted"],
            "explored": found["explored"],
            "escalated": found["escalated"].astype(object).where(found["cascaded"] > 0, None),
            "policies": found["policies"],
        },
        index=found.index,
    )


def period_table(totals: pd.DataFrame) -> pd.DataFrame:
    """Returns a row of PERIOD_COLUMNS a stretch with requests, by its name, the latest first."""
    some = totals[totals["n"] > 0].iloc[::-1]
    return figure_rows(some).assign(when=some["when"].str[:19]).set_index(some["name"])


def shadow_table(found: pd.DataFrame) -> pd.DataFrame:
    """Returns a row of SHADOW_COLUMNS a rule."""
    few = found["n"] < MIN_CASES
    return found.assign(agree=_figures(found, ("agree", "low", "high"), percent, few))


def policy_table(found: pd.DataFrame) -> pd.DataFrame:
    """Returns a row of POLICY_COLUMNS a rule set."""
    times = {name: _moments(found[f"{name}_ms"].to_numpy(dtype=float) / 1000) for name in ("from", "to")}
    return found.assign(**times).set_index(found["policy"])


def trace_table(log: Log) -> pd.DataFrame:
    """Returns a row of TRACE_COLUMNS for each of the latest traces, by its id."""
    some = np.arange(log.n)[::-1][:MOST_TRACES]
    served = log.served
    shifted = served.shifted
    kinds: dict[int, list[str]] = {}
    row, words = log.tries
    recent = row >= log.n - MOST_TRACES
    for place, code in zip(row[recent].tolist(), words.by[recent].tolist(), strict=True):
        kinds.setdefault(place, []).append(words.names[code])
    rows = []
    for place in some.tolist():
        marks = list(dict.fromkeys(kinds.get(place, ())))
        if shifted[place]:
            marks.append(f"health: {word_at(served.first, place)} for {word_at(served.wanted, place)}")
        if served.explored[place]:
            marks.append("explored")
        if served.escalated[place] == 1:
            marks.append("escalated")
        if log.shadow[place] == 0:
            marks.append(f"shadow: {word_at(log.shadow_first, place) or 'no model'}")
        outcome = word_at(served.outcome, place)
        status = log.status[place]
        rows.append(
            (
                word_at(served.rule, place),
                word_at(served.model, place),
                f"{outcome}{'' if outcome == 'ok' or np.isnan(status) else f', {status:.0f}'}",
                "; ".join(marks),
                word_at(log.client, place) or "",
            )
        )
    names = ("rule", "model", "outcome", "marks", "client")
    made = pd.DataFrame(rows, columns=list(names), dtype=object)
    ids = log.ids[some]
    return made.assign(
        when=_moments(served.at_s[some]),
        latency=served.latency_s[some],
        ttft=served.ttft_s[some],
        cost=served.cost_usd[some],
        input=served.input_tokens[some],
        output=served.output_tokens[some],
        trace=ids,
    ).set_index(pd.Index(ids, dtype=object))


def _figures(found: pd.DataFrame, names: tuple[str, str, str], told: Callable[..., str], few: pd.Series) -> pd.Series:
    made = []
    columns = (found[name].to_numpy(dtype=float) for name in names)
    for value, low, high, is_few in zip(*columns, few, strict=True):
        if np.isnan(value):
            made.append(Figure(None, UNKNOWN))
        elif is_few:
            made.append(Figure(value, f"{told(value)}, {TOO_FEW}"))
        else:
            made.append(Figure(value, told(value, None if np.isnan(low) else (max(0.0, low), high))))
    return pd.Series(made, index=found.index, dtype=object)


def _moments(at_s: Any) -> list[str]:
    texts = np.datetime_as_string(np.asarray(at_s).astype("datetime64[s]"))
    return [text.replace("T", " ") for text in texts.tolist()]
