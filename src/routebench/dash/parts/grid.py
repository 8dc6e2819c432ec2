"""A table as a widget: sorted, searched, paged, ticked and opened, by mouse and by keys."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import anywidget
import ipywidgets as widgets
import pandas as pd
import traitlets

from routebench.dash.parts.clip import Clip
from routebench.dash.parts.numbers import Numbers

UNKNOWN = "n/a"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_CELL_CHARACTERS = 300
"""Longer texts are cut in the table; whoever opens the row sees all of them."""
_ORDERING = 40
"""Characters of a text in which numbers count as such when rows are sorted: names have them there, prompts anywhere."""
_NUMBER = re.compile(r"(\d[\d,]*(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: in the frame.
        title: at its head.
        align: numbers stand at the right.
        show: makes the text of a value that is known; `str` when left out.
        help: what it tells, in a sentence.
    """

    name: str
    title: str
    align: Literal["left", "right"] = "left"
    show: Callable[[Any], str] = str
    help: str = ""


class _Page(anywidget.AnyWidget):
    """What the browser has of a table: the page that is shown."""

    _esm = Path(__file__).parent / "grid.js"

    label = traitlets.Unicode().tag(sync=True)
    columns: traitlets.List[Any] = traitlets.List().tag(sync=True)
    rows: traitlets.List[Any] = traitlets.List().tag(sync=True)
    ticks = traitlets.Bool().tag(sync=True)
    opens = traitlets.Bool().tag(sync=True)
    search = traitlets.Bool().tag(sync=True)
    wanted = traitlets.Unicode("").tag(sync=True)
    sort = traitlets.List(["", False]).tag(sync=True)
    page = traitlets.Int(0).tag(sync=True)
    pages = traitlets.Int(1).tag(sync=True)
    told = traitlets.Unicode("").tag(sync=True)
    ticked = traitlets.List(traitlets.Unicode()).tag(sync=True)
    opened = traitlets.Unicode("").tag(sync=True)


