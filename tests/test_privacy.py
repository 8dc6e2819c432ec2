"""Personal data from prompts and providers: nowhere on disk after a run, a kill, a purge, a pack or a shared report."""

from __future__ import annotations

import contextlib
import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from routebench.bench import Bench
from routebench.checking.evidence import evidence_gate
from routebench.cli import main
from routebench.store import Store
from tests.upstream import Reply, Upstream, chat_stream, serve

PLANTED = {
    "email": "planted.person@example.com",
    "phone": "+49 170 5557788",
    "card": "4111 1111 1111 1111",
    "iban": "DE89 3704 0044 0532 0130 00",
    "name": "Zoë Quistgaard",
}
ALL = ", ".join(PLANTED.values())
FORMS = [
    form.encode()
    for text in PLANTED.values()
    for form in {text, text.replace(" ", ""), json.dumps(text)[1:-1], text.upper(), "Quistgaard"}
]


def found_in(folder: Path) -> list[str]:
    """Files under a folder in which a planted text stands, as it is or behind a reader."""
    return sorted({path.name for path in folder.rglob("*") if path.is_file() for data in readings(path) if hit(data)})


def hit(data: bytes) -> bool:
    return any(form in data for form in FORMS)


def readings(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    yield data
    if data[:4] == b"PAR1":
        from pyarrow import parquet

        with parquet.ParquetFile(path) as file:
            yield json.dumps(file.read().to_pylist(), default=str, ensure_ascii=False).encode()
            yield repr(file.metadata.metadata).encode()
    elif path.suffix == ".duckdb":
        with Store(path).connect() as con:
            for (name,) in con.execute("SELECT table_name FROM information_schema.tables").fetchall():
                yield repr(con.execute(f'SELECT * FROM "{name}"').fetchall()).encode()
    elif data[:2] == b"\x1f\x8b":
        yield gzip.decompress(data)
    at = data.find(b"\x78\x9c")
    while 0 <= at < len(data):
        with contextlib.suppress(zlib.error):
            yield zlib.decompressobj().decompress(data[at:])
        at = data.find(b"\x78\x9c", at + 1)


NAMES = """\
def names(text):
    return text.replace("Zoë Quistgaard", "[name]")
"""


def echo(body: dict[str, Any], number: int) -> Reply:
    """Says all that it was asked, in every place that an answer has, and in errors."""
    asked = body["messages"][-1]["content"]
    if "You grade an answer" in asked:
        verdict = json.dumps({"reason": f"greets {ALL}", "score": 8}, ensure_ascii=False)
        return chat_stream(verdict, usage={"prompt_tokens": 9, "completion_tokens": 3})
    if "fail" in asked:
        told = json.dumps({"error": {"message": f"cannot: {asked}", "type": ALL, "code": ALL}}).encode()
        return Reply([told], status=400, headers={"content-type": "application/json"})
    call = {"index": 0, "id": "call_1", "function": {"name": "send", "arguments": json.dumps({"to": ALL, ALL: asked})}}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "note": ALL}
    deltas = [{"reasoning_content": f"think of {ALL}"}, {"reasoning": f"think of {ALL}"}]
    if "mail" in asked:
        deltas.append({"content": PLANTED["email"] if body["model"] == "one" else f"I do not know {ALL}"})
    else:
        deltas += [{"content": f"{asked} "}, {"tool_calls": [call]}]
    events: list[Any] = [{"model": "served", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    events.append({"choices": [], "usage": usage})
    return Reply([f"data: {json.dumps(event)}\n\n".encode() for event in events] + [b"data: [DONE]\n\n"])


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serve(echo) as server:
        yield server


CHEAP = "price: {input_usd_per_mtok: 0.1, output_usd_per_mtok: 0.2}"
PRICE = "price: {input_usd_per_mtok: 1, output_usd_per_mtok: 2}"


def rows(*, judged: bool) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for number in range(8):
        kind = ("mail", "all")[number % 2]
        made.append(
            {
                "id": f"c{number}",
                "prompt": f"{kind} {number}: {ALL}",
                "target": PLANTED["email"] if number < 6 else "nobody@example.com",
                "grader": "contains" if kind == "all" else "exact",
                "category": kind,
                "group": f"g{number // 2}",
                "tags": ["public"] if number == 7 else [],
            }
        )
    made.append({"id": "f", "prompt": f"fail: {ALL}", "target": "x", "grader": "exact", "group": "f"})
    if judged:
        made.append(
            {"id": "j", "prompt": f"greet {ALL}", "grader": {"name": "judge", "rubric": f"Greets {ALL}?"}, "group": "j"}
        )
    return made


def write(folder: Path, url: str, text: str, *, judged: bool = True) -> Path:
    """Writes a bench whose suite lies elsewhere: it is the user's, and holds what they planted."""
    folder.mkdir(exist_ok=True)
    own = folder.parent / "own"
    own.mkdir(exist_ok=True)
    suite = own / f"suite-{judged}.jsonl"
    suite.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows(judged=judged)))
    (own / "names.py").write_text(NAMES)
    redact = ", redact: ../own/names.py:names" if text == "redacted" else ""
    judges = f'judges:\n  - {{name: judge, provider: openai, base_url: "{url}", model: big, {PRICE}}}' if judged else ""
    (folder / "bench.yaml").write_text(
        f"""\
suite: {{path: ../own/{suite.name}, name: s}}
store: {{path: s.duckdb, text: {text}{redact}}}
models:
  - {{name: a, provider: openai, base_url: "{url}", model: one, params: {{max_tokens: 8}}, {PRICE}}}
  - {{name: b, provider: openai, base_url: "{url}", model: two, params: {{max_tokens: 8}}, {CHEAP}}}
limits: {{max_attempts: 1}}
{judges}
"""
    )
    return folder / "bench.yaml"


