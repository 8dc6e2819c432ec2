"""Files of public benchmarks: what each format tells, what real files do to it, and what is refused."""

from __future__ import annotations

import csv
import gzip
import json
import zipfile
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from routebench.errors import OutcomesError
from routebench.suites.importers import (
    bfcl,
    inspect_log,
    mtbench,
    promptfoo,
    routellm,
    routerarena,
    routerbench,
    zeroeval,
)
from routebench.suites.importers.answers import Answer, Format, Read
from routebench.suites.importers.frames import Tally
from routebench.suites.importers.lines import json_members
from routebench.types import ToolCall

SINGLE = "[Instruction]\nBe a judge.\n\n[Question]\n{q}\n\n[The Start of Assistant's Answer]\n{a}\n[The End of Assistant's Answer]"
DOUBLE = (
    "<|The Start of Assistant A's Conversation with User|>\n\n### User:\n{q}\n\n### Assistant A:\n{a}\n\n"
    "### User:\n{q2}\n\n### Assistant A:\n{a2}\n\n<|The End of Assistant A's Conversation with User|>"
)
FORMATS = (
    routerbench.FORMAT,
    routellm.MMLU,
    routellm.GSM8K,
    mtbench.FORMAT,
    routerarena.FORMAT,
    bfcl.FORMAT,
    zeroeval.FORMAT,
    inspect_log.FORMAT,
    promptfoo.FORMAT,
)


def lines(path: Path, rows: Iterable[Any]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), newline="\n")
    return path


def document(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content, indent=2))
    return path


def table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def told(read: Read | Format, *paths: Path) -> tuple[list[Answer], Tally]:
    tally = Tally()
    answers = list((read.read if isinstance(read, Format) else read)(paths, tally, None))
    by_id: dict[str, Any] = {}
    for answer in answers:
        assert by_id.setdefault(answer.case.id, answer.case) == answer.case, "an id stands for one prompt"
        assert answer.case.grader.name == "imported"
        assert answer.score is None or 0 <= answer.score <= 1
        assert answer.error_kind is None or answer.score is None
    return answers, tally


def nonzero(counts: dict[str, int]) -> dict[str, int]:
    return {reason: count for reason, count in counts.items() if count}


# Native samples


@pytest.mark.parametrize(
    ("form", "names", "n_answers", "n_cases", "models", "total"),
    [
        (routellm.MMLU, ["routellm_mmlu_nutrition.csv"], 612, 306, 2, 512.0),
        (routellm.GSM8K, ["routellm_gsm8k_20.csv"], 40, 20, 2, 24.0),
        (mtbench.FORMAT, ["mtbench_judgements_20.jsonl"], 20, 20, 1, 19.0),
        (
            routerarena.FORMAT,
            ["routerarena_claude-3-haiku_20.jsonl", "routerarena_gemini-2.0-flash-001_20.jsonl"],
            40,
            20,
            2,
            27.0,
        ),
        (zeroeval.FORMAT, ["zeroeval_crux_gpt-4o-mini_20.json"], 20, 20, 1, 16.0),
        (inspect_log.FORMAT, ["inspect_popularity.json"], 3, 3, 1, 2.0),
        (inspect_log.FORMAT, ["inspect_popularity.eval"], 10, 10, 1, 8.0),
    ],
    ids=lambda value: value.name if isinstance(value, Format) else None,
)
def test_native_samples(
    shared_data: Path, form: Format, names: list[str], n_answers: int, n_cases: int, models: int, total: float
) -> None:
    answers, tally = told(form, *(shared_data / "native" / name for name in names))
    assert len(answers) == n_answers
    assert len({answer.case.id for answer in answers}) == len({id(answer.case) for answer in answers}) == n_cases
    assert len({answer.model for answer in answers}) == models
    assert sum(answer.score or 0 for answer in answers) == pytest.approx(total)
    assert not nonzero(tally.skipped)
    assert not nonzero(tally.clipped)
    assert not tally.unknown["scores"]


def test_native_bfcl_has_scores_where_no_file_tells_the_questions(shared_data: Path, tmp_path: Path) -> None:
    native = shared_data / "native"
    files = [native / "bfcl_score_simple_gpt-4o-mini.json", native / "bfcl_result_simple_gpt-4o-mini.json"]
    untold = "cases whose question no file tells: scores without a prompt (give the benchmark's question files too)"
    answers, tally = told(bfcl.FORMAT, *files)
    assert len(answers) == 60
    assert not any(answer.case.request.messages for answer in answers)
    # The sample's failures are all beyond its sixty answers.
    assert {answer.score for answer in answers} == {1.0}
    assert nonzero(tally.noted) == {untold: 60, "failures whose answer is in no result file": 26}
    asked = [{"id": f"simple_{n}", "question": f"question {n}", "function": {"name": "f"}} for n in range(40)]
    answers, tally = told(bfcl.FORMAT, *files, lines(tmp_path / "BFCL_v2_simple.json", asked))
    assert sum(bool(answer.case.request.messages) for answer in answers) == 40
    assert {answer.model for answer in answers} == {"gpt-4o-mini-2024-07-18"}
    assert not nonzero(tally.skipped)
    assert nonzero(tally.noted)[untold] == 20
    assert answers[0].latency_s == pytest.approx(0.5549, abs=1e-4)
    assert (answers[0].usage.input_tokens, answers[0].usage.output_tokens) == (315, 12)
    assert answers[0].case.request.tools == ({"type": "function", "function": {"name": "f"}},)


