"""Files of other tools in a store: what is kept, what a second import changes, and what bad files leave behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from routebench.bench import open_outcomes
from routebench.cli import main
from routebench.errors import OutcomesError
from routebench.importing import Imported, import_answers
from routebench.redact import FULL, Privacy, Redactor
from routebench.store import Store, read_cases, read_content_hashes, read_models, sql
from routebench.suites import load_suite
from routebench.suites.formats import find_format
from routebench.suites.importers import Answer, Format
from routebench.suites.logs import from_logs
from tests.conftest import make_case

TABLES = ("cases", "models", "cells", "completions", "grades", "runs", "registered", "imports")
SECRET = "eve@example.org"


def line(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"r{number}",
        "messages": [{"role": "user", "content": f"question {number}"}],
        "response": f"answer {number}",
        "model": ("small", "large")[number % 2],
        "cost_usd": 0.25,
        "input_tokens": 10,
        **changes,
    }


LINES = [line(number) for number in range(6)]


class Place:
    """A store and the log beside it."""

    def __init__(self, folder: Path, at: datetime) -> None:
        self.at = at
        self.log = folder / "log.jsonl"
        self.path = folder / "s.duckdb"

    @property
    def store(self) -> Store:
        return Store(self.path)

    def write(self, lines: Sequence[dict[str, Any]], end: bytes = b"") -> Path:
        self.log.write_bytes("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in lines).encode() + end)
        return self.log

    def bring(self, lines: Sequence[dict[str, Any]] = LINES, *, privacy: Privacy = FULL, suite: str = "s") -> Imported:
        form = find_format("jsonl")
        return import_answers(self.store, suite, form, [self.write(lines)], at=self.at, privacy=privacy)

    def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table, as texts."""
        tables = {name: sql(self.store, f"SELECT * FROM {name} ORDER BY ALL") for name in TABLES}
        return {name: [tuple(map(str, row)) for row in frame.to_numpy()] for name, frame in tables.items()}


@pytest.fixture
def place(tmp_path: Path, at: Callable[[], datetime]) -> Place:
    return Place(tmp_path, at())


def test_the_same_file_twice_changes_nothing_even_later(place: Place) -> None:
    first = place.bring()
    before = place.content()
    place.at += timedelta(days=1)
    again = place.bring()
    assert (first.answers.new, again.answers.new, again.answers.changed) == (6, 0, 0)
    after = place.content()
    # When a file was last brought in is told.
    assert {**after, "imports": None} == {**before, "imports": None}
    assert "0 new, 0 changed, 6 as they were" in str(again)


def test_a_log_that_has_grown_adds_what_is_new_and_overwrites_what_differs(place: Place) -> None:
    place.bring()
    told = place.bring([line(0, cost_usd=0.5), *LINES[1:], line(6, model="third")])
    assert (told.answers.new, told.answers.changed) == (1, 1)
    assert {model.name for model in read_models(place.store, "s")} == {"small", "large", "third"}
    assert sql(place.store, "SELECT sum(cost_usd) AS x FROM completions")["x"][0] == pytest.approx(2.0)


def test_another_models_answers_to_the_same_prompts_bring_that_model(place: Place) -> None:
    def records(model: str) -> list[dict[str, Any]]:
        shared = {"output": ["A"], "generator": model, "chat_history": ["Pick."], "model_input": "Pick."}
        return [{"session_id": f"q{number}", "correct_answer": "A", **shared} for number in range(3)]

    form = find_format("zeroeval")
    for model in ("one", "two"):
        path = place.log.with_name(f"{model}.json")
        path.write_text(json.dumps(records(model)))
        import_answers(place.store, "z", form, [path], at=place.at)
    assert {model.name for model in read_models(place.store, "z")} == {"one", "two"}


def test_a_name_stands_for_its_prompts(place: Place) -> None:
    place.bring()
    before = place.content()
    with pytest.raises(OutcomesError, match="'r0' stands for another prompt in this store; choose another name"):
        place.bring([line(0, messages=[{"role": "user", "content": "something else"}])])
    assert place.content() == before
    place.bring([line(0, messages=[{"role": "user", "content": "something else"}])], suite="other")
    assert len(read_cases(place.store, "other")) == 1


