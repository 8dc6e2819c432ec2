from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from routebench.errors import InputError
from routebench.evaluate import Outcomes, damage_of
from routebench.rules import Default
from routebench.tune import Constraints, Point, Study, choose, finish, learn, learning, tune
from routebench.tune.constraints import shortfalls
from routebench.tune.curve import Curve
from tests.tune.test_tune import DAY, MODELS, outcomes

GUARD = {"name": "essays", "when": {"any_keyword": ["essay"]}, "only": ["dear"]}


@pytest.fixture(scope="module")
def data() -> Outcomes:
    return outcomes()


@pytest.fixture(scope="module")
def study(data: Outcomes) -> Study:
    return learn(data, MODELS, name="s", guards=[GUARD])


def test_choosing_from_a_study_gives_what_tuning_in_one_go_gives(data: Outcomes, study: Study) -> None:
    for asked in (
        Constraints(max_quality_drop=0.03),
        Constraints(max_cost_usd_per_1k=0.4),
        Constraints(min_quality=0.99),
    ):
        whole = tune(data, MODELS, asked, name="s", guards=[GUARD], created=DAY)
        staged = finish(study, study.choose(asked), asked, created=DAY)
        assert staged.ruleset == whole.ruleset
        assert staged.reading == whole.reading
        assert staged.files == whole.files


def test_learning_tells_what_it_has_form_by_form_and_stops_when_nobody_asks(data: Outcomes) -> None:
    steps = learning(data, MODELS, name="s")
    gate = next(steps)
    assert gate.told
    assert not gate.curves
    assert gate.waiting == ("cost_threshold", "distilled", "complexity", "student", "similarity", "cascade")
    # Of no form yet, the fixed mix is what there is.
    assert gate.choose(Constraints(max_quality_drop=0.03)).trial is None
    first = next(steps)
    assert [curve.name for curve in first.curves] == ["cost_threshold"]
    assert "cost_threshold" not in first.waiting
    steps.close()


def test_the_form_that_takes_longest_is_given_up_where_somebody_stops_it(data: Outcomes) -> None:
    asked: list[int] = []

    def stopped() -> bool:
        asked.append(len(asked))
        return len(asked) > 3

    *_, last = learning(data, MODELS, name="s", stopped=stopped)
    assert len(asked) == 4, "it is asked before every list, and no list follows"
    assert last.waiting == ("distilled",)
    assert [curve.name for curve in last.curves] == ["cost_threshold", "complexity", "student", "similarity"]


def test_forms_come_with_the_more_readable_ones_first_whenever_they_were_learned(study: Study) -> None:
    assert [curve.name for curve in study.curves] == [
        "cost_threshold",
        "distilled",
        "complexity",
        "student",
        "similarity",
    ]
    assert not study.waiting


def test_cascades_that_have_no_answers_to_look_at_are_said_to_be_left_out(study: Study) -> None:
    assert len(study.left_out) == 1
    asked = Constraints(max_quality_drop=0.03)
    tuned = finish(study, study.choose(asked), asked, created=DAY)
    assert "Cascades are left out: they look at answers, and too few are kept" in tuned.reading


def test_a_point_that_was_picked_is_what_is_written(study: Study) -> None:
    curve = study["distilled"]
    place = curve.order[1]
    found = study.at("distilled", place)
    assert found.trial is not None
    assert found.trial.point == curve.points[place]
    assert found.why.startswith(f"Set by hand: distilled, operating point {place} (")
    own = curve.form.to_ruleset(place)
    assert study.ruleset(found, Constraints()).rules == own.rules
    with pytest.raises(InputError, match=r"no form 'distiled' \(did you mean 'distilled'\?\); learned here: cost_thre"):
        study.at("distiled", 0)
    with pytest.raises(InputError, match="has operating points 0 to"):
        study.at("distilled", len(curve.points))
    assert study.ruleset(study.mixed(), Constraints()).default != own.default


def test_a_guard_that_is_switched_off_holds_nowhere_and_is_told(study: Study) -> None:
    essays = np.array(["essay" in str(one.messages[0]["content"]) for one in study.ground.train.requests])
    assert all(
        (study.ground.replay(one).decided[essays, 1] == 1).all() for curve in study.curves for one in curve.choices
    )
    *steps, off = study.under([])
    assert [len(one.curves) for one in steps] == [0, 1, 2, 3, 4]
    assert off.off() == ("essays",)
    assert any((off.ground.replay(one).decided[essays, 1] < 1).any() for curve in off.curves for one in curve.choices)
    found = off.choose(Constraints(max_cost_usd_per_1k=0.3))
    assert "Switched off for this, against what was asked: guard essays." in found.why
    assert off.ruleset(found, Constraints()).guards == ()
    assert study.ruleset(found, Constraints()).guards[0].name == "essays"
    # And back again it is what it was.
    *_, on = off.under(["essays"])
    for one, other in zip(study.curves, on.curves, strict=True):
        assert np.array_equal(one.score, other.score, equal_nan=True)
        assert one.points == other.points


