"""The tuner as a notebook panel: what is asked, where that leads, one look at the test half, and the file."""

from __future__ import annotations

import html
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from routebench import __version__
from routebench.dash.parts import ChartView, Grid, Numbers, Panel
from routebench.dash.tuning.controls import Controls
from routebench.dash.tuning.held_out import HeldOutHalf
from routebench.dash.tuning.lesson import Lesson, Start, in_thread
from routebench.dash.tuning.pictures import (
    can_be_log,
    described,
    field_frames,
    hidden,
    moving_frames,
    names_of,
    scatter,
)
from routebench.dash.tuning.reading import read
from routebench.dash.tuning.script import script
from routebench.dash.tuning.seal import Seal
from routebench.dash.tuning.setting import BEST, Setting
from routebench.dash.tuning.state import Tuning, Version
from routebench.dash.tuning.tables import (
    FIGURE_COLUMNS,
    FLIP_COLUMNS,
    VERSION_COLUMNS,
    figure_frame,
    shares_told,
    version_frame,
)
from routebench.dash.tuning.versions import compare_versions
from routebench.dash.tuning.why import Why
from routebench.errors import InputError, RoutebenchError
from routebench.tune import Constraints, Study, Tuned, learning
from routebench.tune.learning import MAX_RULES

if TYPE_CHECKING:
    from routebench.bench import Bench
    from routebench.evaluate import Comparison, Outcomes

_MOST_CLASSES = 60
_FLIPS, _WHY, _EXPORT, _VERSIONS = range(4)


