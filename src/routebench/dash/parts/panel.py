"""What every panel has: a title, a sentence, controls and pictures, the same as numbers, and a way out of errors."""

from __future__ import annotations

import asyncio
import html
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from routebench.dash.parts.chart import ChartView
from routebench.dash.parts.clip import Clip
from routebench.dash.parts.numbers import Numbers
from routebench.dash.parts.page import page
from routebench.dash.parts.quiet import Quiet

_SETTLES_S = 0.8


class Panel:
    """The frame of a panel.

    A panel is displayed once. Its state lives here and not in the page; below the widget stand its numbers as plain
    HTML, which stay when the kernel is gone.

    Args:
        title: of the panel.
        children: its widgets, from top to bottom.
        footer: what the numbers rest on: suite, split, run, prices.
        css: a style sheet of its own.

    Attributes:
        widget: the whole panel.
        selection: what is selected.
        result: what came out; None so far.
    """

    selection: Any = ()
    result: Any = None

    def __init__(
        self, *, title: str, children: Sequence[widgets.Widget], footer: str = "", css: Path | None = None
    ) -> None:
        self.title = title
        self._foot = widgets.HTML()
        self.footer = footer
        self._reading = widgets.HTML()
        self._reading.add_class("rb-reading")
        self._status = widgets.HTML(_status(""))
        self._notice = widgets.HTML()
        self._said = ""
        self._read = ""
        self._still: Any = None
        self._due: asyncio.TimerHandle | None = None
        foot = widgets.HBox([self._foot, Clip(self.code, "Copy code", "the same in Python")])
        foot.add_class("rb-footer")
        style = widgets.HTML(
            f"<style>{_css(Path(__file__).parent / 'panel.css')}{'' if css is None else _css(css)}</style>"
        )
        style.layout.display = "none"
        quiet = Quiet()
        quiet.layout.height = "0"
        heading = widgets.HTML(f"<h3 class='rb-title'>{html.escape(title)}</h3>")
        self.widget = widgets.VBox(
            [style, quiet, heading, self._reading, self._notice, *children, self._status, foot],
            layout=widgets.Layout(width="100%"),
        )
        self.widget.add_class("rb-panel")

    @property
    def reading(self) -> str:
        """The panel in a sentence."""
        return self._read

    @reading.setter
    def reading(self, text: str) -> None:
        self._read = text
        self._reading.value = f"<p>{html.escape(text)}</p>" if text else ""

    @property
    def footer(self) -> str:
        """What the numbers rest on."""
        return self._rests_on

    @footer.setter
    def footer(self, text: str) -> None:
        self._rests_on = text
        self._foot.value = f"<span>{html.escape(text)}</span>"

    @property
    def said(self) -> str:
        """The latest status."""
        return self._said

    def say(self, text: str) -> None:
        """Tells what has just happened, also to those who listen."""
        self._said = text
        self._status.value = _status(text)

    def refuse(self, cause: object, mend: str = "") -> None:
        """Says why something cannot be done, and what helps.

        Args:
            cause: an error of this house, whose sentence may hold the mend after a semicolon; or a sentence.
            mend: what helps.
        """
        text = str(cause)
        if not mend and "; " in text:
            text, mend = text.split("; ", 1)
        help_line = f"<div class='rb-mend'>{html.escape(mend)}</div>" if mend else ""
        self._notice.value = f"<div class='rb-notice' role='alert'><div>{html.escape(text)}</div>{help_line}</div>"

    def clear(self) -> None:
        """Takes the latest refusal away."""
        self._notice.value = ""

    @property
    def refusal(self) -> str:
        """The latest refusal as HTML, an empty string where there is none."""
        return str(self._notice.value)

    def numbers(self) -> Sequence[Numbers]:
        """The figures of the panel as tables."""
        return ()

    def pictures(self) -> Sequence[ChartView]:
        """The pictures of the panel."""
        return ()

    def code(self) -> str:
        """The Python that gives the same."""
        return ""

    def settled(self) -> None:
        """Brings what stays without a kernel up to date, once the panel has been quiet for a moment."""
        if self._still is None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # A thread of a panel has no loop, and what waits on one is not its to cancel.
            self._refresh()
        else:
            if self._due is not None:
                self._due.cancel()
            self._due = loop.call_later(_SETTLES_S, self._refresh)

    def inside(self) -> widgets.Box:
        """Returns the panel with its numbers below it, for a page that holds several panels."""
        still = widgets.HTML(self._still_html())
        self._still = _Place(still)
        return widgets.VBox([self.widget, still], layout=widgets.Layout(width="100%"))

    def save(self, path: str | Path) -> Path:
        """Writes the panel as it is now as a page without scripts, and returns its path."""
        path = Path(path)
        text = page(
            self.title,
            self.reading,
            pictures=[one.svg() for one in self.pictures()],
            tables=[one.html() for one in self.numbers()],
            footer=self.footer,
        )
        path.write_text(text, encoding="utf-8")
        return path

    @staticmethod
    def row(*children: widgets.Widget) -> widgets.Box:
        """Returns widgets side by side, as far as there is room."""
        made = widgets.HBox(list(children))
        made.add_class("rb-controls")
        return made

    @staticmethod
    def columns(*parts: tuple[widgets.Widget, str]) -> widgets.Box:
        """Returns widgets with their widths side by side, one below the other where the page is narrow."""
        boxes = []
        for child, width in parts:
            box = widgets.VBox([child], layout=widgets.Layout(flex=f"1 1 {width}"))
            box.add_class("rb-column")
            boxes.append(box)
        made = widgets.HBox(boxes)
        made.add_class("rb-columns")
        return made

    def _still_html(self) -> str:
        tables = "".join(one.html() for one in self.numbers())
        reading = f"<p>{html.escape(self.reading)}</p>" if self.reading else ""
        return (
            f"<details class='rb-still'><summary>{html.escape(self.title)}: numbers</summary>{reading}{tables}"
            f"<p>{html.escape(self.footer)}</p></details>"
        )

    def _refresh(self) -> None:
        from IPython.display import HTML

        self._due = None
        self._still.update(HTML(self._still_html()))

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        display(self.widget)
        self._still = display(HTML(self._still_html()), display_id=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.reading or self.title}"


class _Place:
    """Takes the numbers of a panel that stands inside another, as the display of a cell does."""

    def __init__(self, widget: widgets.HTML) -> None:
        self._widget = widget

    def update(self, shown: Any) -> None:
        self._widget.value = shown.data


def _status(text: str) -> str:
    return f"<div class='rb-status' role='status' aria-live='polite'>{html.escape(text)}</div>"


@cache
def _css(path: Path) -> str:
    return path.read_text(encoding="utf-8")
