"""The comparison as a notebook panel: the picture, the numbers, the cases behind a difference, the answers."""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import partial
from typing import Any

import ipywidgets as widgets
import pandas as pd

from routebench.dash.cases import CSS
from routebench.dash.cases.listing import case_columns, case_rows
from routebench.dash.cases.reading import case_html, diff_refusal
from routebench.dash.charts import Picture, cost_quality, has_place
from routebench.dash.comparing.controls import Controls
from routebench.dash.comparing.remarks import badges, code, footer, remark
from routebench.dash.comparing.state import EVERYTHING, Compared
from routebench.dash.comparing.summary import COLUMNS
from routebench.dash.parts import ChartView, Column, Grid, Numbers, Panel, numbers_of
from routebench.dash.placing import WIDTH, placed, placed_alone
from routebench.errors import InputError, RoutebenchError
from routebench.evaluate import Comparison

_LISTED = 20
"""So many differing cases stay below the panel when the kernel is gone."""
_DEMO = "DEMO: recorded answers of embedded models. "


class ComparePanel(Panel):
    """A comparison to look at; display it once.

    Args:
        comparison: what was found.
        demo: whether it is marked DEMO.

    Attributes:
        result: the comparison.
        demo: as above.
        state: what is shown and selected, without a widget.
    """

    def __init__(self, comparison: Comparison, *, demo: bool = False) -> None:
        self.state = Compared(comparison)
        self.result: Comparison = comparison
        self.demo = demo
        self._busy = False
        self._shown: tuple[Any, ...] = ()
        self._listed = pd.DataFrame()
        self._controls = controls = Controls(self.state, self._ask)
        picture = self._picture()
        self._chart = ChartView(
            picture.chart,
            name=f"{comparison.suite}-compare",
            description=picture.reading,
            data=picture.data,
            select="points.name",
        )
        self._remark = widgets.HTML()
        self._table = Grid(COLUMNS, name=f"{comparison.suite}-strategies", label="strategies", ticks=True)
        self._table.add_class("rb-figures")
        self._told = widgets.HTML()
        self._diff = widgets.Checkbox(value=False, description="mark words that differ", indent=False)
        self._cases = Grid(
            [Column("case", "case")], name=f"{comparison.suite}-cases", label="cases", opens=True, search=True
        )
        self._cases.add_class("rb-cases")
        self._answers = widgets.HTML()
        self._answers.add_class("rb-opened")
        self._badges = widgets.HTML()
        super().__init__(
            title=f"Compare: {comparison.suite}{' (DEMO)' if demo else ''}",
            children=[
                self._badges,
                self.row(controls.baseline, controls.part, controls.along, controls.log, controls.adjusted),
                self.columns((widgets.VBox([self._chart, self._remark]), "56%"), (self._table, "42%")),
                self._told,
                self.row(controls.which, self._diff),
                self._cases,
                self._answers,
            ],
            footer=footer(comparison),
            css=CSS,
        )
        self._wire()
        pick = self.state.pick
        self.state.select([] if pick is None or pick == self.state.baseline else [pick])
        self._draw()

    def _wire(self) -> None:
        self._chart.observe(lambda change: self._try(self.state.select, change["new"]), "selected")
        self._table.observe(lambda change: self._try(self.state.select, change["new"]), "ticked")
        self._cases.observe(lambda _change: self._open(), "opened")
        self._diff.observe(lambda _change: self._open(), "value")
        self._chart.observe(lambda _change: self._place(), "width_px")

    @property
    def selection(self) -> tuple[str, ...]:
        """Names of the strategies that are selected; setting it selects them."""
        return self.state.selection

    @selection.setter
    def selection(self, names: Sequence[str]) -> None:
        self.select(names)

    @property
    def cases(self) -> pd.DataFrame:
        """The cases on which the selected strategies differ, the most harmful first; see `dash.cases.differing`."""
        return self.state.cases()

    @property
    def opened(self) -> str:
        """The id of the case that is open, an empty string for none; setting it opens one."""
        return str(self._cases.opened)

    @opened.setter
    def opened(self, case_id: str) -> None:
        self._cases.opened = case_id

    def select(self, names: Sequence[str]) -> None:
        """Selects strategies by their names.

        Raises:
            OutcomesError: one of them was not compared.
        """
        self.state.select(names)
        self._draw()

    def hold_against(self, baseline: str) -> None:
        """Holds everything against another strategy.

        Raises:
            OutcomesError: it was not compared.
        """
        self.state.hold_against(baseline)
        self._draw()

    def look_at(self, part: str) -> None:
        """Looks at a part of the held-out cases, such as `category=law`; at all of them with an empty string.

        Raises:
            OutcomesError: there is no such part.
        """
        self.state.look_at(part)
        self._draw()

    def _try(self, change: Any, value: Any) -> None:
        """Does what a control asks for; what cannot be done is said, and nothing is changed."""
        if self._busy:
            return
        self.clear()
        try:
            change(value)
            self._draw()
        except RoutebenchError as error:
            self._busy = True
            self._controls.follow(self.state)
            self._busy = False
            self.refuse(error)

    def _ask(self, name: str, value: Any) -> None:
        """Does what a control asks for: one that has a check of its own, or an attribute of the state."""
        checked = {"baseline": self.state.hold_against, "part": self.state.look_at}
        self._try(checked.get(name, partial(setattr, self.state, name)), value)

    def _draw(self) -> None:
        """Brings every widget to what the state says; what has not changed is left alone."""
        state = self.state
        seen = (state.baseline, state.part)
        drawn = (*seen, state.along, state.is_log)
        listed = (*seen, state.beside, state.which)
        before = self._shown or (None, None, None)
        self._busy = True
        try:
            self.reading = (_DEMO if self.demo else "") + state.reading
            self._controls.follow(state)
            if before[0] is None:
                self._remark_on()
            elif before[0] != drawn:
                self._redraw(same_axes=before[0][2:] == drawn[2:])
            if before[1] != (*seen, state.adjusted):
                self._badges.value = badges(state)
                self._table.show(state.figures())
            if before[2] != listed:
                self._list_cases()
            self._told.value = f"<div class='rb-told' role='status'>{html.escape(state.told(self._listed))}</div>"
            self._chart.selected = state.selection
            self._table.ticked = state.selection
        finally:
            self._busy = False
        self._shown = (drawn, (*seen, state.adjusted), listed)
        self.settled()

    def _picture(self) -> Picture:
        state = self.state
        return cost_quality(state.points()[0], state.hull(), reading=state.reading, along=state.along, log=state.is_log)

    def _redraw(self, *, same_axes: bool) -> None:
        if same_axes:
            self._place()
        else:
            picture = self._picture()
            self._chart.show(picture.chart, picture.reading, picture.data)
            self._place()
        self._remark_on()

    def _place(self) -> None:
        """Feeds marks and names as they have room at the width of the picture."""
        state = self.state
        points = state.points()[0]
        if has_place(points, state.along):
            width = self._chart.width_px or WIDTH
            self._chart.feed(state.reading, **placed(points, state.hull(), state.along, log=state.is_log, width=width))
        else:
            self._chart.feed(state.reading, points=placed_alone(points))

    def _remark_on(self) -> None:
        self._remark.value = f"<div class='rb-remark'>{html.escape(remark(self.state))}</div>"

    def _list_cases(self) -> None:
        state = self.state
        self._listed = frame = state.cases()
        names = state.beside
        if len(names) < 2:
            self._cases.show(pd.DataFrame({"case": []}), [Column("case", "case")])
        else:
            rows = case_rows(frame, names)
            self._cases.show(rows, case_columns(names, rows))
        self._open()

    def _open(self) -> None:
        case_id = self.opened
        if not case_id:
            hint = "Open a case (click it, or Enter on its row) to read the answers side by side."
            self._answers.value = f"<div class='rb-remark'>{hint}</div>" if len(self.state.beside) > 1 else ""
            self._diff.disabled = True
            return
        try:
            opened = self.state.open(case_id)
        except RoutebenchError as error:
            self.refuse(error)
            return
        refusal = diff_refusal(opened)
        self._diff.disabled = bool(refusal)
        self._diff.tooltip = (
            f"not now: {refusal}" if refusal else "underlined: only here; struck out: only in the first"
        )
        self._answers.value = case_html(opened, diff=bool(self._diff.value) and not refusal)

    def numbers(self) -> Sequence[Numbers]:
        """Every strategy's figures, and the first cases that differ, without their texts."""
        state = self.state
        where = "all held-out cases" if state.part == EVERYTHING else state.part
        tables = [
            numbers_of(f"{where}, n={state.shown.n_test:,}, {state.family}", COLUMNS, state.figures()),
        ]
        frame, names = state.cases(), state.beside
        if len(names) > 1 and len(frame):
            # A prompt is personal data: what is saved with a notebook holds none.
            rows = case_rows(frame.head(_LISTED), names)
            columns = [column for column in case_columns(names, rows) if column.name != "prompt"]
            caption = f"{state.told(frame)} The first {min(_LISTED, len(frame))}."
            tables.append(numbers_of(caption, columns, rows))
        return tables

    def pictures(self) -> Sequence[ChartView]:
        """The scatter."""
        return [self._chart]

    def code(self) -> str:
        """The Python that shows the same."""
        return code(self.state)


def compare(comparison: Comparison) -> ComparePanel:
    """Returns the panel of a comparison; the last expression of a cell displays it.

    Args:
        comparison: what `bench.compare()` gave.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(comparison, Comparison):
        raise InputError(f"rb.compare shows a comparison, not a {type(comparison).__name__}; give bench.compare()")
    return ComparePanel(comparison)
