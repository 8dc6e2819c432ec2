"""Blind batches: what people are shown without a name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from routebench.messages import answer_text
from routebench.store.queries import counted
from routebench.store.store import Store
from routebench.types import ToolCall

if TYPE_CHECKING:
    import pandas as pd

_NO_CALLS = "(tool_calls IS NULL OR tool_calls::VARCHAR IN ('null', '[]'))"
# Equal answers are told by a digest: the texts of a whole suite need not be read for that.
_ANSWERS = """
    SELECT cells.case_id, cells.model, cells.request_key, done.run_id, done.status,
        CASE WHEN {none} THEN md5(trim(done.text, E' \\t\\r\\n')) END AS mark,
        CASE WHEN NOT {none} THEN done.text END AS text, CASE WHEN NOT {none} THEN done.tool_calls END AS tool_calls,
        grades.score::DOUBLE AS score, left(grades.detail, 60) AS detail,
        cases.category, coalesce(cases.group_key, cases.case_id) AS group_key, cases.weight::DOUBLE AS weight,
        split_part(cases.grader, '#', 1) AS grader, cases.position
    FROM cells
    JOIN cases USING (suite, case_id)
    LEFT JOIN {counted} AS done USING (request_key)
    LEFT JOIN grades ON grades.suite = cells.suite AND grades.case_id = cells.case_id
        AND grades.request_key = cells.request_key AND grades.run_id = done.run_id AND grades.grader = cases.grader
    WHERE cells.suite = $suite AND cells.sample = 0 AND list_contains($models, cells.model)
        AND cases.split IS DISTINCT FROM 'sealed'
    ORDER BY cases.position, cases.case_id, cells.model"""


@dataclass(frozen=True, slots=True)
class BlindAnswer:
    """One side of what is shown; `model` None is the case's own reference, which has no key."""

    model: str | None
    request_key: str = ""
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class BlindItem:
    """What is shown at one place of a batch.

    Attributes:
        place: from 0 on.
        group: cases that are no independent draws.
        weight: requests that the case stands for.
        right: None where single answers are scored.
        doubtful: whether the judge was in doubt about it when it was drawn.
        chance: the probability with which it was drawn.
        first_place: of a silent repeat, where the same was shown before.
    """

    place: int
    case_id: str
    group: str
    weight: float
    left: BlindAnswer
    right: BlindAnswer | None
    doubtful: bool
    chance: float
    first_place: int | None = None


@dataclass(frozen=True, slots=True)
class BlindBatch:
    """What was drawn, in the order in which everybody is shown it.

    Attributes:
        kind: `score` or `pairwise`.
        opponent: whom answers are compared with: `model` or `reference`; None for scores.
        scale: of scores; None for pairs.
        models: whose answers could be drawn.
        counts: `drawable`, `doubtful`, and what could not be drawn by reason, such as `identical`.
    """

    batch_id: str
    suite: str
    kind: str
    opponent: str | None
    scale: str | None
    seed: int
    models: tuple[str, ...]
    counts: Mapping[str, int]
    drawn_at: datetime
    items: tuple[BlindItem, ...] = field(repr=False)


def read_showable(store: Store, suite: str, models: Sequence[str]) -> pd.DataFrame:
    """Returns the first answer of every model to every case that is not sealed, without its text.

    Columns: case_id, model, request_key, run_id, status, `mark` (equal for equal answers, None where no text was
    kept), the primary grader's score and the begin of its detail, category, group_key, weight, grader.
    """
    with store.connect() as con:
        query = _ANSWERS.format(counted=counted(con), none=_NO_CALLS)
        frame = con.execute(query, {"suite": suite, "models": list(models)}).df()
    calling = frame["tool_calls"].notna()
    if calling.any():
        rows = frame.loc[calling, ["text", "tool_calls"]].itertuples(index=False)
        frame["mark"] = frame["mark"].astype(object)
        frame.loc[calling, "mark"] = [_told(text, calls) for text, calls in rows]
    return frame.drop(columns=["text", "tool_calls", "position"])


