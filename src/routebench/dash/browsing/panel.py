"""A suite as a notebook panel: what it asks, what spoils it, which rules take it, which answers are there."""

from __future__ import annotations

import html
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import ipywidgets as widgets
import pandas as pd

from routebench.dash.browsing.cells import NO_CATEGORY
from routebench.dash.browsing.coverage import cover
from routebench.dash.browsing.gaps import GapsView
from routebench.dash.browsing.opened import opened_html
from routebench.dash.browsing.pictures import bar_rows, bars, described, lengths_rows
from routebench.dash.browsing.state import Browse, Facet
from routebench.dash.browsing.tables import (
    COUNT_COLUMNS,
    DUPLICATE_COLUMNS,
    GAP_COLUMNS,
    RULE_COLUMNS,
    case_columns,
    case_frame,
    count_frame,
    rule_frame,
)
from routebench.dash.browsing.twins import TwinsView
from routebench.dash.browsing.wording import LENGTHS_TITLE, TITLES, footer
from routebench.dash.parts import ChartView, Grid, Numbers, Panel, numbers_of
from routebench.errors import RoutebenchError
from routebench.rules import RuleSet
from routebench.store import Store, read_case_answers
from routebench.suites.duplicates import find_duplicates

_CASES_A_PAGE = 100
_ROWS = 50
"""Rows of a table in what stays without a kernel."""


