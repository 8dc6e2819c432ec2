from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from routebench.errors import OutcomesError
from routebench.evaluate import Choices, Outcomes, replay
from routebench.evaluate.outcomes import ERROR
from routebench.evaluate.sweep import curve_points
from routebench.rules import Guard, Router, RuleSet
from routebench.strategies import Distilled, Learned, RulesFile, Student, parse_strategy
from routebench.strategies.distilled.lesson import Lesson
from routebench.strategies.distilled.student import MAX_BYTES, spec_for
from routebench.strategies.learned.gain import Gain
from tests.conftest import make_model
from tests.evaluate.matrices import matrix
from tests.strategies.test_learned import topical

PUPILS = (Distilled, Student)


@pytest.fixture(scope="module")
def train() -> Outcomes:
    return topical(160)


@pytest.fixture(scope="module")
def teacher(train: Outcomes) -> Learned:
    return Learned(gate=False).fit(train)


def chains(choices: Choices) -> list[tuple[str, ...]]:
    ((_, table),) = choices.parts
    return [tuple(choices.models[at] for at in row if at >= 0) for row in table]


def gained(data: Outcomes, curve: object) -> float:
    found = curve_points(data, curve)  # type: ignore[arg-type]
    return Gain.of(data).of_curve(found.cost_usd, found.quality)


@pytest.mark.parametrize("kind", PUPILS)
def test_a_pupil_keeps_most_of_what_its_teacher_gains(
    kind: type[Distilled | Student], train: Outcomes, teacher: Learned
) -> None:
    fresh = topical(seed=1)
    pupil = kind(teacher).fit(train)
    aim = gained(fresh, teacher.curve(fresh.requests))
    assert aim > 0.1
    assert gained(fresh, pupil.curve(fresh.requests)) > 0.9 * aim
    assert gained(train, pupil.train_curve()) > 0.7 * aim
    assert len(pupil.curve([fresh.requests[0]])) == len(pupil.train_curve())
    # The dearest point comes first, and constant decisions last.
    costs = curve_points(fresh, pupil.curve(fresh.requests)).cost_usd
    assert costs[0] >= costs[len(pupil.rates_) - 1]
    assert costs[-3:] == pytest.approx([1e-4, 2e-4, 4e-4])


@pytest.mark.parametrize("kind", PUPILS)
def test_what_is_decided_at_a_point_is_what_its_rule_set_decides(
    kind: type[Distilled | Student], train: Outcomes, teacher: Learned
) -> None:
    fresh = topical(60, seed=2)
    pupil = kind(teacher, models=(make_model("m1"),)).fit(train)
    for point, choices in enumerate(pupil.curve(fresh.requests)):
        ruleset = pupil.to_ruleset(point)
        assert chains(RulesFile(ruleset).fit(train).curve(fresh.requests)[0]) == chains(choices)
        assert ruleset.models["m1"] == make_model("m1")


def test_rules_are_few_and_each_has_its_evidence(train: Outcomes, teacher: Learned) -> None:
    pupil = Distilled(teacher, max_rules=2).fit(train)
    assert 1 <= max(len(rules.rules) for rules in pupil.lists_) <= 2
    seen = Gain.of(train)
    for rate, rules in zip(pupil.rates_, pupil.lists_, strict=True):
        for rule in rules.rules:
            assert rule.support >= 3
            assert rule.gain > rule.gain_se > 0
        assert pupil.to_ruleset(pupil.rates_.index(rate)).default.route == (seen.arms[rules.default][0],)


def test_rules_survive_a_file(train: Outcomes, teacher: Learned, tmp_path: Path) -> None:
    pupil = Distilled(teacher).fit(train)
    for point in range(len(pupil.rates_)):
        ruleset = pupil.to_ruleset(point)
        (tmp_path / "rules.yaml").write_text(ruleset.to_yaml(), encoding="utf-8")
        assert RuleSet.load(tmp_path / "rules.yaml") == ruleset


