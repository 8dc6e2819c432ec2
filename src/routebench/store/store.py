"""The DuckDB file of a workspace: short connections, so that a notebook and a command line can share it."""

from __future__ import annotations

import atexit
import itertools
import json
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from routebench.errors import StoreError, StoreLockedError
from routebench.store.migrations import migrate
from routebench.store.pack import PackInfo, is_pack

Row = Mapping[str, Any]

_ROWS_AT_ONCE = 20_000
_JSON_BUFFER_BYTES = 1024 * 1024
_INCOMING = (
    "read_json(?, format = 'newline_delimited', columns = ?, maximum_object_size = ?, compression = 'uncompressed')"
)
_LOCK_RETRY_S = 0.1
_HOLDER = re.compile(r"Conflicting lock is held in (.+?) \(PID (\d+)\)")

# One connection at a time per file and process: DuckDB refuses to attach a file twice.
_files: dict[Path, tuple[threading.RLock, str]] = {}
_files_guard = threading.Lock()
_scratch: list[str] = []


def _shared(path: Path) -> tuple[threading.RLock, str]:
    """The lock of a file and the name under which it is attached, the same for every Store of this process."""
    with _files_guard:
        return _files.setdefault(path, (threading.RLock(), f"store_{len(_files)}"))


def _database() -> duckdb.DuckDBPyConnection:
    """The process's own database in memory: attaching a file to it takes 2 ms, and opening a new one six times that."""
    with _files_guard:
        return _open_database()


@cache
def _open_database() -> duckdb.DuckDBPyConnection:
    # Our queries are small: more threads would only set more memory aside. What does not fit in memory goes to a folder
    # that only we can read; by default it would be one in the current folder.
    return duckdb.connect(config={"threads": 2, "temp_directory": str(scratch_folder())})


def scratch_folder() -> Path:
    """Returns a new folder that only we can read, and that goes when the process ends."""
    folder = tempfile.mkdtemp(prefix="routebench-")
    _scratch.append(folder)
    return Path(folder)


@atexit.register
def _close_database() -> None:
    """Before the interpreter ends: the library complains at length about a connection that is still there."""
    if _open_database.cache_info().currsize:
        _open_database().close()
        _open_database.cache_clear()
    for folder in _scratch:
        shutil.rmtree(folder, ignore_errors=True)


def _forget_database() -> None:
    """In a forked child: the database's threads do not live on in it, and its folder is the parent's."""
    _open_database.cache_clear()
    _scratch.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_database)


