"""Traces of a gateway as a notebook panel: what was asked, what it cost, what failed, and what moved."""

from __future__ import annotations

import html
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import pandas as pd

from routebench.dash.parts import ChartView, Numbers, Panel
from routebench.dash.production.beside import Beside, Start, in_thread
from routebench.dash.production.board import Board
from routebench.dash.production.controls import Controls
from routebench.dash.production.evidence import Evidence
from routebench.dash.production.opened import trace_html
from routebench.dash.production.seen import Facet
from routebench.dash.production.state import FACETS, Production
from routebench.dash.production.wording import choices, footer, reading
from routebench.errors import RoutebenchError

_LOOKS_EVERY_S = 2.0
_REST = 4.0
"""So many times as long as a look took nothing is read."""
_STILL_EVERY_S = 15.0
_DRIFT, _LABEL = "Drift", "Label next"


class ProductionPanel(Panel):
    """The panel of what a gateway served; display it once, it follows while traces come.

    Args:
        state: what is looked at.
        evidence: what the traces are held against; None for nothing.
        code: the Python that gives the same.
        follow: whether a thread of its own looks for new traces; else `refresh` does.
        start: begins a measurement of drift, which takes its time.

    Attributes:
        state: the numbers behind it.
        selection: ids of the ticked traces; where none is ticked, of all that are chosen.
        result: the chosen traces, as a frame.
        beside: the traces beside the evidence; None without any.
    """

    def __init__(
        self,
        state: Production,
        *,
        evidence: Evidence | None = None,
        code: str = "",
        follow: bool = True,
        start: Start = in_thread,
    ) -> None:
        self.state = state
        self._evidence = evidence
        self._code = code
        # The thread that follows and a person's clicks meet here.
        self._turn = threading.RLock()
        self._quiet = False
        self._still_s = 0.0
        self._board = Board()
        self._controls = Controls(self.choose, self.look_back, self.cut)
        self.beside = None if evidence is None else Beside(evidence, start, self._measured)
        if self.beside is not None:
            self._board.add(_DRIFT, self.beside.drift, self.beside.show)
            self._board.add(_LABEL, widgets.VBox([self.beside.label, self._board.labelled]), self.beside.show)
        super().__init__(
            title="Production" if evidence is None else f"Production: {evidence.ruleset.name}",
            children=[self._controls.widget, self._board.drawn, self._board.tabs],
            footer=footer(state),
            css=Path(__file__).parent / "production.css",
        )
        self.widget.add_class("rb-production")
        self._wire()
        if not self.refresh():
            self._show()
        if follow and state.source.grows:
            threading.Thread(target=self._follow, name="routebench-production", daemon=True).start()

    @property
    def selection(self) -> tuple[str, ...]:
        """Ids of the ticked traces; where none is ticked, of all that are chosen."""
        return self._board.traces.ticked or tuple(map(str, self.state.picked.ids))

    @property
    def result(self) -> pd.DataFrame:
        """The chosen traces: a row a trace, in the order of their time."""
        return self.state.frame()

    def choose(self, facet: Facet, value: str | None) -> None:
        """Leaves only traces with a value of a facet; None lifts the choice."""
        with self._turn:
            self.state.choose(facet, value)
            self._show()

    def look_back(self, last_s: float | None) -> None:
        """Leaves only the latest traces; None leaves all."""
        with self._turn:
            self.state.look_back(last_s)
            self._show()

    def cut(self, length_s: float | None) -> None:
        """Cuts time into stretches of another length; None takes one that fits."""
        with self._turn:
            self.state.cut(length_s)
            self._show()

    def select(self, names: Sequence[str]) -> None:
        """Selects stretches by their names in `state.periods`; none of them means all."""
        with self._turn:
            self.state.select(names)
            self._mark()

    def show_everything(self) -> None:
        """Lifts every choice."""
        with self._turn:
            self.state.select(())
            for facet in FACETS:
                self.state.choose(facet, None)
            self.state.look_back(None)
            self._show()
        self.say("Everything is shown.")

    def refresh(self) -> int:
        """Reads what has come since, and returns how many traces that are."""
        with self._turn:
            try:
                n = self.state.look()
            except RoutebenchError as error:
                self.refuse(error)
                return 0
            if n:
                self.clear()
                self._show()
            return n

    def pause(self) -> None:
        """Reads no new traces until `resume`."""
        self._controls.follow.value = False

    def resume(self) -> None:
        """Reads new traces again."""
        self._controls.follow.value = True

    def numbers(self) -> Sequence[Numbers]:
        """Models, rules, stretches, the shadow and the rule sets; no single request."""
        with self._turn:
            beside = () if self.beside is None else self.beside.numbers()
            return [*beside, *self._board.numbers(self.state)]

    def pictures(self) -> Sequence[ChartView]:
        """Requests, mix, cost, times and what went another way, as far as something is known of them."""
        return tuple(self._board.drawn.children)

    def code(self) -> str:
        """The same from Python, with what is chosen."""
        state = self.state
        told = [f"panel.choose({facet!r}, {value!r})\n" for facet, value in state.chosen.items()]
        told += [f"panel.look_back({state.last_s!r})\n"] if state.last_s is not None else []
        told += [f"panel.cut({state.asked_length_s!r})\n"] if state.asked_length_s is not None else []
        told += [f"panel.select({sorted(state.selected)!r})\n"] if state.selected else []
        return f"import routebench as rb\n\n{self._code}\n{''.join(told)}panel.result\n"

    def _wire(self) -> None:
        board, controls = self._board, self._controls
        for view in board.views:
            view.observe(lambda change: self._picked(change["new"]), "selected")
        board.periods.observe(lambda change: self._picked(change["new"]), "ticked")
        board.traces.observe(lambda change: self._open(change["new"], board.opened), "opened")
        if self.beside is not None:
            self.beside.chosen.observe(lambda change: self._open(change["new"], board.labelled), "opened")
        board.tabs.observe(lambda _: self._told(lambda: board.tell(self.state)), "selected_index")
        controls.clear.on_click(lambda _: self.show_everything())
        controls.follow.observe(lambda change: self._paused(goes_on=change["new"]), "value")

    def _show(self) -> None:
        """Pictures first: they are what a hand waits for."""
        state = self.state

        def drawn() -> None:
            self._board.draw(state, None if self._evidence is None else self._evidence.cost_usd_per_1k)
            self._controls.show(state)

        self._told(drawn)
        self._mark()

    def _mark(self) -> None:
        state = self.state

        def marked() -> None:
            self._board.mark(state)
            self._board.tell(state)

        self._told(marked)
        self.reading = reading(state)
        self._controls.chosen.value = html.escape(choices(state))
        self._controls.clear.disabled = not choices(state)
        self._settle()

    def _told(self, work: Callable[[], Any]) -> None:
        # Setting what is selected calls back: what comes from here is no choice of a person.
        with self._turn:
            before, self._quiet = self._quiet, True
            try:
                work()
            finally:
                self._quiet = before

    def _picked(self, names: Sequence[str]) -> None:
        with self._turn:
            # The page may still show stretches of before.
            known = set(names) & set(self.state.periods["name"])
            if not self._quiet and known != self.state.selected:
                self.select(sorted(known))

    def _open(self, trace_id: str, place: widgets.HTML) -> None:
        if not trace_id:
            place.value = ""
            return
        try:
            place.value = trace_html(self.state.open(trace_id))
        except RoutebenchError as error:
            self.refuse(error)
            return
        self.say(f"Trace {trace_id} is open below the table.")

    def _paused(self, *, goes_on: bool) -> None:
        self._controls.follow.description = "Following" if goes_on else "Paused"
        if goes_on:
            self.refresh()
        self.say("New traces are read every two seconds." if goes_on else "No new traces are read.")

    def _settle(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self.settled()
            return
        now_s = time.monotonic()
        if now_s - self._still_s >= _STILL_EVERY_S:
            self._still_s = now_s
            self.settled()

    def _measured(self) -> None:
        self._catch_up()
        self._settle()

    def _catch_up(self) -> None:
        """Has what is looked at measured, where other traces have come or were chosen while that could not be done."""
        with self._turn:
            if self.beside is not None and self._board.looked_at in (_DRIFT, _LABEL):
                self.beside.show(self.state)

    def _follow(self) -> None:
        wait_s = _LOOKS_EVERY_S
        # Who closes the widget looks no more.
        while self.widget.comm is not None:
            time.sleep(wait_s)
            if self._controls.follow.value:
                began_s = time.monotonic()
                if n := self.refresh():
                    self.say(f"{n:,} new traces.")
                self._catch_up()
                # Of very many traces a look takes its time, and the kernel is there for more than that.
                wait_s = max(_LOOKS_EVERY_S, _REST * (time.monotonic() - began_s))
