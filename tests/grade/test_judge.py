"""Judges over real connections: votes, flipped sides, what cannot be read, and who may not judge whom."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from routebench.bench import Bench
from routebench.errors import ConfigError, SuiteError
from routebench.evaluate import judged
from routebench.grade import JUDGING, check_graders, flip_rate
from routebench.grade.pairwise import pairwise_votes, read_pairwise
from routebench.suites import Suite
from routebench.types import Completion, Grade
from tests.conftest import make_case
from tests.upstream import Reply, Upstream, chat_stream, error, serve

PRICE = "price: {input_usd_per_mtok: 1, output_usd_per_mtok: 2}"
ANSWER = "a plain answer"


def is_question(body: dict[str, Any]) -> bool:
    return body["model"] == "big"


def replying(verdict: Callable[[str, int], Reply]) -> Callable[[dict[str, Any], int], Reply]:
    """Answers the models, and lets `verdict` answer the judge: it is given the question, and how many came before."""
    asked: list[str] = []

    def reply(body: dict[str, Any], _number: int) -> Reply:
        if not is_question(body):
            return chat_stream(ANSWER)
        asked.append(body["messages"][-1]["content"])
        return verdict(asked[-1], len(asked) - 1)

    return reply


def write(folder: Path, server: Upstream, grader: dict[str, Any], *, judge: str = "big", **row: Any) -> Path:
    (folder / "suite.jsonl").write_text(json.dumps({"id": "a", "prompt": "why?", "grader": grader, **row}) + "\n")
    address = f'provider: openai, base_url: "{server.url}"'
    (folder / "bench.yaml").write_text(
        f"""\
suite: suite.jsonl
store: s.duckdb
models:
  - {{name: m, {address}, model: mock, params: {{max_tokens: 8}}, {PRICE}}}
judges:
  - {{name: judge, {address}, model: {judge}, params: {{max_tokens: 60, temperature: 1}}, {PRICE}}}
