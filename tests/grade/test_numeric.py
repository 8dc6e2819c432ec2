from __future__ import annotations

from typing import Any

import pytest

from routebench.errors import SuiteError
from routebench.grade import check_graders, grade
from routebench.suites import Suite
from tests.conftest import make_case


def score(target: Any, answer: str, **options: Any) -> float | None:
    return grade(make_case("a", target=target, grader="numeric", options=options), answer).score


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        (42, r"So \boxed{42}, after 7 steps"),
        (4, r"\boxed{3} no, \boxed{x = 4}"),
        (42, "6 * 7\n#### 42\n"),
        (42, "The answer is 42, since 6 * 7 = 42; see page 9"),
        (42, "Answer: $42."),
        (3, "1,2,3"),
        (5, "3-5"),
        (-3, "x = -3"),
        (-3, "x = \u22123"),
        (-5, "-$5"),
        (-5, "$-5"),
        ("1,234", "\u20ac 1,234.00"),
        (1_000_000, "1,000,000 people"),
        (1_000_000, "1\u00a0000\u00a0000"),
        (1e-7, "1e-7"),
    ],
)
def test_which_number_is_read(target: Any, answer: str) -> None:
    assert score(target, answer) == 1.0


@pytest.mark.parametrize(
    ("target", "answer", "wanted"),
    [
        ("12.5%", "12.5 %", 1.0),
        ("12.5%", "12.5 percent", 1.0),
        ("12.5%", r"12.5\%", 1.0),
        ("12.5%", "12.5", 1.0),
        ("12.5%", "0.125", 1.0),
        ("12.5%", "0.125 %", 0.0),
        (0.125, "12.5 %", 1.0),
        (25, "25%", 1.0),
        (25, "2500%", 1.0),
        (25, "0.25%", 0.0),
    ],
)
def test_percent(target: Any, answer: str, wanted: float) -> None:
    assert score(target, answer) == wanted


def test_absolute_tolerance_is_in_the_targets_unit_and_either_suffices() -> None:
    assert score(10, "10.4", absolute=0.5) == 1.0
    assert score(10, "10.6", absolute=0.5) == 0.0
    assert score(10, "10.6", absolute=0.5, tolerance=0.1) == 1.0
    assert score(0, "0.01", absolute=0.02) == 1.0
    assert score("50%", "51%", absolute=1) == 1.0
    assert score("50%", "52%", absolute=1) == 0.0


@pytest.mark.parametrize(
    ("target", "answer", "unit", "wanted"),
    [
        (5, "5000 g", "kg", 1.0),
        (5, "5 Kilograms", "kg", 1.0),
        (5, "it is 5", "kg", 1.0),
        (5, "5 kg after 3 days", "kg", 1.0),
        (5, "5 m", "kg", 0.0),
        (3, "3 km", "m", 0.0),
        (3000, r"3\text{km}", "m", 1.0),
        (1.5, "90 minutes", "h", 1.0),
        (2, "2 in total", "m", 1.0),
        (1, "1024 KiB", "MiB", 1.0),
        (8, "1 MB", "Mbit", 1.0),
        (5, "5 mg", "Mg", 0.0),
    ],
)
def test_units_are_converted_and_a_wrong_one_is_wrong(target: float, answer: str, unit: str, wanted: float) -> None:
    assert score(target, answer, unit=unit) == wanted


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        (True, {}, "needs a number"),
        ("5 kg", {}, "needs a number"),
        (5, {"unit": "kilo"}, "knows no unit 'kilo'"),
        (5, {"absolute": -1}, "a number from 0 on"),
    ],
)
def test_what_cannot_be_graded_is_said_before_anything_is_paid(
    target: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(SuiteError, match=words):
        check_graders(Suite("s", (make_case("a", target=target, grader="numeric", options=options),)))


@pytest.mark.parametrize("part", ["1,", "9", "\\boxed{", "- ", "answer is ", "1.", "$ "])
def test_hostile_answers_are_read_without_backtracking(part: str) -> None:
    # Quadratic reading of as much would take minutes.
    assert score(-2, part * 50_000) == 0.0
