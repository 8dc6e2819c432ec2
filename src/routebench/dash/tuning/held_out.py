"""The one look at the test half, and the file that comes of it."""

from __future__ import annotations

import html
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import ipywidgets as widgets

from routebench.dash.parts import Panel
from routebench.dash.tuning.lesson import Start
from routebench.dash.tuning.seal import Seal
from routebench.dash.tuning.setting import Setting
from routebench.dash.tuning.state import Tuning
from routebench.dash.tuning.writing import preview, write
from routebench.errors import InputError, RoutebenchError
from routebench.tune import Constraints, Found, Study, Tuned, finish

if TYPE_CHECKING:
    from routebench.rules import RuleSet

Then = Callable[[Tuned], None]
"""What is done with what was measured."""


class HeldOutHalf:
    """Measures a setting on the half that nothing was chosen on, and writes its file.

    Args:
        panel: says what happens and what cannot be done.
        now: the wall clock.
        start: begins what takes its time.
        read_only: whether nothing may be looked at or written.
        drawn: is called when there is something new to show.

    Attributes:
        seal: counts looks; None until outcomes were read.
        result: what was measured last; None while the half is sealed.
        looking: the button and what it has led to.
        exporting: the file.
        path: of it.
    """

    def __init__(
        self, panel: Panel, *, now: Callable[[], datetime], start: Start, read_only: bool, drawn: Callable[[], None]
    ) -> None:
        self._panel, self._now, self._start, self._read_only, self._drawn = panel, now, start, read_only, drawn
        self.seal: Seal | None = None
        self.result: Tuned | None = None
        self._measured: tuple[Setting, int] | None = None
        self._busy = False
        self._check = _button("Check once on test", "measure this setting on the held-out half; the look is counted")
        self._told = widgets.HTML(layout=widgets.Layout(flex="1 1 24em"))
        self.path = widgets.Text(value="rules.yaml", description="file", style={"description_width": "initial"})
        self._replace = widgets.Checkbox(value=False, description="replace what is there", indent=False)
        self._write = _button("Write rules.yaml", "measured on the held-out half first, if it is not yet", "primary")
        self._written = widgets.HTML()
        self._preview = widgets.HTML()
        self.looking = Panel.row(self._check, self._told)
        writing = Panel.row(self.path, self._replace, self._write)
        none = widgets.HTML("<p>Nothing is written from here: this page is read-only.</p>")
        self.exporting = widgets.VBox([none if read_only else writing, self._written, self._preview])

    def wire(self, state: Callable[[], Tuning | None]) -> None:
        """Connects the buttons with the setting of the moment."""
        self._check.on_click(lambda _button: self.check(state()))
        self._write.on_click(lambda _button: self.export(state(), self.path.value, replace=bool(self._replace.value)))

    def check(self, tuning: Tuning | None) -> None:
        """Looks at the test half with a setting, and counts the look; not again where it is measured."""
        self._measure(tuning, None)

    def export(self, tuning: Tuning | None, path: str, *, replace: bool) -> None:
        """Writes the file of a setting; where it is not measured yet, that is done and counted first."""

        def write_it(tuned: Tuned) -> None:
            assert tuning is not None
            cases = tuning.learned.outcomes.cases
            known = (case.request for case, there in zip(cases, cases.has_text, strict=True) if there)
            written = write(tuned, path, replace=replace, known=known)
            self._written.value = f"<p>{html.escape(written.told)}</p>"
            self._panel.say(written.told)

        self._measure(tuning, write_it)

    def is_measured(self, tuning: Tuning) -> bool:
        """Whether the latest look was at this very setting."""
        return self._measured is not None and self._measured[0] == tuning.setting

    def _measure(self, tuning: Tuning | None, then: Then | None) -> None:
        self._panel.clear()
        try:
            if self._read_only:
                raise InputError("this page is read-only, and the test half stays sealed; open the tuner in a notebook")
            if tuning is None or self._busy:
                raise InputError("not now; wait for what is under way")
            if self.result is not None and self.is_measured(tuning):
                if then is not None:
                    then(self.result)
                return
        except RoutebenchError as error:
            self._panel.refuse(error)
            return
        self._busy = True
        self.allow(ready=True)
        self._panel.say("measuring on the held-out half …")
        study, found, asked, setting = tuning.study, tuning.found, tuning.constraints, tuning.setting
        self._start(lambda: self._look(study, found, asked, setting, then))

    def _look(self, study: Study, found: Found, asked: Constraints, setting: Setting, then: Then | None) -> None:
        try:
            at = self._now()
            tuned = finish(study, found, asked, created=at.date())
            assert self.seal is not None
            look = self.seal.look(tuned.ruleset, at)
            self.result, self._measured = tuned, (setting, look)
            self._panel.say(f"look {look} at the held-out half is done")
            if then is not None:
                then(tuned)
        except RoutebenchError as error:
            self._panel.refuse(error)
        finally:
            self._busy = False
            self.allow(ready=True)
            self._drawn()

    def allow(self, *, ready: bool) -> None:
        """Says whether there is anything to measure."""
        self._check.disabled = self._write.disabled = self._read_only or self._busy or not ready

    def look_of(self, tuning: Tuning) -> str:
        """Which look the latest one was, and whether it was at the setting of now."""
        if self._measured is None:
            return ""
        look = self._measured[1]
        used = f"look {look}" if look == 1 else f"reused: look {look}"
        return used if self.is_measured(tuning) else f"{used}, of an earlier setting"

    def show(self, tuning: Tuning) -> None:
        """Tells how often the half was looked at."""
        if self._read_only:
            self._told.value = "Held-out test: sealed on this page."
        elif self.seal is not None:
            more = f" Writing the file measures it there too: look {self.seal.looks + 1}."
            self._told.value = html.escape(self.seal.told + ("" if self.is_measured(tuning) else more))

    def show_preview(self, tuning: Tuning) -> None:
        """Shows how the file begins."""
        measured = self.result is not None and self.is_measured(tuning)
        ruleset: RuleSet = (
            self.result.ruleset
            if measured and self.result is not None
            else tuning.study.ruleset(tuning.found, tuning.constraints)
        )
        self._preview.value = f"<pre class='rb-preview'>{html.escape(preview(ruleset))}</pre>"


def _button(label: str, help_text: str, style: str = "") -> widgets.Button:
    return widgets.Button(description=label, tooltip=help_text, button_style=style, layout=widgets.Layout(width="auto"))
