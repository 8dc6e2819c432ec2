"""Edits that make a file look as strict as it was: names, places and labels that mean something else now."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routebench.errors import NoEligibleModelError
from routebench.rules import Default, Deployment, Guard, Reading, RuleSet
from routebench.rules.comparing.loosening import loosened
from routebench.rules.guards import Gatekeeper
from routebench.types import Model, Request

MODELS = ("small", "mid", "large")

FILE = """\
schema: routebench/rules/v1
name: t
models:
  cheap: {provider: deepseek, model: ds, key_env: K3, base_url: "https://cheap.example/v1", region: zh}
  small: {provider: openai, model: gpt-small, key_env: K1}
  mid: {provider: openai, model: gpt-mid, key_env: K1}
  large:
    provider: anthropic
    model: claude
    key_env: K2
    base_url: "https://eu.example"
    region: eu
    params: {temperature: 0, extra_body: {a: 1}}
order: [cheap, small, mid, large]
budget: {usd_per_day: 100}
guards:
  - {name: legal, when: {any: [{any_keyword: [contract, lease]}, {has_unread: true}]}, at_least: mid}
  - {name: private, when: {metadata.class: [eu, ch, pii]}, only: [large]}
  - {name: vendor, when: {not: {metadata.class: public}}, never: [cheap]}
  - {name: residency, when: {tag: [eu, uk]}, regions: [eu]}
  - {name: night, when: {time: {after: "18:00", before: "08:00"}}, at_least: mid}
  - {name: pace, when: {budget_pace: {gt: 1}}, never: [large]}
