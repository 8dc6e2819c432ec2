from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from routebench.export.tiers import (
    ChainTier,
    cut_chains,
    held_by,
    left_out,
    safe_tier,
    safest,
    shown_by_models,
    tiers_of,
)
from routebench.rules import Default, Deployment, Guard, Learned, Router, Rule, RuleSet
from routebench.types import Request
from tests.conftest import make_model

NAMES = ("small", "mid", "large")


def ruleset(**fields: Any) -> RuleSet:
    models = {name: make_model(name) for name in NAMES}
    return RuleSet("t", models, fields.pop("default", Default(("small", "large"))), **fields)


def names(*tiers: ChainTier) -> list[str]:
    return [tier.name for tier in tiers]


def test_every_route_and_every_model_of_one_is_a_tier() -> None:
    rules = (Rule("long", {"characters": {"gt": 9}}, ("large", "mid")),)
    assert names(*tiers_of(ruleset(rules=rules))) == ["small>large", "large>mid", "small", "mid", "large"]
    assert names(*tiers_of(ruleset())) == ["small>large", "small", "large"]


def test_where_guards_leave_nothing_of_a_route_all_that_may_are_tried() -> None:
    guards = (Guard("only-mid", {"tag": "x"}, only=("mid",)),)
    assert "mid" in names(*tiers_of(ruleset(guards=guards)))
    limited = ruleset()
    models = {name: replace(model, context_window=900) for name, model in limited.models.items()}
    assert "small>mid>large" in names(*tiers_of(replace(limited, models=models)))


def test_guards_make_tiers_of_what_they_leave() -> None:
    guards = (
        Guard("legal", {"any_keyword": ["contract"]}, never=("small",)),
        Guard("far", {"tag": "eu"}, only=("small", "mid")),
    )
    found = names(*tiers_of(ruleset(guards=guards, default=Default(NAMES))))
    assert {"small>mid>large", "mid>large", "small>mid", "mid"} <= set(found)


def test_regions_are_part_of_a_tier() -> None:
    places = {"mid": (Deployment("mid#1", "mid", region="eu"), Deployment("mid#2", "mid", region="us"))}
    guards = (Guard("residency", {"tag": "eu"}, regions=("eu",)),)
    found = names(*tiers_of(ruleset(guards=guards, deployments=places, default=Default(NAMES))))
    assert "mid@eu" in found
    assert "large@eu" not in found


def test_the_safe_tier_pleases_every_guard() -> None:
    guards = (Guard("a", {"tag": "a"}, never=("small",)), Guard("b", {"tag": "b"}, only=("small", "mid")))
    assert safe_tier(ruleset(guards=guards)) == ChainTier(("mid",))
    assert safe_tier(ruleset()) == ChainTier(("small", "large"))


def test_there_may_be_no_safe_tier() -> None:
    guards = (Guard("a", {"tag": "a"}, only=("small",)), Guard("b", {"tag": "b"}, only=("large",)))
    assert safe_tier(ruleset(guards=guards)) is None


def test_the_strongest_part_of_a_mix_is_the_safest() -> None:
    mix = Default(mix=((0.7, ("small", "large")), (0.3, ("large", "small"))))
    assert safest(ruleset(default=mix)) == ("large", "small")


def test_a_phase_that_orders_the_models_has_a_tier_for_every_pair() -> None:
    learned: Any = Learned({}, head=None)  # type: ignore[arg-type]
    told = ruleset(learned=learned, default=Default(("small",)))
    assert {"small>mid", "mid>small", "large>mid", "large"} <= set(names(*tiers_of(told)))
    [lost] = cut_chains(told)
    assert "the first two models" in lost.why
    assert list(cut_chains(ruleset())) == []


def test_of_a_chain_without_a_tier_its_longest_beginning_is_held() -> None:
    holds = held_by([ChainTier(("small", "mid")), ChainTier(("small",)), ChainTier(("large",))])
    assert holds(NAMES) == ("small", "mid")
    assert holds(("large", "small")) == ("large",)
    assert held_by([ChainTier(NAMES)], most=2)(NAMES) == ("small", "mid")


def test_models_that_are_left_out_are_never_asked() -> None:
    found = left_out(ruleset(default=Default(NAMES)), ["small"])
    assert Router(found).decide(Request(({"role": "user", "content": "hi"},))).chain == ("mid", "large")
    assert all("small" not in tier.chain for tier in tiers_of(found))
    assert left_out(found, []) is found


def test_messages_of_a_model_are_not_sent() -> None:
    told = ruleset()
    told = replace(told, models={**told.models, "mid": replace(told.models["mid"], system="Be brief.")})
    assert [one.part for one in shown_by_models(told, NAMES, "X")] == ["model mid"]


@settings(deadline=None)
@given(st.lists(st.sets(st.sampled_from(NAMES), min_size=1), max_size=4))
def test_whatever_guards_hold_a_tier_has_the_first_model(sets: list[set[str]]) -> None:
    guards = tuple(Guard(f"g{at}", {"tag": f"g{at}"}, only=tuple(one)) for at, one in enumerate(sets))
    told = ruleset(guards=guards, default=Default(("large", "mid", "small")))
    known = {tier.chain for tier in tiers_of(told)}
    for size in range(len(guards) + 1):
        for held in combinations(range(len(guards)), size):
            left = set(NAMES).intersection(*(sets[at] for at in held))
            chain = tuple(name for name in ("large", "mid", "small") if name in left)
            assert not chain or chain in known
