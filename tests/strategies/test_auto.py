from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from routebench.evaluate import Outcomes, compare, replay
from routebench.evaluate.answers import Answers
from routebench.evaluate.protocol import decided
from routebench.strategies import Auto, AutoCascade, BestSingle, Learned, parse_strategy
from routebench.strategies.base import Policy
from routebench.types import Answer
from tests.strategies.test_learned import topical


def test_it_routes_where_prompts_tell_models_apart() -> None:
    found = compare(topical(300), [BestSingle(), Auto()], seeds=[42]).as_dict()
    row = found["strategies"][1]
    assert not row["abstained"]
    assert row["aiq"] > found["zero_router"]["aiq"] + 0.1
    assert row["deployed_gain"] > 0.1


def test_it_abstains_before_it_chooses() -> None:
    for seed in range(20):
        auto = Auto().fit(topical(120, signal=False, seed=seed))
        if auto.abstained:
            break
    assert auto.abstained
    assert [one.policy.name for one in auto.candidates_] == ["learned"]
    assert auto.chosen_.abstained


def test_another_candidate_needs_a_lead_beyond_chance() -> None:
    auto = Auto().fit(topical(300))
    first, *others = auto.candidates_
    assert isinstance(first.policy, Learned)
    assert (first.lead, first.lead_se) == (0, 0)
    assert [one.policy.name for one in others] == ["similarity", "complexity", "cost_threshold"]
    assert all(one.lead == pytest.approx(one.gain - first.gain) for one in others)
    assert any(one.lead_se > 0 for one in others)
    ahead = [one for one in others if one.lead > one.lead_se]
    expected: Policy = max(ahead, key=lambda one: one.gain).policy if ahead else first.policy
    assert auto.chosen_ is expected


def test_without_answers_cascades_are_left_out_and_it_says_why() -> None:
    found = AutoCascade().fit(topical(200))
    assert found.cascade_ is None
    assert "answers" in str(found.without_cascade_)
    assert len(found.curve(found._train.requests)) == len(found.train_curve())


def telling(n: int = 200) -> Outcomes:
    """The cheap model says that it does not know where it is wrong; prompts tell nothing."""
    data = topical(n, signal=False).select(["m0", "m2"])
    rng = np.random.default_rng(2)
    right = rng.random(n) < 0.6
    data.score[:, 0, 0], data.score[:, 1, 0] = right, rng.random(n) < 0.9
    data.cost_usd[:, 0], data.cost_usd[:, 1] = 1e-4, 1e-3
    said = {
        (str(case_id), 0): Answer(text=f"The answer is {place}." if right[place] else "Sorry, I cannot tell.")
        for place, case_id in enumerate(data.cases.ids)
    }
    strong = {key: Answer(text="The answer is 7.") for key in said}
    return replace(data, answers=Answers(lambda names: {name: said if name == "m0" else strong for name in names}))


def test_cascades_join_the_curve_and_are_paid_in_full() -> None:
    data = telling()
    found = AutoCascade().fit(data)
    assert found.cascade_ is not None
    assert not found.abstained
    replays = [replay(data, choices) for choices in decided(found, data)]
    best = max(replays, key=lambda one: float(one.score.mean() - 100 * one.cost_usd.mean()))
    assert best.score.mean() > 0.9
    assert best.escalated is not None
    escalated = np.asarray(best.escalated) > 0
    np.testing.assert_allclose(best.cost_usd[escalated], 1.1e-3)
    np.testing.assert_allclose(best.cost_usd[~escalated], 1e-4)


def test_names_with_an_embedder() -> None:
    pytest.importorskip("onnxruntime")
    assert parse_strategy("auto:minilm").name == "auto:minilm"
    assert parse_strategy("learned:minilm").name == "learned:minilm"
    assert parse_strategy("auto_cascade").name == "auto_cascade"
