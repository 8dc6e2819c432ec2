"""The DuckDB file of a workspace: short connections, so that a notebook and a command line can share it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from routebench.errors import StoreError, StoreLockedError
from routebench.store.migrations import migrate

Row = Mapping[str, Any]

_ARROW: Mapping[str, pa.DataType] = {
    "VARCHAR": pa.string(),
    "JSON": pa.string(),
    "VARCHAR[]": pa.list_(pa.string()),
    "DOUBLE": pa.float64(),
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
}
_LOCK_RETRY_S = 0.1
_HOLDER = re.compile(r"Conflicting lock is held in (.+?) \(PID (\d+)\)")

# One connection at a time per file and process: DuckDB refuses to attach a file twice.
_process_locks: dict[Path, threading.RLock] = {}
_process_locks_guard = threading.Lock()


class Store:
    """What is known: cases, completions and grades in one DuckDB file.

    Every connection is opened for one piece of work and closed after it, because DuckDB lets only one process hold
    the file. Waiting for another process ends after `lock_timeout_s`.

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
        self.path = Path(path)
        self._lock_timeout_s = lock_timeout_s
        self._sleep = sleep
        self._clock = clock
        key = self.path.resolve()
        with _process_locks_guard:
            self._lock = _process_locks.setdefault(key, threading.RLock())
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

        Raises:
            StoreLockedError: another process held the file for longer than the timeout; it is named.
            StoreError: the file cannot be opened.
        """
        with self._lock:
            con = self._attach()
            try:
                yield con
            finally:
                con.close()

    def _attach(self) -> duckdb.DuckDBPyConnection:
        give_up = self._clock() + self._lock_timeout_s
        while True:
            con = duckdb.connect()
            try:
                # 1.5 files are read by every DuckDB that users have; 2.0's own format is not.
                con.execute(f"ATTACH {_quoted(str(self.path))} AS store (STORAGE_VERSION 'v1.5.0')")
                con.execute("USE store")
            except duckdb.Error as error:
                con.close()
                holder = _HOLDER.search(str(error))
                if holder is None:
                    raise StoreError(f"store {self.path}: {_first_line(error)}; {_mend(str(error))}") from None
                if self._clock() >= give_up:
                    raise StoreLockedError(
                        f"store {self.path} is held by process {holder[2]} ({holder[1]}); close that notebook or "
                        f"command, or wait longer with --lock-timeout-s (now {self._lock_timeout_s:g})"
                    ) from None
                self._sleep(_LOCK_RETRY_S)
            else:
                return con

    def insert(self, con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Row], *, replace: bool = False) -> None:
        """Inserts rows by column name; rows whose key exists are kept as they are, or replaced.

        Args:
            con: a connection of this store.
            table: one of the store's tables.
            rows: mappings from column to value; a missing column becomes NULL.
            replace: overwrite a row with the same key.
        """
        if not rows:
            return
        columns = con.execute(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_catalog = 'store' AND table_name = ?",
            [table],
        ).fetchall()
        schema = pa.schema([(name, _ARROW[kind]) for name, kind in columns])
        incoming = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
        con.register("incoming", incoming)
        try:
            verb = "INSERT OR REPLACE" if replace else "INSERT OR IGNORE"
            con.execute(f"{verb} INTO {table} BY NAME SELECT * FROM incoming")  # noqa: S608 - our own table names
        finally:
            con.unregister("incoming")

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].removesuffix("!").removesuffix(".")


def _mend(error: str) -> str:
    if "not a valid DuckDB" in error:
        return "give another path with --store; this file is left as it is"
    return "check that the folder exists and can be written, or choose another path with --store"
