"""The missing answers of a suite: a heat map to click, and the same as a table."""

from __future__ import annotations

import html

import ipywidgets as widgets
import pandas as pd

from routebench.dash.browsing.pictures import described_gaps, gaps
from routebench.dash.browsing.tables import GAP_COLUMNS
from routebench.dash.parts import ChartView, Grid


class GapsView:
    """Missing answers by model and category.

    Args:
        frame: as `Cells.gaps` makes it.
        n_models: how many rows the picture has.

    Attributes:
        frame: as above.
        heat: the picture; what is selected are names of its cells.
        table: the same; what is opened is such a name.
        widget: all of it.
    """

    def __init__(self, frame: pd.DataFrame, n_models: int) -> None:
        self.frame = frame
        told = described_gaps(frame)
        self.heat = ChartView(gaps(n_models), name="cells", description=told, data={"gaps": frame}, select="gaps.name")
        self.table = Grid(GAP_COLUMNS, name="cells", label="answers by model and category", opens=True)
        self.table.show(frame.set_index("name"))
        words = widgets.HTML(f"<p>{html.escape(told)} Click a cell, or open its row, to see the cases.</p>")
        self.widget = widgets.VBox([words, self.heat, widgets.Accordion([self.table], titles=["The same as a table"])])
