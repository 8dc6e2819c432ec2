from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routebench.errors import NoEligibleModelError
from routebench.rules import Condition, Default, Deployment, Guard, Reading, RuleSet
from routebench.rules.comparing.changes import changes, replaced
from routebench.rules.comparing.loosening import loosened, newly_admitted
from routebench.rules.guards import Gatekeeper
from routebench.types import Model, Request

MODELS = ("small", "mid", "large")


def rules(*guards: Guard, order: tuple[str, ...] = MODELS, **models: Model) -> RuleSet:
    known = {name: models.get(name, Model(name, "openai", name)) for name in order}
    return RuleSet("t", known, Default(route=(order[-1],)), guards=guards, order=order)


def guard(when: Any, name: str = "legal", **sets: Any) -> Guard:
    return Guard(name, when, **(sets or {"at_least": "mid"}))


LAW = {"any_keyword": ["contract", "indemnity"]}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (LAW, LAW),
        (LAW, {"any_keyword": ["Indemnity", "contract", "lease"]}),
        (LAW, {}),
        (LAW, {"any": [{"any_keyword": ["contract"]}, {"any_keyword": ["indemnity"]}]}),
        ({"any": [LAW, {"tag": "legal"}]}, {"any": [{"tag": ["legal", "x"]}, LAW]}),
        ({"any": [LAW, {"tag": "legal"}], "turns": {"gt": 1}}, {"any": [{"tag": "legal"}, LAW]}),
        ({**LAW, "words": {"gt": 20}}, LAW),
        ({"all": [LAW, {"words": {"gt": 20}}]}, LAW),
        ({"words": {"gt": 20}}, {"words": {"ge": 20}}),
        ({"words": {"gt": 20, "lt": 50}}, {"words": {"gt": 10}}),
        ({"all_keywords": ["a", "b"]}, {"all_keywords": ["b"]}),
        ({"all_keywords": ["a", "b"]}, {"any_keyword": ["b", "c"]}),
        ({"any_keyword": ["a"]}, {"all_keywords": ["A"]}),
        ({"metadata.class": "eu"}, {"metadata.class": ["eu", "uk"]}),
        ({"not": {"any_keyword": ["poem", "song"]}}, {"not": {"any_keyword": ["poem"]}}),
        ({"tag": "x"}, {"tag": "x", "in": "user"}),
        (LAW, {**LAW, "in": "conversation"}),
    ],
)
def test_conditions_that_cover(before: Any, after: Any) -> None:
    assert loosened(rules(guard(before)), rules(guard(after))) == ()


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (LAW, {"any_keyword": ["contract"]}, "holds for fewer requests"),
        (LAW, {"all_keywords": ["contract"]}, "holds for fewer requests"),
        (LAW, {**LAW, "words": {"gt": 3}}, "holds for fewer requests"),
        (LAW, {**LAW, "in": "user"}, "cannot be shown"),
        ({}, LAW, "always became any keyword"),
        ({"any": [LAW, {"tag": "legal"}]}, LAW, "holds for fewer requests"),
        ({"words": {"ge": 20}}, {"words": {"gt": 20}}, "words >= 20 became words > 20"),
        ({"regex": "contracts?"}, {"regex": "contract"}, "cannot be shown"),
        ({"words": {"gt": 3}}, {"words": {"gt": 3, "le": float("nan")}}, "cannot be shown"),
        ({"not": {"any_keyword": ["poem"]}}, {"not": {"any_keyword": ["poem", "song"]}}, "holds for fewer requests"),
    ],
)
def test_conditions_that_do_not(before: Any, after: Any, words: str) -> None:
    (one,) = loosened(rules(guard(before)), rules(guard(after)))
    assert one.guard == "legal"
    assert words in one.sentence


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"only": ("large",)}, {"only": ("large", "mid")}, "now admits mid: only large became only large, mid"),
        ({"never": ("small", "mid")}, {"never": ("small",)}, "now admits mid"),
        ({"at_least": "large"}, {"at_least": "mid"}, "now admits mid"),
        ({"only": ("large",)}, {"never": ("small",)}, "now admits mid"),
        ({"only": ("large",)}, {"at_least": "large"}, None),
        ({"never": ("small",)}, {"only": ("mid",)}, None),
        ({"at_least": "mid"}, {"at_least": "large"}, None),
    ],
)
def test_what_guards_admit(before: Any, after: Any, words: str | None) -> None:
    found = loosened(rules(guard(LAW, **before)), rules(guard(LAW, **after)))
    assert [one.sentence for one in found if words is None or words not in one.sentence] == []
    assert len(found) == (words is not None)


def test_a_guard_that_is_gone_and_one_that_has_another_name() -> None:
    old = rules(guard(LAW))
    (gone,) = loosened(old, rules())
    assert "is gone" in gone.sentence
    assert loosened(old, rules(guard({}, "law", at_least="large"))) == ()
    (fewer,) = loosened(old, rules(guard({**LAW, "turns": {"gt": 1}}, "law")))
    assert "'law' holds for fewer requests" in fewer.sentence
    halves = [guard({"any_keyword": [word]}, word, at_least="mid") for word in LAW["any_keyword"]]
    assert loosened(old, rules(*halves)) == ()


