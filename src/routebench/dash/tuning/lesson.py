"""Learning in the background, with its progress and a way to stop it."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import ipywidgets as widgets

from routebench.dash.parts import Panel
from routebench.dash.tuning.work import Refuse, Start, Work
from routebench.tune import Study, learning
from routebench.tune.learning import MAX_RULES

if TYPE_CHECKING:
    from routebench.bench import Bench
    from routebench.evaluate import Outcomes


class Lesson:
    """What is being learned, form by form.

    Args:
        bench: whose outcomes.
        seed: of the split.
        taken: is given what is known, form by form.
        start: begins work.
        refuse: is told what went wrong.

    Attributes:
        widget: progress and the button that stops it; hidden once all is learned.
        goes_on: whether something is being learned.
        stopped: whether somebody has stopped it.
    """

    def __init__(
        self, bench: Bench, seed: int, *, taken: Callable[[Study], None], start: Start, refuse: Refuse
    ) -> None:
        self._bench, self._seed, self._taken = bench, seed, taken
        self._work = Work(start, refuse)
        self._latest: Study | None = None
        self.goes_on = self.stopped = False
        self._bar = widgets.FloatProgress(min=0, max=1, layout=widgets.Layout(width="14em", flex="0 0 auto"))
        self._told = widgets.HTML(layout=widgets.Layout(flex="1 1 20em"))
        self._halt = widgets.Button(
            description="Stop learning",
            tooltip="keep the forms that are learned by now",
            layout=widgets.Layout(width="auto"),
        )
        self._halt.on_click(lambda _button: self.stop())
        self.widget = Panel.row(self._bar, self._told, self._halt)

    def start(self, outcomes: Outcomes | None = None, max_rules: int = MAX_RULES) -> None:
        """Begins, unless it goes on already.

        Args:
            outcomes: to learn from; those of the bench when left out.
            max_rules: at most so many rules.
        """
        if not self.goes_on:
            self.goes_on, self.stopped = True, False
            for shown in (self.widget, self._bar, self._halt):
                shown.layout.display = None
            self.tell("learning: reading outcomes")
            self._work.begin(lambda: self._learn(outcomes, max_rules))

    def stop(self) -> None:
        """Ends it; what is learned stays."""
        self.stopped = True
        self.tell("stopping; a form that is soon done is finished first")

    def wait(self, until: Callable[[], bool] = lambda: False) -> None:
        """Waits for the end, or until something is known, and raises what ended it."""
        self._work.join(until)
        if not until():
            self._work.check()

    def tell(self, text: str) -> None:
        """Says what is being done."""
        self._told.value = html.escape(text)

    def _learn(self, outcomes: Outcomes | None, max_rules: int) -> None:
        ended = "broke off"
        try:
            for study in self._studies(self._bench.outcomes() if outcomes is None else outcomes, max_rules):
                self._latest = study
                self._follow(study)
                self._taken(study)
                self._work.tell()
                if self.stopped:
                    break
            ended = "was stopped"
        finally:
            self.goes_on = False
            self._end(ended)

    def _studies(self, outcomes: Outcomes, max_rules: int) -> Iterator[Study]:
        self.tell("learning: the gate, whether prompts tell the models apart at all")
        bench = self._bench
        return learning(
            outcomes,
            bench.models,
            name=bench.suite.name,
            guards=bench.config.guards,
            protections=bench.config.protect,
            max_rules=max_rules,
            seed=self._seed,
            stopped=lambda: self.stopped,
        )

    def _follow(self, study: Study) -> None:
        done = len(study.curves) + len(study.left_out)
        of = done + len(study.waiting)
        self._bar.value = done / of if of else 1.0
        on = f"; next: {study.waiting[0]}" if study.waiting else ""
        self.tell(f"learning: {done} of {of} forms, p = {study.p_value:.2f}{on}")

    def _end(self, ended: str) -> None:
        missing = () if self._latest is None else self._latest.waiting
        self._halt.layout.display = self._bar.layout.display = "none"
        self.tell(f"Learning {ended}; not learned: {', '.join(missing)}." if missing else "")
        if not missing:
            self.widget.layout.display = "none"
