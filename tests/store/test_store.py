from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from routebench.errors import StoreError, StoreLockedError
from routebench.store import (
    Cell,
    Store,
    add_completions,
    add_grades,
    answered,
    read_cases,
    read_models,
    read_outcomes,
    register,
    ungraded,
)
from routebench.store.migrations import MIGRATIONS, m001_first
from routebench.suites import content_hash, load_suite
from routebench.types import Model
from tests.conftest import make_case, make_model

AT = datetime(2026, 11, 23, tzinfo=UTC)


def filled(path: Path, *models: Model) -> Store:
    store = Store(path)
    cases = [make_case("b", category="x", group="g", stakes_usd=5.0, tags=("public",)), make_case("a", split="test")]
    models = models or (make_model(),)
    cells = [
        Cell(case.id, model.name, 0, f"m-{model.name}", f"{case.id}-{model.name}") for case in cases for model in models
    ]
    register(
        store,
        suite="s",
        run_id="r1",
        cases=[(case, content_hash(case)) for case in cases],
        models=[(model, f"m-{model.name}") for model in models],
        cells=cells,
        at=AT,
    )
    return store


def row(key: str, run: str = "r1", **fields: object) -> dict[str, object]:
    return {"request_key": key, "run_id": run, "status": "ok", "text": "yes", "started_at": AT, "attempts": 1, **fields}


def test_cases_and_models_come_back_as_they_were(tmp_path: Path) -> None:
    model = make_model(
        "m", system="Be brief.", few_shot=({"role": "user", "content": "q"},), capabilities=frozenset({"tools"})
    )
    store = filled(tmp_path / "s.duckdb", model)
    assert read_cases(store, "s") == [
        make_case("b", category="x", group="g", stakes_usd=5.0, tags=("public",)),
        make_case("a", split="test"),
    ]
    assert read_models(store, "s") == [model]


def test_every_cell_has_a_row_and_the_unknown_stays_unknown(tmp_path: Path) -> None:
    store = filled(tmp_path / "s.duckdb")
    add_completions(store, [row("a-small", cost_usd=None, latency_s=0.5)])
    frame = read_outcomes(store, "s").set_index("case_id")
    assert frame.loc["a", "status"] == "ok"
    assert frame.loc["a", ["cost_usd", "score"]].isna().all()
    assert frame.loc["b", ["status", "cost_usd"]].isna().all()


def test_an_answer_wins_over_a_later_error_and_a_newer_answer_over_an_older(tmp_path: Path) -> None:
    store = filled(tmp_path / "s.duckdb")
    later = AT.replace(day=24)
    add_completions(store, [
        row("a-small", latency_s=1.0),
        row("a-small", "r2", status="error", error_kind="timeout", text=None, started_at=later),
        row("b-small", latency_s=1.0),
        row("b-small", "r2", latency_s=2.0, started_at=later),
    ])  # fmt: skip
    frame = read_outcomes(store, "s").set_index("case_id")
    assert frame.loc["a", "status"] == "ok"
    assert frame.loc["b", "latency_s"] == 2.0
    assert answered(store, ["a-small", "b-small", "never"]) == {"a-small": None, "b-small": None}


def test_the_kind_of_the_latest_error_is_told(tmp_path: Path) -> None:
    store = filled(tmp_path / "s.duckdb")
    add_completions(store, [row("a-small", status="error", error_kind="abstained", text=None)])
    assert answered(store, ["a-small"]) == {"a-small": "abstained"}


def test_adding_twice_changes_nothing(tmp_path: Path) -> None:
    store = filled(tmp_path / "s.duckdb")
    for text in ("first", "second"):
        add_completions(store, [row("a-small", text=text)])
    with store.connect() as con:
        assert con.execute("SELECT text FROM completions").fetchall() == [("first",)]


def test_a_grade_counts_only_for_the_case_s_own_grader(tmp_path: Path) -> None:
    store = filled(tmp_path / "s.duckdb")
    add_completions(store, [row("a-small")])
    assert [answer.case_id for answer in [answer for part in ungraded(store, "s") for answer in part]] == ["a"]
    grade = {"suite": "s", "case_id": "a", "request_key": "a-small", "run_id": "r1", "score": 1.0, "graded_at": AT}
    add_grades(store, [{**grade, "grader": "contains"}])
    assert read_outcomes(store, "s")["score"].isna().all()
    add_grades(store, [{**grade, "grader": "exact"}])
    assert read_outcomes(store, "s").set_index("case_id").loc["a", "score"] == 1.0
    assert [answer for part in ungraded(store, "s") for answer in part] == []


def test_any_duckdb_client_opens_it_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    filled(path)
    with duckdb.connect(str(path), read_only=True) as con:
        assert con.sql("SELECT count(*) FROM outcomes").fetchall() == [(2,)]


def test_an_unknown_suite_names_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="it holds s"):
        read_cases(filled(tmp_path / "s.duckdb"), "starter")


def test_what_is_not_a_store_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.duckdb"
    path.write_text("hello " * 100)
    with pytest.raises(StoreError, match="left as it is"):
        Store(path)
    assert path.read_text() == "hello " * 100


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="choose another"):
        Store(tmp_path / "file" / "s.duckdb")
    with pytest.raises(StoreError, match="no such file"):
        Store.existing(tmp_path / "absent.duckdb")


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    Store(path)
    with duckdb.connect(str(path)) as con:
        con.execute("INSERT INTO schema_version VALUES (99)")
    with pytest.raises(StoreError, match="newer routebench"):
        Store(path)


