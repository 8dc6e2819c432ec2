from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routebench.evaluate import Choices, Outcomes
from routebench.evaluate.answers import Answers
from routebench.evaluate.choices import ACCEPTED, REFUSED, Checks
from routebench.evaluate.protocol import decided
from routebench.rules import Default, Router, RuleSet
from routebench.rules.file.beside import artifacts_of, write_beside
from routebench.strategies import Learned, Similarity, Student
from routebench.strategies.base import Policy
from routebench.strategies.learned.gain import Gain
from routebench.tune import Constraints, Point, tune
from routebench.tune.curve import Curve, Deployable
from routebench.tune.ground import Ground, allowed_by
from routebench.tune.slices import Slices
from routebench.tune.trials import Trial, best_of
from routebench.types import Answer
from tests.conftest import make_model
from tests.evaluate.matrices import matrix
from tests.strategies.test_learned import topical


class Fixed(Policy):
    """Gives the same decisions whatever it is asked."""

    name = "fixed"

    def __init__(self, choices: Choices) -> None:
        self._choices = choices

    def curve(self, requests: Sequence[Any]) -> Sequence[Choices]:
        assert len(requests)
        return [self._choices]

    def to_ruleset(self, point: int) -> RuleSet:
        assert point == 0
        return RuleSet("fixed", {name: make_model(name) for name in self.models_}, Default(route=self.models_))


def ground(data: Outcomes, *, allowed: Any = None, kept: Any = None) -> Ground:
    held = np.zeros(data.n, dtype=bool) if kept is None else np.asarray(kept, dtype=bool)
    return Ground(data, Slices({}, (), (), None, held), allowed, (data.models[-1],), Gain.of(data))


def three() -> Outcomes:
    return matrix([[1, 0.5, 0], [0, 0.5, 1], [1, 0, 0.5], [0, 0, 1]], np.ones((4, 3)) * [0.1, 0.2, 0.4])


def scores_of(data: Outcomes, choices: Choices, **held: Any) -> list[float]:
    return list(Curve.of(Fixed(choices).fit(data), ground(data, **held)).score[0])


def test_a_trial_keeps_guards_and_small_slices_as_the_runtime_would() -> None:
    data = three()
    choices = Choices.same(data.models, ("m0", "m1"), 4)
    assert scores_of(data, choices) == [1, 0, 1, 0]
    assert scores_of(data, choices, kept=[0, 1, 0, 1]) == [1, 1, 1, 1]
    allowed = np.array([[True, True, True], [False, True, True], [False, False, True], [False, False, False]])
    assert scores_of(data, choices, allowed=allowed) == [1, 0.5, 0.5, 0]
    assert ground(data, allowed=allowed).replay(choices).failed[3] == 1


def test_verdicts_move_with_the_chain_that_guards_leave() -> None:
    data = three()
    verdicts = np.full((4, 3, 1), REFUSED, dtype=np.int8)
    verdicts[:, 1] = ACCEPTED
    checks = Checks(("c",), np.zeros(4, dtype=np.intp), verdicts, np.ones(4, dtype=bool))
    chains = np.tile(np.arange(3), (4, 1))
    choices = Choices(data.models, ((1.0, chains),), checks=(checks,))
    assert scores_of(data, choices) == [0.5, 0.5, 0, 0]
    # Without the second model the third answers, and nobody refuses it.
    allowed = np.ones((4, 3), dtype=bool)
    allowed[:, 1] = False
    assert scores_of(data, choices, allowed=allowed) == [0, 1, 0.5, 1]
    assert scores_of(data, choices, kept=[1, 1, 1, 1]) == [0, 1, 0.5, 1]


def test_allowed_is_what_the_gatekeeper_says() -> None:
    data = topical(12)
    guards = RuleSet.parse(
        "schema: routebench/rules/v1\nname: s\nmodels:\n"
        + "".join(f"  m{place}: {{provider: openai, model: x{place}}}\n" for place in range(3))
        + "guards: [{name: sums, when: {any_keyword: [add]}, only: [m1]}]\ndefault: {route: [m0]}\n"
    )
    allowed = allowed_by(guards, data)
    assert allowed is not None
    for row, request in zip(allowed, data.requests, strict=True):
        is_sum = "add" in str(request.messages[0]["content"])
        assert row.tolist() == ([False, True, False] if is_sum else [True] * 3)
    assert allowed_by(RuleSet("s", guards.models, Default(route=("m0",))), data) is None


def trial(name: str, gain: float, cost: float | None, quality: float = 0.8) -> Trial:
    data = three()
    form: Deployable = Fixed(Choices.same(data.models, ("m0",), 4)).fit(data)
    form.name = name
    return Trial(form, Point(0, quality, cost, None), gain, 0.01, 0.0, gain)