default: {route: [large]}
"""
PRIVATE = "  - {name: private, when: {metadata.class: [eu, ch, pii]}, only: [large]}"
ORDER = "order: [cheap, small, mid, large]"


def after(*edits: tuple[str, str]) -> RuleSet:
    text = FILE
    for before, now in edits:
        assert before in text
        text = text.replace(before, now)
    return RuleSet.parse(text)


def extra(model: str, order: str) -> tuple[tuple[str, str], ...]:
    return (ORDER, order), ("models:\n", f"models:\n  extra: {model}\n")


@pytest.mark.parametrize(
    ("edits", "names"),
    [
        # The condition holds for fewer requests.
        ([("{any: [{any_keyword: [contract, lease]}, {has_unread: true}]}", "{any_keyword: [contract, lease]}")], "legal"),
        ([("has_unread: true", "has_unread: false")], "legal"),
        ([("has_unread: true", "has_images: true")], "legal"),
        ([("{any_keyword: [contract, lease]}", "{all: [{any_keyword: [contract, lease]}, {turns: {gt: 1}}]}")], "legal"),
        ([("contract, lease]", "contract, lease], not: {any_keyword: [draft]}")], "legal"),
        ([("contract, lease]", "contract, lease], in: user")], "legal"),
        ([("contract, lease]", "contract, lease], in: history")], "legal"),
        ([("any_keyword: [contract, lease]", "all_keywords: [contract, lease]")], "legal"),
        ([("contract, lease]", "'contract,', lease]")], "legal"),
        ([("any_keyword: [contract, lease]", "regex: contract|lease")], "legal"),
        ([("metadata.class: [eu, ch, pii]", "metadata.class: [eu, ch]")], "private"),
        ([("metadata.class: [eu, ch, pii]", "metadata.class: [eu, ch, PII]")], "private"),
        ([("metadata.class: [eu, ch, pii]", "metadata.klass: [eu, ch, pii]")], "private"),
        ([(PRIVATE, PRIVATE.replace("[eu, ch, pii]", "eu") + "\n" + PRIVATE.replace("[eu, ch, pii]", "pii").replace("private", "more"))], "private"),
        ([("metadata.class: public", "metadata.class: [public, internal]")], "vendor"),
        ([("{metadata.class: public}", "{any: [{metadata.class: public}, {tag: p}]}")], "vendor"),
        ([("tag: [eu, uk]", "tag: eu")], "residency"),
        ([("tag: [eu, uk]", "any_keyword: [eu, uk]")], "residency"),
        ([('after: "18:00"', 'after: "20:00"')], "night"),
        ([('after: "18:00"', 'after: "18:00", days: [mon]')], "night"),
        ([('after: "18:00"', 'after: "18:00", timezone: Asia/Tokyo')], "night"),
        # The pace of spending is measured by the budget.
        ([("usd_per_day: 100", "usd_per_day: 100000")], "pace"),
        ([("usd_per_day: 100", "usd_per_day: 100, timezone: Asia/Tokyo")], "pace"),
        # It lets more models through.
        ([("only: [large]", "only: [large, mid]")], "private"),
        ([("regions: [eu]", "regions: [eu, zh]")], "residency"),
        ([("regions: [eu]", "never: [cheap]")], "residency"),
        ([(ORDER, "order: [cheap, mid, small, large]")], "legal night"),
        ([(ORDER + "\n", ""), ("  cheap:", "  mid: {provider: openai, model: gpt-mid, key_env: K1}\n  cheap:"), ("K1}\n  mid: {provider: openai, model: gpt-mid, key_env: K1}\n  large", "K1}\n  large")], "legal night"),
        # A name stands for another model.
        ([("gpt-mid", "gpt-nano")], "legal night"),
        ([("gpt-mid", "X"), ("gpt-small", "gpt-mid"), ("X", "gpt-small")], "legal night"),
        ([("model: claude", "model: haiku")], "legal private residency night"),
        ([("provider: anthropic", "provider: openai")], "legal private residency night"),
        ([("extra_body: {a: 1}", "extra_body: {model: haiku}")], "legal private residency night"),
        ([("extra_body: {a: 1}", "extra_body: {a: 1}, extra_headers: {x-route: us}")], "legal private residency night"),
        # A model is asked elsewhere, or with another account's key.
        ([("https://eu.example", "https://us.example")], "legal private residency night"),
        ([("key_env: K2", "key_env: K9")], "private residency"),
        ([("region: eu\n", 'region: eu\n    deployments: [{weight: 1}, {base_url: "https://us.example", region: us}]\n')], "legal private night"),
        ([("region: eu\n", 'region: eu\n    deployments: [{weight: 1}, {base_url: "https://us.example"}]\n')], "legal private residency night"),
        ([("gpt-mid, key_env: K1", 'gpt-mid, key_env: K1, deployments: [{base_url: "https://cheap.example/v2"}]')], "legal vendor night"),
        # Labels of regions move nothing.
        ([("region: zh", "region: eu")], "residency"),
        ([("gpt-small, key_env: K1", "gpt-small, key_env: K1, region: eu")], "residency"),
        # Another name for a model that was kept out.
        ([("  cheap:", "  offshore:"), ("[cheap, small", "[offshore, small"), ("never: [cheap]", "never: [small]")], "vendor"),
        (extra("{provider: deepseek, model: ds, key_env: K4, base_url: 'https://other.example'}", "order: [extra, cheap, small, mid, large]"), "vendor"),
        (extra("{provider: openrouter, model: deepseek/DS}", "order: [extra, cheap, small, mid, large]"), "vendor"),
        (extra("{provider: openai, model: ds2, base_url: 'https://CHEAP.example'}", "order: [extra, cheap, small, mid, large]"), "vendor"),
        (extra("{provider: openai, model: gpt-small, params: {temperature: 0}}", "order: [cheap, small, mid, large, extra]"), "legal night"),
        (extra("{provider: openai, model: gpt-new, region: eu}", "order: [extra, cheap, small, mid, large]"), "residency"),
    ],
)  # fmt: skip
def test_edits_that_loosen_guards_however_they_look(edits: Any, names: str) -> None:
    assert [one.guard for one in loosened(after(), after(*edits))] == [
        name for name in ("legal", "private", "vendor", "residency", "night", "pace") if name in names.split()
    ]


@pytest.mark.parametrize(
    "edits",
    [
        [("name: legal", "name: lawful")],
        [(PRIVATE + "\n", ""), ("default:", PRIVATE + "\ndefault:")],
        [(PRIVATE, PRIVATE.replace("[eu, ch, pii]", "[eu, ch]") + "\n" + PRIVATE.replace("[eu, ch, pii]", "pii").replace("private", "more"))],
        [("contract, lease]", "contract, lease, Licence]")],
        [("regions: [eu]", "only: [large]")],
        [("only: [large]", "at_least: large")],
        [("temperature: 0", "temperature: 1")],
        [("model: claude", "model: claude\n    context_window: 1000\n    price: {input_usd_per_mtok: 1, output_usd_per_mtok: 1}")],
        [("model: gpt-mid", "model: gpt-mid, system: Be brief.")],
        [("usd_per_day: 100", "usd_per_day: 100, when_spent: refuse")],
        [("budget: {usd_per_day: 100}\n", ""), ("{budget_pace: {gt: 1}}", "{}")],
        [('https://cheap.example/v1", region: zh', 'https://cheap.example/v1", region: zh, deployments: [{weight: 2}]')],
        extra("{provider: openai, model: gpt-new}", "order: [cheap, small, mid, large, extra]"),
        extra("{provider: openai, model: gpt-new, base_url: 'https://new.example', region: eu}", "order: [extra, cheap, small, mid, large]"),
        [("  mid:", "  medium:"), ("mid, large]", "medium, large]"), ("at_least: mid", "at_least: medium")],
    ],
)  # fmt: skip
def test_edits_that_loosen_none(edits: Any) -> None:
    assert loosened(after(), after(*edits)) == ()


names = st.lists(st.sampled_from(MODELS), min_size=1, max_size=2, unique=True).map(tuple)
sets = st.one_of(
    st.builds(lambda name: {"at_least": name}, st.sampled_from(MODELS)),
    st.builds(lambda kind, some: {kind: some}, st.sampled_from(["only", "never"]), names),
)
place = st.tuples(
    st.sampled_from([None, "https://x.example", "https://y.example"]), st.sampled_from(["eu", "us", None])
)
served = st.tuples(st.sampled_from(["m1", "m2", "m3"]), st.lists(place, min_size=1, max_size=2))
kept_out = st.tuples(
    st.sampled_from([{}, {"tag": "x"}]),
    st.one_of(sets, st.builds(lambda some: {"regions": (some,)}, st.sampled_from(["eu", "us"]))),
)


def built(known: Any, guards: Any) -> RuleSet:
    models = {name: Model(name, "openai", model) for name, (model, _) in known.items()}
    deployments = {
        name: tuple(
            Deployment(f"{name}#{number}", name, url, region=region) for number, (url, region) in enumerate(some)
        )
        for name, (_, some) in known.items()
    }
    made = tuple(Guard(f"g{number}", when, **kind) for number, (when, kind) in enumerate(guards))
    return RuleSet("t", models, Default(route=("large",)), guards=made, deployments=deployments)


@st.composite
def moved(draw: Any) -> tuple[RuleSet, RuleSet]:
    """A rule set, and one with some of its models somewhere else and some of its guards."""
    known = {name: draw(served) for name in MODELS}
    guards = draw(st.lists(kept_out, min_size=1, max_size=2))
    now = {
        name: draw(st.one_of(st.just(said), st.just(known[draw(st.sampled_from(MODELS))]), served))
        for name, said in known.items()
    }
    if draw(st.booleans()):
        now["huge"] = draw(served)
    kept = [one for one in guards if draw(st.sampled_from([True, True, True, False]))]
    return built(known, guards), built(now, [*kept, *draw(st.lists(kept_out, max_size=1))])


def reached(ruleset: RuleSet, one: Request) -> set[tuple[str, str | None]]:
    """The models by their ids, and the addresses, that a request may be sent to."""
    try:
        admission = Gatekeeper(ruleset).admit(Reading(one))
    except NoEligibleModelError:
        return set()
    return {
        (ruleset.models[name].model, some.base_url)
        for name in admission.models
        for some in ruleset.deployments_of(name)
        if admission.regions is None or some.region in admission.regions
    }


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(moved())
def test_what_is_not_loosened_reaches_no_known_place_more(pair: tuple[RuleSet, RuleSet]) -> None:
    old, new = pair
    if loosened(old, new):
        return
    known = {(old.models[name].model, some.base_url) for name in old.order for some in old.deployments_of(name)}
    is_placed = all(held.at_least is None for held in old.guards)
    for tags in ((), ("x",)):
        one = Request(({"role": "user", "content": "hi"},), tags=tags)
        before, now = reached(old, one), reached(new, one)
        assert now & known <= before
        if is_placed:
            # Strength has nothing to do with where a model is asked.
            servers = {url for _, url in known if url is not None}
            assert {url for _, url in now} & servers <= {url for _, url in before}