def test_native_details(shared_data: Path) -> None:
    native = shared_data / "native"
    (first, *_), tally = told(inspect_log.FORMAT, native / "inspect_popularity.json")
    assert nonzero(tally.noted) == {"logs with status cancelled": 1}
    assert (first.case.id, first.case.category, first.case.target) == ("popularity-1", "popularity", " Yes")
    assert (first.latency_s, first.usage.input_tokens, first.finish_reason) == (0.546, 64, "stop")
    answers, _ = told(mtbench.FORMAT, native / "mtbench_judgements_20.jsonl")
    second = next(answer for answer in answers if answer.case.id == "114-t2")
    assert [message["role"] for message in second.case.request.messages] == ["user", "user"]
    assert (second.score, second.case.group, second.case.category) == (0.2, "114", "math")
    assert second.case.target.startswith("We already know")
    (first, *_), _ = told(routerarena.FORMAT, native / "routerarena_claude-3-haiku_20.jsonl")
    assert (first.case.id, first.case.category, first.case.target) == ("AIME_112", "AIME", "610")
    assert first.cost_usd == pytest.approx(0.00023725)


def test_zeroeval_scores_agree_with_those_that_others_parsed(shared_data: Path, tmp_path: Path) -> None:
    prompts = pd.read_parquet(shared_data / "zeroeval_lite.prompts.parquet").set_index("prompt_id")
    outcomes = pd.read_parquet(shared_data / "zeroeval_lite.outcomes.parquet")
    outcomes = outcomes[outcomes["model"] == "claude-3-5-haiku-20241022"]
    records = [
        {
            "session_id": row.prompt_id,
            "chat_history": [prompts.loc[row.prompt_id, "prompt"]],
            "output": [row.response],
            "generator": row.model,
            "dataset": prompts.loc[row.prompt_id, "category"],
            "answer": prompts.loc[row.prompt_id, "reference"],
        }
        for row in outcomes.itertuples()
    ]
    answers, _ = told(zeroeval.FORMAT, document(tmp_path / "all.json", records))
    theirs = dict(zip(outcomes["prompt_id"], outcomes["score"], strict=True))
    agree = sum(answer.score == theirs[answer.case.id] for answer in answers)
    assert len(answers) == len(outcomes) == 2119
    assert agree >= 2100


# RouterBench

WIDE = ["sample_id", "prompt", "eval_name", "a/x", "y", "a/x|model_response", "y|model_response", "a/x|total_cost"]
WIDE += ["y|total_cost", "oracle_model_to_route_to"]
WIDE_ROWS = [
    ["m.1", "['Q: demo\\nA: yes\\n\\nQ: real']", "mmlu", "1.0", "0.25", "['A)']", "[not a list]", "0.001", "", "y"],
    [
        "m.2",
        "plain, with a comma\nand a line",
        "gsm",
        "",
        "True",
        "",
        "['it\\'s', 'two']",
        "",
        "0.0",
        "no_model_correct",
    ],
    ["", "['no id']", "gsm", "1", "1", "['x']", "['x']", "1", "1", "y"],
]


def wide_frame() -> pd.DataFrame:
    frame = pd.DataFrame(WIDE_ROWS, columns=WIDE).replace("", None)
    numbers = ["a/x", "y", "a/x|total_cost", "y|total_cost"]
    return frame.assign(**{name: frame[name].replace("True", "1").astype(float) for name in numbers})


def check_wide(answers: list[Answer], tally: Tally) -> None:
    assert [(a.case.id, a.model, a.score, a.text, a.cost_usd) for a in answers] == [
        ("m.1", "a/x", 1.0, "A)", 0.001),
        ("m.1", "y", 0.25, "[not a list]", None),
        ("m.2", "y", 1.0, "it's\n\ntwo", 0.0),
    ]
    assert answers[0].case.request.messages == ({"role": "user", "content": "Q: demo\nA: yes\n\nQ: real"},)
    assert answers[2].case.request.messages == ({"role": "user", "content": "plain, with a comma\nand a line"},)
    assert (answers[0].case.category, answers[0].case.target) == ("mmlu", None)
    assert answers[0].case is answers[1].case
    assert nonzero(tally.skipped) == {"rows without a sample_id": 1, "cells without score, answer and cost": 1}
    assert nonzero(tally.noted) == {"columns left out (oracle_model_to_route_to)": 1}
    assert nonzero(tally.unknown) == {"cost_usd": 1, "latency_s": 3}
    assert "oracle" not in repr(answers)


def test_routerbench_csv_and_parquet_tell_the_same(tmp_path: Path) -> None:
    check_wide(*told(routerbench.FORMAT, table(tmp_path / "r.csv", WIDE, WIDE_ROWS)))
    wide_frame().to_parquet(tmp_path / "r.parquet", index=False)
    check_wide(*told(routerbench.FORMAT, tmp_path / "r.parquet"))


def test_a_pickle_is_read_only_where_the_user_says_so(tmp_path: Path) -> None:
    wide_frame().to_pickle(tmp_path / "r.pkl")
    with pytest.raises(OutcomesError, match="--allow-pickle"):
        told(routerbench.FORMAT, tmp_path / "r.pkl")
    check_wide(*told(routerbench.with_pickle, tmp_path / "r.pkl"))
    check_wide(*told(routerbench.with_pickle, table(tmp_path / "r.csv", WIDE, WIDE_ROWS)))
    (tmp_path / "broken.pkl").write_bytes(b"\x80\x04junk")
    with pytest.raises(OutcomesError, match="cannot be unpickled"):
        told(routerbench.with_pickle, tmp_path / "broken.pkl")


