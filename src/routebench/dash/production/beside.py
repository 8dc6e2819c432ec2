"""The tables of drift and of what to label next, measured beside the kernel while one of them is looked at."""

from __future__ import annotations

import html
import threading
import time
from collections.abc import Callable, Sequence

import ipywidgets as widgets
import pandas as pd

from routebench.dash.parts import Grid, Numbers, numbers_of
from routebench.dash.production.evidence import (
    DRIFT_COLUMNS,
    LABEL_COLUMNS,
    NEED_COLUMNS,
    Evidence,
    drift_rows,
    label_rows,
    need_rows,
)
from routebench.dash.production.state import Production
from routebench.drifting import Drift
from routebench.errors import RoutebenchError

Start = Callable[[Callable[[], None]], None]
"""Begins some work; nobody waits for it."""
_EVERY_S = 10.0
_STILL_ROWS = 50


def in_thread(work: Callable[[], None]) -> None:
    """Begins work on a thread of its own: the kernel stays free."""
    threading.Thread(target=work, name="routebench-drift", daemon=True).start()


class Beside:
    """Traces beside the evidence.

    Args:
        evidence: what they are held against.
        start: begins a measurement.
        done: is called after one.

    Attributes:
        found: the latest measurement, None before there was one.
        drift: the widget of what moved.
        label: the widget of what to label next.
        chosen: the table of requests that are worth a label.
    """

    def __init__(self, evidence: Evidence, start: Start = in_thread, done: Callable[[], None] = lambda: None) -> None:
        self.found: Drift | None = None
        self._evidence = evidence
        self._start = start
        self._done = done
        self._busy = threading.Lock()
        self._measured: int | None = None
        self._measured_s = float("-inf")
        self._choice: tuple[object, ...] = ()
        self._told = widgets.HTML()
        self._rows = Grid(DRIFT_COLUMNS, name="drift", label="production beside the evidence")
        self._needs = Grid(NEED_COLUMNS, name="label-needs", label="labelled cases by rule")
        self.chosen = Grid(
            LABEL_COLUMNS, name="label-next", label="requests that are worth a label", page_size=50, opens=True
        )
        self.drift = widgets.VBox([self._told, self._rows])
        self.label = widgets.VBox([self._needs, self.chosen])

    def show(self, state: Production) -> None:
        """Measures anew where other traces are shown than before; until it is done the tables stay as they are.

        What only grows is measured every ten seconds at the most; whoever follows it asks again.
        """
        if state.version == self._measured:
            return
        if not state.shown.n:
            if self._busy.locked():
                return
            self._measured = state.version
            self._forget(
                f"<p>{'No trace is left by these choices.' if state.log.n else 'There are no traces yet.'}</p>"
            )
            return
        choice = (tuple(sorted(state.chosen.items())), state.last_s)
        waits = choice == self._choice and self.found is not None and time.monotonic() - self._measured_s < _EVERY_S
        if waits or not self._busy.acquire(blocking=False):
            return
        self._measured, self._choice = state.version, choice
        frame = state.shown_frame()
        if self.found is None:
            self._told.value = f"<p role='status'>{len(frame):,} traces are held against the evidence …</p>"

        def work() -> None:
            try:
                self._measure(frame)
            finally:
                self._measured_s = time.monotonic()
                self._busy.release()
            self._done()

        self._start(work)

    def numbers(self) -> Sequence[Numbers]:
        """What moved, and how many labelled cases there are; no single request."""
        if self.found is None:
            return ()
        return (
            numbers_of("Beside the evidence", DRIFT_COLUMNS, drift_rows(self.found), most=_STILL_ROWS),
            numbers_of("Labelled cases", NEED_COLUMNS, need_rows(self.found), most=_STILL_ROWS),
        )

    def _measure(self, frame: pd.DataFrame) -> None:
        try:
            found = self._evidence.measure(frame)
        except RoutebenchError as error:
            cause, _, mend = str(error).partition("; ")
            self._forget(
                f"<div class='rb-notice' role='alert'><div>{html.escape(cause)}</div>"
                f"<div class='rb-mend'>{html.escape(mend)}</div></div>"
            )
            return
        except Exception as error:
            # A defect of ours goes on to the log; whoever looks at the page must not wait for ever.
            self._forget(f"<p role='alert'>{html.escape(type(error).__name__)}: the log says how it broke.</p>")
            raise
        self.found = found
        told = "".join(f"<li>{html.escape(one.text)}</li>" for one in found.readings)
        self._told.value = f"<ul>{told}</ul>"
        self._rows.show(drift_rows(found))
        self._needs.show(need_rows(found))
        self.chosen.show(label_rows(found))

    def _forget(self, told: str) -> None:
        """Says why there are no figures; those of other traces must not stand below it."""
        self.found = None
        self._told.value = told
        for grid in (self._rows, self._needs, self.chosen):
            grid.show(grid.frame.iloc[:0])
