from __future__ import annotations

import pytest

from routebench.providers.calculator import answer


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("What is 17 * 23?", "391"),
        ("How much is 15% of 80?", "12"),
        ("twenty-three plus 4", "27"),
        ("0.1 + 0.2", "0.3"),
        ("What is 1,000 divided by 8?", "125"),
        ("Reverse the word 'lemon'.", "nomel"),
        ("How many letters are in the word banana?", "6"),
        ("Write 'good morning' in upper case.", "GOOD MORNING"),
        ("Sort these words alphabetically: pear, apple, fig", "apple, fig, pear"),
        ("What is the last letter of 'window'?", "w"),
    ],
)
def test_exact_answers(prompt: str, expected: str) -> None:
    assert answer(prompt) == expected


@pytest.mark.parametrize(
    "prompt",
    [
        "", "What is the capital of France?", "Ann has 3 apples and eats one. How many are left?", "1 / 0", "9 ** 9 ** 9",
        "2024-05-03", "3/4", "__import__('os').system('true')", "What is 2 + x?", "x" * 5000, "(" * 150, "List three fruits",
    ],
)  # fmt: skip
def test_what_is_not_surely_a_task_gets_no_answer(prompt: str) -> None:
    assert answer(prompt) is None