class BrowsePanel(Panel):
    """The panel of a suite.

    Args:
        browse: the state.
        store: where answers are read from when a case is opened; None for none.
        rules: a rule set, or the path of a rules.yaml, whose coverage is shown.
        code: the Python that gives the same.
        follow: whether near-duplicates are looked for at once, on a thread; else `look_for_duplicates` does.

    Attributes:
        browse: the state behind it.
        selection: ids of the ticked cases; where none is ticked, of all that are shown.
        result: the cases that are shown, as a frame.
    """

    def __init__(
        self,
        browse: Browse,
        *,
        store: Store | None = None,
        rules: RuleSet | str | Path | None = None,
        code: str = "",
        follow: bool = True,
    ) -> None:
        self.browse = browse
        self._store = store
        self._code = code
        # Near-duplicates arrive on a thread of their own, and may meet a person's click.
        self._turn = threading.RLock()
        self._quiet = False
        refused = self._cover(rules)
        self._facet = widgets.Dropdown(
            options=[(TITLES[name], name) for name in browse.facets], value=browse.facets[0], description="Count by"
        )
        self._measure = widgets.Dropdown(options=["cases", "requests"], value="cases", description="Measure")
        self._measure.layout.display = None if browse.is_weighted else "none"
        self._all = widgets.Button(description="Show all cases", tooltip="lift every choice")
        self._chosen = widgets.HTML()
        self._bars = ChartView(bars(by_weight=False), name="counts", description="", select="counts.name")
        self._lengths = ChartView(
            bars(by_weight=False, title=LENGTHS_TITLE), name="lengths", description="", select="counts.name"
        )
        self._values = Grid(COUNT_COLUMNS, name="counts", label="cases by the facet", ticks=True, search=True)
        self._cases = Grid(
            case_columns(browse),
            name="cases",
            label="cases",
            page_size=_CASES_A_PAGE,
            ticks=True,
            opens=True,
            search=True,
        )
        self._opened = widgets.HTML()
        self._twins = TwinsView()
        tabs: list[tuple[str, widgets.Widget]] = [
            ("Cases", widgets.VBox([self._cases, self._opened])),
            ("Near-duplicates", self._twins.widget),
            *self._rule_tab(),
            *self._cell_tab(),
        ]
        self._tabs = widgets.Tab([child for _, child in tabs], titles=[name for name, _ in tabs])
        table = widgets.Accordion([self._values], titles=["The same as a table, to choose with the keyboard"])
        children = [
            self._twins.warnings,
            self.row(self._facet, self._measure, self._all, self._chosen),
            self.columns((widgets.VBox([self._bars, table]), "55%"), (self._lengths, "40%")),
            self._tabs,
        ]
        css = Path(__file__).parent / "browsing.css"
        super().__init__(title="Browse", children=children, footer=footer(browse), css=css)
        if refused is not None:
            self.refuse(refused)
        self._wire()
        self.refresh()
        if follow:
            threading.Thread(target=self.look_for_duplicates, name="routebench-browse", daemon=True).start()

    @property
    def facet(self) -> Facet:
        """What the bars count by."""
        return cast("Facet", self._facet.value)

    @property
    def selection(self) -> tuple[str, ...]:
        """Ids of the ticked cases; where none is ticked, of all that are shown."""
        return self._cases.ticked or tuple(str(name) for name in self.browse.shown.index)

    @property
    def result(self) -> pd.DataFrame:
        """The cases that are shown: a row a case, by its id."""
        return self.browse.shown

    def choose(self, facet: Facet, values: Sequence[str]) -> None:
        """Shows only cases with one of some values; with none of them, the facet restricts nothing any more."""
        self.browse.choose(facet, values)
        self.refresh()

    def refresh(self) -> None:
        """Brings pictures and tables in line with what is chosen."""
        with self._turn:
            self._refresh_all()

    def _refresh_all(self) -> None:
        browse, facet = self.browse, self.facet
        by_weight = self._measure.value == "requests"
        counts, lengths = browse.counts(facet), browse.counts("length")
        chosen = browse.chosen.get(facet, frozenset())
        # Setting what is selected calls back: what comes from here is no choice of a person.
        self._quiet = True
        try:
            rows = bar_rows(counts, by_weight=by_weight, chosen=chosen)
            self._bars.feed(described(TITLES[facet], counts), counts=rows)
            self._bars.selected = tuple(sorted(chosen))
            self._lengths.feed(described(LENGTHS_TITLE, lengths), counts=lengths_rows(lengths, by_weight=by_weight))
            self._lengths.selected = tuple(sorted(browse.chosen.get("length", ())))
            self._values.show(count_frame(counts))
            self._values.ticked = tuple(sorted(chosen))
            if self._gaps is not None:
                self._gaps.heat.selected = tuple(sorted(browse.chosen.get("gap", ())))
            self._cases.show(case_frame(browse))
        finally:
            self._quiet = False
        self._tabs.set_title(0, f"Cases ({len(self._cases.frame):,})")
        self._chosen.value = html.escape(browse.choices)
        self._all.disabled = not browse.choices
        self.reading = browse.reading
        self.settled()

    def look_for_duplicates(self) -> None:
        """Looks for cases that ask nearly the same, and tells what they do to a split."""
        groups = find_duplicates(self.browse.suite.cases)
        with self._turn:
            self.browse.note_duplicates(groups)
            self._twins.show(self.browse)
            self._tabs.set_title(1, f"Near-duplicates ({len(groups):,})")
            kept = self.facet
            self._facet.options = [(TITLES[name], name) for name in self.browse.facets]
            # Other options begin at the first of them; a person may have chosen another.
            self._facet.value = kept
            self.refresh()

    def numbers(self) -> Sequence[Numbers]:
        """The facets, the rules, the near-duplicates and the cells."""
        browse = self.browse
        told = [
            numbers_of(f"Cases by {TITLES[one]}", COUNT_COLUMNS, count_frame(browse.counts(one)), most=_ROWS)
            for one in browse.facets
        ]
        if browse.coverage is not None:
            told.append(numbers_of(browse.coverage.reading, RULE_COLUMNS, rule_frame(browse.coverage), most=_ROWS))
        if browse.duplicates:
            told.append(numbers_of("Near-duplicates", DUPLICATE_COLUMNS, self._twins.table.frame, most=_ROWS))
        if self._gaps is not None:
            told.append(numbers_of("Answers by model and category", GAP_COLUMNS, self._gaps.frame, most=4 * _ROWS))
        return told

    def pictures(self) -> Sequence[ChartView]:
        """Counts, lengths, and the cells where they are known."""
        return (self._bars, self._lengths, *([] if self._gaps is None else [self._gaps.heat]))

    def code(self) -> str:
        """The same suite from Python, with what is chosen."""
        chosen = [f"panel.choose({facet!r}, {sorted(values)!r})\n" for facet, values in self.browse.chosen.items()]
        return f"import routebench as rb\n\n{self._code}\n{''.join(chosen)}panel.result\n"

    def _cover(self, rules: RuleSet | str | Path | None) -> RoutebenchError | None:
        if rules is None:
            return None
        try:
            self.browse.note_coverage(cover(self.browse.suite.cases, rules))
        except RoutebenchError as error:
            return error
        return None

    def _rule_tab(self) -> list[tuple[str, widgets.Widget]]:
        coverage = self.browse.coverage
        self._rules = Grid(RULE_COLUMNS, name="coverage", label="coverage of the rules", opens=True)
        if coverage is None:
            return []
        self._rules.show(rule_frame(coverage))
        told = widgets.HTML(f"<p>{html.escape(coverage.reading)} Open a rule to see its cases.</p>")
        return [("Rules", widgets.VBox([told, self._rules]))]

    def _cell_tab(self) -> list[tuple[str, widgets.Widget]]:
        cells = self.browse.cells
        self._gaps: GapsView | None = None
        if cells is None or not cells.models:
            return []
        self._gaps = GapsView(cells.gaps(self.browse.frame["category"].fillna(NO_CATEGORY).tolist()), len(cells.models))
        return [("Cells", self._gaps.widget)]

    def _wire(self) -> None:
        self._facet.observe(lambda _: self.refresh(), "value")
        self._measure.observe(lambda _: self._measure_otherwise(), "value")
        self._all.on_click(lambda _: self._show_all())
        self._bars.observe(lambda change: self._picked(self.facet, change["new"]), "selected")
        self._values.observe(lambda change: self._picked(self.facet, change["new"]), "ticked")
        self._lengths.observe(lambda change: self._picked("length", change["new"]), "selected")
        self._cases.observe(lambda change: self._open(change["new"]), "opened")
        self._rules.observe(lambda change: self._choose_alone("rule", change["new"]), "opened")
        self._twins.table.observe(lambda change: self._show_twins(change["new"]), "opened")
        if self._gaps is not None:
            self._gaps.heat.observe(lambda change: self._picked("gap", change["new"]), "selected")
            self._gaps.table.observe(lambda change: self._choose_alone("gap", change["new"]), "opened")

    def _picked(self, facet: Facet, values: Sequence[str]) -> None:
        with self._turn:
            if not self._quiet:
                self.choose(facet, values)

    def _choose_alone(self, facet: Facet, value: str) -> None:
        self.choose(facet, [value] if value else [])
        self._show_cases(value)

    def _show_twins(self, number: str) -> None:
        groups = self.browse.duplicates or ()
        self.browse.only = frozenset(groups[int(number) - 1].case_ids) if number else None
        self.refresh()
        self._show_cases(number)

    def _show_cases(self, value: str) -> None:
        if value:
            self._tabs.selected_index = 0
            self.say(f"{len(self.browse.shown):,} cases are shown.")

    def _show_all(self) -> None:
        self.browse.clear()
        self._rules.opened = self._twins.table.opened = ""
        if self._gaps is not None:
            self._gaps.table.opened = ""
        self.refresh()
        self.say("All cases are shown.")

    def _measure_otherwise(self) -> None:
        by_weight = self._measure.value == "requests"
        self._bars.show(bars(by_weight=by_weight), self._bars.description)
        self._lengths.show(bars(by_weight=by_weight, title=LENGTHS_TITLE), self._lengths.description)
        self.refresh()

    def _open(self, case_id: str) -> None:
        if not case_id:
            self._opened.value = ""
            return
        browse = self.browse
        try:
            answers = None if self._store is None else read_case_answers(self._store, browse.suite.name, case_id)
        except RoutebenchError as error:
            self.refuse(error)
            answers = None
        self._opened.value = opened_html(
            browse.suite[case_id],
            decided=browse.decided(case_id),
            twins=browse.of_duplicates(case_id),
            answers=answers,
        )
        self.say(f"Case {case_id} is open below the table.")
