from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from routebench.export.litellm.matchers import InexpressibleError, clause_of, when_of
from routebench.rules import Condition
from routebench.types import Request


def asks(when: Mapping[str, Any], text: str) -> bool:
    """Whether what LiteLLM would ask holds for a text."""
    return Condition.parse(when_of(clause_of(when))).matches(Request(messages=({"role": "user", "content": text},)))


def test_words_are_keywords_and_nothing_is_inexact_about_them() -> None:
    (matcher,) = clause_of({"any_keyword": ["contract", "NDA"]})
    assert matcher.keywords == ("contract", "NDA")
    assert matcher.is_words_alone
    assert not matcher.inexact


def test_a_phrase_is_a_keyword_that_is_found_inside_words_too() -> None:
    (matcher,) = clause_of({"any_keyword": ["due diligence"]})
    assert matcher.keywords == ("due diligence",)
    assert "inside longer words" in matcher.inexact[0]


def test_a_keyword_that_ends_in_a_sign_becomes_a_pattern() -> None:
    (matcher,) = clause_of({"any_keyword": ["c++", "rust"]})
    assert matcher.keywords == ("rust",)
    assert matcher.patterns == (r"\bc\+\+",)
    assert asks({"any_keyword": ["c++"]}, "I write C++ all day")


@pytest.mark.parametrize("pattern", [r"(?i)\b(contract|nda)\b", r"(?i)\b(?:contract|nda)\b"])
def test_a_plain_list_of_words_is_told_from_a_pattern(pattern: str) -> None:
    (matcher,) = clause_of({"regex": pattern})
    assert matcher.keywords == ("contract", "nda")


@pytest.mark.parametrize(
    ("when", "text", "holds"),
    [
        ({"characters": {"gt": 10}}, "x" * 11, True),
        ({"characters": {"gt": 10}}, "x" * 10, False),
        ({"characters": {"ge": 10}}, "x" * 10, True),
        ({"characters": {"le": 10}}, "x" * 10, True),
        ({"characters": {"lt": 10}}, "x" * 10, False),
        ({"not": {"characters": {"gt": 10}}}, "x" * 10, True),
        ({"not": {"characters": {"lt": 10}}}, "x" * 9, False),
        ({"input_tokens": {"gt": 10}}, "x" * 41, True),
        ({"input_tokens": {"gt": 10}}, "x" * 40, False),
        ({"input_tokens": {"ge": 10}}, "x" * 37, True),
        ({"input_tokens": {"ge": 10}}, "x" * 36, False),
        ({"is_question": True}, "Is it? ", True),
        ({"is_question": True}, "Is it? No.", False),
        ({"has_code": True}, "see\ndef f(x):", True),
        ({"has_code": True}, "a definition", False),
    ],
)
def test_what_is_asked_holds_where_the_condition_holds(when: Mapping[str, Any], text: str, holds: bool) -> None:
    request = Request(messages=({"role": "user", "content": text},))
    assert Condition.parse(when).matches(request) == holds
    assert asks(when, text) == holds


def test_several_keys_are_parts_that_must_all_hold() -> None:
    clause = clause_of({"all_keywords": ["tax", "law"], "characters": {"gt": 5}})
    assert len(clause) == 3
    assert asks({"all_keywords": ["tax", "law"]}, "the law of tax")
    assert not asks({"all_keywords": ["tax", "law"]}, "the law")


def test_any_of_single_conditions_is_one_matcher() -> None:
    (matcher,) = clause_of({"any": [{"any_keyword": ["a"]}, {"characters": {"gt": 9}}, {"regex": "b.c"}]})
    assert (matcher.keywords, matcher.above, matcher.patterns) == (("a",), 10, ("b.c",))


@pytest.mark.parametrize(
    ("when", "why"),
    [
        ({"language": "de"}, "languages"),
        ({"has_tools": True}, "tools"),
        ({"metadata.tier": "gold"}, "metadata"),
        ({"tag": "legal"}, "tags"),
        ({"time": {"after": "08:00"}}, "time of day"),
        ({"turns": {"gt": 2}}, "turns"),
        ({"digits": {"gt": 0.1}}, "digits"),
        ({"not": {"any_keyword": ["a"]}}, "not there"),
        ({"has_code": False}, "not there"),
        ({"any_keyword": ["a"], "in": "system"}, "last user message"),
        ({"characters": {"gt": 1, "lt": 9}}, "between"),
        ({"any": [{"any_keyword": ["a"], "characters": {"gt": 3}}, {"regex": "b"}]}, "several parts"),
        ({}, "always"),
    ],
)
def test_what_cannot_be_asked_says_what_is_lacking(when: Mapping[str, Any], why: str) -> None:
    with pytest.raises(InexpressibleError, match=why):
        clause_of(when)
