"""Which requests to label next."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from routebench.drifting import Served, drift, expect, write_candidates
from routebench.drifting.labelling import candidates
from routebench.drifting.needs import needs
from routebench.errors import InputError
from routebench.suites import load_suite
from tests.drifting.production import LARGE, SMALL, frame, outcomes, requests, rules, served


def test_needs_follow_traffic_and_spread() -> None:
    ruleset = rules()
    expected = expect(ruleset, outcomes(480))
    read = Served.of(frame(served(ruleset, requests(2000, long_share=0.5))))
    found = {one.rule: one for one in needs(read, expected)}
    default, long = found["default"], found["long"]
    assert (default.have, long.have) == (360, 120)
    # Every tenth answer of the small model is wrong; the others of these are long ones.
    # Long requests go to the model that is always right here: there is no spread to tell, so that of a coin is taken.
    assert long.spread is None
    assert default.spread == pytest.approx(np.sqrt(1 / 15 * 14 / 15))
    amount = default.share * default.spread + long.share * 0.5
    whole = (1.96 * amount / 0.02) ** 2
    assert long.need == pytest.approx(whole * long.share * 0.5 / amount, rel=0.01)
    assert long.lacking == long.need - 120


def test_without_labelled_cases_all_are_lacking() -> None:
    read = Served.of(frame(served(rules(), requests(200))))
    found = needs(read, None)
    assert sum(one.need for one in found) == pytest.approx(2401, abs=3)
    assert all(one.have == 0 for one in found)


def test_more_reasons_come_first_and_conversations_once() -> None:
    traces = served(rules(), requests(300))
    traces[40] = replace(traces[40], outcome="failed", model=None, explored=True)
    traces[80] = replace(traces[80], explored=True)
    told = frame(traces)
    found = candidates(Served.of(told), rules(), [], n=300)
    assert found[0].trace_id == traces[40].trace_id
    assert set(found[0].reasons) == {"explored", "failed"}
    assert traces[80].trace_id in {one.trace_id for one in found}
    assert all(one.reasons for one in found)
    # Of requests with the same features one is enough.
    read = Served.of(told.drop(columns="features_sha256"))
    assert len(candidates(Served.of(told), rules(), needs(read, None), n=300)) < 10
    many = candidates(read, rules(), needs(read, None), n=300)
    conversations = [traces[one.row].conversation for one in many]
    assert len(conversations) == len(set(conversations)) == 150


def test_no_more_of_a_kind_are_named_than_it_lacks() -> None:
    ruleset = rules()
    read = Served.of(frame(served(ruleset, requests(2000, long_share=0.3))))
    lacking = needs(read, expect(ruleset, outcomes(480)))
    few = [replace(one, need=one.have + 3) for one in lacking if one.rule == "long"]
    found = candidates(read, rules(rules=()), few, n=500)
    assert [one.reasons for one in found] == [("few_cases",)] * (3 * len(few))


def test_requests_near_a_threshold_are_found() -> None:
    traces = served(rules(), requests(100))
    features = dict(traces[11].features or {})
    traces[11] = replace(traces[11], features={**features, "input_tokens": 48})
    found = candidates(Served.of(frame(traces)), rules(), [], n=10)
    assert [(one.trace_id, one.reasons) for one in found] == [(traces[11].trace_id, ("near_threshold",))]


def test_requests_that_the_shadow_would_send_elsewhere_are_found() -> None:
    traces = [
        replace(one, shadow_rules="new", shadow_chain=one.chain) for one in served(rules(rules=()), requests(100))
    ]
    traces[30] = replace(traces[30], shadow_chain=(LARGE,))
    found = candidates(Served.of(frame(traces)), rules(rules=()), [], n=10)
    assert [(one.trace_id, one.reasons, one.model) for one in found] == [
        (traces[30].trace_id, ("shadow_differs",), SMALL)
    ]


def test_kept_texts_become_rows_of_a_suite(tmp_path: Path) -> None:
    ruleset = rules()
    traces = served(ruleset, requests(400))
    traces = [one if place % 4 < 2 else replace(one, messages=None) for place, one in enumerate(traces)]
    found = drift(frame(traces), ruleset, None, n_label=50)
    path = tmp_path / "label-next.jsonl"
    written = write_candidates(path, found.served, found.label_next)
    assert written == sum(one.has_text for one in found.label_next)
    assert 0 < written < 50
    suite = load_suite(path)
    texts = {one.trace_id: one.messages for one in traces}
    for case in suite:
        assert list(case.request.messages) == list(texts[case.id] or ())
        assert case.grader.name == "none"
        assert case.category in ("default", "long")
        assert case.group is not None


def test_a_row_to_label_is_decided_as_its_request_was(tmp_path: Path) -> None:
    sent = {"tools": [{"type": "function", "function": {"name": "look"}}], "response_format": None, "params": {"n": 1}}
    traces = [replace(one, tags=("legal",), request=sent) for one in served(rules(), requests(40))]
    found = drift(frame(traces), rules(), None, n_label=5)
    write_candidates(tmp_path / "next.jsonl", found.served, found.label_next)
    for case in load_suite(tmp_path / "next.jsonl"):
        assert case.tags == ("legal",)
        assert case.request.tools == tuple(sent["tools"] or ())
        assert (case.request.response_format, case.request.params) == (None, {"n": 1})


def test_turns_that_stay_on_their_model_are_no_kind_of_their_own() -> None:
    traces = [
        replace(one, rule="sticky") if place % 2 else one for place, one in enumerate(served(rules(), requests(400)))
    ]
    found = needs(Served.of(frame(traces)), expect(rules(), outcomes(480)))
    assert {one.rule for one in found} == {"default", "long"}
    assert sum(one.share for one in found) == pytest.approx(1.0)
    assert needs(Served.of(frame([replace(one, rule="sticky") for one in traces])), None) == ()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    read = Served.of(frame(served(rules(), requests(4))))
    with pytest.raises(InputError, match="cannot be written"):
        write_candidates(tmp_path / "nowhere" / "f.jsonl", read, ())


def test_reasons_hold_no_text() -> None:
    found = drift(frame(served(rules(), requests(100))), rules(), None)
    assert "Where is" not in json.dumps([one.as_dict() for one in found.label_next])
    assert np.unique([one.trace_id for one in found.label_next]).size == len(found.label_next)


def test_requests_of_which_little_is_told_may_look_alike() -> None:
    quick = {"input_tokens": 48, "turns": 1, "has_tools": False, "has_images": False, "json_schema": False}
    traces = [replace(one, features=quick, conversation=None) for one in served(rules(), requests(60))]
    found = candidates(Served.of(frame(traces)), rules(), [], n=100)
    assert len(found) == 60
    whole = [replace(one, features={**quick, "words": 9}) for one in traces]
    assert len(candidates(Served.of(frame(whole)), rules(), [], n=100)) == 1
