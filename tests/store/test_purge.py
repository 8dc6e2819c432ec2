"""Purging: texts are gone from rows and raw bytes, numbers stay, and nothing is lost when something is in the way."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from routebench.cli import main
from routebench.errors import StoreError, StoreLockedError
from routebench.run import purge_all
from routebench.run.journal import journals
from routebench.store import Cell, Store, add_completions, add_grades, purge, register
from routebench.suites import content_hash
from tests.conftest import make_case, make_model

EARLY, BETWEEN, LATE, AFTER = (
    datetime.fromisoformat(day) for day in ("2026-01-01", "2026-03-01", "2026-06-01", "2027-01-01")
)
MODEL = make_model()


def completion(key: str, run: str, at: datetime, secret: str) -> dict[str, Any]:
    return {
        "request_key": key,
        "run_id": run,
        "status": "ok",
        "text": f"{secret} text",
        "error": f"{secret} error",
        "reasoning": f"{secret} thought",
        "tool_calls": [{"id": "1", "name": "f", "arguments": f"{secret} call"}],
        "usage_raw": {"note": f"{secret} usage"},
        "cost_usd": 0.5,
        "latency_s": 1.5,
        "started_at": at,
    }


def grade(case_id: str, key: str, run: str, secret: str) -> dict[str, Any]:
    told = {"grader": "judge", "score": 0.5, "detail": f"{secret} detail"}
    return {"suite": "s", "case_id": case_id, "request_key": key, "run_id": run, **told}


def add_cases(store: Store, mark: str = "m") -> None:
    cases = [
        make_case(
            name,
            f"secret-{name} prompt",
            f"secret-{name} target",
            "judge",
            options={"rubric": f"secret-{name} rubric"},
            group=f"g{name}",
        )
        for name in "ab"
    ]
    register(
        store,
        suite="s",
        run_id="r",
        cases=[(case, content_hash(case)) for case in cases],
        models=[(MODEL, "k")],
        cells=[Cell(name, MODEL.name, 0, "k", f"key-{name}") for name in "ab"],
        at=EARLY,
        mark=mark,
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Case a was answered early and late, case b late; each answer was judged after it."""
    store = Store(tmp_path / "s.duckdb", lock_timeout_s=0.3)
    add_cases(store)
    rows = [("a", "r1", EARLY, "secret-a1"), ("a", "r2", LATE, "secret-a2"), ("b", "r2", LATE, "secret-b")]
    add_completions(store, [completion(f"key-{name}", run, at, secret) for name, run, at, secret in rows])
    add_completions(store, [completion("verdict", "r2", LATE, "secret-verdict")])
    add_grades(store, [grade(name, f"key-{name}", run, secret) for name, run, _, secret in rows])
    return store


def left(folder: Path) -> set[str]:
    data = b"".join(path.read_bytes() for path in folder.iterdir())
    names = ("a", "a1", "a2", "b", "verdict")
    return {name for name in names if f"secret-{name} ".encode() in data}


def numbers(store: Store) -> list[Any]:
    with store.connect() as con:
        found = con.execute("SELECT request_key, run_id, cost_usd, latency_s FROM completions ORDER BY ALL").fetchall()
        return [*found, *con.execute("SELECT case_id, run_id, grader, score FROM grades ORDER BY ALL").fetchall()]


@pytest.mark.parametrize(
    ("what", "n_cases", "n_answers", "remain"),
    [
        ({"cases": ["a"]}, 1, 3, {"b"}),
        ({"groups": ["gb"]}, 1, 2, {"a", "a1", "a2"}),
        # Of case a the later answer, and so the case, stays; verdicts may speak of the early one.
        ({"before": BETWEEN}, 0, 2, {"a", "a2", "b"}),
        ({"before": AFTER}, 2, 4, set()),
        ({"cases": ["a"], "groups": ["gb"]}, 2, 4, set()),
    ],
)
def test_texts_go_from_every_row_and_byte_and_numbers_stay(
    tmp_path: Path, store: Store, what: dict[str, Any], n_cases: int, n_answers: int, remain: set[str]
) -> None:
    assert left(tmp_path) == {"a", "a1", "a2", "b", "verdict"}
    before = numbers(store)
    purged = purge(store, **what)
    assert (purged.n_cases, purged.n_answers) == (n_cases, n_answers)
    assert left(tmp_path) == remain
    assert numbers(store) == before
    assert [path.name for path in tmp_path.iterdir()] == ["s.duckdb"]


def test_views_keys_and_types_are_as_before_and_any_client_opens_the_file(tmp_path: Path, store: Store) -> None:
    def schema() -> list[Any]:
        with store.connect() as con:
            return (
                con.execute(
                    "SELECT table_name, column_name, data_type, column_default FROM information_schema.columns ORDER BY ALL"
                ).fetchall()
                + con.execute(
                    "SELECT table_name, constraint_type, constraint_column_names::VARCHAR FROM duckdb_constraints() "
                    "WHERE database_name = current_database() ORDER BY ALL"
                ).fetchall()
            )

    before = [row[1:] if row[0].startswith("store_") else row for row in schema()]
    purge(store, cases=["a"])
    assert schema() == before
    add_completions(store, [completion("key-b", "r2", LATE, "zebra")])
    assert "zebra" not in (tmp_path / "s.duckdb").read_bytes().decode(errors="ignore")
    script = f"import duckdb; print(duckdb.connect({str(store.path)!r}).execute('FROM outcomes').fetchall())"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, timeout=60).stdout


