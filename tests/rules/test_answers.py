"""What is read of answers: what they come down to, their surface, and the head that says whether one is kept."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routebench.errors import RulesError
from routebench.rules import Check, Default, Router, RuleSet
from routebench.rules.answers.features import AGREEMENT, AnswerSpec
from routebench.rules.answers.gist import GIST_KINDS, GistKind, gist
from routebench.rules.answers.head import AnswerHead
from routebench.rules.answers.judge import AnswerJudge
from routebench.rules.answers.surface import ANSWER_SURFACE, answer_surface
from routebench.rules.deployments import Deployment
from routebench.rules.reading.request import Reading
from routebench.types import Answer, Request, ToolCall
from tests.conftest import make_model

MODELS = {name: make_model(name) for name in ("nano", "mini", "large")}
ASKED = Request(({"role": "user", "content": "Tom has 3 apples and buys 4. How many?"},))
SPEC = AnswerSpec(16)


def said(text: str) -> Answer:
    return Answer(text, finish_reason="stop")


@pytest.mark.parametrize(
    ("kind", "text", "other", "agree"),
    [
        ("auto", "3 + 4 = 7. The answer is 7.", "So it is\n#### 7.0", True),
        ("auto", "The answer is 1,200", "1200 apples", True),
        ("auto", "7", "8", False),
        ("auto", '{"reasoning": "long", "answer": "Yes "}', '```json\n{"answer": "yes"}\n```', True),
        ("auto", '{"a": 1, "b": [2]}', '{"b": [2.0], "a": 1}', True),
        ("auto", "[f(x='a', y=1)]", '[f(x="a", y=1)]', True),
        ("auto", "Paris", "paris.", False),
        ("text", "Paris!", " paris", True),
        ("number", "about 12 or 13", "13", True),
        ("number", r"\boxed{5} of 9", "the answer is: 5", True),
        ("choice", "(b)", "The answer is B, not C", True),
        ("choice", "A or C", "C", True),
        ("json", '{"a": "X"}', '{"a":"x"}', True),
    ],
)
def test_answers_that_come_down_to_the_same(kind: GistKind, text: str, other: str, agree: bool) -> None:
    first, second = gist(said(text), kind), gist(said(other), kind)
    assert first is not None
    assert (first == second) is agree


@pytest.mark.parametrize(
    ("kind", "text"), [("number", "none"), ("choice", "perhaps"), ("json", "{"), ("auto", " "), ("tool_calls", "7")]
)
def test_what_has_nothing_of_the_kind_agrees_with_nobody(kind: GistKind, text: str) -> None:
    assert gist(said(text), kind) is None


def test_tool_calls_agree_whatever_their_order() -> None:
    one, two = ToolCall("1", "f", '{"a": 1, "b": "X"}'), ToolCall("2", "g", "{}")
    same = ToolCall("9", "f", '{"b":"x","a":1.0}')
    assert gist(Answer(None, (one, two))) == gist(Answer(None, (two, same)))
    assert gist(Answer(None, (one,))) != gist(Answer(None, (two,)))


@given(st.text(max_size=400))
def test_any_text_is_read_without_error(text: str) -> None:
    values = answer_surface(Reading(ASKED), Answer(text))
    assert len(values) == len(ANSWER_SURFACE)
    assert np.isfinite(values).all()
    for kind in GIST_KINDS:
        gist(Answer(text), kind)


def surface(text: str, **fields: Any) -> dict[str, float]:
    return dict(zip(ANSWER_SURFACE, answer_surface(Reading(ASKED), Answer(text, **fields)), strict=True))


def test_sums_are_worked_out_again() -> None:
    right, wrong = surface("3 + 4 = 7 apples"), surface("3 + 4 = 8 apples, <<2*5=10>>10, 1 / 0 = 3")
    assert (right["has_wrong_sum"], wrong["has_wrong_sum"]) == (0.0, 1.0)
    assert wrong["log_wrong_sums"] == pytest.approx(np.log(3))
    assert wrong["log_sums"] == pytest.approx(np.log(4))
    assert right["numbers_of_prompt"] == pytest.approx(2 / 3)
    assert surface("Sorry, I cannot.")["log_declines"] == pytest.approx(np.log(3))
    assert surface("cut", finish_reason="length")["finished_length"] == 1.0
    assert surface("x", confidence=0.25)["confidence"] == 0.25


def head(places: int = 2, seed: int = 0) -> AnswerHead:
    rng = np.random.default_rng(seed)
    return AnswerHead(rng.normal(size=(places, SPEC.width)), rng.normal(size=places), SPEC)


def test_a_head_is_read_back_to_the_last_bit(tmp_path: Path) -> None:
    made = head()
    read = AnswerHead.load(tmp_path / "h.safetensors", made.save(tmp_path / "h.safetensors"))
    for earlier in ([], [said("7")], [said("7"), said("8")]):
        assert read.value(Reading(ASKED), said("It is 7"), earlier) == made.value(
            Reading(ASKED), said("It is 7"), earlier
        )
    whole = AnswerHead(np.ones((2, AnswerSpec(512).width)), np.zeros(2), AnswerSpec(512))
    whole.save(tmp_path / "whole.safetensors")
    assert (tmp_path / "whole.safetensors").stat().st_size <= 16 * 1024


def test_a_head_of_another_shape_or_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match="does not fit features of width"):
        AnswerHead(np.zeros((1, 3)), np.zeros(1), SPEC)
    with pytest.raises(RulesError, match="too large for 16 bits"):
        AnswerHead(np.full((1, SPEC.width), 1e6), np.zeros(1), SPEC)
    with pytest.raises(RulesError, match="hashed_words: 0"):
        AnswerSpec(0)
    path = tmp_path / "h.json"
    digest = head().save(path)
    path.write_text(path.read_text().replace("identity", "cubic"))
    with pytest.raises(RulesError, match="was changed after the rules were written"):
        AnswerHead.load(path, digest)
    with pytest.raises(RulesError, match="the link 'cubic' is none of identity, logistic"):
        AnswerHead.load(path)


def test_agreement_is_with_those_that_answered_before() -> None:
    columns, values = SPEC.sparse(Reading(ASKED), said("The answer is 7"), [said("so 7"), said("8")])
    start = SPEC.blocks["agreement"].start
    found = {AGREEMENT[column - start]: value for column, value in zip(columns, values, strict=True) if column >= start}
    assert (found["agreeing"], found["agrees"], found["likeness_of_others"]) == (0.5, 1.0, 0.0)
    alone = SPEC.sparse(Reading(ASKED), said("7"))[1][-len(AGREEMENT) :]
    assert alone == [0.0] * len(AGREEMENT)


def agreeing(votes: int = 2) -> Router:
    checks = {"same": {"agree": {"votes": votes}}}
    return Router(RuleSet("t", MODELS, Default(("nano", "mini", "large"), cascade="same"), checks=checks))


def test_the_second_model_confirms_or_the_last_decides() -> None:
    router = agreeing()
    held = router.next(router.route(ASKED.messages), said("The answer is 7"))
    assert (held.model, held.tried[0].why) == ("mini", "1 of the 2 votes that it needs")
    assert router.next(held, said("7 apples")).answered_by == "mini"
    apart = router.next(held, said("8"))
    assert apart.model == "large"
    assert router.next(apart, said("9")).answered_by == "large"
    # A model that failed has no vote.
    failed = router.next(router.next(held, Answer(error_kind="timeout")), said("8"))
    assert failed.answered_by == "large"


def test_three_votes_need_three_answers() -> None:
    router = agreeing(3)
    decision = router.route(ASKED.messages)
    for model in ("nano", "mini"):
        assert decision.model == model
        decision = router.next(decision, said("7"))
    assert decision.model == "large"


def test_a_head_decides_by_place() -> None:
    zeros = np.zeros((2, SPEC.width))
    made = AnswerHead(zeros, np.array([0.25, -0.5]), SPEC)
    data = {"head": {"artifact": "h.json", "sha256": "0" * 64}}

    def passed(accept_from: float | list[float], earlier: list[Answer]) -> bool:
        return Check.parse({**data, "accept_from": accept_from}, made).verdict(ASKED, said("7"), earlier).passed

    assert passed(0.25, [])
    assert not passed(0.26, [])
    assert not passed(0.0, [said("8")])
    assert passed([0.0, -0.5], [said("8")])
    # Beyond its places the last row and the last threshold hold.
    assert passed([0.0, -0.5], [said("8"), said("9")])
    with pytest.raises(ValueError, match="was not loaded"):
        Check.parse({**data, "accept_from": 0.0})


def test_a_rules_yaml_with_a_head_and_its_errors(tmp_path: Path) -> None:
    digest = head().save(tmp_path / "h.safetensors")

    def text(check: str) -> str:
        return f"""
