from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb

from routebench.store import Store
from routebench.store.looks import add_look, count_looks
from routebench.store.migrations import MIGRATIONS

AT = datetime(2026, 11, 28, tzinfo=UTC)


def test_looks_are_counted_by_suite_part_and_seed(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")

    def look(suite: str, **where: object) -> None:
        add_look(store, suite, rules="r", policy_sha256="x", at=AT, **where)  # type: ignore[arg-type]

    look("s")
    look("s", part="test", seed=42)
    look("s", part="test", seed=42)
    look("s", part="test", seed=43)
    look("other", part="test", seed=42)
    assert count_looks(store, "s") == 1
    assert count_looks(store, "s", part="test", seed=42) == 2
    assert count_looks(store, "s", part="test", seed=43) == 1
    assert count_looks(store, "s", part="test", seed=44) == 0


def test_looks_of_an_earlier_store_are_at_the_sealed_cases(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    con = duckdb.connect()
    con.execute(f"ATTACH '{path}' AS s (STORAGE_VERSION 'v1.5.0')")
    con.execute("USE s")
    con.execute("CREATE TABLE schema_version (version INTEGER)")
    for number, step in enumerate(MIGRATIONS[:4], start=1):
        step(con)
        con.execute("INSERT INTO schema_version VALUES (?)", [number])
    con.execute("INSERT INTO looks VALUES ('s', 'r', 'x', TIMESTAMP '2026-11-01')")
    con.execute("USE memory")
    con.execute("DETACH s")
    con.close()
    store = Store(path)
    assert count_looks(store, "s") == 1
    assert count_looks(store, "s", part="test", seed=42) == 0
