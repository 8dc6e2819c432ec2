"""`routebench export` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from routebench.cli import main

RULES = """
schema: routebench/rules/v1
name: two
models:
  small: {provider: openai, model: gpt-4o-mini}
  large: {provider: anthropic, model: claude-sonnet-4-5}
rules:
  - {name: legal, when: {any_keyword: [contract]}, route: [large]}
  - {name: german, when: {language: de}, route: [large]}
default: {route: [small, large]}
golden:
  - {prompt: "hello", decision: [small, large], rule: default}
  - {prompt: "a contract", decision: [large], rule: legal}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "rules.yaml").write_text(RULES)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_writes_the_file_and_says_what_is_lost(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "rules.yaml", "--to", "litellm", "--out", "out/config.yaml"]) == 0
    said = capsys.readouterr().out
    assert "LiteLLM proxy (tried with" in said
    assert "rule german: dropped: it knows no languages" in " ".join(said.split())
    assert "written: out/config.yaml (not verified)" in said
    assert "model_list" in yaml.safe_load((folder / "out/config.yaml").read_text())


def test_one_document_for_machines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "rules.yaml", "--to", "litellm", "--out", "config.yaml", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["files"] == ["config.yaml"]
    assert document["ok"] is True
    assert document["verified"] is None
    assert document["effect"]["agreement"] == 1.0
    assert {(one["part"], one["how"]) for one in document["lost"]} >= {("rule german", "dropped")}
    assert (folder / "config.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "litellm", "--map", "small"], ["'small' is no pair", "NAME=ID"]),
        (["--to", "litellm", "--verify", "--product", "no-such"], ["no such program of LiteLLM", "make interop"]),
        (["--to", "portkey", "--classifier"], ["--classifier", "one form alone"]),
        (["--to", "litellm", "--store", "s.duckdb"], ["--suite"]),
        (["--to", "litellm", "--map", "smal=openai/x"], ["no model 'smal'", "did you mean 'small'?"]),
        (["--to", "litellm", "--out", "rules.yaml"], ["rules.yaml: this name is taken"]),
    ],
)
def test_bad_input_ends_with_one_message(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: list[str]
) -> None:
    assert main(["export", "rules.yaml", "--out", "x", *arguments]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    for word in words:
        assert word in said
    assert not (folder / "x").exists()


def test_a_guard_that_would_be_lost_is_an_error_with_both_mends(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    guard = "guards: [{name: eu, when: {metadata.region: eu}, only: [large]}]\nrules:"
    (folder / "rules.yaml").write_text(RULES.replace("\nrules:\n", f"\n{guard}\n", 1))
    assert main(["export", "rules.yaml", "--to", "litellm", "--out", "x.yaml"]) == 2
    said = capsys.readouterr().err
    assert "guard eu cannot be held by LiteLLM" in said
    assert "--classifier" in said
    assert main(["export", "rules.yaml", "--to", "litellm", "--out", "x.yaml", "--allow-lost-guards"]) == 0
    assert main(["export", "rules.yaml", "--to", "litellm", "--out", "y.yaml", "--classifier"]) == 0
    assert (folder / "routebench_tiers.py").exists()
