"""`routebench drift` and `routebench report --traces` as people type them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from routebench.cli import main
from routebench.rules import RuleSet
from routebench.traces import Trace, TraceWriter
from tests.drifting.production import BEGAN, LARGE, cases, outcomes, requests, rules, served

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a suite, a rules.yaml, and traces of a quiet and of a moved production."""
    path = tmp_path_factory.mktemp("drift")
    some = cases(480)
    prompts = [{"prompt_id": one.id, "prompt": one.request.messages[0]["content"]} for one in some]
    pd.DataFrame(prompts).to_parquet(path / "prompts.parquet")
    told = outcomes(480).df().rename(columns={"case_id": "prompt_id"})
    told[["prompt_id", "model", "score", "cost_usd", "latency_s"]].to_parquet(path / "outcomes.parquet")
    files = ["--outcomes", str(path / "outcomes.parquet"), "--prompts", str(path / "prompts.parquet")]
    assert main(["import", "outcomes", *files, "--store", str(path / "s.duckdb"), "--name", "shop"]) == 0
    (path / "rules.yaml").write_text(rules().to_yaml())
    ruleset = RuleSet.load(path / "rules.yaml")
    write(path / "quiet", served(ruleset, requests(800)))
    moved = served(ruleset, requests(800, long_share=0.7))
    moved[3] = replace(moved[3], error_kind=HOSTILE, outcome="failed", model=None)
    write(path / "moved", moved)
    return path


def write(path: Path, traces: Sequence[Trace]) -> None:
    writer = TraceWriter(path)
    writer.start()
    for one in traces:
        writer.put(one)
    writer.close()


def drift(folder: Path, traces: str, *options: str, suite: bool = True) -> int:
    store = ["--store", str(folder / "s.duckdb"), "--suite", "shop"] if suite else []
    return main(["drift", str(folder / "rules.yaml"), "--traces", str(folder / traces), *store, *options])


def test_exit_codes_tell_quiet_from_drift(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert drift(folder, "quiet", "--max-mix-shift", "0.1", "--max-cost-rise", "0.3") == 0
    assert "No drift beyond the bounds was found: 800 requests against 480 cases of shop" in capsys.readouterr().out
    assert drift(folder, "moved") == 1
    out = capsys.readouterr().out
    assert "Drifted: 800 requests against 480 cases of shop differ in first model is another" in out
    assert "Production beside the evidence" in out
    assert drift(folder, "moved", suite=False) == 2
    assert "Not measured: of 800 requests nothing can be held against evidence" in capsys.readouterr().out


def test_json_is_one_document(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert drift(folder, "moved", "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "routebench/drift/v1"
    assert (document["n"], document["n_replayed"], document["drifted"], document["measured"]) == (800, 480, True, True)
    large = next(row for row in document["rows"] if (row["topic"], row["name"]) == ("mix", LARGE))
    assert large["production"]["value"] == pytest.approx(0.7, abs=0.05)
    assert large["evidence"]["value"] == 0.25


def test_a_time_cuts_the_traces(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    since = pd.Timestamp(BEGAN + 60 * 600, unit="s", tz="UTC").isoformat()
    assert drift(folder, "moved", "--json", "--since", since) == 1
    assert json.loads(capsys.readouterr().out)["n"] == 200
    until = pd.Timestamp(BEGAN + 60 * 100, unit="s", tz="UTC").isoformat()
    assert drift(folder, "moved", "--json", "--until", until, "--window", "30min") == 1
    assert json.loads(capsys.readouterr().out)["n"] == 30
    assert drift(folder, "moved", "--json", "--until", "2001-01-01") == 2
    assert "there is no trace in this time" in json.loads(capsys.readouterr().out)["error"]


@pytest.mark.parametrize(
    "wrong", [["--since", "yesterday"], ["--window", "long"], ["--window", "NaT"], ["--max-mix-shift", "7"]]
)
def test_what_is_no_time_or_share_is_refused(
    folder: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        drift(folder, "moved", *wrong)
    assert stopped.value.code == 2
    assert wrong[1] in capsys.readouterr().err


def test_a_time_begins_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        drift(folder, "moved", "--since", "2026-01-01", "--window", "1h")
    assert "not allowed with argument --since" in capsys.readouterr().err


def test_what_to_label_next_is_written(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert drift(folder, "moved", "--out", str(tmp_path / "next.jsonl"), "--n-label", "20") == 1
    lines = (tmp_path / "next.jsonl").read_text().splitlines()
    assert f"written: {tmp_path / 'next.jsonl'}, {len(lines)} requests to label next" in capsys.readouterr().out
    assert 0 < len(lines) <= 20
    assert set(json.loads(lines[0])) == {"id", "messages", "category", "group", "grader"}


def test_rules_in_the_shadow_are_replayed(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "new.yaml").write_text(rules(rules=()).to_yaml())
    capsys.readouterr()
    assert drift(folder, "moved", "--json", "--shadow", str(tmp_path / "new.yaml")) == 1
    replayed = json.loads(capsys.readouterr().out)["shadow_replayed"]
    assert (replayed["schema"], replayed["moved"]["n"]) == ("routebench/diff/v1", 120)
    assert drift(folder, "moved", "--shadow", str(tmp_path / "new.yaml"), suite=False) == 2
    assert "--shadow replays these rules on a suite; give --store and --suite" in capsys.readouterr().err


def test_a_suite_must_be_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert drift(folder, "moved", "--store", str(folder / "s.duckdb"), suite=False) == 2
    assert "say which with --suite" in capsys.readouterr().err
    assert drift(folder, "moved", "--suite", "shop", suite=False) == 2
    assert "--suite shop: say which store holds it with --store" in capsys.readouterr().err


def report(folder: Path, out: Path, *options: str) -> str:
    assert main(["report", "--traces", str(folder / "moved"), "--out", str(out), *options]) == 0
    return out.read_text()


def test_a_page_of_traces_needs_no_store(folder: Path, tmp_path: Path) -> None:
    page = report(folder, tmp_path / "served.html")
    assert "800 requests from" in page
    assert "<svg" in page
    assert "Over time" in page
    assert not re.search(r"(src|href)\s*=\s*[\"']?https?://", page)


def test_a_page_beside_the_evidence_says_what_moved_and_holds_no_text(folder: Path, tmp_path: Path) -> None:
    evidence = ["--rules", str(folder / "rules.yaml"), "--store", str(folder / "s.duckdb"), "--suite", "shop"]
    page = report(folder, tmp_path / "served.html", *evidence)
    assert "Drifted: 800 requests against 480 cases of shop" in page
    assert "Beside the evidence" in page
    assert "Where is order" not in page
    assert "explain in detail" not in page
    assert HOSTILE not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    text = report(folder, tmp_path / "served.md", *evidence)
    assert "Beside the evidence" in text
    assert HOSTILE not in text


def test_a_report_is_about_something(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--out", str(tmp_path / "r.html")]) == 2
    assert "about the outcomes of a suite (--store, --suite) or about traces (--traces)" in capsys.readouterr().err


def test_figures_of_a_page_are_those_of_the_traces(folder: Path, tmp_path: Path) -> None:
    page = report(folder, tmp_path / "served.md", "--rules", str(folder / "rules.yaml"))
    shown = re.search(r"\| cost of 1,000 requests \| \$([0-9.]+) ", page)
    assert shown is not None
    costs = [one.cost_usd for one in served(rules(), requests(800, long_share=0.7)) if one.cost_usd is not None]
    assert float(shown[1]) == pytest.approx(1000 * np.mean(costs), abs=0.006)
