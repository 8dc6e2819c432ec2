"""The files of a folder of traces: what they are called, and which of them together hold every row once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

JOURNAL, PARQUET = "ndjson", "parquet"
_NAME = re.compile(
    r"(?P<writer>\d{8}T\d{6}-[0-9a-f]+)\.(?P<first>\d{6,})(?:-(?P<last>\d{6,}))?\.(?P<kind>ndjson|parquet)"
)


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """A file of rows: a journal that is being written or was left, or Parquet.

    Its name says all: `WRITER.000007.ndjson` becomes `WRITER.000007.parquet`, and some of those
    `WRITER.000001-000032.parquet`. What is written anew is there before the old file goes, so one that covers another's
    numbers stands for it.

    Attributes:
        writer: when the process began to write, and some digits of its own; sorts by time.
        first: number of the first journal in it.
        last: of the last one.
        kind: `ndjson` or `parquet`.
    """

    writer: str
    first: int
    last: int
    kind: str = PARQUET

    @property
    def name(self) -> str:
        """The file's name."""
        numbers = f"{self.first:06}" if self.first == self.last else f"{self.first:06}-{self.last:06}"
        return f"{self.writer}.{numbers}.{self.kind}"

    @property
    def size(self) -> int:
        """Journals in it."""
        return self.last - self.first + 1

    def covers(self, other: Segment) -> bool:
        """Whether the other one's rows are in here too."""
        if self == other or self.kind == JOURNAL or self.writer != other.writer:
            return False
        return self.first <= other.first and other.last <= self.last


def named(name: str) -> Segment | None:
    """Returns the segment of a file's name, None where it is another file."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    first = int(found["first"])
    return Segment(found["writer"], first, int(found["last"] or first), found["kind"])


def listed(folder: Path) -> list[Segment]:
    """Returns every segment of a folder, sorted; some may stand for others.

    Raises:
        OSError: the folder cannot be read.
    """
    # Twice: a listing may pass the place of a new file before it is there, and that of the old one after it has gone.
    names = {path.name for _ in range(2) for path in folder.iterdir()}
    return sorted(segment for segment in map(named, names) if segment is not None)


def standing(segments: Iterable[Segment]) -> list[Segment]:
    """Returns the segments that hold every row once, sorted: those that no other one stands for."""
    kept: list[Segment] = []
    # The widest first of all that begin at a number, and Parquet before the journal of the same number.
    for one in sorted(segments, key=lambda one: (one.writer, one.first, -one.last, one.kind != PARQUET)):
        if not (kept and (kept[-1].covers(one) or _same_rows(kept[-1], one))):
            kept.append(one)
    return kept


def _same_rows(kept: Segment, other: Segment) -> bool:
    return (kept.writer, kept.first, kept.last) == (other.writer, other.first, other.last)