def run_all(config: Path) -> Bench:
    bench = Bench(config)
    bench.run().wait(30)
    bench.grade()
    judging = bench.judge()
    if judging is not None:
        judging.wait(30)
        bench.grade()
    return bench


def scores(bench: Bench) -> list[tuple[Any, ...]]:
    with bench.store.connect() as con:
        return con.execute("SELECT case_id, model, status, score, cost_usd FROM outcomes ORDER BY ALL").fetchall()


def test_the_planted_texts_are_found_where_everything_is_kept(tmp_path: Path, upstream: Upstream) -> None:
    run_all(write(tmp_path / "full", upstream.url, "full"))
    assert found_in(tmp_path / "full") == ["s.duckdb"]


@pytest.mark.parametrize(("text", "judged"), [("redacted", True), ("redacted", False), ("none", False)])
def test_nothing_planted_is_on_disk_after_a_run(tmp_path: Path, upstream: Upstream, text: str, judged: bool) -> None:
    folder = tmp_path / text
    bench = run_all(write(folder, upstream.url, text, judged=judged))
    assert found_in(folder) == []
    whole = run_all(write(tmp_path / "full", upstream.url, "full", judged=judged))
    assert scores(bench) == scores(whole)
    kept = bench.sql("SELECT text, error, tool_calls FROM completions")
    assert kept.notna().any().any() == (text == "redacted")
    store, suite = str(folder / "s.duckdb"), ["--suite", "s"]
    assert main(["report", "--store", store, *suite, "--out", str(folder / "r.html"), "--share"]) == 0
    assert main(["pack", "--store", store, *suite, "--out", str(folder / "p.rbpack")]) == 0
    assert main(["tune", "--store", store, *suite, "--out", str(folder / "rules.yaml")]) in (
        (0, 1) if kept.notna().any().any() else (2,)
    )
    assert found_in(folder) == []


def test_a_store_with_everything_shares_a_page_a_pack_and_rules_without_it(tmp_path: Path, upstream: Upstream) -> None:
    folder = tmp_path / "full"
    run_all(write(folder, upstream.url, "full"))
    out = tmp_path / "out"
    out.mkdir()
    store, suite = str(folder / "s.duckdb"), ["--suite", "s"]
    assert main(["report", "--store", store, *suite, "--out", str(out / "r.html"), "--share"]) == 0
    assert main(["pack", "--store", store, *suite, "--out", str(out / "p.rbpack")]) == 0
    for golden in ("starter", "none"):
        rules = str(out / f"{golden}.yaml")
        assert main(["tune", "--store", store, *suite, "--out", rules, "--golden", golden]) in (0, 1)
    assert found_in(out) == []


