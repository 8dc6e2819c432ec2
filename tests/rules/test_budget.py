from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from routebench.errors import BudgetSpentError
from routebench.rules import Budget, Default, Guard, Router, RuleSet
from routebench.rules.budget import Ledger, cheapest_first
from routebench.types import Answer, Price, Request
from tests.conftest import make_model

MODELS = {
    "dear": make_model("dear", price=Price(3.0, 15.0)),
    "cheap": make_model("cheap", price=Price(0.1, 0.4)),
    "unknown": make_model("unknown", price=None),
}
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


class Watch:
    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


def make(watch: Watch, **fields: Any) -> Router:
    budget = Budget(10.0, fields.pop("when_spent", "cheapest"))
    ruleset = RuleSet("t", MODELS, Default(route=("dear",)), budget=budget, **fields)
    return Router(ruleset, now=watch)


def ask(router: Router, text: str = "hi", **known: Any) -> tuple[tuple[str, ...], str]:
    decision = router.route([{"role": "user", "content": text}], **known)
    return decision.chain, decision.rule


def test_a_spent_budget_sends_requests_to_the_cheapest_until_midnight() -> None:
    watch = Watch()
    router = make(watch)
    assert ask(router) == (("dear",), "default")
    router.observe("dear", Answer("a", cost_usd=10.0))
    assert ask(router) == (("cheap", "dear", "unknown"), "budget")
    watch.at += timedelta(hours=12)
    assert ask(router) == (("dear",), "default")


def test_guards_hold_when_the_budget_is_spent() -> None:
    router = make(Watch(), guards=(Guard("legal", {"any_keyword": ["contract"]}, only=("dear", "unknown")),))
    router.observe("dear", Answer("a", cost_usd=11.0))
    assert ask(router, "a contract") == (("dear", "unknown"), "budget")


def test_a_turn_with_tools_is_finished_where_it_began() -> None:
    router = make(Watch())
    router.observe("dear", Answer("a", cost_usd=11.0))
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": None},
        {"role": "tool", "content": "1"},
    ]
    assert router.route(messages, previous="dear").chain[0] == "dear"
    assert router.route(messages[:1], previous="dear").chain[0] == "cheap"


def test_requests_can_be_refused() -> None:
    router = make(Watch(), when_spent="refuse")
    decision = router.route([{"role": "user", "content": "hi"}])
    router.next(decision, Answer("a", cost_usd=10.0))
    with pytest.raises(BudgetSpentError, match=r"10.00 of 10 USD of the day are spent.*midnight UTC"):
        ask(router)


def test_unknown_costs_are_counted_as_unknown() -> None:
    ledger = Ledger(Budget(10.0), Watch())
    ledger.add(None)
    ledger.add(1.5)
    assert (ledger.spent_usd, ledger.n_unknown, ledger.is_spent) == (1.5, 1, False)


def test_pace_compares_with_an_even_day() -> None:
    watch = Watch()
    ledger = Ledger(Budget(24.0), watch)
    ledger.add(6.0)
    assert ledger.pace(NOON) == pytest.approx(0.5)
    assert ledger.pace(NOON - timedelta(hours=6)) == pytest.approx(1.0)
    # The first hour counts as a whole one.
    watch.at = NOON + timedelta(hours=12, minutes=1)
    ledger.add(2.0)
    assert ledger.pace(watch.at) == pytest.approx(2.0)


def test_a_day_ends_at_the_midnight_of_its_zone() -> None:
    watch = Watch(datetime(2026, 11, 25, 22, 30, tzinfo=UTC))
    ledger = Ledger(Budget(10.0, timezone="Europe/Berlin"), watch)
    ledger.add(4.0)
    watch.at += timedelta(hours=1)
    assert ledger.spent_usd == 0.0
    ledger.restore(3.0, date(2026, 11, 26))
    assert ledger.spent_usd == 3.0


def test_many_threads_add_up() -> None:
    ledger = Ledger(Budget(10.0), Watch())
    threads = [threading.Thread(target=lambda: [ledger.add(0.25) for _ in range(400)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.spent_usd == 800.0


def test_the_cheapest_depends_on_the_request_and_unknown_prices_come_last() -> None:
    models = {
        "long": make_model("long", price=Price(0.1, 9.0)),
        "short": make_model("short", price=Price(1.0, 1.0)),
        "flat": make_model("flat", price=Price(usd_per_request=0.5)),
        "unknown": make_model("unknown", price=None),
    }
    asked = Request((), params={"max_tokens": 10})
    names = ("unknown", *models)[:4]
    assert cheapest_first(names, models, asked, 10_000)[0] == "long"
    assert cheapest_first(names, models, Request((), params={"max_tokens": 10_000}), 10)[0] == "short"
    assert cheapest_first(("unknown", "long"), models, asked, 10) == ["long", "unknown"]


def test_what_an_earlier_process_counted_is_taken_over_for_its_day() -> None:
    watch = Watch()
    ledger = Ledger(Budget(10.0), watch)
    ledger.restore(2.5, NOON.date(), 3)
    assert ledger.today == (NOON.date(), 2.5, 3)
    ledger.add(None)
    assert ledger.today == (NOON.date(), 2.5, 4)
    watch.at += timedelta(hours=12)
    assert ledger.today == (NOON.date() + timedelta(days=1), 0.0, 0)
