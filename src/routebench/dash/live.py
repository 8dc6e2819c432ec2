"""A run as a notebook panel: progress, spend, problems, pause and stop; the kernel stays free."""

from __future__ import annotations

import html
import threading
import time
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from routebench.dash.format import PROGRESS_COLUMNS, lane_line, progress_cells
from routebench.run import Progress, Run

_REFRESH_S = 0.5
_PROBLEMS_SHOWN = 5


class Live:
    """The panel of one run. Display it once; it follows the run until it ends.

    Attributes:
        run: the run.
        result: its last progress once it has ended, else None.
        selection: the names of its models.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.result: Progress | None = None
        self.selection = tuple(model.name for model in run.plan.models)
        self._bar = widgets.IntProgress(min=0, max=1, layout=widgets.Layout(width="100%"))
        self._status = widgets.HTML()
        self._models = widgets.HTML()
        self._pause = widgets.Button(description="Pause", tooltip="finish the calls in flight, send nothing new")
        self._stop = widgets.Button(description="Stop", tooltip="end the run; the next run sends what is left")
        self._pause.on_click(self._toggle)
        self._stop.on_click(lambda _button: run.stop())
        self.widget = widgets.VBox(
            [self._status, self._bar, self._models, widgets.HBox([self._pause, self._stop])],
            layout=widgets.Layout(min_width="640px"),
        )
        self._show(run.progress())
        # A thread and not a task: the kernel may be busy with the next cell while the run goes on.
        threading.Thread(target=self._follow, name="routebench-live", daemon=True).start()

    def save(self, path: str | Path) -> Path:
        """Writes the panel's present state as a small HTML page and returns its path."""
        path = Path(path)
        path.write_text(f"<!doctype html><meta charset='utf-8'>{_page(self.run.progress())}", encoding="utf-8")
        return path

    def _follow(self) -> None:
        while self.run.running:
            self._show(self.run.progress())
            time.sleep(_REFRESH_S)
        self.result = self.run.progress()
        self._show(self.result)

    def _toggle(self, _button: object) -> None:
        if self.run.progress().status == "paused":
            self.run.resume()
        else:
            self.run.pause()
        self._show(self.run.progress())

    def _show(self, progress: Progress) -> None:
        self._bar.max = max(progress.calls, 1)
        self._bar.value = progress.done if progress.calls else 1
        self._status.value = _status(progress)
        self._models.value = _models(progress)
        self._pause.description = "Resume" if progress.status == "paused" else "Pause"
        self._pause.disabled = self._stop.disabled = not self.run.running

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = self.widget._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        # What remains when the kernel is gone: text, and a table without a widget.
        return {**(data or {}), "text/plain": str(self.run.progress()), "text/html": _page(self.run.progress())}


def live(run: Run) -> Live:
    """Returns the panel of a run; the last expression of a cell displays it."""
    return Live(run)


def _page(progress: Progress) -> str:
    return f"<section><h3>Run {html.escape(progress.run_id)}</h3>{_status(progress)}{_models(progress)}</section>"


def _status(progress: Progress) -> str:
    if not progress.calls:
        return f"<p role='status'>Nothing to run: {progress.known} cells are known. Spend $0.</p>"
    note = "" if progress.status == "done" else " <em>Numbers of a run that goes on are not for decisions.</em>"
    return f"<p role='status' aria-live='polite'>{html.escape(str(progress))}.{note}</p>"


def _models(progress: Progress) -> str:
    head = "".join(f"<th>{title}</th>" for title in PROGRESS_COLUMNS)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in progress_cells(model)) + "</tr>"
        for model in progress.models
    )
    lanes = "".join(f"<div>{html.escape(lane_line(lane))}</div>" for lane in progress.lanes)
    paused = "".join(
        f"<div>{html.escape(name)} is paused: {html.escape(reason[:300])}</div>"
        for name, reason in progress.paused.items()
    )
    problems = "".join(f"<li>{html.escape(text[:300])}</li>" for text in progress.problems[-_PROBLEMS_SHOWN:])
    listed = f"<details><summary>Latest problems</summary><ul>{problems}</ul></details>" if problems else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{lanes}{paused}{listed}"
