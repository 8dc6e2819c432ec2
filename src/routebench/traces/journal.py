"""The file that rows are written to first: after a kill all that was written is there, and read like anything else."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from routebench.traces.segments import JOURNAL, Segment

_CHANGING = ".changing"


class OpenJournal:
    """A journal that is being written; as long as it is, no other process takes it for one that was left.

    Args:
        folder: where it is.
        segment: what it is called.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, folder: Path, segment: Segment) -> None:
        self.path = folder / segment.name
        self.n_rows = 0
        self.n_bytes = 0
        hidden = folder / f".{segment.name}"
        self._file = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
        try:
            _lock(self._file)
            # Under its name only once it is locked: an unlocked journal is a left one.
            hidden.rename(self.path)
        except OSError:
            os.close(self._file)
            raise

    @classmethod
    def begun(cls, folder: Path, writer: str, number: int) -> Self:
        """Returns the next journal of a writer; its folder is made where it is missing, for this user alone.

        Raises:
            OSError: it cannot be made.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(folder, Segment(writer, number, number, JOURNAL))

    @property
    def is_there(self) -> bool:
        """Whether anybody can still find the file."""
        return os.fstat(self._file).st_nlink > 0

    def write(self, lines: bytes, n_rows: int) -> None:
        """Appends whole lines: all of them, or none.

        Raises:
            OSError: there is no room, or the disk fails.
        """
        left = memoryview(lines)
        try:
            while left:
                # A disk that is nearly full takes a part, and only then says no.
                left = left[os.write(self._file, left) :]
        except OSError:
            os.ftruncate(self._file, self.n_bytes)
            raise
        self.n_bytes += len(lines)
        self.n_rows += n_rows

    def close(self) -> None:
        """Leaves the file to whoever makes Parquet of it; an empty one goes."""
        if not self.n_bytes:
            self.path.unlink(missing_ok=True)
        os.close(self._file)


@contextmanager
def left(path: Path) -> Iterator[bytes | None]:
    """Holds a journal that nobody writes, and yields what is in it; None where somebody has it, or it has gone."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        yield None
        return
    try:
        try:
            _lock(file)
        except BlockingIOError:
            yield None
            return
        # Another process may have had it since it was opened.
        yield path.read_bytes() if _is(path, file) else None
    finally:
        os.close(file)


def is_open(path: Path) -> bool:
    """Whether a process writes a journal."""
    with left(path) as data:
        return data is None and path.exists()


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Waits until no other process changes the files of a folder that are whole, and holds them meanwhile."""
    import fcntl

    file = os.open(folder / _CHANGING, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _is(path: Path, file: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(file))
    return False


def _lock(file: int) -> None:
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
