from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routebench.errors import InputError, OutcomesError
from routebench.evaluate import Cases, Choices, Outcomes, compare, decided, decided_out_of_fold, replay
from routebench.evaluate.answers import Answers, AnswersOfModel
from routebench.evaluate.choices import UNTOLD
from routebench.evaluate.outcomes import ERROR, OK
from routebench.importing import import_outcomes
from routebench.matrix import open_outcomes
from routebench.rules import Default, Router, RuleSet
from routebench.rules.file.beside import write_beside
from routebench.store import Store
from routebench.strategies import Always, BestSingle, Cascade, FixedMix, RulesFile, parse_strategy
from routebench.strategies.cascading.ladder import Level, fit_ladder
from routebench.types import Answer
from tests.conftest import make_case, make_model

MODELS = ("nano", "mini", "large")
RIGHT: Mapping[str, float] = {"nano": 0.6, "mini": 0.7, "large": 0.95}
COST: Mapping[str, float] = {"nano": 0.0001, "mini": 0.0002, "large": 0.004}


def outcomes(n: int = 240, seed: int = 3, *, telling: bool = True, samples: int = 1, failing: float = 0.05) -> Outcomes:
    """Sums that models get wrong in their own ways; a wrong answer of the first hedges where answers are telling."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(2, 90, size=(n, 2))
    cases = tuple(make_case(f"c{at}", f"What is {a} plus {b}?") for at, (a, b) in enumerate(numbers))
    score = np.zeros((n, len(MODELS), samples))
    said: dict[str, dict[tuple[str, int], Answer]] = {name: {} for name in MODELS}
    for at, (a, b) in enumerate(numbers):
        for place, name in enumerate(MODELS):
            for sample in range(samples):
                right = bool(rng.random() < RIGHT[name])
                score[at, place, sample] = right
                total = a + b + (0 if right else int(rng.integers(1, 50)))
                hedge = "Perhaps, not sure: " if telling and not right and name != "large" else "Easily: "
                said[name][f"c{at}", sample] = Answer(f"{hedge}the answer is {total}", finish_reason="stop")
    cost = np.broadcast_to(np.array([COST[name] for name in MODELS])[None, :, None], score.shape).copy()
    status = np.full(score.shape, OK, dtype=np.int8)
    status[rng.random(status.shape) < failing] = ERROR
    score[status == ERROR] = np.nan
    return Outcomes("s", Cases.of(cases), MODELS, status, score, cost, np.full(score.shape, 0.5), answers=held(said))


def held(said: Mapping[str, AnswersOfModel]) -> Answers:
    def read(models: Sequence[str]) -> Mapping[str, AnswersOfModel]:
        return {name: said[name] for name in models if name in said}

    return Answers(read)


def silent(data: Outcomes) -> Outcomes:
    return replace(data, answers=None)


def best_over_mix(strategy: Cascade, data: Outcomes) -> float:
    found = compare(data, [*map(Always, MODELS), BestSingle(), FixedMix(), strategy], seeds=(1, 2))
    gains = next(one.measured for one in found.evaluations if one.name == strategy.name)
    pairs = [(one.aiq or np.nan, zero or np.nan) for one, zero in zip(gains, found.zero_aiq, strict=True)]
    return float(np.mean([reached - zero for reached, zero in pairs]))


@pytest.mark.parametrize("looks", ["all", "features", "agree"])
def test_a_cascade_beats_every_mix_where_answers_tell(looks: str) -> None:
    assert best_over_mix(Cascade(looks, hashed_words=32), outcomes()) > 0.03


def test_it_abstains_where_answers_tell_nothing() -> None:
    # Nobody fails, for a chain that goes on after failures is worth something by itself.
    data = outcomes(telling=False, failing=0.0)
    abstained = []
    for seed in range(6):
        order = np.random.default_rng(seed).permutation(data.n)
        cascade = Cascade("features", hashed_words=32).fit(replace(data, score=data.score[order]))
        abstained.append(cascade.abstained)
        if cascade.abstained:
            assert not any(one.checks for one in decided(cascade, data))
            with pytest.raises(InputError, match="abstained"):
                cascade.form(0)
    assert sum(abstained) >= 4


def test_without_answers_it_says_so() -> None:
    with pytest.raises(OutcomesError, match=r"a cascade looks at answers, and none is kept.*prompt alone"):
        Cascade().fit(silent(outcomes()))
    nothing = replace(outcomes(), answers=held({}))
    with pytest.raises(OutcomesError, match="none is kept"):
        Cascade().fit(nothing)
    fitted = Cascade(hashed_words=32).fit(outcomes())
    with pytest.raises(OutcomesError, match="none is kept"):
        decided(fitted, silent(outcomes()))


def test_arguments() -> None:
    assert parse_strategy("cascade:agree").name == "cascade:agree"
    assert parse_strategy("cascade").name == "cascade"
    with pytest.raises(InputError, match="did you mean"):
        parse_strategy("cascade:agre")


@pytest.mark.parametrize("looks", ["all", "features", "agree"])
def test_what_was_measured_is_what_the_rules_file_and_the_router_do(looks: str, tmp_path: Path) -> None:
    data = outcomes(180, samples=2)
    inside, outside = np.arange(140), np.arange(140, 180)
    cascade = Cascade(looks, hashed_words=32, models=[make_model(name) for name in MODELS]).fit(data.take(inside))
    test = data.take(outside)
    curve = decided(cascade, test)
    escalated = 0
    for point in range(0, len(curve), max(1, len(curve) // 6)):
        choices = curve[point]
        written = write_beside(cascade.to_ruleset(point), tmp_path, "s")
        (tmp_path / "rules.yaml").write_text(written.to_yaml())
        ruleset = RuleSet.load(tmp_path / "rules.yaml")
        assert ruleset == written
        form = cascade.form(point)
        if form.head is not None:
            assert (tmp_path / "s.learned-check.safetensors").stat().st_size <= 16 * 1024
            assert "below" in why_refused(Router(ruleset), test, form.route[0])
        measured = replay(test, choices)
        again = replay(test, decided(RulesFile(ruleset).fit(test), test)[0])
        np.testing.assert_array_equal(measured.score, again.score)
        np.testing.assert_array_equal(measured.cost_usd, again.cost_usd)
        if len(form.route) == 1:
            continue
        assert measured.escalated is not None
        escalated += int(measured.escalated.mean() > 0)
        run_by_hand(Router(ruleset), test, measured.sample_score)
    assert escalated


def why_refused(router: Router, data: Outcomes, first: str) -> str:
    """The sentence about the first answer that is refused, of some text where none is."""
    assert data.answers is not None
    for case in data.cases:
        answer = data.answers.get(case.id, first, 0)
        tried = router.next(router.decide(case.request), answer or Answer("-")).tried[0]
        if tried.verdict == "refused":
            return tried.why
    return "nothing is below"


def run_by_hand(router: Router, data: Outcomes, score: np.ndarray) -> None:
    """Asks model after model as an application does."""
    for row, case in enumerate(data.cases):
        for sample in range(data.status.shape[2]):
            decision = router.decide(case.request)
            while decision.model is not None:
                place = data.models.index(decision.model)
                answer = Answer(error_kind="server")
                if data.status[row, place, sample] == OK:
                    assert data.answers is not None
                    answer = data.answers.get(case.id, decision.model, sample) or answer
                decision = router.next(decision, answer)
            by = decision.answered_by
            expected = 0.0 if by is None else data.score[row, data.models.index(by), sample]
            assert score[row, sample] == expected


FITTED: dict[str, Cascade] = {}


@settings(deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["all", "agree"]))
def test_verdicts_never_depend_on_answers_of_models_not_asked_yet(seed: int, looks: str) -> None:
    if looks not in FITTED:
        FITTED[looks] = Cascade(looks, hashed_words=32).fit(outcomes())
    cascade = FITTED[looks]
    data = outcomes(30, seed=11)
    rng = np.random.default_rng(seed)
    point = int(rng.choice([at for at, one in enumerate(cascade.points_) if len(one.chain) > 1]))
    chain = [MODELS[model] for model in cascade.points_[point].chain]
    place = int(rng.integers(1, len(chain)))
    other = {name: {} for name in MODELS}  # type: dict[str, dict[tuple[str, int], Answer]]
    assert data.answers is not None
    for name in MODELS:
        for case in data.cases:
            answer = data.answers.get(case.id, name, 0)
            changed = name in chain[place:] or name not in chain
            other[name][case.id, 0] = Answer(f"other words {rng.integers(99)}") if changed or not answer else answer
    after = replace(data, answers=held(other))
    both = []
    for some in (data, after):
        checks = cascade.check(cascade.curve(some.requests)[point], some).checks[0]
        assert checks is not None
        assert checks.verdicts is not None
        both.append(checks.verdicts[:, :place])
    np.testing.assert_array_equal(both[0], both[1])


def test_training_verdicts_are_out_of_fold() -> None:
    data = outcomes()
    cascade = Cascade("features", hashed_words=32).fit(data)
    inside = [replay(data, one).score.mean() for one in decided(cascade, data)]
    apart = [replay(data, one).score.mean() for one in decided_out_of_fold(cascade, data)]
    assert len(inside) == len(apart)
    assert inside != apart


def test_an_answer_that_is_not_kept_leaves_its_case_open() -> None:
    data = outcomes()
    cascade = Cascade("features", hashed_words=32).fit(data)
    point = next(at for at, one in enumerate(cascade.points_) if len(one.chain) > 1)
    first = MODELS[cascade.points_[point].chain[0]]
    assert data.answers is not None
    said = {name: {(case.id, 0): data.answers.get(case.id, name, 0) for case in data.cases} for name in MODELS}
    kept = {name: {key: one for key, one in some.items() if one is not None} for name, some in said.items()}
    at = int(np.flatnonzero(data.status[:, MODELS.index(first), 0] == OK)[0])
    del kept[first][data.cases[at].id, 0]
    lacking = replace(data, answers=held(kept))
    choices = decided(cascade, lacking)[point]
    assert choices.checks[0] is not None
    assert choices.checks[0].verdicts is not None
    assert choices.checks[0].verdicts[at, 0, 0] == UNTOLD
    assert np.isnan(replay(lacking, choices).score[at])
    assert not np.isnan(replay(data, decided(cascade, data)[point]).score[at])


def test_a_judge_that_nobody_recorded_is_not_guessed() -> None:
    data = outcomes(40)
    models = {name: make_model(name) for name in MODELS}
    checks = {"judged": {"judge": {"model": "large", "accept_from": 0.5}}}
    ruleset = RuleSet("t", models, Default(("nano", "large"), cascade="judged"), checks=checks)
    with pytest.raises(OutcomesError, match="what large judges is not recorded"):
        decided(RulesFile(ruleset).fit(data), data)


def test_a_ladder_is_one_weighted_sum_of_the_columns() -> None:
    rng = np.random.default_rng(0)
    columns, weight = rng.normal(size=(200, 6)), rng.uniform(0.5, 2, size=200)
    targets = columns[:, [0]] * 2 + 0.1 * rng.normal(size=(200, 1)) + 3
    known = rng.random(200) < 0.9
    levels = [Level(np.array([0, 1]), np.ones(2)), Level(np.arange(6), np.full(6, 2.0))]
    fold_of = np.arange(200) % 5
    folds = [(np.flatnonzero(fold_of != one), np.flatnonzero(fold_of == one)) for one in range(5)]
    ladder = fit_ladder(columns, targets, weight, known, levels, folds)
    assert ladder.weights[0] == pytest.approx([2, 0, 0, 0, 0, 0], abs=0.1)
    assert ladder.bias[0] == pytest.approx(3, abs=0.1)
    assert np.isnan(ladder.out_of_fold[~known]).all()
    inside = columns[known] @ ladder.weights[0] + ladder.bias[0]
    assert ladder.out_of_fold[known, 0] == pytest.approx(inside, abs=0.2)
    # Rows that are left out change nothing.
    targets[~known] = 1e6
    np.testing.assert_array_equal(fit_ladder(columns, targets, weight, known, levels, folds).weights, ladder.weights)


def test_shown_is_how_many_requests_go_on() -> None:
    found = compare(outcomes(), [BestSingle(), FixedMix(), Cascade(hashed_words=32)], seeds=(1,))
    shares = {one.name: one.escalated_share for one in found.evaluations}
    assert shares["best_single"] is None
    assert shares["cascade"] is not None
    assert 0 <= shares["cascade"] <= 1
    row = next(one for one in found.as_dict()["strategies"] if one["name"] == "cascade")
    assert row["escalated_share"] == shares["cascade"]


def test_single_models_are_points_of_the_curve() -> None:
    data = outcomes()
    curve: Sequence[Choices] = Cascade("agree").fit(data).curve(data.requests)
    assert {one.parts[0][1].shape[1] for one in curve} >= {1}
    assert len([one for one in curve if not one.checks]) >= len(MODELS)


@pytest.mark.parametrize(("name", "least"), [("routellm_gsm8k", 0.04), ("bfcl_lite", 0.012)])
def test_public_answers_are_worth_twice_what_their_prompts_are(
    shared_data: Path, tmp_path: Path, at: Callable[[], datetime], name: str, least: float
) -> None:
    store = Store(tmp_path / "s.duckdb")
    files = {"outcomes": shared_data / f"{name}.outcomes.parquet", "prompts": shared_data / f"{name}.prompts.parquet"}
    import_outcomes(store, name, **files, at=at())
    data = open_outcomes(store, name)
    found = compare(data, [BestSingle(), FixedMix(), Cascade()], seeds=(42,))
    measured = next(one.measured for one in found.evaluations if one.name == "cascade")
    gains = [(one.aiq or 0.0) - (zero or 1.0) for one, zero in zip(measured, found.zero_aiq, strict=True)]
    assert np.mean(gains) > least
    assert all((one.deployed_gain or 0.0) > 0 for one in measured)
