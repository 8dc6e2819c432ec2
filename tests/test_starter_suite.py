from __future__ import annotations

from collections import Counter

from routebench.grade import check_graders, grade
from routebench.providers.calculator import answer
from routebench.suites import load_starter


def test_the_starter_suite_is_what_it_says() -> None:
    suite = load_starter()
    check_graders(suite)
    assert 150 <= len(suite) <= 180
    counts = Counter(case.category for case in suite)
    assert len(counts) >= 10
    assert min(counts.values()) >= 8
    assert all("public" in case.tags for case in suite)
    legal = [case for case in suite if "legal" in case.tags]
    assert len(legal) >= 5
    assert all(case.stakes_usd == 50 for case in legal)


def test_the_tool_is_right_where_it_answers() -> None:
    answered = [
        (case, text) for case in load_starter() if (text := answer(case.request.messages[-1]["content"])) is not None
    ]
    assert {case.category for case, _ in answered} == {"arithmetic", "text"}
    assert all(grade(case, text).score == 1 for case, text in answered)


def test_no_two_cases_ask_the_same() -> None:
    prompts = [case.request.messages[-1]["content"].casefold() for case in load_starter()]
    assert len(set(prompts)) == len(prompts)
