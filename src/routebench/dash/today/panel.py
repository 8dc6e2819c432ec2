"""Today's router beside the tuned rules: the page that convinces, or warns."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import pandas as pd

from routebench import __version__
from routebench.dash.cases import CSS
from routebench.dash.cases.differing import PROMPT
from routebench.dash.cases.listing import CASE, case_columns, case_rows
from routebench.dash.cases.reading import case_html
from routebench.dash.charts import Picture, has_place, model_mix, quality_alone, scatter
from routebench.dash.figures import figure_text
from routebench.dash.format import percent
from routebench.dash.parts import ChartView, Column, Grid, Numbers, Panel, numbers_of
from routebench.dash.placing import WIDTH, arrow, placed, placed_alone
from routebench.dash.tables import is_logarithmic, mix_frame, shown_name
from routebench.dash.today.state import Standing
from routebench.errors import RoutebenchError

if TYPE_CHECKING:
    from routebench.evaluate import Comparison

RIVALS = (
    Column("name", "name"),
    Column("verdict", "against today", help="what the paired difference of quality allows to say"),
    Column("quality", "quality [95% CI]", "right", figure_text, "mean score on held-out cases"),
    Column("delta", "quality vs today", "right", figure_text, "paired difference in points"),
    Column("cost", "$ per 1,000 [95% CI]", "right", figure_text, "cost of 1,000 requests"),
    Column("change", "cost vs today", "right", figure_text, "change of cost, paired, with its 95% interval"),
)
_LISTED = 20
_MOST_REQUESTS = 1e12


def _categories(own: str) -> tuple[Column, ...]:
    return (
        Column("category", "category"),
        Column("n", "cases", "right", lambda value: f"{value:,}", "held-out cases"),
        Column("verdict", "verdict", help="by intervals that hold for all categories of 30 cases or more at once"),
        Column("today", "today", "right", percent, "mean score with the router of today"),
        Column("own", own, "right", percent, f"mean score with {own}"),
        Column("delta", "gained or lost", "right", figure_text, "paired difference in points"),
        Column("change", "cost", "right", lambda value: f"{value:+.0%}", "change of cost"),
    )


class TodayPanel(Panel):
    """The router of today beside what could take its place; display it once.

    Args:
        standing: the numbers.

    Attributes:
        result: the comparison.
        selection: the router of today, and what could take its place.
        state: the numbers and sentences.
    """

    def __init__(self, standing: Standing) -> None:
        self.state = standing
        self.result: Comparison = standing.comparison
        self.selection = standing.names
        own, suite = shown_name(standing.own.name), standing.comparison.suite
        picture, mixes = self._picture(), self._mixes()
        self._chart = ChartView(picture.chart, name=f"{suite}-today", description=picture.reading, data=picture.data)
        self._mix = ChartView(mixes.chart, name=f"{suite}-today-mix", description=mixes.reading, data=mixes.data)
        rivals = Grid(RIVALS, name=f"{suite}-today-rivals", label="today's router and its rivals")
        rivals.show(standing.rivals())
        by_category = Grid(_categories(own), name=f"{suite}-today-categories", label="gains and losses by category")
        by_category.show(standing.by_category())
        won, lost = standing.won(), standing.lost()
        self._won, self._lost = self._listing(won, "won"), self._listing(lost, "lost")
        self._notices = widgets.HTML(_listed(standing.notices))
        self._requests = widgets.BoundedFloatText(
            value=standing.requests_per_month or 0,
            min=0,
            max=_MOST_REQUESTS,
            description="requests a month (0: unknown)",
            style={"description_width": "initial"},
            layout=widgets.Layout(width="24em"),
        )
        self._requests.observe(lambda change: self.expect(change["new"] or None), "value")
        self._answers = widgets.HTML("<div class='rb-remark'>Open a case to read both answers.</div>")
        for grid in (rivals, by_category):
            grid.add_class("rb-figures")
        count = f"of {standing.against.n_test:,} held-out cases"
        super().__init__(
            title=f"Today's router beside {own}: {suite}",
            children=[
                self.row(self._requests),
                self._notices,
                self.columns((self._chart, "58%"), (self._mix, "40%")),
                widgets.HTML(f"<div class='rb-remark'>{html.escape(self._remark())}</div>"),
                rivals,
                _heading("Where it gains and loses" + ("" if standing.categories else ": no case has a `category`")),
                by_category,
                self.columns(
                    (_titled(f"{len(won):,} {count}: today wrong or worse, {own} better", self._won), "49%"),
                    (_titled(f"{len(lost):,} {count}: today better, {own} wrong or worse", self._lost), "49%"),
                ),
                self._answers,
                _heading("What would change this reading"),
                widgets.HTML(_listed(standing.doubts)),
            ],
            footer=_footer(standing),
            css=CSS,
        )
        self.reading = standing.reading
        self._chart.observe(lambda _change: self._place(), "width_px")
        self._won.observe(lambda change: self._open(self._won, change["new"]), "opened")
        self._lost.observe(lambda change: self._open(self._lost, change["new"]), "opened")

    def expect(self, requests_per_month: float | None) -> None:
        """Tells the money of a month of so many requests; None leaves it out."""
        self.state.requests_per_month = requests_per_month
        self._requests.value = requests_per_month or 0
        self.reading = self.state.reading
        self._notices.value = _listed(self.state.notices)
        self.settled()

    @property
    def cases(self) -> pd.DataFrame:
        """The cases that score otherwise, the most harmful first; see `dash.cases.differing`."""
        return self.state.cases()

    def _listing(self, frame: pd.DataFrame, name: str) -> Grid:
        names = self.state.names
        made = Grid(
            [Column("case", "case")],
            name=f"{self.state.comparison.suite}-today-{name}",
            label=f"cases {name}",
            opens=True,
            search=True,
        )
        rows = case_rows(frame, names)
        columns = case_columns(names, rows, titles=("today", shown_name(names[1])))
        # Two tables share the width: what was asked tells more than the rest, so it stands before it.
        made.show(rows, sorted(columns, key=lambda column: column.name not in (CASE, PROMPT)))
        made.add_class("rb-halves")
        return made

    def _picture(self) -> Picture:
        state = self.state
        points = state.points()[0]
        if not has_place(points, "cost"):
            return Picture(quality_alone(points, state.reading), {"points": placed_alone(points)}, state.reading)
        log = is_logarithmic(points)
        chart = scatter(points, "cost", log=log, reading=state.reading, move=True)
        return Picture(chart, self._frames(WIDTH), state.reading)

    def _frames(self, width: int) -> dict[str, pd.DataFrame]:
        points = self.state.points()[0]
        made = placed(points, self.state.hull(), "cost", log=is_logarithmic(points), width=width)
        return {**made, "move": arrow(made["points"], *self.state.names, log=is_logarithmic(points))}

    def _place(self) -> None:
        if has_place(self.state.points()[0], "cost"):
            self._chart.feed(self.state.reading, **self._frames(self._chart.width_px or WIDTH))

    def _mixes(self) -> Picture:
        frame = mix_frame(self.state.against, self.state.names)
        return model_mix(frame, reading=_mix_reading(self.state))

    def _remark(self) -> str:
        told = "The arrow leads from the router of today to what could take its place. Dashed: what a fixed mix of two "
        told += "single models reaches. Bars: 95% intervals."
        hidden = self.state.points()[1]
        return told + (f" Not drawn: {', '.join(hidden)}." if hidden else "")

    def _open(self, grid: Grid, case_id: str) -> None:
        if not case_id:
            return
        self.clear()
        other = self._lost if grid is self._won else self._won
        other.opened = ""
        try:
            self._answers.value = case_html(self.state.open(case_id), diff=False)
        except RoutebenchError as error:
            self.refuse(error)

    def numbers(self) -> Sequence[Numbers]:
        """Rivals, categories, mixes, and the first cases of both kinds, without their texts."""
        state, own = self.state, shown_name(self.state.own.name)
        mix = mix_frame(state.against, state.names)
        tables = [
            numbers_of("Beside today's router", RIVALS, state.rivals()),
            numbers_of("By category", _categories(own), state.by_category()),
            Numbers(
                "Share of requests that each model answers",
                ("strategy", "model", "share"),
                [tuple(row) for row in mix[["strategy", "model", "share_text"]].itertuples(index=False)],
            ),
        ]
        for caption, frame in (("Won", state.won()), ("Lost", state.lost())):
            rows = case_rows(frame.head(_LISTED), state.names)
            columns = [column for column in case_columns(state.names, rows) if column.name != "prompt"]
            tables.append(numbers_of(f"{caption}: {len(frame):,} cases, the first {len(rows)}", columns, rows))
        return tables

    def pictures(self) -> Sequence[ChartView]:
        """The scatter with its arrow, and the mixes."""
        return [self._chart, self._mix]

    def code(self) -> str:
        """The Python that shows the same."""
        requests = self.state.requests_per_month
        month = "" if requests is None else f", requests_per_month={requests:g}"
        return (
            'import routebench as rb\n\nbench = rb.Bench("bench.yaml")\n'
            f'panel = rb.today(bench, "decisions.jsonl", rules="rules.yaml"{month})\npanel.cases'
        )


def _mix_reading(state: Standing) -> str:
    told = []
    for one in (state.today, state.own):
        shares = one.mix(state.against.models)
        most = max(shares, key=lambda name: shares[name])
        told.append(f"{shown_name(one.name)}: {shares[most]:.0%} to {most}")
    return f"Which share of the requests each model answers. {'; '.join(told)}."


def _listed(sentences: Sequence[str]) -> str:
    items = "".join(f"<li>{html.escape(text)}</li>" for text in sentences)
    return f"<ul class='rb-notices'>{items}</ul>" if items else ""


def _heading(text: str) -> widgets.HTML:
    return widgets.HTML(f"<h4 class='rb-heading'>{html.escape(text)}</h4>")


def _titled(title: str, child: Any) -> widgets.VBox:
    return widgets.VBox([_heading(title), child])


def _footer(standing: Standing) -> str:
    comparison = standing.comparison
    return (
        f"Suite {comparison.suite}, outcomes {comparison.outcomes_sha256[:12]}; held-out half of seed "
        f"{comparison.seeds[0]}; {standing.versus.method}; {standing.title}; routebench {__version__}"
    )
