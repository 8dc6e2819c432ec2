from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routebench.messages import estimate_input_tokens, most_input_tokens
from routebench.pricing import billed_cost_usd, known_models, list_cost_usd, look_up, price_of_call, worst_case_usd
from routebench.types import Completion, Price, PriceTier, Request, Usage
from tests.conftest import make_model

AT = datetime(2026, 11, 24, tzinfo=UTC)
PRICE = Price(
    input_usd_per_mtok=1.0,
    output_usd_per_mtok=4.0,
    cached_input_usd_per_mtok=0.1,
    cache_write_usd_per_mtok=1.25,
    tiers=(PriceTier(1000, 2.0, 8.0, 0.2, 2.5),),
)


def test_the_list_price_does_not_know_the_cache_and_the_bill_does() -> None:
    usage = Usage(input_tokens=1000, output_tokens=100, cached_input_tokens=600, cache_write_tokens=200)
    assert list_cost_usd(usage, PRICE) == pytest.approx(1400e-6)
    assert billed_cost_usd(usage, PRICE) == pytest.approx(1400e-6 - 600 * 0.9e-6 + 200 * 0.25e-6)


def test_a_long_prompt_pays_the_tier_s_rates_for_every_token() -> None:
    assert list_cost_usd(Usage(1000, 100), PRICE) == pytest.approx(1400e-6)
    assert list_cost_usd(Usage(1001, 100), PRICE) == pytest.approx(2802e-6)
    assert billed_cost_usd(Usage(1001, 100, 1001), PRICE) == pytest.approx(1001 * 0.2e-6 + 800e-6)


@pytest.mark.parametrize("usage", [Usage(), Usage(input_tokens=5), Usage(output_tokens=5)])
def test_an_unknown_count_makes_the_cost_unknown(usage: Usage) -> None:
    assert list_cost_usd(usage, PRICE) is None
    assert list_cost_usd(usage, None) is None


def test_a_half_known_price_is_unknown() -> None:
    assert list_cost_usd(Usage(5, 5), Price(input_usd_per_mtok=1.0)) is None
    assert list_cost_usd(Usage(), Price(usd_per_request=0.5)) == 0.5
    assert list_cost_usd(Usage(), Price(cpu_usd_per_hour=36.0), cpu_s=2.0) == pytest.approx(0.02)
    assert list_cost_usd(Usage(), Price(cpu_usd_per_hour=36.0)) is None


def reported(cost: float | None, **usage: int) -> Completion:
    return Completion(status="ok", usage=Usage(100, 10, **usage), reported_cost_usd=cost)


def test_the_user_s_price_wins_then_the_provider_s_report_then_the_book() -> None:
    user = make_model(price=PRICE, price_source="user")
    book = make_model(price=PRICE, price_source="genai-prices 1", price_date=AT.date())
    nobody = make_model(price=None, price_source=None)
    listed = pytest.approx(140e-6)
    assert price_of_call(reported(0.5), user).list_usd == listed
    assert price_of_call(reported(0.5), user).source == "user"
    told = price_of_call(reported(0.5), book)
    assert (told.list_usd, told.billed_usd, told.source, told.price_date) == (0.5, 0.5, "provider", None)
    unsaid = price_of_call(reported(None), book)
    assert (unsaid.list_usd, unsaid.source, unsaid.price_date) == (listed, "genai-prices 1", AT.date())
    unknown = price_of_call(reported(None), nobody)
    assert (unknown.list_usd, unknown.billed_usd, unknown.source) == (None, None, None)


def test_a_report_with_cached_tokens_is_no_list_price() -> None:
    book = make_model(price=PRICE, price_source="genai-prices 1")
    cached = price_of_call(reported(0.5, cached_input_tokens=50), book)
    assert (cached.list_usd, cached.billed_usd, cached.source) == (pytest.approx(140e-6), 0.5, "genai-prices 1")
    alone = price_of_call(reported(0.5, cached_input_tokens=50), make_model(price=None, price_source=None))
    assert (alone.list_usd, alone.source) == (0.5, "provider, cache included")


def test_a_refused_call_is_billed_nothing_and_has_no_list_price() -> None:
    refused = Completion(status="error", error_kind="rate_limited", billed_cost_usd=0.0)
    cost = price_of_call(refused, make_model())
    assert (cost.list_usd, cost.billed_usd, cost.source) == (None, 0.0, None)


