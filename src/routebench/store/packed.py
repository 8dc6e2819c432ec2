"""From a store to a pack and back: a pack opens as a store of its own, so that everything that reads one takes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routebench.errors import StoreError
from routebench.store.pack import PackInfo, RecordedPolicy, is_pack, model_rows, read_pack, write_pack
from routebench.store.queries import read_cases
from routebench.store.store import Store, scratch_folder

if TYPE_CHECKING:
    import pyarrow as pa

KeyOf = Callable[[str, str, str, str, int], str | None]
"""(case id, content hash, model, model key, sample) -> the request key under which a run would look for the answer."""

_CELLS = """
    SELECT cases.case_id, cases.content_hash, cases.grader, cases.category, cases.tags, cases.group_key, cases.weight,
        cases.stakes_usd, cases.split, cells.model, cells.sample, latest.status, latest.error_kind,
        grades.score, grades.rater, people.score AS human, drawn.chance AS human_chance, latest.cost_usd,
        latest.latency_s, latest.ttft_s,
        latest.input_tokens, latest.cached_input_tokens, latest.output_tokens
    FROM cases
    LEFT JOIN cells ON cells.suite = cases.suite AND cells.case_id = cases.case_id
    LEFT JOIN latest ON latest.request_key = cells.request_key
    LEFT JOIN grades ON grades.suite = cases.suite AND grades.case_id = cases.case_id
        AND grades.request_key = latest.request_key AND grades.run_id = latest.run_id AND grades.grader = cases.grader
    LEFT JOIN grades people ON people.suite = cases.suite AND people.case_id = cases.case_id
        AND people.request_key = latest.request_key AND people.run_id = latest.run_id AND people.grader = 'human'
    LEFT JOIN blind_chances drawn ON drawn.suite = cases.suite AND drawn.case_id = cases.case_id
        AND drawn.request_key = latest.request_key AND drawn.run_id = latest.run_id
    WHERE cases.suite = ?
    ORDER BY cases.case_id, cells.model, cells.sample"""
_MODELS = """
    SELECT m.model_key, m.name, m.provider, m.model_id, m.params, m.price, m.price_source, m.price_date, m.settings
    FROM models m WHERE (m.model_key, m.name) IN (SELECT model_key, model FROM cells WHERE suite = ?)
    ORDER BY m.registered_at, m.place, m.rowid"""
# The only name that is put into these is our own.
_INTO = (
    """INSERT INTO cases BY NAME
        SELECT $suite AS suite, case_id, any_value(content_hash) AS content_hash, '[]'::JSON AS messages,
            any_value(grader) AS grader, any_value(to_json({'name': split_part(grader, '#', 1)})) AS grader_options,
            any_value(category) AS category, any_value(tags) AS tags, any_value(group_key) AS group_key,
            any_value(weight) AS weight, any_value(stakes_usd) AS stakes_usd, any_value(split) AS split,
            row_number() OVER (ORDER BY case_id) - 1 AS position, false AS has_text
        FROM incoming GROUP BY case_id""",
    """INSERT OR IGNORE INTO completions BY NAME
        SELECT request_key, 'pack' AS run_id, status, error_kind, input_tokens, cached_input_tokens, output_tokens,
            cost_usd, 'standard' AS service_tier, ttft_s, latency_s, 1 AS attempts
        FROM incoming WHERE status IS NOT NULL""",
    """INSERT INTO cells BY NAME
        SELECT $suite AS suite, case_id, model, sample, model_key, request_key, 'pack' AS run_id
        FROM incoming WHERE model IS NOT NULL""",
    """INSERT OR IGNORE INTO grades BY NAME
        SELECT $suite AS suite, case_id, request_key, 'pack' AS run_id, grader, score, rater
        FROM incoming WHERE status = 'ok'""",
    """INSERT OR IGNORE INTO grades BY NAME
        SELECT $suite AS suite, case_id, request_key, 'pack' AS run_id, 'human' AS grader, human AS score
        FROM incoming WHERE human IS NOT NULL""",
)
_INTO_BATCH = (
    """INSERT INTO blind_batches BY NAME
        SELECT 'pack' AS batch_id, $suite AS suite, 'score' AS kind, 0 AS seed, '{}'::JSON AS counts""",
    """INSERT INTO blind_items BY NAME
        SELECT 'pack' AS batch_id, row_number() OVER (ORDER BY case_id, model, sample) - 1 AS place, case_id,
            model AS left_model, request_key AS left_key, 'pack' AS left_run, human_chance AS chance
        FROM incoming WHERE human_chance IS NOT NULL""",
    # How far people came is in the chances already.
    """INSERT INTO blind_verdicts BY NAME
        SELECT 'pack' AS batch_id, 'pack' AS rater, place AS number, place, 'graded' AS verdict
        FROM blind_items""",
)


def pack_suite(store: Store, suite: str, path: str | Path, policies: Sequence[RecordedPolicy] = ()) -> PackInfo:
    """Writes the outcomes of a suite without any text.

    Args:
        store: where they are.
        suite: the suite's name.
        path: of the pack.
        policies: decisions of rule sets to record with it.

    Raises:
        StoreError: the store holds no such suite, or the file cannot be written.
    """
    with store.connect() as con:
        cells: pa.Table = con.sql(_CELLS, params=[suite]).to_arrow_table()
        cursor = con.execute(_MODELS, [suite])
        names = [column[0] for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    if not cells.num_rows:
        read_cases(store, suite)
    # Without blind batches a pack is what it was before there were any.
    if cells.column("human_chance").null_count == cells.num_rows:
        cells = cells.drop_columns("human_chance")
    return write_pack(Path(path), suite, cells, model_rows(rows), policies)


def open_store(path: str | Path, *, lock_timeout_s: float = 30.0, key_of: KeyOf | None = None) -> Store:
    """Opens a store that must be there, or a pack as a store that lasts as long as the process.

    Args:
        path: of the file.
        lock_timeout_s: longest wait for another process that holds it.
        key_of: finds the keys under which a run looks for the answers of a pack.

    Raises:
        StoreError: there is no such file, or it is neither.
    """
    if not is_pack(path):
        return Store.existing(path, lock_timeout_s=lock_timeout_s)
    info, table = read_pack(path)
    store = Store(scratch_folder() / "pack.duckdb")
    store.pack = info
    _fill(store, info, table, key_of)
    return store


def _fill(store: Store, info: PackInfo, table: pa.Table, key_of: KeyOf | None) -> None:
    import pyarrow as pa

    keys = {row["name"]: row["model_key"] for row in info.models}
    told = zip(
        *(table.column(name).to_pylist() for name in ("case_id", "content_hash", "model", "sample")), strict=True
    )
    model_keys, request_keys = [], []
    for case_id, content, model, sample in told:
        key = keys.get(model)
        model_keys.append(key)
        found = None if key_of is None or key is None else key_of(case_id, content, model, key, sample)
        request_keys.append(
            found or hashlib.sha256(f"{info.suite}\x00{case_id}\x00{model}\x00{sample}".encode()).hexdigest()
        )
    incoming = table.append_column("model_key", pa.array(model_keys, pa.string()))
    incoming = incoming.append_column("request_key", pa.array(request_keys, pa.string()))
    with store.connect() as con:
        con.register("incoming", incoming)
        for statement in (*_INTO, *(_INTO_BATCH if "human_chance" in table.column_names else ())):
            con.execute(statement, {"suite": info.suite} if "$suite" in statement else None)
        con.unregister("incoming")
        for number, row in enumerate(info.models):
            con.execute(
                "INSERT INTO models BY NAME SELECT ? AS model_key, ? AS name, ? AS provider, ? AS model_id, "
                "?::JSON AS params, ?::JSON AS price, ? AS price_source, ?::DATE AS price_date, ?::JSON AS settings, "
                "make_timestamp(?) AS registered_at, 0 AS place",
                [*_model_values(row), number],
            )


def _model_values(row: Any) -> list[Any]:
    return [
        row["model_key"],
        row["name"],
        row["provider"],
        row["model_id"],
        json.dumps(row["params"]),
        None if row["price"] is None else json.dumps(row["price"]),
        row["price_source"],
        row["price_date"],
        json.dumps(row["settings"]),
    ]


def check_not_a_pack(store: Store, doing: str) -> None:
    """Raises where a store is a pack: what is written to it would be lost.

    Raises:
        StoreError: it is one.
    """
    if store.pack is not None:
        raise StoreError(f"{store.pack.path}: a pack is only read; {doing} needs the store that it was made from")
