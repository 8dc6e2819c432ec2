"""The child process that makes Parquet of journals: `python -m routebench.traces.packing FOLDER --writer NAME`.

Every line on its standard input has it look; its end has it pack all that is left, and end. It packs every journal that
no process writes: those of its own writer, and those that a killed one left.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from routebench.errors import InputError
from routebench.traces.journal import changing, is_open, left
from routebench.traces.parquet import HALF_MADE, give_back, parquet_table, times_of, use_little, write_parquet
from routebench.traces.segments import JOURNAL, PARQUET, Segment, listed, named, standing
from routebench.traces.tables import read_journal

WIDTH = 16
"""Segments of one age that become one: a folder holds some dozens of files, however long it is written to."""
_MOST_BYTES = 128 << 20
_NICENESS = 5
_LATEST_S, _AGAIN_S = 2.0, 0.02
_HOUR_S = 3600.0


class Packing:
    """Makes Parquet of the journals in a folder.

    Args:
        folder: of traces.
        writer: whose segments are put together.
        keep_days: segments whose last row is older are deleted; None keeps all.
    """

    def __init__(self, folder: Path, writer: str, keep_days: float | None = None) -> None:
        self._folder = folder
        self._writer = writer
        self._keep_days = keep_days

    def pack_all(self) -> None:
        """Makes Parquet of every journal that nobody writes, and removes what other files stand for."""
        with changing(self._folder):
            for path in self._folder.glob(f".*{HALF_MADE}"):
                # Nobody else makes files now: who was making this one was killed amid it.
                path.unlink(missing_ok=True)
            segments = listed(self._folder)
            kept = set(standing(segments))
            for one in segments:
                if one not in kept:
                    # Of a process that was killed between making a file and removing what it stands for.
                    self._path(one).unlink(missing_ok=True)
                elif one.kind == JOURNAL:
                    with _telling(self._path(one)):
                        self._pack(one)

    def merge(self, *, of_all_ages: bool = False) -> None:
        """Puts segments of its writer together; at the end, those of all ages."""
        with _telling(self._folder), changing(self._folder):
            while run := mergeable(self._sizes(), of_all_ages=of_all_ages):
                merged = Segment(self._writer, run[0].first, run[-1].last)
                write_parquet(self._path(merged), (parquet_table(self._path(one)) for one in run))
                for one in run:
                    self._path(one).unlink()

    def tidy(self, now: datetime) -> None:
        """Deletes segments that are older than is asked for, and journals that killed processes never began."""
        for path in self._folder.glob(f".*.{JOURNAL}"):
            # One that another gateway begins just now is called otherwise in the next moment.
            with suppress(FileNotFoundError):
                if named(path.name[1:]) and now.timestamp() - path.stat().st_mtime > _HOUR_S:
                    path.unlink()
        if self._keep_days is not None:
            before = now - timedelta(days=self._keep_days)
            with changing(self._folder):
                self._delete(before)

    def _delete(self, before: datetime) -> None:
        for one in standing(listed(self._folder)):
            with _telling(self._path(one)):
                if one.kind == PARQUET and times_of(self._path(one))[1] < before:
                    self._path(one).unlink()

    def wait_for_writer(self) -> None:
        """Waits until a writer that was killed has let go of its journal, which takes the system a moment."""
        until = time.monotonic() + _LATEST_S
        while time.monotonic() < until and any(
            is_open(self._path(one))
            for one in listed(self._folder)
            if one.kind == JOURNAL and one.writer == self._writer
        ):
            time.sleep(_AGAIN_S)

    def _pack(self, journal: Segment) -> None:
        path = self._path(journal)
        with left(path) as data:
            if data is None:
                return
            found = read_journal(data)
            if found.torn:
                _tell(f"{path}: its last line was cut short and is left out")
            if found.unreadable:
                kept = path.with_suffix(".unread")
                kept.write_bytes(b"\n".join(found.unreadable))
                _tell(f"{path}: {len(found.unreadable)} of its lines are no rows; they are kept in {kept}")
            if found.table.num_rows:
                write_parquet(self._path(replace(journal, kind=PARQUET)), [found.table])
            path.unlink()

    def _sizes(self) -> dict[Segment, int]:
        own = [one for one in standing(listed(self._folder)) if one.writer == self._writer and one.kind == PARQUET]
        return {one: self._path(one).stat().st_size for one in own}

    def _path(self, segment: Segment) -> Path:
        return self._folder / segment.name


def mergeable(sizes: Mapping[Segment, int], *, of_all_ages: bool = False) -> list[Segment]:
    """Returns adjacent segments of one writer that should be one file; none where there is nothing to do.

    Args:
        sizes: its segments, and their bytes.
        of_all_ages: as many as there are, else as soon as WIDTH of one age are there: so a row is written anew only
            with every sixteenfold of its file's age.
    """
    run: list[Segment] = []
    total = 0
    for one in sorted(sizes):
        alike = run and (of_all_ages or _age(one) == _age(run[-1]))
        if not alike or total + sizes[one] > _MOST_BYTES:
            if of_all_ages and len(run) > 1:
                return run
            run, total = [], 0
        run.append(one)
        total += sizes[one]
        if not of_all_ages and len(run) == WIDTH:
            return run
    return run if of_all_ages and len(run) > 1 else []


def _age(segment: Segment) -> int:
    age = 0
    while WIDTH ** (age + 1) <= segment.size:
        age += 1
    return age


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Tells what went wrong with a file, and goes on: rows stay where they are, and the next time may do."""
    from pyarrow import ArrowException

    try:
        yield
    except (OSError, ArrowException, InputError) as error:
        _tell(f"{path}: {error}; it stays as it is, and is tried again")


def _tell(sentence: str) -> None:
    print(f"routebench traces: {sentence}", file=sys.stderr, flush=True)  # noqa: T201 - the gateway's own log


def main() -> None:
    """Packs until its standard input ends."""
    parser = argparse.ArgumentParser(prog="routebench.traces.packing", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--writer", required=True)
    parser.add_argument("--keep-days", type=float)
    arguments = parser.parse_args()
    # Serving goes first.
    os.nice(_NICENESS)
    use_little()
    packing = Packing(arguments.folder, arguments.writer, arguments.keep_days)
    packing.pack_all()
    tidied = -math.inf
    for _ in sys.stdin.buffer:
        packing.pack_all()
        packing.merge()
        if time.monotonic() - tidied > _HOUR_S:
            tidied = time.monotonic()
            packing.tidy(datetime.now(UTC))
        give_back()
    packing.wait_for_writer()
    packing.pack_all()
    packing.merge(of_all_ages=True)


if __name__ == "__main__":
    main()
