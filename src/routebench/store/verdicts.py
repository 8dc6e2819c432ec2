"""What people said of a blind batch, the grades that follow from it, and when they were told the names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from routebench.errors import InputError
from routebench.store.blind import BlindAnswer, BlindBatch, insert, naive_utc
from routebench.store.grades import PEOPLE
from routebench.store.queries import sql
from routebench.store.store import Store

if TYPE_CHECKING:
    import duckdb
    import pandas as pd


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
        score: that grade, in [0, 1]; None takes away the one that this person gave here before.

    Raises:
        InputError: the person was told the names in the meantime, as in another window.
    """
    item = batch.items[verdict.place]
    with store.connect() as con:
        con.execute("BEGIN")
        whose = [batch.batch_id, verdict.rater]
        if con.execute("SELECT 1 FROM blind_reveals WHERE batch_id = ? AND rater = ?", whose).fetchone():
            raise InputError("the batch is closed: its names were revealed; draw another with another seed")
        said_before = con.execute(
            """
            SELECT 1 FROM blind_verdicts WHERE batch_id = ? AND rater = ? AND place = ? AND verdict IS NOT NULL
            LIMIT 1""",
            [*whose, verdict.place],
        ).fetchone()
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
                "at": naive_utc(verdict.given_at),
            },
        ).fetchone()
        # A skip takes away no grade that another batch or a table gave.
        if graded is not None and (score is not None or said_before):
            key = [batch.suite, item.case_id, graded.request_key, graded.run_id]
            _grade(con, key, verdict, score)
        con.execute("COMMIT")
    assert row is not None
    return int(row[0])


def _grade(con: duckdb.DuckDBPyConnection, key: list[Any], verdict: BlindVerdict, score: float | None) -> None:
    """Writes or takes away one person's grade of an answer, and with it the mean of all people."""
    here = "suite = ? AND case_id = ? AND request_key = ? AND run_id = ?"
    columns = "grades (suite, case_id, request_key, run_id, grader, score, detail, rater, graded_at)"
    write = insert("INSERT OR REPLACE", columns, 9)
    own, at = f"{PEOPLE}#{verdict.rater}", naive_utc(verdict.given_at)
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
        con.execute("INSERT OR IGNORE INTO blind_reveals VALUES (?, ?, ?)", [batch_id, rater, naive_utc(at)])


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
