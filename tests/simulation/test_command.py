"""`routebench simulate` as people type it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from routebench.cli import main

RULES = """\
schema: routebench/rules/v1
name: line
models:
  front: {provider: openai, model: f}
  back: {provider: openai, model: b}
default: {route: [front, back]}
health: {}
"""
INCIDENTS = "incidents: [{model: front, kind: outage, from_s: 100, to_s: 160}]\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("simulate")
    rng = np.random.default_rng(1)
    ids = [f"p{number}" for number in range(40)]
    pd.DataFrame({"prompt_id": ids, "prompt": [f"question {one}" for one in ids], "category": "all"}).to_csv(
        path / "prompts.csv", index=False
    )
    rows = pd.DataFrame({"prompt_id": ids * 2, "model": ["front"] * 40 + ["back"] * 40, "score": 1.0, "cost_usd": 0.01})
    rows["latency_s"] = rng.lognormal(-0.5, 0.3, 80)
    rows.to_csv(path / "outcomes.csv", index=False)
    rows.drop(columns="latency_s").to_csv(path / "untimed.csv", index=False)
    for name in ("outcomes", "untimed"):
        files = ["--outcomes", str(path / f"{name}.csv"), "--prompts", str(path / "prompts.csv")]
        assert main(["import", "outcomes", *files, "--store", str(path / "s.duckdb"), "--name", name]) == 0
    (path / "rules.yaml").write_text(RULES)
    (path / "incidents.yaml").write_text(INCIDENTS)
    return path


def run(folder: Path, *more: str, suite: str = "outcomes", incidents: str = "incidents.yaml") -> int:
    files = ["--store", str(folder / "s.duckdb"), "--suite", suite, "--incidents", str(folder / incidents)]
    rate = [] if "--arrivals" in more else ["--requests-per-s", "10"]
    rate += ["--duration-s", "240"]
    return main(["simulate", str(folder / "rules.yaml"), *files, *rate, *more])


def test_the_reading_comes_before_the_tables(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder) == 0
    said = capsys.readouterr().out
    assert said.startswith("0 of 2,")
    assert "The outage of front was seen after" in said
    assert said.index("seen after") < said.index("with health   without")


def test_one_document_for_machines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--json", "--bin-s", "60") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "routebench/simulate/v1"
    assert [one["to_s"] for one in document["with_health"]["bins"]] == [60.0, 120.0, 180.0, 240.0]
    assert document["incidents"][0]["detected_after_s"] < 5.0


@pytest.mark.parametrize("name", ["page.html", "page.md"])
def test_a_page_is_written(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--out", str(folder / name)) == 0
    assert f"written: {folder / name}" in capsys.readouterr().out
    page = (folder / name).read_text()
    assert "Incidents under line" in page
    assert "outage of front" in page
    assert run(folder, "--out", str(folder / "page.pdf")) == 2


def test_recorded_times_are_taken_from_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "times.csv").write_text("sent\n" + "\n".join(str(0.5 * number) for number in range(600)))
    assert run(folder, "--arrivals", str(folder / "times.csv"), "--column", "sent", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["n_requests"], document["requests_per_s"]) == (481, None)


def test_what_cannot_be_simulated_says_what_to_do(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, suite="untimed") == 2
    assert "no latency of model 'front' is known" in capsys.readouterr().err
    (folder / "wrong.yaml").write_text("incidents:\n  - {model: frnt, kind: outage}\n")
    assert run(folder, incidents="wrong.yaml") == 2
    assert "wrong.yaml:2:6: no model 'frnt' (did you mean 'front'?)" in capsys.readouterr().err
    (folder / "empty.yaml").write_text("")
    assert run(folder, "--column", "sent") == 2
    assert "--column names the recorded times of --arrivals" in capsys.readouterr().err
    assert run(folder, "--json", incidents="empty.yaml") == 2
    assert "the file is empty" in json.loads(capsys.readouterr().out)["error"]
