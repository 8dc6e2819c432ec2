"""What the tuner shows: the picture, where requests go, the figures, the cases that flip, and the versions."""

from __future__ import annotations

import html
from collections.abc import Sequence

import ipywidgets as widgets

from routebench.dash.parts import ChartView, Grid, Numbers
from routebench.dash.tuning.frames import can_be_log, field_frames, hidden, moving_frames
from routebench.dash.tuning.names import Names
from routebench.dash.tuning.pictures import described, scatter
from routebench.dash.tuning.state import Tuning
from routebench.dash.tuning.tables import (
    FIGURE_COLUMNS,
    FLIP_COLUMNS,
    VERSION_COLUMNS,
    figure_frame,
    shares_told,
    version_frame,
)
from routebench.dash.tuning.version import Version
from routebench.tune import Study, Tuned


class Board:
    """The showing part of the tuner.

    Args:
        name: of the suite.

    Attributes:
        chart: the operating points; what is clicked is `selected` there.
        shares: where requests go, and what the picture means.
        figures: where the setting stands.
        flipped: how many cases flip.
        flips: the cases that do.
        versions: the settings that were kept.
    """

    def __init__(self, name: str) -> None:
        self._drawn: Study | None = None
        self._log, self._width = True, 0
        self._names: Names | None = None
        self.chart = ChartView(scatter(log=True), name=f"{name}-tune", description="", select="points.name")
        self.shares, self.flipped = widgets.HTML(), widgets.HTML()
        self.figures = Grid(FIGURE_COLUMNS, name=f"{name}-tuning", label="where the setting stands")
        self.flips = Grid(
            FLIP_COLUMNS, name=f"{name}-flips", label="cases that score otherwise", page_size=50, search=True
        )
        self.versions = Grid(VERSION_COLUMNS, name=f"{name}-versions", label="versions that were kept")

    def show(self, state: Tuning, tuned: Tuned | None, look: str) -> None:
        """Brings picture and figures to what the state says.

        Args:
            state: of the tuner.
            tuned: what the test half said; None while it is sealed.
            look: which look that was, and of which setting.
        """
        self._show_chart(state)
        self.shares.value = (
            f"<div class='rb-told'>Requests go to: {html.escape(shares_told(state.now))}.</div>"
            f"<div class='rb-remark'>{html.escape(_legend(state))}</div>"
        )
        self.figures.show(figure_frame(state, tuned, look))
        told = "" if state.flips is None else f"Flips against the setting before: {state.flips.told} cases."
        self.flipped.value = f"<div class='rb-told'>{html.escape(told)}</div>"

    def _show_chart(self, state: Tuning) -> None:
        log, width = can_be_log(state.study), int(self.chart.width_px)
        still = {}
        # Stakes move no point.
        if self._names is None or (self._drawn, self._log, self._width) != (state.bare, log, width):
            still = field_frames(state.bare)
            self._names = Names(still, log=log, width=width)
        moving = moving_frames(state)
        moving["models"], moving["you"] = self._names.among(moving["you"])
        if log != self._log:
            self.chart.show(scatter(log=log), described(state), {**still, **moving})
        else:
            self.chart.feed(described(state), **{**still, **moving})
        self._drawn, self._log, self._width = state.bare, log, width
        # A click on the very point that was left must count too.
        now = state.now
        self.chart.selected = () if now.place is None else (f"{now.form}#{now.place}",)

    def show_flips(self, state: Tuning) -> None:
        """Lists the cases that flip."""
        if state.before is not None and state.flips is not None:
            ground = state.study.ground
            self.flips.show(state.flips.frame(ground, state.before.replayed, state.now.replayed))

    def show_versions(self, versions: list[Version]) -> None:
        """Lists the settings that were kept."""
        self.versions.show(version_frame(versions))

    @staticmethod
    def numbers(state: Tuning, tuned: Tuned | None, look: str) -> Sequence[Numbers]:
        """Where the setting stands, where requests go, and the versions; the arguments are those of `show`."""
        columns = [column.title for column in FIGURE_COLUMNS]
        figures = figure_frame(state, tuned, look).to_numpy().tolist()
        shares = [(name, f"{share:.1%}") for name, share in state.now.shares.items()]
        tables = [
            Numbers("Where the setting stands; train and test are different rows.", columns, figures),
            Numbers("Share of the training requests.", ("model", "share"), shares),
        ]
        if state.versions:
            kept = version_frame(state.versions).to_numpy().tolist()
            tables.append(Numbers("Versions.", [column.title for column in VERSION_COLUMNS], kept))
        return tables


def _legend(state: Tuning) -> str:
    n = hidden(state.study)
    low = f" Not drawn: {n} that score far below the cheapest mix, or mostly fail." if n else ""
    return (
        "Orange: you, with 95% intervals, and the points of the form in hand that score higher than any that costs no "
        "more; grey: its other points and the other forms; outline: the best that meets what is asked; dotted: what is "
        "asked; dashed: the fixed mix of two models with its 95% ribbon. Click a point to pick it."
        f"{low}"
    )