def test_a_student_is_measured_as_its_file_decides(train: Outcomes, teacher: Learned, tmp_path: Path) -> None:
    fresh = topical(60, seed=3)
    student = Student(teacher).fit(train)
    for point in (0, len(student.rates_) // 2, len(student.rates_) - 1):
        part = student.part(point)
        digest = part.head.save(tmp_path / "rules.learned.safetensors")
        assert (tmp_path / "rules.learned.safetensors").stat().st_size <= MAX_BYTES
        head = {"artifact": "rules.learned.safetensors", "sha256": digest}
        whole = student.to_ruleset(point)
        whole = RuleSet(
            name=whole.name,
            models=whole.models,
            default=whole.default,
            learned=replace(part, settings={"head": head}),
        )
        (tmp_path / "rules.yaml").write_text(whole.to_yaml(), encoding="utf-8")
        loaded = RuleSet.load(tmp_path / "rules.yaml")
        decided = student.curve(fresh.requests)[point]
        assert chains(RulesFile(loaded).fit(train).curve(fresh.requests)[0]) == chains(decided)
        assert Router(loaded).decide(fresh.requests[0]).rule == "learned"


@pytest.mark.parametrize("m", [1, 2, 9, 11, 14, 40, 200])
def test_heads_fit_into_their_file_whatever_the_number_of_models(m: int, tmp_path: Path) -> None:
    from routebench.rules.learned.head import LinearHead
    from routebench.rules.learned.utility import UtilityHead

    models = tuple(f"organisation/some-model-with-a-long-name-{place}" for place in range(m))
    for n in (50, 3_000, 30_000):
        spec = spec_for(models, n)
        assert spec.hashed_words <= 1024
        assert spec.hashed_words == 512 or m > 11 or n > 50
        if m <= 100:
            head = LinearHead(np.ones((m, spec.width)), np.ones(m), spec, "identity")
            UtilityHead(head, models).save(tmp_path / "h.safetensors")
            assert (tmp_path / "h.safetensors").stat().st_size <= MAX_BYTES


@pytest.mark.parametrize("kind", PUPILS)
def test_pupils_abstain_where_their_teacher_does(kind: type[Distilled | Student]) -> None:
    data = topical(60, signal=False)
    teacher = Learned().fit(data)
    assert teacher.abstained
    pupil = kind(teacher).fit(data)
    assert pupil.abstained
    curve, aim = pupil.curve(data.requests), teacher.curve(data.requests)
    assert [one.label for one in curve] == [one.label for one in aim]
    assert [one.label for one in pupil.train_curve()] == [one.label for one in aim]
    for point, choices in enumerate(aim):
        replayed = replay(data, choices).cost_usd.mean()
        again = RulesFile(pupil.to_ruleset(point)).fit(data).curve(data.requests)
        assert replay(data, again[0]).cost_usd.mean() == pytest.approx(replayed, abs=6e-5)


def test_a_pupil_finds_a_teacher_of_its_own() -> None:
    pupil = Student().fit(topical(80))
    assert isinstance(pupil.teacher_, Learned)
    assert pupil.teacher_.gate
    assert pupil.abstained == pupil.teacher_.abstained
    assert [parse_strategy(kind.name).name for kind in PUPILS] == ["distilled", "student"]


@pytest.mark.parametrize("kind", PUPILS)
def test_a_teacher_of_other_outcomes_is_refused(kind: type[Distilled | Student], teacher: Learned) -> None:
    with pytest.raises(OutcomesError, match="fit it on the same outcomes"):
        kind(teacher).fit(topical(40))


@pytest.mark.parametrize("kind", PUPILS)
def test_guards_are_carried(kind: type[Distilled | Student], train: Outcomes, teacher: Learned) -> None:
    guard = Guard("private", {"any_keyword": ["translate"]}, only=("m2",))
    pupil = kind(teacher, guards=(guard,)).fit(train)
    for point in (0, len(pupil.rates_)):
        assert pupil.to_ruleset(point).guards == (guard,)


def test_a_case_decides_nothing_about_itself() -> None:
    """Outcomes without any relation to prompts of many words: what is learned of each case does not reach its fold."""
    found = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        words = [f"word{place}" for place in range(60)]
        prompts = [" ".join(rng.choice(words, 8)) for _ in range(120)]
        data = matrix((rng.random((120, 2)) < 0.5).astype(float), np.ones((120, 2)) * [1e-4, 2e-4], prompt=prompts)
        teacher = Learned(gate=False).fit(data)
        if not teacher.abstained:
            for kind in PUPILS:
                pupil = kind(teacher).fit(data)
                found.append((gained(data, pupil.train_curve()), gained(data, pupil.curve(data.requests))))
    out_of_fold, in_fold = np.mean(found, axis=0)
    assert in_fold > 0.03
    assert out_of_fold < 0.5 * in_fold


def test_a_model_that_often_fails_has_another_to_fall_back_to(train: Outcomes) -> None:
    status = train.status.copy()
    score = train.score.copy()
    fails = np.arange(train.n) % 3 == 0
    status[fails, 0, 0] = ERROR
    score[fails, 0, 0] = np.nan
    data = replace(train, status=status, score=score)
    teacher = Learned(gate=False).fit(data)
    assert any(len(arm) > 1 for arm in teacher.grounds_.arms)
    for pupil in (Distilled(teacher).fit(data), Student(teacher).fit(data)):
        curve = pupil.curve(data.requests)
        assert len(curve) == len(pupil.rates_) + len(teacher.grounds_.arms) == len(pupil.train_curve())
        for point in (0, len(pupil.rates_) // 2, len(curve) - 1):
            again = RulesFile(pupil.to_ruleset(point)).fit(data).curve(data.requests)[0]
            assert chains(again) == chains(curve[point])
        assert gained(data, curve) > 0.05


def test_points_lie_evenly_along_the_cost(train: Outcomes, teacher: Learned) -> None:
    lesson = Lesson.of(teacher, train)
    rates = lesson.rates()
    spent = []
    for rate in rates:
        expected, _ = lesson.utilities(float(rate))
        spent.append(lesson.costs[np.arange(train.n), expected.argmax(axis=1)].mean())
    assert rates[0] == 0
    assert (np.diff(rates) > 0).all()
    assert (np.diff(spent) <= 1e-12).all()
    assert 5 <= len(rates) <= 20


def test_what_is_held_out_is_unknown_to_the_lesson(train: Outcomes, teacher: Learned) -> None:
    inside = np.arange(0, train.n, 2)
    changed = train.score.copy()
    changed[1::2] = 1 - changed[1::2]
    other = Learned(gate=False).fit(replace(train, score=changed))
    lesson = Lesson.within(teacher, inside)
    assert lesson.scores.shape == (len(inside), 3)
    # Another training half apart from these prompts: the same lesson, but for how far each level is trusted.
    other.trust_.clear()
    other.trust_.update(teacher.trust_)
    np.testing.assert_allclose(Lesson.within(other, inside).scores, lesson.scores, atol=1e-9)


def test_lists_under_other_guards_are_the_same_lists_and_any_model_may_stand_in(train: Outcomes) -> None:
    more = {
        name: np.concatenate([values, values[:, 1:]], axis=1)
        for name, values in (
            ("status", train.status),
            ("score", train.score),
            ("cost_usd", train.cost_usd),
            ("latency_s", train.latency_s),
        )
    }
    five = replace(train, models=("m0", "m1", "m2", "m3", "m4"), **more)
    one = Distilled(Learned(gate=False).fit(five)).fit(five)
    # Where a guard refuses all of a chain, the models that it allows are more than any chain has.
    guard = Guard("all", {"words": {"ge": 0}}, never=("m0",))
    n = len(one.rates_)
    free, held = one.train_curve(), one.under((guard,)).train_curve()
    assert any((choices.parts[0][1] == 0).any() for choices in list(free)[:n])
    for before, after in zip(list(free)[:n], list(held)[:n], strict=True):
        assert after.label == before.label
        assert not (after.parts[0][1] == 0).any()
        alone = (before.parts[0][1] <= 0).all(axis=1)
        assert (after.parts[0][1][alone, :4] == [1, 2, 3, 4]).all()
    assert one.under((guard,)).to_ruleset(0).guards == (guard,)
    assert one.to_ruleset(0).guards == ()