limits: {{max_attempts: 1, initial_concurrency: 1, max_concurrency: 1}}
"""
    )
    return folder / "bench.yaml"


def graded(bench: Bench) -> dict[str, Any]:
    bench.run().wait(10)
    run = bench.judge()
    if run is not None:
        run.wait(10)
    bench.grade()
    (row,) = bench.sql("SELECT score, detail, rater, grader_cost_usd FROM grades").to_dict("records")
    return {str(name): value for name, value in row.items()}


def test_the_rooms_agree_on_which_graders_are_a_judges() -> None:
    assert judged.JUDGING == JUDGING


def test_votes_are_planned_and_paid_one_by_one_and_averaged(tmp_path: Path) -> None:
    scores = (8, 6, 10)
    with serve(replying(lambda _, n: chat_stream(json.dumps({"reason": "so", "score": scores[n]})))) as server:
        bench = Bench(write(tmp_path, server, {"name": "judge", "votes": 3}))
        lines = {line.purpose: line.calls for line in bench.plan().lines}
        assert lines == {"answer": 1, "judge": 3}
        row = graded(bench)
        assert row["score"] == pytest.approx(0.8)
        assert row["detail"] == "3 votes from 0.6 to 1: so"
        assert row["rater"] == "judge"
        assert row["grader_cost_usd"] == pytest.approx(3 * 14e-6)
        assert bench.judge() is None


@pytest.mark.parametrize(("readable", "score"), [(2, 0.5), (1, None)])
def test_fewer_than_half_of_the_votes_are_no_score(tmp_path: Path, readable: int, score: float | None) -> None:
    reply = replying(lambda _, n: chat_stream('{"score": 5}' if n < readable else "hm"))
    with serve(reply) as server:
        row = graded(Bench(write(tmp_path, server, {"name": "judge", "votes": 4})))
    assert (None if row["score"] != row["score"] else row["score"]) == score
    assert ("2 unreadable" if score else "no verdict") in row["detail"]


def test_a_vote_that_failed_is_asked_again_and_the_others_are_not(tmp_path: Path) -> None:
    with serve(replying(lambda _, n: error(503, "busy") if n == 1 else chat_stream('{"score": 10}'))) as server:
        bench = Bench(write(tmp_path, server, {"name": "judge", "votes": 3}))
        bench.run().wait(10)
        for asked in (3, 1):
            run = bench.judge()
            assert run is not None
            assert run.wait(10).n_sent == asked
            assert bench.grade() == (asked == 1)


def test_a_judge_is_never_silently_one_of_the_judged(tmp_path: Path) -> None:
    with serve(replying(lambda _, n: chat_stream("?"))) as server:
        with pytest.raises(ConfigError, match=r"judge 'judge' is model 'm' \(openai, mock\).*self: allow"):
            Bench(write(tmp_path, server, {"name": "judge"}, judge="mock"))
        config = write(tmp_path, server, {"name": "judge", "self": "allow"}, judge="mock")
        server.reply = lambda body, _: chat_stream('{"score": 9}' if "You grade" in str(body) else ANSWER)
        bench = Bench(config)
        assert graded(bench)["score"] == 0.9
        assert bench.outcomes().agreement == "judge judge (one of the judged), not checked against people"


def first_answer(question: str) -> str:
    return re.findall(r"# Answer A\n(.*?)\n\n# Answer B", question, re.DOTALL)[0]


@pytest.mark.parametrize(
    ("prefers", "score", "changed"),
    [
        (lambda question: "A" if first_answer(question) == ANSWER else "B", 1.0, 0),
        (lambda question: "B" if first_answer(question) == ANSWER else "A", 0.0, 0),
        (lambda _: "tie", 0.5, 0),
        (lambda _: "A", 0.5, 2),
    ],
    ids=["better", "worse", "tie", "only the place"],
)
def test_pairs_are_compared_both_ways_without_names(
    tmp_path: Path, prefers: Callable[[str], str], score: float, changed: int
) -> None:
    questions: list[str] = []

    def verdict(question: str, _: int) -> Reply:
        questions.append(question)
        return chat_stream(json.dumps({"reason": "r", "better": prefers(question)}))

    with serve(replying(verdict)) as server:
        bench = Bench(write(tmp_path, server, {"name": "pairwise", "votes": 4}, target="what stands today"))
        row = graded(bench)
        assert (row["score"], row["detail"]) == (score, f"{changed} of 2 pairs changed when flipped: r")
        assert sorted(map(first_answer, questions)) == [ANSWER] * 2 + ["what stands today"] * 2
        rate = f"{changed / 2:.0%}"
        told = f"judge judge, not checked against people; {rate} of its comparisons changed when the sides were swapped"
        assert bench.outcomes().agreement == told


def test_the_incumbents_own_answer_is_a_tie_without_a_question(tmp_path: Path) -> None:
    with serve(replying(lambda *_: chat_stream("?"))) as server:
        bench = Bench(write(tmp_path, server, {"name": "pairwise"}, target=f"{ANSWER}\n"))
        row = graded(bench)
        assert (row["score"], row["grader_cost_usd"]) == (0.5, 0.0)
        assert not any(map(is_question, server.requests))


def compared(*replies: str) -> Grade:
    votes = pairwise_votes(make_case("a", target="x", grader="pairwise", options={"votes": len(replies)}), "y")
    return read_pairwise("pairwise", votes, [Completion("ok", text=reply) for reply in replies])


def test_one_half_of_a_pair_does_not_count() -> None:
    half = compared('{"better": "A"}', "?")
    assert half.score is None
    assert half.detail == "no verdict in the judge's reply: '?'"
    one_of_two = compared('{"better": "A"}', "?", '{"better": "A"}', '{"better": "b"}')
    assert one_of_two == Grade("pairwise", 1.0, "0 of 1 pairs changed when flipped")


def test_flip_rate_counts_pairs_and_nothing_else() -> None:
    flipped = compared('{"better": "A"}', '{"better": "A"}')
    kept = compared('{"better": "A"}', '{"better": "B"}', '{"better": "tie"}', '{"better": "tie"}')
    details = [flipped.detail, kept.detail, None, "the same as the reference"]
    assert flip_rate(details) == pytest.approx(1 / 3)
    assert flip_rate(["the same as the reference"]) is None


@pytest.mark.parametrize(
    ("grader", "options", "words"),
    [
        ("judge", {"votes": 0}, "whole number from 1 on"),
        ("judge", {"self": True}, "write `allow`"),
        ("pairwise", {"votes": 3}, "give an even number"),
        ("pairwise", {"against": "m"}, "compared with the `target`"),
        ("judge", {"against": "target"}, "has no option 'against'"),
    ],
)
def test_options_of_judges_are_checked(grader: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(SuiteError, match=words):
        check_graders(Suite("s", (make_case("a", grader=grader, options=options),)))
