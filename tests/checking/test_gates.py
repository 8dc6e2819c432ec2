"""Each gate: when it holds, when it fails, and when it says that it could not look."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from routebench.checking import Bounds, Checked, Gate, check_rules
from routebench.errors import InputError, StoreError
from routebench.providers import book_entry
from routebench.rules import Default, RuleSet
from routebench.store import Store
from routebench.types import Model, Price
from tests.checking.samples import AT, MODELS, Sample, _cases, fill, make_sample
from tests.conftest import make_model


def gate(checked: Checked, name: str) -> Gate:
    (found,) = [one for one in checked.gates if one.name == name]
    return found


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return make_sample(tmp_path)


def test_what_was_tuned_passes_and_bounds_are_held(sample: Sample) -> None:
    checked = check_rules(
        sample.rules,
        at=AT,
        store=sample.store,
        bounds=Bounds(min_quality=0.5, max_cost_usd_per_1k=0.1, max_latency_p95_s=1.0),
        max_age_days=5,
    )
    assert [(one.name, one.ok) for one in checked.gates] == [
        ("golden", True),
        ("evidence", True),
        ("min_quality", True),
        ("max_cost_usd_per_1k", False),
        ("max_latency_p95_s", False),
        ("prices", None),
        ("retirement", None),
        ("age", True),
    ]
    document = checked.as_dict()
    assert not document["ok"]
    assert document["evidence"]["same_outcomes"]
    assert document["evidence"]["quality"] == sample.ruleset().evidence["quality"]
    assert "at most $0.1 wanted" in gate(checked, "max_cost_usd_per_1k").reading


def test_without_a_store_what_needs_one_is_refused(sample: Sample) -> None:
    assert [one.name for one in check_rules(sample.rules, at=AT).gates] == ["golden", "retirement"]
    for asked in ({"final": True}, {"bounds": Bounds(min_quality=0.1)}, {"suite": "s"}):
        with pytest.raises(InputError, match="give --store"):
            check_rules(sample.rules, at=AT, **asked)  # type: ignore[arg-type]


def test_evidence_that_was_edited_is_found_out(sample: Sample) -> None:
    def fails(key: str, value: object) -> str:
        text = sample.rules.read_text()
        sample.change(lambda one: replace(one, evidence={**one.evidence, key: value}))
        found = gate(check_rules(sample.rules, at=AT, store=sample.store), "evidence")
        sample.rules.write_text(text)
        assert found.ok is False
        return found.reading

    assert "the file says 99.0%" in fails("quality", {"mean": 0.99})
    assert "`cost_usd_per_1k.mean` is 0.001 in the file" in fails("cost_usd_per_1k", {"mean": 0.001})
    assert "`versus.fixed_mix.delta_quality`" in fails("versus", {"fixed_mix": {"delta_quality": 0.5}})
    assert "is missing" in fails("quality", {})
    sample.change(lambda one: replace(one, evidence={}))
    with pytest.raises(InputError, match="nothing to check"):
        check_rules(sample.rules, at=AT, store=sample.store)


def test_other_outcomes_are_news_until_they_are_worse_than_chance(sample: Sample, tmp_path: Path) -> None:
    cases = _cases(240, 0)
    fill(Store(tmp_path / "alike.duckdb"), cases, MODELS, seed=4)
    checked = check_rules(sample.rules, at=AT, store=tmp_path / "alike.duckdb")
    assert checked.ok
    assert "on other outcomes" in gate(checked, "evidence").reading
    assert checked.evidence is not None
    assert not checked.evidence["same_outcomes"]
    # The models have swapped what they know: whatever goes to the cheap one is now lost.
    fill(
        Store(tmp_path / "worse.duckdb"),
        cases,
        [replace(MODELS[1], name="dear"), replace(MODELS[0], name="cheap")],
        seed=4,
    )
    found = gate(check_rules(sample.rules, at=AT, store=tmp_path / "worse.duckdb"), "evidence")
    assert found.ok is False
    assert "below the file's interval" in found.reading
    assert "worse than best_single" in found.reading


def test_models_without_outcomes_and_suites_that_are_not_said(sample: Sample) -> None:
    third = make_model("third", provider="elsewhere")
    with pytest.raises(StoreError, match="has no suite 't'"):
        check_rules(sample.rules, at=AT, store=sample.store, suite="t")
    sample.change(lambda one: replace(one, models={**one.models, "third": third}, order=(*one.order, "third")))
    with pytest.raises(InputError, match="no outcomes of third"):
        check_rules(sample.rules, at=AT, store=sample.store)
    Store(sample.store).insert("cases", [{"suite": "other", "case_id": "a", "messages": [], "request": {}}])
    with pytest.raises(InputError, match=r"--suite which suite .* it holds other, s"):
        check_rules(sample.rules, at=AT, store=sample.store)


def from_book(name: str, model: str, **fields: object) -> Model:
    made = make_model(name, provider="openai", model=model)
    entry = book_entry(made, AT)
    assert entry is not None
    told = {"price": entry.price, "price_source": entry.source, "price_date": date(2026, 3, 1)}
    return replace(made, **{**told, **fields})  # type: ignore[arg-type]


def test_prices_that_stand_still_say_since_when(tmp_path: Path) -> None:
    models = (from_book("cheap", "gpt-5-nano"), replace(MODELS[1], price_source="user"))
    sample = make_sample(tmp_path, models=models)
    found = gate(check_rules(sample.rules, at=AT, store=sample.store), "prices")
    assert found.ok
    assert "no price has moved since 2026-03-01; not looked at: dear (a price of your own)" in found.reading


def test_prices_that_move_and_change_nothing_are_told(tmp_path: Path) -> None:
    old = Price(0.06, 0.4)
    models = (from_book("cheap", "gpt-5-nano", price=old), from_book("dear", "gpt-5"))
    sample = make_sample(tmp_path, models=models)
    found = gate(check_rules(sample.rules, at=AT, store=sample.store), "prices")
    assert found.ok
    # 1,000 tokens in and 100 out: $0.00009 today, $0.0001 before.
    assert "prices: cheap -10.0%; 1,000 requests cost" in found.reading


def test_prices_that_turn_a_rule_set_dear_fail(tmp_path: Path) -> None:
    # The cheap one has become twelve times as dear as the other.
    models = (from_book("cheap", "gpt-5-pro", price=Price(0.05, 0.4)), from_book("dear", "gpt-5"))
    sample = make_sample(tmp_path, models=models)
    checked = check_rules(sample.rules, at=AT, store=sample.store, bounds=Bounds(max_cost_usd_per_1k=2.0))
    assert gate(checked, "max_cost_usd_per_1k").ok
    found = gate(checked, "prices")
    assert found.ok is False
    for words in (
        "no longer cheaper",
        "no longer better than the fixed mix",
        "no longer costs at most $2",
        "tune again",
    ):
        assert words in found.reading
    assert not checked.ok


def ruleset(**retires: date | None) -> RuleSet:
    models = {name: make_model(name, provider="elsewhere", retires=day) for name, day in retires.items()}
    return RuleSet(name="r", models=models, default=Default(route=tuple(models)))


@pytest.mark.parametrize(
    ("days", "ok", "words"),
    [
        (0, False, "a has been retired since 2026-11-25"),
        (30, True, "warning: a retires on 2026-12-25, in 30 days"),
        (31, True, "no model retires within 30 days"),
        (None, None, "of none of its 2 models is a date known"),
    ],
)
def test_models_that_end(tmp_path: Path, days: int | None, ok: bool | None, words: str) -> None:
    path = tmp_path / "rules.yaml"
    end = None if days is None else AT.date() + timedelta(days=days)
    path.write_text(ruleset(a=end, b=None).to_yaml())
    found = gate(check_rules(path, at=AT), "retirement")
    assert found.ok is ok
    assert words in found.reading
    assert days is None or "of 1 of 2 models no date is known" in found.reading


def test_a_providers_page_tells_an_end_that_the_file_does_not(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    gone = Model("old", provider="anthropic", model="claude-3-opus-20240229")
    path.write_text(RuleSet(name="r", models={"old": gone}, default=Default(route=("old",))).to_yaml())
    found = gate(check_rules(path, at=AT), "retirement")
    assert found.ok is False
    assert "route to another model" in found.reading


@pytest.mark.parametrize(
    ("created", "ok"),
    [(date(2026, 11, 20), True), ("2026-11-20", True), ("2026-11-19", False), (None, False), ("soon", False)],
)
def test_evidence_grows_old(tmp_path: Path, created: object, ok: bool) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(replace(ruleset(a=None), evidence={"created": created}).to_yaml())
    assert gate(check_rules(path, at=AT, max_age_days=5), "age").ok is ok
