from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routebench.errors import RulesError
from routebench.rules.learned.features import MAX_HASHED_WORDS, FeatureSpec
from routebench.rules.learned.surface import SURFACE, surface
from routebench.rules.reading.request import Reading
from routebench.types import Request

ANY_TEXT = st.text(st.characters(), max_size=80)  # lone surrogates too
SPECS = [
    FeatureSpec(512),
    FeatureSpec(64, bigrams=True),
    FeatureSpec(1000, bigrams=True, surface=False),
    FeatureSpec(0),
]


def read(text: str, **fields: Any) -> Reading:
    return Reading(Request(({"role": "user", "content": text},), **fields))


# What artifacts were learned from: where one of these fails, the format needs a new version, not a new number here.
@pytest.mark.parametrize(
    ("text", "spec", "expected"),
    [
        ("Sum the sum, quickly", FeatureSpec(512, surface=False), {176: -0.453295, 333: -0.767494, 486: 0.453295}),
        ("a b", FeatureSpec(1000, surface=False), {681: 0.707107, 907: -0.707107}),
        (
            "the red fox",
            FeatureSpec(512, bigrams=True, surface=False),
            {230: 0.447214, 399: -0.447214, 466: -0.447214, 486: 0.447214, 495: -0.447214},
        ),
        ("请审查合同", FeatureSpec(512, surface=False), {122: 0.5, 268: 0.5, 393: 0.5, 421: 0.5}),
        ("NAÏVE Straße", FeatureSpec(64, surface=False), {38: -0.707107, 61: -0.707107}),
    ],
)
def test_the_format_stays(text: str, spec: FeatureSpec, expected: dict[int, float]) -> None:
    vector = spec.vector(read(text))
    assert {int(column): round(float(vector[column]), 6) for column in np.flatnonzero(vector)} == expected


def test_the_surface_stays() -> None:
    assert len(SURFACE) == 27
    last = "Is 12 + 30 = 42?\n- see https://x.org\n1. yes\n```py\nx = 1\n```\nÄpfel"
    messages = (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": last},
    )
    tools = ({"type": "function"}, {"type": "function"})
    reading = Reading(Request(messages, tools=tools, response_format={"type": "json_schema"}))
    words = ["is", "12", "30", "42", "see", "https", "x", "org", "1", "yes", "py", "x", "1", "äpfel"]
    assert dict(zip(SURFACE, surface(reading), strict=True)) == pytest.approx(
        {
            "log_characters": math.log1p(65),
            "log_words": math.log1p(14),
            "log_lines": math.log1p(6),
            "log_input_tokens": math.log1p(21),
            "log_turns": math.log1p(2),
            "log_system_characters": math.log1p(9),
            "log_word_length": math.log1p(sum(map(len, words)) / 14),
            "distinct_words": 12 / 14,
            "digits": 8 / 65,
            "capitals": 1 / 65,
            "punctuation": 16 / 65,
            "beyond_ascii": 1 / 65,
            "has_code": 1,
            "log_fences": math.log1p(2),
            "is_question": 0,
            "log_question_marks": math.log1p(1),
            "log_list_markers": math.log1p(2),
            "log_math_signs": math.log1p(5),
            "log_links": math.log1p(1),
            "log_tools": math.log1p(2),
            "has_images": 0,
            "json_schema": 1,
            "language_en": 0,
            "language_western": 0,
            "language_east_asian": 0,
            "language_other": 0,
            "language_unknown": 1,
        }
    )


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is the capital of this country and how far is it?", "language_en"),
        ("Was ist die Hauptstadt und wie ist das Wetter?", "language_western"),
        ("これは何ですか", "language_east_asian"),
        ("Что это такое и как оно работает", "language_other"),
        ("42", "language_unknown"),
    ],
)
def test_a_text_is_in_one_language(text: str, language: str) -> None:
    values = dict(zip(SURFACE, surface(read(text)), strict=True))
    assert [name for name in SURFACE if name.startswith("language_") and values[name]] == [language]


def test_math_and_questions_of_other_scripts_count() -> None:
    assert surface(read("α ≤ β ∑ γ？"), ["log_math_signs", "log_question_marks", "beyond_ascii"]) == pytest.approx(
        [math.log1p(2), math.log1p(1), 6 / 10]
    )


