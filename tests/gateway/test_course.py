"""Failover, cascades, broken streams, deadlines and clients that go away, through a gateway that runs."""

from __future__ import annotations

import json
import math
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.scripted import Breaks, Hangs, Running, Step, fails, running, says, text_of

MODELS = """\
schema: routebench/rules/v1
name: course
models:
  small: {provider: openai, model: s, price: {input_usd_per_mtok: 1, output_usd_per_mtok: 10}}
  large: {provider: openai, model: l, price: {input_usd_per_mtok: 10, output_usd_per_mtok: 100}}
"""
CHAIN = MODELS + "default: {route: [small, large]}\n"
ALONE = MODELS + "default: {route: [small]}\n"
CASCADE = (
    MODELS + "cascade: {whole: {finish: [stop], otherwise: %s}}\ndefault: {route: [small, large], cascade: whole}\n"
)
SMALL_USD, LARGE_USD = 0.0002, 0.002
LIMITS = "limits: {deadline_s: 5, attempt_timeout_s: 0.3, first_token_timeout_s: 0.2, retries: %d}\n"


@contextmanager
def course(folder: Path, rules: str, retries: int = 0, **script: list[Step]) -> Iterator[Running]:
    with running(folder, rules, script, config=LIMITS % retries) as run:
        yield run


@contextmanager
def leaving(run: Running, *, streamed: bool = False) -> Iterator[None]:
    """A client that goes away as soon as the last model of the script is asked."""
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "hi"}], "stream": streamed})
    host, port = "127.0.0.1", int(run.gateway.url.split(":")[2].removesuffix("/v1"))
    with socket.create_connection((host, port)) as raw:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
        raw.sendall(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
        waiting = threading.Event()
        while not waiting.wait(0.005) and len(run.provider.calls) < len(run.provider.script):
            pass
        yield


# Failover


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "kind", ["server", "rate_limited", "timeout", "connection", "auth", "malformed", "bad_request"]
)
def test_the_next_model_of_the_chain_answers_for_one_that_fails(tmp_path: Path, kind: Any, streamed: bool) -> None:
    with course(tmp_path, CHAIN, small=[fails(kind)], large=[says("from large")]) as run:
        answer = run.ask(stream=streamed)
        assert (answer.status_code, answer.headers["x-routebench-model"]) == (200, "large")
        assert "from" in answer.text
        (row,) = run.rows()
    assert [(one["model"], one["verdict"], one["error_kind"]) for one in row["attempts"]] == [
        ("small", "failed", kind),
        ("large", "accepted", None),
    ]
    assert (row["outcome"], row["model"], row["chain"]) == ("ok", "large", ("small", "large"))


