"""What a production panel shows: pictures over one time, and the tables below them."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets
import pandas as pd

from routebench.dash.parts import ChartView, Column, Grid, Numbers, numbers_of
from routebench.dash.production import frames, pictures
from routebench.dash.production.state import Production
from routebench.dash.production.tables import (
    MODEL_COLUMNS,
    MOST_TRACES,
    PERIOD_COLUMNS,
    POLICY_COLUMNS,
    RULE_COLUMNS,
    SHADOW_COLUMNS,
    TRACE_COLUMNS,
    figure_rows,
    period_table,
    policy_table,
    shadow_table,
    trace_table,
)

_TRACES_A_PAGE = 50
_STILL_ROWS = 50
"""Rows of a table in what stays without a kernel."""


class Board:
    """The showing part of the panel.

    Attributes:
        volume: requests by time, where stretches are brushed.
        drawn: the pictures of which something is known, from top to bottom.
        traces: the table of the latest traces.
        periods: the table of the stretches, where they are ticked.
        opened: where an open trace stands.
        labelled: where one stands that is worth a label.
        tabs: the tables, one at a time.
    """

    def __init__(self) -> None:
        self.volume = _view(pictures.volume(), "requests")
        self._mix = _view(pictures.mix(()), "mix")
        self._cost = _view(pictures.cost(), "cost")
        self._times = _view(pictures.times(), "times")
        self._incidents = _view(pictures.incidents(1), "incidents")
        self._specs: tuple[object, ...] = ((), 1)
        self.drawn = widgets.VBox([])
        self.traces = Grid(
            TRACE_COLUMNS, name="traces", label="traces", page_size=_TRACES_A_PAGE, ticks=True, opens=True, search=True
        )
        self.periods = Grid(
            PERIOD_COLUMNS, name="stretches", label="stretches of time, to select by ticks", page_size=50, ticks=True
        )
        self.traces.add_class("rb-wide")
        self.opened = widgets.HTML()
        self.labelled = widgets.HTML()
        self._more = widgets.HTML()
        models = Grid(MODEL_COLUMNS, name="models", label="models")
        rules = Grid(RULE_COLUMNS, name="rules", label="rules")
        shadow = Grid(SHADOW_COLUMNS, name="shadow", label="what the shadow would have done, by rule")
        policies = Grid(POLICY_COLUMNS, name="rule-sets", label="rule sets that decided")
        self._tables: dict[str, tuple[widgets.Widget, Callable[[Production], None]]] = {
            "Traces": (widgets.VBox([self._more, self.traces, self.opened]), self._show_traces),
            "Stretches": (self.periods, lambda state: self.periods.show(period_table(state.totals))),
            "Models": (models, lambda state: models.show(figure_rows(state.by_model()))),
            "Rules": (rules, lambda state: rules.show(figure_rows(state.by_rule()))),
            "Shadow": (shadow, lambda state: shadow.show(shadow_table(state.shadow()))),
            "Rule sets": (policies, lambda state: policies.show(policy_table(state.policies()))),
        }
        self.tabs = widgets.Tab([child for child, _ in self._tables.values()], titles=tuple(self._tables))

    @property
    def views(self) -> Sequence[ChartView]:
        """The pictures from top to bottom."""
        return (self.volume, self._mix, self._cost, self._times, self._incidents)

    @property
    def looked_at(self) -> str:
        """The title of the table that is looked at."""
        return list(self._tables)[self.tabs.selected_index or 0]

    def add(self, title: str, child: widgets.Widget, show: Callable[[Production], None]) -> None:
        """Puts one more table behind the others."""
        self._tables[title] = (child, show)
        self.tabs.children = [child for child, _ in self._tables.values()]
        self.tabs.titles = tuple(self._tables)

    def draw(self, state: Production, evidence_usd_per_1k: float | None) -> None:
        """Draws the choices anew, each picture as soon as its rows are known."""
        totals, models = state.totals, state.models
        periods, told = frames.period_rows(totals), _described(state)
        self.volume.feed(told[0], periods=periods)
        policies = frames.policy_rows(state.policies())
        self._mix.feed(told[1], periods=periods, policies=policies, **frames.mix_rows(state.periods, models))
        costs = frames.cost_rows(totals, evidence_usd_per_1k)
        self._cost.feed(told[2], periods=periods, policies=policies, **costs)
        self._times.feed(told[3], periods=periods, policies=policies, times=frames.time_rows(totals))
        found = frames.incident_rows(state.incidents)
        kinds = ", ".join(dict.fromkeys(state.incidents["what"])) or "nothing"
        self._incidents.feed(f"{told[4]}: {kinds}.", periods=periods, policies=policies, **found)
        specs = (models, len(found["lanes"]))
        if specs != self._specs:
            self._mix.show(pictures.mix(models), self._mix.description)
            self._incidents.show(pictures.incidents(len(found["lanes"])), self._incidents.description)
            self._specs = specs
        # An axis of nothing cannot be drawn; the reading says what is unknown.
        there = {
            self.volume: len(totals),
            self._mix: len(models),
            self._cost: totals["cost_usd_per_1k"].notna().any(),
            self._times: (totals["latency_p50_s"] > 0).any(),
            self._incidents: len(found["lanes"]),
        }
        shown = tuple(view for view, known in there.items() if len(totals) and known)
        if shown != self.drawn.children:
            self.drawn.children = shown
        self.mark(state)

    def mark(self, state: Production) -> None:
        """Marks the selected stretches in every picture and in their table."""
        names = tuple(sorted(state.selected))
        for view in self.views:
            view.selected = names
        self.periods.ticked = names

    def tell(self, state: Production) -> None:
        """Fills the table that is looked at."""
        _, show = self._tables[self.looked_at]
        show(state)

    def numbers(self, state: Production) -> Sequence[Numbers]:
        """Every table that holds no single request."""
        told: list[tuple[str, Sequence[Column], pd.DataFrame]] = [
            ("Models", MODEL_COLUMNS, figure_rows(state.by_model())),
            ("Rules", RULE_COLUMNS, figure_rows(state.by_rule())),
            ("Stretches", PERIOD_COLUMNS, period_table(state.totals)),
            ("Shadow", SHADOW_COLUMNS, shadow_table(state.shadow())),
            ("Rule sets", POLICY_COLUMNS, policy_table(state.policies())),
        ]
        made = [numbers_of(caption, columns, frame, most=_STILL_ROWS) for caption, columns, frame in told if len(frame)]
        found = state.incidents
        if len(found):
            counts = found.groupby("what", sort=False)["n"].sum()
            rows = [(str(what), f"{n:,}") for what, n in counts.items()]
            made.append(Numbers("What went another way", ("what", "requests"), rows))
        return made

    def _show_traces(self, state: Production) -> None:
        n = state.picked.n
        self._more.value = (
            ""
            if n <= MOST_TRACES
            else f"<div>The latest {MOST_TRACES:,} of {html.escape(f'{n:,}')}; select a stretch to see others.</div>"
        )
        self.traces.show(trace_table(state.picked))


def _view(drawing: Any, name: str) -> ChartView:
    return ChartView(drawing, name=f"production-{name}", description="", select="periods.name")


def _described(state: Production) -> tuple[str, str, str, str, str]:
    totals = state.totals
    some = totals[totals["n"] > 0]
    n = len(some)
    over = f"over {n} stretches of time"
    return (
        f"Requests {over}: {int(totals['n'].sum()):,}. Drag over it, or tick stretches in their table.",
        f"Share of the answers that each model gave {over}: {', '.join(state.models)}.",
        f"Cost of 1,000 requests {over}, with 95% intervals.",
        f"Time to the answer (median and 95th percentile) and to the first token (median) {over}.",
        f"What went another way {over}",
    )
