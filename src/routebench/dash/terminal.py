"""A run and its tables in a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from routebench.dash.format import PROGRESS_COLUMNS, lane_line, progress_cells
from routebench.dash.prices import PLAN_COLUMNS, plan_rows
from routebench.run import Plan, Progress, Run

if TYPE_CHECKING:
    from routebench.evaluate import Comparison

_REFRESH_S = 0.25
_ROOMY = ("mean of splits", "p50")
_PLAIN_EVERY_S = 5.0


def watch(run: Run, console: Console) -> Progress:
    """Draws a run until it ends and returns its last progress.

    Ctrl-C once lets the calls in flight finish, twice gives them up; both keep what was answered.
    """
    interrupts = 0
    with _Screen(console) as screen:
        while True:
            try:
                while run.running:
                    screen.show(run.progress())
                    time.sleep(_REFRESH_S)
                progress = run.wait()
                screen.show(progress, last=True)
            except KeyboardInterrupt:
                interrupts += 1
                if interrupts == 1:
                    run.stop()
                    console.print("stopping after the calls in flight; Ctrl-C again gives them up")
                else:
                    run.abort()
            else:
                return progress


class _Screen:
    """A live panel where there is a terminal, a line now and then where there is none."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._next_s = 0.0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, progress: Progress, *, last: bool = False) -> None:
        if self._live is not None:
            self._live.update(panel(progress))
        elif last or time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + _PLAIN_EVERY_S
            self._console.print(str(progress), highlight=False, soft_wrap=True)
        if last and self._live is not None:
            self._live.stop()
            self._console.print(str(progress), highlight=False, soft_wrap=True)


def panel(progress: Progress) -> Group:
    """Returns a run's progress as a bar, a line of spend and a row a model."""
    bar = ProgressBar(total=max(progress.calls, 1), completed=progress.done, width=60)
    lanes = [Text(lane_line(lane)) for lane in progress.lanes]
    return Group(Text(str(progress)), bar, table(PROGRESS_COLUMNS, map(progress_cells, progress.models)), *lanes)


def summary(progress: Progress) -> list[str]:
    """Returns what a person must know after a run: what failed, by kind, what was paused, and how to go on."""
    lines = [f"  {number} x {kind}" for kind, number in sorted(progress.errors_by_kind.items())]
    if lines:
        lines.insert(
            0,
            f"{progress.errors} calls failed and are kept as failed; the same command tries passing faults again, "
            "--retry-errors the others too:",
        )
        lines += [f"  latest: {problem[:300]}" for problem in progress.problems[-1:]]
    lines += [f"{name} was paused: {reason}; mend it and run again" for name, reason in progress.paused.items()]
    if progress.note is not None:
        lines.append(f"ended early: {progress.note}")
    if progress.left:
        lines.append(f"{progress.left} calls were not sent ({progress.status}); the same command sends them")
    return lines


def plan_table(plan: Plan) -> Table:
    """Returns a plan as a table, a model a row."""
    return table(PLAN_COLUMNS, plan_rows(plan))


def comparison_table(comparison: Comparison) -> Table:
    """Returns a comparison as a table, a strategy a row; without the columns that a terminal has no room for."""
    from routebench.dash.tables import COMPARISON_COLUMNS, comparison_rows

    kept = [place for place, name in enumerate(COMPARISON_COLUMNS) if name not in _ROOMY]
    rows = comparison_rows(comparison)
    return table([COMPARISON_COLUMNS[place] for place in kept], ([row[place] for place in kept] for row in rows))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> Table:
    """Returns a plain table; the first column is left-aligned, the others right."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        made.add_column(column, justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made
