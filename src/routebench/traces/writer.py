"""Traces put away in the background of a gateway, whose event loop never waits for a disk.

A thread writes rows to a journal a few times a second; a child process makes Parquet of journals that are full. The
gateway itself never loads what reads and writes Parquet, which alone is as large as all the rest of it.
"""

from __future__ import annotations

import importlib.util
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Self

from routebench.errors import MissingDependencyError, RoutebenchError
from routebench.traces.journal import OpenJournal
from routebench.traces.packer import Packer
from routebench.traces.preparing import Prepare, prepared
from routebench.traces.row import TEXTS, Trace
from routebench.traces.segments import JOURNAL, listed

_LOG = logging.getLogger("routebench.traces")
_SLICE, _SLICES = 8, 250
"""Rows that are made lines at a stretch, some 0.1 ms: for so long the event loop may have to wait for its turn. Of very
many that wait there are longer stretches instead of more of them."""
_PAUSE_S = 0.0005
_SEGMENT_BYTES = 4 << 20
_BATCH_BYTES = 1 << 18
_MOST_BYTES = 64 << 20
"""Of lines that wait while the disk takes none."""
_CLOSE_S = 60.0
_texts_of = attrgetter("error", *TEXTS)
_NO_TEXTS = (None,) * (1 + len(TEXTS))


