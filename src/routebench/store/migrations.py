"""The store's schema as numbered steps, forward only; a store of any earlier version opens."""

from __future__ import annotations

from collections.abc import Callable

import duckdb

from routebench.errors import StoreError


def m001_first(con: duckdb.DuckDBPyConnection) -> None:
    """Runs, cases, models, cells, completions and grades, and the views that join them; every time is UTC."""
    con.execute("""
        CREATE TABLE runs (
            run_id VARCHAR PRIMARY KEY, suite VARCHAR, plan_key VARCHAR, config JSON,
            started_at TIMESTAMP, finished_at TIMESTAMP, status VARCHAR, spend_usd DOUBLE
        )""")
    con.execute("""
        CREATE TABLE cases (
            suite VARCHAR, case_id VARCHAR, content_hash VARCHAR, messages JSON, request JSON, target JSON,
            grader VARCHAR, grader_options JSON, category VARCHAR, tags VARCHAR[], group_key VARCHAR,
            weight DOUBLE, stakes_usd DOUBLE, split VARCHAR, position BIGINT,
            PRIMARY KEY (suite, case_id)
        )""")
    con.execute("""
        CREATE TABLE models (
            model_key VARCHAR, name VARCHAR, provider VARCHAR, model_id VARCHAR, params JSON, price JSON,
            price_source VARCHAR, price_date DATE, settings JSON, registered_at TIMESTAMP,
            PRIMARY KEY (model_key, name)
        )""")
    con.execute("""
        CREATE TABLE cells (
            suite VARCHAR, case_id VARCHAR, model VARCHAR, sample INTEGER,
            model_key VARCHAR, request_key VARCHAR, run_id VARCHAR,
            PRIMARY KEY (suite, case_id, model, sample)
        )""")
    con.execute("""
        CREATE TABLE completions (
            request_key VARCHAR, run_id VARCHAR, status VARCHAR, error_kind VARCHAR, error VARCHAR, text VARCHAR,
            finish_reason VARCHAR, raw_finish_reason VARCHAR, served_model VARCHAR,
            input_tokens BIGINT, cached_input_tokens BIGINT, cache_write_tokens BIGINT, output_tokens BIGINT,
            reasoning_tokens BIGINT, usage_raw JSON, cpu_s DOUBLE, cost_usd DOUBLE, billed_cost_usd DOUBLE,
            service_tier VARCHAR, queue_s DOUBLE, ttft_s DOUBLE, latency_s DOUBLE, attempts INTEGER,
            started_at TIMESTAMP,
            PRIMARY KEY (request_key, run_id)
        )""")
    con.execute("""
        CREATE TABLE grades (
            suite VARCHAR, case_id VARCHAR, request_key VARCHAR, run_id VARCHAR, grader VARCHAR, score DOUBLE,
            detail VARCHAR, grader_cost_usd DOUBLE, rater VARCHAR, graded_at TIMESTAMP,
            PRIMARY KEY (suite, case_id, request_key, run_id, grader)
        )""")
    # One row a cell. An ok completion wins over a newer error: what was answered once stays answered.
    con.execute("""
        CREATE VIEW answers AS
        WITH ranked AS (
            SELECT *, row_number() OVER (
                PARTITION BY request_key ORDER BY (status = 'ok') DESC, started_at DESC NULLS LAST, run_id DESC
            ) AS place
            FROM completions
        )
        SELECT
            cells.suite, cells.case_id, cells.model, cells.sample, cells.model_key, cells.request_key,
            ranked.run_id, ranked.status, ranked.error_kind, ranked.error, ranked.text,
            grades.score, grades.detail, ranked.cost_usd, ranked.billed_cost_usd, ranked.latency_s, ranked.ttft_s,
            ranked.queue_s, ranked.input_tokens, ranked.output_tokens, ranked.attempts,
            cases.category, cases.group_key, cases.split, cases.position
        FROM cells
        JOIN cases ON cases.suite = cells.suite AND cases.case_id = cells.case_id
        LEFT JOIN ranked ON ranked.request_key = cells.request_key AND ranked.place = 1
        LEFT JOIN grades ON grades.suite = cells.suite AND grades.case_id = cells.case_id
            AND grades.request_key = cells.request_key AND grades.run_id = ranked.run_id
            AND grades.grader = cases.grader""")
    con.execute("""
        CREATE VIEW outcomes AS
        SELECT suite, case_id, model, sample, status, error_kind, score, cost_usd, latency_s, ttft_s,
               input_tokens, output_tokens, category, group_key, split
        FROM answers""")