@pytest.mark.parametrize(
    ("column", "value", "match"),
    [
        ("y", "1.5", "row 1, column y: score '1.5' is not from 0 to 1"),
        ("y", "good", "row 1, column y: score 'good' is no number"),
        ("y|total_cost", "-0.1", r"row 1, column y\|total_cost: cost '-0.1' is no amount"),
        ("y|total_cost", "0,1 €", "is no number"),
    ],
)
def test_routerbench_names_a_bad_cell(tmp_path: Path, column: str, value: str, match: str) -> None:
    rows = [list(row) for row in WIDE_ROWS]
    rows[0][WIDE.index(column)] = value
    with pytest.raises(OutcomesError, match=match):
        told(routerbench.FORMAT, table(tmp_path / "r.csv", WIDE, rows))


def test_two_routerbench_tables_with_the_same_ids_are_not_mixed(tmp_path: Path) -> None:
    zero_shot = table(tmp_path / "0.csv", WIDE, WIDE_ROWS)
    five_shot = table(tmp_path / "5.csv", WIDE, [[row[0], "demos " + row[1], *row[2:]] for row in WIDE_ROWS])
    with pytest.raises(OutcomesError, match=r"5\.csv: row 1: 'm\.1' stands for two different prompts"):
        told(routerbench.FORMAT, zero_shot, five_shot)
    answers, _ = told(routerbench.FORMAT, zero_shot, zero_shot)
    assert len(answers) == 6