class Store:
    """What is known: cases, completions and grades in one DuckDB file.

    Every connection is opened for one piece of work and closed after it, because DuckDB lets only one process hold
    the file. Waiting for another process ends after `lock_timeout_s`.

    Attributes:
        pack: what was opened in place of a DuckDB file; what is written then lasts as long as the process.

    Raises:
        StoreError: the file is not a store, cannot be written, or a newer version wrote it.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        lock_timeout_s: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # Absolute: another current folder later must not mean another file. Of a symlink, the file that it means.
        self.path = Path(path).resolve()
        self.pack: PackInfo | None = None
        if is_pack(self.path):
            raise StoreError(f"{path}: a pack is only read; give the DuckDB file that new rows are to go to")
        self._lock_timeout_s = lock_timeout_s
        self._sleep = sleep
        self._clock = clock
        self._lock, self._alias = _shared(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"store {self.path}: its folder cannot be made ({error.strerror}); choose another with --store"
            ) from None
        with self.connect() as con:
            migrate(con, str(self.path))

    @classmethod
    def existing(cls, path: str | Path, *, lock_timeout_s: float = 30.0) -> Store:
        """Opens a store that must be there already.

        Raises:
            StoreError: there is no such file.
        """
        if not Path(path).is_file():
            raise StoreError(f"store {path}: no such file; `routebench run` or `routebench import` makes one")
        return cls(path, lock_timeout_s=lock_timeout_s)

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lends a connection whose current database is the store, for the length of a `with` block.

        The file is held only for that long. What is not committed is undone.

        Raises:
            StoreLockedError: another process held the file for longer than the timeout; it is named.
            StoreError: the file cannot be opened.
        """
        with self._lock:
            _attach(
                self.path,
                self._alias,
                # 1.5 files are read by every DuckDB that users have; 2.0's own format is not.
                "STORAGE_VERSION 'v1.5.0'",
                lock_timeout_s=self._lock_timeout_s,
                sleep=self._sleep,
                clock=self._clock,
            )
            con = _database().cursor()
            try:
                con.execute(f"USE {self._alias}")
                yield con
            finally:
                # Closing undoes an open transaction, without which the file could not be let go.
                con.close()
                _detach(self._alias)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps this process's other threads away from the file, which is not open then."""
        with self._lock:
            yield

    @classmethod
    def snapshot(cls, path: str | Path, folder: str | Path, *, lock_timeout_s: float = 30.0) -> Store:
        """Copies a store as it is now into a folder, for a reader whose writes must not reach it.

        Args:
            path: the store; it is opened to read only.
            folder: where the copy goes, under the name of the file, of a symlink that of what it means.
            lock_timeout_s: longest wait for another process that holds it.

        Raises:
            StoreError: there is no such file, or it is not a store.
            StoreLockedError: another process held it for longer than the timeout.
        """
        source = Path(path).resolve()
        copy = Path(folder) / source.name
        if not source.is_file():
            raise StoreError(f"store {path}: no such file; `routebench run` or `routebench import` makes one")
        lock, alias = _shared(source)
        with lock:
            _attach(source, alias, "READ_ONLY", lock_timeout_s=lock_timeout_s)
            try:
                # The file last: the system lets go of a process's locks on a file when any descriptor of it closes.
                for name in (f"{source.name}.wal", source.name):
                    if (source.parent / name).exists():
                        shutil.copyfile(source.parent / name, copy.parent / name)
            finally:
                _detach(alias)
        return cls(copy, lock_timeout_s=lock_timeout_s)

    def insert(self, table: str, rows: Iterable[Row], *, replace: bool = False) -> None:
        """Inserts rows by column name; rows whose key exists are kept as they are, or replaced.

        The rows go through a file of JSON lines that the database reads itself, some thousands at a time: whatever
        their number, the memory that they need stays the same.

        Args:
            table: one of the store's tables.
            rows: mappings from column to value, JSON columns as objects; a missing column becomes NULL.
            replace: overwrite a row with the same key.
        """
        self._in_parts(table, rows, _insert_over(table) if replace else insert_new(table))

    def update(self, table: str, keys: Sequence[str], rows: Iterable[Row]) -> None:
        """Changes rows that are there, found by their key columns; every row names the same columns."""

        def statement(columns: str) -> str:
            names = columns.split(", ")
            changed = ", ".join(f"{name} = incoming.{name}" for name in names if name not in keys)
            found = " AND ".join(f"{table}.{name} = incoming.{name}" for name in keys)
            return f"UPDATE {table} SET {changed} FROM {_INCOMING} AS incoming WHERE {found}"  # noqa: S608 - our names

        self._in_parts(table, rows, statement)

    def _in_parts(self, table: str, rows: Iterable[Row], statement: Callable[[str], str]) -> None:
        rest = iter(rows)
        while (first := next(rest, None)) is not None:
            with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8", errors="replace") as file:
                longest = 0
                for row in itertools.chain((first,), itertools.islice(rest, _ROWS_AT_ONCE - 1)):
                    line = _encode(row)
                    # In UTF-8 a character takes four bytes at the most.
                    longest = max(longest, 4 * len(line))
                    file.write(line + "\n")
                file.flush()
                with self.connect() as con:
                    self.read_lines(con, table, list(first), Path(file.name), longest, statement)

    def read_lines(
        self,
        con: duckdb.DuckDBPyConnection,
        table: str,
        names: Sequence[str],
        path: Path,
        longest: int,
        statement: Callable[[str], str],
    ) -> int:
        """Runs a statement over a file of JSON lines and returns the number of rows that it changed.

        Args:
            con: a connection of this store.
            table: whose columns the lines have.
            names: those columns; keys of a line that are not among them are passed over.
            path: the file.
            longest: bytes that no line exceeds; the reader sets some multiples of it aside.
            statement: writes the statement, given the names with commas between; the lines are `_INCOMING` in it.
        """
        kinds = {row[0]: row[1] for row in con.execute(f"DESCRIBE {table}").fetchall()}
        wanted = {name: kinds[name] for name in names or kinds}
        text = statement(", ".join(wanted))
        row = con.execute(text, [str(path), wanted, max(_JSON_BUFFER_BYTES, 2 * longest)]).fetchone()
        return int(row[0]) if row else 0

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"


def _attach(
    path: Path,
    alias: str,
    mode: str,
    *,
    lock_timeout_s: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    give_up = clock() + lock_timeout_s
    while True:
        try:
            with _database().cursor() as con:
                con.execute(f"ATTACH {_quoted(str(path))} AS {alias} ({mode})")
        except duckdb.Error as error:
            holder = _HOLDER.search(str(error))
            if holder is None:
                raise StoreError(f"store {path}: {_first_line(error)}; {_mend(str(error))}") from None
            if clock() >= give_up:
                raise StoreLockedError(
                    f"store {path} is held by process {holder[2]} ({holder[1]}); close that notebook or "
                    f"command, or wait longer with --lock-timeout-s (now {lock_timeout_s:g})"
                ) from None
            sleep(_LOCK_RETRY_S)
        else:
            return


def _detach(alias: str) -> None:
    with _database().cursor() as con:
        con.execute(f"DETACH {alias}")


def insert_new(table: str) -> Callable[[str], str]:
    """Writes the statement, for `Store.read_lines`, that inserts rows and keeps those whose key exists."""
    return lambda columns: f"INSERT OR IGNORE INTO {table} ({columns}) SELECT {columns} FROM {_INCOMING}"  # noqa: S608 - our own names


def _insert_over(table: str) -> Callable[[str], str]:
    return lambda columns: f"INSERT OR REPLACE INTO {table} ({columns}) SELECT {columns} FROM {_INCOMING}"  # noqa: S608 - our own names


_encode = json.JSONEncoder(ensure_ascii=False, default=lambda value: value.isoformat()).encode


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].removesuffix("!").removesuffix(".")


def _mend(error: str) -> str:
    if "not a valid DuckDB" in error:
        return "give another path with --store; this file is left as it is"
    return "check that the folder exists and can be written, or choose another path with --store"