def test_a_store_held_by_another_process_names_it_after_waiting(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    Store(path)
    hold = f"import duckdb, sys; con = duckdb.connect({str(path)!r}); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        holder.stdout.readline()
        naps: list[float] = []
        ticks = iter(range(100))
        with pytest.raises(StoreLockedError, match=f"process {holder.pid}"):
            Store(path, lock_timeout_s=3, sleep=naps.append, clock=lambda: float(next(ticks)))
        assert naps
        holder.stdin.close()
    Store(path)


def test_a_store_of_the_first_version_opens_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "old.duckdb"
    con = duckdb.connect()
    con.execute(f"ATTACH '{path}' AS old (STORAGE_VERSION 'v1.5.0')")
    con.execute("USE old")
    m001_first(con)
    con.execute("CREATE TABLE schema_version (version INTEGER)")
    con.execute("INSERT INTO schema_version VALUES (1)")
    con.execute(
        "INSERT INTO completions (request_key, run_id, status, text, attempts) VALUES ('k', 'r', 'ok', 'old', 2)"
    )
    con.close()
    store = Store(path)
    with store.connect() as con:
        row = con.execute(
            "SELECT text, attempts, wasted_cost_usd, price_source, tool_calls FROM completions"
        ).fetchone()
        assert row == ("old", 2, None, None, None)
        assert con.execute("SELECT max(version) FROM schema_version").fetchone() == (len(MIGRATIONS),)
    add_completions(store, [row_of_now])
    assert answered(store, ["k", "new"]) == {"k": None, "new": None}


row_of_now = {"request_key": "new", "run_id": "r", "status": "ok", "tool_calls": [{"name": "look"}], "started_at": AT}


def test_a_file_is_held_only_while_it_is_used(tmp_path: Path) -> None:
    store = filled(tmp_path / "s.duckdb")
    with store.connect() as con:
        con.execute("BEGIN")
        con.execute("DELETE FROM cases")
    code = (
        f"import duckdb; print(duckdb.connect({str(store.path)!r}).execute('SELECT count(*) FROM cases').fetchone()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    # What was not committed is undone.
    assert (done.stdout.strip(), done.stderr) == ("2", "")


def test_many_threads_and_two_files_at_once(tmp_path: Path) -> None:
    stores = [filled(tmp_path / f"{name}.duckdb") for name in ("one", "two")]

    def work(number: int) -> None:
        add_completions(stores[number % 2], [row(f"k{number}")])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    for store in stores:
        with store.connect() as con:
            assert con.execute("SELECT count(*) FROM completions").fetchone() == (20,)


def test_what_the_caller_knows_is_kept_for_conditions_on_it(tmp_path: Path) -> None:
    path, store = tmp_path / "s.jsonl", Store(tmp_path / "s.duckdb")
    for known in ({"data_class": "eu", "at": "2026-11-25T09:00:00Z"}, {"data_class": "us"}, {}):
        path.write_text(json.dumps({"id": "a", "prompt": "hi", "metadata": known}) + "\n")
        case = load_suite(path)["a"]
        register(store, suite="s", run_id="r", cases=[(case, content_hash(case))], models=[], cells=[], at=AT)
        assert [one.request.metadata for one in read_cases(store, "s")] == [known]
        # It changes who answers, not what is asked.
        assert content_hash(case) == content_hash(make_case("a", target=None, grader="none"))


def test_a_snapshot_holds_the_same_and_what_is_written_to_it_stays_there(tmp_path: Path) -> None:
    store = filled(tmp_path / "s.duckdb")
    add_completions(store, [row("a-small")])
    (tmp_path / "copy").mkdir()
    before = store.path.read_bytes()
    copy = Store.snapshot(store.path, tmp_path / "copy")
    assert copy.path == tmp_path / "copy" / "s.duckdb"
    assert read_outcomes(copy, "s").equals(read_outcomes(store, "s"))
    add_completions(copy, [row("b-small")])
    assert store.path.read_bytes() == before
    assert len(answered(copy, ["a-small", "b-small"])) == 2
    assert len(answered(store, ["a-small", "b-small"])) == 1


def test_a_snapshot_of_an_older_store_leaves_it_at_its_version(tmp_path: Path) -> None:
    con = duckdb.connect()
    con.execute(f"ATTACH '{tmp_path / 'old.duckdb'}' AS old (STORAGE_VERSION 'v1.5.0')")
    con.execute("USE old")
    m001_first(con)
    con.execute("CREATE TABLE schema_version (version INTEGER)")
    con.execute("INSERT INTO schema_version VALUES (1)")
    con.close()
    before = (tmp_path / "old.duckdb").read_bytes()
    (tmp_path / "copy").mkdir()
    copy = Store.snapshot(tmp_path / "old.duckdb", tmp_path / "copy")
    with copy.connect() as con:
        assert con.execute("SELECT max(version) FROM schema_version").fetchone() == (len(MIGRATIONS),)
    assert (tmp_path / "old.duckdb").read_bytes() == before


def test_a_snapshot_through_a_symlink_is_of_the_file_that_it_means(tmp_path: Path) -> None:
    store = filled(tmp_path / "s.duckdb")
    (tmp_path / "current.duckdb").symlink_to(store.path)
    (tmp_path / "copy").mkdir()
    copy = Store.snapshot(tmp_path / "current.duckdb", tmp_path / "copy")
    assert read_outcomes(copy, "s").equals(read_outcomes(store, "s"))


def test_a_snapshot_of_what_is_no_store_or_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "text.duckdb").write_text("no store")
    for name in ("none.duckdb", "text.duckdb"):
        with pytest.raises(StoreError, match=name):
            Store.snapshot(tmp_path / name, tmp_path / "copy")
    assert not list((tmp_path / "copy").iterdir())
