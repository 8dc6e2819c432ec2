from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from importlib.resources import files

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from routebench.dash.prices import BOOK_COLUMNS, book_table, end
from routebench.messages import estimate_input_tokens, most_input_tokens
from routebench.pricing import (
    Retirement,
    billed_cost_usd,
    cell_costs_usd,
    known_models,
    list_cost_usd,
    list_costs_usd,
    look_up,
    price_of_call,
    repriced_costs,
    retirement,
    worst_case_usd,
)
from routebench.providers import Keys, model_key, priced_models, with_defaults
from routebench.rules import Default, RuleSet
from routebench.store.cases import model_from_row, model_row
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


COUNTS = st.one_of(st.none(), st.integers(0, 3000))


@given(
    st.lists(st.tuples(COUNTS, COUNTS, st.one_of(st.none(), st.floats(0, 100))), max_size=20),
    st.sampled_from(
        [
            PRICE,
            Price(input_usd_per_mtok=1.0),
            Price(usd_per_request=0.5),
            Price(cpu_usd_per_hour=36.0),
            Price(input_usd_per_mtok=1.0, output_usd_per_mtok=2.0, usd_per_request=0.1, cpu_usd_per_hour=1.0),
            Price(),
        ]
    ),
)
def test_many_calls_cost_what_each_of_them_costs(
    calls: list[tuple[int | None, int | None, float | None]], price: Price
) -> None:
    rows = [{"model": "m", "input_tokens": i, "output_tokens": o, "cpu_s": s} for i, o, s in calls]
    one_by_one = repriced_costs(rows, {"m": price})
    columns = [
        np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=float)
        for name in ("input_tokens", "output_tokens", "cpu_s")
    ]
    expected = np.array([np.nan if cost is None else cost for cost in one_by_one], dtype=float)
    np.testing.assert_allclose(list_costs_usd(price, *columns), expected, rtol=1e-12)
    assert repriced_costs(rows, {}) == [None] * len(rows)


def test_cells_of_a_model_without_another_price_keep_their_costs() -> None:
    cells = {
        "model": np.array([0, 1, 1]),
        "cost_usd": np.array([7.0, 8.0, np.nan]),
        "input_tokens": np.array([1.0, 1.0, 1.0]),
        "output_tokens": np.array([1.0, np.nan, 1.0]),
        "cpu_s": np.full(3, np.nan),
    }
    changed = cell_costs_usd([None, PRICE], cells)
    np.testing.assert_allclose(changed, [7.0, np.nan, 5e-6])
    assert cells["cost_usd"][1] == 8.0


def test_the_file_of_ends_states_a_page_and_a_day_for_every_date() -> None:
    document = yaml.safe_load((files("routebench.pricing") / "retirements.yaml").read_text(encoding="utf-8"))
    books = {entry.book for entry in known_models(AT)}
    seen: set[tuple[str, str]] = set()
    for block in document["blocks"]:
        assert block.keys() <= {"book", "source", "read", "dates", "not_before", "aliases"}
        assert block["book"] in books
        assert block["source"].startswith("https://")
        assert block["read"] <= date(2026, 11, 25)
        days = {**block.get("dates", {}), **block.get("not_before", {})}
        assert days
        assert all(type(day) is date for day in days.values()), block["source"]
        assert set(block.get("aliases", {}).values()) <= days.keys()
        for model in [*block.get("dates", {}), *block.get("not_before", {}), *block.get("aliases", {})]:
            assert (block["book"], model) not in seen, model
            seen.add((block["book"], model))
    assert len(seen) > 200


def test_an_end_is_of_the_very_id_and_a_promise_is_no_end() -> None:
    told = retirement("openai", "gpt-4o-2024-08-06")
    assert told is not None
    assert (told.date, told.retires, told.tentative) == (date(2027, 1, 14), date(2027, 1, 14), False)
    assert told.source == "https://developers.openai.com/api/docs/deprecations"
    # The undated id may be pointed at another snapshot, so its page's dates are not its own.
    assert retirement("openai", "gpt-4o") is None
    assert retirement("anthropic", "gpt-4o-2024-08-06") is None
    assert retirement(None, "gpt-4o-2024-08-06") is None
    alias = retirement("anthropic", "claude-opus-4-1")
    assert alias == retirement("anthropic", "claude-opus-4-1-20250805")
    promise = retirement("anthropic", "claude-opus-4-6")
    assert promise is not None
    assert (promise.retires, promise.not_before) == (None, date(2027, 2, 5))
    routed = retirement("aws", "us.anthropic.claude-3-haiku-20240307-v1:0")
    assert routed is not None
    assert routed == retirement("aws", "anthropic.claude-3-haiku-20240307-v1:0")


