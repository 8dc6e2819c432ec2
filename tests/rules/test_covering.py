from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routebench.rules import Condition
from routebench.rules.conditions.covering import covered, matches_always, unreached
from routebench.rules.conditions.when import WhenSettings
from routebench.rules.reading.request import Reading, Situation
from routebench.types import Request

NIGHT = {"after": "22:00", "before": "06:00"}


@pytest.mark.parametrize(
    ("when", "by"),
    [
        ({"any_keyword": ["B"]}, [{"any_keyword": ["a", "b"]}]),
        ({"any_keyword": ["a", "b"]}, [{"any_keyword": ["a"]}, {"any_keyword": ["ｂ"]}]),
        ({"time": NIGHT, "regex": "x"}, [{"time": {**NIGHT, "timezone": "UTC"}}]),
        ({"time": {**NIGHT, "days": ["sun", "mon"]}}, [{"time": {**NIGHT, "days": ["mon", "sun"]}}]),
        ({"budget_pace": {"gt": 1.5}}, [{"budget_pace": {"gt": 1}}]),
        ({"has_unread": True, "turns": {"gt": 2}}, [{"has_unread": True}]),
        ({"any": [{"regex": "x"}, {"regex": "y"}]}, [{"regex": "y"}, {"regex": "x"}]),
        ({"tag": ["a", "b"], "language": ["de", "fr"]}, [{"tag": "a"}, {"language": "de"}, {"tag": "b"}]),
        ({"not": {"time": NIGHT}}, [{"not": {"time": NIGHT, "regex": "x"}}]),
        ({"regex": "x"}, [{}]),
    ],
)
def test_what_is_covered(when: dict[str, Any], by: list[dict[str, Any]]) -> None:
    assert covered(when, by)


@pytest.mark.parametrize(
    ("when", "by"),
    [
        ({"any_keyword": ["a", "b"]}, [{"any_keyword": ["a"]}]),
        ({"time": NIGHT}, [{"time": {**NIGHT, "timezone": "Europe/Berlin"}}]),
        ({"time": {**NIGHT, "days": ["mon"]}}, [{"time": NIGHT}]),
        ({"budget_pace": {"gt": 1}}, [{"budget_pace": {"gt": 1.5}}]),
        ({"has_unread": True}, [{"has_unread": False}]),
        ({"has_unread": True}, [{"has_images": True}]),
        ({"any_keyword": ["a"], "in": "user"}, [{"any_keyword": ["a"], "in": "any"}]),
        ({"any_keyword": ["a"]}, []),
        ({"tag": ["a", "b"]}, [{"tag": "a"}, {"language": "de"}]),
    ],
)
def test_what_is_not(when: dict[str, Any], by: list[dict[str, Any]]) -> None:
    assert not covered(when, by)


def find(*whens: dict[str, Any]) -> dict[int, tuple[int, ...]]:
    return dict(unreached([WhenSettings.model_validate(when) for when in whens]))


def test_rules_that_earlier_ones_take_all_requests_of() -> None:
    assert find({"regex": "x"}, {"regex": "y"}, {"regex": "x", "turns": {"gt": 1}}) == {2: (0,)}
    assert find({"tag": "a"}, {"regex": "z"}, {"tag": "b"}, {"tag": ["b", "a"]}) == {3: (0, 2)}
    assert find({"any_keyword": ["a"], "in": "any"}, {"any_keyword": ["a"]}) == {}
    assert find({"not": {"regex": "x"}}, {"not": {"any": [{"regex": "x"}, {"regex": "y"}]}}) == {1: (0,)}
    assert find({}, {"regex": "x"}) == {}
    assert find({"any": [{"regex": "x"}, {"turns": {"gt": 3}}]}, {"turns": {"gt": 4}}) == {1: (0,)}
    assert find({"any": [{}, {"regex": "x"}], "words": {"gt": 3}}, {"words": {"gt": 4}}) == {1: (0,)}
    assert find({"not": {"words": {"gt": 3}}}, {"not": {"words": {"gt": 4}}}, {"not": {"words": {"gt": 2}}}) == {
        2: (0,)
    }
    assert find({"words": {"gt": math.nan}}, {"words": {"gt": 3}}, {"words": {"gt": math.nan}}) == {2: (0,)}