@pytest.mark.parametrize(
    ("kind", "status"),
    [("server", 502), ("rate_limited", 429), ("timeout", 504), ("auth", 502), ("context_overflow", 400)],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_chain_that_fails_to_its_end_is_an_error_with_its_status(
    tmp_path: Path, kind: Any, status: int, streamed: bool
) -> None:
    with course(tmp_path, CHAIN, small=[fails("server")], large=[fails(kind)]) as run:
        answer = run.ask(stream=streamed)
        assert answer.status_code == status
        assert answer.json()["error"]["message"]
        assert [one["model"] for one in answer.json()["routebench"]["attempts"]] == ["small", "large"]
        (row,) = run.rows()
    assert (row["outcome"], row["error_kind"], row["status"], row["model"]) == ("failed", kind, status, None)


def test_a_model_that_hangs_is_given_up_in_time(tmp_path: Path) -> None:
    with course(tmp_path, CHAIN, small=[Hangs()], large=[says("from large")]) as run:
        events = run.stream()
        assert text_of(events).strip() == "from large"
        assert run.provider.n_cancelled == 1


def test_a_passing_failure_of_the_only_model_is_tried_again(tmp_path: Path) -> None:
    with course(tmp_path, ALONE, retries=1, small=[fails("server"), says("at last")]) as run:
        assert run.ask().json()["choices"][0]["message"]["content"] == "at last"
        assert run.provider.asked == ["small", "small"]


def test_a_lasting_failure_is_not_tried_again(tmp_path: Path) -> None:
    with course(tmp_path, ALONE, retries=1, small=[fails("context_overflow", "too long")]) as run:
        assert run.ask().status_code == 400
        assert run.provider.asked == ["small"]


# Costs


def test_what_failed_attempts_cost_is_added_and_what_is_unknown_stays_unknown(tmp_path: Path) -> None:
    refused = fails("rate_limited", billed_cost_usd=0.0)
    with course(tmp_path, CHAIN, small=[refused, fails("server")], large=[says("x")]) as run:
        known, unknown = run.ask(), run.ask()
        assert known.json()["routebench"]["cost_usd"] == pytest.approx(LARGE_USD)
        assert float(known.headers["x-routebench-cost-usd"]) == pytest.approx(LARGE_USD)
        assert unknown.json()["routebench"]["cost_usd"] is None
        assert "x-routebench-cost-usd" not in unknown.headers


# Streams


def test_a_stream_that_breaks_ends_in_an_error_and_never_in_the_mark(tmp_path: Path) -> None:
    with course(tmp_path, CHAIN, small=[Breaks("Once upon a time")], large=[says("x")]) as run:
        events = run.stream()
        assert text_of(events[:-1]) == "Once upon a time "
        assert events[-1]["error"]["code"] == "incomplete"
        assert "[DONE]" not in events
        assert not [one for one in events if one.get("choices") and one["choices"][0]["finish_reason"]]
        assert run.provider.asked == ["small"]
        (row,) = run.rows()
    assert (row["outcome"], row["status"], row["error_kind"]) == ("broken", 200, "incomplete")


def test_a_whole_stream_tells_its_finish_its_usage_and_who_answered(tmp_path: Path) -> None:
    with course(tmp_path, CHAIN, small=[says("one two three")], large=[says("x")]) as run:
        events = run.stream(stream_options={"include_usage": True})
    *pieces, finish, usage, mark = events
    assert mark == "[DONE]"
    assert text_of(pieces).split() == ["one", "two", "three"]
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert finish["routebench"]["model"] == "small"
    assert finish["routebench"]["cost_usd"] == pytest.approx(SMALL_USD)
    assert (usage["choices"], usage["usage"]["total_tokens"]) == ([], 110)
    assert {one["model"] for one in (*pieces, finish, usage)} == {"small"}


# Cascades


@pytest.mark.parametrize("streamed", [False, True])
def test_nothing_of_a_refused_answer_is_handed_over(tmp_path: Path, streamed: bool) -> None:
    short = says("I was cut", finish_reason="length")
    with course(tmp_path, CASCADE % "accept", small=[short], large=[says("whole")]) as run:
        answer = run.ask(stream=streamed)
        assert "cut" not in answer.text
        assert "whole" in answer.text
        (row,) = run.rows()
    assert (row["model"], row["cascade"], row["escalated"]) == ("large", "whole", True)
    assert row["cascade_extra_usd"] == pytest.approx(SMALL_USD)
    assert row["cost_usd"] == pytest.approx(SMALL_USD + LARGE_USD)
    assert row["cascade_wait_s"] >= 0.02
    assert [one["verdict"] for one in row["attempts"]] == ["refused", "accepted"]


def test_an_accepted_answer_was_held_back_until_it_was_whole(tmp_path: Path) -> None:
    with course(tmp_path, CASCADE % "accept", small=[says("good")], large=[says("x")]) as run:
        assert text_of(run.stream()).strip() == "good"
        (row,) = run.rows()
    assert (row["escalated"], row["cascade_extra_usd"]) == (False, 0.0)
    assert row["cascade_wait_s"] == pytest.approx(0.01)


@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_that_does_not_pass_is_never_given_where_the_check_says_so(tmp_path: Path, streamed: bool) -> None:
    cut = says("cut", finish_reason="length")
    with course(tmp_path, CASCADE % "fail", small=[cut], large=[cut]) as run:
        answer = run.ask(stream=streamed)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "abstained")
        assert "cut" not in answer.text
        (row,) = run.rows()
    assert (row["outcome"], row["error_kind"], row["model"]) == ("failed", "abstained", None)
    assert [one["verdict"] for one in row["attempts"]] == ["refused", "refused"]
    assert row["cost_usd"] == pytest.approx(SMALL_USD + LARGE_USD)


def test_a_stream_that_breaks_after_a_refused_answer_is_not_mended_by_that(tmp_path: Path) -> None:
    cut = says("cut", finish_reason="length")
    with course(tmp_path, CASCADE % "accept", small=[cut], large=[Breaks("Once upon")]) as run:
        events = run.stream()
        assert text_of(events[:-1]) == "Once upon "
        assert events[-1]["error"]["code"] == "incomplete"
        assert "[DONE]" not in events
        (row,) = run.rows()
    assert (row["outcome"], row["model"], row["escalated"]) == ("broken", None, True)
    assert [one["verdict"] for one in row["attempts"]] == ["refused", "failed"]


