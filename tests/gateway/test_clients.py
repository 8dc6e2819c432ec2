"""Who is let in, and how far: keys, rates, budgets."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from routebench.gateway.clients import Client, Clients
from routebench.gateway.keys import Key, digest_of, new_key
from routebench.gateway.refusal import Refusal
from routebench.gateway.spent import Spent

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
KEY = "rbk_" + "aB" * 21 + "c"


class Watch:
    """The time of the day and the clock, in step."""

    def __init__(self) -> None:
        self.passed = timedelta()

    def now(self) -> datetime:
        return NOON + self.passed

    def clock(self) -> float:
        return self.passed.total_seconds()

    def wait(self, **duration: float) -> None:
        self.passed += timedelta(**duration)


def clients(watch: Watch | None = None, spent: Spent | None = None, **settings: Any) -> Clients:
    watch = watch or Watch()
    return Clients([Key("bot", digest_of(KEY), **settings)], now=watch.now, clock=watch.clock, spent=spent)


def admitted(**settings: Any) -> Client:
    return clients(**settings).admit(f"Bearer {KEY}", None)


def refusal(call: Any, *arguments: Any) -> Refusal:
    with pytest.raises(Refusal) as refused:
        call(*arguments)
    return refused.value


def test_keys_cannot_be_guessed() -> None:
    made = {new_key() for _ in range(1000)}
    assert len(made) == 1000
    assert all(key.startswith("rbk_") and len(key) == 47 for key in made)
    assert KEY not in repr(Key("bot", digest_of(KEY)))


@pytest.mark.parametrize(
    ("authorization", "api_key"),
    [(f"Bearer {KEY}", None), (f"bearer {KEY}", None), (f"BEARER  {KEY} ", None), (None, KEY), (f"Bearer {KEY}", "x")],
)
def test_a_key_is_known_in_each_of_its_places(authorization: str | None, api_key: str | None) -> None:
    assert clients().admit(authorization, api_key).name == "bot"


@pytest.mark.parametrize(
    ("authorization", "api_key", "code"),
    [
        (None, None, "missing_api_key"),
        ("", None, "invalid_api_key"),
        ("Bearer ", None, "missing_api_key"),
        (None, "", "missing_api_key"),
        (f"Basic {KEY}", None, "invalid_api_key"),
        (KEY, None, "invalid_api_key"),
        (f"Bearer {KEY[:-1]}", None, "invalid_api_key"),
        (f"Bearer {KEY}x", None, "invalid_api_key"),
        (f"Bearer {KEY.lower()}", None, "invalid_api_key"),
        (f"Bearer {digest_of(KEY).hex()}", None, "invalid_api_key"),
        ("Bearer ключ\udcff", None, "invalid_api_key"),
        ("Bearer wrong", KEY, "invalid_api_key"),
    ],
)
def test_who_shows_no_good_key_is_refused(authorization: str | None, api_key: str | None, code: str) -> None:
    refused = refusal(clients().admit, authorization, api_key)
    assert (refused.status, refused.kind, refused.code) == (401, "authentication_error", code)
    assert refused.headers["www-authenticate"] == "Bearer"
    assert KEY[4:20] not in refused.message


def test_without_keys_everybody_is_somebody() -> None:
    watch = Watch()
    anybody = Clients([], now=watch.now, clock=watch.clock)
    assert not anybody.are_asked_for
    client = anybody.admit(None, None)
    assert client is anybody.admit("Bearer whatever", None)
    assert (client.name, client.models, client.tags, dict(client.metadata)) == (None, None, (), {})
    assert client.may("any")
    for _ in range(1000):
        client.begin()
    assert client.in_flight == 1000


def test_a_disabled_key_is_refused_by_its_name() -> None:
    refused = refusal(clients(disabled=True).admit, f"Bearer {KEY}", None)
    assert (refused.status, refused.code) == (401, "disabled_api_key")
    assert "'bot' is disabled" in refused.message


def test_a_key_is_good_to_the_end_of_its_last_day_where_it_lives() -> None:
    watch = Watch()
    # Noon in UTC is 4 o'clock at night in Los Angeles: 20 hours are left of the day.
    made = clients(watch, expires=date(2026, 11, 25), timezone="America/Los_Angeles")
    watch.wait(hours=19, minutes=59)
    assert made.admit(f"Bearer {KEY}", None).name == "bot"
    watch.wait(minutes=1)
    refused = refusal(made.admit, f"Bearer {KEY}", None)
    assert (refused.status, refused.code) == (401, "expired_api_key")
    assert "good until 2026-11-25" in refused.message


def test_models_of_a_key() -> None:
    client = admitted(models=frozenset({"small"}))
    assert client.may("small")
    assert not client.may("large")
    assert admitted().may("large")


def test_a_rate_is_told_as_the_openai_api_tells_it() -> None:
    watch = Watch()
    client = clients(watch, requests_per_minute=60, burst=2).admit(f"Bearer {KEY}", None)
    assert dict(client.rate_headers()) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "2",
        "x-ratelimit-reset-requests": "0ms",
    }
    client.begin()
    client.begin()
    refused = refusal(client.begin)
    assert (refused.status, refused.kind, refused.code) == (429, "rate_limit_error", "rate_limit_exceeded")
    assert refused.headers == {
        "retry-after": "1",
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "2s",
    }
    assert client.in_flight == 2
    watch.wait(seconds=float(refused.headers["retry-after"]))
    client.begin()
    assert admitted().rate_headers() == ()


def test_a_slow_rate_tells_minutes() -> None:
    client = admitted(requests_per_minute=0.5, burst=1)
    client.begin()
    assert dict(client.rate_headers())["x-ratelimit-reset-requests"] == "2m0s"
    assert refusal(client.begin).headers["retry-after"] == "120"


def test_requests_at_once() -> None:
    client = admitted(concurrency=2)
    client.begin()
    client.begin()
    refused = refusal(client.begin)
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (429, "concurrency_exceeded", "1")
    client.end(())
    client.begin()


def test_a_spent_budget_refuses_until_midnight() -> None:
    watch = Watch()
    client = clients(watch, budget_usd_per_day=1.0, timezone="Europe/Berlin").admit(f"Bearer {KEY}", None)
    client.begin()
    client.end([0.4, None])
    client.begin()
    client.begin()
    # What was begun before the budget was spent is served: so much, and no more, can go beyond it.
    client.end([0.5])
    client.end([0.5])
    refused = refusal(client.begin)
    assert (refused.status, refused.kind, refused.code) == (402, "budget_error", "budget_spent")
    assert "1.40 of 1 USD" in refused.message
    assert "besides 1 calls of unknown cost" in refused.message
    assert "midnight Europe/Berlin" in refused.message
    assert client.in_flight == 0
    # 13:00 in Berlin.
    assert refused.headers["retry-after"] == str(11 * 3600)
    watch.wait(hours=11)
    client.begin()


def test_what_is_refused_for_a_budget_takes_nothing_of_the_rate() -> None:
    client = admitted(budget_usd_per_day=1.0, requests_per_minute=60, burst=1)
    client.begin()
    client.end([2.0])
    assert client._rate is not None
    before = client._rate.reset_s
    assert refusal(client.begin).status == 402
    assert client._rate.reset_s == before


def test_midnight_comes_an_hour_later_when_clocks_are_put_back() -> None:
    watch = Watch()
    watch.passed = datetime(2026, 10, 24, 23, tzinfo=UTC) - NOON  # 1:00 of the 25-hour day in Berlin
    client = clients(watch, budget_usd_per_day=1.0, timezone="Europe/Berlin").admit(f"Bearer {KEY}", None)
    client.begin()
    client.end([1.0])
    assert refusal(client.begin).headers["retry-after"] == str(24 * 3600)


def key(name: str, secret: str, **settings: Any) -> Key:
    return Key(name, digest_of(secret), **settings)


def test_a_change_of_the_file_forgets_nothing_that_was_used() -> None:
    watch = Watch()
    made = Clients(
        [key("bot", "a", requests_per_minute=60, burst=2, budget_usd_per_day=1.0)], now=watch.now, clock=watch.clock
    )
    client = made.admit("Bearer a", None)
    client.begin()
    client.begin()
    client.end([0.9])
    made.change([key("bot", "a", requests_per_minute=60, burst=2, budget_usd_per_day=0.5, concurrency=1)])
    assert made.admit("Bearer a", None) is client
    assert refusal(client.begin).code == "concurrency_exceeded"
    client.end([])
    assert refusal(client.begin).code == "budget_spent"
    made.change([key("bot", "a", requests_per_minute=60, burst=2)])
    assert refusal(client.begin).code == "rate_limit_exceeded"


def test_a_new_key_in_place_of_a_known_one_brings_no_new_budget() -> None:
    watch = Watch()
    made = Clients([key("bot", "a", budget_usd_per_day=1.0)], now=watch.now, clock=watch.clock)
    client = made.admit("Bearer a", None)
    client.begin()
    client.end([2.0])
    made.change([key("bot", "b", budget_usd_per_day=1.0)])
    assert refusal(made.admit, "Bearer a", None).status == 401
    assert refusal(made.admit("Bearer b", None).begin).code == "budget_spent"


def test_two_names_do_not_share_what_one_has_used() -> None:
    watch = Watch()
    made = Clients([key("bot", "a")], now=watch.now, clock=watch.clock)
    made.change([key("renamed", "a"), key("bot", "b")])
    assert made.admit("Bearer a", None) is not made.admit("Bearer b", None)


def test_taking_out_the_last_key_lets_nobody_in() -> None:
    made = clients()
    made.change([])
    assert refusal(made.admit, f"Bearer {KEY}", None).status == 401
    assert refusal(made.admit, None, None).status == 401


def test_a_restart_forgets_nothing_that_was_spent(tmp_path: Path) -> None:
    path = tmp_path / "spent.json"
    for spend, left in ((0.6, True), (0.6, False)):
        with Spent(path) as spent:
            client = clients(spent=spent, budget_usd_per_day=1.0).admit(f"Bearer {KEY}", None)
            client.begin()
            client.end([spend])
            if left:
                client.begin()
            else:
                assert refusal(client.begin).code == "budget_spent"