def test_the_book_s_entry_says_where_every_figure_is_from() -> None:
    entry = look_up("claude-sonnet-4-5-20250929", book="anthropic", base_url=None, at=AT)
    assert entry is not None
    told = entry.as_dict()
    assert (told["retires"], told["not_before"]) == ("2026-11-30", None)
    assert told["retires_source"].startswith("https://platform.claude.com/")
    assert told["window_source"] == told["source"]
    assert told["snapshots"] == {}
    unknown = look_up("qwen3-max", book="dashscope", base_url=None, at=AT)
    assert unknown is not None
    assert (unknown.retires, unknown.retires_source) == (None, None)
    # A snapshot that the page does not name has no end, though the book's entry for its family has one.
    later = look_up("gpt-5-2099-01-01", book="openai", base_url=None, at=AT)
    assert later is None or later.retires is None


def test_the_list_shows_snapshots_that_end_on_another_day() -> None:
    (family,) = [entry for entry in priced_models(AT, provider="openai") if entry.model == "gpt-4o"]
    assert family.retires is None
    assert {"gpt-4o-2024-08-06", "gpt-4o-2024-11-20"} <= family.snapshots.keys()
    assert family.as_dict()["snapshots"]["gpt-4o-2024-11-20"]["retires"] == "2027-01-14"
    table = book_table([family], AT.date())
    rows = [dict(zip(BOOK_COLUMNS, row, strict=True)) for row in table.rows]
    assert rows[0]["from"] == "[1]"
    assert any(row["model"] == "  gpt-4o-2024-11-20" and row["end"] == "2027-01-14, in 51 days" for row in rows)
    assert table.notes[0].startswith("[1] genai-prices ")
    assert table.notes[1].startswith("[2] https://developers.openai.com/")


def test_a_table_shows_tiers_and_marks_ends() -> None:
    entry = look_up("qwen3-max", book="dashscope", base_url=None, at=AT)
    assert entry is not None
    first, second, *_ = book_table([entry], AT.date()).rows
    assert (first[0], second[0]) == ("qwen3-max", "  above 32,000 tokens")
    today = date(2026, 12, 1)

    def told(day: date, *, tentative: bool = False) -> Retirement:
        return Retirement(day, "https://x.test", today, tentative)

    assert end(told(date(2026, 12, 13)), today) == "2026-12-13, in 12 days"
    assert end(told(date(2026, 12, 2)), today) == "2026-12-02, in 1 day"
    assert end(told(today), today) == "since 2026-12-01"
    assert end(told(date(2027, 1, 1), tentative=True), today) == "not before 2027-01-01"
    assert end(told(today, tentative=True), today) == ""
    assert end(None, today) == ""
    assert end(None, today, announced=True) == "announced"


def test_a_model_knows_its_end_and_the_user_s_word_wins_without_another_key() -> None:
    bare = make_model(provider="anthropic", model="claude-sonnet-4-5-20250929", price=None, price_source=None)
    model = with_defaults(bare, AT)
    assert model.retires == date(2026, 11, 30)
    own = with_defaults(replace(bare, retires=date(2030, 1, 1)), AT)
    assert own.retires == date(2030, 1, 1)
    assert model_key(own) == model_key(replace(own, retires=None))
    request = Request(messages=({"role": "user", "content": "hi"},))
    assert Keys(own).of(request, 0) == Keys(replace(own, retires=None)).of(request, 0)
    priced = with_defaults(make_model(provider="openai", model="gpt-5-mini"), AT)
    assert priced.price_source == "user"
    assert priced.retires == date(2026, 12, 11)
    elsewhere = make_model(provider="openai", model="gpt-5-mini", base_url="http://127.0.0.1:9/v1")
    assert with_defaults(elsewhere, AT).retires is None
    groq = make_model(base_url="https://api.groq.com/openai/v1", model="llama-3.1-8b-instant", price=None)
    assert with_defaults(groq, AT).retires == date(2026, 8, 16)


def test_an_end_is_kept_by_the_store_and_by_a_rule_set() -> None:
    model = make_model("small", retires=date(2026, 12, 11))
    row = model_row(model, "k", AT, 0)
    assert row["settings"]["retires"] == "2026-12-11"
    text = {name: json.dumps(row[name]) for name in ("settings", "params", "price")}
    assert model_from_row({**row, **text}) == model
    rules = RuleSet(name="r", models={"small": model}, default=Default(route=("small",)))
    assert RuleSet.parse(rules.to_yaml()).models["small"].retires == date(2026, 12, 11)
