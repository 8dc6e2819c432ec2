from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routebench.errors import InputError, OutcomesError
from routebench.evaluate import Answers
from routebench.evaluate.outcomes import ERROR, MISSING
from routebench.rules import Budget, Guard, HealthPolicy, Rule
from routebench.rules.deployments import Deployment
from routebench.simulation import Burst, Incident, Scenario, Simulation, Times, simulate
from routebench.types import Answer
from tests.simulation.traffic import N, outcomes, ruleset

OUTAGE = Incident("front", "outage", 120.0, 180.0)


def run(*incidents: Incident, rules: Any = None, of: Any = None, **settings: Any) -> Simulation:
    scenario = Scenario(incidents, settings.pop("bursts", ()))
    settings = {"duration_s": 300.0, "requests_per_s": 10.0, **settings}
    return simulate(rules or ruleset(health=HealthPolicy()), outcomes() if of is None else of, scenario, **settings)


def test_without_incidents_both_runs_are_the_same_and_as_recorded() -> None:
    found = run()
    ran, bare = found.with_health, found.without_health
    assert ran.whole == bare.whole
    assert ran.whole.failed == 0
    assert ran.whole.shares == {"front": 1.0, "back": 0.0}
    assert ran.whole.cost_usd_per_1k == pytest.approx(1.0)
    assert ran.whole.quality == pytest.approx(0.5, abs=0.05)
    expected_s = np.median(outcomes().latency_s[:, 0])
    assert ran.whole.latency_p50_s == pytest.approx(expected_s, rel=0.05)
    assert found.false_shifts == {"front": 0, "back": 0}


def test_the_same_seed_gives_the_same_simulation_and_another_one_another() -> None:
    assert run(OUTAGE).as_dict() == run(OUTAGE).as_dict()
    assert run(OUTAGE).as_dict() != run(OUTAGE, seed=43).as_dict()


def test_an_outage_is_seen_and_let_go_of_and_nobody_fails() -> None:
    found = run(OUTAGE)
    (one,) = found.incidents
    assert one.detected_after_s is not None
    assert 0.0 < one.detected_after_s <= 5.0
    assert one.recovered_after_s is not None
    assert one.recovered_after_s <= 35.0
    assert found.with_health.whole.failed == found.without_health.whole.failed == 0
    # Without health each request of the minute asks the front in vain; with it hardly one does.
    vain = [int((side.course.n_calls > 1).sum()) for side in (found.with_health, found.without_health)]
    assert vain[0] < 0.2 * vain[1]
    assert found.false_shifts == {"front": 0, "back": 0}


def test_a_hang_makes_requests_wait_for_the_timeout_where_nobody_watches() -> None:
    found = run(Incident("front", "hang", 120.0, 180.0, timeout_s=30.0))
    worst = [max(one.latency_p95_s or 0.0 for one in side.bins) for side in (found.with_health, found.without_health)]
    assert worst[1] > 30.0
    late = [int((side.course.latency_s > 30.0).sum()) for side in (found.with_health, found.without_health)]
    assert late[0] < 0.25 * late[1]


def test_bins_add_up_to_the_whole() -> None:
    found = run(OUTAGE, bin_s=70.0)
    assert [(one.from_s, one.to_s) for one in found.with_health.bins] == [
        (0.0, 70.0),
        (70.0, 140.0),
        (140.0, 210.0),
        (210.0, 280.0),
        (280.0, 300.0),
    ]
    for side in (found.with_health, found.without_health):
        assert sum(one.n for one in side.bins) == side.whole.n == len(side.course.at_s)
        assert sum(one.failed for one in side.bins) == side.whole.failed


def test_where_all_models_fail_the_request_does_and_where_the_chain_is_short_it_is_said() -> None:
    both = run(OUTAGE, replace(OUTAGE, model="back"))
    assert both.without_health.whole.failed > 300
    assert both.without_health.whole.avoidable == 0
    short = run(OUTAGE, rules=ruleset("front", health=HealthPolicy()))
    assert short.with_health.whole.failed == short.with_health.whole.avoidable > 300
    assert "their chains are too short; name a fallback" in short.reading
    forbidden = replace(
        ruleset("front", health=HealthPolicy()), guards=(Guard("own", {"characters": {"gt": 0}}, only=("front",)),)
    )
    held = run(OUTAGE, rules=forbidden)
    assert held.with_health.whole.failed > 300
    assert held.with_health.whole.avoidable == 0


