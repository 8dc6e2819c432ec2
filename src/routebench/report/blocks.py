"""What a report is made of: sections of plain blocks, which every format draws in its own way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol


class Block(Protocol):
    """One piece of a section; a format draws it by its `shape`."""

    @property
    def shape(self) -> str:
        """Which kind of piece it is."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph.

    Attributes:
        tone: `finding` for what the page is about, `grave` for what must not be missed, `soft` for a remark.
    """

    text: str
    tone: Literal["plain", "finding", "grave", "soft"] = "plain"
    shape: str = "text"


@dataclass(frozen=True, slots=True)
class Points:
    """Sentences in a list; those whose second part is true must not be missed."""

    items: Sequence[tuple[str, bool]]
    shape: str = "points"


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture and the sentence that stands for it.

    Attributes:
        svg: drawn already.
        label: what a screen reader says; the numbers stand in a table beside it.
    """

    svg: str
    label: str
    shape: str = "figure"


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; the first cell of a row is its head.

    Attributes:
        marked: places of rows that the page is about.
        faint: places of rows that are too small to decide anything.
        folded: a title, where the table is folded away until somebody asks.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    marked: frozenset[int] = frozenset()
    faint: frozenset[int] = frozenset()
    folded: str | None = None
    shape: str = "grid"


@dataclass(frozen=True, slots=True)
class Example:
    """One case: what was asked, and what was answered.

    Attributes:
        prompt: None where the page holds no text.
        answers: who answered, how it was scored, and the answer's beginning.
    """

    name: str
    category: str | None
    sentence: str
    prompt: str | None = None
    answers: Sequence[tuple[str, str]] = ()
    shape: str = "example"


@dataclass(frozen=True, slots=True)
class Source:
    """A text that is shown as it is, such as a rule set."""

    text: str
    shape: str = "source"


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and what stands for them."""

    pairs: Mapping[str, str]
    shape: str = "facts"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: Sequence[Block] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A whole report.

    Attributes:
        opening: stands before the first heading.
    """

    title: str
    subtitle: str
    demo: bool
    opening: Sequence[Block]
    sections: Sequence[Section] = field(default_factory=tuple)
