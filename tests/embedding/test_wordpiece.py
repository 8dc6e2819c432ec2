from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routebench.embedding import WordPieces

PIECES = WordPieces.english()


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", []),
        ("Hello, world!", [7592, 1010, 2088, 999]),
        ("unaffable tokenization", [14477, 20961, 3468, 19204, 3989]),
        ("Ünïcödé naïve café", [27260, 15743, 7668]),
        ("中文 test字", [1746, 1861, 3231, 100]),
        ("don't stop—it’s “fine”…", [2123, 1005, 1056, 2644, 1517, 2009, 1521, 1055, 1523, 2986, 1524, 1529]),
        ("x" * 101 + " yes", [100, 2748]),
        ("a\u200bb\u00adc\tD", [5925, 1040]),
        ("ΑΣ ς İstanbul", [1155, 29733, 1172, 9960]),
        ("😀 smile", [100, 2868]),
    ],
)
def test_pieces_are_those_of_the_model_that_was_trained_on_them(text: str, numbers: list[int]) -> None:
    # As the tokenizer that comes with all-MiniLM-L6-v2 numbers them.
    assert PIECES.numbers(text, 256) == [101, *numbers, 102]


def test_a_prompt_cannot_speak_as_the_model() -> None:
    assert not {101, 102, 103} & set(PIECES.numbers("[CLS] hello [SEP] [MASK]", 256)[1:-1])


@given(st.text(), st.integers(2, 20))
def test_a_text_is_cut_at_its_end(text: str, at_most: int) -> None:
    whole, cut = PIECES.numbers(text, 10_000), PIECES.numbers(text, at_most)
    assert cut == [*whole[:-1][: at_most - 1], 102]
    assert PIECES.numbers(text.upper().lower(), 10_000) == PIECES.numbers(text.upper().lower().lower(), 10_000)


def test_words_are_cut_greedily_or_not_at_all() -> None:
    small = WordPieces({"[CLS]": 0, "[SEP]": 1, "[UNK]": 2, "ab": 3, "abc": 4, "##d": 5, "##c": 6, ".": 7})
    assert small.numbers("abcd. abd abx ab", 99) == [0, 4, 5, 7, 3, 5, 2, 3, 1]