def test_a_failed_request_scores_nothing_and_has_no_latency_of_an_answer() -> None:
    whole = run(Incident("front", "outage"), rules=ruleset("front")).without_health.whole
    assert (whole.failed_share, whole.quality, whole.latency_p50_s, whole.latency_p95_s) == (1.0, 0.0, None, None)
    assert whole.cost_usd_per_1k == 0.0


def test_a_rule_set_without_health_is_shown_with_the_usual_one_and_says_so() -> None:
    found = run(OUTAGE, rules=ruleset())
    assert not found.own_health
    assert found.incidents == run(OUTAGE).incidents
    assert "`health: {}`" in found.reading


def test_a_price_change_moves_the_cost_alone() -> None:
    dear = run(Incident("front", "price_change", factor=2.0))
    usual = run()
    assert dear.with_health.whole.cost_usd_per_1k == pytest.approx(2.0)
    assert dear.with_health.whole.quality == usual.with_health.whole.quality
    assert "not seen" not in dear.reading


def test_the_budget_and_the_time_of_the_scenario_are_those_of_the_router() -> None:
    night = Rule("night", {"time": {"after": "20:00", "before": "06:00"}}, ("back",))
    rules = ruleset(rules=(night,))
    assert run(rules=rules).with_health.whole.shares["back"] == 0.0
    at_night = Scenario(starts_at=Scenario().starts_at.replace(hour=19, minute=58))
    shares = simulate(rules, outcomes(), at_night, duration_s=300.0).with_health.whole.shares
    assert shares["back"] == pytest.approx(0.6, abs=0.05)
    spent = replace(ruleset(), budget=Budget(usd_per_day=0.5, when_spent="refuse"))
    refused = run(rules=spent).without_health.whole
    assert refused.failed == pytest.approx(refused.n - 500, abs=30)
    assert refused.avoidable == 0


def test_deployments_fail_one_by_one() -> None:
    places = (Deployment("front#1", "front"), Deployment("front#2", "front"))
    rules = replace(ruleset(health=HealthPolicy()), deployments={"front": places})
    one = run(replace(OUTAGE, model="front#1"), rules=rules)
    assert one.with_health.whole.shares["front"] == 1.0
    (found,) = one.incidents
    assert found.detected_after_s is not None
    assert one.false_shifts["front"] == 0
    both = run(OUTAGE, rules=rules)
    assert both.with_health.whole.shares["back"] > 0.1


def test_a_failure_on_record_falls_to_the_next_model_and_makes_nobody_ill() -> None:
    of = outcomes()
    of.status[::2, 0] = ERROR
    of.score[::2, 0] = np.nan
    found = run(of=of)
    assert found.with_health.whole.shares["back"] == pytest.approx(0.5, abs=0.05)
    assert found.false_shifts == {"front": 0, "back": 0}


def test_cases_without_a_latency_are_left_out_and_counted() -> None:
    of = outcomes()
    of.latency_s[:5, 0] = np.nan
    of.status[5:8, 1] = MISSING
    found = run(of=of)
    assert (found.n_cases, found.n_left_out) == (N - 8, 8)
    assert "8 cases are left out" in found.reading


def test_unknown_costs_and_scores_stay_unknown() -> None:
    of = outcomes()
    of.cost_usd[:, 0] = np.nan
    of.score[:30, 0] = np.nan
    whole = run(of=of).with_health.whole
    assert whole.cost_usd_per_1k is None
    assert whole.n_cost_unknown == whole.n
    assert whole.n_unscored == pytest.approx(whole.n / 2, rel=0.1)


def test_latencies_are_never_made_up() -> None:
    of = outcomes()
    of.latency_s[:, 1] = np.nan
    with pytest.raises(OutcomesError, match=r"no latency of model 'back' is known; .* import outcomes with a column"):
        run(of=of)
    of.status[:, 1] = MISSING
    with pytest.raises(OutcomesError, match="no outcome of model 'back' is known"):
        run(of=of)
    of = outcomes()
    of.latency_s[:40, 0] = np.nan
    of.latency_s[40:, 1] = np.nan
    with pytest.raises(OutcomesError, match="'front' has 20 of 60 cases with a latency, and no case has one of every"):
        run(of=of)
    with pytest.raises(OutcomesError, match="no outcomes of other, which 'line' routes to"):
        run(rules=ruleset("front", "other"))