def test_what_asks_for_nothing_matches_always() -> None:
    for when, always in (
        ({}, True),
        ({"any": [{"regex": "x"}, {}]}, True),
        ({"all": [{}]}, True),
        ({"tag": "x"}, False),
    ):
        assert matches_always(WhenSettings.model_validate(when)) is always, when


bounds = st.sampled_from([0, 1, 2, 2.5, 3])
ranges = st.builds(
    lambda key, low, wide, least, most: {key: {("ge" if least else "gt"): low, ("le" if most else "lt"): low + wide}},
    st.sampled_from(["words", "characters", "turns"]),
    bounds,
    st.sampled_from([0.5, 1, 3]),
    st.booleans(),
    st.booleans(),
) | st.builds(lambda key, sign, bound: {key: {sign: bound}}, st.sampled_from(["words", "turns"]),
              st.sampled_from(["lt", "le", "gt", "ge"]), bounds | st.just(math.nan))  # fmt: skip
leaves = ranges | st.sampled_from(
    [
        {"any_keyword": ["a"]},
        {"any_keyword": ["a", "b"]},
        {"any_keyword": ["c", "b"]},
        {"all_keywords": ["a", "b"]},
        {"all_keywords": ["b"]},
        {"regex": "a"},
        {"regex": "b b"},
        {"words": {"gt": 2}},
        {"words": {"ge": 2, "lt": 4}},
        {"turns": {"ge": 1}},
        {"tag": ["x", "y"]},
        {"tag": "x"},
        {"time": NIGHT},
        {"budget_pace": {"gt": 1}},
        {"budget_pace": {"ge": 0.5}},
        {"has_tools": True},
        {"is_question": False},
        {"any_keyword": ["a"], "in": "any"},
    ]
)
conditions = st.recursive(
    leaves | st.tuples(leaves, leaves).map(lambda two: {**two[0], **two[1]}),
    lambda inner: (
        st.lists(inner | st.just({}), min_size=1, max_size=3).map(lambda some: {"any": some})
        | st.lists(inner, min_size=1, max_size=2).map(lambda some: {"all": some})
        | inner.map(lambda one: {"not": one})
    ),
    max_leaves=5,
)


@given(st.lists(conditions, min_size=2, max_size=6))
def test_an_index_finds_what_comparing_each_with_all_before_finds(whens: list[dict[str, Any]]) -> None:
    found = find(*whens)
    for place, when in enumerate(whens):
        before = [one for one in whens[:place] if not matches_always(WhenSettings.model_validate(one))]
        assert (place in found) == covered(when, before, "user")
        assert all(one < place for one in found.get(place, ()))
        if place in found:
            assert covered(when, [whens[one] for one in found[place]], "user")


@given(st.lists(st.lists(ranges, min_size=1, max_size=3), min_size=2, max_size=12))
def test_ranges_are_found_as_by_comparing_each_with_all_before(lists: list[list[dict[str, Any]]]) -> None:
    whens = [{"all": some} for some in lists]
    found = find(*whens)
    for place, when in enumerate(whens):
        # Of ranges no two together cover what neither does, as far as keys show.
        alone = next(((one,) for one in range(place) if covered(when, [whens[one]], "user")), None)
        assert found.get(place) == alone


@given(
    conditions,
    st.lists(conditions, min_size=1, max_size=3),
    st.lists(st.sampled_from(["a", "b", "c", "b b", "?"]), max_size=4).map(" ".join),
    st.sampled_from([(), ("x",), ("y",)]),
    st.sampled_from([Situation(), Situation(budget_pace=0.7), Situation(budget_pace=2.0)]),
)
def test_what_is_covered_is_matched(
    when: dict[str, Any], by: list[dict[str, Any]], text: str, tags: tuple[str, ...], situation: Situation
) -> None:
    if covered(when, by, "user"):
        reading = Reading(Request(({"role": "user", "content": text},), tags=tags), situation)
        if Condition.parse(when).matches(reading):
            assert any(Condition.parse(one).matches(reading) for one in by)