def test_a_broken_table_is_named(tmp_path: Path) -> None:
    path = table(tmp_path / "r.csv", WIDE, WIDE_ROWS)
    path.write_text(path.read_text().rstrip() + '\nm.3,"cut off in')
    with pytest.raises(OutcomesError, match=r"r\.csv: not a whole table"):
        told(routerbench.FORMAT, path)
    path.write_bytes(b"sample_id,prompt,eval_name,y,y|total_cost\n1,caf\xe9,z,1,1\n")
    with pytest.raises(OutcomesError, match="not UTF-8"):
        told(routerbench.FORMAT, path)
    path.write_text("sample_id,prompt,eval_name,y,y|total_cost\n1,a, comma,z,1,1\n")
    with pytest.raises(OutcomesError, match="more cells"):
        told(routerbench.FORMAT, path)
    with pytest.raises(OutcomesError, match="no model has a column"):
        told(routerbench.FORMAT, table(path, ["sample_id", "prompt", "eval_name", "score"], [["1", "p", "e", "1"]]))
    (tmp_path / "r.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(OutcomesError, match="not a whole table"):
        told(routerbench.FORMAT, tmp_path / "r.parquet")


# RouteLLM


def test_routellm_mmlu_takes_the_subject_from_the_name(tmp_path: Path) -> None:
    rows = [["two\nlines", "True", "False"], ["", "True", "True"], ["two\nlines", "False", ""]]
    path = table(tmp_path / "mmlu_high_school_physics.csv", ["prompt", "s/m", "gpt"], rows)
    answers, tally = told(routellm.MMLU, path)
    assert [answer.score for answer in answers] == [1.0, 0.0, 0.0]
    (case,) = {id(answer.case): answer.case for answer in answers}.values()
    assert case.category == "high_school_physics"
    assert case.id.startswith("high_school_physics-")
    assert nonzero(tally.skipped) == {"rows without a prompt": 1, "cells without verdict and answer": 1}
    answers, tally = told(routellm.MMLU, table(tmp_path / "x.csv", ["prompt", "", "gpt"], [["p", "0", "True"]]))
    assert (answers[0].case.category, len(answers)) == (None, 1)
    assert nonzero(tally.noted) == {
        "files whose name tells no subject, as mmlu_SUBJECT.csv does": 1,
        "columns left out (Unnamed: 1)": 1,
    }


def test_routellm_tells_its_two_tables_apart(tmp_path: Path) -> None:
    plain = table(tmp_path / "mmlu_a.csv", ["prompt", "m"], [["p", "True"]])
    full = table(tmp_path / "g.csv", ["prompt", "m", "m_response", "note"], [["p", "True", "'null'\nno", "x"]])
    answers, tally = told(routellm.GSM8K, full)
    assert [(a.score, a.text, a.case.category) for a in answers] == [(1.0, "'null'\nno", "gsm8k")]
    assert nonzero(tally.noted) == {"columns left out (note)": 1}
    with pytest.raises(OutcomesError, match="looks like routellm-gsm8k"):
        told(routellm.MMLU, full)
    with pytest.raises(OutcomesError, match="may be routellm-mmlu"):
        told(routellm.GSM8K, plain)
    with pytest.raises(OutcomesError, match="row 1: expected True or False in column 'm', got 'maybe'"):
        told(routellm.MMLU, table(plain, ["prompt", "m"], [["p", "maybe"]]))


# MT-Bench


def judged(
    model: str | None = "m", turn: int = 1, score: Any = 8, prompt: str | None = None, **more: Any
) -> dict[str, Any]:
    fill = {"q": "Why?\n\nReally?", "a": f"{model} says so", "q2": "And then?", "a2": f"{model} goes on"}
    shown = (SINGLE if turn == 1 else DOUBLE).format(**fill) if prompt is None else prompt
    row = {"question_id": 81, "model": model, "judge": ["gpt-4", "single-v1"], "user_prompt": shown}
    return {**row, "judgment": "", "score": score, "turn": turn, **more}


def test_mtbench_turns_are_cases_of_one_group_and_the_same_for_all_models(tmp_path: Path) -> None:
    # The first model's answer looks like a speaker's line, so its prompt can be read from the other's alone.
    odd = DOUBLE.format(q="Why?", a="a\n\n### User:\nb", q2="And then?", a2="c")
    rows = [judged(turn=2, prompt=odd), judged("n", 2), judged(), judged("n", score=-1), judged(None)]
    rows += [judged(judge=["claude", "single-v1"]), judged(turn=1, prompt="?", question_id=900)]
    answers, tally = told(mtbench.FORMAT, lines(tmp_path / "j.jsonl", rows))
    assert [(a.case.id, a.model, a.score, a.text) for a in answers] == [
        ("81-t2", "m", 0.8, None),
        ("81-t2", "n", 0.8, "n goes on"),
        ("81-t1", "m", 0.8, "m says so"),
        ("81-t1", "n", None, "n says so"),
    ]
    assert {(a.case.group, a.case.category) for a in answers} == {("81", "writing")}
    assert [m["content"] for m in answers[0].case.request.messages] == ["Why?\n\nReally?", "And then?"]
    assert nonzero(tally.skipped) == {
        "rows without a model": 1,
        "judgements by another judge than gpt-4": 1,
        "judgements whose question cannot be read from the judge's prompt": 1,
    }
    assert nonzero(tally.noted) == {"judgements without a rating": 1}
    assert tally.unknown["scores"] == 1


@pytest.mark.parametrize(
    ("row", "match"),
    [
        (judged(score=11), ":2: score 11 is neither from 1 to 10"),
        (judged(score="ten"), ":2: score 'ten' is no number"),
        (judged(turn=3), ":2: expected a question_id, and turn 1 or 2"),
        ({"question_id": 81, "model_1": "a", "model_2": "b", "winner": "a"}, ":2: judgements of pairs"),
    ],
)
def test_mtbench_names_a_bad_line(tmp_path: Path, row: dict[str, Any], match: str) -> None:
    with pytest.raises(OutcomesError, match=match):
        told(mtbench.FORMAT, lines(tmp_path / "j.jsonl", [judged(), row]))


# RouterArena


def arena(model: str | None = "m", result: Any = None, **more: Any) -> dict[str, Any]:
    row = {
        "global_index": "LiveCodeBench_v6_7",
        "question": "q\u2028r",
        "llm_selected": model,
        "generated_answer": "text",
    }
    return {**row, "token_usage": {"input_tokens": 3, "output_tokens": 4}, "evaluation_result": result, **more}


def test_routerarena_scores_are_clipped_counted_or_unknown(tmp_path: Path) -> None:
    good = {"score": 0.5, "ground_truth": "x", "inference_cost": 0.25}
    rows = [
        arena(result=good),
        arena("n", {**good, "score": -0.5, "inference_cost": None}),
        arena("o"),
        arena("p", good, success=False, error="Error: 429 Too Many Requests", generated_answer=""),
        arena(None, good),
        arena("q", good, global_index=None),
    ]
    answers, tally = told(routerarena.FORMAT, lines(tmp_path / "a.jsonl", rows))
    assert [(a.model, a.score, a.cost_usd, a.error_kind) for a in answers] == [
        ("m", 0.5, 0.25, None),
        ("n", 0.0, None, None),
        ("o", None, None, None),
        ("p", None, None, "rate_limited"),
    ]
    assert answers[0].case.category == "LiveCodeBench_v6"
    assert answers[0].case.request.messages[0]["content"] == "q\u2028r"
    assert answers[3].usage.output_tokens is None
    assert nonzero(tally.clipped) == {"scores below 0": 1}
    assert nonzero(tally.unknown) == {"scores": 1, "cost_usd": 3, "latency_s": 4}
    assert nonzero(tally.skipped) == {"rows without a model": 1, "rows without a global_index or a question": 1}
    assert nonzero(tally.noted) == {"failed calls": 1}


@pytest.mark.parametrize(
    ("row", "match"),
    [
        (arena(result={"score": 2}), r"a\.jsonl:2: score 2 is not from 0 to 1"),
        (arena(result={"score": 1, "inference_cost": -1}), r"a\.jsonl:2: inference_cost -1 is no amount"),
        (arena(token_usage={"output_tokens": -4}), r"a\.jsonl:2: output_tokens -4 is no amount"),
        (arena(result=[1]), r"a\.jsonl:2: evaluation_result is null or an object"),
        (arena(question="another"), r"a\.jsonl:2: 'LiveCodeBench_v6_7' stands for two different prompts"),
    ],
)
def test_routerarena_names_a_bad_line(tmp_path: Path, row: dict[str, Any], match: str) -> None:
    with pytest.raises(OutcomesError, match=match):
        told(routerarena.FORMAT, lines(tmp_path / "a.jsonl", [arena(), row]))


# BFCL


def call(number: int, result: Any = "[f(x=1)]", **more: Any) -> dict[str, Any]:
    row = {"id": f"simple_{number}", "result": result, "input_token_count": 9, "output_token_count": 2, "latency": 0.5}
    return {**row, **more}


def failure(number: int, **more: Any) -> dict[str, Any]:
    prompt = {"id": f"simple_{number}", "question": f"do {number}", "function": {"name": "f", "parameters": {}}}
    row = {"id": number + 1, "model_name": "M-1", "test_category": "simple", "valid": False, "error": ["no"]}
    return {**row, "prompt": prompt, "possible_answer": {"f": {"x": [number]}}, **more}


def summary(total: int, wrong: int) -> dict[str, Any]:
    return {"accuracy": (total - wrong) / total, "correct_count": total - wrong, "total_count": total}


QUESTIONS = [
    {
        "id": f"simple_{n}",
        "question": [[{"role": "user", "content": f"do {n}"}]],
        "function": [{"name": "f", "parameters": {}}],
    }
    for n in range(7)
]


def test_bfcl_files_in_any_order_make_scores(tmp_path: Path) -> None:
    dead = {"input_token_count": 0, "output_token_count": 0, "latency": 0}
    results = [
        call(0),
        call(1),
        call(2, [{"f": '{"x": 1}'}, {"g": {}}], latency=[[0.25, 0.25], [0.5]], output_token_count=[[1], [2]]),
        call(3, "Error during inference: Connection error.", **dead),
        call(4, "", **dead),
        call(5, "Error: I cannot do that"),
        call(6, "", output_token_count=0),
    ]
    scores = [summary(7, 2), failure(1), failure(4, prompt="do 4")]
    files = [
        lines(tmp_path / "bfcl_score_simple_m-1.json", scores),
        lines(tmp_path / "questions.json", QUESTIONS),
        lines(tmp_path / "bfcl_result_simple_m-1.json", results),
    ]
    for order in (files, files[::-1]):
        answers, tally = told(bfcl.FORMAT, *order)
        assert [(a.case.id, a.model, a.score, a.error_kind) for a in answers] == [
            ("simple_0", "M-1", 1.0, None),
            ("simple_1", "M-1", 0.0, None),
            ("simple_2", "M-1", 1.0, None),
            ("simple_3", "M-1", None, "connection"),
            ("simple_4", "M-1", None, "incomplete"),
            ("simple_5", "M-1", 1.0, None),
            ("simple_6", "M-1", 1.0, None),
        ]
        assert nonzero(tally.noted) == {
            "answers that are errors of the call, left unscored, though marked right": 1,
            "answers that are errors of the call, left unscored": 1,
            "failed calls": 2,
        }
    assert answers[2].tool_calls == (ToolCall(None, "f", '{"x": 1}'), ToolCall(None, "g", "{}"))
    assert (answers[2].latency_s, answers[2].usage.output_tokens, answers[2].text) == (1.0, 3, None)
    assert answers[1].case.target == {"f": {"x": [1]}}
    assert {answer.case.category for answer in answers} == {"simple"}


def test_bfcl_layout_of_folders_pairs_files_by_model(tmp_path: Path) -> None:
    for model in ("a-FC", "b"):
        for kind, rows in (
            ("result", [call(0), call(1)]),
            ("score", [summary(2, 1), failure(int(model == "b"), model_name=None)]),
        ):
            (tmp_path / kind).mkdir(exist_ok=True)
            lines(tmp_path / kind / model / f"BFCL_v3_simple_{kind}.json", rows)
    questions = lines(tmp_path / "BFCL_v3_simple.json", QUESTIONS)
    answers, _ = told(bfcl.FORMAT, *sorted(tmp_path.glob("*/*/*.json")), questions)
    assert [(a.model, a.case.id, a.score) for a in answers] == [
        ("a-FC", "simple_0", 0.0),
        ("a-FC", "simple_1", 1.0),
        ("b", "simple_0", 1.0),
        ("b", "simple_1", 0.0),
    ]


def test_bfcl_without_scores_is_unscored(tmp_path: Path) -> None:
    files = lines(tmp_path / "result_simple_m.json", [call(0)]), lines(tmp_path / "q.json", QUESTIONS)
    (answer,), tally = told(bfcl.FORMAT, *files)
    assert (answer.score, answer.model) == (None, "m")
    assert nonzero(tally.noted) == {"result files without their score file": 1}
    assert tally.unknown["scores"] == 1


@pytest.mark.parametrize(
    ("scores", "match"),
    [
        ([summary(2, 2), failure(0)], "its summary says 2 failures, it holds 1"),
        ([summary(1, 1), failure(0)], "holds 2 cases, but .* scored 1"),
        ([summary(2, 1), failure(0, prompt={"id": "simple_0", "question": "other"})], "two different questions"),
        ([summary(2, 1), failure(0, prompt=None, test_category=None)], ":2: a failure names its case by"),
    ],
)
def test_bfcl_refuses_scores_of_another_run(tmp_path: Path, scores: list[Any], match: str) -> None:
    files = [
        lines(tmp_path / "result_simple_m.json", [call(0), call(1)]),
        lines(tmp_path / "score_simple_m.json", scores),
        lines(tmp_path / "q.json", QUESTIONS),
    ]
    with pytest.raises(OutcomesError, match=match):
        told(bfcl.FORMAT, *files)
    with pytest.raises(OutcomesError, match=r"no result file among them|failures|names its case|questions"):
        told(bfcl.FORMAT, *files[1:])


# ZeroEval


def output(text: Any, answer: str, dataset: str = "crux", **more: Any) -> dict[str, Any]:
    row = {"session_id": f"{dataset}-{text}-{answer}", "chat_history": ["prompt"], "output": [text], "generator": "g"}
    return {**row, "dataset": dataset, "answer": answer, **more}


@pytest.mark.parametrize(
    ("row", "score"),
    [
        (output('so ```json\n{"reasoning": "{x}", "answer": "POO"}\n```', "'POO'"), 1.0),
        (output('{"reasoning": "two\nlines", "answer": "[1,2]"}', "[1, 2]"), 1.0),
        (output('{"answer": 1001}', "'1001'"), 0.0),
        (output('{"answer": true}', "True"), 1.0),
        (output('{"reasoning": "a "quoted" word", "answer": "None"}', "None"), 1.0),
        (output('{"answer": ""}', "''"), 1.0),
        (output("The answer is 3.", "3"), 0.0),
        (output('{"answer": "$1,200.50 dollars"}', "#### 1200.5", "gsm"), 1.0),
        (output('{"answer": "1/4"}', "0.25", "gsm"), 1.0),
        (output('{"answer": "none"}', "3", "gsm"), 0.0),
        (output('{"answer": "B."}', "x", "mmlu-redux", choices=["w", "v"], correct_answer="v"), 1.0),
        (output('{"answer": "A"}', "x", "mmlu-redux", choices=["w", "v"], correct_answer="v"), 0.0),
        (output('{"answer": "x"}', "x", "math-l5"), None),
        (output(None, "3"), None),
    ],
)
def test_zeroeval_scores(tmp_path: Path, row: dict[str, Any], score: float | None) -> None:
    (answer,), _ = told(zeroeval.FORMAT, document(tmp_path / "o.json", [row]))
    assert answer.score == score


def test_zeroeval_counts_what_it_cannot_read(tmp_path: Path) -> None:
    rows = [
        output("no JSON", "3"),
        output("{}", "3", "zebra-grid"),
        output("x", "3", output=[]),
        output("x", "3", chat_history=[]),
        output("x", "3", session_id="two", output=['{"answer": 3}', '{"answer": 4}'], chat_history=["a", "b", "c"]),
        output('{"answer": 3}', "3", session_id="three", generator=None),
    ]
    answers, tally = told(zeroeval.FORMAT, document(tmp_path / "gpt-x.json", rows))
    assert [answer.score for answer in answers] == [0.0, None, 1.0, 0.0, 1.0]
    assert [message["role"] for message in answers[2].case.request.messages] == ["user", "assistant", "user"]
    assert answers[4].model == "gpt-x"
    assert nonzero(tally.noted) == {
        "outputs without a readable answer, scored 0": 1,
        "outputs of sets that this reader cannot score": 1,
    }
    assert nonzero(tally.skipped) == {"records without an output": 1, "records without an id or a prompt": 1}


# Inspect


def sample(number: int = 1, value: Any = "C", epoch: int = 1, **more: Any) -> dict[str, Any]:
    row = {"id": number, "epoch": epoch, "input": f"question {number}", "target": "yes", "working_time": 1.5}
    row["output"] = {"choices": [{"message": {"role": "assistant", "content": "yes"}, "stop_reason": "stop"}]}
    return {**row, "total_time": 9.0, "scores": {"match": {"value": value}, "extra": {"value": 7}}, **more}


def log(samples: list[Any], status: str = "success", scorer: str = "inspect_ai/match") -> dict[str, Any]:
    head = {"task": "t", "model": "p/m", "created": "2026-01-01T00:00:00Z", "scorers": [{"name": scorer}]}
    return {"version": 2, "status": status, "eval": head, "plan": {}, "samples": samples}


@pytest.mark.parametrize(
    ("value", "score"),
    [
        ("C", 1.0),
        ("I", 0.0),
        ("P", 0.5),
        ("N", 0.0),
        (0.25, 0.25),
        (True, 1.0),
        ("False", 0.0),
        ("0.5", 0.5),
        ("a word", None),
        ({"a": 1}, None),
        (float("nan"), None),
        (None, None),
    ],
)
def test_inspect_scores(tmp_path: Path, value: Any, score: float | None) -> None:
    (answer,), tally = told(inspect_log.FORMAT, document(tmp_path / "l.json", log([sample(value=value)])))
    assert answer.score == score
    assert tally.noted["scores by other scorers than match, left out"] == 1
    assert tally.noted["scores that are no single number, left unscored"] == (value in ("a word", {"a": 1}))


def test_inspect_a_score_on_another_scale_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutcomesError, match="sample 2: score 7 is not from 0 to 1"):
        told(inspect_log.FORMAT, document(tmp_path / "l.json", log([sample(), sample(2, 7)])))


