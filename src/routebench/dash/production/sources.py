"""Where traces come from: a folder that a gateway writes to, or a frame."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from routebench.dash.production.log import READ
from routebench.errors import InputError
from routebench.traces import TraceFolder, read_traces

OVERLAP = timedelta(minutes=10)
"""A trace is written when its request ends and counts from when it began: so far back new ones are looked for."""
_AROUND = timedelta(seconds=1)


class Source(Protocol):
    """Gives traces, each once."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def grows(self) -> bool:
        """Whether more may come."""
        ...

    def fresh(self) -> pd.DataFrame:
        """Returns what was not given before, with the columns of `READ` that are known."""
        ...

    def whole(self, trace_id: str, at_s: float) -> Mapping[str, Any]:
        """Returns one trace with all that is kept of it.

        Raises:
            InputError: it is not there.
        """
        ...


class FrameSource:
    """Traces in a frame, as `read_traces` returns them."""

    def __init__(self, frame: pd.DataFrame, name: str = "a frame of traces") -> None:
        self.name = name
        self.grows = False
        self._frame = frame
        self._given = False

    def fresh(self) -> pd.DataFrame:
        """Returns all of it the first time."""
        if self._given:
            return self._frame.iloc[:0]
        self._given = True
        return _narrowed(self._frame)

    def whole(self, trace_id: str, at_s: float) -> Mapping[str, Any]:
        """Returns one row."""
        del at_s
        return one_of(self._frame, trace_id)


class FolderSource:
    """The folder that a gateway writes to, now or once.

    Args:
        folder: which need not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self.grows = True
        self._folder = folder
        self._reader = TraceFolder(folder)
        self._latest: datetime | None = None

    def fresh(self) -> pd.DataFrame:
        """Returns what has come since, and again what came shortly before.

        Raises:
            InputError: the folder, or a file in it, cannot be read.
        """
        if not self._folder.is_dir():
            return pd.DataFrame({name: [] for name in READ})
        since = None if self._latest is None else self._latest - OVERLAP
        frame = self._reader.read(since=since, columns=READ)
        if len(frame):
            latest = frame["at"].max().to_pydatetime()
            self._latest = latest if self._latest is None else max(latest, self._latest)
        return frame

    def whole(self, trace_id: str, at_s: float) -> Mapping[str, Any]:
        """Returns one row, read anew."""
        at = datetime.fromtimestamp(at_s, UTC)
        return one_of(read_traces(self._folder, since=at - _AROUND, until=at + _AROUND), trace_id)


def open_source(what: str | Path | pd.DataFrame) -> Source:
    """Returns where the traces of a folder, of a file or of a frame come from.

    Raises:
        InputError: the file holds no traces.
    """
    if isinstance(what, pd.DataFrame):
        return FrameSource(what)
    path = Path(what)
    return FrameSource(read_traces(path), str(path)) if path.is_file() else FolderSource(path)


def one_of(frame: pd.DataFrame, trace_id: str) -> Mapping[str, Any]:
    """Returns one trace of a frame.

    Raises:
        InputError: it is not there.
    """
    found = frame[frame["trace_id"] == trace_id]
    if found.empty:
        raise InputError(f"trace {trace_id}: it is no longer there; traces are deleted after the days that are kept")
    return {str(name): value for name, value in found.iloc[0].items()}


def _narrowed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[[name for name in READ if name in frame]]
