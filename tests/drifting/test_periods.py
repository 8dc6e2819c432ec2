"""Traces by stretches of time, against the same figures by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from routebench.drifting import Served, by_period
from routebench.errors import InputError
from routebench.evaluate.estimates import mean_estimate
from routebench.evaluate.intervals import mean_interval
from routebench.evaluate.replay import weighted_quantile
from tests.drifting.production import BEGAN, frame, requests, rules, served


@pytest.fixture(scope="module")
def traces() -> pd.DataFrame:
    made = served(rules(), requests(400), failing=0.1)
    made[7] = replace(made[7], outcome="refused", model=None, cost_usd=None)
    made[9] = replace(made[9], outcome="cancelled", cost_usd=None)
    return frame(made)


def whole(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["model"].isna()]


def test_counts_add_up(traces: pd.DataFrame) -> None:
    table = by_period(traces, every="1h")
    assert whole(table)["n"].sum() == len(traces)
    assert table[table["model"].notna()]["n"].sum() == len(traces)
    assert whole(table)["failed"].sum() == (traces["outcome"] == "failed").sum()
    assert whole(table)["refused"].sum() == whole(table)["cancelled"].sum() == 1
    shares = table[table["model"].notna()].groupby("period")["share"].sum()
    assert shares.to_numpy() == pytest.approx(np.ones(len(shares)))


def test_figures_of_one_stretch_are_those_of_the_estimates(traces: pd.DataFrame) -> None:
    row = whole(by_period(traces, every="365D")).iloc[0]
    read = Served.of(traces)
    ones = np.ones(read.n)
    asked = read.asked
    failed = mean_interval(read.failed[asked].astype(float), read.conversation[asked], ones[asked], share=True)
    assert failed is not None
    assert failed.ci95 is not None
    assert row["failed_share"] == pytest.approx(failed.mean)
    assert (row["failed_low"], row["failed_high"]) == pytest.approx(failed.ci95, abs=2e-3)
    known = ~np.isnan(read.cost_usd)
    cost = mean_estimate(1000 * read.cost_usd[known], read.conversation[known], ones[known])
    assert cost is not None
    assert row["cost_usd_per_1k"] == pytest.approx(cost.value)
    plain = replace(cost, skewness=0.0).interval()
    assert (row["cost_low"], row["cost_high"]) == pytest.approx(plain, rel=0.01)
    for percent in (50, 95):
        assert row[f"latency_p{percent}_s"] == weighted_quantile(read.latency_s, ones, percent / 100)


def test_the_mix_of_one_stretch_is_a_share_of_answers(traces: pd.DataFrame) -> None:
    table = by_period(traces, every="365D").set_index("model")
    answered = traces[traces["model"].notna()]
    read = Served.of(answered)
    for name in ("small", "large"):
        share = mean_interval(read.model.are(name).astype(float), read.conversation, np.ones(read.n), share=True)
        assert share is not None
        assert share.ci95 is not None
        assert table.loc[name, "share"] == pytest.approx(share.mean)
        assert (table.loc[name, "share_low"], table.loc[name, "share_high"]) == pytest.approx(share.ci95, abs=3e-3)


def test_turns_of_one_conversation_are_not_so_many_requests(traces: pd.DataFrame) -> None:
    one = traces.assign(conversation=[f"v{place // 20}" for place in range(len(traces))], outcome="ok")
    one["cost_usd"] = [1.0 + place // 20 % 2 for place in range(len(traces))]
    alone = whole(by_period(one.assign(conversation=None), every="365D")).iloc[0]
    told = whole(by_period(one, every="365D")).iloc[0]
    assert told["cost_high"] - told["cost_low"] > 3 * (alone["cost_high"] - alone["cost_low"])


def test_an_hour_without_requests_has_a_row(traces: pd.DataFrame) -> None:
    late = traces.assign(at=traces["at"] + pd.Timedelta("5h"))
    table = whole(by_period(pd.concat([traces.iloc[:30], late.iloc[:30]]), every=timedelta(hours=1)))
    assert len(table) >= 6
    empty = table[table["n"] == 0]
    assert len(empty) >= 4
    assert empty[["cost_usd_per_1k", "failed_share", "latency_p50_s"]].isna().all(axis=None)


def test_unknown_costs_are_counted_and_free_nothing(traces: pd.DataFrame) -> None:
    table = whole(by_period(traces.assign(cost_usd=np.nan), every="365D")).iloc[0]
    assert table["n_cost_unknown"] == len(traces) - 1
    assert np.isnan(table["cost_usd_per_1k"])


def test_what_cannot_be_cut_is_said(traces: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="take a longer one"):
        by_period(traces, every="1s")
    with pytest.raises(InputError, match="no length of time; write 15min"):
        by_period(traces, every="now and then")
    assert by_period(traces.iloc[:0], every="1h").empty


def test_the_first_stretch_begins_at_a_whole_multiple(traces: pd.DataFrame) -> None:
    first = by_period(traces, every="1D")["period"].iloc[0]
    assert first == pd.Timestamp(BEGAN, unit="s", tz="UTC").floor("1D")


def test_policies_of_a_stretch_are_counted(traces: pd.DataFrame) -> None:
    two = traces.assign(policy=["a" if place < 100 else "b" for place in range(len(traces))])
    assert whole(by_period(two, every="365D"))["policies"].iloc[0] == 2
