"""The append-only files beside the store: an answer is on disk before it is reported done.

A run writes one segment after the other; a finished segment is read into the store by the database itself and
removed. So nothing of an answer stays in memory, and what a killed run leaves behind goes the same way in.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from routebench.errors import JournalError, StoreError, StoreLockedError
from routebench.redact import Secrets
from routebench.store import Store, add_journal

_BATCH_S = 0.01
"""Answers wait so long for one shared fsync, and for one that is under way: what a kill falls on is paid twice."""
_SEGMENT = re.compile(r"([^.]+)\.\d{6}\.journal")
_MAX_WAITING = 4096
"""More answers than this are never waiting for the disk: the run waits instead."""

OnDisk = Callable[[], None]


class Journal:
    """Writes the completions of one run; answers that arrive together share one fsync.

    Args:
        store: the store whose folder holds the journal.
        run_id: names the files.
        secrets: blanked in every answer before it is written.

    Raises:
        JournalError: the folder cannot be written.
    """

    def __init__(self, store: Store, run_id: str, secrets: Secrets) -> None:
        self._store = store
        self._run_id = run_id
        self._secrets = secrets
        self._lock = _run_lock(store, run_id)
        # One thread writes answers, another brings them into the store: that one may have to wait for another process.
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="routebench-journal")
        self._storing = ThreadPoolExecutor(1, thread_name_prefix="routebench-store")
        self._number = 0
        self._waiting: list[tuple[bytes, OnDisk]] = []
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._error: JournalError | None = None
        self._full: list[Path] = []
        # A segment is not changed for the next one while a batch is on its way into it.
        self._turn = asyncio.Lock()
        try:
            # While it is held, no other process takes these files for those of a killed run.
            self._lock.acquire(blocking=False)
            self._file = self._next_segment()
        except (OSError, Timeout) as error:
            raise _cannot_write(_folder(store), error) from None
        self._writer = asyncio.create_task(self._write_batches())

    async def add(self, request_key: str, flat: Mapping[str, Any], on_disk: OnDisk) -> None:
        """Takes an answer; `on_disk` is called on the event loop once it is safe.

        Raises:
            JournalError: an answer could not be written; this one is tried once more when the journal is closed.
            TypeError, ValueError: this answer cannot be written as JSON.
        """
        row = self._secrets.clean_all({"request_key": request_key, "run_id": self._run_id, **flat})
        line = json.dumps(row, ensure_ascii=False, allow_nan=False).encode(errors="replace") + b"\n"
        self._waiting.append((line, on_disk))
        if self._error is not None:
            raise self._error
        self._wake.set()
        if len(self._waiting) >= _MAX_WAITING:
            self._room.clear()
            await self._room.wait()

    async def store_pending(self) -> None:
        """Reads what was journalled since the last time into the store; a store that is held is left for later.

        Raises:
            StoreError: the store cannot take it; the files stay.
        """
        await self._rotate()
        with contextlib.suppress(StoreLockedError):
            await self._take_in_full()

    async def close(self) -> None:
        """Writes what waits, brings all into the store, and removes the files.

        Raises:
            JournalError: an answer could not be written.
            StoreError: the store is held by another process, or cannot be written; the files stay, and the next run
                reads them.
        """
        self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)
        try:
            # Also waits for a batch that is on its way.
            await self._write_waiting()
            await self._rotate()
            await self._take_in_full()
        except StoreError as error:
            if self._error is None:
                raise type(error)(f"{error}; the answers are safe beside it, and the next run reads them") from None
        finally:
            self._leave()
        if self._error is not None:
            raise self._error

    async def _rotate(self) -> None:
        """Begins another segment, unless the present one is empty."""
        async with self._turn:
            if self._file.tell():
                try:
                    full, self._file = self._file, self._next_segment()
                except OSError as error:
                    raise _cannot_write(_folder(self._store), error) from None
                full.close()
                self._full.append(Path(full.name))

    async def _take_in_full(self) -> None:
        while self._full:
            await _in_thread(self._storing, _take_in, self._store, self._full[0])
            self._full.pop(0)

    def _leave(self) -> None:
        """Lets go of the files; one with answers in it stays, for the next run to read."""
        self._writing.shutdown()
        self._storing.shutdown()
        self._file.close()
        path = Path(self._file.name)
        if not path.stat().st_size:
            path.unlink()
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)

    async def _write_batches(self) -> None:
        while self._error is None:
            await self._wake.wait()
            await asyncio.sleep(_BATCH_S)
            # Shielded: a batch that is on its way to the disk is not half given up.
            await asyncio.shield(asyncio.create_task(self._write_waiting()))

    async def _write_waiting(self) -> None:
        async with self._turn:
            batch, self._waiting = self._waiting, []
            self._wake.clear()
            try:
                await _in_thread(self._writing, self._write, [line for line, _ in batch])
            except OSError as error:
                # Closing tries once more: room may have been made, and these answers are paid for.
                self._waiting = batch + self._waiting
                self._error = _cannot_write(Path(self._file.name), error, len(self._waiting))
            else:
                self._error = None
                for _, on_disk in batch:
                    on_disk()
        self._room.set()

    def _write(self, lines: list[bytes]) -> None:
        file = self._file
        whole = file.tell()
        try:
            left = memoryview(b"".join(lines))
            while left:
                # A disk that is nearly full takes a part, and only then says no.
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except OSError:
            # What was written of this batch was never reported: without it the file reads well.
            file.truncate(whole)
            file.seek(whole)
            raise

    def _next_segment(self) -> FileIO:
        self._number += 1
        path = _folder(self._store) / f"{_stem(self._store)}{self._run_id}.{self._number:06}.journal"
        # Unbuffered: what a failed write leaves must be in the file, not in a buffer that is flushed later.
        return FileIO(path, "x")


def recover(store: Store) -> int:
    """Brings the journals of runs that were killed into the store; returns the number of answers in them.

    A journal whose run still goes on is left alone. A last line that was cut short is dropped: its answer was never
    reported.
    """
    recovered = 0
    segments: dict[str, list[Path]] = {}
    for path in sorted(_folder(store).iterdir()):
        found = _SEGMENT.fullmatch(path.name.removeprefix(_stem(store)))
        if found is not None and path.name.startswith(_stem(store)):
            segments.setdefault(found[1], []).append(path)
    for run_id, paths in segments.items():
        lock = _run_lock(store, run_id)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        try:
            for path in paths:
                # Another process may have brought it in since we looked.
                if path.exists():
                    _drop_cut_line(path)
                    recovered += _take_in(store, path)
        finally:
            lock.release()
            Path(lock.lock_file).unlink(missing_ok=True)
    return recovered


def is_alive(store: Store, run_id: str) -> bool:
    """Whether a run, of this process or another, still writes its journal beside the store."""
    lock = _run_lock(store, run_id)
    if not Path(lock.lock_file).exists():
        return False
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    # Left by a run that was killed; the file itself stays, for `recover`.
    lock.release()
    return False


def journals(store: Store) -> list[Path]:
    """Returns the journal segments beside a store that are not brought in yet."""
    stem = _stem(store)
    found = (path for path in _folder(store).iterdir() if path.name.startswith(stem))
    return sorted(path for path in found if _SEGMENT.fullmatch(path.name.removeprefix(stem)))


async def _in_thread(executor: ThreadPoolExecutor, work: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(executor, work, *arguments)


def _take_in(store: Store, path: Path) -> int:
    added = add_journal(store, path)
    path.unlink()
    return added


def _drop_cut_line(path: Path) -> None:
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - 65536)
            file.seek(start)
            at = file.read(end - start).rfind(b"\n")
            if at >= 0:
                file.truncate(start + at + 1)
                return
            end = start
        file.truncate(0)


def _cannot_write(path: Path, error: Exception, n_waiting: int = 0) -> JournalError:
    reason = getattr(error, "strerror", None) or str(error)
    return JournalError(
        f"{path}: the journal cannot be written ({reason}), and {n_waiting} answers that wait for it are not kept; "
        "make room or choose another folder with --store, then run again: every answer that was reported is safe"
    )


def _run_lock(store: Store, run_id: str) -> FileLock:
    return FileLock(_folder(store) / f"{_stem(store)}{run_id}.lock", thread_local=False)


def _folder(store: Store) -> Path:
    return store.path.parent


def _stem(store: Store) -> str:
    return f".{store.path.name}."
