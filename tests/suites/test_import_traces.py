"""Traces of the gateway as outcomes, and as a suite."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from routebench.cli import main
from routebench.errors import InputError, OutcomesError
from routebench.store import Store, sql
from routebench.suites.formats import find_format
from routebench.suites.importers import Answer, Tally
from routebench.suites.logs import from_logs
from routebench.traces import Attempt, Trace, TraceWriter
from tests.traces.rows import FULL, row

KEPT = {"messages": [{"role": "user", "content": "How far is the Moon?"}], "answer": "384,400 km", "chain": ("a",)}


def written(folder: Path, *rows: Trace) -> Path:
    with TraceWriter(folder) as writer:
        for one in rows:
            writer.put(one)
    return folder


def read(path: Path) -> tuple[list[Answer], Tally]:
    tally = Tally()
    return list(find_format("traces").read([path], tally, None)), tally


def accepted(model: str = "a", **told: Any) -> tuple[Attempt, ...]:
    return (Attempt(model, model, "accepted", None, 0.5, None, 10, 4, 0.002, **told),)


def test_every_call_is_an_outcome_of_its_own(tmp_path: Path) -> None:
    failed, answered = read(written(tmp_path, row(1, **FULL)))[0]
    assert failed.case is answered.case
    case = answered.case
    assert (case.id, case.category, case.group, case.tags) == ("t000001", "tables", "c" * 16, ("beta", "eu"))
    assert [dict(message) for message in case.request.messages] == list(FULL["messages"])
    assert case.request.tools == ({"type": "function", "function": {"name": "look"}},)
    assert case.request.params == {"temperature": 0}
    assert (failed.model, failed.error_kind, failed.text, failed.cost_usd) == ("small", "rate_limited", None, None)
    assert failed.latency_s == 0.25
    assert (answered.model, answered.error_kind, answered.text) == ("large", None, FULL["answer"])
    assert answered.tool_calls[0].name == "look"
    usage = answered.usage
    assert (usage.input_tokens, usage.cached_input_tokens, usage.reasoning_tokens) == (100, 64, 5)
    assert (answered.cost_usd, answered.latency_s, answered.ttft_s) == (0.0001, 0.5, None), "it was not streamed"
    assert answered.score is None
    assert answered.started_at is not None
    assert answered.started_at.isoformat() == "2025-11-24T16:00:00.010000+00:00"


def test_what_nobody_answered_is_told(tmp_path: Path) -> None:
    told, tally = read(
        written(
            tmp_path,
            row(1, outcome="refused", status=429, error_kind="rate_limit_error"),
            row(2, attempts=(Attempt("a", "a", "cancelled"),), outcome="cancelled", **KEPT),
            row(3, attempts=(Attempt("a", "a", "refused", None, 0.1), *accepted("b")), **KEPT),
            row(4, attempts=accepted(), streamed=True),
            row(5, attempts=(Attempt("a", "a", "failed", "odd"),), outcome="failed", status=502),
        )
    )
    assert [(one.case.id, one.model, one.error_kind, one.text) for one in told] == [
        ("t000003", "a", None, None),
        ("t000003", "b", None, "384,400 km"),
        ("t000004", "a", None, None),
        ("t000005", "a", "server", None),
    ]
    assert dict(tally.skipped) == {
        "requests for which no model was asked: the gateway refused them": 1,
        "calls that the client did not wait for": 1,
    }
    assert tally.noted["answers that a cascade refused, whose texts nobody kept"] == 1
    assert tally.noted["answers whose texts the gateway did not keep"] == 1
    assert tally.noted["failed calls of an untold kind, taken as server errors"] == 1
    assert told[2].case.request.messages == ()


def test_a_model_that_is_asked_at_two_places_has_two_samples(tmp_path: Path) -> None:
    calls = (Attempt("a", "eu", "failed", "timeout"), Attempt("a", "us", "accepted"))
    assert [one.sample for one in read(written(tmp_path, row(1, attempts=calls)))[0]] == [0, 1]


def test_no_traces_yet_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutcomesError, match="holds no traces yet"):
        read(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "nowhere")


def test_a_folder_goes_into_a_store_and_twice_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row(number, **{**FULL, "conversation": f"c{number % 7}"}) for number in range(50)]
    folder = written(tmp_path / "traces", *rows, row(50, attempts=accepted(), **KEPT), row(51, attempts=accepted()))
    store = tmp_path / "s.duckdb"
    command = ["import", "traces", str(folder), "--store", str(store), "--name", "prod", "--json"]
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["n_cases"], told["n_outcomes"], sorted(told["models"])) == (52, 102, ["a", "large", "small"])
    assert told["n_new"] == 102
    found = sql(
        Store.existing(store),
        "SELECT status, count(*) AS n, count(cost_usd) AS priced, count(text) AS texts FROM completions GROUP BY 1 ORDER BY 1",
    )
    assert found.to_dict("records") == [
        {"status": "error", "n": 50, "priced": 0, "texts": 0},
        {"status": "ok", "n": 52, "priced": 52, "texts": 51},
    ]
    assert main(command) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["n_new"], again["n_changed"]) == (0, 0)


def test_a_suite_is_drawn_from_a_folder(tmp_path: Path) -> None:
    words = [f"{a}{b}" for a in ("north", "south", "east") for b in "bcdfghjklm"]
    rows = [
        row(
            number,
            messages=[{"role": "user", "content": f"{word} {word[::-1]}? Tell me@example.org"}],
            answer=f"River {number} is long.",
            attempts=accepted(),
            request={"tools": [{"type": "function", "function": {"name": "look"}}]},
        )
        for number, word in enumerate(words)
    ]
    folder = written(tmp_path / "traces", *rows, row(90), row(91, attempts=accepted()))
    drawn = from_logs(folder, format="traces", n=10)
    assert drawn.n_requests == 30
    assert sum(one["weight"] for one in drawn.rows) == pytest.approx(30)
    assert all("example.org" not in json.dumps(one) for one in drawn.rows)
    assert drawn.rows[0]["tools"] == [{"type": "function", "function": {"name": "look"}}]
    assert drawn.tally.skipped["calls without an answer"] == 1


def test_without_texts_no_suite_can_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(OutcomesError, match=r"holds no answered request .*1 calls without an answer"):
        from_logs(written(tmp_path, row(1, attempts=accepted())), format="traces")
    (tmp_path / "new").mkdir()
    with pytest.raises(InputError, match="holds no Parquet file yet"):
        from_logs(tmp_path / "new", format="traces")
