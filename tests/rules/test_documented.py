"""docs/rules.md: its files load, its code runs, and no key of the format is missing."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from routebench.cli import main
from routebench.rules import RuleSet, rules_json_schema
from routebench.rules.learned.llm_classifier import DEFAULT_PROMPT
from routebench.rules.learned.surface import SURFACE
from routebench.types import Answer, ErrorKind

DOCS = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
FILES = [block for block in re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL) if block.startswith("schema:")]
PARTS = [block for block in re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL) if not block.startswith("schema:")]
CODE = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)


@pytest.mark.parametrize("text", FILES, ids=lambda text: yaml.safe_load(text)["name"])
def test_a_whole_file_loads_and_survives_being_written(text: str) -> None:
    ruleset = RuleSet.parse(text)
    assert RuleSet.parse(ruleset.to_yaml()) == ruleset


def test_there_are_files_and_parts_and_code_to_look_at() -> None:
    assert [yaml.safe_load(text)["name"] for text in FILES] == ["support-bot", "extraction", "office"]
    assert (len(PARTS), len(CODE)) == (5, 3)


@pytest.mark.parametrize("part", PARTS, ids=lambda text: next(iter(yaml.safe_load(text))))
def test_a_part_of_a_file_fits_into_one(part: str, tmp_path: Path) -> None:
    # Only the names that such a part points at are of another file.
    models = {name: {"provider": "openai", "model": name} for name in ("small", "large", "local")}
    models["local"]["region"] = "eu"
    whole = {"schema": "routebench/rules/v1", "name": "t", "models": models, "default": {"route": ["small"]}}
    whole["cascade"] = {"usable": {"finish": ["stop"]}}
    whole["default"]["cascade"] = "usable"
    text = yaml.safe_dump({**whole, **yaml.safe_load(part.replace("…", "0" * 64))})
    if "artifact" in part:
        with pytest.raises(Exception, match=r"(rules\.artifact|rules\.learned|past)\.safetensors"):
            RuleSet.parse(text, folder=tmp_path)
    else:
        ruleset = RuleSet.parse(text)
        assert ruleset.guards or ruleset.complexity


def test_the_code_runs_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rules.yaml").write_text(FILES[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    asked: list[tuple[str, str | None, str | None]] = []

    def ask(model: str, place: Any, messages: Any) -> Answer:
        asked.append((model, place.key_env, place.region))
        assert messages is told["messages"]
        return Answer(error_kind="timeout") if len(asked) < 2 else Answer("done", finish_reason="stop")

    told: dict[str, Any] = {
        "messages": [{"role": "user", "content": "hello"}],
        "tools": (),
        "ask": ask,
        "model_of_this_conversation": None,
    }
    load, flow, hybrid = CODE
    exec(load, told)
    assert told["decision"].chain == ("large",)
    exec(flow, told)
    assert [model for model, *_ in asked] == ["small", "large"]
    assert (told["decision"].answered_by, told["decision"].answer.text) == ("large", "done")
    exec(hybrid, told)
    assert told["HybridClient"](told["router"], direct={"small"}).direct == {"small"}


def test_the_command_runs_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rules.yaml").write_text(FILES[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (line,) = re.findall(r"^\$ routebench (.*)$", DOCS, re.MULTILINE)
    assert main(shlex.split(line)) == 0
    said = capsys.readouterr().out
    assert "guards legal, residency hold" in said
    assert "large is asked at https://eu.example.com/v1 in region eu, with the key in EU_KEY" in said


def test_the_prompt_of_a_classifier_is_the_one_that_is_asked() -> None:
    (block,) = re.findall(r"```text\n(.*?)```", DOCS, re.DOTALL)
    assert block.split() == DEFAULT_PROMPT.split()


def test_every_key_is_explained() -> None:
    schema = rules_json_schema()
    named = set(re.findall(r"[\w.]+", DOCS))
    for settings in (
        "WhenSettings",
        "CheckSettings",
        "ClassifierSettings",
        "HealthSettings",
        "GuardSettings",
        "LearnedSettings",
        "TimeSettings",
    ):
        assert set(schema["$defs"][settings]["properties"]) - named == set()
    assert set(schema["properties"]) - named == set()
    assert {*SURFACE, *get_args(ErrorKind)} - named == set()
