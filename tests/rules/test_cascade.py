from __future__ import annotations

from typing import Any

import pytest

from routebench.rules import Check, Default, Router, Rule, RuleSet
from routebench.rules.structured import misfit
from routebench.types import Answer, Completion, Request, ToolCall
from tests.conftest import make_model

MODELS = {name: make_model(name) for name in ("small", "middle", "large")}
ASKED: list[dict[str, Any]] = [{"role": "user", "content": "give me a table"}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "pattern": "^[A-Z]"}},
    "required": ["city"],
    "additionalProperties": False,
}
WANTS = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
TOOLS = ({"type": "function", "function": {"name": "weather", "parameters": SCHEMA}},)


def make(check: dict[str, Any], route: tuple[str, ...] = ("small", "middle", "large")) -> Router:
    return Router(RuleSet("t", MODELS, Default(route=route, cascade="ok"), checks={"ok": check}))


def verdict(check: dict[str, Any], answer: Answer, **request: Any) -> tuple[bool, str]:
    found = Check.parse(check).verdict(Request(tuple(ASKED), **request), answer)
    return found.passed, found.why


@pytest.mark.parametrize(
    ("check", "answer", "wrong"),
    [
        ({}, Answer("yes"), None),
        ({}, Answer("  \n"), "the answer is empty"),
        ({}, Answer(None), "the answer is empty"),
        ({}, Answer(None, (ToolCall("1", "weather", "{}"),)), None),
        ({"finish": ["stop"]}, Answer("cut", finish_reason="length"), "it finished by length"),
        ({"finish": ["stop", "tool_calls"]}, Answer("done", finish_reason="stop"), None),
        ({"finish": ["stop"]}, Answer("done"), "it finished by an unknown reason"),
        ({"json": True}, Answer('{"a": 1}'), None),
        ({"json": True}, Answer('```json\n{"a": 1}\n```'), None),
        ({"json": True}, Answer("Sure! {}"), "the answer is not JSON"),
        ({"json": True}, Answer("[" * 100_000), "the answer is not JSON"),
        ({"answer": {"not": {"regex": "(?i)as an ai"}}}, Answer("As an AI, no."), "the answer is not so: not"),
        ({"answer": {"words": {"ge": 2}}}, Answer("two words"), None),
        ({"min_confidence": 0.8}, Answer("a", confidence=0.9), None),
        ({"min_confidence": 0.8}, Answer("a", confidence=0.5), "its confidence 0.5 is below 0.8"),
        ({"min_confidence": 0.8}, Answer("a"), "its confidence is unknown"),
    ],
)
def test_checks(check: dict[str, Any], answer: Answer, wrong: str | None) -> None:
    passed, why = verdict(check, answer)
    assert passed is (wrong is None)
    assert wrong is None or why.startswith(wrong)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('{"city": "Oslo"}', None),
        ('{"city": "oslo"}', "city does not fit the schema's `pattern`"),
        ("{}", "the answer does not fit the schema's `required`"),
        ('{"city": "Oslo", "x": 1}', "the answer does not fit the schema's `additionalProperties`"),
        ("Oslo", "the answer is not JSON"),
    ],
)
def test_an_answer_follows_the_schema_that_was_asked_for(text: str, wrong: str | None) -> None:
    passed, why = verdict({"json_schema": True}, Answer(text), response_format=WANTS)
    assert (passed, None if passed else why) == (wrong is None, wrong)
    # Nothing was asked for.
    assert verdict({"json_schema": True}, Answer(text))[0]


@pytest.mark.parametrize(
    ("call", "wrong"),
    [
        (ToolCall("1", "weather", '{"city": "Oslo"}'), None),
        (ToolCall("1", "weather", '{"city": 3}'), "the arguments of 'weather': city does not fit the schema's `type`"),
        (ToolCall("1", "weather", "{"), "the arguments of 'weather' are not JSON"),
        (ToolCall("1", "delete", "{}"), "it calls 'delete', which is no tool of the request"),
    ],
)
def test_tool_calls_fit_the_tools(call: ToolCall, wrong: str | None) -> None:
    passed, why = verdict({"tool_calls": True}, Answer(None, (call,)), tools=TOOLS)
    assert (passed, None if passed else why) == (wrong is None, wrong)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strin"},
        {"$ref": "http://127.0.0.1:9/x"},
        {"$ref": "#/nowhere"},
        {"pattern": "(?=x)"},
        {"pattern": 3},
        {"type": {}},
        {"properties": {"a": {"$ref": "#"}}, "$ref": "#"},
    ],
)
def test_what_cannot_be_checked_does_not_pass(schema: dict[str, Any]) -> None:
    found = misfit("text", schema)
    assert found is not None
    assert "schema" in found