def test_inspect_usage_times_errors_and_attachments(tmp_path: Path) -> None:
    hash_ = "0123456789abcdef0123456789abcdef"
    chat = [{"id": "x", "role": "system", "content": "be brief"}, {"role": "user", "content": f"attachment://{hash_}"}]
    used = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 45, "input_tokens_cache_read": 30}
    rows = [
        sample(1, input=chat, attachments={hash_: "long"}, model_usage={"p/m": used, "judge": {"input_tokens": 99}}),
        sample(
            2, model_usage={"p/m": {**used, "total_tokens": 15, "input_tokens_cache_read": 4, "reasoning_tokens": 3}}
        ),
        sample(3, working_time=None, choices=["red", "blue"], started_at="2026-01-01T00:00:00+00:00"),
        sample(4, scores=None, error={"message": "TimeoutError: timed out"}),
        sample(5, scores=None, error={"message": "KeyError: 'x'"}),
        sample(6, input=None),
        sample(7, model_usage={"p/m": {**used, "total_tokens": 19, "input_tokens_cache_read": 4}}),
    ]
    answers, tally = told(inspect_log.FORMAT, document(tmp_path / "l.json", log(rows)))
    first, second, third, fourth, fifth, last = answers
    assert first.case.request.messages == (
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "long"},
    )
    assert (first.usage.input_tokens, first.usage.cached_input_tokens, first.usage.output_tokens) == (40, 30, 5)
    assert (second.usage.input_tokens, second.usage.cached_input_tokens, second.usage.reasoning_tokens) == (10, 4, 3)
    assert (last.usage.input_tokens, last.usage.cached_input_tokens) == (14, 4)
    assert (first.latency_s, third.latency_s) == (1.5, 9.0)
    assert third.case.request.messages[0]["content"] == "question 3\nA) red\nB) blue"
    assert third.started_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert (fourth.error_kind, fifth.error_kind) == ("timeout", "incomplete")
    assert nonzero(tally.skipped) == {"samples without an id or an input": 1}
    assert tally.noted["samples without working_time, whose latency holds waiting too"] == 1