def test_order_and_new_models() -> None:
    old = rules(guard(LAW))
    (weaker,) = loosened(old, rules(guard(LAW), order=("mid", "small", "large")))
    assert "now admits small" in weaker.sentence
    assert loosened(old, rules(guard(LAW), order=(*MODELS, "huge"))) == ()
    assert loosened(old, rules(guard(LAW, at_least="tiny"), order=("small", "tiny", "mid", "large")))
    assert loosened(old, rules(guard(LAW, at_least="large"), order=("small", "large", "huge"))) == ()
    only = rules(guard(LAW, only=("large",)))
    assert loosened(only, rules(guard(LAW, only=("large", "huge")), order=(*MODELS, "huge")))


def test_another_name_or_another_place_escapes_no_guard() -> None:
    never = rules(guard({}, never=("small",)))
    renamed = rules(guard({}, never=("mid",)), order=("mid", "large", "tiny"), tiny=Model("tiny", "openai", "small"))
    assert "now admits tiny" in loosened(never, renamed)[0].sentence
    only = rules(guard({}, only=("large",)))
    elsewhere = rules(guard({}, only=("large",)), large=Model("large", "openai", "large", base_url="http://127.0.0.1"))
    assert "large is another model, provider or base_url now" in loosened(only, elsewhere)[0].sentence
    assert replaced(only, elsewhere) == ("large",)
    assert replaced(only, only) == ()


def test_changes_are_told_and_nothing_else() -> None:
    text = """\
schema: routebench/rules/v1
name: t
models: {small: {provider: openai, model: s}, large: {provider: openai, model: l}}
guards: [{name: legal, when: {tag: legal}, at_least: large}]
rules:
  - {name: code, when: {has_code: true}, route: [large]}
  - {name: long, when: {words: {gt: 20}}, route: [large, small]}
default: {route: [small]}
"""
    old = RuleSet.parse(text)
    assert changes(old, old) == ()
    new = RuleSet.parse(
        text.replace("gt: 20", "gt: 30").replace("name: code", "name: program").replace("route: [small]", "route: [large]")
        .replace("model: s}", "model: s2}").replace("at_least: large", "only: [large]")
    )  # fmt: skip
    assert changes(old, new) == (
        "rule code removed: has_code → large",
        "rule long changed: words > 20 → large > small became words > 30 → large > small",
        "rule program added: has_code → large",
        "default changed: small became large",
        "guard legal changed: tag legal: at least large became tag legal: only large",
        "model small changed: model s became s2",
    )


words_in = st.lists(
    st.sampled_from(["contract", "lease", "poem", "non disclosure"]), min_size=1, max_size=3, unique=True
)
bound = st.integers(0, 4)
leaf = st.one_of(
    st.fixed_dictionaries({"any_keyword": words_in}),
    st.fixed_dictionaries({"all_keywords": words_in}),
    st.builds(lambda sign, number: {"words": {sign: number}}, st.sampled_from(["lt", "le", "gt", "ge"]), bound),
    st.builds(lambda low, high: {"turns": {"ge": low, "lt": low + high + 1}}, bound, bound),
    st.builds(lambda tags: {"tag": tags}, st.lists(st.sampled_from("xyz"), min_size=1, max_size=2, unique=True)),
    st.builds(lambda value: {"metadata.class": value}, st.sampled_from(["eu", ["eu", "us"], ["us"]])),
    st.builds(lambda flag: {"is_question": flag}, st.booleans()),
    st.just({}),
)
condition = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=2)),
        st.builds(lambda part: {"not": part}, inner),
        st.builds(lambda first, second: {**first, **second}, leaf, leaf),
        st.builds(lambda part, scope: {**part, "in": scope}, inner, st.sampled_from(["user", "any", "conversation"])),
    ),
    max_leaves=5,
)
sets = st.one_of(
    st.builds(lambda name: {"at_least": name}, st.sampled_from(MODELS)),
    st.builds(
        lambda kind, names: {kind: tuple(names)},
        st.sampled_from(["only", "never"]),
        st.lists(st.sampled_from(MODELS), min_size=1, max_size=2, unique=True),
    ),
)
text = st.lists(st.sampled_from(["contract", "Lease", "poem", "non disclosure", "and", "why?"]), max_size=4).map(
    " ".join
)
request = st.builds(
    lambda system, turns, tags, metadata: Request(
        ({"role": "system", "content": system}, *({"role": "user", "content": turn} for turn in turns)),
        tags=tuple(tags),
        metadata=metadata,
    ),
    text,
    st.lists(text, min_size=1, max_size=4),
    st.lists(st.sampled_from("xyz"), max_size=2),
    st.sampled_from([{}, {"class": "eu"}, {"class": "us"}]),
)