def m002_whole_answers(con: duckdb.DuckDBPyConnection) -> None:
    """What a provider says besides text, where a cost is from, what failed attempts used up, and what is registered.

    Waste of older rows stays unknown.
    """
    for column in (
        "tool_calls JSON",
        "reasoning VARCHAR",
        "request_id VARCHAR",
        "reported_cost_usd DOUBLE",
        "price_source VARCHAR",
        "price_date DATE",
        "wasted_input_tokens BIGINT",
        "wasted_output_tokens BIGINT",
        "wasted_cost_usd DOUBLE",
    ):
        con.execute(f"ALTER TABLE completions ADD COLUMN {column}")
    con.execute("CREATE TABLE registered (suite VARCHAR PRIMARY KEY, mark VARCHAR)")


def m003_what_counts(con: duckdb.DuckDBPyConnection) -> None:
    """Which completion of a request counts becomes a view of its own: an anti-join, four times as fast as ranking."""
    # An ok completion wins over a newer error: what was answered once stays answered.
    con.execute("""
        CREATE VIEW latest AS
        SELECT c.* FROM completions c WHERE NOT EXISTS (
            SELECT 1 FROM completions other
            WHERE other.request_key = c.request_key AND other.run_id <> c.run_id
                AND (other.status = 'ok', coalesce(other.started_at, TIMESTAMP '-infinity'), other.run_id)
                    > (c.status = 'ok', coalesce(c.started_at, TIMESTAMP '-infinity'), c.run_id))""")
    con.execute("""
        CREATE OR REPLACE VIEW answers AS
        SELECT
            cells.suite, cells.case_id, cells.model, cells.sample, cells.model_key, cells.request_key,
            latest.run_id, latest.status, latest.error_kind, latest.error, latest.text,
            grades.score, grades.detail, latest.cost_usd, latest.billed_cost_usd, latest.latency_s, latest.ttft_s,
            latest.queue_s, latest.input_tokens, latest.output_tokens, latest.attempts,
            cases.category, cases.group_key, cases.split, cases.position
        FROM cells
        JOIN cases ON cases.suite = cells.suite AND cases.case_id = cells.case_id
        LEFT JOIN latest ON latest.request_key = cells.request_key
        LEFT JOIN grades ON grades.suite = cells.suite AND grades.case_id = cells.case_id
            AND grades.request_key = cells.request_key AND grades.run_id = latest.run_id
            AND grades.grader = cases.grader""")


def m004_texts_that_go(con: duckdb.DuckDBPyConnection) -> None:
    """Whether a case's text is kept, who looked at sealed cases, where imports are from, and the order of models."""
    con.execute("ALTER TABLE models ADD COLUMN place INTEGER")
    con.execute("ALTER TABLE cases ADD COLUMN has_text BOOLEAN DEFAULT true")
    con.execute("CREATE TABLE looks (suite VARCHAR, rules VARCHAR, policy_sha256 VARCHAR, looked_at TIMESTAMP)")
    con.execute("""
        CREATE TABLE imports (
            suite VARCHAR, format VARCHAR, file VARCHAR, is_log BOOLEAN, imported_at TIMESTAMP,
            PRIMARY KEY (suite, format, file)
        )""")


def m005_looks_at_test_halves(con: duckdb.DuckDBPyConnection) -> None:
    """Which part of a suite was looked at: the sealed cases, as all looks until now, or the test half of a split."""
    con.execute("ALTER TABLE looks ADD COLUMN part VARCHAR DEFAULT 'sealed'")
    con.execute("ALTER TABLE looks ADD COLUMN seed BIGINT")


