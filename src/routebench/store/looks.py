"""Looks at the sealed cases of a suite: each makes the next one weaker, so they are counted."""

from __future__ import annotations

from datetime import UTC, datetime

from routebench.store.store import Store


def add_look(store: Store, suite: str, *, rules: str, policy_sha256: str, at: datetime) -> None:
    """Notes that somebody looked at a suite's sealed cases.

    Args:
        store: where.
        suite: whose cases.
        rules: the name of the rule set that was measured on them.
        policy_sha256: of what decides in it.
        at: when.
    """
    when = at.astimezone(UTC).replace(tzinfo=None)
    with store.connect() as con:
        con.execute(
            "INSERT INTO looks (suite, rules, policy_sha256, looked_at) VALUES (?, ?, ?, ?)",
            [suite, rules, policy_sha256, when],
        )


def count_looks(store: Store, suite: str) -> int:
    """Returns how often a suite's sealed cases were looked at, with whichever rule set."""
    with store.connect() as con:
        row = con.execute("SELECT count(*) FROM looks WHERE suite = ?", [suite]).fetchone()
    return int(row[0]) if row else 0
