from __future__ import annotations

from typing import Any

import pytest

from routebench.errors import SuiteError
from routebench.grade import GRADERS, check_graders, grade
from routebench.suites import GRADER_NAMES, Suite
from tests.conftest import make_case


def test_suites_accept_exactly_the_graders_that_exist() -> None:
    assert set(GRADER_NAMES) == set(GRADERS)


@pytest.mark.parametrize(
    ("grader", "target", "answer", "score"),
    [
        ("exact", "Paris", " paris. ", 1.0),
        ("exact", ["Paris", "City of Paris"], "city of  Paris", 1.0),
        ("exact", "Paris", "It is Paris", 0.0),
        ("contains", "art", "the artist", 0.0),
        ("contains", ["art", "artist"], "the Artist!", 1.0),
        ("contains", "C++", "I like C++.", 1.0),
        ("regex", r"(?i)^yes\b", "Yes, sir", 1.0),
        ("regex", r"^\d+$", "12a", 0.0),
        ("numeric", 1234.5, "about 1,234.5 dollars", 1.0),
        ("numeric", 7, "first 3 then 7", 1.0),
        ("numeric", 7, "7 or 3", 0.0),
        ("numeric", 0.3, "0.30000000001", 1.0),
        ("numeric", 0, "-0.0", 1.0),
        ("numeric", 5, "five", 0.0),
    ],
)
def test_text_graders(grader: str, target: Any, answer: str, score: float) -> None:
    assert grade(make_case("a", target=target, grader=grader), answer).score == score


def test_numeric_tolerance_is_relative() -> None:
    case = make_case("a", target=200, grader="numeric", options={"tolerance": 0.01})
    assert grade(case, "202").score == 1.0
    assert grade(case, "203").score == 0.0


@pytest.mark.parametrize(("answer", "score"), [("It is Positive", 1.0), ("negative, not positive", 0.0), ("good", 0.0)])
def test_choice_takes_the_first_that_is_named(answer: str, score: float) -> None:
    case = make_case("a", target="positive", grader="choice", options={"choices": ["negative", "positive"]})
    assert grade(case, answer).score == score


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ('{"n": 1, "s": " X "}', 1.0),
        ('Sure:\n```json\n{"n": 1, "s": "x"}\n```', 1.0),
        ('{"n": 2, "s": "x"}', 0.0),
        ('{"n": "1", "s": "x"}', 0.0),
        ('{"n": 1', 0.0),
        ('{"n": 1}', 0.0),
    ],
)
def test_json_needs_schema_and_fields(answer: str, score: float) -> None:
    case = make_case("a", target={"n": 1, "s": "x"}, grader="json_schema", options={"schema": SCHEMA})
    assert grade(case, answer).score == score


NESTED = {"a": 1, "b": {"c": "x", "d": [1, 2]}, "e": {}}


@pytest.mark.parametrize(
    ("answer", "share"),
    [
        ('{"a": 1, "b": {"c": " X", "d": [1, 2]}, "e": {"more": 1}}', 1.0),
        ('{"a": 1, "b": {"c": "x", "d": [1, 3]}, "e": {}}', 0.8),
        ('{"a": 1, "b": {"c": "x", "d": [1, 2, 3]}, "e": {}}', 5 / 6),
        ('{"a": 1}', 0.2),
        ('{"b": "x"}', 0.0),
        ("[1]", 0.0),
    ],
)
def test_json_fields_by_share_give_credit_for_each_value(answer: str, share: float) -> None:
    part = make_case("a", target=NESTED, grader="json_schema", options={"fields": "share"})
    assert grade(part, answer).score == pytest.approx(share)
    whole = make_case("a", target=NESTED, grader="json_schema")
    assert grade(whole, answer).score == float(share == 1)


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ('Sure {ok}: {"n": 1, "s": "x"} and {"n": 2}', 1.0),
        ('{"n": 2} or {"n": 1, "s": "x"}', 0.0),
        ("none {", 0.0),
        ("{" * 100_000, 0.0),
        ('[{"n": 1}', 0.0),
    ],
)
def test_json_in_prose_is_found_only_when_asked_for(answer: str, score: float) -> None:
    case = make_case("a", target={"n": 1, "s": "x"}, grader="json_schema", options={"lenient": True})
    assert grade(case, answer).score == score
    assert grade(make_case("a", target={"n": 1, "s": "x"}, grader="json_schema"), answer).score == 0.0


def test_true_is_not_one() -> None:
    assert grade(make_case("a", target={"ok": True}, grader="json_schema"), '{"ok": 1}').score == 0.0


def test_no_grader_leaves_the_answer_unscored() -> None:
    assert grade(make_case("a", grader="none"), "x").score is None


def test_a_hostile_pattern_stays_linear() -> None:
    assert grade(make_case("a", target="(a+)+$", grader="regex"), "a" * 5000 + "b").score == 0.0


@pytest.mark.parametrize(
    ("grader", "target", "options", "words"),
    [
        ("choice", "x", {"choices": ["y"]}, "holds the target"),
        ("regex", "(", {}, "RE2"),
        ("numeric", "twelve", {}, "needs a number"),
        ("numeric", 1, {"tolerence": 1}, "did you mean 'tolerance'"),
        ("json_schema", {}, {"schema": {"type": "objekt"}}, "JSON Schema"),
        ("json_schema", {}, {"fields": "some"}, "all or share"),
        ("json_schema", {}, {"lenient": "yes"}, "true or false"),
    ],
)
def test_options_are_checked_before_anything_is_paid(
    grader: str, target: Any, options: dict[str, Any], words: str
) -> None:
    suite = Suite("s", (make_case("case-7", target=target, grader=grader, options=options),))
    with pytest.raises(SuiteError, match="case-7") as caught:
        check_graders(suite)
    assert words in str(caught.value)
