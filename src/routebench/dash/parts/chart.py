"""A chart as a widget: draws with no network, follows light and dark pages, and hands back what is selected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import pandas as pd
import traitlets
from ipywidgets import Widget, widget_serialization

from routebench.dash.parts.vega import vega_source

INK, PAPER = "#1b1b1b", "#ffffff"
"""Foreground and background in the specs of charts; a dark page swaps them."""
_FITTED = {"type": "fit-x", "contains": "padding"}


class ChartView(anywidget.AnyWidget):
    """An Altair chart that draws offline and keeps its place while its data changes.

    Args:
        chart: reads its rows from named sources, `alt.NamedData("points")`; encodings carry their types.
        name: what files of its picture are called.
        description: the picture in a sentence, for those who do not see it.
        data: rows by the name of their source.
        select: `points.name`: marks of source `points` are selected by their column `name`, with a click (shift adds)
            or with the chart's interval selection `brush`.

    Attributes:
        selected: what is selected, of the column that `select` names; also fed to the chart's parameter `selected`.
        width_px: width of the picture in the browser, 0 before it was drawn.
    """

    _esm = Path(__file__).parent / "chart.js"

    _vega = traitlets.Instance(Widget).tag(sync=True, **widget_serialization)
    spec = traitlets.Dict().tag(sync=True)
    frames = traitlets.Dict().tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)
    name = traitlets.Unicode("chart").tag(sync=True)
    select = traitlets.Unicode("").tag(sync=True)
    _selected = traitlets.List(traitlets.Unicode()).tag(sync=True)
    selected = traitlets.Tuple()
    width_px = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        chart: Any,
        *,
        name: str,
        description: str,
        data: Mapping[str, pd.DataFrame] | None = None,
        select: str = "",
    ) -> None:
        self.chart = chart
        super().__init__(
            _vega=vega_source(),
            spec=_spec(chart),
            frames={source: rows(frame) for source, frame in (data or {}).items()},
            description=description,
            name=name,
            select=select,
        )
        self.observe(lambda change: self.set_trait("selected", tuple(change["new"])), "_selected")
        self.observe(lambda change: self.set_trait("_selected", list(change["new"])), "selected")

    def feed(self, description: str | None = None, **frames: pd.DataFrame) -> None:
        """Gives named sources other rows; axes follow by themselves.

        Args:
            description: of the picture as it is now; unchanged when left out.
            frames: rows by the name of their source; sources that are not named keep theirs.
        """
        with self.hold_sync():
            self.frames = {**self.frames, **{source: rows(frame) for source, frame in frames.items()}}
            if description is not None:
                self.description = description

    def show(self, chart: Any, description: str, data: Mapping[str, pd.DataFrame] | None = None) -> None:
        """Draws another chart in the same place.

        Args:
            chart: as at the beginning.
            description: of it.
            data: rows of all its sources; those that are there when left out.
        """
        self.chart = chart
        with self.hold_sync():
            self.spec = _spec(chart)
            self.description = description
            if data is not None:
                self.frames = {source: rows(frame) for source, frame in data.items()}

    def svg(self) -> str:
        """Returns the picture as SVG text in the colours of the page that it stands in, drawn here and now."""
        return still(self.spec, self.frames)


_STILL_WIDTH = 880
_STILL_GRID = "#8a8a8a"


def still(spec: Mapping[str, Any], frames: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Returns a spec as SVG text without a background, its ink that of the text around it; drawn here and now.

    Args:
        spec: in Vega-Lite.
        frames: rows by the name of their source.
    """
    import vl_convert

    config = spec.get("config", {})
    ink = {"labelColor": INK, "titleColor": INK}
    quiet = {"gridColor": _STILL_GRID, "gridOpacity": 0.3, "domainColor": _STILL_GRID, "tickColor": _STILL_GRID}
    painted = {
        **config,
        "background": "transparent",
        "axis": {**config.get("axis", {}), **ink, **quiet},
        "legend": {**config.get("legend", {}), **ink},
        "title": {**config.get("title", {}), "color": INK, "subtitleColor": INK},
        "text": {"color": INK, **config.get("text", {})},
    }
    drawn = vl_convert.vegalite_to_svg(
        {**spec, "width": _STILL_WIDTH, "autosize": _FITTED, "datasets": frames, "config": painted}
    )
    return str(drawn).replace(INK, "currentColor")


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns a frame as the rows that a chart reads; what is unknown is None."""
    columns = {str(name): _values(frame[name]) for name in frame}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _values(column: pd.Series[Any]) -> Sequence[Any]:
    values = column.to_numpy()
    if values.dtype.kind == "f":
        # JSON knows neither NaN nor infinity.
        return [value if known else None for value, known in zip(values.tolist(), np.isfinite(values), strict=True)]
    if values.dtype.kind == "O":
        return [None if value is None or value is pd.NA or value != value else value for value in values.tolist()]  # noqa: PLR0124
    listed: list[Any] = values.tolist()
    return listed


def _spec(chart: Any) -> dict[str, Any]:
    spec: dict[str, Any] = chart.to_dict()
    # The place it is shown in says how wide it is.
    return {**spec, "width": "container", "autosize": _FITTED}
