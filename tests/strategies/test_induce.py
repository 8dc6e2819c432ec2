from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from routebench.rules import Condition
from routebench.strategies.candidates import candidates, least_support
from routebench.strategies.induce import RuleList, both, induce
from routebench.types import Request

TEXTS = (
    "Add 3 + 4!",
    "naïve café, naïve",
    "What is x? Tell me.",
    "Is it so?",
    'the "quoted text" here, in a much longer request than all of the others are',
    "a, b, and c\n1. one\n2. two",
    "Übersetze das ist ein Satz und nicht mehr für mich",
    "def f(x): return x",
    "it costs $40 or 12.5 percent of 4000 ___",
)


def ask(text: str) -> Request:
    return Request(({"role": "user", "content": text},))


def asked(n: int = 200, seed: int = 0) -> tuple[list[Request], np.ndarray]:
    """Requests of three kinds, in words and numbers that differ."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, n)
    texts = ("translate word {}", "write a long poem about the number {} and all that it may mean", "compute {} plus 1")
    return [ask(texts[one].format(rng.integers(10, 99))) for one in kind], kind


def decided(rules: RuleList, requests: list[Request]) -> list[int]:
    return [
        next((rule.action for rule in rules.rules if Condition.parse(rule.when).matches(one)), rules.default)
        for one in requests
    ]


def test_a_condition_that_is_tried_means_the_same_at_run_time() -> None:
    requests = [ask(text) for text in TEXTS] * 3
    found = candidates(requests)
    kinds = set()
    for candidate in found:
        kinds |= set(candidate.when)
        matched = [Condition.parse(candidate.when).matches(request) for request in requests]
        assert candidate.mask.tolist() == matched, candidate.when
    assert kinds >= {"any_keyword", "regex", "not", "has_code", "is_question", "language", "words", "digits"}


def test_sums_over_parts_are_sums_over_requests() -> None:
    requests, _ = asked(60)
    found = candidates(requests)
    values = np.random.default_rng(1).normal(size=(60, 3))
    np.testing.assert_allclose(found.sums(values), found.masks @ values, atol=1e-9)
    some = np.array([3, 8, 40])
    np.testing.assert_allclose(
        found.keyword_sums(values[some], some), found.masks[: found.n_keywords, some] @ values[some], atol=1e-9
    )


def test_requests_without_words_have_candidates_or_none() -> None:
    assert len(candidates([])) == 0
    learned = induce(candidates([ask("")] * 5), np.array([[0.0] * 5, [1.0] * 5]), np.ones(5), max_rules=3)
    assert learned == RuleList((), 1)


def test_kinds_are_told_apart_by_few_rules_with_their_evidence() -> None:
    requests, kind = asked()
    utility = (kind == np.arange(3)[:, None]).astype(float)
    learned = induce(candidates(requests), utility, np.ones(len(kind)), max_rules=12)
    assert decided(learned, requests) == kind.tolist()
    assert len(learned.rules) <= 3
    for rule in learned.rules:
        assert rule.support >= least_support(len(kind))
        assert rule.gain > rule.gain_se > 0
    fresh, truth = asked(seed=1)
    assert decided(learned, fresh) == truth.tolist()


def test_an_exception_comes_before_what_it_is_an_exception_from() -> None:
    """Long requests are for 1, but not those with code in them: one rule alone cannot say so."""
    texts = [
        ("import it" if place % 4 == 0 else "so it is") + (" very" * 20 if place % 2 else " short") + f" {place % 7}"
        for place in range(240)
    ]
    texts = [f"{text}\nimport x" if place % 3 == 0 else text for place, text in enumerate(texts)]
    wanted = np.array([int(place % 2 == 1 and place % 3 != 0) for place in range(240)])
    utility = np.array([1.0 - wanted, wanted])
    requests = [ask(text) for text in texts]
    learned = induce(candidates(requests), utility, np.ones(240), max_rules=4)
    assert decided(learned, requests) == wanted.tolist()


def test_words_of_one_task_are_one_rule() -> None:
    names = ("apple", "banana", "cherry", "damson", "elder", "fig")
    others = ("iron", "copper", "zinc", "lead", "tin", "gold")
    texts = [f"{(names if place % 2 else others)[place // 2 % 6]} please" for place in range(240)]
    wanted = np.arange(240) % 2
    # A little more for one action as default, so that the other one needs the words.
    utility = np.array([1.05 - wanted, wanted.astype(float)])
    requests = [ask(text) for text in texts]
    learned = induce(candidates(requests), utility, np.ones(240), max_rules=1)
    (rule,) = learned.rules
    assert set(rule.when) == {"any_keyword"}
    assert len(rule.when["any_keyword"]) == 6
    assert decided(learned, requests) == wanted.tolist()


def test_what_is_expected_needs_evidence_in_what_was_seen() -> None:
    requests, kind = asked()
    expected = (kind == np.arange(3)[:, None]).astype(float)
    found, weight = candidates(requests), np.ones(len(kind))
    # Outcomes say the contrary of what is expected of one kind, and nothing about the others.
    against = np.where(kind == 0, -expected, 0.0)
    assert not induce(found, expected, weight, max_rules=12, observed=against).rules
    noise = np.random.default_rng(0).normal(size=expected.shape)
    for rule in induce(found, expected, weight, max_rules=12, observed=expected + noise, z=0.0).rules:
        assert rule.gain > rule.gain_se


def test_weights_count_and_their_unit_does_not() -> None:
    requests, kind = asked()
    utility = np.array([0.6 * (kind != 0), (kind == 0).astype(float)])
    heavy = np.where(kind == 0, 9.0, 1.0)
    learned = induce(candidates(requests), utility, heavy, max_rules=3)
    assert learned.default == 1
    again = induce(candidates(requests), utility, heavy * 1000, max_rules=3)
    assert [rule.when for rule in again.rules] == [rule.when for rule in learned.rules]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 1000), z=st.sampled_from([0.0, 1.0]), most=st.integers(0, 5))
@example(seed=155, z=0.0, most=4)  # a group of keywords, and a rule before it that goes again
def test_no_more_rules_than_asked_each_with_evidence(seed: int, z: float, most: int) -> None:
    rng = np.random.default_rng(seed)
    requests = [ask(" ".join(rng.choice(list("abcdefgh"), 6)) + " and more" * int(rng.integers(9))) for _ in range(80)]
    observed = rng.random((3, 80))
    utility = observed + 0.1 * rng.normal(size=(3, 80))
    weight = rng.random(80) + 0.1
    learned = induce(candidates(requests), utility, weight, max_rules=most, observed=observed, z=z)
    assert len(learned.rules) <= most
    for place, rule in enumerate(learned.rules):
        assert rule.support >= 3
        assert rule.gain > rule.gain_se
        # The evidence is what the outcomes say of this list with and without the rule.
        without = RuleList((*learned.rules[:place], *learned.rules[place + 1 :]), learned.default)
        both_ways = [
            observed[decided(one, requests), np.arange(80)] @ weight / weight.sum() for one in (learned, without)
        ]
        assert both_ways[0] > both_ways[1]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"has_code": True}, {"words": {"gt": 3}}, {"has_code": True, "words": {"gt": 3}}),
        ({"words": {"gt": 3}}, {"words": {"le": 9}}, {"words": {"gt": 3, "le": 9}}),
        ({"words": {"gt": 3}}, {"words": {"gt": 9}}, {"all": [{"words": {"gt": 3}}, {"words": {"gt": 9}}]}),
        (
            {"any_keyword": ["a"]},
            {"any_keyword": ["b"]},
            {"all": [{"any_keyword": ["a"]}, {"any_keyword": ["b"]}]},
        ),
        (
            {"not": {"regex": "a"}},
            {"not": {"regex": "b"}},
            {"all": [{"not": {"regex": "a"}}, {"not": {"regex": "b"}}]},
        ),
    ],
)
def test_two_conditions_as_one(one: dict[str, object], other: dict[str, object], expected: dict[str, object]) -> None:
    assert both(one, other) == expected
    Condition.parse(expected)