def tweaked(draw: Any, when: Any) -> Any:
    """The condition with a key, a word or an alternative less or more, or a bound moved, at some depth."""
    if not when:
        return draw(leaf)
    key = draw(st.sampled_from(sorted(when)))
    value = when[key]
    if draw(st.integers(0, 3)) == 0:
        return {name: one for name, one in when.items() if name != key}
    if isinstance(value, list):
        place = draw(st.integers(0, len(value) - 1))
        if isinstance(value[place], dict):
            value = [*value[:place], tweaked(draw, value[place]), *value[place + 1 :]]
        else:
            value = value[:place] + value[place + 1 :] or value
    elif key in ("words", "turns"):
        sign = draw(st.sampled_from(sorted(value)))
        other = sign[0] + draw(st.sampled_from("te"))
        value = {**{name: one for name, one in value.items() if name != sign}, other: value[sign]}
        value = {"ge": value["gt"]} if {"gt", "lt"} <= set(value) else value
    elif isinstance(value, dict):
        value = tweaked(draw, value)
    return {**when, key: value}


@st.composite
def edited(draw: Any) -> tuple[RuleSet, RuleSet]:
    """A rule set, and one whose guards were kept, edited in part, renamed, dropped or made anew."""
    old = [guard(draw(condition), f"g{place}", **draw(sets)) for place in range(draw(st.integers(1, 3)))]
    new = []
    for one in old:
        edit = draw(st.sampled_from(["keep", "tweak", "tweak", "tweak", "wider", "narrower", "sets", "drop", "anew"]))
        kind = {"at_least": one.at_least, "only": one.only, "never": one.never}
        kind = {key: value for key, value in kind.items() if value is not None}
        if edit == "sets":
            kind = draw(sets)
        when = {
            "wider": lambda one=one: {"any": [one.when, draw(condition)]},
            "narrower": lambda one=one: {"all": [one.when, draw(condition)]},
            "tweak": lambda one=one: tweaked(draw, one.when),
            "anew": lambda: draw(condition),
        }.get(edit, lambda one=one: one.when)()
        if edit != "drop":
            new.append(guard(when, draw(st.sampled_from([one.name, f"{one.name}-new"])), **kind))
    order = draw(st.sampled_from([MODELS, MODELS, ("mid", "small", "large"), (*MODELS, "huge")]))
    return rules(*old), rules(*new, order=order)


def admitted(ruleset: RuleSet, one: Request) -> set[str]:
    try:
        return set(Gatekeeper(ruleset).admit(Reading(one)).models)
    except NoEligibleModelError:
        return set()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(edited(), st.lists(request, min_size=1, max_size=12))
def test_what_is_not_loosened_admits_no_known_model_more(
    pair: tuple[RuleSet, RuleSet], requests: list[Request]
) -> None:
    old, new = pair
    find = newly_admitted(old, new)
    more = [find(one) for one in requests]
    for one, found in zip(requests, more, strict=True):
        assert set(found) == find_slowly(old, new, one)
        assert find(Reading(one)) == found
    if not loosened(old, new):
        assert not any(more)
        for one in requests:
            assert admitted(new, one) & set(MODELS) <= admitted(old, one)


def find_slowly(old: RuleSet, new: RuleSet, one: Request) -> set[str]:
    """Of the models that both know; `huge` is the strongest, so only an `only` keeps it out."""
    more = (admitted(new, one) - admitted(old, one)) & set(MODELS)
    if "huge" in admitted(new, one):
        conditions = [Condition.parse(held.when, scope="conversation") for held in old.guards if held.only]
        more |= {"huge"} if any(holds.matches(one) for holds in conditions) else set()
    return more


def test_a_forbidden_model_does_not_come_back_under_a_known_name() -> None:
    held = guard({"tag": "private"}, never=("mid",))
    other = Model("small", "openai", "mid", params={"temperature": 0})
    assert [one.guard for one in loosened(rules(held), rules(held, small=other))] == ["legal"]
    assert loosened(rules(held), rules(held)) == ()


def test_guards_on_regions_are_held_by_places() -> None:
    def placed(held: Guard, *regions: str | None) -> RuleSet:
        made = rules(held)
        places = tuple(Deployment(f"mid#{number}", "mid", region=one) for number, one in enumerate(regions, start=1))
        return RuleSet("t", made.models, made.default, guards=made.guards, deployments={"mid": places})

    both, eu = guard({}, regions=("eu", "ch")), guard({}, regions=("eu",))
    assert loosened(placed(both, "eu"), placed(eu, "eu", "us")) == ()
    assert [one.sentence for one in loosened(placed(eu, "eu"), placed(both, "eu", "ch"))] == [
        "guard 'legal' now admits mid: regions eu became regions eu, ch"
    ]
    assert loosened(placed(eu, "eu"), placed(guard({}, only=("mid",)), "eu")) == ()
    assert loosened(placed(eu, "eu"), placed(guard({}, only=("mid",)), "eu", None))
    # A place more, under the same `only`.
    only = guard({}, only=("mid",))
    assert loosened(placed(only, "eu"), placed(only, "eu", "us"))
    assert loosened(placed(only, "eu", "us"), placed(only, "eu")) == ()