def test_a_readable_form_that_is_worth_nearly_as_much_is_preferred() -> None:
    asked = Constraints()
    # Score and cost trade at one to ten: a dollar more is a tenth of a point.
    readable, best, last = trial("rules", 0.08, 1.1), trial("head", 0.1, 1.0), trial("cascade", 0.05, 1.05)
    chosen = best_of([readable, best, last], asked, 0.1)
    assert [one.form.name for one in chosen if one] == ["rules", "head"]
    dear = trial("rules", 0.08, 1.3)
    assert [one.form.name for one in best_of([dear, best, last], asked, 0.1) if one] == ["head", "cascade"]
    worse = trial("rules", 0.08, 1.1, quality=0.77)
    assert [one.form.name for one in best_of([worse, best, last], asked, 0.1) if one] == ["head", "cascade"]
    assert best_of([best], asked, 0.1) == (best, None)
    # What nobody knows the cost of is no bargain.
    unpriced = trial("rules", 0.1, None)
    assert [one.form.name for one in best_of([unpriced, best], asked, 0.1) if one] == ["head", "rules"]
    assert [one.form.name for one in best_of([unpriced, best], asked, 0.0) if one] == ["rules", "head"]


def test_a_gain_over_the_mix_at_the_same_cost() -> None:
    data = matrix([[1, 0], [0, 1]] * 20, [[1, 3]] * 40)
    # Both models are right half of the time: every mix scores a half.
    right = trial_of(data, Choices.single(data.models, np.tile([0, 1], 20)))
    assert right.gain == pytest.approx(0.5)
    assert 0.05 < right.gain_se < 0.1
    same = trial_of(data, Choices.single(data.models, np.zeros(40, dtype=np.intp)))
    assert (same.gain, same.gain_se) == (0, float("inf"))


def trial_of(data: Outcomes, choices: Choices) -> Trial:
    held = ground(data)
    found = Trial.of(Curve.of(Fixed(choices).fit(data), held), 0, held)
    assert found is not None
    return found


def test_a_floor_is_kept_with_an_error_to_spare() -> None:
    asked = Constraints(max_quality_drop=0.02)
    from routebench.tune import choose

    lucky, sure = Point(0, 0.79, 1.0, None, quality_se=0.02), Point(1, 0.80, 2.0, None, quality_se=0.005)
    assert choose([lucky, sure], asked, 0.8) == sure


@pytest.mark.parametrize("form", [Student, Similarity])
def test_what_a_form_writes_beside_the_file_decides_as_it_does(form: type[Any], tmp_path: Path) -> None:
    data = topical(240)
    policy = form(Learned().fit(data)).fit(data) if form is Student else form().fit(data)
    point = 4
    written = write_beside(policy.to_ruleset(point), tmp_path, "s")
    (tmp_path / "rules.yaml").write_text(written.to_yaml())
    ruleset = RuleSet.load(tmp_path / "rules.yaml")
    part = ruleset.learned if form is Student else ruleset.similarity
    assert part is not None
    (name,) = artifacts_of(part.settings)
    assert name.startswith("s.")
    assert (tmp_path / name).stat().st_size > 0
    router = Router(ruleset)
    chosen = decided(policy, data)[point].parts[0][1][:, 0]
    routed = [data.models.index(router.decide(request).chain[0]) for request in data.requests]
    # Sixteen bits round a library's similarities in the third digit.
    assert np.mean(np.array(routed) == chosen) >= (1.0 if form is Student else 0.97)


def test_a_tuned_cascade_is_written_with_its_check(tmp_path: Path) -> None:
    # Prompts tell where the cheap model is mostly right, and its answers tell where it surely is.
    data = topical(300).select(["m0", "m2"])
    right = data.score[:, 0, 0].astype(bool)
    data.score[:, 1, 0] = np.random.default_rng(6).random(data.n) < 0.9
    data.cost_usd[:, 0], data.cost_usd[:, 1] = 1e-4, 1e-3
    keys = [(str(case_id), 0) for case_id in data.cases.ids]
    cheap = {
        key: Answer(text="The answer is 4." if is_right else "Sorry, I cannot tell.")
        for key, is_right in zip(keys, right, strict=True)
    }
    dear = dict.fromkeys(keys, Answer(text="The answer is 7."))
    answers = Answers(lambda names: {name: cheap if name == "m0" else dear for name in names})
    tuned = tune(
        replace(data, answers=answers),
        [make_model("m0"), make_model("m2")],
        Constraints(max_cost_usd_per_1k=0.6),
        name="s",
        golden="none",
        created=date(2026, 11, 28),
    )
    path = tuned.export(tmp_path / "rules.yaml")
    row = tuned.as_dict()
    assert (row["form"], row["files"]) == ("cascade", ["s.learned-check.safetensors"])
    assert {one.name for one in tmp_path.iterdir()} == {"rules.yaml", *row["files"]}
    ruleset = RuleSet.load(path)
    assert ruleset == tuned.ruleset
    assert ruleset.default.cascade is not None
    assert row["quality"] > 0.9
    assert row["cost_usd_per_1k"] < 0.65
