from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from routebench.dash.tuning.frames import can_be_log, field_frames, hidden, moving_frames
from routebench.dash.tuning.past import STEPS
from routebench.dash.tuning.pictures import described, names_of, scatter
from routebench.dash.tuning.reading import read
from routebench.dash.tuning.script import script
from routebench.dash.tuning.setting import BEST, BEST_SINGLE, DROP, EVERY, MIX, SCORE, Setting, keywords
from routebench.dash.tuning.stakes import staked
from routebench.dash.tuning.state import Tuning, _first_setting
from routebench.dash.tuning.tables import figure_frame, shares_told, version_frame
from routebench.dash.tuning.versions import compare_versions
from routebench.errors import InputError
from routebench.tune import Constraints, Study, learn
from tests.tune.test_study import GUARD
from tests.tune.test_tune import MODELS, outcomes

OWN = {"cheap": 0.5, "dear": 0.8}


class Clock:
    """Seconds that only a test moves."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        self.s += 0.01
        return self.s


@pytest.fixture(scope="module")
def study() -> Study:
    return learn(outcomes(), MODELS, name="s", guards=[GUARD])


@pytest.fixture(scope="module")
def closed() -> Study:
    found = (learn(outcomes(signal=False, seed=seed), MODELS, name="s") for seed in range(8))
    return next(one for one in found if not one.told)


@pytest.fixture
def tuning(study: Study) -> Tuning:
    return Tuning(study, clock=Clock())


def test_a_setting_says_what_tuning_takes() -> None:
    assert Setting().constraints(OWN) == Constraints()
    assert keywords(Setting().constraints(OWN)) == {}
    asked = Setting(floor_in=SCORE, floor=70, max_rules=4, max_latency_p95_s=2.0).constraints(OWN)
    assert keywords(asked) == {"min_quality": 0.7, "max_rules": 4, "max_latency_p95_s": 2.0}
    assert Setting(floor_in=BEST_SINGLE, floor=95).constraints(OWN).max_quality_drop == pytest.approx(0.04)
    assert Setting(floor_in="cheap", floor=90).constraints(OWN).min_quality == pytest.approx(0.45)
    capped = Setting(goal="quality", max_cost_usd_per_1k=0.4, floor_in=SCORE, floor=70).constraints(OWN)
    assert keywords(capped) == {"max_cost_usd_per_1k": 0.4}
    charged = Setting(goal="charge", floor=3.0).constraints(OWN)
    assert keywords(charged) == {"max_quality_drop": 0.03, "count_damage": True}


def test_without_a_known_cost_no_cap_is_guessed(study: Study) -> None:
    train = study.ground.train
    unpriced = replace(train, cost_usd=np.full_like(train.cost_usd, np.nan))
    bare = replace(study, ground=replace(study.ground, train=unpriced))
    assert _first_setting(bare) == Setting()
    assert _first_setting(study).max_cost_usd_per_1k != Setting().max_cost_usd_per_1k


def test_it_begins_at_what_tuning_would_write(tuning: Tuning, study: Study) -> None:
    found = study.choose(Constraints())
    assert found.trial is not None
    assert (tuning.now.form, tuning.now.place) == (found.trial.form.name, found.trial.point.index)
    assert tuning.best_point == (found.trial.form.name, found.trial.point)
    assert tuning.now.quality is not None
    assert tuning.now.quality.mean == pytest.approx(found.trial.point.quality)
    assert tuning.now.over_mix.delta == pytest.approx(found.trial.gain)
    assert read(tuning).startswith(f"Train, out of fold: {tuning.now.name} scores ")


def test_a_point_stays_where_it_is_picked_and_what_is_asked_moves_away_from_it(tuning: Tuning) -> None:
    curve = tuning.study["student"]
    dear = curve.order[-1]
    tuning.change(goal="quality", max_cost_usd_per_1k=0.7)
    tuning.change(form="student", place=dear)
    assert (tuning.now.form, tuning.now.place) == ("student", dear)
    assert tuning.selection["place"] == dear
    # The outline shows the best of all forms while somebody stands elsewhere.
    assert tuning.best_point is not None
    assert tuning.best_point[1].cost_usd_per_1k == pytest.approx(0.6, abs=0.1)
    assert "The point that was picked costs 43% too much." in read(tuning)
    tuning.change(max_cost_usd_per_1k=0.8)
    assert tuning.setting.place is None
    assert tuning.now.form == "student"
    tuning.change(form=MIX)
    assert tuning.now.place is None
    assert tuning.found.trial is None
    assert "the fixed mix" in tuning.found.why


def test_flips_are_against_the_setting_before_the_gesture(tuning: Tuning) -> None:
    assert tuning.flips is None
    order = tuning.study["student"].order
    start = tuning.now.replayed.score
    for place in order[:4]:
        tuning.change(form="student", place=place)
    assert tuning.steps == 1, "one drag is one step"
    assert tuning.flips is not None
    now = tuning.study["student"].score[order[3]]
    assert (tuning.flips.better, tuning.flips.worse) == (int((now > start).sum()), int((now < start).sum()))
    assert tuning.before is not None
    frame = tuning.flips.frame(tuning.study.ground, tuning.before.replayed, tuning.now.replayed)
    assert len(frame) == tuning.flips.better + tuning.flips.worse
    assert list(frame["change"]) == sorted(frame["change"]), "those that lose most come first"
    assert set(frame["now"]) <= {"cheap", "dear"}


def test_undo_goes_back_twenty_steps_and_no_further(study: Study) -> None:
    clock = Clock()
    tuning = Tuning(study, clock=clock)
    for number in range(STEPS + 5):
        clock.s += 10
        tuning.change(floor=float(number + 2))
    assert tuning.steps == STEPS
    for _ in range(STEPS):
        tuning.undo()
    assert tuning.setting.floor == 6.0
    assert not tuning.undo()
    assert tuning.setting.floor == 6.0
    tuning.reset()
    assert tuning.setting.floor == 1.0
    tuning.undo()
    assert tuning.setting.floor == 6.0


def test_what_a_page_sends_back_unchanged_moves_nothing(tuning: Tuning) -> None:
    tuning.change(form="student", place=3)
    tuning.change(goal="cost")
    assert tuning.setting.place == 3
    assert tuning.steps == 1


def test_a_guard_is_off_at_once_and_the_others_catch_up(tuning: Tuning, study: Study) -> None:
    form, place = tuning.now.form, tuning.now.place
    assert tuning.change(off=("essays",))
    assert tuning.behind
    assert (tuning.now.form, tuning.now.place) == (form, place)
    assert "GUARD SWITCHED OFF: essays; what is written does not carry it. The other forms are still" in read(tuning)
    free = tuning.now.replayed.decided
    for step in tuning.catch_up():
        tuning.take(step)
    assert not tuning.behind
    assert place is not None
    curve = tuning.study[form]
    assert np.array_equal(tuning.study.ground.replay(curve.choices[place]).decided, free)
    assert tuning.study.ruleset(tuning.found, tuning.constraints).guards == ()
    # On again, and off again: both are known by now.
    assert not tuning.change(off=())
    assert tuning.study.curves == study.curves
    assert not tuning.change(off=("essays",))


def test_steps_of_other_guards_are_not_taken(tuning: Tuning) -> None:
    tuning.change(off=("essays",))
    late = list(tuning.catch_up())
    tuning.change(off=())
    tuning.take(late[-1])
    assert tuning.study.off() == ()


def test_stakes_are_told_and_can_count(tuning: Tuning) -> None:
    assert tuning.now.damage.usd_per_1k is None
    tuning.change(goal="charge")
    assert tuning.now.form == MIX
    assert "No case has stakes, so that damage cannot count" in read(tuning)
    tuning.change(stakes=((EVERY, 3.0),))
    assert tuning.now.damage.usd_per_1k == pytest.approx(3000 * (1 - tuning.now.replayed.score.mean()))
    assert tuning.now.form != MIX
    tuning.change(stakes=(("public", 0.5), (EVERY, 3.0)))
    assert tuning.now.damage.usd_per_1k == pytest.approx(500 * (1 - tuning.now.replayed.score.mean()))
    tuning.change(stakes=())
    assert tuning.now.damage.usd_per_1k is None


def test_stakes_by_hand_replace_those_of_a_class_and_fill_the_rest() -> None:
    data = outcomes(40)
    own = np.full(40, np.nan)
    own[:3] = 7.0
    data = replace(data, cases=replace(data.cases, stakes_usd=own))
    assert np.array_equal(staked(data, {EVERY: 2.0}), [7.0] * 3 + [2.0] * 37)
    assert np.array_equal(staked(data, {"public": 4.0}), [4.0] * 40)
    assert np.array_equal(staked(data, {}), own, equal_nan=True)


def test_where_nothing_passes_the_closest_is_told(tuning: Tuning) -> None:
    tuning.change(floor_in=SCORE, floor=99.9)
    assert tuning.now.form == MIX
    near = tuning.closest
    assert near is not None
    assert f"No setting passes: closest is {near.form} {near.point.index}, " in read(tuning)
    assert "more cases alone would not mend that" in read(tuning)
    tuning.change(
        floor_in=SCORE, floor=100 * (near.point.quality - near.point.absolute_se / 2), max_drop_per_slice=30.0
    )
    found = tuning.closest
    assert found is not None
    assert ("more cases to be sure of it" in read(tuning)) == (found.more_cases is not None)


def test_few_cases_decide_nothing() -> None:
    few = Tuning(learn(outcomes(40), MODELS, name="s"))
    assert "on 20 cases: too few to decide." in read(few)


def test_the_gate_that_closes_offers_the_mix(closed: Study) -> None:
    tuning = Tuning(closed)
    assert tuning.now.form == MIX
    assert tuning.curve is None
    assert read(tuning).startswith("Prompts do not tell the models apart beyond chance (p = ")
    tuning.change(goal="quality", max_cost_usd_per_1k=0.5)
    assert tuning.now.cost_usd_per_1k is not None
    assert tuning.now.cost_usd_per_1k.mean == pytest.approx(0.5, abs=0.01)
    frames = {**field_frames(closed), **moving_frames(tuning)}
    assert not len(frames["points"])
    assert len(frames["you"]) == 1


def test_the_picture_has_every_point_you_and_the_best(tuning: Tuning, study: Study) -> None:
    frames = {**field_frames(study), **moving_frames(tuning)}
    n = sum(len(curve.points) for curve in study.curves)
    assert len(frames["points"]) + len(frames["models"]) == n + 2 - hidden(study)
    assert list(frames["curve"]["cost"]) == sorted(frames["curve"]["cost"])
    assert frames["best"].empty or frames["best"]["name"][0] == f"{tuning.now.form}#{tuning.now.place}"
    (you,) = frames["you"].to_dict("records")
    assert you["low"] < you["quality"] < you["high"]
    assert float(frames["floor"]["quality"].iloc[0]) == pytest.approx(study.ground.best_quality - 0.01)
    assert frames["cap"].empty
    tuning.change(goal="quality", max_cost_usd_per_1k=0.4)
    moved = moving_frames(tuning)
    assert moved["floor"].empty
    assert list(moved["cap"]["cost"]) == [0.4]
    assert can_be_log(study)
    assert tuning.now.name in described(tuning)
    sources = {layer["data"]["name"] for layer in scatter(log=True).to_dict()["layer"]}
    assert sources == set(frames)


def test_a_clicked_mark_is_a_point_or_none() -> None:
    assert names_of(("similarity:minilm#12",)) == ("similarity:minilm", 12)
    assert names_of(("gpt-x",)) is None
    assert names_of(()) is None


def test_train_and_test_are_different_rows(tuning: Tuning) -> None:
    frame = figure_frame(tuning, None, "")
    assert list(frame["where"]) == ["train, out of fold"]
    tuning.change(form="student", place=0)
    frame = figure_frame(tuning, None, "")
    assert frame["what"].iloc[0] == "you: student 0"
    assert frame["what"].iloc[1].startswith("best: ")
    shares = shares_told(tuning.now)
    assert "cheap" in shares or "dear" in shares


def test_versions_are_compared_out_of_fold_while_the_test_half_is_sealed(tuning: Tuning) -> None:
    with pytest.raises(InputError, match="no version was kept"):
        compare_versions(tuning)
    tuning.save()
    tuning.change(form="student", place=0)
    tuning.save("dear one")
    assert list(version_frame(tuning.versions)["test"]) == ["sealed", "sealed"]
    comparison = compare_versions(tuning)
    assert comparison.suite == "s, training half, out of fold"
    assert "training cases" in comparison.reading
    assert "held-out" not in comparison.reading
    names = {one.name for one in comparison.evaluations if one.kind == "strategy"}
    assert names == {"version 1", "dear one"}
    train = set(tuning.study.ground.train.cases.ids)
    assert set(comparison.half.test.cases.ids) < train, "no case of the test half is in it"
    own = comparison["dear one"].measured[0].replayed.score
    at = np.isin(tuning.study.ground.train.cases.ids, comparison.half.test.cases.ids)
    assert sorted(own) == sorted(tuning.now.replayed.score[at])


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ({}, ["tuned = bench.tune()"]),
        ({"floor": 3.0}, ["tuned = bench.tune(max_quality_drop=0.03)"]),
        ({"form": "student"}, ["asked = rb.Constraints()", "found = study.choose(asked, 'student')"]),
        ({"form": "student", "place": 4}, ["study = bench.study()", "found = study.at('student', 4)"]),
        ({"form": MIX}, ["found = study.mixed()"]),
        ({"off": ("essays",)}, ["*_, study = study.under([])", "found = study.choose(asked)"]),
        ({"stakes": ((EVERY, 2.0),)}, ["`stakes_usd`: {'every request': 2.0}"]),
    ],
)
def test_the_script_says_the_setting(study: Study, fields: dict[str, Any], lines: list[str]) -> None:
    tuning = Tuning(study, Setting())
    tuning.change(**fields)
    text = script(tuning, config="bench.yaml", seed=42, path="out.yaml")
    for line in lines:
        assert line in text
    assert text.endswith("tuned.export('out.yaml')")
    compile(text, "script", "exec")


def test_the_names_of_settings_are_told_apart() -> None:
    assert len({BEST, MIX, DROP, SCORE, BEST_SINGLE, EVERY}) == 6
