"""The one look at the test half, and the file that comes of it."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import ipywidgets as widgets

from routebench.dash.parts import Panel
from routebench.dash.tuning.candidate import Candidate
from routebench.dash.tuning.seal import Seal
from routebench.dash.tuning.state import Tuning
from routebench.dash.tuning.work import Start, Work
from routebench.dash.tuning.writing import Target, Written, preview
from routebench.errors import InputError
from routebench.tune import Tuned, finish
from routebench.tune.measuring import written


class HeldOutHalf:
    """Measures a setting on the half that nothing was chosen on, and writes its file.

    Args:
        panel: says what happens and what cannot be done.
        now: the wall clock.
        start: begins what takes its time.
        read_only: whether nothing may be looked at or written.
        folder: the only one that a page may write into, under a plain name; None where any path will do.
        drawn: is called when there is something new to show.

    Attributes:
        seal: counts looks; None until outcomes were read.
        result: what was measured last; None while the half is sealed.
        looking: the button and what it has led to.
        exporting: the file.
        path: of it.
    """

    def __init__(
        self,
        panel: Panel,
        *,
        now: Callable[[], datetime],
        start: Start,
        read_only: bool,
        folder: Path | None,
        drawn: Callable[[], None],
    ) -> None:
        self._panel, self._now, self._read_only, self._folder, self._drawn = panel, now, read_only, folder, drawn
        self._work = Work(start, panel.refuse)
        self.seal: Seal | None = None
        self.result: Tuned | None = None
        self._measured: tuple[Candidate, int] | None = None
        self._busy = False
        self._check = _button("Check once on test", "measure this setting on the held-out half; the look is counted")
        self._told = widgets.HTML(layout=widgets.Layout(flex="1 1 24em"))
        self.path = widgets.Text(value="rules.yaml", description="file", style={"description_width": "initial"})
        self._replace = widgets.Checkbox(value=False, description="replace what is there", indent=False)
        self._write = _button("Write rules.yaml", "measured on the held-out half first, if it is not yet", "primary")
        self._written = widgets.HTML()
        self._preview = widgets.HTML()
        self.looking = Panel.row(self._check, self._told)
        where = widgets.Label("" if folder is None else f"written into {folder}")
        writing = Panel.row(self.path, where, self._replace, self._write)
        none = widgets.HTML("<p>Nothing is written from here: this page is read-only.</p>")
        self.exporting = widgets.VBox([none if read_only else writing, self._written, self._preview])

    def wire(self, asked: Callable[[Callable[[Tuning], None]], None]) -> None:
        """Connects the buttons with the setting of the moment.

        Args:
            asked: does something with the setting; what cannot be done is said.
        """
        self._check.on_click(lambda _button: asked(lambda tuning: self._begin(tuning, None)))
        self._write.on_click(lambda _button: asked(lambda tuning: self._begin(tuning, self._target())))

    def _target(self) -> Target:
        return Target.of(str(self.path.value), replace=bool(self._replace.value), folder=self._folder)

    def check(self, tuning: Tuning) -> Tuned:
        """Looks at the test half with a setting, and counts the look; not again where it is measured.

        Raises:
            InputError: this page is read-only.
            RoutebenchError: it cannot be measured, or the look cannot be counted.
        """
        self._work.join()
        candidate = self._asked(tuning)
        self._work.do(lambda: self._go(candidate, None))
        assert self.result is not None
        return self.result

    def export(self, tuning: Tuning, path: str | Path, *, replace: bool) -> Path:
        """Writes the file of a setting; where it is not measured yet, that is done and counted first.

        Raises:
            InputError: this page is read-only, or something is there already.
            RoutebenchError: it cannot be measured, or the look cannot be counted.
        """
        self._work.join()
        candidate, target = self._asked(tuning), Target.of(path, replace=replace)
        self._work.do(lambda: self._go(candidate, target))
        return target.path

    def wait(self) -> None:
        """Waits for the end of what is being measured, and raises what ended it."""
        self._work.join()
        self._work.check()

    def is_measured(self, tuning: Tuning) -> bool:
        """Whether the latest look was at what the setting comes to."""
        return self._measured is not None and self._measured[0].still_is(tuning)

    def _asked(self, tuning: Tuning) -> Candidate:
        if self._read_only:
            raise InputError("this page is read-only, and the test half stays sealed; open the tuner in a notebook")
        if self._busy:
            raise InputError("not now; wait for what is under way")
        # The very one that was measured: what has come out of it is at hand.
        return self._measured[0] if self._measured is not None and self.is_measured(tuning) else Candidate.of(tuning)

    def _begin(self, tuning: Tuning, target: Target | None) -> None:
        candidate = self._asked(tuning)
        self._busy = True
        self._work.begin(lambda: self._go(candidate, target))

    def _go(self, candidate: Candidate, target: Target | None) -> None:
        self._busy = True
        self.allow(ready=True)
        try:
            tuned = self._known(candidate)
            if target is not None:
                # Before the look: one that leads to no file would be wasted.
                target.check(_files(candidate) if tuned is None else tuned.files)
            tuned = tuned or self._look(candidate)
            if target is not None:
                self._told_of(target.write(tuned, candidate.study.outcomes))
        finally:
            self._busy = False
            self.allow(ready=True)
            self._drawn()

    def _known(self, candidate: Candidate) -> Tuned | None:
        return self.result if self._measured is not None and candidate is self._measured[0] else None

    def _look(self, candidate: Candidate) -> Tuned:
        self._panel.say("measuring on the held-out half …")
        at = self._now()
        tuned = finish(candidate.study, candidate.found, candidate.asked, created=at.date())
        assert self.seal is not None
        # Counted before anybody sees it.
        look = self.seal.look(tuned.ruleset, at)
        self.result, self._measured = tuned, (candidate, look)
        self._panel.say(f"look {look} at the held-out half is done")
        return tuned

    def _told_of(self, file: Written) -> None:
        self._written.value = f"<p>{html.escape(file.told)}</p>"
        self._panel.say(file.told)

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
        measured = self.result if self.is_measured(tuning) else None
        ruleset = tuning.study.ruleset(tuning.found, tuning.constraints) if measured is None else measured.ruleset
        self._preview.value = f"<pre class='rb-preview'>{html.escape(preview(ruleset))}</pre>"


def _files(candidate: Candidate) -> Iterable[str]:
    """The names of the files that a rules.yaml would refer to."""
    _, files = written(candidate.study.ruleset(candidate.found, candidate.asked))
    return files


def _button(label: str, help_text: str, style: str = "") -> widgets.Button:
    return widgets.Button(description=label, tooltip=help_text, button_style=style, layout=widgets.Layout(width="auto"))
