from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routebench.embedding import unit_rows
from routebench.errors import InputError
from routebench.evaluate import Cases, Outcomes, replay
from routebench.evaluate.outcomes import MISSING, OK
from routebench.evaluate.sweep import curve_points
from routebench.rules import Default, Router, RuleSet
from routebench.strategies import RulesFile, Similarity, parse_strategy
from routebench.strategies.neighbours import nearest_rows
from routebench.types import Request
from tests.conftest import make_case, make_model

TOPICS = [["rain", "cloud", "wind"], ["loan", "bank", "rate"], ["goal", "match", "team"]]
MODELS = ("cheap", "words", "sums")


def outcomes(n: int = 150, seed: int = 0) -> Outcomes:
    """Three topics; two models that are good at one each, and a cheap one that is good at the third."""
    rng = np.random.default_rng(seed)
    topic = np.arange(n) % 3
    texts = [" ".join(rng.choice(TOPICS[kind], 4)) + f" x{place}" for place, kind in enumerate(topic)]
    cases = tuple(make_case(f"c{place}", text, group=f"g{place // 3}") for place, text in enumerate(texts))
    good = np.equal.outer(topic, [2, 0, 1])
    score = np.where(good, 0.9, 0.3)[:, :, None] * rng.uniform(0.9, 1.1, (n, 3, 1))
    # Long answers to questions on loans, by all.
    cost = np.array([0.001, 0.004, 0.004])[None, :, None] * np.where(topic == 1, 5.0, 1.0)[:, None, None]
    status = np.full(score.shape, OK, dtype=np.int8)
    return Outcomes("s", Cases.of(cases), MODELS, status, score, cost, np.full(score.shape, 1.0))


def ask(text: str) -> Request:
    return Request(({"role": "user", "content": text},))


class Letters:
    """An embedder of three numbers: how many r, b and g a text has."""

    name = "letters"
    key = "letters v1"
    dim = 3

    def __init__(self) -> None:
        self.n_asked = 0

    def embed(self, texts: Sequence[str]) -> Any:
        self.n_asked += len(texts)
        return unit_rows([[text.count(letter) for letter in "rbg"] for text in texts])


def test_similar_prompts_say_which_model_is_good() -> None:
    data = outcomes()
    strategy = Similarity().fit(data)
    assert strategy.setting_.k in (24, 48, 96, 192)
    for curve in (strategy.train_curve(), strategy.curve(data.requests)):
        best = max(replay(data, choices).score.mean() for choices in curve)
        assert best == pytest.approx(data.score.max(axis=1).mean(), abs=0.02)
    assert strategy.route(ask("wind and rain")).chain == ("words",)
    assert strategy.route(ask("the team and its goal")).chain == ("cheap",)
    decision = strategy.route(ask("the loan of a bank"), point=len(strategy.curve([ask("x")])) - 1)
    assert decision.chain == ("cheap",)


def test_costs_of_similar_prompts_are_expected() -> None:
    strategy = Similarity(k=24, shrinkage=0.3).fit(outcomes())
    expected = []
    for costs_of_similar in (False, True):
        strategy.setting_ = strategy.setting_._replace(costs_of_similar=costs_of_similar)
        expected.append(np.broadcast_to(strategy.curve([ask("bank rate"), ask("rain wind")]).costs, (2, 3)))
    means, similar = expected
    assert means[0] == pytest.approx(means[1])
    assert similar[0] == pytest.approx([0.005, 0.02, 0.02], rel=0.15)
    assert similar[1] == pytest.approx([0.001, 0.004, 0.004], rel=0.35)


def test_the_training_curve_never_sees_its_own_group() -> None:
    # Prompts of a group are the same, and scores are drawn by group: only who peeks is better than a constant.
    rng = np.random.default_rng(1)
    cases = tuple(make_case(f"c{place}", f"word{place // 4} alone", group=f"g{place // 4}") for place in range(240))
    score = np.repeat(rng.integers(0, 2, (60, 2)).astype(float), 4, axis=0)[:, :, None]
    status, cost = np.full(score.shape, OK, dtype=np.int8), np.full(score.shape, 1.0)
    data = Outcomes("s", Cases.of(cases), ("a", "b"), status, score, cost, cost)
    strategy = Similarity().fit(data)
    constant = score.mean(axis=0).max()
    assert replay(data, strategy.train_curve()[0]).score.mean() <= constant + 0.05
    assert replay(data, strategy.curve(data.requests)[0]).score.mean() > constant + 0.12


