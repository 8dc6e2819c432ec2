"""The command line as a user types it: every bad input ends with one message and exit code 2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from routebench.cli import main

SUITE = '{"id": "a", "prompt": "1 + 1", "target": 2, "grader": "numeric"}\n'
BENCH = """\
schema: routebench/bench/v1
suite: suite.jsonl
store: s.duckdb
models:
  - {name: calc, provider: tool, model: calculator, price: {cpu_usd_per_hour: 0.05}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "suite.jsonl").write_text(SUITE)
    (tmp_path / "bench.yaml").write_text(BENCH)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bad(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.err


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("suite.jsonl", '{"id": "a", "prompt": "x"}\n{"prompt": \n', ["suite.jsonl:2"]),
        ("suite.jsonl", '{"id": "a"}\n', ["suite.jsonl:1", "prompt"]),
        ("suite.jsonl", '{"id": "a", "prompt": "x", "grader": "exat"}\n', ["suite.jsonl:1", "exat", "did you mean 'exact'"]),
        ("suite.jsonl", SUITE + SUITE, ["suite.jsonl:2", "'a'", "already used"]),
        ("suite.jsonl", "", ["suite.jsonl", "no cases"]),
        ("bench.yaml", BENCH.replace("provider: tool", "provider: tol"), ["calc", "'tol'", "did you mean 'tool'"]),
        ("bench.yaml", BENCH.replace("model: calculator", "model: calculater"), ["calculater", "did you mean 'calculator'"]),
        ("bench.yaml", BENCH.replace("0.05", "-1"), ["bench.yaml:5:", "not negative"]),
        ("bench.yaml", BENCH.replace("store:", "stroe:"), ["bench.yaml:3:1", "'stroe'", "did you mean 'store'"]),
        ("bench.yaml", BENCH.replace("suite.jsonl", "none.jsonl"), ["none.jsonl", "no such"]),
        ("bench.yaml", BENCH.replace("provider: tool, model: calculator", "provider: openai, model: m, base_url: 'http://127.0.0.1:9/v1', key_env: NO_SUCH_KEY_VARIABLE"), ["NO_SUCH_KEY_VARIABLE", "calc"]),
        ("bench.yaml", BENCH.replace("provider: tool, model: calculator", "provider: embedded, model: none.gguf"), ["none.gguf", "absent"]),
        ("bench.yaml", BENCH + "guards: [{name: g, when: {}}]\n", ["bench.yaml", "guard 'g'", "needs one of"]),
        ("bench.yaml", BENCH + "guards: [{name: g, when: {tag: x}, at_least: clc}]\n", ["'clc'", "did you mean 'calc'"]),
    ],
)  # fmt: skip
def test_bad_files(folder: Path, capsys: pytest.CaptureFixture[str], file: str, text: str, words: list[str]) -> None:
    (folder / file).write_text(text)
    message = bad(capsys, "run", "bench.yaml")
    for word in words:
        assert word in message, message


def test_a_run_a_plan_and_what_is_left(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "bench.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["calls"] == 1
    assert main(["run", "bench.yaml", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["done"], document["left"], document["graded"]) == (1, 0, 1)
    assert main(["run", "bench.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["calls"] == 0
    assert main(["grade", "bench.yaml"]) == 0


def test_bad_stores(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such file" in bad(capsys, "compare", "--store", "none.duckdb", "--suite", "s")
    (folder / "text.duckdb").write_text("not a database " * 100)
    assert "text.duckdb" in bad(capsys, "run", "bench.yaml", "--store", "text.duckdb")
    (folder / "file").write_text("")
    assert "cannot be made" in bad(capsys, "run", "bench.yaml", "--store", "file/s.duckdb")
    assert main(["run", "bench.yaml"]) == 0
    assert "did you mean 'suite'" in bad(capsys, "compare", "--store", "s.duckdb", "--suite", "suit")
    assert "cannot be split" in bad(capsys, "compare", "--store", "s.duckdb", "--suite", "suite")


def test_a_store_held_by_another_process_names_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = "import duckdb, sys; con = duckdb.connect('s.duckdb'); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        message = bad(capsys, "run", "bench.yaml", "--lock-timeout-s", "0.2")
        assert other.stdin is not None
        other.stdin.close()
    assert str(other.pid) in message
    assert "--lock-timeout-s" in message


RULES = """\
schema: routebench/rules/v1
name: t
models: {small: {provider: openai, model: s}, large: {provider: openai, model: l}}
rules: [{name: law, when: {any_keyword: [contract]}, route: [large]}]
default: {route: [small, large]}
golden: [{prompt: a contract, decision: [large], rule: law}]
"""


def test_explain_and_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "rules.yaml").write_text(RULES)
    assert main(["explain", "rules.yaml", "--prompt", "this contract", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["chain"], document["rule"]) == (["large"], "law")
    assert set(document) == {"chain", "rule", "why", "features", "counterfactuals"}
    assert main(["check", "rules.yaml"]) == 0
    (folder / "rules.yaml").write_text(RULES.replace("decision: [large]", "decision: [small]"))
    assert main(["check", "rules.yaml", "--json"]) == 1
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert found[-1]["golden"]["failed"][0]["got"] == ["large"]
    (folder / "rules.yaml").write_text(RULES.replace("route: [large]", "route: [lrge]"))
    assert "did you mean 'large'" in bad(capsys, "check", "rules.yaml")
    assert "no such file" in bad(capsys, "explain", "none.yaml", "--prompt", "x")


def test_schemas_are_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for what in ("rules", "bench", "gateway"):
        assert main(["schema", what]) == 0
        assert json.loads(capsys.readouterr().out)["properties"]


def test_gemma_needs_its_terms_accepted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--accept-gemma-terms" in bad(capsys, "demo", "--gemma", "--out", "d")


def test_the_recorded_demonstration_from_beginning_to_end(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--recorded", "--out", "demo", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["calls"] == 600
    assert document["tuned"]["versus_baseline"]["verdict"] == "better"
    assert document["tuned"]["versus_fixed_mix"]["verdict"] == "better"
    page = (folder / "demo" / "report.html").read_text()
    assert page.count("<svg") == 2
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert main(["check", "demo/rules.yaml", "--store", "demo/demo.duckdb", "--suite", "starter"]) == 0
    assert main(["demo", "--recorded", "--out", "demo", "--json"]) == 0
    capsys_out = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert capsys_out[-1]["calls"] == 0
    for command in (["compare"], ["report", "--out", "r.html", "--share"], ["tune", "--out", "t.yaml"]):
        assert main([*command, "--store", "demo/demo.duckdb", "--suite", "starter", "--json"]) in (0, 1)
    capsys.readouterr()
    assert "Reverse the word" not in (folder / "r.html").read_text()
    assert "Reverse the word" in page


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "locked").mkdir(mode=0o500)
    assert "cannot be" in bad(capsys, "demo", "--recorded", "--out", "locked/demo")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--allow-run"], ["--allow-run", "--cap-usd"]),
        (["--cap-usd", "1"], ["--allow-run"]),
        (["--allow-run", "--cap-usd", "1"], ["--token"]),
        (["--host", "0.0.0.0"], ["0.0.0.0", "--token"]),
        (["--token", "short"], ["5 characters"]),
        (["--rules", "none.yaml"], ["none.yaml"]),
        ([], ["s.duckdb", "nothing to show", "routebench run"]),
    ],
)
def test_a_dashboard_that_would_be_open_to_others_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: list[str]
) -> None:
    said = bad(capsys, "dashboard", "bench.yaml", *arguments)
    assert all(word in said for word in words)
