"""Many rows at once, as columns: what imports bring in, a part at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from routebench.store.store import Store

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Added:
    """Rows that were not there before, and rows that were there and said something else."""

    new: int
    changed: int


@dataclass(frozen=True, slots=True)
class Table:
    """Where rows go.

    Attributes:
        name: of the table.
        key: the columns of its primary key.
        times: columns that say when; another time alone is no change.
        query: yields rows with the table's column names.
    """

    name: str
    key: tuple[str, ...]
    times: tuple[str, ...]
    query: str


ROWS_AT_ONCE = 122_880
"""Rows of a part that are written best: DuckDB's own row group goes straight to the file, past its log."""
_MEMORY_MB = (200, 250, 300, 450)
"""For the tables' indexes while rows come in: beyond it they are paged out. Where that cannot be, it is raised to the
next, and in the end lifted."""


@contextmanager
def upload(store: Store) -> Iterator[Upload]:
    """Lends what writes rows of several tables part by part; the store is held until the end of the block.

    A row that is there and says the same is left alone, so that the same rows twice change nothing. Every part is one
    transaction: what breaks off is taken up again by the same rows.
    """
    with store.connect() as con:
        row = con.execute("SELECT current_setting('memory_limit'), current_setting('threads')").fetchone()
        assert row is not None
        # Checking keys takes most of the time and is done by one thread anyhow; others would hold memory too.
        con.execute("SET threads = 1")
        try:
            yield Upload(con, usual_memory=row[0])
        finally:
            _undo(con)
            con.execute(f"SET memory_limit = '{row[0]}'")
            con.execute(f"SET threads = {row[1]}")


def sparingly(store: Store, write: Callable[[], None]) -> None:
    """Calls what writes to a store while the database may take little memory.

    Args:
        store: where.
        write: is called again, with more memory, where that did not suffice; it must bear to be called twice.
    """
    with store.connect() as con:
        row = con.execute("SELECT current_setting('memory_limit')").fetchone()
        assert row is not None
    limits = [*(f"{megabytes}MB" for megabytes in _MEMORY_MB), row[0]]
    try:
        for limit in limits:
            _limit(store, limit)
            try:
                write()
            except duckdb.OutOfMemoryException:
                if limit == limits[-1]:
                    raise
            else:
                return
    finally:
        _limit(store, row[0])


def _limit(store: Store, memory: str) -> None:
    with store.connect() as con:
        con.execute(f"SET memory_limit = '{memory}'")


class Upload:
    """Rows on their way into the store."""

    def __init__(self, con: duckdb.DuckDBPyConnection, *, usual_memory: str) -> None:
        self._con = con
        self._limits = [*(f"{megabytes}MB" for megabytes in _MEMORY_MB), usual_memory]
        self._added: dict[str, Added] = {}
        self._raise_limit()

    def write(self, frame: pa.Table, tables: Sequence[Table]) -> None:
        """Writes one part to some tables; the frame is called `incoming` in their queries."""
        self._con.register("incoming", frame)
        while (found := self._part(tables)) is None:
            self._raise_limit()
        self._con.unregister("incoming")
        for name, added in found.items():
            before = self.added(name)
            self._added[name] = Added(before.new + added.new, before.changed + added.changed)

    def _part(self, tables: Sequence[Table]) -> dict[str, Added] | None:
        """What became of a part's rows; None where it was undone, because a higher limit of memory may do."""
        try:
            self._con.execute("BEGIN")
            found = {table.name: _upsert(self._con, table) for table in tables}
            self._con.execute("COMMIT")
        except (duckdb.OutOfMemoryException, duckdb.TransactionException) as error:
            # A commit that lacks memory says so in words only.
            if not self._limits or "memory" not in str(error).casefold():
                raise
            _undo(self._con)
            return None
        return found

    def _raise_limit(self) -> None:
        self._con.execute(f"SET memory_limit = '{self._limits.pop(0)}'")

    def added(self, table: str) -> Added:
        """What became of a table's rows."""
        return self._added.get(table, Added(0, 0))


def _undo(con: duckdb.DuckDBPyConnection) -> None:
    """Ends a transaction that broke off, where there is one."""
    with suppress(duckdb.TransactionException):
        con.execute("ROLLBACK")


def _upsert(con: duckdb.DuckDBPyConnection, table: Table) -> Added:
    columns = [row[0] for row in con.execute(f"DESCRIBE {table.query}").fetchall()]
    others = [name for name in columns if name not in table.key]
    changed = ", ".join(f"{name} = excluded.{name}" for name in others)
    differs = " OR ".join(
        f"{table.name}.{name} IS DISTINCT FROM excluded.{name}" for name in others if name not in table.times
    )
    before = _count(con, table.name)
    # One statement inserts what is new and overwrites what differs.
    row = con.execute(
        f"INSERT INTO {table.name} BY NAME {table.query} "
        f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {changed} WHERE {differs}"
    ).fetchone()
    new = _count(con, table.name) - before
    return Added(new, (int(row[0]) if row else 0) - new)


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    row = con.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - our own names
    return int(row[0]) if row else 0