class TunerPanel(Panel):
    """The tuner of a bench. Display it once; it learns by itself, and points appear form by form.

    Args:
        bench: whose outcomes.
        seed: of the split.
        read_only: whether nothing may be written: no file, and no look into the store, so that the test half stays
            sealed.
        now: the wall clock.
        start: begins what takes its time.

    Attributes:
        state: the tuner without a screen; None until the gate has been passed.
    """

    def __init__(
        self,
        bench: Bench,
        *,
        seed: int = 42,
        read_only: bool = False,
        now: Callable[[], datetime],
        start: Start = in_thread,
    ) -> None:
        self.state: Tuning | None = None
        self._bench, self._seed, self._read_only, self._start = bench, seed, read_only, start
        # What is learned and what is moved come from different threads.
        self._lock = threading.RLock()
        self._drawing = False
        self._turn = 0
        self._drawn: Study | None = None
        self._log = True
        self._lesson = Lesson(self._take, self.refuse)
        self._test = HeldOutHalf(self, now=now, start=start, read_only=read_only, drawn=self._redraw)
        self._why = Why()
        self._controls = _controls(bench, self.change)
        self._best = _button("Go to the best", "the point that meets what is asked best, of all forms")
        self._near = _button("Take the closest", "the point that misses least of what is asked")
        self._undo = _button("Undo", "take the latest change back, up to 20 of them")
        self._reset = _button("Reset", "everything as it was at the beginning")
        self._again = _button(
            "Learn again", "with these stakes, and with so many rules at most: forms know of neither yet"
        )
        self._keep = _button("Save version", "keep this setting beside others, to compare them")
        name = bench.suite.name
        self._chart = ChartView(scatter(log=True), name=f"{name}-tune", description="", select="points.name")
        self._shares, self._flipped = widgets.HTML(), widgets.HTML()
        self._figures = Grid(FIGURE_COLUMNS, name=f"{name}-tuning", label="where the setting stands")
        self._flips = Grid(
            FLIP_COLUMNS, name=f"{name}-flips", label="cases that score otherwise", page_size=50, search=True
        )
        self._versions = Grid(VERSION_COLUMNS, name=f"{name}-versions", label="versions that were kept")
        self._more = widgets.Accordion(
            [self._flips, self._why.widget, self._test.exporting, self._versions],
            titles=("Cases that flip", "Why: a typed prompt", "Export to YAML", "Versions"),
            selected_index=None,
        )
        moves = (self._best, self._near, self._undo, self._reset, self._keep, self._again)
        controls = self._controls
        super().__init__(
            title=f"Tune: {name}",
            children=[
                self._lesson.widget,
                controls.asked,
                controls.guarded,
                controls.picked,
                self.row(*moves),
                self._chart,
                self._shares,
                self._figures,
                self._test.looking,
                self._flipped,
                self._more,
            ],
            footer=_footer(bench, seed),
            css=Path(__file__).parent / "tuning.css",
        )
        self._wire()
        self._allow()
        self._controls.show(Setting())
        for button in (self._near, self._again):
            _seen(button, seen=False)
        self._lesson.start(start, self._studies)

    def _wire(self) -> None:
        self._best.on_click(lambda _button: self.change(form=BEST, place=None))
        self._near.on_click(lambda _button: self._do(self._take_closest))
        self._undo.on_click(lambda _button: self.undo())
        self._reset.on_click(lambda _button: self.reset())
        self._again.on_click(lambda _button: self._do(self.learn_again))
        self._keep.on_click(lambda _button: self._do(self.save_version))
        self._why.on_ask(lambda: self._do(self._explain))
        self._chart.observe(lambda change: self._click(change["new"]), "selected")
        self._more.observe(lambda _change: self._draw_more(), "selected_index")
        self._test.wire(lambda: self.state)

    # Learning

    def stop(self) -> None:
        """Ends the learning after the form in hand; what is learned stays."""
        self._lesson.stop()

    def learn_again(self) -> None:
        """Learns every form anew, with the stakes and the number of rules of the setting.

        Raises:
            InputError: nothing is learned yet, or a guard is switched off.
        """
        if not self._lesson.goes_on:
            outcomes, max_rules = self._ready().teach()
            self._lesson.start(self._start, lambda: self._learning(outcomes, max_rules))

    def _studies(self) -> Iterator[Study]:
        bench = self._bench
        outcomes = bench.outcomes()
        self._test.seal = Seal(bench.store, bench.suite.name, self._seed, writes=not self._read_only)
        self._lesson.tell("learning: the gate, whether prompts tell the models apart at all")
        yield from self._learning(outcomes, MAX_RULES)

    def _learning(self, outcomes: Outcomes, max_rules: int) -> Iterator[Study]:
        bench = self._bench
        yield from learning(
            outcomes,
            bench.models,
            name=bench.suite.name,
            guards=bench.config.guards,
            protections=bench.config.protect,
            max_rules=max_rules,
            seed=self._seed,
        )

    def _take(self, study: Study) -> None:
        with self._lock:
            if self.state is None:
                self.state = Tuning(study)
            else:
                self.state.learn(study)
            self._controls.offer([curve.name for curve in study.curves])
            self._allow()
            self._redraw()

    # What is asked

    def change(self, **fields: Any) -> None:
        """Changes fields of the setting, such as `floor=2.0` or `form="student", place=7`; see `Setting`."""
        self._do(lambda: self._moved(behind=self._ready().change(**fields)))

    def undo(self) -> None:
        """Takes the latest change back."""
        self._do(lambda: self._moved(behind=self._ready().undo()))

    def reset(self) -> None:
        """Goes back to how everything was at the beginning; that can be undone too."""
        self._do(lambda: self._moved(behind=self._ready().reset()))

    def _moved(self, *, behind: bool) -> None:
        self._redraw()
        if behind:
            self._turn += 1
            turn = self._turn
            self._start(lambda: self._catch_up(turn))

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
            self.change(form=found[0], place=found[1])

    def _take_closest(self) -> None:
        near = self._ready().closest
        if near is not None:
            self._moved(behind=self._ready().change(form=near.form, place=near.point.index))

    def _explain(self) -> None:
        state = self._ready()
        self._why.explain(state.study.ruleset(state.found, state.constraints))

    def _ready(self) -> Tuning:
        if self.state is None:
            raise InputError("nothing is learned yet; wait for the gate, progress stands at the top of the panel")
        return self.state

    def _do(self, work: Callable[[], Any]) -> None:
        """Does what a control asks for; what cannot be done is said."""
        with self._lock:
            self.clear()
            try:
                work()
            except RoutebenchError as error:
                self.refuse(error)

    # What comes out

    def check(self) -> None:
        """Looks at the test half with the setting as it is, and counts the look."""
        self._test.check(self.state)

    def export(self, path: str, *, replace: bool = False) -> None:
        """Writes the rules.yaml of the setting as it is; where it is not measured yet, that is done and counted first.

        Args:
            path: of the file.
            replace: whether what is there may be written over.
        """
        self._test.export(self.state, path, replace=replace)

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
        """Keeps the setting as it is, to be compared with others.

        Raises:
            InputError: nothing is learned yet.
        """
        state = self._ready()
        version = state.save(name, self.result if self._test.is_measured(state) else None)
        self._versions.show(version_frame(self.versions))
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
        for button in (self._keep, self._best, self._reset, self._undo, self._near):
            button.disabled = not ready

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
        self._show_slider(state)
        self._show_chart(state)
        self._shares.value = (
            f"<div class='rb-told'>Requests go to: {html.escape(shares_told(state.now))}.</div>"
            f"<div class='rb-remark'>{html.escape(_legend(state))}</div>"
        )
        self._figures.show(figure_frame(state, self.result, self._test.look_of(state)))
        self._test.show(state)
        told = "" if state.flips is None else f"Flips against the setting before: {state.flips.told} cases."
        self._flipped.value = f"<div class='rb-told'>{html.escape(told)}</div>"
        self._undo.disabled = not state.steps
        self._best.disabled = state.setting.form == BEST and state.setting.place is None
        _seen(self._again, seen=state.unlearned)
        passes = state.best_point is not None or state.closest is None or state.setting.place is not None
        _seen(self._near, seen=not passes)
        self._draw_more()
        self.settled()

    def _show_slider(self, state: Tuning) -> None:
        curve = state.curve
        if curve is None:
            self._controls.reach("", (), None, "")
            return
        order = curve.order
        here = state.now.place if state.now.form == curve.name else None
        where = "" if here is None else f", {order.index(here) + 1} of {len(order)} by cost"
        self._controls.reach(curve.name, order, here, f"{state.now.name}: {state.now.label}{where}")

    def _show_chart(self, state: Tuning) -> None:
        moving = moving_frames(state)
        # Stakes move no point.
        still = {} if self._drawn is state.bare else field_frames(state.bare)
        self._drawn = state.bare
        log = can_be_log(state.study)
        if log != self._log:
            self._log = log
            self._chart.show(scatter(log=log), described(state), {**still, **moving})
        else:
            self._chart.feed(described(state), **still, **moving)
        # A click on the very point that was left must count too.
        now = state.now
        self._chart.selected = () if now.place is None else (f"{now.form}#{now.place}",)

    def _draw_more(self) -> None:
        """Fills the part of the accordion that is open; the others cost nothing."""
        state, place = self.state, self._more.selected_index
        if state is None:
            return
        if place == _FLIPS and state.before is not None and state.flips is not None:
            ground = state.study.ground
            self._flips.show(state.flips.frame(ground, state.before.replayed, state.now.replayed))
        elif place == _EXPORT:
            self._test.show_preview(state)

    def numbers(self) -> Sequence[Numbers]:
        """Where the setting stands, where requests go, and the versions."""
        if self.state is None:
            return ()
        columns = [column.title for column in FIGURE_COLUMNS]
        figures = figure_frame(self.state, self.result, self._test.look_of(self.state)).to_numpy().tolist()
        shares = [(name, f"{share:.1%}") for name, share in self.state.now.shares.items()]
        tables = [
            Numbers("Where the setting stands; train and test are different rows.", columns, figures),
            Numbers("Share of the training requests.", ("model", "share"), shares),
        ]
        if self.versions:
            kept = version_frame(self.versions).to_numpy().tolist()
            tables.append(Numbers("Versions.", [column.title for column in VERSION_COLUMNS], kept))
        return tables

    def pictures(self) -> Sequence[ChartView]:
        """The operating points."""
        return () if self.state is None else (self._chart,)

    def code(self) -> str:
        """The Python that gives the same file."""
        path = str(self._test.path.value)
        return script(self.state, config=str(self._bench.config.path), seed=self._seed, path=path)


