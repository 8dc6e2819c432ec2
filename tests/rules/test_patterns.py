"""Patterns asked together answer as each of them would by itself, whatever the text and the memory."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from routebench.rules.conditions.patterns import Patterns, PatternSet, Search, compiled, without_counts
from routebench.rules.reading.request import Text

SIMPLE = [
    "a",
    "b+",
    "^a",
    "a$",
    r"\bab\b",
    "(?i)AB",
    "(a|b)*c",
    "[^a]{2}",
    ".",
    "",
    r"\d+",
    "(?m)^b",
    "é",
    r"\pL{2}",
    "a|b",
]
NASTY = [
    "(a|b)*a(a|b){15}",
    "(a*)*b",
    "(a|aa)+$",
    "((a+)+)+c",
    "(.*)(.*)(.*)(.*)x",
    r"(\w+\s?)+$",
    "[ab]*a[ab]{12}b",
    "(?i)(x+x+)+y",
]


COUNTED = [
    "[ab].{3}c",
    "a{2}",
    "b{0}c",
    "^a{2,}$",
    "(?:ab){1,2}?x",
    "(a{2}|b){2}",
    r"\{2}",
    r"a\{2}",
    "[{2}]{2}",
    "[]{2}]",
    "[^]{2}]{3}x",
    r"[\]{2}]x{2}",
    "[[:alpha:]{2}]{4}",
    r"\pL{2}\d",
    r"\x{61}{3}",
    r"\Qa{2}\E{2}",
    r"\Qa{2}",
    "a{01}",
    "a{,2}",
    "a{2}{",
    r"(?i)\bAB\b.{0,4}\bx\b",
]


def make(patterns: list[str], **known: int) -> PatternSet:
    made = PatternSet(**known)
    for number, pattern in enumerate(patterns):
        assert made.add(pattern) == number
    return made


def one_by_one(patterns: list[str], text: Text) -> set[int]:
    return {number for number, pattern in enumerate(patterns) if re2.search(pattern, text.data) is not None}


@given(
    st.lists(st.sampled_from(SIMPLE + NASTY), max_size=6, unique=True),
    st.text(alphabet=st.one_of(st.sampled_from("abcAB 1\néxy"), st.characters()), max_size=60),
)
def test_a_set_finds_what_single_searches_find(patterns: list[str], string: str) -> None:
    text = Text(string)
    assert make(patterns).found(text) == one_by_one(patterns, text)


@given(
    st.lists(st.sampled_from(COUNTED + SIMPLE), min_size=2, max_size=6, unique=True),
    st.text(alphabet="abAx1{2},0] \n", max_size=30),
)
def test_a_set_without_counts_finds_what_single_searches_find(patterns: list[str], string: str) -> None:
    text = Text(string)
    found = one_by_one(patterns, text)
    assert make(patterns).found(text) == found
    assert one_by_one([without_counts(one) for one in patterns], text) >= found


@pytest.mark.parametrize(
    ("pattern", "without"),
    [
        ("a.{30}b", "a.+b"),
        ("a{0,5}?b{2,}", "a*?b+"),
        (r"[{2}]{3}\{2}\x{41}{2}", r"[{2}]+\{2}\x{41}+"),
        (r"\Qa{2}\E{3}[[:alpha:]{2}]{4}", r"\Qa{2}\E+[[:alpha:]{2}]+"),
        ("a{01}{,3}{x}", "a{01}{,3}{x}"),
        (r"\p{Greek}{2}\\{2}", r"\p{Greek}+\\+"),
        ("[]{2}]{2}[^]{2}]", "[]{2}]+[^]{2}]"),
    ],
)
def test_counts_are_told_from_what_looks_like_them(pattern: str, without: str) -> None:
    assert without_counts(pattern) == without
    compiled(pattern)
    compiled(without)


@pytest.mark.parametrize("max_mem", [1, 20_000, 300_000, 3_000_000])
def test_a_set_without_memory_falls_back_and_finds_the_same(max_mem: int) -> None:
    patterns = [*NASTY, "needle", "ne+dle$"]
    # Every window of letters is another state of the automaton.
    letters = "".join("ab"[(number * number // 7 + number // 3) % 2] for number in range(20_000))
    text = Text(letters + " needle")
    assert one_by_one(patterns, text) >= {0, len(patterns) - 1, len(patterns) - 2}
    assert make(patterns, max_mem=max_mem).found(text) == one_by_one(patterns, text)


class OutOfMemory:
    """A set that reports what RE2 reports when its automaton has no memory left: no match at all."""

    def Match(self, data: bytes) -> None:  # noqa: N802 - the name of RE2's method
        return None


class Forgetful:
    """A set that lost its last pattern, the one that matches every text."""

    def Match(self, data: bytes) -> list[int]:  # noqa: N802 - the name of RE2's method
        return [1]


@pytest.mark.parametrize("together", [OutOfMemory(), Forgetful()])
def test_a_set_that_fails_is_not_believed(together: object) -> None:
    assert Search(("a", "b", "x"), together).found(b"ab") == {0, 1}
    assert Search(("a", "b", "x"), together).found(b"") == set()


def test_five_hundred_patterns() -> None:
    patterns = [rf"(?i)\bword{number}\s+[a-z]+ing\b" for number in range(500)]
    found = make(patterns).found(Text("so WORD17 going and word499\n runNing word5 ran"))
    assert found == {17, 499}


@pytest.mark.parametrize("character", ["a", "ab", "a\n", " ", "é", "\u0301", "\x00", "\ud800", "합", "ab "])
def test_a_megabyte_of_anything_is_read(character: str) -> None:
    text = Text(character * (2**20 // len(character)) + "needle")
    numbers = make([*NASTY, "needle$", "needles"]).found(text)
    assert len(NASTY) in numbers
    assert len(NASTY) + 1 not in numbers


def test_half_characters_are_read_as_question_marks() -> None:
    assert make(["contract", r"\?"]).found(Text("\ud83d contract \udc00")) == {0, 1}


def test_a_set_grows_and_a_text_remembers_only_its_latest_answer() -> None:
    patterns, text = make(["a", "b"]), Text("abc")
    assert patterns.found(text) == {0, 1}
    assert patterns.found(text) is patterns.found(text)
    assert patterns.add("c") == 2
    assert patterns.add("a") == 0
    assert patterns.found(text) == {0, 1, 2}
    other = make(["c", "x"])
    assert other.found(text) == {0}
    assert patterns.found(text) == {0, 1, 2}
    assert make([]).found(text) == set()


def test_many_threads_see_the_same() -> None:
    patterns, texts = make(["a", "b", "c"]), [Text(one) for one in ("ab", "c", "", "abc") * 50]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(patterns.found, texts * 4))
    assert found == [one_by_one(["a", "b", "c"], text) for text in texts] * 4


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(?=a)", "look-around"),
        (r"(a)\1", "back references"),
        ("(", "mend the pattern"),
        ("a{2000}", "lower the counts"),
        ("a" * 10_001, "too long"),
        ("((a{40}){40}){40}", "regex '((a{40}){40}){40}'"),
        (r"((\pL{9}){9}){9}", "lower the counts"),
        ("\ud800", "half a character"),
    ],
)
def test_bad_patterns_say_how_to_mend_them(pattern: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        compiled(pattern)
    with pytest.raises(ValueError, match=re.escape(words)):
        Patterns().of("user").add(pattern)


def test_scopes_have_their_own_sets() -> None:
    patterns = Patterns()
    assert patterns.of("user") is patterns.of("user")
    assert patterns.of("user") is not patterns.of("any")
