from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.stats

from routebench.classes import Protection
from routebench.errors import InputError, OutcomesError
from routebench.evaluate import Cases, Outcomes
from routebench.evaluate.outcomes import OK
from routebench.evaluate.splits import split
from routebench.rules import Default, Guard, RuleSet
from routebench.suites import load_starter
from routebench.tune import hold_out, protect, with_guards
from routebench.tune.protection import cases_needed, members, recall_of, share_bounds
from routebench.tune.recognition import learn_condition, matching, signs_of
from routebench.types import Case
from tests.conftest import make_case, make_model

MODELS = ("small", "large")
LAW = ("contract", "lease", "liability", "clause", "tenant")
CHAT = ("weather", "dinner", "song", "holiday", "garden")


def text(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    filler = rng.choice(["please", "tell", "me", "about", "the", "a", "what", "is", "in", "my"], size=6)
    return " ".join([*filler, str(rng.choice(words)), str(rng.choice(words))])


def outcomes_of(cases: list[Case], score: Any = None, cost: Any = (0.001, 0.01)) -> Outcomes:
    shape = (len(cases), len(MODELS), 1)
    scores = np.full(shape, 0.5) if score is None else np.asarray(score, dtype=float).reshape(shape)
    return Outcomes(
        "s",
        Cases.of(cases),
        MODELS,
        np.full(shape, OK, dtype=np.int8),
        scores,
        np.broadcast_to(np.array(cost)[None, :, None], shape).copy(),
        np.full(shape, 0.5),
    )


def suite(n_law: int = 160, n_chat: int = 240, seed: int = 0, odd: float = 0.0) -> Outcomes:
    """Cases of two categories; a share of the law cases reads like chat."""
    rng = np.random.default_rng(seed)
    law = [
        make_case(f"l{number}", text(rng, CHAT if rng.random() < odd else LAW), category="law")
        for number in range(n_law)
    ]
    chat = [make_case(f"c{number}", text(rng, CHAT), category="chat") for number in range(n_chat)]
    return outcomes_of([*law, *chat])


def ruleset(*guards: Guard) -> RuleSet:
    return RuleSet("r", {name: make_model(name) for name in MODELS}, Default(route=("small",)), guards=guards)


def test_a_category_is_recognised_by_its_words_and_held_out_too() -> None:
    data = suite()
    inside, outside = split(data, 42)
    train, test = data.take(inside), data.take(outside)
    (found,) = protect(train, [Protection("law", category="law", at_least="large", min_recall=0.9)])
    assert found.reached
    assert found.recall.share >= found.recall.low >= 0.9
    assert found.recall.alarms is not None
    assert found.recall.alarms < 0.1
    assert found.guard.at_least == "large"
    held = hold_out(found, ruleset(found.guard), train, test)
    assert held.recall is not None
    assert held.recall.share > 0.9
    assert held.warnings == ()
    assert "Held out, guard law holds for" in held.reading


def test_the_guard_reads_back_from_its_file_and_decides_the_same() -> None:
    data = suite(odd=0.1)
    (found,) = protect(data, [Protection("law", category="law", only=("large",), min_recall=0.8)])
    again = RuleSet.parse(ruleset(found.guard).to_yaml()).guards[0]
    assert again == found.guard
    caught = matching(data.requests, again.when)
    assert caught[data.cases.category == "law"].mean() >= 0.8


def test_of_few_cases_nobody_can_be_sure_and_it_says_so() -> None:
    (found,) = protect(suite(n_law=40), [Protection("law", category="law", at_least="large", min_recall=0.95)])
    assert not found.reached
    assert found.recall.share > 0.9
    assert "59 independent cases" in found.reading
    assert "has 40" in found.reading
    assert "a tag" in found.reading
    assert found.as_dict()["reached"] is False


def test_a_class_that_reads_like_others_costs_false_alarms_or_is_not_reached() -> None:
    (found,) = protect(suite(odd=0.3), [Protection("law", category="law", at_least="large", min_recall=0.9)])
    assert found.recall.alarms is not None
    assert not found.reached or found.recall.alarms > 0.3


def test_the_price_of_a_false_alarm_trades_recall_for_precision() -> None:
    data = suite(odd=0.3)
    law = data.cases.category == "law"
    signs = signs_of(data.requests)
    shares = []
    for price in (0.5, 4.0):
        when = learn_condition(signs, law, data.weight, price)
        assert when is not None
        caught = matching(data.requests, when)
        shares.append((caught[law].mean(), caught[~law].mean()))
    assert shares[0][0] >= shares[1][0]
    assert shares[1][1] <= 0.02


def test_where_alarms_cost_next_to_nothing_the_condition_holds_for_every_request() -> None:
    data = suite()
    assert learn_condition(signs_of(data.requests), data.cases.category == "law", data.weight, 0.001) == {}


def test_a_tag_is_exact_and_needs_no_text() -> None:
    cases = [make_case(f"c{number}", "", tags=("vip",) if number % 3 == 0 else ()) for number in range(30)]
    data = outcomes_of(cases)
    protection = Protection("vip", tag="vip", at_least="large")
    (found,) = protect(data, [protection])
    assert (found.exact, found.reached) == (True, True)
    assert found.guard == Guard("vip", {"tag": "vip"}, at_least="large")
    assert found.reading == "Guard vip (tag=vip) holds for every request that carries the tag."
    assert members(data, protection).sum() == 10


def test_a_class_with_hardly_a_case_is_an_error_with_the_mend() -> None:
    protection = Protection("law", category="law", at_least="large", where="bench.yaml:7:5")
    with pytest.raises(OutcomesError, match=r"bench\.yaml:7:5: 3 training cases .* add cases, or let the application"):
        protect(suite(n_law=3), [protection])
    with pytest.raises(OutcomesError, match="did you mean 'law'"):
        protect(suite(), [replace(protection, category="laws")])


def test_where_requests_show_nothing_that_is_an_error_too() -> None:
    cases = [make_case(f"c{number}", "same words", category="law" if number % 2 else "chat") for number in range(60)]
    with pytest.raises(OutcomesError, match="nothing that a condition reads tells category 'law'"):
        protect(outcomes_of(cases), [Protection("law", category="law", at_least="large")])


@pytest.mark.parametrize(("hits", "n"), [(0, 12), (11, 12), (12, 12), (57, 60), (95, 100)])
def test_bounds_are_those_of_clopper_and_pearson(hits: int, n: int) -> None:
    caught = np.arange(n) < hits
    found = recall_of(caught, np.ones(n, dtype=bool), np.arange(n).astype(str), np.ones(n))
    exact = scipy.stats.binomtest(hits, n, alternative="greater").proportion_ci(0.95, method="exact")
    assert found.low == pytest.approx(exact.low)
    both = scipy.stats.binomtest(hits, n).proportion_ci(0.95, method="exact")
    assert share_bounds(hits / n, n) == pytest.approx((both.low, both.high))
    assert found.alarms is None


def test_cases_of_a_group_count_as_one() -> None:
    caught, inside = np.ones(60, dtype=bool), np.ones(60, dtype=bool)
    found = recall_of(caught, inside, (np.arange(60) // 3).astype(str), np.ones(60))
    assert (found.n, found.n_effective) == (60, pytest.approx(20))
    assert found.low == pytest.approx(0.05 ** (1 / 20))


@pytest.mark.parametrize("min_recall", [0.5, 0.8, 0.9, 0.95, 0.99])
def test_so_many_cases_are_needed_and_not_one_less(min_recall: float) -> None:
    n = cases_needed(min_recall)
    assert share_bounds(1.0, n, 0.1)[0] >= min_recall - 1e-12
    assert share_bounds(1.0, n - 1, 0.1)[0] < min_recall


def test_written_guards_come_first_and_no_name_means_two_things() -> None:
    (found,) = protect(suite(), [Protection("law", category="law", at_least="large", min_recall=0.8)])
    own = Guard("own", {"has_tools": True}, never=("small",))
    assert with_guards([own], [found]) == (own, found.guard)
    assert with_guards([found.guard, own], [found]) == (found.guard, own)
    with pytest.raises(InputError, match="two guards are called 'law'"):
        with_guards([Guard("law", {"tag": "law"}, at_least="large")], [found])


def _loser(n: int) -> tuple[Outcomes, Outcomes]:
    """Small is best on train and fails on test."""
    cases = [make_case(f"c{number}", "x", tags=("vip",)) for number in range(n)]
    train = outcomes_of(cases, [(1.0, 0.0)] * n)
    test = outcomes_of(cases, [(float(number % 4 == 0), float(number % 4 != 0)) for number in range(n)])
    return train, test


@pytest.mark.parametrize(("n", "sure"), [(200, True), (8, False)])
def test_a_model_that_was_best_on_train_and_loses_on_test_is_warned_of(n: int, sure: bool) -> None:
    train, test = _loser(n)
    (found,) = protect(train, [Protection("vip", tag="vip", at_least="small")])
    held = hold_out(found, ruleset(found.guard), train, test)
    assert (held.best, held.rival, held.loses) == ("small", "large", sure)
    assert "loses 50.0 pt to large" in held.warnings[0]
    assert ("can be chance" in held.warnings[0]) is not sure
    assert held.as_dict()["best_model_on_test"] == "large"


def test_a_model_that_the_guard_forbids_is_told_of_where_it_is_better() -> None:
    train, test = _loser(60)
    (found,) = protect(test, [Protection("vip", tag="vip", only=("large",))])
    held = hold_out(found, ruleset(found.guard), test, train)
    assert (held.best, held.rival, held.loses) == ("large", "small", True)


@pytest.mark.parametrize("category", ["arithmetic", "writing", "translation", "legal"])
def test_every_learned_condition_is_one_that_the_runtime_reads(category: str) -> None:
    data = outcomes_of(list(load_starter()))
    inside = data.cases.category == category
    seen: set[str] = set()
    for price in (0.1, 0.5, 1.0, 4.0):
        when: Mapping[str, Any] | None = learn_condition(signs_of(data.requests), inside, data.weight, price)
        if when:
            seen.add(str(when))
            guard = Guard("g", when, at_least="large")
            assert RuleSet.parse(ruleset(guard).to_yaml()).guards == (guard,)
            assert matching(data.requests, when)[inside].any()
    assert seen
