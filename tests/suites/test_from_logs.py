"""A suite from a log: what belongs together, what is one, what each row says, and what is told of it."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routebench.cli import main
from routebench.errors import ConfigError, InputError, OutcomesError
from routebench.suites import is_sealed, load_suite
from routebench.suites.formats import find_format
from routebench.suites.importers import Answer
from routebench.suites.logs import Drawn, from_logs
from routebench.suites.logs.seen import Seen
from routebench.suites.logs.targets import choices_of, grader_of

Record = dict[str, Any]
TOOL_CALL = {"id": "x1", "type": "function", "function": {"name": "look", "arguments": '{"b": 1, "a": 2}'}}
JUDGE = {"name": "pairwise", "verdict": "no_worse", "incumbent": "m"}


def asked(*texts: str) -> list[Record]:
    """Messages in which people and a model take turns."""
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]


def call(messages: str | list[Record], response: Any = "An answer.", **more: Any) -> Record:
    return {
        "messages": asked(messages) if isinstance(messages, str) else messages,
        "response": response,
        "model": "m",
        **more,
    }


@pytest.fixture
def log(tmp_path: Path) -> Callable[[Iterable[Record]], Path]:
    def write(records: Iterable[Record]) -> Path:
        path = tmp_path / "log.jsonl"
        lines = ({"id": f"call-{number}", **record} for number, record in enumerate(records))
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), newline="\n")
        return path

    return write


def conversations(path: Path) -> list[list[str]]:
    """The calls of each conversation of a log, by the last thing that was asked in each."""
    seen = Seen(find_format("jsonl"), [path], lambda _: None)
    calls: dict[int, list[Answer]] = seen.fetch(range(len(seen.requests)))
    return sorted([str(one.case.request.messages[-1]["content"]) for one in own] for own in calls.values())


TALK = [
    call(asked("first"), "1"),
    call(asked("first", "1", "second"), "2"),
    call(asked("first", "1", "second", "2", "third"), "3"),
]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_calls_that_go_on_where_one_ended_are_a_conversation(log: Callable[..., Path], order: Sequence[int]) -> None:
    other = [call(asked("else"), "e"), call(asked("else", "e", "more"), "f")]
    records = [TALK[order[0]], other[0], TALK[order[1]], other[1], TALK[order[2]]]
    assert conversations(log(records)) == [["else", "more"], ["first", "second", "third"]]


def test_two_people_who_begin_alike_have_a_conversation_each(log: Callable[..., Path]) -> None:
    records = [TALK[0], TALK[0], call(asked("first", "1", "mine"), "x"), call(asked("first", "1", "yours"), "y")]
    assert conversations(log(records)) == [["first", "mine"], ["first", "yours"]]


def test_an_answer_that_was_asked_for_again_stays_in_its_conversation(log: Callable[..., Path]) -> None:
    again = call(asked("first", "1", "second"), "other")
    assert conversations(log([*TALK[:2], again, TALK[2]])) == [["first", "second", "second", "third"]]


@pytest.mark.parametrize(
    "said",
    [
        {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "x1", "name": "look", "input": {"b": 1, "a": 2}}]},
    ],
)
def test_what_tools_answered_goes_on_with_the_conversation(log: Callable[..., Path], said: Record) -> None:
    later = [*asked("weather?"), said, {"role": "tool", "tool_call_id": "x1", "content": "sun"}]
    assert conversations(log([call(asked("weather?"), said), call(later, "Sunny.")])) == [["weather?", "sun"]]


def test_the_logs_own_name_of_a_session_counts_before_its_texts(log: Callable[..., Path]) -> None:
    records = [call("a", session_id="s"), call("b", session_id="t"), call("c", session_id="s"), call("b")]
    assert conversations(log(records)) == [["a", "c"], ["b"], ["b"]]


def test_repeats_are_one_row_with_the_weight_of_all(log: Callable[..., Path]) -> None:
    records = [
        call("Reset my password!"),
        call("reset my password"),
        call("RESET my password."),
        call("What is 1 + 1?"),
    ]
    drawn = from_logs(log(records), format="jsonl", n=10)
    assert sorted(row["weight"] for row in drawn.rows) == [1.0, 3.0]
    assert (drawn.n_repeated, drawn.n_conversations, drawn.n_requests) == (2, 4, 4)


def test_two_images_under_one_question_are_two_questions(log: Callable[..., Path]) -> None:
    def about(url: str) -> list[Record]:
        parts = [{"type": "text", "text": "What is on it?"}, {"type": "image_url", "image_url": {"url": url}}]
        return [{"role": "user", "content": parts}]

    drawn = from_logs(log([call(about("data:a")), call(about("data:b")), call(about("data:a"))]), format="jsonl")
    assert sorted(row["weight"] for row in drawn.rows) == [1.0, 2.0]


def test_a_row_is_graded_against_the_incumbents_answer_and_can_be_loaded(
    log: Callable[..., Path], tmp_path: Path
) -> None:
    records = [
        call("Say something", "Something."),
        call("Where?", {"content": None, "tool_calls": [TOOL_CALL]}, session_id="s"),
        call("failed", None, error_kind="timeout"),
        call("empty", "  "),
        call("none", None),
    ]
    drawn = from_logs(log(records), format="jsonl")
    suite = load_suite(drawn.write(tmp_path / "suite.jsonl"))
    told = {case.request.messages[-1]["content"]: case for case in suite.cases}
    assert told.keys() == {"Say something", "Where?"}
    assert told["Say something"].target == "Something."
    assert json.loads(told["Where?"].target) == [{"name": "look", "arguments": {"a": 2, "b": 1}}]
    assert {json.dumps(row["grader"], sort_keys=True) for row in drawn.rows} == {json.dumps(JUDGE, sort_keys=True)}
    assert (told["Where?"].grader.name, told["Where?"].grader.options["verdict"]) == ("pairwise", "no_worse")
    assert drawn.tally.skipped == {"failed calls": 1, "calls without an answer": 2}
    assert "skipped: 2 calls without an answer" in str(drawn)


@pytest.mark.parametrize(
    ("target", "grader"),
    [
        (None, JUDGE),
        (42, "numeric"),
        ("-1,250.5%", "numeric"),
        (True, "exact"),
        ({"a": 1}, "json_schema"),
        (["a", "b"], "exact"),
        ("yes", {"name": "choice", "choices": ["no", "yes"]}),
        ("once only", "exact"),
        ("a text of more than four words", "exact"),
    ],
)
def test_the_grader_is_told_by_the_target(target: Any, grader: Any) -> None:
    choices = choices_of(["yes", "yes", "no", "no", "once only", "7", "7", None, 3])
    assert grader_of(target, choices, "m") == grader
    assert list(choices_of([f"word{number // 2}" for number in range(60)])) == [], "so many are no labels"


def test_an_empty_target_is_none(log: Callable[..., Path]) -> None:
    drawn = from_logs(
        log([call(f"q{place}", target=target) for place, target in enumerate(("", [], {}))]), format="jsonl"
    )
    assert [row["grader"] for row in drawn.rows] == [JUDGE] * 3


def talks(n: int, seed: int = 3) -> list[Record]:
    """Conversations of one to three turns about different things."""
    generator = random.Random(seed)
    records = []
    for number in range(n):
        texts = [" ".join(f"w{generator.randrange(5000)}" for _ in range(generator.randint(4, 30)))]
        for turn in range(generator.randint(1, 3)):
            records.append(call(asked(*texts), f"a{turn}", conversation=f"c{number}", cost_usd=generator.random()))
            texts += [f"a{turn}", f"and w{generator.randrange(5000)}?"]
    return records


def test_a_fifth_is_sealed_from_500_groups_on_and_no_group_is_torn(log: Callable[..., Path]) -> None:
    path = log(talks(700))
    drawn = from_logs(path, format="jsonl", n=5000)
    sealed, groups = Counter[str](), defaultdict(set)
    for row in drawn.rows:
        groups[row["group"]].add(row.get("split"))
        sealed[row["group"]] = is_sealed(row["group"], 0.2)
        assert (row.get("split") == "sealed") == sealed[row["group"]]
    assert all(len(splits) == 1 for splits in groups.values())
    assert (len(groups), drawn.n_sealed) == (700, sum(sealed.values()))
    assert 0.14 < drawn.n_sealed / 700 < 0.26
    assert f"sealed: {drawn.n_sealed} conversations" in str(drawn)
    assert from_logs(path, format="jsonl", n=200).n_sealed == 0
    assert from_logs(path, format="jsonl", n=5000, seal=0.0).n_sealed == 0
    assert from_logs(path, format="jsonl", n=200, seal=0.5).n_sealed > 20


def test_the_same_seed_draws_the_same_and_conversations_stay_whole(log: Callable[..., Path]) -> None:
    path = log(talks(300))
    one, again, other = (from_logs(path, format="jsonl", n=60, seed=seed) for seed in (1, 1, 2))
    assert one.rows == again.rows
    assert one.rows != other.rows
    turns = Counter(row["group"] for row in one.rows)
    for row in one.rows:
        assert sum(message["role"] == "user" for message in row["messages"]) <= turns[row["group"]]
    assert len({row["id"] for row in one.rows}) == len(one.rows)
    assert 45 <= len(one.rows) <= 75


def test_personal_data_is_in_no_field_and_in_no_name(log: Callable[..., Path]) -> None:
    planted = (
        "eve@example.org",
        "+49 170 1234567",
        "4111 1111 1111 1111",
        "DE89 3704 0044 0532 0130 00",
        "Eve Example",
    )
    secret = ", ".join(planted)
    tools = [{"type": "function", "function": {"name": "look", "description": secret}}]
    called = {
        "content": secret,
        "tool_calls": [{"function": {"name": "look", "arguments": json.dumps({"to": secret})}}],
    }
    records = [
        call(
            f"I am {secret}", f"Hello {secret}", id=secret, conversation=secret, metadata={"user": secret}, tools=tools
        ),
        call([{"role": "system", "content": secret}, *asked("hi")], called, target={"name": secret}),
    ]
    path = log(records)
    drawn = from_logs(path, format="jsonl", redact=lambda text: text.replace("Eve Example", "[name]"))
    text = json.dumps(list(drawn.rows))
    assert not [one for one in planted if one in text]
    assert all(drawn.redacted[kind] >= 4 for kind in ("email", "phone", "card", "iban", "own"))
    # Two people with other numbers get the same name: it is made of what is kept.
    other = from_logs(log([call("Call +49 170 7654321 now")]), format="jsonl").rows[0]
    assert from_logs(log([call("Call +49 170 1111111 now")]), format="jsonl").rows[0]["id"] == other["id"]
    assert planted[0] in json.dumps(list(from_logs(log(records), format="jsonl", text="full").rows))


def test_a_redact_function_that_fails_is_told_without_the_text(log: Callable[..., Path]) -> None:
    def fail(text: str) -> str:
        raise ValueError(text)

    with pytest.raises(ConfigError, match="the redact function raised ValueError") as caught:
        from_logs(log([call("secret words")]), format="jsonl", redact=fail)
    assert "secret" not in str(caught.value)


def test_a_log_without_any_answer_says_what_it_holds(log: Callable[..., Path]) -> None:
    with pytest.raises(OutcomesError, match=r"holds no answered request \(2 failed calls\)"):
        from_logs(log([call(f"q{place}", None, error_kind="server") for place in range(2)]), format="jsonl")


def test_a_log_that_was_cut_while_it_was_read_is_told(log: Callable[..., Path]) -> None:
    path = log(map(call, ("a", "b", "c")))
    seen = Seen(find_format("jsonl"), [path], lambda _: None)
    log([call("a")])
    with pytest.raises(OutcomesError, match="has become shorter while it was read"):
        seen.fetch([0, 1, 2])


def test_a_summary_in_json_has_every_number(log: Callable[..., Path]) -> None:
    drawn: Drawn = from_logs(log(talks(50)), format="jsonl", n=20)
    told = json.loads(json.dumps(drawn.as_dict()))
    assert told["n_conversations"] == 50
    assert sum(stratum["requests"] for stratum in told["strata"]) == told["n_requests"]
    assert sum(stratum["in_suite"] for stratum in told["strata"]) == told["n_cases"]
    assert np.isclose(sum(row["weight"] for row in drawn.rows), told["n_requests"], atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n": 0}, "n is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"seal": 1.5}, "seal is 1.5"),
        ({"text": "none"}, "without texts it could not be run"),
    ],
)
def test_what_cannot_be_wanted_is_refused(log: Callable[..., Path], arguments: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        from_logs(log([call("a")]), format="jsonl", **arguments)


@pytest.mark.parametrize(("out", "words"), [("log.jsonl", "is the log itself"), ("suite.csv", "ends in .jsonl")])
def test_the_log_is_never_overwritten(
    log: Callable[..., Path], capsys: pytest.CaptureFixture[str], out: str, words: str
) -> None:
    path = log([call("a")])
    before = path.read_bytes()
    assert main(["suite", "from-logs", str(path), "--format", "jsonl", "--out", str(path.with_name(out))]) == 2
    assert words in capsys.readouterr().err
    assert (path.read_bytes(), path.with_name("suite.csv").exists()) == (before, False)
