"""`routebench decisions` as a user types it, against gateways on loopback."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from routebench.cli import main
from tests.foreign_gateway import NOTHING, Said, gateway, litellm

PROMPTS = {"a": "hi", "b": "a rather long and winding request", "c": "ho"}
BENCH = """\
schema: routebench/bench/v1
suite: suite.jsonl
store: s.duckdb
models:
  - {name: small, provider: tool, model: calculator}
  - {name: big, provider: tool, model: calculator}
"""
KEY = "sk-very-secret-key"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = [{"id": name, "prompt": prompt, "target": "x", "grader": "exact"} for name, prompt in PROMPTS.items()]
    (tmp_path / "suite.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "bench.yaml").write_text(BENCH)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEWAY_KEY", KEY)
    assert main(["run", "bench.yaml"]) == 0
    return tmp_path


def decide(url: str, *more: str) -> int:
    common = ["--store", "s.duckdb", "--suite", "suite", "--out", "d.jsonl", "--key-env", "GATEWAY_KEY"]
    return main(["decisions", url, *common, *more])


def rows(folder: Path) -> dict[str, Any]:
    lines = [json.loads(line) for line in (folder / "d.jsonl").read_text().splitlines()]
    assert lines[0]["router"]["name"]
    return {row["prompt_id"]: row for row in lines[1:]}


def test_a_suite_is_asked_once_and_what_was_told_is_kept_without_texts(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with gateway(litellm) as server:
        assert decide(server.url) == 0
        assert "no model of the suite: 'large'" in capsys.readouterr().out
        n_asked = len(server.bodies("/auto_router/test_routing"))
        assert decide(server.url, "--map", "large=big", "--json") == 0
        # The trial of the dry run, and no case.
        assert len(server.bodies("/auto_router/test_routing")) == n_asked + 1
    document = json.loads(capsys.readouterr().out)
    assert (document["n_cases"], document["n_asked"], document["n_undecided"]) == (3, 0, 0)
    assert document["models"] == {"small": 2, "big": 1}
    assert document["router"] == "litellm complexity router 1.108.7"
    assert document["unknown_models"] == {}
    text = (folder / "d.jsonl").read_text()
    assert list(rows(folder)) == ["a", "b", "c"]
    assert rows(folder)["b"]["detail"]["served"] == "large"
    assert not any(word in text for word in (KEY, "winding", server.url))


def test_paid_answers_need_a_word(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with gateway(partial(litellm, dry_run=False)) as server:
        assert decide(server.url) == 2
        message = capsys.readouterr().err
        assert "3 paid answers" in message
        assert "--allow-paid" in message
        assert not server.bodies("/v1/chat/completions")
        assert decide(server.url, "--allow-paid") == 0
    assert {row["model"] for row in rows(folder).values()} == {"small"}


def flaky(path: str, body: Any, *, broken: set[str]) -> Said:
    if path == "/auto_router/test_routing" and body["messages"][-1]["content"] in broken:
        return Said({"error": {"message": f"cannot read {body}"}}, status=400)
    return litellm(path, body)


def test_a_failed_question_is_a_row_without_model_and_asked_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = {"ho"}
    with gateway(partial(flaky, broken=broken)) as server:
        assert decide(server.url, "--json") == 1
        captured = capsys.readouterr()
        assert json.loads(captured.out)["n_undecided"] == 1
        assert "case 'c': HTTP 400: cannot read" in captured.err
        failed = rows(folder)["c"]
        assert failed["model"] is None
        # The gateway's words quote the prompt; the file does not hold them.
        assert failed["error"] == "bad_request: HTTP 400"
        with (folder / "d.jsonl").open("a") as file:
            # As if it had been killed in the middle of a line.
            file.write('{"prompt_id": "c", "mod')
        broken.clear()
        assert decide(server.url, "--json") == 0
    assert json.loads(capsys.readouterr().out)["n_asked"] == 1
    assert rows(folder)["c"]["model"] == "small"


def test_a_file_of_another_router_is_not_gone_on_with(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "d.jsonl").write_text('{"router": {"name": "house router"}}\n{"prompt_id": "a", "model": "small"}\n')
    with gateway(litellm) as server:
        assert decide(server.url) == 2
    assert "holds decisions of house router" in capsys.readouterr().err
    assert "house router" in (folder / "d.jsonl").read_text()


def test_a_refused_key_and_bad_words_end_with_one_message(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(_path: str, body: Any) -> Said:
        return Said({"error": {"message": "wrong key"}}, status=401) if body else NOTHING

    with gateway(refuse) as server:
        assert decide(server.url, "--allow-paid") == 2
        assert "--key-env" in capsys.readouterr().err
        assert decide(server.url, "--map", "large") == 2
        assert "gpt-4o-mini=small" in capsys.readouterr().err
    assert decide(server.url) == 2
    assert "is the gateway running" in capsys.readouterr().err
