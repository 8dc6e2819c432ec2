"""Production beside the evidence of its rules."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routebench.drifting import Bounds, Drift, Expected, Row, drift, expect
from routebench.errors import InputError, OutcomesError
from routebench.evaluate import Outcomes
from routebench.rules import RuleSet
from routebench.traces import Trace
from routebench.traces.row import LONG_TOKENS, QUICK_FEATURES
from routebench.types import Model, Request
from tests.drifting.production import LARGE, SMALL, cases, frame, outcomes, requests, rules, served

WRITTEN = {
    "suite": "shop",
    "n_test": 120,
    "cost_usd_per_1k": {"mean": 4.0},
    "latency_s": {"p50": 1.5, "p95": 2.0},
    "failed_share": 0.0,
}


@pytest.fixture(scope="module")
def ruleset() -> RuleSet:
    return rules()


@pytest.fixture(scope="module")
def expected(ruleset: RuleSet) -> Expected:
    return expect(ruleset, outcomes(480))


def held(traces: Sequence[Trace], ruleset: RuleSet, expected: Expected | None, **options: Any) -> Drift:
    return drift(frame(traces), ruleset, expected, **options)


def row(found: Drift, name: str, topic: str | None = None) -> Row:
    return next(one for one in found.rows if one.name == name and topic in (None, one.topic))


def texts(found: Drift, topic: str) -> list[str]:
    return [one.text for one in found.readings if one.topic == topic]


def test_the_same_requests_are_no_drift(ruleset: RuleSet, expected: Expected) -> None:
    found = held(served(ruleset, requests(1500)), ruleset, expected)
    assert found.measured
    assert not found.drifted, found.reading
    assert texts(found, "headline")[0].startswith(
        "No drift beyond the bounds was found: 1,500 requests against 480 cases"
    )
    assert row(found, "long", "rules").production.mean == pytest.approx(0.25, abs=0.04)  # type: ignore[union-attr]
    assert row(found, "long", "rules").evidence.mean == 0.25  # type: ignore[union-attr]


def test_longer_requests_move_mix_rules_cost_and_inputs(ruleset: RuleSet, expected: Expected) -> None:
    found = held(served(ruleset, requests(1500, long_share=0.6)), ruleset, expected)
    moved = {one.name for one in found.rows if one.harmful}
    assert {"first model is another", "deciding rule is another", "cost of 1,000 requests"} <= moved
    assert "input tokens (estimated)" in moved
    mix = row(found, "first model is another")
    assert mix.change == pytest.approx(0.35, abs=0.04)
    assert mix.by_chance is not None
    assert mix.by_chance < 0.06
    assert row(found, LARGE, "mix").change == pytest.approx(0.35, abs=0.04)
    assert found.drifted
    assert texts(found, "headline")[0].startswith(
        "Drifted: 1,500 requests against 480 cases of shop differ in first model"
    )
    tokens = row(found, "input tokens (estimated)")
    assert tokens.times is not None
    assert tokens.times > 5
    assert any(text.startswith("The median of input tokens (estimated) is") for text in texts(found, "inputs"))


def test_a_rise_of_cost_is_drift_and_a_fall_is_none(ruleset: RuleSet, expected: Expected) -> None:
    dear = held(served(ruleset, requests(1500), cost_factor=1.5), ruleset, expected)
    assert [one.name for one in dear.rows if one.harmful] == ["cost of 1,000 requests"]
    cost = row(dear, "cost of 1,000 requests")
    assert cost.change_ci95 is not None
    assert cost.change_ci95[0] < 0.5 < cost.change_ci95[1]
    cheap = held(served(ruleset, requests(1500), cost_factor=0.5), ruleset, expected)
    assert row(cheap, "cost of 1,000 requests").verdict == "moved"
    assert not cheap.drifted


def test_bounds_say_what_matters(ruleset: RuleSet, expected: Expected) -> None:
    traces = served(ruleset, requests(1500), cost_factor=1.5)
    assert not held(traces, ruleset, expected, bounds=Bounds(cost_rise=0.9)).drifted
    assert (
        row(held(traces, ruleset, expected, bounds=Bounds(cost_rise=0.9)), "cost of 1,000 requests").verdict == "within"
    )


def test_failures_are_told_by_kind_and_by_model(ruleset: RuleSet, expected: Expected) -> None:
    found = held(served(ruleset, requests(1500), failing=0.05), ruleset, expected)
    assert row(found, "failed requests").harmful
    assert row(found, "failed by timeout").production.mean == pytest.approx(0.05, abs=0.02)  # type: ignore[union-attr]
    assert row(found, f"failed calls to {SMALL}").n > 900
    # What failed has no known cost, and is no free request.
    assert found.n_cost_unknown == (frame(served(ruleset, requests(1500), failing=0.05))["outcome"] == "failed").sum()
    assert any("unknown; they are left out of it" in text for text in texts(found, "cost"))
    assert not row(found, "cost of 1,000 requests").harmful


def test_few_requests_decide_nothing(ruleset: RuleSet, expected: Expected) -> None:
    found = held(served(ruleset, requests(20, long_share=1.0)), ruleset, expected)
    assert {one.verdict for one in found.rows if one.decides} == {"too_few"}
    assert not found.measured
    assert texts(found, "headline") == ["Too few to decide: 20 requests against 480 cases of shop."]


def test_turns_of_few_conversations_decide_nothing(ruleset: RuleSet, expected: Expected) -> None:
    traces = [replace(one, conversation="one") for one in served(ruleset, requests(300, long_share=1.0))]
    found = held(traces, ruleset, expected)
    assert row(found, "first model is another").verdict == "too_few"
    assert not found.drifted


def test_requests_of_another_policy_are_told_apart(ruleset: RuleSet, expected: Expected) -> None:
    old = [replace(one, policy="0" * 12) for one in served(ruleset, requests(200, long_share=1.0))]
    new = [replace(one, trace_id=f"n{one.trace_id}", at=one.at + 1e6) for one in served(ruleset, requests(1000))]
    found = held([*old, *new], ruleset, expected)
    assert found.readings[0].text == (
        f"200 requests were decided by another policy than the file's {found.policy} and are left out: 000000000000 (200)."
    )
    assert found.readings[0].grave
    assert (found.n, found.n_traces, [one.n for one in found.policies]) == (1000, 1200, [200, 1000])
    assert not found.drifted
    mixed = held([*old, *new], ruleset, expected, any_policy=True)
    assert mixed.n == 1200
    assert "counted as asked" in mixed.readings[0].text
    assert mixed.drifted


def test_traces_of_other_rules_alone_are_refused(ruleset: RuleSet, expected: Expected) -> None:
    other = rules(name="other")
    with pytest.raises(
        InputError, match=r"none of 50 traces is of this policy, .*\(50\)\. Give the file .* --any-policy"
    ):
        held(served(other, requests(50)), ruleset, expected)
    with pytest.raises(InputError, match="there is no trace in this time"):
        held([], ruleset, expected)
    named = [replace(one, asked=SMALL) for one in served(ruleset, requests(50))]
    with pytest.raises(InputError, match="none of 50 traces was decided by a policy"):
        held(named, ruleset, expected)


def test_named_and_refused_requests_do_not_count(ruleset: RuleSet, expected: Expected) -> None:
    traces = served(ruleset, requests(600))
    traces[:10] = [replace(one, asked=SMALL, cost_usd=99.0) for one in traces[:10]]
    traces[10:15] = [replace(one, rule=None, chain=(), outcome="refused", cost_usd=None) for one in traces[10:15]]
    found = held(traces, ruleset, expected)
    assert (found.n, found.n_named, found.n_undecided, found.n_cost_unknown) == (585, 10, 5, 0)
    assert not found.drifted


def test_what_exploration_and_health_chose_is_not_what_the_policy_decides(ruleset: RuleSet, expected: Expected) -> None:
    traces = served(ruleset, requests(1200))
    traces[:300] = [
        replace(one, chain=(LARGE, SMALL), explored=place % 2 == 0, model=LARGE)
        for place, one in enumerate(traces[:300])
    ]
    found = held(traces, ruleset, expected)
    assert row(found, "first model is another").verdict != "moved"
    assert row(found, "explored").production.mean == pytest.approx(0.125)  # type: ignore[union-attr]
    shifted = sum(not one.explored and one.chain[0] != one.wanted for one in traces)
    assert row(found, "sent elsewhere by health").production.mean == pytest.approx(shifted / 1200)  # type: ignore[union-attr]
    assert texts(found, "gateway") == [
        f"Health sent {shifted / 1200:.1%} of the requests to another model than first wanted."
    ]


def test_what_keeps_a_conversation_on_its_model_is_no_drift(ruleset: RuleSet, expected: Expected) -> None:
    traces = [
        replace(one, rule="sticky") if place % 2 else one for place, one in enumerate(served(ruleset, requests(2000)))
    ]
    found = held(traces, ruleset, expected)
    assert row(found, "deciding rule is another").n == 1000
    assert row(found, "deciding rule is another").verdict != "moved"
    kept = row(found, "kept on the model of their conversation")
    assert kept.production is not None
    assert kept.production.mean == 0.5


def test_rules_that_never_decide_are_named(ruleset: RuleSet, expected: Expected) -> None:
    found = held(served(ruleset, requests(200)), ruleset, expected)
    assert found.never == ("refunds",)
    assert "1 rule never decided a request: refunds." in texts(found, "rules")


def test_without_a_suite_the_figures_of_the_file_count() -> None:
    ruleset = rules(evidence=WRITTEN)
    assert ruleset.policy_sha256 == rules().policy_sha256
    found = held(served(ruleset, requests(1500), cost_factor=2.0), ruleset, None)
    assert [one.name for one in found.rows if one.harmful] == ["cost of 1,000 requests"]
    assert row(found, "p95 latency").verdict == "within"
    assert row(found, LARGE, "mix").verdict is None
    assert "against the evidence in the file" in texts(found, "headline")[0]
    assert texts(found, "headline")[1].startswith("The file's figures have no interval")


def test_without_any_evidence_nothing_is_measured(ruleset: RuleSet) -> None:
    found = held(served(ruleset, requests(500)), ruleset, None)
    assert not found.measured
    assert not found.drifted
    assert texts(found, "headline")[0].startswith("Not measured: of 500 requests nothing can be held against evidence")


def test_a_model_without_outcomes_is_named(ruleset: RuleSet) -> None:
    more = rules(models={**ruleset.models, "huge": Model("huge", "recorded", "huge")})
    with pytest.raises(
        OutcomesError, match="suite 'shop' has no outcomes of huge; run these models on the suite first"
    ):
        drift(frame(served(more, requests(40))), more, outcomes(60))


def test_the_json_form_is_json_and_holds_no_text(ruleset: RuleSet, expected: Expected) -> None:
    found = held(served(ruleset, requests(300, long_share=0.7), failing=0.1), ruleset, expected)
    document = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert document["schema"] == "routebench/drift/v1"
    assert document["drifted"] is True
    assert {one["verdict"] for one in document["rows"]} <= {"moved", "within", "cannot_tell", "too_few", None}
    assert "explain in detail" not in json.dumps(document)
    assert "Where is order" not in json.dumps(document)


def test_verdicts_are_adjusted_for_all_that_decide(ruleset: RuleSet, expected: Expected) -> None:
    found = held(served(ruleset, requests(900, long_share=0.4)), ruleset, expected)
    for one in found.rows:
        if one.p_value is not None:
            assert one.p_adjusted is not None
            assert one.p_adjusted >= one.p_value
    lowest = min(one.p_value for one in found.rows if one.decides and one.p_value is not None)
    family = sum(one.decides and one.p_value is not None for one in found.rows)
    assert min(one.p_adjusted for one in found.rows if one.decides and one.p_adjusted is not None) == pytest.approx(
        min(1.0, family * lowest)
    )


def test_no_drift_is_seldom_called_drift(ruleset: RuleSet) -> None:
    bounds = Bounds(mix_shift=0.0, cost_rise=1e-6, latency_rise=1e-6, failed_rise=0.0, input_shift=0.0)
    random = np.random.default_rng(5)
    whole = outcomes(480)
    asked = list(whole.requests)
    false = 0
    for _ in range(40):
        seen = expect(ruleset, whole.take(np.sort(random.permutation(480)[:120])))
        some = [asked[int(place)] for place in random.integers(0, 480, 300)]
        traces = served(ruleset, some, seed=int(random.integers(1e6)), conversation=None)
        false += held(traces, ruleset, seen, bounds=bounds, n_label=1).drifted
    assert false <= 5


def test_features_that_nobody_kept_are_left_out(ruleset: RuleSet, expected: Expected) -> None:
    traces = [replace(one, features=None) for one in served(ruleset, requests(300))]
    found = held(traces, ruleset, expected)
    assert not [one for one in found.rows if one.topic == "inputs"]
    assert {one.band for one in found.needs} == {None}


def quick(trace: Trace) -> Trace:
    """As a gateway tells a request whose text it does not look at."""
    return replace(trace, features={name: (trace.features or {})[name] for name in QUICK_FEATURES})


def test_long_requests_whose_text_no_gateway_reads_are_no_drift(ruleset: RuleSet) -> None:
    def longer(request: Request) -> Request:
        text = f"{request.messages[0]['content']} Bitte erkläre mir das noch einmal. " + "warum? " * 1500
        return replace(request, messages=({"role": "user", "content": text},))

    some = [replace(one, request=longer(one.request)) if place % 4 == 1 else one for place, one in enumerate(cases())]
    evidence = expect(ruleset, Outcomes.from_frame("shop", some, outcomes().df()))
    asked = [longer(one) if place % 4 == 1 else one for place, one in enumerate(requests(1200))]
    traces = [
        quick(one) if (one.features or {})["input_tokens"] > LONG_TOKENS else one for one in served(ruleset, asked)
    ]
    found = held(traces, ruleset, evidence)
    inputs = {one.name: one for one in found.rows if one.topic == "inputs"}
    assert inputs["input tokens (estimated)"].n == 1200
    for name in ("characters of the last message", "words of the last message", "language is another"):
        assert (inputs[name].n, inputs[name].n_evidence) == (900, 360)
    assert not [one.name for one in found.rows if one.topic == "inputs" and one.verdict == "moved"]


def test_requests_of_which_little_is_told_are_no_drift(ruleset: RuleSet, expected: Expected) -> None:
    traces = [one if place % 10 < 2 else quick(one) for place, one in enumerate(served(ruleset, requests(3000)))]
    found = held(traces, ruleset, expected)
    inputs = {one.name: one for one in found.rows if one.topic == "inputs"}
    assert inputs["input tokens (estimated)"].n == 3000
    assert inputs["words of the last message"].n == inputs["language is another"].n == 600
    assert not [one.name for one in found.rows if one.topic == "inputs" and one.verdict == "moved"]
    assert {one.band for one in found.needs} == {"up to 100 tokens"}


def test_the_json_form_has_these_names(ruleset: RuleSet, expected: Expected) -> None:
    """People's programs read them: a new one may come, none may go."""
    found = held(served(ruleset, requests(300)), ruleset, expected).as_dict()
    assert " ".join(found) == (
        "schema rules policy policies mixed suite n_replayed from to n_traces n n_named n_undecided n_cost_unknown bounds "
        "drifted measured rows rules_that_never_decided conditions_untold shadows needs label_next value readings"
    )
    assert " ".join(found["rows"][0]) == (
        "topic name unit production evidence change change_kind change_ci95 by_chance times times_ci95 p_value "
        "p_adjusted bound decides verdict harmful method"
    )
    assert " ".join(found["needs"][0]) == "rule band share have need lacking spread"
    assert " ".join(found["label_next"][0]) == "trace_id rule model reasons has_text"
    assert " ".join(found["readings"][0]) == "topic text grave"
    docs = (Path(__file__).parents[2] / "docs" / "drift.md").read_text()
    for name in (*found, *found["rows"][0], *found["needs"][0], *found["label_next"][0]):
        assert f"`{name}`" in docs, f"docs/drift.md tells nothing of {name}"