def test_a_hostile_schema_takes_linear_time() -> None:
    # Python's `re` would need longer than the universe for this.
    assert misfit("a" * 100_000 + "!", {"type": "string", "pattern": "^(a+)+$"}) is not None


def test_a_schema_that_refers_to_itself_without_end_is_given_up() -> None:
    # Each definition asks twice for the next: a billion times a thousand looks at one word.
    laughs: dict[str, Any] = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    laughs["d40"] = {"type": "string"}
    found = misfit("ha", {"$defs": laughs, "$ref": "#/$defs/d0"})
    assert found == "the schema cannot be used: it takes more than 100,000 steps"
    assert misfit("ha", {"$defs": laughs, "$ref": "#/$defs/d30"}) is None
    assert misfit(["ha"] * 1_000, {"type": "array", "items": {"type": "string", "maxLength": 2}}) is None


def test_try_check_escalate() -> None:
    router = make({"json": True})
    decision = router.route(ASKED)
    assert (decision.model, decision.cascade, decision.answer) == ("small", "ok", None)
    second = router.next(decision, Answer("no json"))
    assert (second.chain, second.answered_by) == (("middle", "large"), None)
    third = router.next(second, Answer(error_kind="timeout"))
    assert third.model == "large"
    last = router.next(third, Answer("not json either"))
    assert (last.model, last.answered_by, last.answer) == (None, "large", Answer("not json either"))
    assert [(one.model, one.verdict, one.why) for one in last.tried] == [
        ("small", "refused", "the answer is not JSON"),
        ("middle", "failed", "timeout"),
        ("large", "accepted", "nothing is left to escalate to"),
    ]
    # The first decision is as it was.
    assert decision.chain == ("small", "middle", "large")
    assert router.next(decision, Answer("{}")).answered_by == "small"


def test_what_stands_when_nothing_passes() -> None:
    refused, failed = Answer("no json"), Answer(error_kind="server")
    for otherwise, expected in (("accept", "small"), ("fail", None)):
        router = make({"json": True, "otherwise": otherwise}, ("small", "large"))
        decision = router.next(router.next(router.route(ASKED), refused), failed)
        assert (decision.model, decision.answered_by) == (None, expected)
        decision = router.next(router.next(router.route(ASKED), refused), Answer("prose"))
        assert decision.answered_by == (None if expected is None else "large")
    router = make({"json": True}, ("small", "large"))
    assert router.next(router.next(router.route(ASKED), failed), failed).answered_by is None


def test_without_a_check_any_answer_is_accepted_and_errors_go_on() -> None:
    router = Router(RuleSet("t", MODELS, Default(route=("small", "large"))))
    decision = router.next(router.route(ASKED), Answer(error_kind="rate_limited"))
    assert decision.model == "large"
    done = router.next(decision, Answer.of(Completion("ok", text="")))
    assert done.answered_by == "large"
    with pytest.raises(ValueError, match="no model left"):
        router.next(done, Answer("again"))


def test_rules_name_their_own_check_and_decisions_tell_no_text() -> None:
    rules = (Rule("tables", {"any_keyword": ["table"]}, ("small", "large"), "ok"),)
    router = Router(RuleSet("t", MODELS, Default(route=("small",)), rules, checks={"ok": {"json": True}}))
    decision = router.next(router.route(ASKED), Answer("my secret"))
    assert decision.cascade == "ok"
    assert decision.as_dict()["tried"] == [{"model": "small", "verdict": "refused", "why": "the answer is not JSON"}]
    assert "secret" not in repr(decision)
    assert "secret" not in str(decision.as_dict())
    assert router.route([{"role": "user", "content": "hi"}]).cascade is None
