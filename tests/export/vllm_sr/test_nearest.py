from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routebench.export.vllm_sr.nearest import HISTORY, UNUSUAL, of_guard, of_rule
from routebench.rules import Condition
from routebench.types import Request

WORDS = ("contract", "json", "due diligence", "r\u00e9sum\u00e9", "it's")
PIECES = (
    *(
        "contract",
        "Contract",
        "contracts",
        "con\u00adtract",
        "\uff43\uff4f\uff4e\uff54\uff52\uff41\uff43\uff54",
        "json",
    ),
    *(
        "due diligence",
        "due\n diligence",
        "re\u0301sume\u0301",
        "r\u00e9sum\u00e9",
        "it\u2019s",
        "9 * 9",
        "?",
        "x" * 30,
    ),
    *("def f(x):\n", "\u5408\u540ccontract", " ", "\n", "end"),
)

keys = st.one_of(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(lambda some: {"any_keyword": some}),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=2).map(lambda some: {"all_keywords": some}),
    st.sampled_from(
        [
            *({"regex": "[0-9] *[*]"}, {"regex": "end$"}, {"characters": {"gt": 20}}, {"words": {"lt": 3}}),
            *({"has_code": True}, {"is_question": False}, {"input_tokens": {"gt": 8}}, {"input_tokens": {"le": 20}}),
            *(
                {"turns": {"ge": 2}},
                {"has_tools": True},
                {"has_images": False},
                {"tag": "vip"},
                {"digits": {"gt": 0.1}},
            ),
            *({"metadata.team": "a"}, {"metadata.team": ["a", "b"]}, {"metadata.level": 3}, {"json_schema": True}),
        ]
    ),
)


def grown(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        several.map(lambda some: {"any": some}),
        several.map(lambda some: {"all": some}),
        inner.map(lambda one: {"not": one}),
        st.tuples(inner, st.sampled_from(["user", "conversation", "history", "any"])).map(
            lambda two: {"in": two[1], **two[0]}
        ),
    )


conditions = st.recursive(keys, grown, max_leaves=6)
texts = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map(" ".join)
messages = st.lists(
    st.builds(
        lambda role, text: {"role": role, "content": text},
        st.sampled_from(["system", "assistant", "tool", "user"]),
        texts,
    ),
    max_size=3,
)
requests = st.builds(
    lambda before, last, after, tools, metadata, tags: Request(
        (*before, {"role": "user", "content": last}, *after), tools=tools, metadata=metadata, tags=tags
    ),
    messages,
    texts,
    st.sampled_from([(), ({"role": "assistant", "content": "contract"},), ({"role": "tool", "content": "9 * 9"},)]),
    st.sampled_from([(), ({"type": "function", "function": {"name": "f"}},)]),
    st.sampled_from([{}, {"team": "a"}, {"team": "c", "level": 3}]),
    st.sampled_from([(), ("vip",)]),
)


@settings(deadline=None)
@given(conditions, requests)
def test_a_guard_holds_at_least_where_it_did(when: dict[str, Any], request: Request) -> None:
    nearest = of_guard(when)
    if Condition.parse(when, "conversation").matches(request):
        assert nearest.when is not None
        assert Condition.parse(nearest.when, "conversation").matches(request)


@settings(deadline=None)
@given(conditions, requests)
def test_a_rule_matches_at_most_where_it_did(when: dict[str, Any], request: Request) -> None:
    nearest = of_rule(when)
    if nearest.when is not None and "it estimates tokens another way" not in nearest.notes:
        matches = Condition.parse(nearest.when).matches(request)
        assert not matches or Condition.parse(when).matches(request)


@settings(deadline=None)
@given(conditions, requests)
def test_what_has_no_note_is_the_same(when: dict[str, Any], request: Request) -> None:
    nearest = of_rule(when)
    if not nearest.notes:
        assert nearest.when is not None or not Condition.parse(when).matches(request)
        assert nearest.when is None or Condition.parse(nearest.when).matches(request) == Condition.parse(when).matches(
            request
        )


@pytest.mark.parametrize(
    ("when", "nearest"),
    [
        ({"regex": "a"}, {"in": "user", "regex": "a"}),
        ({"tag": "vip"}, None),
        ({"any": [{"tag": "vip"}, {"regex": "a"}]}, {"in": "user", "regex": "a"}),
        ({"tag": "vip", "regex": "a"}, None),
        ({"not": {"tag": "vip"}}, None),
        ({"input_tokens": {"gt": 8000}}, {"input_tokens": {"ge": 8001}}),
        ({"input_tokens": {"ge": 7.5, "lt": 9}}, {"input_tokens": {"ge": 8, "le": 8}}),
        ({}, {}),
    ],
)
def test_rules(when: dict[str, Any], nearest: dict[str, Any] | None) -> None:
    assert of_rule(when).when == nearest


@pytest.mark.parametrize(
    ("when", "nearest"),
    [
        ({"in": "user", "regex": "a"}, {"in": "user", "regex": "a"}),
        ({"regex": "a"}, {"any": [{"in": "user", "regex": "a"}, HISTORY]}),
        (
            {"in": "user", "any_keyword": ["a"]},
            {"any": [{"in": "user", "any_keyword": ["a"]}, {"in": "user", "regex": UNUSUAL}]},
        ),
        ({"input_tokens": {"gt": 8000}}, {"input_tokens": {"ge": 4001}}),
        ({"tag": "vip", "has_tools": True}, {"has_tools": True}),
    ],
)
def test_guards(when: dict[str, Any], nearest: dict[str, Any]) -> None:
    assert of_guard(when).when == nearest


def test_a_guard_that_would_always_hold_says_so() -> None:
    found = of_guard({"tag": "vip"})
    assert found.always
    assert found.notes == ("it does not read `tag`",)
