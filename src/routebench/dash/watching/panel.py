"""A run as a notebook panel: the priced plan, progress, spend, problems, pause and stop; the kernel stays free."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routebench.dash.format import money
from routebench.dash.parts import ChartView, Numbers, Panel
from routebench.dash.watching.board import Board
from routebench.dash.watching.controls import Controls
from routebench.dash.watching.look import Look
from routebench.dash.watching.state import Watch
from routebench.dash.watching.wording import ending, footer, reading
from routebench.errors import InputError, RoutebenchError
from routebench.run import Progress, Run

if TYPE_CHECKING:
    from routebench.bench import Bench

_REFRESH_S = 0.5
_SCORES_EVERY_S = 5.0
_STORE_EVERY_S = 2.0
_SAID_EVERY_S = 5.0
_STILL_EVERY_S = 15.0


class RunPanel(Panel):
    """The panel of a run, or of a bench that can begin one. Display it once; it follows until the end.

    Args:
        watch: what is followed.
        follow: whether threads of its own keep it up to date; else `refresh` does.

    Attributes:
        watch: the state behind it.
        result: the last progress of the run once it has ended, else None.
        selection: the names of its models.
    """

    def __init__(self, watch: Watch, *, follow: bool = True) -> None:
        self.watch = watch
        self._controls = Controls(watch.most_usd, watch.limits.max_concurrency)
        self._follows = follow
        # Threads of its own and a person's clicks refresh it.
        self._turn = threading.RLock()
        self._told_paused: frozenset[str] = frozenset()
        self._scoring = threading.Lock()
        self._board = Board()
        self._said_s = self._still_s = 0.0
        children = [self._controls.widget, *self._board.children]
        super().__init__(title="Run", children=children, footer=footer(watch))
        self._wire()
        if watch.run is None:
            self._try(watch.find)
        self.selection = self._names()
        self.refresh()
        self._begin_to_follow()

    def start(self) -> Run:
        """Begins what is planned as the button does, unless that was pressed already; returns the run, to be awaited.

        Raises:
            RoutebenchError: it cannot begin, as `Bench.run` says; or this panel only shows.
        """
        if self.watch.run is None or self.watch.stage == "plan":
            self._start()
        assert self.watch.run is not None
        return self.watch.run

    def refresh(self) -> None:
        """Shows what is known now."""
        with self._turn:
            self._refresh_all()

    def _refresh_all(self) -> None:
        watch = self.watch
        progress: Progress | None = None
        if watch.stage == "run":
            look = watch.look()
            progress = look.progress
            self._show_run(look)
        elif watch.stage == "plan":
            self._show_plan()
        else:
            self._show_elsewhere()
        self._controls.show(watch, progress)
        self._board.stand(watch.stage)
        self.footer = footer(watch)

    def numbers(self) -> Sequence[Numbers]:
        """The tables of the stage that it is in."""
        log = [Numbers("Log", ("at", "what happened"), self.watch.log)] if self.watch.log else []
        return [*self._board.numbers(self.watch.stage), *log]

    def pictures(self) -> Sequence[ChartView]:
        """The latest calls, once there is a run."""
        return () if self._board.picture is None else (self._board.picture,)

    def code(self) -> str:
        """The same run from Python."""
        watch = self.watch
        if watch.bench is None:
            return "import routebench as rb\n\nrb.live(run)\n"
        given = ", ".join(f"{name}={value!r}" for name, value in self._controls.caps().items())
        path = str(watch.bench.config.path)
        return f"import routebench as rb\n\nbench = rb.Bench({path!r})\nrun = bench.run({given})\nrb.live(run)\n"

    def _wire(self) -> None:
        controls = self._controls
        controls.start.on_click(lambda _: self._try(self._start))
        controls.pause.on_click(lambda _: self._try(self._pause_or_resume, self.refresh))
        controls.stop.on_click(lambda _: self._try(self._stop, self.refresh))
        controls.again.on_click(lambda _: self._try(self._plan_again))
        controls.raise_cap.on_click(lambda _: self._try(self._raise_cap, self.refresh))
        controls.concurrency.observe(lambda change: self._try(lambda: self._throttle(change["new"])), "value")

    def _try(self, *works: Callable[[], Any]) -> bool:
        """Does what was asked for; an error is told in the panel, and never as a traceback."""
        try:
            for work in works:
                work()
        except RoutebenchError as error:
            # What is wrong may take lines; the last one of several is the mend.
            cause, _, mend = str(error).rpartition("\n")
            self.refuse(cause or error, mend if cause else "")
            return False
        return True

    def _start(self) -> None:
        controls = self._controls
        controls.start.disabled = True
        self.say("Starting: the cells are noted in the store.")
        try:
            self.watch.start(controls.cap_usd(), controls.max_calls())
        except RoutebenchError as error:
            self.say(f"Not started: {error}")
            raise
        finally:
            controls.start.disabled = False
        self.result = None
        self.clear()
        self.say("The run has begun.")
        self.refresh()
        self._begin_to_follow()

    def _pause_or_resume(self) -> None:
        self.watch.pause_or_resume()
        self._said_s = time.monotonic()
        paused = self.watch.run is not None and self.watch.run.progress().status == "paused"
        self.say("Paused: calls in flight finish, nothing new is sent." if paused else "Going on.")

    def _stop(self) -> None:
        self.watch.stop()
        self.say("Stopping after the calls in flight. Nothing is lost: the next run goes on from there.")

    def _raise_cap(self) -> None:
        cap = self._controls.cap_usd()
        if cap is None:
            raise InputError("no sum is given; write the new cap in US dollars beside the button")
        self.watch.raise_cap(cap)
        self.clear()
        self.say(f"The cap is {money(cap)} now.")

    def _throttle(self, most: int) -> None:
        run = self.watch.run
        if run is None or run.max_concurrency != most:
            self.watch.throttle(most)

    def _plan_again(self) -> None:
        if self.watch.stage != "plan" and self.result is None:
            raise InputError("a run goes on; stop it, or wait for its end")
        self.result = None
        self.clear()
        self.watch.find()
        self._board.forget()
        self.refresh()
        self._begin_to_follow()
        self.settled()

    def _begin_to_follow(self) -> None:
        if not self._follows or self.watch.stage == "plan":
            return
        works = [self._follow]
        if self.watch.stage == "run" and self.watch.bench is not None:
            works.append(self._score)
        for work in works:
            # Threads and not tasks: the kernel may be busy with the next cell while the run goes on.
            threading.Thread(target=work, name="routebench-live", daemon=True).start()

    def _follow(self) -> None:
        while self.watch.is_going or self.watch.stage == "elsewhere":
            elsewhere = self.watch.stage == "elsewhere"
            if self._try(*([self.watch.find] if elsewhere else []), self.refresh) and elsewhere:
                self.clear()
            self._keep_still()
            time.sleep(_STORE_EVERY_S if elsewhere else _REFRESH_S)
        if self.watch.stage == "run":
            self.end()

    def _score(self) -> None:
        if not self._scoring.acquire(blocking=False):
            # The thread of the answers goes on with the judges.
            return
        try:
            self._read_scores()
        finally:
            self._scoring.release()

    def _read_scores(self) -> None:
        refused = False
        while self.watch.is_going:
            time.sleep(_SCORES_EVERY_S)
            done = self._try(self.watch.read_scores)
            if done and refused:
                self.clear()
            refused = not done

    def end(self) -> None:
        """Settles a run that has ended, and goes on with its judges where it has some."""
        judging: list[Run | None] = []
        self._try(lambda: judging.append(self.watch.ended()))
        if judging and judging[0] is not None:
            self.refresh()
            self._begin_to_follow()
            return
        if self.watch.bench is not None:
            self._try(self.watch.read_scores)
        run = self.watch.run
        assert run is not None
        self.result = run.progress()
        self.refresh()
        told = ending(run, self.result, can_plan=self.watch.bench is not None)
        if told is not None:
            self.refuse(*told)
        self.say(f"The run has ended: {self.result.status}.")
        self.settled()

    def _show_plan(self) -> None:
        watch, priced = self.watch, self.watch.priced
        if watch.stored is not None:
            self._board.show_stored(watch.stored)
        if priced is None:
            self.reading = "The plan could not be made."
            return
        if self._board.show_plan(priced):
            self._controls.suggest(watch)
            if priced.n_calls and not watch.read_only and watch.bench is not None:
                bench = watch.bench
                self._try(lambda: bench.check_keys(priced.plan))
        self.reading = priced.reading

    def _show_elsewhere(self) -> None:
        stored = self.watch.stored
        assert stored is not None
        self._board.show_stored(stored)
        self.reading = f"Another process runs {self.watch.suite}: {stored.n_done:,} of {stored.n_cells:,} cells."

    def _show_run(self, look: Look) -> None:
        progress = look.progress
        self._board.show_run(look, self.watch)
        self.selection = tuple(model.name for model in progress.models)
        self.reading = reading(self.watch.suite, look)
        if not self.watch.is_going:
            return
        paused = frozenset(progress.paused)
        if paused - self._told_paused:
            # Once: what a person is told of a click of theirs must not be written over twice a second.
            told = ". ".join(f"{name} is paused: {reason}" for name, reason in progress.paused.items())
            self.refuse(told, "the other models go on")
        self._told_paused = paused
        now_s = time.monotonic()
        if now_s - self._said_s >= _SAID_EVERY_S:
            self._said_s = now_s
            self.say(f"{progress.status}: {progress.done:,} of {progress.calls:,} calls.")

    def _keep_still(self) -> None:
        now_s = time.monotonic()
        if now_s - self._still_s >= _STILL_EVERY_S:
            self._still_s = now_s
            self.settled()

    def _names(self) -> tuple[str, ...]:
        what = self.watch.bench if self.watch.run is None else self.watch.run.plan
        return () if what is None else tuple(model.name for model in what.models)


def live(what: Run | Bench | str | Path, *, cap_usd: float | None = None, read_only: bool = False) -> RunPanel:
    """Returns the panel of a run, or of a bench; the last expression of a cell displays it.

    Of a bench it opens with the priced plan. A run of the same suite that goes on already, in this kernel or in another
    process, is followed instead.

    Args:
        what: a run, a bench, or the path of a bench.yaml.
        cap_usd: the most that all runs of this panel may be billed together.
        read_only: whether nothing can be begun, paused or stopped.
    """
    if isinstance(what, Run):
        return RunPanel(Watch(run=what, read_only=read_only))
    from routebench.bench import opened

    return RunPanel(Watch(opened(what), cap_usd=cap_usd, read_only=read_only))