def test_stakes_change_what_wrong_answers_cost_and_nothing_else(study: Study) -> None:
    assert all(point.damage_usd_per_1k is None for curve in study.curves for point in curve.points)
    staked = study.with_stakes(np.full(study.outcomes.n, 2.0))
    for one, other in zip(study.curves, staked.curves, strict=True):
        for before, after in zip(one.points, other.points, strict=True):
            assert after.damage_usd_per_1k == pytest.approx(2000 * (1 - before.quality))
            assert replace(after, damage_usd_per_1k=None) == before
    assert study.ground.train.cases.stakes_usd[0] != 2.0
    # A wrong answer for two dollars is worth any model.
    asked = Constraints(min_quality=0, max_quality_drop_per_slice=1, count_damage=True)
    trial = staked.choose(asked).trial
    assert trial is not None
    best = max(point.quality for curve in staked.curves for point in curve.points)
    assert trial.point.quality == pytest.approx(best)
    assert trial.point.charge == min(point.charge for curve in staked.curves for point in curve.points)
    # Nobody knows the damage without stakes, so nothing is the least.
    assert Point(0, 0.9, 1.0, None).charge == float("inf")


def test_stakes_of_some_cases_count_as_they_do_one_by_one(study: Study) -> None:
    rng = np.random.default_rng(0)
    stakes = np.where(rng.random(study.outcomes.n) < 0.5, rng.random(study.outcomes.n), np.nan)
    ground, curve = study.with_stakes(stakes).ground, study["student"]
    score = curve.score.copy()
    score[:, ::7] = np.nan
    score[0] = np.nan
    told = replace(curve, score=score).on(ground)
    for point, one in zip(told.points, score, strict=True):
        alone = damage_of(one, ground.train.cases.stakes_usd, ground.train.weight).usd_per_1k
        assert point.damage_usd_per_1k == (None if alone is None else pytest.approx(alone))
    assert told.points[0].damage_usd_per_1k is None


def test_efficient_points_are_beaten_by_none_that_costs_no_more(study: Study) -> None:
    made = zip([3.0, 1.0, 2.0, 3.0, None, 0.5], [0.8, 0.5, 0.4, 0.9, 1.0, 0.2], strict=True)
    points = tuple(Point(place, quality, cost, None) for place, (cost, quality) in enumerate(made))
    curve = replace(study["student"], points=points)
    assert curve.efficient == [5, 1, 3]
    assert curve.order == [5, 1, 2, 0, 3, 4]


def test_the_closest_is_told_with_what_it_lacks(study: Study) -> None:
    near = study.closest(Constraints(min_quality=0.999))
    assert near is not None
    assert set(near.lacks) == {"quality"}
    best = max(point.quality - point.absolute_se for curve in study.curves for point in curve.points)
    assert near.lacks["quality"] == pytest.approx(0.999 - best)
    assert near.more_cases is None
    # A floor that the mean keeps and its lower bound does not: more cases would do.
    asked = Constraints(min_quality=near.point.quality - near.point.absolute_se / 2, max_quality_drop_per_slice=1)
    point = Curve.of(study[near.form].form, study.ground).points[near.point.index]
    only = replace(study, curves=(replace(study[near.form], points=(point,)),))
    found = only.closest(asked)
    assert found is not None
    # Half the error takes four times the cases: three times as many more, of both halves.
    assert found.more_cases == pytest.approx(3 * 2 * study.ground.train.n, rel=0.01)


def test_shortfalls_name_everything_that_is_missed() -> None:
    asked = Constraints(
        max_quality_drop=0.01,
        max_cost_usd_per_1k=None,
        max_latency_p95_s=2.0,
        max_quality_drop_per_slice=0.05,
        max_rules=3,
    )
    point = Point(0, 0.8, None, 3.0, worst_drop=0.08, quality_se=0.02, n_rules=5)
    found = shortfalls(point, asked, 0.9)
    assert found == pytest.approx({"quality": 0.11, "latency": 0.5, "slice": 0.03, "rules": 2.0})
    capped = shortfalls(point, replace(asked, max_cost_usd_per_1k=1.0), 0.9)
    assert capped["cost"] == float("inf")
    assert "quality" not in capped
    assert choose([point], asked, 0.9) is None


def test_a_floor_in_absolute_terms_is_held_against_the_error_of_the_mean_itself() -> None:
    point = Point(0, 0.8, 1.0, None, quality_se=0.001, absolute_se=0.02)
    assert choose([point], Constraints(max_quality_drop=0.01), 0.805) == point
    assert choose([point], Constraints(min_quality=0.795), 0.805) is None


def test_a_mix_that_counts_damage_pays_for_the_better_model(study: Study) -> None:
    asked = Constraints(min_quality=0, count_damage=True)
    staked = study.with_stakes(np.full(study.outcomes.n, 5.0))
    assert staked.fixed_mix(asked) != study.fixed_mix(replace(asked, count_damage=False))
    dear = staked.fixed_mix(asked)
    assert isinstance(dear, Default)
    best = max(staked.ground.singles, key=lambda one: one.quality).name
    assert (dear.route or (dear.mix or ())[0][1])[0] == best


def test_the_gate_that_closes_leaves_no_form() -> None:
    closed = next(
        one for seed in range(8) if not (one := learn(outcomes(signal=False, seed=seed), MODELS, name="s")).told
    )
    assert closed.curves == ()
    assert closed.closest(Constraints()) is None
    assert "do not tell the models apart beyond chance" in closed.choose(Constraints()).why
    tuned = finish(closed, closed.choose(Constraints()), Constraints(), created=date(2026, 11, 28))
    assert tuned.abstained
