"""The append-only file beside the store: an answer is on disk before it is reported done."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from routebench.store import Store, add_completions, completion_row

_BATCH_S = 0.05
"""Answers wait at most this long for one shared fsync."""


class Journal:
    """Writes the completions of one run; answers that arrive together share one fsync.

    Args:
        store: the store whose folder holds the journal.
        run_id: names the file.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self.path = _folder(store) / f"{_stem(store)}{run_id}.{os.getpid()}.journal"
        self._store = store
        self._run_id = run_id
        self._file = self.path.open("ab")
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._flush: asyncio.Task[None] | None = None
        self._unstored: list[dict[str, Any]] = []

    async def append(self, request_key: str, flat: Mapping[str, Any]) -> None:
        """Returns once the completion is on disk."""
        row = {"request_key": request_key, "run_id": self._run_id, **flat}
        line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((line, done))
        if self._flush is None:
            self._flush = asyncio.create_task(self._flush_soon())
        await done
        self._unstored.append(completion_row(self._run_id, request_key, flat))

    async def _flush_soon(self) -> None:
        await asyncio.sleep(_BATCH_S)
        batch, self._waiting, self._flush = self._waiting, [], None
        try:
            await asyncio.to_thread(self._write, b"".join(line for line, _ in batch))
        except OSError as error:
            for _, done in batch:
                done.set_exception(error)
        else:
            for _, done in batch:
                done.set_result(None)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()
        os.fsync(self._file.fileno())

    async def store_pending(self) -> None:
        """Brings what was journalled since the last time into the store."""
        batch, self._unstored = self._unstored, []
        if batch:
            await asyncio.to_thread(add_completions, self._store, batch)

    async def close(self) -> None:
        """Brings the rest into the store, then removes the file."""
        await self.store_pending()
        self._file.close()
        self.path.unlink()


def recover(store: Store) -> int:
    """Brings the journals of runs that were killed into the store; returns the number of answers in them.

    A journal whose process still lives is left alone. A last line that was cut short is dropped: its answer was
    never reported.
    """
    recovered = 0
    for path in sorted(_folder(store).glob(f"{_stem(store)}*.journal")):
        pid = int(path.name.split(".")[-2])
        if pid != os.getpid() and _alive(pid):
            continue
        rows = [row for line in path.read_bytes().split(b"\n") if (row := _row(line)) is not None]
        add_completions(store, rows)
        recovered += len(rows)
        path.unlink()
    return recovered


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        flat = json.loads(line)
    except ValueError:
        return None
    return completion_row(flat["run_id"], flat["request_key"], flat)


def _folder(store: Store) -> Path:
    return store.path.resolve().parent


def _stem(store: Store) -> str:
    return f".{store.path.name}."


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