def test_registering_the_same_cases_again_does_not_bring_a_text_back(tmp_path: Path, store: Store) -> None:
    purge(store, cases=["a"])
    add_cases(store, mark="another")
    assert left(tmp_path) == {"b"}


def test_what_is_not_there_is_told_and_nothing_changes(
    tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StoreError, match="nothing there is meant"):
        purge(store, cases=["zz"])
    assert len(left(tmp_path)) == 5
    for command in ([], ["--case", "zz"], ["--group", "zz"], ["--before", "1999-01-01"]):
        assert main(["purge", "--store", str(store.path), *command]) == 2
    assert main(["purge", "--store", str(tmp_path / "other.duckdb"), "--case", "a"]) == 2
    with pytest.raises(SystemExit, match="2"):
        main(["purge", "--store", str(store.path), "--before", "soon"])
    capsys.readouterr()
    assert main(["purge", "--store", str(store.path), "--case", "a", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"n_cases": 1, "n_answers": 3}


def test_a_journal_that_was_left_behind_is_purged_too(tmp_path: Path, store: Store) -> None:
    row = completion("key-a", "killed", LATE, "secret-a2")
    row["started_at"] = row["started_at"].isoformat()
    told = {**grade("a", "key-a", "killed", "secret-a2"), "graded_at": "2026-06-01T00:00:00"}
    (tmp_path / ".s.duckdb.killed.000001.journal").write_text(json.dumps({**row, "grades": [told]}) + "\n")
    assert purge_all(store, cases=["a"]).n_answers == 4
    assert left(tmp_path) == {"b"}
    assert journals(store) == []


def test_a_journal_of_a_run_that_goes_on_is_left_alone(tmp_path: Path, store: Store) -> None:
    from filelock import FileLock

    (tmp_path / ".s.duckdb.live.000001.journal").write_text("")
    with FileLock(tmp_path / ".s.duckdb.live.lock"), pytest.raises(StoreError, match="a run goes on"):
        purge_all(store, cases=["a"])
    assert len(left(tmp_path)) == 5


HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


def test_a_second_process_that_holds_the_store_is_named(tmp_path: Path, store: Store) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(store.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    holder.stdout.readline()
    with pytest.raises(StoreLockedError, match=f"held by process {holder.pid}"):
        purge(store, cases=["a"])
    holder.stdin.close()
    holder.wait(20)
    holder.stdout.close()
    purge(store, cases=["a"])
    assert left(tmp_path) == {"b"}


WRITE = """\
import sys
from routebench.store import Store, add_completions
print("ready", flush=True)
for number in range(40):
    store = Store(sys.argv[1])
    add_completions(store, [{"request_key": f"w{number}", "run_id": "w", "status": "ok"}])
"""


def test_what_another_process_writes_meanwhile_is_not_lost(store: Store) -> None:
    store = Store(store.path, lock_timeout_s=30)
    writer = subprocess.Popen([sys.executable, "-c", WRITE, str(store.path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()
    while writer.poll() is None:
        purge(store, cases=["a"])
    writer.stdout.close()
    assert writer.returncode == 0
    with store.connect() as con:
        assert con.execute("SELECT count(*) FROM completions WHERE run_id = 'w'").fetchone() == (40,)


def test_other_threads_wait_and_lose_nothing(store: Store) -> None:
    def work() -> None:
        for number in range(10):
            add_completions(store, [{"request_key": f"t{number}", "run_id": "t", "status": "ok"}])
            time.sleep(0.001)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(3):
        purge(store, cases=["a"])
    thread.join()
    with store.connect() as con:
        assert con.execute("SELECT count(*) FROM completions WHERE run_id = 't'").fetchone() == (10,)


FULL = """\
import resource, sys
from routebench.errors import StoreError
from routebench.store import Store, purge
store = Store(sys.argv[1])
with store.connect() as con:
    con.execute("CHECKPOINT")
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    purge(store, cases=["a"])
except StoreError as error:
    print(error)
"""


def test_a_full_disk_while_rewriting_leaves_the_store_usable(tmp_path: Path, store: Store) -> None:
    with store.connect() as con:
        # Noise that does not compress: the new file cannot hold it.
        con.execute(
            "CREATE TABLE noise AS SELECT md5(i::VARCHAR) || md5((i + 1)::VARCHAR) AS x FROM range(200000) t(i)"
        )
    before = numbers(store)
    ended = subprocess.run(
        [sys.executable, "-c", FULL, str(store.path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert "purging did not end" in ended.stdout, ended.stderr
    assert "make room and purge again" in ended.stdout
    assert [path.name for path in tmp_path.iterdir() if "rewritten" in path.name] == []
    assert numbers(store) == before
    purge(store, cases=["a"])
    assert left(tmp_path) == {"b"}


def test_a_file_that_cannot_take_its_place_leaves_the_store_usable(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["routebench.store.purge"].os, "replace", refuse)
        with pytest.raises(StoreError, match="No space left on device"):
            purge(store, cases=["a"])
    assert [path.name for path in tmp_path.iterdir()] == ["s.duckdb"]
    purge(store, cases=["a"])
    assert left(tmp_path) == {"b"}
