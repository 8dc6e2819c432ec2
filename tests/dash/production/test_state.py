"""What is chosen of traces, and how they stand by stretches of time; without a widget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from routebench.dash.production.log import NONE, Log
from routebench.dash.production.sources import FrameSource, open_source
from routebench.dash.production.state import Production
from routebench.dash.production.tables import MOST_TRACES, figure_rows, period_table, trace_table
from routebench.dash.production.wording import choices, reading, span
from routebench.errors import InputError
from routebench.traces import Trace, TraceWriter
from tests.dash.production.traffic import STARTS_S, traffic


@pytest.fixture
def state() -> Production:
    return opened(traffic())


class Growing:
    """Gives one frame after the other."""

    name = "a gateway"
    grows = True

    def __init__(self, *frames: pd.DataFrame) -> None:
        self._left = list(frames)

    def fresh(self) -> pd.DataFrame:
        return self._left.pop(0) if self._left else traffic(0)

    def whole(self, trace_id: str, at_s: float) -> Any:
        raise InputError(f"trace {trace_id}: it is no longer there")


def opened(frame: pd.DataFrame) -> Production:
    made = Production(FrameSource(frame))
    made.look()
    return made


def test_everything_is_counted_once(state: Production) -> None:
    frame = traffic()
    assert state.log.n == state.shown.n == state.picked.n == len(frame)
    assert int(state.totals["n"].sum()) == len(frame)
    assert int(state.periods.loc[state.periods["model"].notna(), "n"].sum()) <= len(frame)
    answered = frame["model"].value_counts()
    assert state.by_model()["n"].ge(answered.reindex(state.by_model().index)).all()
    assert dict(state.options("client")) == frame["client"].value_counts().to_dict()


def test_a_stretch_is_so_long_that_about_forty_are_drawn(state: Production) -> None:
    # An hour of traces.
    assert state.length_s == 120
    assert 30 <= len(state.totals) <= 48
    state.cut(900)
    assert state.length_s == 900
    assert (state.totals["start_ms"] % 900_000 == 0).all()
    state.cut(1)
    assert state.length_s == 10, "so many stretches nobody can look at"
    whole = state.totals
    assert np.allclose(np.diff(whole["start_ms"]), 10_000), "also those without a request"
    state.cut(None)
    assert state.length_s == 120


def test_choices_leave_the_traces_that_have_the_value(state: Production) -> None:
    frame = traffic()
    state.choose("model", "small")
    assert state.shown.n == (frame["model"] == "small").sum()
    state.choose("client", "batch")
    both = frame[(frame["model"] == "small") & (frame["client"] == "batch")]
    assert state.shown.n == len(both)
    assert list(state.frame()["trace_id"]) == list(both["trace_id"])
    assert choices(state) == "model small · client batch"
    state.choose("model", NONE)
    assert state.shown.n == (frame["model"].isna() & (frame["client"] == "batch")).sum()
    state.choose("model", None)
    state.choose("client", None)
    state.look_back(600)
    assert state.shown.n == 100
    assert choices(state) == "the last 10 min"
    with pytest.raises(InputError, match="not chosen by 'prompt'; there are model, rule"):
        state.choose("prompt", "x")  # type: ignore[arg-type]


def test_selected_stretches_narrow_tables_and_not_pictures(state: Production) -> None:
    names = list(state.totals["name"][3:6])
    before = len(state.totals)
    state.select(names)
    assert len(state.totals) == before
    inside = state.totals[state.totals["name"].isin(names)]
    assert state.picked.n == int(inside["n"].sum()) == 60
    start_s, end_s = inside["start_ms"].min() / 1000, inside["end_ms"].max() / 1000
    assert ((state.picked.served.at_s >= start_s) & (state.picked.served.at_s < end_s)).all()
    assert "60 of 600 requests" in reading(state)
    with pytest.raises(InputError, match="there is no stretch 'not there'; take names"):
        state.select(["not there"])
    assert state.picked.n == 60
    state.select(())
    assert state.picked.n == 600


def test_selected_stretches_stay_as_long_as_they_are(state: Production) -> None:
    name = str(state.totals["name"].iloc[-2])
    state.select([name])
    state.look_back(600)
    assert state.length_s == 120, "another length would select other traces"
    assert (state.selected, state.picked.n) == (frozenset([name]), 20)
    state.select(())
    state.look_back(600)
    assert state.length_s == 30


def test_stretches_that_became_too_short_are_selected_no_more() -> None:
    state = Production(Growing(traffic(600), traffic(600, start=600)))
    state.look()
    state.cut(10)
    state.select([str(state.totals["name"].iloc[0])])
    assert state.look() == 600
    assert state.length_s == 30, "two hours in 10 s are more than can be drawn"
    assert state.selected == frozenset()
    assert state.picked.n == 1200


def test_other_stretches_are_the_same_traces(state: Production) -> None:
    before = state.version
    state.cut(300)
    assert state.version == before
    state.look_back(600)
    assert state.version != before


@pytest.mark.parametrize("length_s", [0, -60, 0.5, float("nan"), float("inf")])
def test_a_length_that_is_none_is_refused(state: Production, length_s: float) -> None:
    with pytest.raises(InputError, match="give whole seconds, such as 300"):
        state.cut(length_s)
    assert state.length_s == 120


@pytest.mark.parametrize("last_s", [0, -60, float("nan"), float("inf")])
def test_one_cannot_look_back_on_nothing(state: Production, last_s: float) -> None:
    with pytest.raises(InputError, match="give a positive number of seconds"):
        state.look_back(last_s)
    assert state.shown.n == 600


def test_what_went_another_way_is_told_by_kind(state: Production) -> None:
    frame, found = traffic(), state.incidents
    counts = found.groupby("what")["n"].sum()
    first = frame["chain"].str[0]
    assert counts["shifted by health"] == ((frame["wanted"] != first) & ~frame["explored"]).sum()
    assert counts["explored"] == frame["explored"].sum()
    assert counts["client went away"] == (frame["outcome"] == "cancelled").sum()
    assert counts["request failed"] == (frame["outcome"] == "failed").sum()
    failing = frame["attempts"].map(lambda tried: any(one["verdict"] == "failed" for one in tried))
    assert counts["call failed: server"] == failing.sum() > counts["request failed"]
    assert counts["shadow differs"] == (first != frame["shadow_chain"].str[0]).sum()
    assert (found["share"] <= 1).all()


def test_a_request_whose_calls_failed_alike_is_one_request() -> None:
    frame = traffic(40)
    frame["attempts"] = [
        [{"model": "small", "verdict": "failed", "error_kind": "timeout"}] * 3 if number == 7 else []
        for number in range(40)
    ]
    counts = opened(frame).incidents.groupby("what")["n"].sum()
    assert counts["call failed: timeout"] == 1


def test_policies_stand_in_the_order_in_which_they_came(state: Production) -> None:
    found = state.policies()
    assert found["policy"].tolist() == ["aaaaaaaaaaaa", "bbbbbbbbbbbb"]
    assert found["n"].tolist() == [300, 300]
    assert found["from_ms"].tolist() == [1000 * STARTS_S, 1000 * (STARTS_S + 1800)]


def test_the_shadow_is_told_by_rule(state: Production) -> None:
    frame, found = traffic(), state.shadow()
    same = frame["chain"].str[0] == frame["shadow_chain"].str[0]
    for rule in ("short", "default"):
        own = same[frame["rule"] == rule]
        assert found.loc[rule, "agree"] == pytest.approx(own.mean())
        assert found.loc[rule, "low"] < own.mean() < found.loc[rule, "high"]
        assert found.loc[rule, "differ"] == (~own).sum()
    assert found.loc["short", "most"].startswith("small → large (")


def test_a_shadow_that_found_no_model_differs() -> None:
    frame = traffic(40)
    frame["shadow_chain"] = [[]] * 40
    found = opened(frame).shadow()
    assert found["differ"].sum() == 40
    assert found.iloc[0]["most"].split(" (")[0].endswith("→ no model")


def test_without_a_shadow_there_is_no_row() -> None:
    frame = traffic(40).drop(columns=["shadow_rules", "shadow_rule", "shadow_chain"])
    state = opened(frame)
    assert state.shadow().empty
    assert "shadow" not in reading(state)


def test_unknown_stays_unknown() -> None:
    frame = traffic(40)
    frame["cost_usd"] = np.nan
    state = opened(frame)
    assert "cost n/a" in reading(state)
    row = figure_rows(state.by_model()).iloc[0]
    assert row["cost"].text == "n/a"
    assert row["unknown"] == row["n"]
    assert row["escalated"] is None, "no cascade is not no escalation"


def test_below_thirty_no_interval_is_told() -> None:
    state = opened(traffic(12))
    assert "too few to decide" in reading(state)
    assert "[" not in reading(state)
    told = figure_rows(state.by_model())
    assert told["cost"].map(lambda one: one.text.endswith("too few to decide") or one.text == "n/a").all()
    assert told["p95"].isna().all()


def test_the_reading_holds_the_figures(state: Production) -> None:
    frame = traffic()
    text = reading(state)
    assert text.startswith("600 requests within 1 h from 2026-11-30 00:53:20 to 01:53:14 UTC")
    share = (frame["model"] == "small").sum() / frame["model"].notna().sum()
    assert f"small gave {100 * share:.1f}% [" in text
    assert f"({frame['cost_usd'].isna().sum()} of unknown cost left out)" in text
    assert "2 rule sets decided" in text
    days = reading(opened(traffic(40, every_s=3600)))
    assert days.startswith("40 requests within 1 d 15 h from 2026-11-30 00:53:20 to 2026-12-01 15:53:20 UTC")


def test_no_traces_are_told_and_not_drawn(tmp_path: Path) -> None:
    state = Production(open_source(tmp_path / "traces"))
    assert state.look() == 0
    assert reading(state).startswith(f"0 traces yet in {tmp_path / 'traces'}")
    for found in (state.totals, state.incidents, state.by_model(), state.by_rule(), state.shadow(), state.policies()):
        assert found.empty
    assert trace_table(state.picked).empty
    assert period_table(state.totals).empty
    full = opened(traffic(40))
    full.choose("outcome", "broken")
    assert reading(full).startswith("None of 40 traces is left by these choices")
    for found in (full.totals, full.incidents, full.by_model(), full.by_rule(), full.shadow(), full.policies()):
        assert found.empty, "names that nobody has any more are no rows"


def test_new_traces_are_read_while_they_are_written(tmp_path: Path) -> None:
    state = Production(open_source(tmp_path))
    writer = TraceWriter(tmp_path, flush_s=0.01)
    writer.start()
    for number in (3, 1):
        writer.put(trace(number))
    writer.close()
    assert state.look() == 2
    assert state.log.ids.tolist() == ["t1", "t3"]
    later = TraceWriter(tmp_path)
    later.start()
    later.put(trace(2))
    later.close()
    assert state.look() == 1, "it began before one that was read already, and ended after it"
    assert state.log.ids.tolist() == ["t1", "t2", "t3"]
    assert state.look() == 0
    assert state.open("t2")["answer"] == "2"
    with pytest.raises(InputError, match="there is none of that name"):
        state.open("t9")


def trace(number: int) -> Trace:
    return Trace(
        trace_id=f"t{number}",
        at=STARTS_S + 60 * number,
        gateway="g",
        rules="team",
        policy="a" * 12,
        status=200,
        outcome="ok",
        streamed=False,
        latency_s=0.5,
        rule="all",
        chain=("small",),
        wanted="small",
        model="small",
        answer=str(number),
    )


def test_times_may_be_seconds_and_columns_may_be_missing() -> None:
    frame = traffic(50)[["trace_id", "at", "outcome", "model"]]
    seconds = frame.assign(at=STARTS_S + 6.0 * np.arange(50))
    assert opened(seconds).log.served.at_s.tolist() == opened(frame).log.served.at_s.tolist()
    with pytest.raises(InputError, match="no traces: column 'trace_id' is missing"):
        Log.of(pd.DataFrame({"at": [1.0]}))


def test_the_table_of_traces_says_what_was_special() -> None:
    frame = traffic()
    table = trace_table(opened(frame).picked)
    assert len(table) == 600 <= MOST_TRACES
    assert table.index[0] == "t599", "the latest first"
    number = int(np.flatnonzero(frame["explored"])[0])
    assert "explored" in table.loc[f"t{number}", "marks"]
    moved = frame[(frame["wanted"] != frame["chain"].str[0]) & ~frame["explored"]].iloc[0]
    assert "health: large for small" in table.loc[moved["trace_id"], "marks"]
    failed = frame[frame["outcome"] == "failed"].iloc[0]
    row = table.loc[failed["trace_id"]]
    assert row["outcome"] == "failed, 502"
    assert "call failed: server" in row["marks"]
    assert row["model"] is None


@pytest.mark.parametrize(
    ("length_s", "told"),
    [(0.05, "50.0 ms"), (42, "42 s"), (600, "10 min"), (3700, "1 h 2 min"), (7200, "2 h"), (100_000, "1 d 3 h")],
)
def test_spans_are_told_as_people_say_them(length_s: float, told: str) -> None:
    assert span(length_s) == told