schema: routebench/rules/v1
name: t
models: {{a: {{provider: openai, model: a}}, b: {{provider: openai, model: b}}}}
cascade:
  good: {{{check}}}
default: {{route: [a, b], cascade: good}}
"""

    good = f"head: {{artifact: h.safetensors, sha256: {digest}}}, accept_from: [-5, 0.5]"
    ruleset = RuleSet.parse(text(good), folder=tmp_path)
    assert RuleSet.parse(ruleset.to_yaml(), folder=tmp_path) == ruleset
    assert Router(ruleset).next(Router(ruleset).route(ASKED.messages), said("7")).tried[0].model == "a"
    for check, wrong in (
        (good.replace(digest, "f" * 64), "was changed after the rules were written"),
        (good.replace("h.safetensors", "other.safetensors"), "there is no artifact"),
        (f"head: {{artifact: h.safetensors, sha256: {digest}}}", "`head` needs `accept_from`"),
        ("accept_from: 0.5", "`accept_from` is for a `head`"),
        ("agree: {votes: 1}", "votes"),
        ("judge: {model: c, accept_from: 0.5}", "no model 'c'"),
        ("judge: {model: b, accept_from: 0.5, prompt: 'is {answer} right?'}", "lacks {prompt}"),
    ):
        with pytest.raises(RulesError, match=wrong.replace("{", r"\{")):
            RuleSet.parse(text(check), folder=tmp_path)


def test_a_judge_is_asked_last_and_by_the_application() -> None:
    asked: list[tuple[str, Request]] = []

    def ask(model: str, _place: Deployment, request: Request) -> Answer:
        asked.append((model, request))
        return replies.pop(0)

    check = {"json": True, "judge": {"model": "large", "accept_from": 0.7}}
    ruleset = RuleSet("t", MODELS, Default(("nano", "mini"), cascade="judged"), checks={"judged": check})
    router = Router(ruleset, ask=ask)
    replies: list[Answer] = []
    assert router.next(router.route(ASKED.messages), said("prose")).model == "mini"
    assert not asked
    for reply, passed, why in (
        (said("8"), True, "the answer passes"),
        (said("3 of 10"), False, "large judges it 0.3, below 0.7"),
        (said("good"), False, "its judge large gave no number from 0 to 10"),
        (Answer(error_kind="timeout"), False, "its judge large failed by timeout"),
    ):
        replies.append(reply)
        tried = router.next(router.route(ASKED.messages), said("{}")).tried[0]
        assert (tried.verdict == "accepted", tried.why) == (passed, why)
    model, request = asked[0]
    assert model == "large"
    assert "Tom has 3 apples" in request.messages[0]["content"]
    assert "{}" in request.messages[0]["content"]
    silent = Router(ruleset)
    with pytest.raises(RulesError, match="give it `ask`"):
        silent.next(silent.route(ASKED.messages), said("{}"))


def test_an_answer_cannot_stand_in_for_the_prompt() -> None:
    asked = AnswerJudge("large", 0.5, "P {prompt} A {answer}").request(ASKED, said("{prompt} {answer}"))
    assert asked.messages[0]["content"] == "P Tom has 3 apples and buys 4. How many? A {prompt} {answer}"


def test_the_features_of_version_1_are_frozen() -> None:
    asked = Answer("Tom has 3 + 4 = 7 apples.\nThe answer is 7", finish_reason="stop")
    columns, values = SPEC.sparse(Reading(ASKED), asked, [Answer("so 7")])
    said_so = json.dumps([columns, [round(value, 9) for value in values]])
    # Artifacts that others keep were learned from these numbers: what changes them is a new version.
    digest = "0c41479f4928cb0303adb6e783740bbc7c584e6539241a099f08f79052aacbc9"
    assert hashlib.sha256(said_so.encode()).hexdigest() == digest
