"""Blind batches: what people are shown without a name, what each of them said, and when they were told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from routebench.messages import answer_text
from routebench.store.grades import PEOPLE
from routebench.store.queries import counted, sql
from routebench.store.store import Store
from routebench.types import ToolCall

if TYPE_CHECKING:
    import duckdb
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


@dataclass(frozen=True, slots=True)
class BlindVerdict:
    """What one person said of one item, as it stands now.

    Attributes:
        number: grows with every word of this person in the batch.
        taken_s: seconds from showing to saying.
    """

    rater: str
    place: int
    number: int
    verdict: str
    note: str | None
    taken_s: float | None
    given_at: datetime


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
        _utc(batch.drawn_at),
    ]
    items = pa.Table.from_pylist([_row(batch.batch_id, item) for item in batch.items])
    with store.connect() as con:
        con.execute("BEGIN")
        con.execute(_insert("INSERT OR IGNORE", "blind_batches", len(row)), row)
        con.register("incoming", items)
        con.execute("INSERT OR IGNORE INTO blind_items BY NAME SELECT * FROM incoming")
        con.execute("COMMIT")
        con.unregister("incoming")


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


def add_verdict(
    store: Store,
    batch: BlindBatch,
    verdict: BlindVerdict,
    *,
    graded: BlindAnswer | None = None,
    score: float | None = None,
) -> int:
    """Adds what a person said, and with it the grade that it is; returns its number.

    Args:
        store: where.
        batch: of which.
        verdict: its number is given here; an empty word takes back what this person said of the place.
        graded: the answer of which the verdict is a grade; None where it is none.
        score: that grade, in [0, 1]; None takes this person's grade of the answer away.
    """
    item = batch.items[verdict.place]
    with store.connect() as con:
        con.execute("BEGIN")
        row = con.execute(
            """
            INSERT INTO blind_verdicts
            SELECT $batch, $rater, coalesce(max(number), 0) + 1, $place, $verdict, $note, $taken_s, $at
            FROM blind_verdicts WHERE batch_id = $batch AND rater = $rater
            RETURNING number""",
            {
                "batch": batch.batch_id,
                "rater": verdict.rater,
                "place": verdict.place,
                "verdict": verdict.verdict or None,
                "note": verdict.note,
                "taken_s": verdict.taken_s,
                "at": _utc(verdict.given_at),
            },
        ).fetchone()
        if graded is not None:
            key = [batch.suite, item.case_id, graded.request_key, graded.run_id]
            _grade(con, key, verdict, score)
        con.execute("COMMIT")
    assert row is not None
    return int(row[0])


def _grade(con: duckdb.DuckDBPyConnection, key: list[Any], verdict: BlindVerdict, score: float | None) -> None:
    """Writes or takes away one person's grade of an answer, and with it the mean of all people."""
    here = "suite = ? AND case_id = ? AND request_key = ? AND run_id = ?"
    columns = "grades (suite, case_id, request_key, run_id, grader, score, detail, rater, graded_at)"
    write = _insert("INSERT OR REPLACE", columns, 9)
    own, at = f"{PEOPLE}#{verdict.rater}", _utc(verdict.given_at)
    if score is None:
        con.execute(f"DELETE FROM grades WHERE {here} AND grader = ?", [*key, own])  # noqa: S608 - our own names
    else:
        con.execute(write, [*key, own, score, verdict.note, verdict.rater, at])
    mean = con.execute(
        f"""
        SELECT avg(score), string_agg(rater, ', ' ORDER BY rater) FROM grades
        WHERE {here} AND starts_with(grader, '{PEOPLE}#')""",  # noqa: S608 - our own names
        key,
    ).fetchone()
    if mean is None or mean[1] is None:
        con.execute(f"DELETE FROM grades WHERE {here} AND grader = '{PEOPLE}'", key)  # noqa: S608 - our own names
    else:
        con.execute(write, [*key, PEOPLE, mean[0], None, mean[1], at])


def read_blind_verdicts(store: Store, batch_id: str) -> list[BlindVerdict]:
    """Returns what stands of a batch, by whomever: of every person and place the last word, unless taken back."""
    with store.connect() as con:
        rows = con.execute(
            """
            SELECT rater, place, number, verdict, note, taken_s, given_at FROM blind_verdicts WHERE batch_id = ?
            QUALIFY row_number() OVER (PARTITION BY rater, place ORDER BY number DESC) = 1
            ORDER BY rater, number""",
            [batch_id],
        ).fetchall()
    return [
        BlindVerdict(rater, place, number, verdict, note, taken_s, at.replace(tzinfo=UTC))
        for rater, place, number, verdict, note, taken_s, at in rows
        if verdict is not None
    ]


def add_reveal(store: Store, batch_id: str, rater: str, at: datetime) -> None:
    """Notes that a person was told whose answers they graded; the first time counts."""
    with store.connect() as con:
        con.execute("INSERT OR IGNORE INTO blind_reveals VALUES (?, ?, ?)", [batch_id, rater, _utc(at)])


def read_reveals(store: Store, batch_id: str) -> dict[str, datetime]:
    """Returns who was told whose answers they graded, and when."""
    with store.connect() as con:
        rows = con.execute("SELECT rater, revealed_at FROM blind_reveals WHERE batch_id = ?", [batch_id]).fetchall()
    return {rater: at.replace(tzinfo=UTC) for rater, at in rows}


def read_scores_of(store: Store, batch: BlindBatch) -> pd.DataFrame:
    """Returns the primary grader's present scores of what a batch shows: request_key, run_id, case_id, score, rater."""
    return sql(
        store,
        """
        SELECT g.case_id, g.request_key, g.run_id, g.score::DOUBLE AS score, g.rater
        FROM grades g
        JOIN cases ON cases.suite = g.suite AND cases.case_id = g.case_id AND cases.grader = g.grader
        WHERE g.suite = ? AND (g.case_id, g.request_key, g.run_id) IN (
            SELECT (case_id, left_key, left_run) FROM blind_items WHERE batch_id = ?
            UNION SELECT (case_id, right_key, right_run) FROM blind_items WHERE batch_id = ?)
        ORDER BY ALL""",
        [batch.suite, batch.batch_id, batch.batch_id],
    )


def _insert(how: str, table: str, count: int) -> str:
    return f"{how} INTO {table} VALUES ({', '.join('?' * count)})"


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)
