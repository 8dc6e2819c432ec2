"""Surface features are what they were when they were defined, only faster."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from routebench.messages import estimate_input_tokens, has_images, has_unread, spoken
from routebench.rules.conditions.patterns import PatternSet
from routebench.rules.reading.keywords import fold, words_of
from routebench.rules.reading.language import _SCRIPTS, _SMALL_WORDS, LANGUAGES, language_of
from routebench.rules.reading.once import once
from routebench.rules.reading.request import Reading, Text
from routebench.types import Request

CODE = re.compile(
    r"```|^\s*(?:def |class |import |from \w+ import|#include|SELECT |public |function |const |let )|[;{}]\s*$",
    re.MULTILINE,
)
pieces = st.lists(
    st.sampled_from(
        ["def ", "class x", "from a import", "from é1_ import", "#include", "SELECT ", "let ", "```", ";", "{", "}", " ",
         "\n", "\t", "\u00a0", "\x0b", "\x1c", "\x85", "\u2028", "x", "é", "\r\n"]
    ),
    max_size=7,
).map("".join)  # fmt: skip
some_words = st.lists(
    st.sampled_from(
        [*sorted(frozenset().union(*_SMALL_WORDS.values())), "xyz", "Haus", "42", "с", "это", "日本", "かな"]
    ),
    max_size=12,
).map(" ".join)


def defined_language(text: str) -> str | None:
    letters = [character for character in text if character.isalpha()]
    for name, first, last in _SCRIPTS:
        if letters and sum(first <= letter <= last for letter in letters) >= 0.2 * len(letters):
            return name
    words = re.findall(r"\w+", text.casefold())
    counts = sorted(
        ((sum(word in small for word in words), name) for name, small in _SMALL_WORDS.items()), reverse=True
    )
    (most, name), (second, _) = counts[:2]
    return name if most > second else None


@given(some_words | st.text(max_size=30))
@example("")
@example("aaaa日")
@example("aaaaa日")
def test_languages_are_told_as_they_were_defined(text: str) -> None:
    assert language_of(text) == defined_language(text)


@given(some_words)
def test_of_ordinary_text_the_words_of_keywords_tell_the_same(text: str) -> None:
    assert Text(text).language == defined_language(text)
    assert Text(text).words == re.findall(r"\w+", text.casefold())


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is the capital of France?", "en"),
        ("Qual é a capital de um país que não conheço", "pt"),
        ("これは何ですか", "ja"),
        ("это что", "ru"),
        ("xyz", None),
        ("", None),
    ],
)
def test_languages(text: str, language: str | None) -> None:
    assert language_of(text) == language
    assert language is None or language in LANGUAGES


@given(pieces | st.text(max_size=30))
def test_code_is_told_as_it_was_defined(text: str) -> None:
    assert Text(text).has_code == (CODE.search(text) is not None)


@given(st.text(alphabet=st.one_of(st.sampled_from("a1 ٣²①é5"), st.characters()), max_size=30))
def test_digits_are_counted_as_they_were_defined(text: str) -> None:
    assert Text(text).digits == sum(character.isdigit() for character in text) / max(1, len(text))


@given(st.text(alphabet=[chr(code) for code in range(128)], max_size=40))
def test_words_of_ascii_are_those_that_a_pattern_finds(text: str) -> None:
    assert words_of(text) == re.findall(r"\w+", text, re.ASCII)


parts = st.builds(
    lambda kind, text: {"type": kind, "text": text},
    st.sampled_from(["text", "input_text", "image_url", "odd", None]),
    st.sampled_from(["", "a", "b\\n c", '{"a": "\\u0062"}', 1, None]),
)


@given(st.sampled_from(["user", "tool"]), st.lists(parts, max_size=3) | st.sampled_from(["", "a", '"\\u0061"']))
def test_a_message_of_plain_texts_is_read_like_any_other(role: str, content: Any) -> None:
    plain = {"role": role, "content": content}
    # One key more, and each part is looked at closely.
    other = {**plain, "name": "x"}
    assert spoken(plain) == spoken(other)
    assert estimate_input_tokens([plain]) == estimate_input_tokens([other])
    assert has_images([plain]) == has_images([other])
    assert has_unread([plain]) == has_unread([other])


@given(st.text(max_size=40))
def test_folding_twice_changes_nothing_that_keywords_see(text: str) -> None:
    assert words_of(fold(fold(text))) == words_of(fold(text))
    if text.isascii():
        assert fold(text) == text.casefold()


def test_questions() -> None:
    for text in ("so?", "so? \n", "什么？", "ما هذا؟"):
        assert Text(text).is_question
    assert not Text("so? yes").is_question


def test_features_are_a_mapping_that_is_computed_when_it_is_looked_at() -> None:
    reading = Reading(Request(({"role": "user", "content": "Is 42 = 6 * 7;\nor not?"},), tools=({},)))
    features = reading.features()
    expected = {
        "input_tokens": 6,
        "characters": 22,
        "words": 6,
        "turns": 1,
        "digits": round(4 / 22, 4),
        "language": None,
        "has_code": True,
        "is_question": True,
        "has_tools": True,
        "has_images": False,
        "json_schema": False,
    }
    assert features == expected
    assert expected == features
    assert list(features) == list(expected)
    assert repr(features) == repr(expected)
    reading.text("user").found = (PatternSet(), frozenset())
    for copied in (pickle.loads(pickle.dumps(features)), copy.deepcopy(features)):
        assert copied == expected
        assert type(copied) is dict


def test_what_is_worked_out_once_is_kept() -> None:
    worked_out: list[int] = []

    class Slow:
        @once
        def value(self) -> int:
            """A value."""
            worked_out.append(1)
            return len(worked_out)

    first, second = Slow(), Slow()
    assert (first.value, first.value, second.value, first.value) == (1, 1, 2, 1)
    assert Slow.value.__doc__ == "A value."