@pytest.mark.parametrize("text", ["redacted", "none"])
def test_nothing_planted_is_in_the_journal_of_a_killed_run(tmp_path: Path, upstream: Upstream, text: str) -> None:
    folder = tmp_path / text
    config = write(folder, upstream.url, text, judged=False)
    script = f"""\
import os, signal, time
from routebench.bench import Bench
from routebench.run import runner
runner._STORE_EVERY_S = 1000
bench = Bench({str(config)!r})
run = bench.run()
while run.progress().done < 10:
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    left = list(folder.glob(".s.duckdb.*.journal"))
    assert left
    assert any(path.stat().st_size for path in left)
    assert found_in(folder) == []
    bench = Bench(config)
    bench.run().wait(30)
    bench.grade()
    assert found_in(folder) == []
    whole = run_all(write(tmp_path / "full", upstream.url, "full", judged=False))
    assert scores(bench) == scores(whole)


def test_a_redact_function_that_fails_ends_the_run_before_more_is_bought(tmp_path: Path, upstream: Upstream) -> None:
    folder = tmp_path / "redacted"
    config = write(folder, upstream.url, "redacted", judged=False)
    bench = Bench(config)
    bench.config.privacy.redactor._own = lambda text: 1 / 0 if "mail 4" in text else text  # type: ignore[assignment,return-value]
    with pytest.raises(Exception, match="the redact function raised ZeroDivisionError"):
        bench.run().wait(30)
    assert not any(form in path.read_bytes() for path in folder.iterdir() for form in FORMS if b"Quist" not in form)


@pytest.mark.parametrize("what", [["--case", "c0"], ["--group", "g0"], ["--before", "2100-01-01"]])
def test_a_purge_is_for_good_and_keeps_numbers(
    tmp_path: Path, upstream: Upstream, what: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "full"
    config = write(folder, upstream.url, "full")
    bench = run_all(config)
    before = scores(bench)
    numbers = bench.sql("SELECT request_key, latency_s, cost_usd, input_tokens FROM completions ORDER BY ALL")
    store = ["--store", str(folder / "s.duckdb")]
    assert main(["purge", *store, *what]) == 0
    asked = len(upstream.requests)
    again = run_all(config)
    assert len(upstream.requests) == asked
    assert scores(again) == before
    assert numbers.equals(
        again.sql("SELECT request_key, latency_s, cost_usd, input_tokens FROM completions ORDER BY ALL")
    )
    if what[0] == "--before":
        assert found_in(folder) == []
    else:
        ids = ("c0",) if what[0] == "--case" else ("c0", "c1")
        kept = again.sql(
            "SELECT case_id FROM cases WHERE has_text OR messages::VARCHAR <> '[]' OR target IS NOT NULL ORDER BY 1"
        )["case_id"].tolist()
        assert kept == sorted({row["id"] for row in rows(judged=True)} - set(ids))
        texts = again.sql("SELECT case_id FROM answers WHERE text IS NOT NULL OR detail IS NOT NULL")["case_id"]
        assert not set(texts) & set(ids)
        verdicts = again.sql("SELECT text FROM completions WHERE request_key NOT IN (SELECT request_key FROM cells)")
        assert len(verdicts) == 1
        assert verdicts["text"].isna().all()
        capsys.readouterr()
        assert main(["compare", *store, "--suite", "s", "--strategies", "knn_tfidf"]) == 0
        left_out = f"{len(ids)} cases are left out because their prompts are not kept any more."
        assert left_out in capsys.readouterr().out


def test_what_lacks_personal_data_is_not_graded_anew(tmp_path: Path, upstream: Upstream) -> None:
    folder = tmp_path / "redacted"
    config = write(folder, upstream.url, "redacted", judged=False)
    run_all(config)
    suite = tmp_path / "own" / "suite-False.jsonl"
    made = rows(judged=False)
    for row in made:
        row["target"] = "another@example.com"
    suite.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made))
    bench = Bench(config)
    bench.grade()
    told = bench.sql("SELECT DISTINCT score, detail FROM answers WHERE status = 'ok'")
    assert told["score"].isna().all()
    assert told["detail"].tolist() == ["the answer was kept without personal data: ask again (--cache refresh)"]


def test_a_purge_breaks_no_evidence() -> None:
    written = {"outcomes_sha256": "a", "n_test": 74, "quality": {"mean": 0.65, "ci95": [0.53, 0.75]}}
    fewer = {"outcomes_sha256": "a", "n_test": 70, "quality": {"mean": 0.67, "ci95": [0.55, 0.77]}}
    gate = evidence_gate(written, fewer)
    assert gate.ok
    assert "the 70 of its 74 cases whose prompts are still kept" in gate.reading
    assert not evidence_gate(written, {**fewer, "n_test": 74}).ok