@given(st.lists(ANY_TEXT, max_size=6), st.sampled_from(SPECS))
def test_a_row_of_many_is_the_row_of_one(texts: list[str], spec: FeatureSpec) -> None:
    many = spec.matrix([read(text) for text in texts])
    assert many.shape == (len(texts), spec.width)
    assert many.dtype == np.float32
    for row, text in zip(many, texts, strict=True):
        assert row.tobytes() == spec.vector(read(text)).tobytes()
    assert np.isfinite(many).all()


@given(st.lists(st.sampled_from("one two three four five six seven 8 neun".split()), max_size=40), st.randoms())
def test_words_in_another_order_are_the_same_row_to_the_last_bit(words: list[str], draw: random.Random) -> None:
    # Few columns, so that many words share one.
    spec = FeatureSpec(4, surface=False)
    shuffled = draw.sample(words, len(words))
    assert spec.vector(read(" ".join(words))).tobytes() == spec.vector(read(" ".join(shuffled))).tobytes()


def test_pairs_of_words_see_the_order() -> None:
    spec = FeatureSpec(512, bigrams=True, surface=False)
    assert not np.array_equal(spec.vector(read("dog bites man")), spec.vector(read("man bites dog")))


@given(ANY_TEXT)
def test_the_words_of_a_text_have_length_1(text: str) -> None:
    reading = read(text)
    _, values = FeatureSpec(2**20, surface=False).sparse(reading)
    assert math.fsum(value * value for value in values) == pytest.approx(1 if reading.text("user").words else 0)


def test_no_count_is_capped() -> None:
    spec = FeatureSpec(2**20, surface=False)
    for count in (63, 64, 65, 1000):
        _, (repeated, single) = spec.sparse(read("again " * count + "once"))
        assert abs(repeated / single) == pytest.approx(1 + math.log(count), rel=1e-5)


def test_no_seed_of_the_interpreter_changes_a_row() -> None:
    text = "Compare the two contracts, then list every clause that differs: Straße, 合同, 12 %."
    code = (
        "import json, sys; from routebench.rules.learned.features import FeatureSpec; from routebench.rules.reading.request import Reading;"
        "from routebench.types import Request; text = json.loads(sys.argv[1]);"
        "row = FeatureSpec(256, bigrams=True).vector(Reading(Request(({'role': 'user', 'content': text},))));"
        "print(row.tobytes().hex())"
    )
    own = FeatureSpec(256, bigrams=True).vector(read(text)).tobytes().hex()
    for seed, locale in (("0", "C"), ("1", "C.UTF-8")):
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps(text)],
            capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale},
        )  # fmt: skip
        assert done.stdout.strip() == own


@pytest.mark.parametrize(
    "text", ["", "\n" * 200_000, " " * 200_000, "\n- " * 70_000, "？" * 100_000, "\ud800" * 100_000, "合" * 100_000, "1." * 100_000]
)  # fmt: skip
def test_hostile_texts_have_a_row(text: str) -> None:
    assert np.isfinite(FeatureSpec(64, bigrams=True).vector(read(text))).all()


@pytest.mark.parametrize("spec", SPECS)
def test_a_spec_survives_json(spec: FeatureSpec) -> None:
    assert FeatureSpec.from_dict(json.loads(json.dumps(spec.as_dict()))) == spec
    assert spec.width == spec.hashed_words + 27 * spec.surface


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hashed_words": True}, "need hashed_words, of type int"),
        ({"hashed_words": -1}, "not between 0"),
        ({"hashed_words": MAX_HASHED_WORDS + 1}, "not between 0"),
        ({"hashed_words": 8.0}, "of type int"),
        ({"bigrams": 1}, "need bigrams, of type bool"),
        ({"hashed_words": 0, "bigrams": True}, "bigrams are hashed"),
        ({"hashed_words": 0, "surface": False}, "without a column"),
        ({"version": "v2"}, "update it"),
        ({"hashed_word": 3}, "did you mean 'hashed_words'"),
        (None, "a mapping of"),
    ],
)
def test_a_spec_that_is_wrong_says_so(change: dict[str, Any] | None, says: str) -> None:
    data = None if change is None else {**FeatureSpec().as_dict(), **change}
    with pytest.raises(RulesError, match=says):
        FeatureSpec.from_dict(data)
