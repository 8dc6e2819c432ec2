"""The tuner as a notebook panel: what is asked, where that leads, one look at the test half, and the file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import ipywidgets as widgets

from routebench import __version__
from routebench.dash.parts import ChartView, Numbers, Panel
from routebench.dash.tuning.board import Board
from routebench.dash.tuning.controls import controls_of
from routebench.dash.tuning.gateways import Gateways
from routebench.dash.tuning.held_out import HeldOutHalf
from routebench.dash.tuning.lesson import Lesson
from routebench.dash.tuning.moves import Moves
from routebench.dash.tuning.pictures import names_of
from routebench.dash.tuning.reading import read
from routebench.dash.tuning.script import script
from routebench.dash.tuning.seal import Seal
from routebench.dash.tuning.setting import BEST, Setting
from routebench.dash.tuning.state import Tuning
from routebench.dash.tuning.version import Version
from routebench.dash.tuning.versions import compare_versions
from routebench.dash.tuning.why import Why
from routebench.dash.tuning.work import Start, Work, in_sight, in_thread
from routebench.errors import InputError
from routebench.tune import Constraints, Study, Tuned

if TYPE_CHECKING:
    from routebench.bench import Bench
    from routebench.evaluate import Comparison

_FLIPS, _WHY, _EXPORT, _VERSIONS = range(4)


class TunerPanel(Panel):
    """The tuner of a bench. Display it once; it learns by itself, and points appear form by form.

    Whoever presses a button waits for nothing. The methods are for cells: they wait for what they need, and raise what
    cannot be done.

    Args:
        bench: whose outcomes.
        seed: of the split.
        read_only: whether nothing may be written: no file, and no look into the store, so that the test half stays
            sealed.
        folder: the only one that the page may write into; None where any path will do.
        now: the wall clock.
        start: begins what takes its time.

    Attributes:
        state: the tuner without a screen; None until the gate has been passed.
        gateways: the way to other gateways.
    """

    def __init__(
        self,
        bench: Bench,
        *,
        seed: int = 42,
        read_only: bool = False,
        folder: Path | None = None,
        now: Callable[[], datetime],
        start: Start = in_thread,
    ) -> None:
        self.state: Tuning | None = None
        self._bench, self._seed, self._read_only = bench, seed, read_only
        # What is learned and what is moved come from different threads.
        self._lock = threading.RLock()
        self._drawing = False
        self._turn = 0
        self._lesson = Lesson(bench, seed, taken=self._take, start=start, refuse=self.refuse)
        self._guarding = Work(start, self.refuse)
        self._test = HeldOutHalf(self, now=now, start=start, read_only=read_only, folder=folder, drawn=self._redraw)
        self.gateways = Gateways(self, start=start, read_only=read_only, folder=folder)
        self._why = Why()
        self._controls = controls_of(bench, lambda **fields: self._do(lambda: self._change(**fields)))
        self._moves = Moves(self._pressed)
        self._board = board = Board(bench.suite.name)
        self._more = widgets.Accordion(
            [board.flips, self._why.widget, self._test.exporting, board.versions, self.gateways.widget],
            titles=("Cases that flip", "Why: a typed prompt", "Export to YAML", "Versions", "Export to a gateway"),
            selected_index=None,
        )
        super().__init__(
            title=f"Tune: {bench.suite.name}",
            children=[
                self._lesson.widget,
                self._controls.asked,
                self._controls.guarded,
                self._controls.picked,
                self._moves.widget,
                board.chart,
                board.shares,
                board.figures,
                self._test.looking,
                board.flipped,
                self._more,
            ],
            footer=_footer(bench, seed),
            css=Path(__file__).parent / "tuning.css",
        )
        self._wire()
        self._allow()
        self._controls.show(Setting())
        self._lesson.start()

    def _wire(self) -> None:
        self._why.on_ask(lambda: self._do(self._explain))
        self._board.chart.observe(lambda change: self._click(change["new"]), "selected")
        self._board.chart.observe(lambda _change: self._stretch(), "width_px")
        self._more.observe(lambda _change: self._draw_more(), "selected_index")
        self._test.wire(lambda asked: self._do(lambda: asked(self._ready())))
        self.gateways.wire(lambda asked: self._do(lambda: asked(self._ready())))

    # Learning

    def wait(self) -> Self:
        """Waits until everything is learned that will be, and measured that is being measured; returns the panel.

        Raises:
            RoutebenchError: what ended it before its time.
        """
        self._lesson.wait()
        self._guarding.join()
        self._guarding.check()
        self._test.wait()
        return self

    def stop(self) -> None:
        """Ends the learning; the forms that are learned stay."""
        self._lesson.stop()

    def learn_again(self) -> None:
        """Begins to learn every form anew, with the stakes and the number of rules of the setting.

        Raises:
            InputError: a guard is switched off.
            RoutebenchError: what ended the learning before.
        """
        self._settled()
        with self._lock:
            self._learn_again()

    def _learn_again(self) -> None:
        if not self._lesson.goes_on:
            self._lesson.start(*self._ready().teach())

    def _take(self, study: Study) -> None:
        with self._lock:
            if self.state is None:
                bench = self._bench
                self._test.seal = Seal(bench.store, bench.suite.name, self._seed, writes=not self._read_only)
                self.state = Tuning(study)
            behind = self.state.learn(study)
            self._controls.offer([curve.name for curve in study.curves])
            self._allow()
            self._moved(behind=behind)

    # What is asked

    def change(self, **fields: Any) -> None:
        """Changes fields of the setting, such as `floor=2.0` or `form="student", place=7`; see `Setting`.

        Waits until what is named is learned: the gate, a form, or for guards everything.

        Raises:
            InputError: there is no such field, form, point or guard.
            RoutebenchError: what ended the learning before.
        """
        self._lesson.wait(lambda: self.state is not None and self.state.knows(fields))
        with self._lock:
            self._change(**fields)

    def undo(self) -> None:
        """Takes the latest change back."""
        self._do(lambda: self._moved(behind=self._ready().undo()))

    def reset(self) -> None:
        """Goes back to how everything was at the beginning; that can be undone too."""
        self._do(lambda: self._moved(behind=self._ready().reset()))

    def _change(self, **fields: Any) -> None:
        self._moved(behind=self._ready().change(**fields))

    def _moved(self, *, behind: bool) -> None:
        self._redraw()
        if behind:
            self._turn += 1
            turn = self._turn
            self._guarding.begin(lambda: self._catch_up(turn))

    def _catch_up(self, turn: int) -> None:
        """Replays the other forms under the guards of now; given up where the guards are others again."""
        state = self._ready()
        for study in state.catch_up():
            with self._lock:
                if turn != self._turn:
                    return
                if not study.waiting:
                    state.take(study)
                    self._redraw()

    def _click(self, names: Sequence[str]) -> None:
        found = names_of(names)
        if found is not None and not self._drawing:
            form, place = found
            self._do(lambda: self._change(form=form, place=place))

    def _pressed(self, name: str) -> None:
        what: dict[str, Callable[[], object]] = {
            "best": lambda: self._change(form=BEST, place=None),
            "near": self._take_closest,
            "undo": self.undo,
            "reset": self.reset,
            "keep": lambda: self._keep(""),
            "again": self._learn_again,
        }
        self._do(what[name])

    def _take_closest(self) -> None:
        near = self._ready().closest
        if near is not None:
            self._change(form=near.form, place=near.point.index)

    def _explain(self) -> None:
        state = self._ready()
        self._why.explain(state.study.ruleset(state.found, state.constraints))

    def _ready(self) -> Tuning:
        if self.state is None:
            raise InputError("nothing is learned yet; wait for the gate, progress stands at the top of the panel")
        return self.state

    def _settled(self) -> Tuning:
        """The state once everything is learned and replayed."""
        self._lesson.wait()
        self._guarding.join()
        return self._ready()

    def _do(self, work: Callable[[], object]) -> None:
        """Does what a control asks for; what cannot be done is said."""
        with self._lock:
            self.clear()
            in_sight(work, self.refuse)

    # What comes out

    def check(self) -> Tuned:
        """Looks at the test half with the setting as it is, counts the look, and returns what was measured.

        Waits until everything is learned; where this very setting is measured already, nothing is looked at.

        Raises:
            InputError: the panel is read-only.
            RoutebenchError: what ended the learning or the measuring.
        """
        state = self._settled()
        self.clear()
        return self._test.check(state)

    def export(self, path: str | Path, *, replace: bool = False) -> Path:
        """Writes the rules.yaml of the setting as it is, and returns its path.

        Waits until everything is learned; where the setting is not measured yet, that is done and counted first.

        Args:
            path: of the file.
            replace: whether rules that are there may be written over.

        Raises:
            InputError: the panel is read-only, the path is taken, or it cannot be written.
            RoutebenchError: what ended the learning or the measuring.
        """
        state = self._settled()
        self.clear()
        return self._test.export(state, path, replace=replace)

    @property
    def result(self) -> Tuned | None:
        """What was measured on the test half last; None while it is sealed."""
        return self._test.result

    @property
    def selection(self) -> dict[str, Any]:
        """The setting and the point that it comes to; empty before the gate."""
        return {} if self.state is None else self.state.selection

    @property
    def constraints(self) -> Constraints:
        """What is asked, as `bench.tune` takes it."""
        return Constraints() if self.state is None else self.state.constraints

    @property
    def versions(self) -> list[Version]:
        """The settings that were kept."""
        return [] if self.state is None else self.state.versions

    def save_version(self, name: str = "") -> Version:
        """Keeps the setting as it is, to be compared with others; waits until everything is learned.

        Raises:
            RoutebenchError: what ended the learning before.
        """
        self._settled()
        with self._lock:
            return self._keep(name)

    def _keep(self, name: str) -> Version:
        state = self._ready()
        version = state.save(name, self.result if self._test.is_measured(state) else None)
        self._board.show_versions(self.versions)
        self.say(f"kept as {version.name}")
        return version

    def compare(self) -> Comparison:
        """Returns the kept versions beside the baselines; see `versions.compare_versions`.

        Raises:
            InputError: there are none.
        """
        return compare_versions(self._ready())

    # Drawing

    def _allow(self) -> None:
        ready = self.state is not None
        self._controls.allow(ready=ready, learned=ready and not (self.state and self.state.learned.waiting))
        self._test.allow(ready=ready)
        self._moves.allow(ready=ready)

    def _redraw(self) -> None:
        """Brings every widget to what the state says."""
        with self._lock:
            self._drawing = True
            try:
                self._show(self._ready())
            finally:
                self._drawing = False

    def _show(self, state: Tuning) -> None:
        self.reading = read(state)
        self._controls.show(state.setting)
        self._controls.walk(state)
        self._board.show(state, self.result, self._test.look_of(state))
        self._test.show(state)
        self._moves.show(state)
        self._draw_more()
        self.settled()

    def _stretch(self) -> None:
        """Names find their places anew where the picture has become wider or narrower."""
        with self._lock:
            if self.state is not None:
                self._redraw()

    def _draw_more(self) -> None:
        """Fills the part of the accordion that is open; the others cost nothing."""
        state, place = self.state, self._more.selected_index
        if state is not None and place == _FLIPS:
            self._board.show_flips(state)
        elif state is not None and place == _EXPORT:
            self._test.show_preview(state)

    def numbers(self) -> Sequence[Numbers]:
        """Where the setting stands, where requests go, and the versions."""
        state = self.state
        return () if state is None else self._board.numbers(state, self.result, self._test.look_of(state))

    def pictures(self) -> Sequence[ChartView]:
        """The operating points."""
        return () if self.state is None else (self._board.chart,)

    def code(self) -> str:
        """The Python that gives the same file."""
        path = str(self._test.path.value)
        return script(self.state, config=str(self._bench.config.path), seed=self._seed, path=path)


def tuner(
    bench: Bench | str | Path, *, seed: int = 42, read_only: bool = False, folder: str | Path | None = None
) -> TunerPanel:
    """Returns the tuner of a bench; the last expression of a cell displays it.

    Args:
        bench: whose outcomes; or the path of a bench.yaml.
        seed: of the split.
        read_only: whether nothing may be written.
        folder: the only one that the page may write into; None where any path will do.
    """
    from routebench.bench import opened, utc_now

    into = None if folder is None else Path(folder)
    return TunerPanel(opened(bench), seed=seed, read_only=read_only, folder=into, now=utc_now)


def _footer(bench: Bench, seed: int) -> str:
    return (
        f"Suite {bench.suite.name}; half-and-half split by seed {seed}: forms are learned and points chosen on train, "
        "where no case is decided by what was learned of it; intervals 95%, differences paired; points chosen on train "
        f"are flattered by the choice, which no interval allows for; routebench {__version__}"
    )
