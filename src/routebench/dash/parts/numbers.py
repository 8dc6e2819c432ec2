"""Figures as plain tables: what stays when there is no widget, and what stands beside every picture."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Numbers:
    """A table of finished texts.

    Attributes:
        caption: what it tells.
        columns: their titles.
        rows: as many texts each.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def html(self) -> str:
        """The table as HTML, every text escaped."""
        head = "".join(f"<th scope='col'>{html.escape(title)}</th>" for title in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>" for cells in self.rows
        )
        caption = f"<caption>{html.escape(self.caption)}</caption>"
        return f"<table class='rb-numbers'>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
