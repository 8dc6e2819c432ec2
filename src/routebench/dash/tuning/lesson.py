"""Learning in the background, with its progress and a way to stop it."""

from __future__ import annotations

import html
import threading
from collections.abc import Callable, Iterator

import ipywidgets as widgets

from routebench.dash.parts import Panel
from routebench.errors import RoutebenchError
from routebench.tune import Study

Start = Callable[[Callable[[], None]], None]
"""Begins some work; nobody waits for it."""


def in_thread(work: Callable[[], None]) -> None:
    """Begins work on a thread of its own: the kernel stays free."""
    threading.Thread(target=work, name="routebench-tuner", daemon=True).start()


class Lesson:
    """What is being learned, form by form.

    Args:
        taken: is given every study that is yielded.
        refused: is told what went wrong.

    Attributes:
        widget: progress and the button that stops it; hidden once all is learned.
        goes_on: whether something is being learned.
    """

    def __init__(self, taken: Callable[[Study], None], refused: Callable[[RoutebenchError], None]) -> None:
        self._taken, self._refused = taken, refused
        self._stopped = False
        self._latest: Study | None = None
        self.goes_on = False
        self._bar = widgets.FloatProgress(min=0, max=1, layout=widgets.Layout(width="14em", flex="0 0 auto"))
        self._told = widgets.HTML(layout=widgets.Layout(flex="1 1 20em"))
        self._halt = widgets.Button(
            description="Stop learning",
            tooltip="keep what is learned by now; the form in hand is finished first",
            layout=widgets.Layout(width="auto"),
        )
        self._halt.on_click(lambda _button: self.stop())
        self.widget = Panel.row(self._bar, self._told, self._halt)

    def start(self, start: Start, studies: Callable[[], Iterator[Study]]) -> None:
        """Begins, unless it goes on already.

        Args:
            start: begins work.
            studies: yields what is known so far.
        """
        if not self.goes_on:
            self.goes_on, self._stopped = True, False
            for shown in (self.widget, self._bar, self._halt):
                shown.layout.display = None
            self.tell("learning: reading outcomes")
            start(lambda: self._learn(studies))

    def stop(self) -> None:
        """Ends after the form in hand; what is learned stays."""
        self._stopped = True
        self.tell("stopping after the form in hand")

    def tell(self, text: str) -> None:
        """Says what is being done."""
        self._told.value = html.escape(text)

    def _learn(self, studies: Callable[[], Iterator[Study]]) -> None:
        try:
            for study in studies():
                self._latest = study
                self._follow(study)
                self._taken(study)
                if self._stopped:
                    break
        except RoutebenchError as error:
            self._refused(error)
        finally:
            self.goes_on = False
            self._end()

    def _follow(self, study: Study) -> None:
        done = len(study.curves) + len(study.left_out)
        of = done + len(study.waiting)
        self._bar.value = done / of if of else 1.0
        on = f"; next: {study.waiting[0]}" if study.waiting else ""
        self.tell(f"learning: {done} of {of} forms, p = {study.p_value:.2f}{on}")

    def _end(self) -> None:
        missing = () if self._latest is None else self._latest.waiting
        self._halt.layout.display = self._bar.layout.display = "none"
        self.tell(f"Learning was stopped; not learned: {', '.join(missing)}." if missing else "")
        if not missing:
            self.widget.layout.display = "none"