@pytest.mark.parametrize(("privacy", "kept"), [("full", True), ("redacted", False), ("none", False)])
def test_texts_are_kept_as_they_may_be(place: Place, privacy: Any, kept: bool) -> None:
    call = {"function": {"name": "send", "arguments": json.dumps({"to": SECRET, "by": "Eve"})}}
    said = {"content": f"Sent to {SECRET} by Eve.", "tool_calls": [call]}
    asked = [{"role": "user", "content": f"Write to {SECRET} from Eve"}]
    own = Redactor(lambda text: text.replace("Eve", "[name]"))
    place.bring([line(0, messages=asked, response=said, target={"x": SECRET})], privacy=Privacy(privacy, own))
    told = json.dumps(place.content())
    assert (SECRET in told, "Eve" in told) == (kept, kept)
    assert ("[email]" in told, "[name]" in told) == (privacy == "redacted",) * 2
    (case,) = read_cases(place.store, "s")
    assert bool(case.request.messages) == (privacy != "none")


def test_two_answers_to_one_prompt_are_two_samples(place: Place) -> None:
    case = make_case("c", "hi")
    answers = [Answer(case, "m", score=score) for score in (0.0, 1.0)]
    form = Format("made", "answers of this test", lambda *_: iter(answers))
    told = import_answers(place.store, "s", form, [place.log], at=place.at)
    assert (told.n_cases, told.n_outcomes) == (1, 2)
    assert sql(place.store, "SELECT sample FROM cells ORDER BY sample")["sample"].tolist() == [0, 1]
    answers.append(Answer(make_case("c", "something else"), "m", where="f:3"))
    with pytest.raises(OutcomesError, match="f:3: id 'c' stands for two different prompts"):
        import_answers(place.store, "t", form, [place.log], at=place.at)
    assert not read_content_hashes(place.store, "t")


BAD: list[tuple[str, bytes, tuple[str, ...]]] = [
    ("half a line", b'{"id": "z", "mess', ("log.jsonl:7", "not valid JSON", "cut off")),
    ("no object", b"[1, 2]\n", ("log.jsonl:7", "a JSON object, got list")),
    ("mixed encodings", '{"prompt": "é", "model": "m"}\n'.encode("latin-1"), ("log.jsonl:7", "not UTF-8")),
    ("an id twice", json.dumps(line(0, response="x")).encode(), ("log.jsonl:7", "'r0' has come before")),
    ("negative tokens", json.dumps(line(9, input_tokens=-3)).encode(), ("log.jsonl:7", "input_tokens is -3")),
    ("a negative cost", json.dumps(line(9, cost_usd=-1)).encode(), ("log.jsonl:7", "cost_usd is -1")),
    ("a high score", json.dumps(line(9, score=1.5)).encode(), ("log.jsonl:7", "score 1.5 is above 1")),
    ("a low score", json.dumps(line(9, score=-0.5)).encode(), ("log.jsonl:7", "score is -0.5")),
    ("a currency", json.dumps(line(9, currency="EURO")).encode(), ("log.jsonl:7", "'EURO' is no code of ISO 4217")),
]