def archive(path: Path, head: str | None, content: dict[str, Any], samples: list[Any]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for number, row in enumerate(samples):
            file.writestr(f"samples/{number}_epoch_1.json", row if isinstance(row, str) else json.dumps(row))
        if head is not None:
            file.writestr(head, json.dumps(content))
    return path


def test_inspect_eval_files_and_epochs(tmp_path: Path) -> None:
    head = {name: value for name, value in log([]).items() if name != "samples"}
    path = archive(tmp_path / "l.eval", "header.json", head, [sample(), sample(epoch=2, value="I")])
    answers, tally = told(inspect_log.FORMAT, path, document(tmp_path / "l.json", log([sample(value="P")])))
    assert [(a.case.id, a.sample, a.score) for a in answers] == [("t-1", 0, 1.0), ("t-1", 1, 0.0), ("t-1", 2, 0.5)]
    started = {name: value for name, value in head.items() if name != "status"}
    _, tally = told(inspect_log.FORMAT, archive(tmp_path / "s.eval", "_journal/start.json", started, [sample()]))
    assert tally.noted["logs with status started"] == 1


def test_inspect_broken_archives_are_named(tmp_path: Path) -> None:
    with pytest.raises(OutcomesError, match=r"neither header\.json nor _journal"):
        told(inspect_log.FORMAT, archive(tmp_path / "a.eval", None, {}, [sample()]))
    head = {name: value for name, value in log([]).items() if name != "samples"}
    with pytest.raises(OutcomesError, match=r"samples/0_epoch_1\.json: cannot be read"):
        told(inspect_log.FORMAT, archive(tmp_path / "b.eval", "header.json", head, ["{"]))
    whole = archive(tmp_path / "c.eval", "header.json", head, [sample()]).read_bytes()
    (tmp_path / "c.eval").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OutcomesError, match=r"not a whole \.eval file"):
        told(inspect_log.FORMAT, tmp_path / "c.eval")
    with pytest.raises(OutcomesError, match="no answer could be read"):
        told(inspect_log.FORMAT, document(tmp_path / "d.json", log([])))
    text = json.dumps(log([sample()]), indent=1)
    (tmp_path / "e.json").write_text(text[: text.index('"total_time"')])
    with pytest.raises(OutcomesError, match=r"e\.json: record 1: not valid JSON, or cut off"):
        told(inspect_log.FORMAT, tmp_path / "e.json")