class TraceWriter:
    """Writes rows into a folder.

    After a kill, all rows are there that were put more than `flush_s` before: what is lost is the rest. A power cut
    may take what the system had not written yet, some seconds of rows.

    Args:
        folder: made where it is missing; several gateways may write into one.
        segment_s: how long a journal is written before it becomes Parquet.
        segment_rows: rows after which it does so earlier.
        flush_s: how long a row waits in memory.
        max_waiting: rows that may wait while the disk takes none, 64 MB of them at the most; those beyond are counted
            as lost.
        keep_days: segments whose last row is older are deleted; None keeps all.
        prepare: what becomes of a row that holds texts or an error before it is written, on the writer's thread, such
            as taking personal data out of them. Where it fails, the row is written without texts.
        now: the clock, in seconds since 1970.
    """

    def __init__(
        self,
        folder: Path,
        *,
        segment_s: float = 5.0,
        segment_rows: int = 20_000,
        flush_s: float = 0.2,
        max_waiting: int = 50_000,
        keep_days: float | None = None,
        prepare: Prepare | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.folder = Path(folder)
        began = datetime.fromtimestamp(now(), UTC)
        self.name = f"{began:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        self._segment_s = segment_s
        self._segment_rows = segment_rows
        self._flush_s = flush_s
        self._max_waiting = max_waiting
        self._packer = Packer(self.folder, self.name, keep_days)
        self._prepare = prepare
        self._line_of: Callable[[Trace], bytes] = _not_started
        self._waiting: deque[Trace | bytes] = deque()
        self._lines: list[bytes] = []
        self._n_bytes = 0
        self._journal: OpenJournal | None = None
        self._number = 0
        self._ends_at = 0.0
        self._n_written = 0
        self._n_overflown = 0
        self._n_lost = 0
        self._is_failing = False
        self._is_open = False
        self._close = threading.Event()
        self._thread = threading.Thread(target=self._run, name="routebench-traces", daemon=True)

    def start(self) -> None:
        """Begins to write.

        Raises:
            MissingDependencyError: a package of the gateway is not installed.
            RoutebenchError: the folder cannot be written.
        """
        for name in ("orjson", "pyarrow"):
            if importlib.util.find_spec(name) is None:
                raise MissingDependencyError(f"traces: {name} is not installed; run: pip install 'routebench[gateway]'")
        from routebench.traces.lines import line_of

        self._line_of = line_of
        try:
            self._begin().close()
        except OSError as error:
            raise RoutebenchError(
                f"traces {self.folder}: cannot be written ({error.strerror or error}); give another folder, or make "
                "this one writable"
            ) from None
        if any(one.kind == JOURNAL for one in listed(self.folder)):
            # A gateway that was killed left its last rows, or another one runs: the packer tells them apart.
            self._packer.wake()
        self._is_open = True
        self._thread.start()

    def put(self, trace: Trace) -> None:
        """Takes a row; never waits. A row for which there is no room is counted as lost."""
        if not self._is_open or self._is_full():
            self._n_overflown += 1
        elif _texts_of(trace) != _NO_TEXTS:
            self._waiting.append(trace)
        else:
            # There is nothing to take out of it. Made a line here it costs some microseconds; on the thread it would
            # cost as much, and besides that the handing over of the interpreter's lock, which costs more.
            self._waiting.append(self._line(trace))

    @property
    def n_written(self) -> int:
        """Rows on disk."""
        return self._n_written

    @property
    def n_waiting(self) -> int:
        """Rows that are not on disk yet."""
        return len(self._waiting) + len(self._lines)

    @property
    def n_lost(self) -> int:
        """Rows that never got there: no room, no line of JSON, or a folder that somebody removed."""
        return self._n_lost + self._n_overflown

    def close(self) -> None:
        """Writes what waits, and waits until all of it is Parquet; a second call does nothing."""
        if not self._is_open:
            return
        self._is_open = False
        self._close.set()
        self._thread.join()
        if not self._packer.end(_CLOSE_S):
            _LOG.warning("traces %s: some journals may be left; the next gateway there packs them", self.folder)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        # Twice as often: a row that has just missed a turn waits for all of the next.
        while not self._close.wait(self._flush_s / 2):
            self._write_waiting()
            if self._journal is not None and time.monotonic() >= self._ends_at:
                self._end_journal()
        self._write_waiting()
        self._end_journal()
        if self.n_waiting:
            _LOG.error("traces %s: %d rows could not be written, and are lost", self.folder, self.n_waiting)
            self._n_lost += self.n_waiting
            self._waiting.clear()
            self._lines.clear()

    def _write_waiting(self) -> None:
        takes = self._write()
        stretch = max(_SLICE, len(self._waiting) // _SLICES)
        # Only what waits now: a turn ends however fast rows come. While the disk refuses them they wait as lines: a row
        # that is none yet holds all of its request.
        for left in range(len(self._waiting), 0, -1):
            self._add(self._waiting.popleft())
            if takes and (self._n_bytes >= _BATCH_BYTES or len(self._lines) >= self._segment_rows):
                takes = self._write()
            elif left % stretch == 0 and not self._close.is_set():
                # The event loop's turn.
                time.sleep(_PAUSE_S)
        if takes:
            self._write()

    def _add(self, waiting: Trace | bytes) -> None:
        line = self._line(prepared(waiting, self._prepare)) if isinstance(waiting, Trace) else waiting
        if line:
            self._lines.append(line)
            self._n_bytes += len(line)
        else:
            self._n_lost += 1

    def _line(self, trace: Trace) -> bytes:
        """The line of a row, empty where it can have none."""
        try:
            return self._line_of(trace)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            _LOG.error("traces %s: row %s cannot be written: %s", self.folder, trace.trace_id, error)
            return b""

    def _is_full(self) -> bool:
        return len(self._waiting) + len(self._lines) >= self._max_waiting or self._n_bytes >= _MOST_BYTES

    def _write(self) -> bool:
        """Writes the lines that are ready, batch by batch; False where the disk refuses, and they wait."""
        while self._lines:
            batch = self._batch()
            data = b"".join(batch)
            try:
                journal = self._there()
                journal.write(data, len(batch))
            except OSError as error:
                if not self._is_failing:
                    _LOG.error(
                        "traces %s: cannot be written (%s); up to %d rows wait in memory until they can",
                        self.folder,
                        error.strerror or error,
                        self._max_waiting,
                    )
                self._is_failing = True
                return False
            if self._is_failing:
                _LOG.warning("traces %s: can be written again", self.folder)
            self._is_failing = False
            self._n_written += len(batch)
            self._n_bytes -= len(data)
            del self._lines[: len(batch)]
            if journal.n_rows >= self._segment_rows or journal.n_bytes >= _SEGMENT_BYTES:
                self._end_journal()
        return True

    def _batch(self) -> list[bytes]:
        """The lines that are written at once: joining all that have gathered would hold up the event loop."""
        size = 0
        for number, line in enumerate(self._lines, start=1):
            size += len(line)
            if size >= _BATCH_BYTES or number >= self._segment_rows:
                return self._lines[:number]
        return self._lines[:]

    def _there(self) -> OpenJournal:
        """The open journal; another one where there is none, or somebody removed its file and its rows with it."""
        journal = self._journal
        if journal is not None and not journal.is_there:
            _LOG.error("traces %s: somebody removed it, and %d rows with it", journal.path, journal.n_rows)
            self._n_written -= journal.n_rows
            self._n_lost += journal.n_rows
            self._journal = None
            journal.close()
        if self._journal is None:
            self._journal = self._begin()
        return self._journal

    def _begin(self) -> OpenJournal:
        self._number += 1
        self._ends_at = time.monotonic() + self._segment_s
        return OpenJournal.begun(self.folder, self.name, self._number)

    def _end_journal(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None
            self._packer.wake()


def _not_started(_trace: Trace) -> bytes:
    raise RoutebenchError("traces: the writer has not been started; call start() first")
