"""Guards hold: over random rule sets, conversations and faults no request reaches a model that it must not reach."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routebench.errors import NoEligibleModelError
from routebench.rules import (
    Budget,
    Complexity,
    Condition,
    Default,
    Deployment,
    Guard,
    Reading,
    Router,
    Rule,
    RuleSet,
    Similarity,
    Tier,
)
from routebench.rules.health.health import HealthPolicy
from routebench.rules.reading.request import Situation
from routebench.types import ERROR_KINDS, Answer, Model, Price, Request
from tests.conftest import make_model

NAMES = ("a", "b", "c", "d")
REGIONS = ("eu", "us", None)
WORDS = ("contract", "poem", "Ｃontract", "con\u00adtract", "CONTRACT", "secret", "and", "合同", "why?")

words = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)
leaf: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(
        lambda some: {"any_keyword": some}, st.lists(st.sampled_from(["contract", "secret", "合同"]), min_size=1)
    ),
    st.builds(lambda value: {"metadata.class": value}, st.sampled_from(["eu", "us", ["eu", "us"]])),
    st.builds(lambda value: {"tag": value}, st.sampled_from("xy")),
    st.sampled_from(
        [
            {"regex": "(?i)secret"},
            {"turns": {"ge": 2}},
            {"input_tokens": {"gt": 6}},
            {"has_tools": True},
            {"time": {"after": "18:00", "before": "08:00"}},
            {"budget_pace": {"gt": 1}},
            {},
        ]
    ),
)
condition = st.one_of(
    leaf,
    st.builds(lambda one: {"not": one}, leaf),
    st.builds(lambda one, other: {"any": [one, other]}, leaf, leaf),
    st.builds(lambda one, where: {**one, "in": where}, leaf, st.sampled_from(["user", "history", "any", "system"])),
)
chain = st.lists(st.sampled_from(NAMES), min_size=1, unique=True).map(tuple)
sets = st.one_of(
    st.builds(
        lambda kind, names: {kind: names}, st.sampled_from(["only", "never"]), chain.filter(lambda c: len(c) < 4)
    ),
    st.builds(lambda name: {"at_least": name}, st.sampled_from(NAMES)),
    st.builds(lambda some: {"regions": tuple(some)}, st.lists(st.sampled_from(["eu", "us"]), min_size=1, unique=True)),
)
models = st.builds(
    lambda windows, caps, abilities, prices: {
        name: make_model(name, context_window=window, max_output=cap, capabilities=ability, price=price)
        for name, window, cap, ability, price in zip(NAMES, windows, caps, abilities, prices, strict=True)
    },
    st.lists(st.sampled_from([None, 5, 50]), min_size=4, max_size=4),
    st.lists(st.sampled_from([None, None, 20]), min_size=4, max_size=4),
    st.lists(st.sampled_from([None, frozenset(), frozenset({"tools"})]), min_size=4, max_size=4),
    st.lists(st.sampled_from([None, Price(1.0, 1.0), Price(2.0, 2.0)]), min_size=4, max_size=4),
)
places = st.dictionaries(
    st.sampled_from(NAMES), st.lists(st.sampled_from(REGIONS), min_size=1, max_size=3), max_size=4
).map(
    lambda said: {
        name: tuple(Deployment(f"{name}#{number}", name, region=region) for number, region in enumerate(regions, 1))
        for name, regions in said.items()
    }
)


@dataclass(frozen=True)
class Ranking:
    """A library, or a classifier, that says the same of every request."""

    names: tuple[str, ...]

    def opened(self, *_: Any, **__: Any) -> Ranking:
        return self

    def rank(self, _reading: Reading) -> tuple[tuple[str, ...], float] | None:
        return (self.names, 0.9) if self.names else None

    def score(self, _reading: Reading) -> float:
        return 0.5


similarity = st.one_of(
    st.none(),
    st.builds(
        lambda names: Similarity({}, cast("Any", Ranking(names))),
        st.lists(st.sampled_from((*NAMES, "gone")), max_size=5, unique=True).map(tuple),
    ),
)
complexity = st.one_of(
    st.none(),
    st.builds(lambda route: Complexity({}, (Tier(0.6, route), Tier(None, ("a",))), cast("Any", Ranking(()))), chain),
)
rulesets = st.builds(
    lambda known, guards, rules, default, mix, order, deployments, budget, sticky, alike, hard, health: RuleSet(
        "t",
        known,
        Default(mix=((0.5, default), (0.5, mix)), cascade="ok") if mix else Default(route=default),
        rules=tuple(Rule(f"r{place}", when, route, check) for place, (when, route, check) in enumerate(rules)),
        guards=tuple(Guard(f"g{place}", when, **one) for place, (when, one) in enumerate(guards)),
        order=tuple(order),
        checks={"ok": {"json": True}},
        deployments=deployments,
        budget=budget,
        health=health,
        sticky=sticky,
        similarity=alike,
        complexity=hard,
    ),
    models,
    st.lists(st.tuples(condition, sets), max_size=4),
    st.lists(st.tuples(condition, chain, st.sampled_from([None, "ok"])), max_size=4),
    chain,
    st.one_of(st.none(), chain),
    st.permutations(NAMES),
    places,
    st.sampled_from([None, Budget(1.0)]),
    st.sampled_from(["conversation", "none"]),
    similarity,
    complexity,
    # Health filters chains once more, so that a leak before it shows only without it.
    st.sampled_from([None, HealthPolicy(min_requests=2, min_errors=1, cooldown_s=5.0)]),
)
turns = st.lists(
    st.builds(
        lambda role, text, parts: {"role": role, "content": [{"type": "text", "text": text}] if parts else text},
        st.sampled_from(["system", "developer", "user", "assistant", "tool"]),
        words,
        st.booleans(),
    ),
    max_size=5,
)
requests = st.builds(
    lambda earlier, text, tools, params, metadata, tags: Request(
        (*earlier, {"role": "user", "content": text}), tools, params=params, metadata=metadata, tags=tuple(tags)
    ),
    turns,
    words,
    st.sampled_from([(), ({"type": "function"},)]),
    st.sampled_from([{}, {"max_tokens": 21}, {"max_tokens": -60}]),
    st.sampled_from([{}, {"class": "eu"}, {"class": "us"}, {"class": ["eu"]}]),
    st.lists(st.sampled_from("xyz"), max_size=2),
)
answers = st.one_of(
    st.builds(lambda kind: Answer(error_kind=kind, latency_s=1.0), st.sampled_from(ERROR_KINDS)),
    st.builds(
        lambda text, cost, latency: Answer(text, cost_usd=cost, latency_s=latency),
        st.sampled_from(["{}", "no", ""]),
        st.sampled_from([None, 0.4]),
        st.sampled_from([0.1, 9.0]),
    ),
)
asks = st.tuples(
    requests,
    st.one_of(st.none(), st.sampled_from(NAMES)),
    st.one_of(st.none(), st.none(), st.sampled_from(NAMES)),
    st.one_of(st.none(), st.permutations(NAMES)),
    st.lists(answers, min_size=6, max_size=6),
    st.lists(st.sampled_from([0.0, 0.3, 6.0, 25_000.0]), min_size=7, max_size=7),
)


def may(ruleset: RuleSet, reading: Reading) -> dict[str, set[str | None]]:
    """Model -> regions where the guards let it run, read off the guards one by one."""
    found: dict[str, set[str | None]] = {
        name: {one.region for one in ruleset.deployments_of(name)} for name in ruleset.models
    }
    for guard in ruleset.guards:
        if not Condition.parse(guard.when, scope="conversation").matches(reading):
            continue
        if guard.only is not None:
            found = {name: places for name, places in found.items() if name in guard.only}
        elif guard.never is not None:
            found = {name: places for name, places in found.items() if name not in guard.never}
        elif guard.at_least is not None:
            least = ruleset.order.index(guard.at_least)
            found = {name: places for name, places in found.items() if ruleset.order.index(name) >= least}
        else:
            found = {name: places & set(guard.regions or ()) for name, places in found.items()}
    return {name: places for name, places in found.items() if places}


def fits(model: Model, request: Request) -> bool:
    if model.capabilities is not None and request.tools and "tools" not in model.capabilities:
        return False
    characters = sum(
        len(text if isinstance(text := message["content"], str) else text[0]["text"]) for message in request.messages
    )
    asked = max(0, request.params.get("max_tokens", 0))
    if model.max_output is not None and asked > model.max_output:
        return False
    return model.context_window is None or -(-characters // 4) + asked <= model.context_window


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(rulesets, st.lists(asks, min_size=1, max_size=6))
def test_no_request_reaches_a_model_that_it_must_not_reach(ruleset: RuleSet, many: list[Any]) -> None:
    at = [datetime(2026, 11, 25, 12, tzinfo=UTC), 0.0]
    router = Router(ruleset, now=lambda: at[0], clock=lambda: at[1])
    for request, previous, named, explored, given_answers, passed in many:
        at = later(at, passed[0])
        allowed = may(ruleset, seen(router, request, at))
        good = {name for name in allowed if fits(ruleset.models[name], request)}
        try:
            decision = router.decide(request, previous, named)
        except NoEligibleModelError:
            # It fails only where it has to.
            assert not good or (named is not None and named not in good)
            continue
        assert decision.chain
        assert named is None or decision.chain == (named,)
        if explored is not None:
            decision = router.hold(replace(decision, chain=("gone", *explored)))
            assert set(decision.chain) == good
            assert len(decision.chain) == len(good)
        asked = set()
        for answer, passed_s in zip(given_answers, passed[1:], strict=True):
            assert set(decision.chain) <= good
            if decision.model is None:
                break
            assert router.deployment(decision).region in allowed[decision.model]
            asked.add(decision.model)
            router.observe("b", Answer(error_kind="timeout", latency_s=3.0))
            # Meanwhile the day goes on, and guards on the time of day begin or end.
            at = later(at, passed_s)
            try:
                decision = router.next(decision, answer)
            except NoEligibleModelError:
                assert not any(fits(ruleset.models[name], request) for name in may(ruleset, seen(router, request, at)))
                break
            allowed = may(ruleset, seen(router, request, at))
            good = {name for name in allowed if fits(ruleset.models[name], request)}
        assert decision.answered_by is None or decision.answered_by in asked


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(rulesets, requests, st.sampled_from([None, *NAMES]), st.sampled_from([None, None, *NAMES]))
def test_an_explanation_names_no_model_that_the_request_must_not_reach(
    ruleset: RuleSet, request: Request, previous: str | None, named: str | None
) -> None:
    at = [datetime(2026, 11, 25, 12, tzinfo=UTC), 0.0]
    ruleset = replace(ruleset, similarity=None, complexity=None)
    router = Router(ruleset, now=lambda: at[0], clock=lambda: at[1])
    good = {name for name in may(ruleset, seen(router, request, at)) if fits(ruleset.models[name], request)}
    known = {"tools": request.tools, "params": request.params, "metadata": request.metadata, "tags": request.tags}
    try:
        decision = router.explain(request.messages, previous=previous, model=named, **known)
    except NoEligibleModelError:
        assert not good or (named is not None and named not in good)
        return
    assert decision.chain
    assert set(decision.chain) <= good
    assert decision.chain == router.decide(request, previous, named).chain


def later(at: list[Any], passed_s: float) -> list[Any]:
    return [at[0] + timedelta(seconds=passed_s), at[1] + passed_s]


def seen(router: Router, request: Request, at: list[Any]) -> Reading:
    return Reading(request, Situation(at[0], None if router.ledger is None else router.ledger.pace(at[0])))