def test_what_is_unknown_is_left_out() -> None:
    data = outcomes()
    status, score, cost = data.status.copy(), data.score.copy(), data.cost_usd.copy()
    rng = np.random.default_rng(2)
    gone = rng.random(score.shape) < 0.5
    status[gone], score[gone], cost[gone] = MISSING, np.nan, np.nan
    cost[:, 2] = np.nan
    strategy = Similarity().fit(replace(data, status=status, score=score, cost_usd=cost))
    curve = strategy.curve(data.requests)
    assert np.isfinite(curve.predicted).all()
    best = max(replay(data, choices).score.mean() for choices in curve)
    assert best == pytest.approx(data.score.max(axis=1).mean(), abs=0.03)
    # A price that nobody knows is the dearest one.
    costs = curve.costs
    assert costs[:, 2].tolist() == costs[:, :2].max(axis=1).tolist()


def test_observations_count_in_single_and_in_many_decisions() -> None:
    strategy = Similarity(k=24).fit(outcomes())
    for place in range(12):
        strategy.observe(ask(f"paint a picture of {place}"), {"sums": 1.0, "words": 0.0, "cheap": 0.0}, {"sums": 0.01})
    picture = ask("paint a picture of 77")
    assert strategy.route(picture).chain == ("sums",)
    chosen = strategy.curve([picture, ask("wind and rain")])[0]
    assert chosen.parts[0][1][:, 0].tolist() == [2, 1]
    with pytest.raises(InputError, match="did you mean 'words'"):
        strategy.observe(picture, {"word": 1.0})
    assert strategy.library().n == 162


@pytest.mark.parametrize("embedder", [None, Letters()])
@pytest.mark.parametrize("point", [0, 15, 30])
def test_what_was_measured_is_what_runs(tmp_path: Path, embedder: Letters | None, point: int) -> None:
    data = outcomes(90)
    strategy = Similarity(embedder).fit(data)
    part = strategy.part(point)
    digest = part.library.save(tmp_path / "past.safetensors")
    artifact = {"library": {"artifact": "past.safetensors", "sha256": digest}}
    models = {name: make_model(name) for name in MODELS}
    written = replace(part, settings={**artifact, **part.settings})
    text = RuleSet("r", models, Default(route=("cheap",)), similarity=written).to_yaml()
    ruleset = RuleSet.parse(text, folder=tmp_path)
    router = Router(ruleset, embedders={} if embedder is None else {"letters": embedder})
    chosen = strategy.curve(data.requests)[point].parts[0][1][:, 0]
    for request, place in zip(data.requests, chosen, strict=True):
        decision = router.decide(request)
        assert decision.rule == "similarity"
        assert decision.chain[0] == MODELS[place] == strategy.route(request, point).chain[0]
    if embedder is None:
        replayed = RulesFile(ruleset).fit(data).curve(data.requests)[0]
        assert replayed.parts[0][1][:, 0].tolist() == [list(data.models).index(MODELS[place]) for place in chosen]


def test_a_suite_is_embedded_once() -> None:
    data, embedder = outcomes(), Letters()
    half = data.take(np.arange(75))
    strategy = Similarity(embedder).fit(half)
    strategy.curve(data.requests)
    strategy.train_curve()
    assert embedder.n_asked == 150
    assert strategy.name == "similarity:letters"
    reached = curve_points(data, strategy.curve(data.requests)).quality.max()
    assert reached > data.score.mean(axis=0).max() + 0.2


def test_an_embedder_nobody_has_is_named() -> None:
    with pytest.raises(InputError, match="similarity: there is no embedder 'minilmm'"):
        parse_strategy("similarity:minilmm")


@pytest.mark.parametrize("sparse", [False, True])
def test_neighbours_are_exact_and_the_nearest_first(sparse: bool) -> None:
    import scipy.sparse

    rng = np.random.default_rng(0)
    queries, library = rng.random((40, 7)), rng.random((30, 7))
    wrap = scipy.sparse.csr_matrix if sparse else np.asarray
    near, index = nearest_rows(wrap(queries), wrap(library), 5)
    product = queries @ library.T
    assert near == pytest.approx(-np.sort(-product, axis=1)[:, :5])
    assert np.take_along_axis(product, index, axis=1) == pytest.approx(near)
    assert nearest_rows(wrap(queries), wrap(library), 99)[0].shape == (40, 30)
