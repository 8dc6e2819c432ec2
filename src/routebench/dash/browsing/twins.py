"""The near-duplicates of a suite: what they spoil, and their groups as a table to open."""

from __future__ import annotations

import html

import ipywidgets as widgets

from routebench.dash.browsing.dangers import dangers
from routebench.dash.browsing.state import Browse
from routebench.dash.browsing.tables import DUPLICATE_COLUMNS, duplicate_frame
from routebench.dash.parts import Grid


class TwinsView:
    """Groups of cases that ask nearly the same.

    Attributes:
        warnings: what the groups do to a measurement; stands above everything else.
        told: how many there are.
        table: a group a row; what is opened is its number, from 1 on.
        widget: `told` and `table`.
    """

    def __init__(self) -> None:
        self.warnings = widgets.HTML()
        self.told = widgets.HTML("<p>Looking for cases that ask nearly the same …</p>")
        self.table = Grid(DUPLICATE_COLUMNS, name="duplicates", label="near-duplicates", opens=True, search=True)
        self.widget = widgets.VBox([self.told, self.table])

    def show(self, browse: Browse) -> None:
        """Shows the groups that a suite was found to have."""
        found = browse.duplicates or ()
        n_cases = sum(len(one.case_ids) for one in found)
        self.told.value = (
            f"<p>{len(found):,} group{'' if len(found) == 1 else 's'}, {n_cases:,} cases in all. "
            "Open one to see its cases.</p>"
            if found
            else "<p>No two cases ask nearly the same.</p>"
        )
        self.table.show(duplicate_frame(browse))
        self.warnings.value = "".join(
            f"<div class='rb-notice{' rb-leak' if one.is_leak else ''}'{' role=alert' if one.is_leak else ''}>"
            f"<div>{html.escape(one.what)}</div><div class='rb-mend'>{html.escape(one.mend)}</div></div>"
            for one in dangers(found)
        )
