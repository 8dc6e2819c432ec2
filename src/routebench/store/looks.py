"""Looks at the cases that nobody may choose on: each makes the next one weaker, so they are counted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from routebench.store.store import Store

Part = Literal["sealed", "test"]
"""The sealed cases of a suite, or the test half of one split."""


def add_look(
    store: Store,
    suite: str,
    *,
    rules: str,
    policy_sha256: str,
    at: datetime,
    part: Part = "sealed",
    seed: int | None = None,
) -> None:
    """Notes that somebody looked at cases of a suite that are held back.

    Args:
        store: where.
        suite: whose cases.
        rules: the name of the rule set that was measured on them.
        policy_sha256: of what decides in it.
        at: when.
        part: which of its cases.
        seed: of the split, for a test half.
    """
    when = at.astimezone(UTC).replace(tzinfo=None)
    with store.connect() as con:
        con.execute(
            "INSERT INTO looks (suite, rules, policy_sha256, looked_at, part, seed) VALUES (?, ?, ?, ?, ?, ?)",
            [suite, rules, policy_sha256, when, part, seed],
        )


def count_looks(store: Store, suite: str, *, part: Part = "sealed", seed: int | None = None) -> int:
    """Returns how often such cases of a suite were looked at, with whichever rule set."""
    with store.connect() as con:
        row = con.execute(
            "SELECT count(*) FROM looks WHERE suite = ? AND part = ? AND seed IS NOT DISTINCT FROM ?",
            [suite, part, seed],
        ).fetchone()
    return int(row[0]) if row else 0
