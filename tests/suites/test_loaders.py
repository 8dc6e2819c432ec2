from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from routebench.errors import SuiteError
from routebench.suites import Suite, load_suite
from tests.conftest import make_case


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_a_row_becomes_a_case(tmp_path: Path) -> None:
    row = {
        "id": "a", "prompt": "2+2?", "target": 4, "grader": {"name": "numeric", "tolerance": 0.1}, "category": "sums",
        "tags": ["public"], "group": "g", "weight": 3, "stakes_usd": 50, "params": {"max_tokens": 4}, "split": "test",
    }  # fmt: skip
    suite = load_suite(write(tmp_path / "s.jsonl", row))
    case = suite["a"]
    assert suite.name == "s"
    assert case.request.messages == ({"role": "user", "content": "2+2?"},)
    assert (case.grader.name, case.grader.options) == ("numeric", {"tolerance": 0.1})
    assert (case.category, case.tags, case.group, case.weight, case.stakes_usd) == ("sums", ("public",), "g", 3.0, 50.0)
    assert (case.split, case.request.params) == ("test", {"max_tokens": 4})


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{broken", "not valid JSON"),
        ("[1]", "a row is a JSON object"),
        ({"prompt": "x", "targt": 1}, "did you mean 'target'"),
        ({"prompt": "x", "grader": "exakt", "target": 1}, "did you mean 'exact'"),
        ({"prompt": "x", "grader": "exact"}, "needs a `target`"),
        ({"target": 1}, "either `prompt` or `messages`"),
        ({"prompt": "x", "messages": [{"role": "user", "content": "x"}]}, "not both"),
        ({"messages": [{"role": "system", "content": "x"}]}, "role 'user'"),
        ({"prompt": "x", "weight": 0}, "weight"),
        ({"prompt": "x", "stakes_usd": -1}, "stakes_usd"),
        ({"prompt": "x", "grader": {"tolerance": 1}}, "`name` is missing"),
        ({"id": "first", "prompt": "again"}, "already used at line 1"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, row: object, words: str) -> None:
    path = write(tmp_path / "s.jsonl", {"id": "first", "prompt": "ok"}, row)
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    assert f"{path}:2:" in str(caught.value)
    assert words in str(caught.value)


def test_several_bad_rows_are_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", *({"prompt": "x", "nope": 1} for _ in range(30)))
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    assert str(caught.value).count("\n") == 10
    assert "perhaps more" in str(caught.value)


def test_empty_absent_and_unknown_files_say_so(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="no cases"):
        load_suite(write(tmp_path / "empty.jsonl"))
    with pytest.raises(SuiteError, match="no such suite file"):
        load_suite(tmp_path / "absent.jsonl")
    with pytest.raises(SuiteError, match=r"\.csv or \.parquet"):
        load_suite(write(tmp_path / "s.txt", "x"))


def test_other_line_separators_inside_a_text_do_not_split_a_record(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path / "s.jsonl", json.dumps({"prompt": "a\u2028b\x85c"}, ensure_ascii=False)))
    assert suite.cases[0].request.messages[0]["content"] == "a\u2028b\x85c"


def test_csv_and_parquet_with_other_column_names(tmp_path: Path) -> None:
    fields = {"prompt": "question", "target": "answer", "category": "topic"}
    csv_path = tmp_path / "s.csv"
    csv_path.write_text('question,answer,topic,own\n"a, b",yes,t,1\n')
    parquet_path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"question": ["a, b"], "answer": ["yes"], "topic": ["t"], "own": [1]}), parquet_path)
    for path in (csv_path, parquet_path):
        case = load_suite(path, fields=fields).cases[0]
        assert (case.request.messages[0]["content"], case.target, case.category) == ("a, b", "yes", "t")


def test_the_version_follows_the_content_and_not_the_order() -> None:
    a, b = make_case("a"), make_case("b")
    assert Suite("s", (a, b)).version == Suite("t", (b, a)).version
    assert Suite("s", (a, b)).version != Suite("s", (a, make_case("b", target="no"))).version
