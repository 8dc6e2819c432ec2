"""Traces as columns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from routebench.drifting import Served
from routebench.errors import InputError
from tests.drifting.production import LARGE, SMALL, frame, requests, rules, served


def test_rows_come_in_the_order_of_time_and_unknown_stays_unknown() -> None:
    traces = served(rules(), requests(6))
    traces[2] = replace(traces[2], cost_usd=None, rule=None, chain=(), wanted=None, model=None, conversation=None)
    read = Served.of(frame(traces[::-1]))
    assert (np.diff(read.at_s) > 0).all()
    assert read.at_s[0] == traces[0].at
    assert np.isnan(read.cost_usd).tolist() == [False, False, True, False, False, False]
    assert read.rule.name(2) is None
    assert read.first.name(2) is None
    # Without a conversation a request is alone.
    assert read.conversation[0] == read.conversation[1] != read.conversation[3]
    assert len(set(read.conversation)) == 4


def test_what_is_no_frame_of_traces_is_refused() -> None:
    with pytest.raises(InputError, match="column 'outcome' is missing; give what `read_traces` returns"):
        Served.of(pd.DataFrame({"trace_id": ["a"], "at": [1.0]}))


def test_a_chain_tells_the_first_model_where_no_column_does() -> None:
    told = frame(served(rules(), requests(40)))
    assert Served.of(told.drop(columns="first")).first.counts() == Served.of(told).first.counts()
    assert set(Served.of(told).first.names) == {SMALL, LARGE}


def test_exploration_is_no_shift_of_health() -> None:
    traces = [
        replace(one, wanted=LARGE, chain=(SMALL,), explored=place == 0)
        for place, one in enumerate(served(rules(), requests(4)))
    ]
    assert Served.of(frame(traces)).shifted.tolist() == [False, True, True, True]


def test_only_what_the_policy_chose_counts_as_decided() -> None:
    first, second, third = served(rules(), requests(3))
    read = Served.of(frame([replace(first, asked=SMALL), replace(second, rule=None, outcome="refused"), third]))
    assert read.decided.tolist() == [False, False, True]
    assert read.asked.tolist() == [True, False, True]


def test_attempts_know_their_request() -> None:
    traces = served(rules(), requests(30), failing=0.5)
    read = Served.of(frame(traces))
    calls = read.attempts()
    failed = calls.row[calls.verdict.are("failed")]
    assert failed.tolist() == [place for place, one in enumerate(traces) if one.outcome == "failed"]
    assert calls.error_kind.counts() == {"timeout": len(failed)}


def test_a_cut_keeps_words_and_numbers_conversations_anew() -> None:
    read = Served.of(frame(served(rules(), requests(40))))
    some = read.take(np.arange(20, 40))
    assert some.n == 20
    assert sorted(set(some.conversation)) == list(range(10))
    assert some.rule.counts() == read.rule.take(np.arange(20, 40)).counts()