def test_answers_are_checked_where_they_are_on_record() -> None:
    said = {
        "front": {(f"c{number}", 0): Answer("yes" if number % 2 else "", (), "stop") for number in range(N)},
        "back": {(f"c{number}", 0): Answer("yes", (), "stop") for number in range(N)},
    }
    of = replace(outcomes(), answers=Answers(lambda names: {name: said[name] for name in names}))
    checked = replace(ruleset(), checks={"there": {"finish": ["stop"]}})
    checked = replace(checked, default=replace(checked.default, cascade="there"))
    whole = run(rules=checked, of=of).without_health.whole
    assert whole.shares["back"] == pytest.approx(0.5, abs=0.05)
    assert whole.quality == 1.0
    assert whole.cost_usd_per_1k == pytest.approx(1.0 + 5.0, rel=0.1)
    with pytest.raises(OutcomesError, match="use a store with texts and finish reasons"):
        run(rules=checked)
    sure = replace(checked, checks={"there": {"min_confidence": 0.8}})
    with pytest.raises(OutcomesError, match="asks for a confidence, which is not recorded"):
        run(rules=sure, of=of)


def test_recorded_times_are_replayed() -> None:
    times = Times(np.arange(0.0, 300.5, 0.5), None)
    found = run(OUTAGE, times=times, duration_s=None)
    assert (found.requests_per_s, found.duration_s, found.with_health.whole.n) == (None, 300.0, 601)
    assert sum(one.n for one in found.with_health.bins) == 601
    with pytest.raises(InputError, match="have bursts of their own"):
        run(times=times, bursts=(Burst("long", 0.0, 9.0, 2.0),))


def test_an_incident_after_the_end_is_an_error() -> None:
    with pytest.raises(InputError, match=r"the outage of front begins at 120 s, and the simulation ends at 60 s"):
        run(OUTAGE, duration_s=60.0)


def test_it_lasts_two_minutes_beyond_the_last_incident_and_ten_at_least() -> None:
    assert run(OUTAGE, duration_s=None, requests_per_s=1.0).duration_s == 600.0
    late = replace(OUTAGE, from_s=900.0, to_s=math.inf)
    assert run(late, duration_s=None, requests_per_s=1.0).duration_s == 1020.0


def test_the_document_is_json_and_says_what_it_is() -> None:
    document = json.loads(
        json.dumps(run(OUTAGE, Incident("back", "price_change", 10.0, factor=3.0)).as_dict(), allow_nan=False)
    )
    assert document["schema"] == "routebench/simulate/v1"
    assert document["incidents"][1]["to_s"] is None
    assert set(document["with_health"]["whole"]) == set(document["without_health"]["bins"][0])
    assert document["reading"].startswith("0 of ")


def test_recorded_latencies_of_a_public_suite(shared_data: Path) -> None:
    """Nobody fails while somebody is well, and trouble is seen within the asked times."""
    import pandas as pd

    from routebench.evaluate import Outcomes
    from tests.conftest import make_case, make_model

    prompts = pd.read_parquet(shared_data / "bfcl_lite.prompts.parquet")
    rows = pd.read_parquet(shared_data / "bfcl_lite.outcomes.parquet")
    names = ("gpt-4o-mini-2024-07-18", "claude-3-haiku-20240307")
    frame = rows.rename(columns={"prompt_id": "case_id"}).assign(sample=0, status="ok")
    told = prompts[["prompt_id", "prompt", "category"]].to_numpy().tolist()
    cases = [make_case(name, prompt, category=category) for name, prompt, category in told]
    of = Outcomes.from_frame("bfcl", cases, frame[frame.model.isin(names)], models=names)
    models = {name: make_model(name) for name in names}
    rules = replace(
        ruleset(health=HealthPolicy()), models=models, order=names, default=replace(ruleset().default, route=names)
    )
    front = names[0]
    found = run(
        Incident(front, "slow_down", 200.0, 300.0, factor=5.0),
        Incident(front, "outage", 450.0, 520.0),
        rules=rules,
        of=of,
        duration_s=620.0,
        requests_per_s=20.0,
    )
    slow, outage = found.incidents
    p90_s = float(np.quantile(of.latency_s[:, 0], 0.9))
    assert slow.detected_after_s is not None
    assert slow.detected_after_s <= 1.5 * p90_s + 8.0
    assert outage.detected_after_s is not None
    assert outage.detected_after_s <= 5.0
    assert found.with_health.whole.failed == 0