def add_batch(store: Store, batch: BlindBatch) -> None:
    """Writes a batch whole, its items too; one that is there already is left as it is."""
    import pyarrow as pa

    row = [
        batch.batch_id,
        batch.suite,
        batch.kind,
        batch.opponent,
        batch.scale,
        batch.seed,
        list(batch.models),
        json.dumps(dict(batch.counts)),
        naive_utc(batch.drawn_at),
    ]
    items = pa.Table.from_pylist([_row(batch.batch_id, item) for item in batch.items])
    with store.connect() as con:
        con.execute("BEGIN")
        new = con.execute(f"{insert('INSERT OR IGNORE', 'blind_batches', len(row))} RETURNING 1", row).fetchone()
        if new:
            con.register("incoming", items)
            con.execute("INSERT INTO blind_items BY NAME SELECT * FROM incoming")
            con.unregister("incoming")
        con.execute("COMMIT")


def _row(batch_id: str, item: BlindItem) -> dict[str, Any]:
    # The empty key of a reference tells it from there being no other side.
    sides: dict[str, str | None] = {}
    for name, side in (("left", item.left), ("right", item.right)):
        told = (None, None, None) if side is None else (side.model, side.request_key, side.run_id)
        sides |= {f"{name}_model": told[0], f"{name}_key": told[1], f"{name}_run": told[2]}
    return {
        "batch_id": batch_id,
        "place": item.place,
        "case_id": item.case_id,
        "group_key": item.group,
        "weight": item.weight,
        **sides,
        "doubtful": item.doubtful,
        "chance": item.chance,
        "first_place": item.first_place,
    }


def read_batch(store: Store, batch_id: str) -> BlindBatch | None:
    """Returns a batch as it was drawn; None where there is none."""
    with store.connect() as con:
        row = con.execute("SELECT * FROM blind_batches WHERE batch_id = ?", [batch_id]).fetchone()
        if row is None:
            return None
        items = con.execute("SELECT * FROM blind_items WHERE batch_id = ? ORDER BY place", [batch_id]).fetchall()
    _, suite, kind, opponent, scale, seed, models, counts, drawn_at = row
    return BlindBatch(
        batch_id,
        suite,
        kind,
        opponent,
        scale,
        seed,
        tuple(models),
        json.loads(counts),
        drawn_at.replace(tzinfo=UTC),
        tuple(_item(item) for item in items),
    )


def _item(row: Sequence[Any]) -> BlindItem:
    _, place, case_id, group, weight, *sides, doubtful, chance, first_place = row
    alone = sides[3:] == [None, None, None]
    left, right = BlindAnswer(*sides[:3]), BlindAnswer(*sides[3:])
    return BlindItem(place, case_id, group, weight, left, None if alone else right, doubtful, chance, first_place)


def read_shown_texts(store: Store, batch_id: str) -> dict[tuple[str, str | None], str | None]:
    """Returns (request key, run id) -> the answer as a person reads it, None where its text is not kept any more."""
    with store.connect() as con:
        rows = con.execute(
            """
            SELECT request_key, run_id, text, tool_calls FROM completions
            WHERE (request_key, run_id) IN (
                SELECT (left_key, left_run) FROM blind_items WHERE batch_id = $batch
                UNION SELECT (right_key, right_run) FROM blind_items WHERE batch_id = $batch)""",
            {"batch": batch_id},
        ).fetchall()
    return {(key, run_id): _told(text, calls) for key, run_id, text, calls in rows}


def _told(text: str | None, tool_calls: str | None) -> str | None:
    calls = [ToolCall(**call) for call in json.loads(tool_calls) or ()] if tool_calls else []
    return None if text is None and not calls else answer_text(text, calls)


def insert(how: str, table: str, count: int) -> str:
    """Returns the statement that inserts one row of so many values."""
    return f"{how} INTO {table} VALUES ({', '.join('?' * count)})"


def naive_utc(at: datetime) -> datetime:
    """Returns a time as the store keeps it."""
    return at.astimezone(UTC).replace(tzinfo=None)
