"""What a run panel shows: bars, tables and the picture; each is sent to the browser only where it has changed."""

from __future__ import annotations

import html
from collections.abc import Sequence

import ipywidgets as widgets
import pandas as pd

from routebench.dash.format import lane_line, money
from routebench.dash.parts import ChartView, Grid, Numbers, Panel, numbers_of
from routebench.dash.watching.look import Look
from routebench.dash.watching.pictures import described, frames, latencies
from routebench.dash.watching.priced import PRICED_COLUMNS, Priced
from routebench.dash.watching.state import Stage, Watch
from routebench.dash.watching.stored import STORED_COLUMNS, Stored
from routebench.dash.watching.tables import (
    MODEL_COLUMNS,
    PROBLEM_COLUMNS,
    model_frame,
    problem_frame,
    text_columns,
    text_frame,
)
from routebench.dash.watching.wording import done, listed, spent

_TITLE = "<b>Latency of the latest calls</b>, a row a model; a cross is a failure"
_INTERIM = "Numbers of a run that goes on change until its end, and are not for decisions."


class Board:
    """The showing part of a run panel.

    Attributes:
        children: its widgets, from top to bottom.
        picture: the latest calls; None before there was a run.
        plan: the table of the plan.
        known: the table of what the store knows.
        models: the table of the models of a run.
        problems: the table of the calls that did not go smoothly.
    """

    def __init__(self) -> None:
        self.picture: ChartView | None = None
        self.plan = Grid(text_columns(PRICED_COLUMNS), name="plan", label="the priced plan, a row a model")
        self.known = Grid(text_columns(STORED_COLUMNS), name="cells", label="what the store knows, a row a model")
        self.models = Grid(MODEL_COLUMNS, name="models", label="progress, a row a model")
        self.problems = Grid(PROBLEM_COLUMNS, name="problems", label="calls that did not go smoothly", page_size=50)
        self._shown: dict[str, pd.DataFrame] = {}
        self._drawn_models: tuple[str, ...] = ()
        self._past = widgets.HTML()
        self._bar, self._done = _bar_and_words()
        self._money, self._spent = _bar_and_words()
        self._lines = widgets.VBox([Panel.row(self._bar, self._done), Panel.row(self._money, self._spent)])
        self._lanes = widgets.HTML()
        self._log = widgets.HTML()
        self._tabs = widgets.Tab(
            [widgets.VBox([self.models, self._lanes]), self.problems, self._log], titles=("Models", "Problems", "Log")
        )
        self._drawn = widgets.VBox([])
        self.children = (self._past, self._lines, self.plan, self.known, self._tabs, self._drawn)

    def stand(self, stage: Stage) -> None:
        """Shows what belongs to a stage, and hides the rest."""
        for widget, stages in (
            (self._lines, ("run", "elsewhere")),
            (self.plan, ("plan",)),
            (self.known, ("plan", "elsewhere") if len(self.known.frame) else ()),
            (self._tabs, ("run",)),
            (self._drawn, ("run",)),
        ):
            widget.layout.display = None if stage in stages else "none"

    def forget(self) -> None:
        """Takes everything for changed from here on."""
        self._shown.clear()

    def show_plan(self, priced: Priced) -> bool:
        """Shows a plan, and says whether it is another one."""
        return self._put(self.plan, text_frame(priced.rows(), PRICED_COLUMNS))

    def show_stored(self, stored: Stored) -> None:
        """Shows what the store knows."""
        self._past.value = _line(stored.story)
        self._put(self.known, text_frame(stored.rows(), STORED_COLUMNS))
        self._bar.value = stored.n_done / max(1, stored.n_cells)
        self._done.value = f"{stored.n_done:,} of {stored.n_cells:,} cells are in the store"
        spend = None if stored.last is None else stored.last.spend_usd
        self._money.layout.display = "none"
        self._spent.value = f"spent {money(spend)} when it was last told" if spend else ""

    def show_run(self, look: Look, watch: Watch) -> None:
        """Shows a run at one moment."""
        progress, cap = look.progress, look.progress.cap_usd
        self._past.value = _line(_INTERIM if watch.is_going else "")
        self._bar.value = progress.done / progress.calls if progress.calls else 1.0
        self._done.value = html.escape(done(look))
        self._money.layout.display = None if cap else "none"
        self._money.value = min(1.0, progress.spent_usd / cap) if cap else 0.0
        self._spent.value = html.escape(spent(look))
        self._put(self.models, model_frame(look, watch.scores))
        if self._put(self.problems, problem_frame(look)):
            self._tabs.set_title(1, f"Problems ({len(look.problems)})")
        self._lanes.value = listed(lane_line(lane) for lane in progress.lanes)
        self._log.value = listed(f"{at}: {text}" for at, text in reversed(watch.log))
        self._draw(look)

    def numbers(self, stage: Stage) -> list[Numbers]:
        """The tables of a stage."""
        known = ("Known to the store", text_columns(STORED_COLUMNS), self.known)
        tables = {
            "plan": (("Plan", text_columns(PRICED_COLUMNS), self.plan), known),
            "elsewhere": (known,),
            "run": (("Models", MODEL_COLUMNS, self.models), ("Problems", PROBLEM_COLUMNS, self.problems)),
        }[stage]
        return [numbers_of(caption, columns, grid.frame) for caption, columns, grid in tables if len(grid.frame)]

    def _draw(self, look: Look) -> None:
        names = tuple(model.name for model in look.progress.models)
        points = look.points()
        told, data = described(points, names), frames(points, names)
        if self.picture is None:
            self.picture = ChartView(latencies(names), name="latencies", description=told, data=data)
            self._drawn.children = (widgets.HTML(_TITLE), self.picture)
        elif names != self._drawn_models:
            self.picture.show(latencies(names), told, data)
        elif self._changed("points", points):
            self.picture.feed(told, **data)
        self._drawn_models = names

    def _put(self, grid: Grid, frame: pd.DataFrame) -> bool:
        changed = self._changed(str(grid.model_id), frame)
        if changed:
            grid.show(frame)
        return changed

    def _changed(self, name: str, frame: pd.DataFrame) -> bool:
        if name in self._shown and self._shown[name].equals(frame):
            return False
        self._shown[name] = frame
        return True


def _bar_and_words() -> Sequence[widgets.Widget]:
    bar = widgets.FloatProgress(min=0, max=1, layout=widgets.Layout(width="14em", flex="0 0 auto"))
    return bar, widgets.HTML(layout=widgets.Layout(flex="1 1 20em"))


def _line(text: str) -> str:
    return f"<div>{html.escape(text)}</div>" if text else ""
