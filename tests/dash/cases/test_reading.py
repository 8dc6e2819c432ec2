"""An opened case: which answers stand side by side, what is escaped, what is said where nothing is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from routebench.dash.cases.opened import Opened, Side, Way, open_case
from routebench.dash.cases.reading import DIFF_CHARACTERS, EXPANDED_CHARACTERS, case_html, diff_refusal
from routebench.errors import OutcomesError
from routebench.evaluate import Answers, Comparison
from routebench.types import Answer, GradedAnswer
from tests.conftest import make_case
from tests.dash.comparisons import RULES, TODAY, compared, outcomes


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compared()


def one_where(comparison: Comparison, category: str) -> str:
    """A held-out case of a category that the router of today sends to the small model."""
    test = comparison.half.test
    today = comparison[TODAY].first.replayed.answered_by
    small = test.models.index("small")
    return next(
        str(case_id)
        for row, case_id in enumerate(test.cases.ids)
        if test.cases.category[row] == category and today[row, small] == 1
    )


_FACTS = (None, None, 0.001, 1.5, "judge#ab", "gpt", 0.5, "so so")


def side(text: str | None, name: str = "a", **fields: object) -> Side:
    answer = GradedAnswer(Answer(text), *_FACTS)
    return Side(name, (Way("rules", name, 1.0, 0.5, 0.001, "sums"),), replace(answer, **fields), 1)


def test_each_answer_says_what_decided_and_how_it_was_graded(comparison: Comparison) -> None:
    opened = open_case(comparison, one_where(comparison, "sum"), (TODAY, RULES))
    assert [one.model for one in opened.sides] == ["small", "large"]
    assert [one.ways[0].decided_by for one in opened.sides] == ["tier SIMPLE", "sums"]
    page = case_html(opened)
    assert "decided by tier SIMPLE" in page
    assert "graded 1 by exact" in page
    assert "0.50 s" in page


def test_of_several_samples_the_first_is_shown_and_the_others_are_counted(comparison: Comparison) -> None:
    said = {("small", place): GradedAnswer(Answer(f"try {place}"), *_FACTS) for place in (2, 0, 1)}
    test = replace(comparison.half.test, answers=Answers(lambda _names: {}, lambda _case: said))
    sampled = replace(comparison, half=replace(comparison.half, test=test))
    page = case_html(open_case(sampled, one_where(comparison, "sum"), (TODAY,)))
    assert "try 0" in page
    assert "the first of 3 samples" in page


def test_strategies_that_give_one_answer_share_a_side(comparison: Comparison) -> None:
    opened = open_case(comparison, one_where(comparison, "word"), (TODAY, RULES, "always:large"))
    assert [one.model for one in opened.sides] == ["small", "large"]
    assert [way.name for way in opened.sides[0].ways] == [TODAY, RULES]


def test_nothing_of_a_prompt_an_answer_a_detail_or_a_name_is_a_tag(comparison: Comparison) -> None:
    for names in ((TODAY, RULES), ("always:odd<b", RULES)):
        page = case_html(open_case(comparison, one_where(comparison, "sum"), names), diff=True)
        assert "<script" not in page
        assert "&lt;" in page
    assert "<slow>" not in page
    assert "timeout: too &lt;slow&gt;" in page
    assert "odd<b" not in page


def test_a_marked_text_is_escaped_too() -> None:
    marked = case_html(
        Opened(make_case("c"), (side("all <b>bold</b> one"), side("all <i>other</i> one", "b"))), diff=True
    )
    assert "all<del> &lt;b&gt;bold&lt;/b&gt;</del><ins> &lt;i&gt;other&lt;/i&gt;</ins> one" in marked
    assert "<b>" not in marked


def test_words_are_compared_of_short_answers_that_are_kept() -> None:
    case = make_case("c")
    assert diff_refusal(Opened(case, (side("a"), side("b", "b")))) == ""
    assert "one answer" in diff_refusal(Opened(case, (side("a"),)))
    assert "not kept" in diff_refusal(Opened(case, (side("a"), side(None, "b"))))
    assert "4,000" in diff_refusal(Opened(case, (side("a"), side("b" * (DIFF_CHARACTERS + 1), "b"))))


def test_long_answers_unfold_and_very_long_ones_are_cut() -> None:
    case = make_case("c")
    short = case_html(Opened(case, (side("x" * 2_000),)))
    assert "<details>" not in short
    folded = case_html(Opened(case, (side("x" * 2_010),)))
    assert "<summary>10 more characters</summary>" in folded
    cut = case_html(Opened(case, (side("x" * (EXPANDED_CHARACTERS + 7)),)))
    assert "7 more characters are in the store" in cut
    assert cut.count("x") < EXPANDED_CHARACTERS + 100


def test_what_is_not_kept_is_said_with_scores_and_costs() -> None:
    bare = compared(outcomes(60, text=False))
    opened = open_case(bare, str(bare.half.test.cases.ids[0]), ("always:small", "always:large"))
    page = case_html(opened)
    assert "Prompt: text not kept." in page
    assert page.count("Answer: text not kept.") == 2
    assert "score " in page
    assert "$0.00" in page


def test_a_mix_is_told_with_its_share_and_nobody_is_nobody(comparison: Comparison) -> None:
    opened = open_case(comparison, str(comparison.half.test.cases.ids[0]), ("random_mix",))
    (way,) = opened.sides[0].ways
    assert way.share == pytest.approx(1 / 3)
    assert way.decided_by == "every model alike"
    assert "(answers 33% of such requests)" in case_html(opened)
    nobody = Opened(make_case("c"), (Side(None, (Way("r", None, 0.0, 0.0, None, None),), None, 0),))
    page = case_html(nobody)
    assert "No model of its chain answered" in page
    assert "what decided is not known" in page
    assert "score 0, n/a" in page


def test_only_listed_cases_open(comparison: Comparison) -> None:
    with pytest.raises(OutcomesError, match="no held-out case 'nope' is listed here"):
        open_case(comparison, "nope", (RULES,))


def test_answers_without_a_word_in_common_are_not_marked_all_over() -> None:
    page = case_html(
        Opened(make_case("c"), (side("one two three four"), side("five six seven eight nine", "b"))), diff=True
    )
    assert "<ins>" not in page
    assert "Hardly a word in common" in page
    assert "five six seven" in page


def test_what_was_expected_is_told() -> None:
    page = case_html(Opened(make_case("c", target=["<i>", "b"]), (side("a"),)))
    assert "target: [&quot;&lt;i&gt;&quot;, &quot;b&quot;]" in page
    assert "target" not in case_html(Opened(make_case("c", target=None), (side("a"),)))


def test_tools_of_a_request_are_folded_away() -> None:
    tool = {"type": "function", "function": {"name": "look_up", "description": "<b>up</b>"}}
    case = make_case("c")
    page = case_html(Opened(replace(case, request=replace(case.request, tools=(tool,))), (side("a"),)))
    assert "<summary>tools</summary>" in page
    assert "look_up" in page
    assert "<b>" not in page