def tuner(bench: Bench, *, seed: int = 42, read_only: bool = False) -> TunerPanel:
    """Returns the tuner of a bench; the last expression of a cell displays it.

    Args:
        bench: whose outcomes.
        seed: of the split.
        read_only: whether nothing may be written.
    """
    from routebench.bench import utc_now

    return TunerPanel(bench, seed=seed, read_only=read_only, now=utc_now)


def _controls(bench: Bench, told: Callable[..., None]) -> Controls:
    guards = [*(str(guard["name"]) for guard in bench.config.guards), *(one.name for one in bench.config.protect)]
    categories = sorted({case.category for case in bench.suite if case.category})
    tags = sorted({tag for case in bench.suite for tag in case.tags} - set(categories))
    names = [model.name for model in bench.models]
    return Controls(names, list(dict.fromkeys(guards)), [*categories, *tags][:_MOST_CLASSES], told)


def _footer(bench: Bench, seed: int) -> str:
    return (
        f"Suite {bench.suite.name}; half-and-half split by seed {seed}: forms are learned and points chosen on train, "
        "where no case is decided by what was learned of it; intervals 95%, differences paired; points chosen on train "
        f"are flattered by the choice; routebench {__version__}"
    )


def _seen(widget: widgets.DOMWidget, *, seen: bool) -> None:
    display = None if seen else "none"
    if widget.layout.display != display:
        widget.layout.display = display


def _legend(state: Tuning) -> str:
    n = hidden(state.study)
    low = f" Not drawn: {n} that score far below the cheapest mix, or mostly fail." if n else ""
    return (
        "Orange: the form in hand and you, with 95% intervals; grey: the other forms; outline: the best that meets "
        "what is asked; dotted: what is asked; dashed: the fixed mix of two models with its 95% ribbon. Click a point "
        f"to pick it.{low}"
    )


def _button(label: str, help_text: str) -> widgets.Button:
    return widgets.Button(description=label, tooltip=help_text, layout=widgets.Layout(width="auto"))