# promptfoo


def result(**more: Any) -> dict[str, Any]:
    row = {
        "provider": {"id": "openai:gpt", "label": ""},
        "prompt": {"raw": "Say yes", "label": "Say {{x}}"},
        "vars": {"x": "yes"},
        "response": {
            "output": "yes",
            "tokenUsage": {"prompt": 10, "completion": 2, "total": 12, "completionDetails": {"reasoning": 1}},
            "cost": 0.5,
            "cached": False,
            "finishReason": "stop",
        },
        "success": True,
        "score": 1,
        "latencyMs": 1500,
        "cost": 0.5,
        "failureReason": 0,
        "gradingResult": {"pass": True, "score": 0.75, "componentResults": [{}]},
        "testCase": {
            "assert": [{"type": "equals", "value": "yes"}],
            "metadata": {"category": "c", "conversationId": "g"},
        },
    }
    return {**row, **more}


def evaluated(rows: list[Any]) -> dict[str, Any]:
    found = {"version": 3, "timestamp": "2026", "prompts": [{"raw": "x"}], "results": rows, "stats": {"successes": 1.5}}
    return {"evalId": "eval-1", "results": found, "config": {"results": [1]}}


def test_promptfoo_answers(tmp_path: Path) -> None:
    chat = json.dumps([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}])
    calls = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    rows = [
        result(),
        result(
            provider={"id": "openai:gpt", "label": "warm"}, score=0, success=False, error="not yes", failureReason=1
        ),
        result(response={"output": "yes", "tokenUsage": {"total": 12, "cached": 12}, "cached": True, "cost": 0}),
        result(prompt={"raw": chat}, testCase={"assert": []}, gradingResult=None),
        result(provider="p", response={"output": calls, "tokenUsage": {"prompt": 0, "completion": 0}}, cost=0),
        result(response={"error": "API error: 401 Unauthorized"}, error="API error: 401", failureReason=2, score=0),
        result(prompt={"raw": ""}),
        result(provider=None),
    ]
    (tmp_path / "r.json").write_text(json.dumps(evaluated(rows)))
    for path in (
        document(tmp_path / "p.json", evaluated(rows)),
        lines(tmp_path / "r.jsonl", rows),
        tmp_path / "r.json",
    ):
        answers, tally = told(promptfoo.FORMAT, path)
        assert [(a.model, a.score, a.error_kind, a.cost_usd, a.latency_s) for a in answers] == [
            ("openai:gpt", 0.75, None, 0.5, 1.5),
            ("warm", 0.75, None, 0.5, 1.5),
            ("openai:gpt", 0.75, None, None, None),
            ("openai:gpt", None, None, 0.5, 1.5),
            ("p", 0.75, None, None, 1.5),
            ("openai:gpt", None, "auth", None, 1.5),
        ]
        assert nonzero(tally.noted) == {
            "cached answers, whose latency and cost are unknown": 1,
            "answers that no assertion checked": 1,
            "failed calls": 1,
        }
        assert nonzero(tally.skipped) == {"results without a prompt": 1, "results without a provider": 1}
    case = answers[0].case
    assert (case.target, case.category, case.group) == ("yes", "c", "g")
    assert len({id(answer.case) for answer in answers}) == 2
    assert [message["role"] for message in answers[3].case.request.messages] == ["system", "user"]
    assert answers[4].tool_calls == (ToolCall("c1", "f", "{}"),)
    assert answers[4].usage.input_tokens is None
    assert (answers[0].usage.input_tokens, answers[0].usage.reasoning_tokens) == (10, 1)
    assert answers[2].usage.input_tokens is None


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([result(gradingResult={"score": 3, "componentResults": [1]})], "result 1: score 3 is not from 0 to 1"),
        ([result(), result(latencyMs=-1)], "result 2: latencyMs -1 is no amount"),
        ([{"output": "x"}], "result 1: not of the format promptfoo: no 'provider', 'prompt', 'success'"),
        ([], "no results.results"),
    ],
)
def test_promptfoo_names_a_bad_result(tmp_path: Path, rows: list[Any], match: str) -> None:
    with pytest.raises(OutcomesError, match=match):
        told(promptfoo.FORMAT, document(tmp_path / "r.json", evaluated(rows)))