@pytest.mark.parametrize("command", ["import", "suite"])
@pytest.mark.parametrize(("end", "words"), [one[1:] for one in BAD], ids=[one[0] for one in BAD])
def test_a_bad_last_line_is_one_message_and_leaves_everything_as_it_was(
    place: Place, capsys: pytest.CaptureFixture[str], command: str, end: bytes, words: Sequence[str]
) -> None:
    place.bring()
    before = place.content()
    out = place.log.with_name("suite.jsonl")
    log = str(place.write(LINES, end))
    arguments = {
        "import": ("import", "jsonl", log, "--name", "s", "--store", str(place.path)),
        "suite": ("suite", "from-logs", log, "--format", "jsonl", "--out", str(out)),
    }
    assert main(arguments[command]) == 2
    (message,) = capsys.readouterr().err.strip().splitlines()
    assert [word for word in words if word not in message] == []
    assert place.content() == before
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("log.jsonl", b"", ("the file is empty",)),
        ("log.jsonl", b"prompt,model\nhi,m\n", ("neither JSON Lines nor a JSON array",)),
        ("log.jsonl", b"PAR1\x00\x01", ("looks like Parquet",)),
        ("log.jsonl", b'{"traceId": "t", "type": "GENERATION", "name": "n"}\n', ("no jsonl log", "looks like langfuse")),
        ("log.jsonl", b"\xff\xfe{\x00}\x00", ("log.jsonl",)),
        ("none.jsonl", None, ("none.jsonl", "no such file")),
    ],
)  # fmt: skip
def test_a_file_that_is_none_of_its_format_is_named(
    place: Place, capsys: pytest.CaptureFixture[str], name: str, data: bytes | None, words: Sequence[str]
) -> None:
    path = place.log.with_name(name)
    if data is not None:
        path.write_bytes(data)
    for arguments in (
        ("import", "jsonl", str(path), "--name", "s", "--store", str(place.path)),
        ("suite", "from-logs", str(path), "--format", "jsonl", "--out", str(path.with_name("out.jsonl"))),
    ):
        assert main(arguments) == 2
        (message,) = capsys.readouterr().err.strip().splitlines()
        assert [word for word in words if word not in message] == []
    assert not path.with_name("out.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("import", "litelm-log", "x", "--name", "s"), ("unknown format 'litelm-log'", "did you mean 'litellm-log'")),
        (("import", "jsonl", "--name", "s"), ("needs at least one FILE",)),
        (("import", "jsonl", "x", "--name", "s", "--text", "full", "--redact", "a:b"), ("--text redacted",)),
        (("import", "jsonl", "x", "--name", "s", "--redact", "no.such:function"), ("no.such:function", "cannot be loaded")),
        (("import", "jsonl", "x", "--name", "s", "--prompts", "p.csv"), ("--prompts are for `import outcomes`",)),
    ],
)  # fmt: skip
def test_bad_arguments_are_one_message(
    place: Place, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: Sequence[str]
) -> None:
    assert main([*arguments, "--store", str(place.path)]) == 2
    (message,) = capsys.readouterr().err.strip().splitlines()
    assert [word for word in words if word not in message] == []


def test_a_log_is_not_compared_but_drawn_from(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.log.parent)
    place.write(LINES)
    assert main(["import", "jsonl", "log.jsonl", "--name", "prod", "--store", "s.duckdb"]) == 0
    assert "6 outcomes of 6 prompts x 2 models" in capsys.readouterr().out
    assert main(["compare", "--store", "s.duckdb", "--suite", "prod"]) == 2
    message = capsys.readouterr().err
    assert "is a log: each of its 6 prompts was answered by one model" in message
    command = next(one.strip() for one in message.splitlines() if "suite from-logs" in one)
    assert main(command.split()[1:]) == 0, command
    assert "stand for 6 requests of 6 conversations" in capsys.readouterr().out
    assert len(load_suite("suite.jsonl").cases) == 6


def test_sealed_rows_are_outside_what_is_compared(place: Place) -> None:
    drawn = from_logs(place.write(LINES), format="jsonl", seal=0.5)
    cases = load_suite(drawn.write(place.log.with_name("suite.jsonl"))).cases
    answers = [Answer(case, model, score=1.0) for case in cases for model in ("small", "large")]
    form = Format("made", "answers of this test", lambda *_: iter(answers))
    import_answers(place.store, "s", form, [place.log], at=place.at)
    outside = sorted(row["id"] for row in drawn.rows if row.get("split") == "sealed")
    assert 0 < len(outside) < 6
    seen = open_outcomes(place.store, "s")
    assert (seen.n, seen.n_sealed) == (6 - len(outside), len(outside))
    assert not set(seen.cases.ids) & set(outside)
    assert sorted(open_outcomes(place.store, "s", sealed=True).cases.ids) == outside


@pytest.mark.parametrize(
    ("form", "file", "models"),
    [
        ("routellm-gsm8k", "routellm_gsm8k_20.csv", 2),
        ("routerarena", "routerarena_claude-3-haiku_20.jsonl", 1),
        ("inspect", "inspect_popularity.eval", 1),
    ],
)
def test_public_files_come_in_and_twice_change_nothing(
    place: Place, shared_data: Path, form: str, file: str, models: int
) -> None:
    path = shared_data / "native" / file
    if not path.is_file():
        pytest.skip(f"the sample {file} is not beside this checkout")
    first = import_answers(place.store, "s", find_format(form), [path], at=place.at)
    before = place.content()
    again = import_answers(place.store, "s", find_format(form), [path], at=place.at)
    assert len(first.models) >= models
    assert (first.answers.new, again.answers.new, again.answers.changed) == (first.n_outcomes, 0, 0)
    assert place.content() == before