class Grid(widgets.VBox):
    """A table of which only one page is in the browser, so that its length does not matter.

    Args:
        columns: from left to right.
        name: what files of it are called.
        label: what it holds, for those who do not see it.
        page_size: rows at a time.
        ticks: whether rows can be ticked.
        opens: whether rows can be opened.
        search: whether rows can be searched.

    Attributes:
        ticked: keys of the ticked rows.
        opened: key of the open row, an empty string for none.
        frame: all rows, their keys as index.
    """

    ticked = traitlets.Tuple()
    opened = traitlets.Unicode("")

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        name: str,
        label: str,
        page_size: int = 200,
        ticks: bool = False,
        opens: bool = False,
        search: bool = False,
    ) -> None:
        self._columns = tuple(columns)
        # Rows may come on a thread of their own while a person sorts them.
        self._turning = threading.RLock()
        self._page_size = page_size
        self.frame = pd.DataFrame({column.name: [] for column in columns})
        self._found = self.frame
        self._page = _Page(
            label=label,
            columns=_heads(columns),
            ticks=ticks,
            opens=opens,
            search=search,
        )
        self._copy = Clip(self.csv, "Copy as CSV", "all rows, also those of other pages")
        self._save = Clip(self.csv, "Save as CSV", "all rows, also those of other pages", file=f"{name}.csv")
        self._page.observe(self._turn, ["page", "sort", "wanted"])
        tools = widgets.HBox([self._copy, self._save])
        tools.add_class("rb-grid-tools")
        super().__init__([self._page, tools])
        self._page.observe(lambda change: self.set_trait("ticked", tuple(change["new"])), "ticked")
        self._page.observe(lambda change: self.set_trait("opened", change["new"]), "opened")
        self.observe(lambda change: setattr(self._page, "ticked", list(change["new"])), "ticked")
        self.observe(lambda change: setattr(self._page, "opened", change["new"]), "opened")

    def show(self, frame: pd.DataFrame, columns: Sequence[Column] | None = None) -> None:
        """Shows other rows, from the first page; what was ticked and is still there stays ticked.

        Args:
            frame: has the columns by name, and unique keys as its index.
            columns: other columns; those that are there when left out.
        """
        shown = frame.set_axis(frame.index.map(str))
        there = set(shown.index)
        with self._turning, self._page.hold_sync():
            self.frame = shown
            if columns is not None:
                self._columns = tuple(columns)
                self._page.columns = _heads(columns)
                if self._page.sort[0] not in {column.name for column in columns}:
                    self._page.sort = ["", False]
            self._turn({"name": "wanted"})
        # Not while the rows are held: who is told of it may wait for somebody who waits for them.
        self.ticked = tuple(key for key in self.ticked if key in there)
        if self.opened not in there:
            self.opened = ""

    def csv(self) -> str:
        """Returns all rows that are found, unformatted, in the order that is shown.

        A text that a spreadsheet would take for a formula gets an apostrophe before it: prompts come from anybody.
        """
        names = [column.name for column in self._columns]
        safe = self._found[names].map(_plain).set_axis(self._found.index.map(_plain))
        return str(safe.to_csv(index_label="key"))

    def _turn(self, change: Any) -> None:
        """Shows the page that is asked for, in the order that is asked for."""
        with self._turning:
            if change["name"] != "page":
                self._found = self._sorted(self._searched(self.frame))
            pages = max(1, -(-len(self._found) // self._page_size))
            with self._page.hold_sync():
                self._page.pages = pages
                if change["name"] == "wanted":
                    self._page.page = 0
                self._page.page = min(max(self._page.page, 0), pages - 1)
                first = self._page.page * self._page_size
                self._page.rows = self._texts(self._found.iloc[first : first + self._page_size])
                self._page.told = self._told(first)

    def _searched(self, frame: pd.DataFrame) -> pd.DataFrame:
        wanted = self._page.wanted.strip().lower()
        if not wanted:
            return frame
        own = frame[[column.name for column in self._columns]]
        # What is unknown holds no text: a search for "none" or "nan" must not find it.
        texts = own.astype(str).where(own.notna(), "")
        hits = texts.apply(lambda column: column.str.lower().str.contains(wanted, regex=False)).any(axis=1)
        found: pd.DataFrame = frame.loc[hits]
        return found

    def _sorted(self, frame: pd.DataFrame) -> pd.DataFrame:
        name, descending = str(self._page.sort[0]), bool(self._page.sort[1])
        if not name:
            return frame
        return frame.sort_values(name, ascending=not descending, kind="stable", na_position="last", key=_ranks)

    def _texts(self, frame: pd.DataFrame) -> list[list[str]]:
        shown = [[_text(column, value) for value in frame[column.name]] for column in self._columns]
        return [[key, *cells] for key, *cells in zip(frame.index, *shown, strict=True)]

    def _told(self, first: int) -> str:
        n, of = len(self._found), len(self.frame)
        if not n:
            return "no rows" if not of else f"none of {of:,} rows has that; clear the search"
        last = min(first + self._page_size, n)
        unit = "row" if of == 1 else "rows"
        whole = f"{n:,} {unit}" if n == of else f"{n:,} of {of:,} {unit}"
        return whole if n <= self._page_size else f"{first + 1:,} to {last:,} of {whole}"


def numbers_of(caption: str, columns: Sequence[Column], frame: pd.DataFrame, *, most: int | None = None) -> Numbers:
    """Returns the rows of a table as its Grid shows them, for where there is no widget.

    Args:
        caption: what it tells.
        columns: as of the table.
        frame: has them by name.
        most: rows; where there are more, the caption says so. All of them when left out.
    """
    head = frame if most is None else frame.head(most)
    told = caption if len(head) == len(frame) else f"{caption}, the first {most} of {len(frame):,}"
    shown = [[_text(column, value) for value in head[column.name].tolist()] for column in columns]
    return Numbers(told, [column.title for column in columns], list(zip(*shown, strict=True)))


def _heads(columns: Sequence[Column]) -> list[dict[str, str]]:
    return [{"name": one.name, "title": one.title, "align": one.align, "help": one.help} for one in columns]


def _ranks(column: pd.Series[Any]) -> pd.Series[Any]:
    """What a column is sorted by: numbers inside of texts count as numbers, so that case 9 comes before case 10."""
    if pd.api.types.infer_dtype(column, skipna=True) != "string":
        return column
    texts = sorted(set(column.dropna()), key=lambda text: (_parts(text[:_ORDERING]), text))
    return column.map({text: place for place, text in enumerate(texts)}).astype(float)


@lru_cache(maxsize=1 << 15)
def _parts(text: str) -> tuple[str | float, ...]:
    parts = _NUMBER.split(text.casefold())
    # Texts and numbers take turns, beginning with a text.
    return tuple(float(part.replace(",", "")) if place % 2 else part for place, part in enumerate(parts))


def _plain(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _text(column: Column, value: Any) -> str:
    unknown = value is None or value is pd.NA or (isinstance(value, float) and value != value)  # noqa: PLR0124
    return UNKNOWN if unknown else column.show(value)[:_CELL_CHARACTERS]