# All of them


def test_a_file_of_another_format_is_named(tmp_path: Path) -> None:
    examples: dict[str, Callable[[], Path]] = {
        "mtbench": lambda: lines(tmp_path / "mt.jsonl", [judged()]),
        "routerarena": lambda: lines(tmp_path / "ra.jsonl", [arena()]),
        "bfcl": lambda: lines(tmp_path / "bf.jsonl", [call(0)]),
        "zeroeval": lambda: document(tmp_path / "ze.json", [output("x", "y")]),
        "inspect": lambda: document(tmp_path / "in.json", log([sample()])),
        "promptfoo": lambda: lines(tmp_path / "pf.jsonl", [result(promptIdx=0)]),
        "routerbench": lambda: table(tmp_path / "rb.csv", WIDE, WIDE_ROWS),
    }
    for like, make in examples.items():
        path = make()
        for form in FORMATS:
            if form.name == like or form.name.startswith("routellm") or (form.name, like)[0] == "routerbench":
                continue
            with pytest.raises(OutcomesError, match=f"not of the format {form.name}: .*; it looks like {like}"):
                told(form, path)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_what_is_no_file_of_any_format(tmp_path: Path, form: Format) -> None:
    tabular = form.name.startswith("route") and form.name != "routerarena"
    with pytest.raises(OutcomesError, match="no such file"):
        told(form, tmp_path / f"absent.{'csv' if tabular else 'json'}")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(OutcomesError):
        told(form, tmp_path / "empty.csv")
    (tmp_path / "noise.csv").write_bytes(bytes(range(256)))
    with pytest.raises(OutcomesError):
        told(form, tmp_path / "noise.csv")


def test_half_a_line_and_another_encoding(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [arena(), arena("n")])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(OutcomesError, match=r"a\.jsonl:2: not valid JSON .* cut off"):
        told(routerarena.FORMAT, path)
    path.write_text(json.dumps(arena(question="café"), ensure_ascii=False) + "\n", encoding="latin-1")
    with pytest.raises(OutcomesError, match=r"a\.jsonl:1: not UTF-8"):
        told(routerarena.FORMAT, path)
    path.write_bytes(gzip.compress(json.dumps(arena()).encode()))
    assert len(told(routerarena.FORMAT, path)[0]) == 1


def test_only_some_places(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [arena(name) for name in "abcd"])
    tally = Tally()
    assert [a.model for a in routerarena.FORMAT.read([path], tally, {1, 3})] == ["b", "d"]
    assert tally.unknown["scores"] == 4


def test_members_of_an_object_are_read_whole_across_the_parts_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "o.json"
    for shift in range(12):
        pad = "x" * ((1 << 18) - 16 - shift)
        content = {"pad": pad, "n": 1.5e-7, "z": {"skip": [1], "rows": [{"k": 1}, {"k": pad}], "last": True}}
        path.write_text(json.dumps(content))
        members = list(json_members(path, ("z", "rows")))
        assert [(name, number) for name, number, _ in members] == [
            ("pad", 0),
            ("n", 0),
            ("z.skip", 0),
            ("z.rows", 1),
            ("z.rows", 2),
            ("z.last", 0),
        ]
        assert members[1][2] == 1.5e-7
        assert members[4][2] == {"k": pad}