def test_the_answer_before_stands_where_the_last_model_fails(tmp_path: Path) -> None:
    cut = says("cut", finish_reason="length")
    with course(tmp_path, CASCADE % "accept", small=[cut], large=[fails("server")]) as run:
        assert run.ask().json()["choices"][0]["message"]["content"] == "cut"
        (row,) = run.rows()
    assert row["model"] == "small"
    assert [one["verdict"] for one in row["attempts"]] == ["accepted", "failed"]


@pytest.mark.parametrize(("chances", "model"), [((0.9, 0.8), "small"), ((0.9, 0.2), "large"), (None, "large")])
def test_a_check_of_confidence_reads_the_chances_of_tokens(tmp_path: Path, chances: Any, model: str) -> None:
    rules = CASCADE.replace("{finish: [stop], otherwise: %s}", "{min_confidence: 0.7}")
    told = None if chances is None else tuple({"token": "x", "logprob": math.log(one)} for one in chances)
    with course(tmp_path, rules, small=[says("sure", logprobs=told)], large=[says("large")]) as run:
        answer = run.ask().json()
        assert answer["model"] == model
        # The client did not ask for them.
        assert answer["choices"][0]["logprobs"] is None
        assert run.provider.calls[0].request.params["logprobs"] is True


def test_of_an_answer_that_is_not_checked_no_chances_are_asked_for(tmp_path: Path) -> None:
    rules = CASCADE.replace("{finish: [stop], otherwise: %s}", "{min_confidence: 0.7}")
    with course(tmp_path, rules, small=[says("unsure")], large=[says("large")]) as run:
        assert text_of(run.stream()).strip() == "large"
        assert ["logprobs" in call.request.params for call in run.provider.calls] == [True, False]


def test_chances_that_the_client_asks_for_are_handed_over_with_an_answer_that_was_held_back(tmp_path: Path) -> None:
    told = ({"token": "good", "logprob": -0.1, "bytes": None, "top_logprobs": []},)
    with course(tmp_path, CASCADE % "accept", small=[says("good", logprobs=told)], large=[says("x")]) as run:
        events = run.stream(logprobs=True)
    choices = [one["choices"][0] for one in events if one != "[DONE]"]
    assert [one["logprobs"]["content"] for one in choices if one.get("logprobs")] == [list(told)]


JUDGED = MODELS + (
    "cascade: {judged: {judge: {model: large, accept_from: 0.7}}}\ndefault: {route: [small, large], cascade: judged}\n"
)


@pytest.mark.parametrize(("word", "model", "n_large"), [("9", "small", 1), ("1", "large", 2)])
def test_what_a_judge_costs_is_part_of_what_a_request_costs(
    tmp_path: Path, word: str, model: str, n_large: int
) -> None:
    with course(tmp_path, JUDGED, small=[says("from small")], large=[says(word), says("from large")]) as run:
        answer = run.ask().json()
        assert answer["model"] == model
        assert answer["routebench"]["cost_usd"] == pytest.approx(SMALL_USD + n_large * LARGE_USD)
        (row,) = run.rows()
    assert row["cost_usd"] == pytest.approx(SMALL_USD + n_large * LARGE_USD)


def test_what_a_judge_costs_that_nobody_waits_for_is_unknown(tmp_path: Path) -> None:
    config = "limits: {deadline_s: 30, attempt_timeout_s: 30}\n"
    with running(tmp_path, JUDGED, {"small": [says("from small")], "large": [Hangs()]}, config=config) as run:
        with leaving(run):
            pass
        (row,) = run.rows()
    assert (row["outcome"], row["cost_usd"]) == ("cancelled", None)
    (attempt,) = row["attempts"]
    assert (attempt["model"], attempt["verdict"]) == ("small", "cancelled")
    assert attempt["cost_usd"] == pytest.approx(SMALL_USD)


# Clients that go away


@pytest.mark.parametrize("streamed", [False, True])
def test_a_client_that_goes_away_ends_the_call(tmp_path: Path, streamed: bool) -> None:
    config = "limits: {deadline_s: 30, attempt_timeout_s: 30, first_token_timeout_s: 30}\n"
    rules = ALONE + "budget: {usd_per_day: 1}\n"
    with running(tmp_path, rules, {"small": [Hangs()]}, config=config) as run:
        with leaving(run, streamed=streamed):
            pass
        (row,) = run.rows()
        (spent,) = run.traces.glob("spent-*.json")
        # It may have been charged for: that is unknown, and no zero.
        assert json.loads(spent.read_text())["rules"]["n_unknown"] == 1
    assert run.provider.n_cancelled == 1
    assert (row["outcome"], row["status"]) == ("cancelled", 499)
    assert [one["verdict"] for one in row["attempts"]] == ["cancelled"]