def m006_blind_batches(con: duckdb.DuckDBPyConnection) -> None:
    """What was drawn to be graded by people who see no name, what each of them said, and when they were told."""
    con.execute("""
        CREATE TABLE blind_batches (
            batch_id VARCHAR PRIMARY KEY, suite VARCHAR, kind VARCHAR, opponent VARCHAR, scale VARCHAR, seed BIGINT,
            models VARCHAR[], counts JSON, drawn_at TIMESTAMP
        )""")
    con.execute("""
        CREATE TABLE blind_items (
            batch_id VARCHAR, place INTEGER, case_id VARCHAR, group_key VARCHAR, weight DOUBLE,
            left_model VARCHAR, left_key VARCHAR, left_run VARCHAR,
            right_model VARCHAR, right_key VARCHAR, right_run VARCHAR,
            doubtful BOOLEAN, chance DOUBLE, first_place INTEGER,
            PRIMARY KEY (batch_id, place)
        )""")
    # Only ever added to: a verdict that was taken back is a later row without one.
    con.execute("""
        CREATE TABLE blind_verdicts (
            batch_id VARCHAR, rater VARCHAR, number INTEGER, place INTEGER, verdict VARCHAR, note VARCHAR,
            taken_s DOUBLE, given_at TIMESTAMP,
            PRIMARY KEY (batch_id, rater, number)
        )""")
    con.execute("""
        CREATE TABLE blind_reveals (
            batch_id VARCHAR, rater VARCHAR, revealed_at TIMESTAMP,
            PRIMARY KEY (batch_id, rater)
        )""")
    # The chance of an answer to be drawn in any batch whose verdicts are grades, times how far people came in it. A
    # pair is a grade only of a case that a judge of pairs grades.
    con.execute("""
        CREATE VIEW blind_chances AS
        SELECT suite, case_id, if(left_model IS NULL, right_key, left_key) AS request_key,
            if(left_model IS NULL, right_run, left_run) AS run_id, round(1 - product(1 - chance * done), 9) AS chance
        FROM blind_items JOIN (
            SELECT suite, batch_id, opponent, count(DISTINCT said.place) / count(DISTINCT shown.place) AS done
            FROM blind_batches JOIN blind_items AS shown USING (batch_id)
            LEFT JOIN (
                SELECT batch_id, rater, place FROM blind_verdicts
                GROUP BY ALL HAVING arg_max(coalesce(verdict, ''), number) <> '') AS said
                ON said.batch_id = shown.batch_id AND said.place = shown.place
            WHERE opponent IS DISTINCT FROM 'model' AND shown.first_place IS NULL
            GROUP BY suite, batch_id, opponent) AS batches USING (batch_id) JOIN cases USING (suite, case_id)
        WHERE first_place IS NULL AND done > 0 AND (opponent IS NULL OR split_part(grader, '#', 1) = 'pairwise')
        GROUP BY 1, 2, 3, 4""")


MIGRATIONS: tuple[Callable[[duckdb.DuckDBPyConnection], None], ...] = (
    m001_first,
    m002_whole_answers,
    m003_what_counts,
    m004_texts_that_go,
    m005_looks_at_test_halves,
    m006_blind_batches,
)


def migrate(con: duckdb.DuckDBPyConnection, path: str) -> None:
    """Brings an attached store up to date.

    Raises:
        StoreError: a newer version of routebench wrote the store.
    """
    con.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER)")
    row = con.execute("SELECT max(version) FROM schema_version").fetchone()
    version = row[0] if row and row[0] is not None else 0
    if version > len(MIGRATIONS):
        raise StoreError(
            f"{path}: written by a newer routebench (schema {version}, this one knows {len(MIGRATIONS)}); "
            "upgrade: pip install -U 'routebench[lab]'"
        )
    for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
        con.execute("BEGIN")
        step(con)
        con.execute("INSERT INTO schema_version VALUES (?)", [number])
        con.execute("COMMIT")
