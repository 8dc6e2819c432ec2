"""Which texts say nearly the same, and which only share a template."""

from __future__ import annotations

import random

from routebench.suites.logs.similar import plain, same_texts


def instructions(n_words: int) -> str:
    return " ".join(f"rule{number}" for number in range(n_words))


def test_templates_do_not_make_different_questions_one() -> None:
    letters = random.Random(1)
    questions = ["".join(letters.choices("abcdefgh", k=6)) for _ in range(60)]
    several = [f"{instructions(150)} {one} {one}s own {questions[place - 1]}" for place, one in enumerate(questions)]
    slots = [f"{instructions(80)} of {one} please, tell us" for one in questions]
    assert same_texts(several).tolist() == list(range(60))
    assert same_texts(slots).tolist() == list(range(60)), "a word of its own at the slot of a template is a question"
    assert same_texts(several[:8]).tolist() == list(range(8)), "also where there are few"


def test_a_changed_added_or_dropped_word_makes_no_other_question() -> None:
    words = instructions(40).split()
    changed = [[*words[:place], f"slip{place}", *words[place + 1 :]] for place in range(0, 40, 2)]
    texts = [" ".join(one) for one in [words, *changed, words[:20] + words[21:], [*words[:9], "more", *words[9:]]]]
    assert set(same_texts(texts).tolist()) == {0}
    assert same_texts([*texts[:2], instructions(40).replace("rule", "law"), ""]).tolist() == [0, 0, 2, 3]
    assert same_texts([]).tolist() == []


def test_signs_of_sums_and_code_count_and_those_of_prose_do_not() -> None:
    assert plain("Hello, World! 2026-11-25T10:00:00Z (b)") == plain("hello world # b")
    assert len({plain(f"what is 12 {sign} 3?") for sign in "+-*/<>="}) == 7
