"""Stored tokens under other prices: what is written, what would be, and what is left alone."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routebench.cli import main
from routebench.errors import InputError
from routebench.matrix import open_outcomes
from routebench.repricing import PriceChange, book_prices, costs_under, look_up_models, reprice, what_if
from routebench.store import (
    Cell,
    Store,
    add_completions,
    add_grades,
    read_answered_models,
    read_matrix,
    read_models,
    register,
    sql,
)
from routebench.suites import content_hash
from routebench.types import Model, Price, PriceTier
from tests.conftest import make_case, make_model

AT = datetime(2026, 11, 24, tzinfo=UTC)
FROM_BOOK: dict[str, Any] = {
    "price": Price(input_usd_per_mtok=9.0, output_usd_per_mtok=9.0),
    "price_source": "old book",
}
MODELS = (
    make_model("mini", provider="openai", model="gpt-5-mini", **FROM_BOOK),
    make_model("long", provider="gemini", model="gemini-2.5-pro", **FROM_BOOK),
    make_model("mine", provider="openai", model="gpt-5"),
    make_model("local", provider="embedded", price=Price(cpu_usd_per_hour=36.0), price_source="nominal CPU rate"),
    make_model("imported", provider="imported", price=None, price_source=None),
)


def filled(path: Path, *models: Model) -> Store:
    """Two cases asked of every model: a short prompt, and one of 300,000 tokens."""
    store = Store(path)
    cases = [make_case("short"), make_case("wide")]
    models = models or MODELS
    register(
        store,
        suite="s",
        run_id="r",
        cases=[(case, content_hash(case)) for case in cases],
        models=[(model, f"k-{model.name}") for model in models],
        cells=[
            Cell(case.id, one.name, 0, f"k-{one.name}", f"{case.id}-{one.name}") for case in cases for one in models
        ],
        at=AT,
    )
    add_completions(
        store,
        [
            {
                "request_key": f"{case.id}-{model.name}",
                "run_id": "r",
                "status": "ok",
                "text": "yes",
                "input_tokens": 1000 if case.id == "short" else 300_000,
                "output_tokens": 100,
                "cpu_s": 2.0,
                "cost_usd": 0.01,
                "billed_cost_usd": 0.02,
                "price_source": model.price_source,
                "started_at": AT,
                "attempts": 1,
            }
            for case in cases
            for model in models
        ],
    )
    add_grades(
        store,
        [
            {
                "suite": "s",
                "case_id": case.id,
                "request_key": f"{case.id}-{model.name}",
                "run_id": "r",
                "grader": "exact",
                "score": 1.0,
                "graded_at": AT,
            }
            for case in cases
            for model in models
        ],
    )
    return store


def stored(store: Store) -> list[tuple[Any, ...]]:
    frame = sql(store, "SELECT request_key, cost_usd, billed_cost_usd, price_source FROM completions ORDER BY 1")
    return [tuple(row) for row in frame.itertuples(index=False)]


def test_the_book_prices_what_it_knows_and_names_what_it_leaves_alone(tmp_path: Path) -> None:
    store = filled(tmp_path / "s.duckdb")
    models = read_answered_models(store)
    assert models == read_models(store, "s")
    found = look_up_models(models, AT)
    assert list(found.entries) == ["mini", "long"]
    assert found.left_alone == {
        "mine": "a price of your own",
        "local": "a price of your own",
        "imported": "not in the price book",
    }
    prices = book_prices(models, AT)
    assert prices == found.prices
    assert (prices["mini"].input_usd_per_mtok, prices["mini"].output_usd_per_mtok) == (0.25, 2.0)
    assert book_prices([make_model("x", provider="no-such-provider", price=None, price_source=None)], AT) == {}
    twice = [MODELS[0], make_model("mini", provider="openai", model="gpt-5-nano", **FROM_BOOK)]
    assert look_up_models(twice, AT).left_alone == {"mini": "one name for models of different prices"}


def test_what_if_says_the_change_and_writes_nothing(tmp_path: Path) -> None:
    store = filled(tmp_path / "s.duckdb")
    before = stored(store)
    tiered = Price(input_usd_per_mtok=1.0, output_usd_per_mtok=10.0, tiers=(PriceTier(200_000, 2.0, 20.0),))
    mini, long = what_if(store, {"mini": Price(usd_per_request=0.02), "long": tiered})
    assert mini.as_dict() == {
        "model": "mini",
        "answers": 2,
        "n_unknown_before": 0,
        "n_unknown_after": 0,
        "before_usd_per_1000": pytest.approx(10.0),
        "after_usd_per_1000": pytest.approx(20.0),
        "change_percent": pytest.approx(100.0),
    }
    # Every token of the longer prompt pays the tier's rates.
    assert long.after_usd_per_1000 == pytest.approx(1000 * ((0.001 + 0.001) + (0.6 + 0.002)) / 2)
    assert stored(store) == before


def test_a_change_is_over_answers_that_are_known_under_both() -> None:
    change = PriceChange.of("m", [1.0, None, 2.0, 4.0], [2.0, 5.0, None, 4.0])
    assert (change.n_unknown_before, change.n_unknown_after) == (1, 1)
    assert change.change_percent == pytest.approx(20.0)
    assert PriceChange.of("m", [None], [1.0]).change_percent is None
    assert PriceChange.of("m", [0.0], [1.0]).change_percent is None


def test_costs_from_the_book_are_written_with_their_source_and_the_bill_stays(tmp_path: Path) -> None:
    store = filled(tmp_path / "s.duckdb")
    found = look_up_models(read_answered_models(store), AT)
    reprice(store, found.prices, AT.date(), book=found.entries)
    frame = sql(store, "SELECT * FROM completions ORDER BY request_key").set_index("request_key")
    assert frame.loc["short-mini", "cost_usd"] == pytest.approx((1000 * 0.25 + 100 * 2) / 1e6)
    assert str(frame.loc["short-mini", "price_source"]).startswith("genai-prices ")
    assert frame.loc["short-mini", "billed_cost_usd"] == 0.02
    assert frame.loc["short-mine", "cost_usd"] == 0.01
    (mini,) = [model for model in read_models(store, "s") if model.name == "mini"]
    assert (mini.price, mini.price_date) == (found.prices["mini"], date(2026, 11, 24))


def test_columns_and_the_matrix_hold_the_same_costs(tmp_path: Path) -> None:
    store = filled(tmp_path / "s.duckdb")
    prices = dict(book_prices(read_models(store, "s"), AT))
    columns = costs_under(store, "s", prices)
    told = {
        (case, model): cost
        for case, model, cost in zip(columns["case_id"], columns["model"], columns["cost_usd"], strict=True)
    }
    assert len(told) == 10
    assert told["short", "mini"] == pytest.approx((1000 * 0.25 + 100 * 2) / 1e6)
    assert told["wide", "mine"] == 0.01
    matrix = open_outcomes(store, "s", prices=prices)
    for (case, model), cost in told.items():
        place = list(matrix.cases.ids).index(case), matrix.models.index(model), 0
        assert matrix.cost_usd[place] == pytest.approx(cost), (case, model)
    assert matrix.cacheable_usd is not None
    np.testing.assert_array_equal(open_outcomes(store, "s").cost_usd, np.full((2, 5, 1), 0.01))
    with pytest.raises(InputError, match="no answers of model 'minni'"):
        costs_under(store, "s", {"minni": Price()})


def test_tokens_are_read_only_when_they_are_asked_for(tmp_path: Path) -> None:
    store = filled(tmp_path / "s.duckdb")
    assert not {"output_tokens", "cpu_s"} & read_matrix(store, "s", ["mini"]).cells.keys()
    cells = read_matrix(store, "s", ["mini"], tokens=True).cells
    assert list(cells["output_tokens"]) == [100.0, 100.0]
    assert list(cells["cpu_s"]) == [2.0, 2.0]


def test_the_command_shows_a_change_and_writes_it_only_without_what_if(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = filled(tmp_path / "s.duckdb")
    before = stored(store)
    path = str(tmp_path / "s.duckdb")
    assert main(["reprice", "--store", path, "--book", "--what-if"]) == 0
    out = capsys.readouterr().out
    assert "before per 1,000" in out
    assert "mine: left alone, a price of your own" in out
    assert "nothing was written" in out
    assert main(["reprice", "--store", path, "--book", "--what-if", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["model"] for row in rows] == ["mini", "long", "mine", "local", "imported"]
    assert rows[0]["before_usd_per_1000"] == pytest.approx(10.0)
    assert rows[-1] == {"model": "imported", "left_alone": "not in the price book"}
    assert stored(store) == before
    assert main(["reprice", "--store", path, "--book"]) == 0
    assert "mini: 2 answers $" in capsys.readouterr().out
    assert stored(store) != before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("currency: EUR\nprices: {mini: {usd_per_request: 1}}", "p.yaml:1:1: prices here are US dollars"),
        ("prices: {mini: {usd_per_request: 1, currency: EUR}}", "p.yaml:1:37: prices here are US dollars"),
        ("prices: {maxi: {usd_per_request: 1}}", "no answers of model 'maxi'"),
    ],
)
def test_a_price_in_another_currency_or_of_another_model_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    before = stored(filled(tmp_path / "s.duckdb"))
    (tmp_path / "p.yaml").write_text(text)
    for more in ([], ["--what-if"]):
        command = ["reprice", "--store", str(tmp_path / "s.duckdb"), "--prices", str(tmp_path / "p.yaml")]
        assert main([*command, *more]) == 2
        assert words in capsys.readouterr().err
    assert stored(Store(tmp_path / "s.duckdb")) == before


def test_prices_come_from_a_file_or_from_the_book_and_not_from_both(tmp_path: Path) -> None:
    for told in ([], ["--book", "--prices", "p.yaml"]):
        with pytest.raises(SystemExit):
            main(["reprice", "--store", str(tmp_path / "s.duckdb"), *told])