@given(st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 3000))
def test_no_bill_exceeds_the_worst_case(input_tokens: int, output_tokens: int, cached: int, written: int) -> None:
    cached = min(cached, input_tokens)
    written = min(written, input_tokens - cached)
    bill = billed_cost_usd(Usage(input_tokens, output_tokens, cached, written), PRICE)
    worst = worst_case_usd(
        PRICE, input_tokens=input_tokens, max_output=output_tokens, timeout_s=1.0, caching=written > 0
    )
    assert bill is not None
    assert worst is not None
    assert bill <= worst + 1e-12


def test_a_worst_case_without_a_bound_is_unknown() -> None:
    assert worst_case_usd(PRICE, input_tokens=None, max_output=5, timeout_s=1.0) is None
    assert worst_case_usd(PRICE, input_tokens=5, max_output=None, timeout_s=1.0) is None
    assert worst_case_usd(None, input_tokens=5, max_output=5, timeout_s=1.0) is None
    assert worst_case_usd(Price(cpu_usd_per_hour=36.0), input_tokens=None, max_output=None, timeout_s=10.0) == 0.1


@given(st.text(max_size=80), st.text(max_size=80))
def test_the_bound_on_tokens_holds_more_than_bytes(system: str, user: str) -> None:
    messages = ({"role": "system", "content": system}, {"role": "user", "content": user})
    bound = most_input_tokens(Request(messages=messages))
    assert bound is not None
    assert bound >= len((system + user).encode(errors="replace")) + 2
    assert bound >= estimate_input_tokens(messages)


def test_images_have_no_bound_and_tools_and_schemas_are_counted() -> None:
    image = [{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}]
    assert most_input_tokens(Request(messages=({"role": "user", "content": image},))) is None
    plain = Request(messages=({"role": "user", "content": "hi"},))
    with_tools = Request(messages=plain.messages, tools=({"type": "function", "function": {"name": "x" * 500}},))
    schema = Request(messages=plain.messages, response_format={"type": "json_schema", "x": "y" * 500})
    small = most_input_tokens(plain)
    assert small is not None
    for request, more in ((with_tools, 500 + 1024), (schema, 500)):
        bound = most_input_tokens(request)
        assert bound is not None
        assert bound >= small + more


def test_the_book_is_read_with_its_tiers_and_its_date() -> None:
    entry = look_up("gemini-2.5-pro", book="google", base_url=None, at=AT)
    assert entry is not None
    assert entry.price.tiers
    assert entry.price.tiers[0].above_input_tokens == 200_000
    assert entry.price.tiers[0].input_usd_per_mtok != entry.price.input_usd_per_mtok
    assert entry.price_date == date(2026, 11, 24)
    assert entry.source.startswith("genai-prices ")
    assert Price.from_dict(entry.price.as_dict()) == entry.price


def test_what_the_book_does_not_have_is_unknown_and_not_guessed() -> None:
    assert look_up("no-such-model", book="openai", base_url=None, at=AT) is None
    assert look_up("gpt-4o-mini", book=None, base_url=None, at=AT) is None
    assert look_up("gpt-4o-mini", book=None, base_url="http://127.0.0.1:9/v1", at=AT) is None
    assert look_up("qwen-plus", book="dashscope", base_url=None, at=AT) is None


def test_every_model_of_the_book_has_a_readable_price() -> None:
    entries = list(known_models(AT))
    assert len(entries) > 500
    assert {"openai", "anthropic", "google", "dashscope"} <= {entry.book for entry in entries}
    for entry in entries:
        rates = entry.price.as_dict()
        assert rates, entry
        assert all(value >= 0 for name, value in rates.items() if name != "tiers"), entry


def test_what_another_tier_or_an_hour_s_cache_was_billed_is_unknown() -> None:
    model = make_model(price=PRICE)
    priority = price_of_call(Completion(status="ok", usage=Usage(100, 10), service_tier="priority"), model)
    assert (priority.list_usd, priority.billed_usd) == (pytest.approx(140e-6), None)
    raw = {"cache_creation": {"ephemeral_1h_input_tokens": 50}}
    hour = price_of_call(Completion(status="ok", usage=Usage(100, 10, 0, 50, None, raw)), model)
    assert (hour.list_usd, hour.billed_usd) == (pytest.approx(140e-6), None)
