"""Another grader, another target: the answers that are there are graded anew, and no model is called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from routebench.bench import Bench
from tests.upstream import chat_stream, error, serve

HERE = {"id": "a", "prompt": "What is 6 x 7?", "target": "42"}


def write(folder: Path, url: str, *rows: dict[str, Any]) -> Path:
    (folder / "suite.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = f'provider: openai, base_url: "{url}"'
    (folder / "bench.yaml").write_text(
        f"suite: suite.jsonl\nstore: s.duckdb\nmodels: [{{name: m, {model}, model: mock}}]\n"
        f"judges: [{{name: j, {model}, model: big}}]\nlimits: {{max_attempts: 1}}\n"
    )
    return folder / "bench.yaml"


def score(bench: Bench) -> float:
    return float(bench.outcomes().score[0, 0, 0])


def test_another_grader_or_target_grades_what_is_there_without_a_call(tmp_path: Path) -> None:
    with serve(lambda *_: chat_stream("It is 42.")) as server:
        bench = Bench(write(tmp_path, server.url, {**HERE, "grader": "exact"}))
        bench.run().wait(10)
        assert score(bench) == 0.0
        server.reply = lambda *_: error(500, "nobody may ask")
        asked = len(server.requests)
        for grader, target, expected in (
            ("numeric", "42", 1.0),
            ("numeric", "43", 0.0),
            ({"name": "numeric", "tolerance": 0.1}, "43", 1.0),
            ("exact", "It is 42", 1.0),
            ("numeric", "42", 1.0),
        ):
            bench = Bench(write(tmp_path, server.url, {**HERE, "grader": grader, "target": target}))
            assert bench.grade() == 1
            assert score(bench) == expected
            assert bench.grade() == 0
            # The run after it finds nothing to buy.
            assert bench.run().wait(10).calls == 0
            assert score(bench) == expected
        assert len(server.requests) == asked


def test_a_judge_s_verdicts_are_kept_when_the_grader_changes_to_and_fro(tmp_path: Path) -> None:
    judge = {**HERE, "grader": "judge"}
    with serve(lambda body, _: chat_stream('{"score": 3}' if body["model"] == "big" else "42")) as server:
        bench = Bench(write(tmp_path, server.url, judge))
        bench.run().wait(10)
        run = bench.judge()
        assert run is not None
        run.wait(10)
        assert score(bench) == 0.3
        asked = len(server.requests)
        assert score(Bench(write(tmp_path, server.url, {**HERE, "grader": "exact"}))) == 1.0
        # Against another target the judge has to be asked again; against the old one its verdict is known.
        other = Bench(write(tmp_path, server.url, {**judge, "target": "41"}))
        assert other.grade() == 0
        assert other.plan().lines[1].calls == 1
        assert score(Bench(write(tmp_path, server.url, judge))) == 0.3
        assert len(server.requests) == asked


def test_a_case_that_asks_something_else_waits_for_the_next_run(tmp_path: Path) -> None:
    with serve(lambda *_: chat_stream("42")) as server:
        bench = Bench(write(tmp_path, server.url, {**HERE, "grader": "exact"}))
        bench.run().wait(10)
        assert score(bench) == 1.0
        changed = {**HERE, "prompt": "What is 6 x 8?", "target": "48", "grader": "exact"}
        bench = Bench(write(tmp_path, server.url, changed))
        assert bench.grade() == 0
        bench.run().wait(10)
        assert score(bench) == 0.0
