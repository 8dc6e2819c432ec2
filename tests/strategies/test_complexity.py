from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routebench.errors import InputError, OutcomesError
from routebench.evaluate import Cases, Choices, Outcomes, compare, decided, decided_out_of_fold, replay
from routebench.evaluate.answers import Answers
from routebench.evaluate.outcomes import ERROR, MISSING, OK
from routebench.evaluate.splits import split
from routebench.importing import import_outcomes
from routebench.matrix import open_outcomes
from routebench.rules import Router, RuleSet
from routebench.rules.learned.llm_classifier import LlmClassifier
from routebench.rules.learned.surface import SURFACE
from routebench.store import Store
from routebench.strategies import BestSingle, Complexity, LlmScores, RulesFile, parse_strategy
from routebench.strategies.scorers import HEURISTIC_WEIGHTS
from routebench.types import Answer, Case, Request
from tests.conftest import make_case, make_model

EASY = ["what is {} plus one", "say hello to number {}", "name the colour {}"]
HARD = [
    "prove step by step that theorem {} holds for every integral and every bound",
    "```py\ndef f{}(x): return x\n```\nrefactor this function and prove that it terminates on every input",
]


def outcomes(n: int = 240, seed: int = 0) -> Outcomes:
    """Small is right on easy prompts, large on all; a model between them, and one that is too dear for what it does."""
    rng = np.random.default_rng(seed)
    hard = rng.random(n) < 0.4
    texts = [HARD if one else EASY for one in hard]
    cases = [make_case(f"c{place}", some[place % len(some)].format(place)) for place, some in enumerate(texts)]
    right = np.column_stack([~hard, ~hard | (rng.random(n) < 0.5), np.ones(n, bool), np.zeros(n, bool)])
    score = (right & (rng.random((n, 4)) < 0.95)).astype(float)[:, :, None]
    cost = np.broadcast_to(np.array([0.001, 0.003, 0.01, 0.02])[None, :, None], score.shape).copy()
    status = np.full(score.shape, OK, dtype=np.int8)
    names = ("small", "middle", "large", "vain")
    return Outcomes("s", Cases.of(cases), names, status, score, cost, np.full(score.shape, 1.0))


def best_of(data: Outcomes, curve: Any, most_usd: float) -> float:
    replays = [replay(data, choices) for choices in curve]
    return max(float(one.score.mean()) for one in replays if one.cost_usd.mean() <= most_usd)


@pytest.mark.parametrize("classifier", ["learned", "heuristic", "gbm"])
def test_hard_requests_go_to_the_model_that_can(classifier: str) -> None:
    data, fresh = outcomes(), outcomes(seed=1)
    strategy = Complexity(classifier).fit(data)
    assert {chain[0] for chain in strategy.chains_} <= {"small", "middle", "large"}
    # Half of what the best model costs, and nearly all of what it brings.
    assert best_of(fresh, decided(strategy, fresh), 0.006) > 0.9
    assert best_of(data, decided_out_of_fold(strategy, data), 0.006) > 0.9
    costs = [replay(fresh, choices).cost_usd.mean() for choices in strategy.curve(fresh.requests)]
    assert costs[0] > costs[-1] == pytest.approx(0.001)
    points = strategy.curve(list(fresh.requests)[:3])
    assert len(points) == len(costs) == len(strategy.train_curve())


@pytest.mark.parametrize("classifier", ["learned", "heuristic"])
def test_what_was_replayed_is_what_a_router_decides(classifier: str, tmp_path: Path) -> None:
    data, fresh = outcomes(), outcomes(60, seed=2)
    strategy = Complexity(classifier).fit(data)
    curve = strategy.curve(fresh.requests)
    tiered = [point for point, tiers in enumerate(strategy.tierings_) if tiers.below]
    assert tiered
    for point in {*tiered, 0, len(curve) - 1}:
        ruleset = strategy.to_ruleset(point)
        assert chains(RulesFile(ruleset).fit(data).curve(fresh.requests)[0]) == chains(curve[point])
    section, default = strategy.to_contents(tiered[0])
    assert section is not None
    if classifier == "learned":
        written: Any = section.classifier
        digest = written.head.save(tmp_path / "c.safetensors")
        assert (tmp_path / "c.safetensors").stat().st_size < 16 * 1024
        section = replace(section, settings={**section.settings, "artifact": "c.safetensors", "sha256": digest})
    whole = replace(strategy.to_ruleset(tiered[0]), complexity=section)
    (tmp_path / "rules.yaml").write_text(whole.to_yaml(), encoding="utf-8")
    loaded = RuleSet.load(tmp_path / "rules.yaml")
    assert loaded == whole
    assert loaded.default == default
    assert chains(RulesFile(loaded).fit(data).curve(fresh.requests)[0]) == chains(curve[tiered[0]])


def chains(choices: Choices) -> list[tuple[str, ...]]:
    ((_, table),) = choices.parts
    return [tuple(choices.models[at] for at in row if at >= 0) for row in table]


def test_one_tier_is_a_default_and_no_section() -> None:
    strategy = Complexity().fit(outcomes())
    section, default = strategy.to_contents(len(strategy.tierings_) - 1)
    assert section is None
    assert default.route == ("small", "large")
    assert strategy.curve(list(outcomes().requests)[:1])[-1].label == "always small"
    models = (make_model("small"),)
    assert Complexity(models=models).fit(outcomes()).to_ruleset(0).models["small"] == models[0]


def test_a_case_decides_nothing_about_itself() -> None:
    """Scores without any relation to the prompts: out of fold nothing is gained over single models."""
    data = outcomes(300)
    rng = np.random.default_rng(3)
    score = (rng.random((300, 4, 1)) < np.array([0.4, 0.5, 0.6, 0.1])[None, :, None]).astype(float)
    data = replace(data, score=score)
    strategy = Complexity().fit(data)
    in_fold = [replay(data, one) for one in strategy.curve(data.requests)]
    out = [replay(data, one) for one in decided_out_of_fold(strategy, data)]
    rates = np.linspace(0, 20, 21)

    def reached(replays: Any) -> float:
        utility = [[one.score.mean() - rate * one.cost_usd.mean() for one in replays] for rate in rates]
        return float(np.max(utility, axis=1).mean())

    alone = [replay(data, Choices.same(data.models, (name,), data.n)) for name in data.models]
    assert reached(out) < reached(in_fold)
    assert reached(out) < reached(alone) + 0.01


def test_missing_cells_are_left_out_and_a_single_model_is_constant() -> None:
    data = outcomes()
    data.status[::7, 0] = MISSING
    data.score[::7, 0] = np.nan
    strategy = Complexity().fit(data)
    assert len(strategy.train_curve()[0].parts[0][1]) == data.n
    alone = Complexity().fit(outcomes().select(["large"]))
    assert {chains(one)[0] for one in alone.curve(list(data.requests)[:5])} == {("large",)}


def test_names_and_forms() -> None:
    assert [parse_strategy(text).name for text in ("complexity", "complexity:heuristic", "complexity:gbm")] == [
        "complexity",
        "complexity:heuristic",
        "complexity:gbm",
    ]
    with pytest.raises(InputError, match=r"no classifier 'heuristics' \(did you mean 'heuristic'\?\)"):
        parse_strategy("complexity:heuristics")
    assert set(HEURISTIC_WEIGHTS) <= set(SURFACE)
    strategy = Complexity("gbm").fit(outcomes())
    tiered = next(point for point, tiers in enumerate(strategy.tierings_) if tiers.below)
    with pytest.raises(OutcomesError, match=r"no form in rules\.yaml: boosted trees run offline only"):
        strategy.to_ruleset(tiered)


CLASSIFIER = LlmClassifier("tiny")


def recorded(data: Outcomes, said: Any) -> Outcomes:
    """A run of the classifier's suite: `said` tells from a prompt what was answered, None for a failed call."""
    cases = LlmScores.cases(CLASSIFIER, [data.cases[place] for place in range(data.n)])
    texts = [said(data.requests[place].messages[0]["content"]) for place in range(data.n)]
    status = np.array([ERROR if text is None else OK for text in texts], dtype=np.int8)[:, None, None]
    unknown, cost = np.full(status.shape, np.nan), np.full(status.shape, 0.0001)
    held = {(case.id, 0): Answer(text) for case, text in zip(cases, texts, strict=True) if text is not None}
    answers = Answers(lambda models: {name: held for name in models if name == "tiny"})
    return Outcomes("c", Cases.of(cases), ("tiny",), status, unknown, cost, np.full(status.shape, 0.2), answers=answers)


def rating(prompt: str) -> str | None:
    return "5" if "prove" in prompt else "1"


def test_a_small_language_model_may_score_and_is_paid_for() -> None:
    data, fresh = outcomes(), outcomes(60, seed=2)
    both = Outcomes(
        "b", Cases.of([replace(case, id=f"{half}-{case.id}") for half, some in (("x", data), ("y", fresh)) for case in some.cases]),
        data.models, *[np.concatenate([getattr(data, name), getattr(fresh, name)]) for name in ("status", "score", "cost_usd", "latency_s")],
    )  # fmt: skip
    scores = LlmScores.recorded(CLASSIFIER, recorded(both, rating))
    strategy = Complexity(scores).fit(data)
    assert strategy.name == "complexity:llm"
    curve = strategy.curve(fresh.requests)
    found = replay(fresh, curve[0])
    assert found.score.mean() > 0.9
    chosen = [fresh.cost_usd[row, fresh.models.index(chain[0]), 0] for row, chain in enumerate(chains(curve[0]))]
    assert found.cost_usd == pytest.approx(np.array(chosen) + 0.0001)
    assert curve[0].decision_latency_s is not None
    assert set(curve[0].decision_latency_s) == {0.2}
    # The file of that point, replayed with the recorded answers: the same decisions, the same costs.
    point = next(at for at, tiers in enumerate(strategy.tierings_) if tiers.below)
    ruleset = strategy.to_ruleset(point)
    assert ruleset.complexity is not None
    assert ruleset.complexity.settings == {"kind": "llm", "model": "tiny", "scale": [1.0, 5.0]}
    models = {**ruleset.models, "tiny": make_model("tiny")}
    ruleset = replace(ruleset, models=models, order=())
    seen = replace(fresh, models=fresh.models)
    file = RulesFile(ruleset, ask=scores.ask)
    file.models_ = (*seen.models, "tiny")
    (replayed,) = file.curve(fresh.requests)
    assert chains(replayed) == chains(curve[point])
    assert replayed.decision_cost_usd is not None
    assert replayed.decision_cost_usd.tolist() == [0.0001] * fresh.n


def test_an_answer_of_no_use_goes_to_the_last_tier_and_none_at_all_is_unknown() -> None:
    data = outcomes()
    scores = LlmScores.recorded(CLASSIFIER, recorded(data, lambda text: None if "hello" in text else rating(text)))
    strategy = Complexity(scores).fit(data)
    point = next(at for at, tiers in enumerate(strategy.tierings_) if tiers.below)
    ask = [Request(({"role": "user", "content": text},)) for text in ("say hello to number 1", "never asked")]
    known = next(request for request in data.requests if "hello" in request.messages[0]["content"])
    last = strategy.chains_[strategy.tierings_[point].places[-1]]
    assert chains(strategy.curve([known])[point]) == [last]
    assert strategy.to_contents(point)[1].route == last
    unseen = strategy.curve([ask[1]])[point]
    assert chains(unseen) == [()]
    assert unseen.decision_cost_usd is not None
    assert np.isnan(unseen.decision_cost_usd).all()
    with pytest.raises(OutcomesError, match="no answer of tiny was recorded"):
        Router(replace(strategy.to_ruleset(point), models={**strategy.to_ruleset(point).models, "tiny": make_model("tiny")}, order=()), ask=scores.ask).decide(ask[1])  # fmt: skip


def test_a_run_without_texts_is_no_run_of_a_classifier() -> None:
    data = outcomes(30)
    with pytest.raises(OutcomesError, match=r"no answer of tiny is kept.*store: \{text: full\}"):
        LlmScores.recorded(CLASSIFIER, replace(recorded(data, rating), answers=None))
    with pytest.raises(OutcomesError, match="has no model 'tiny'"):
        LlmScores.recorded(CLASSIFIER, data)
    other = LlmScores.recorded(CLASSIFIER, recorded(data, rating))
    strangers = Outcomes(
        "t", Cases.of([Case(f"t{at}", Request(({"role": "user", "content": f"stranger {at}"},))) for at in range(30)]),
        data.models, data.status, data.score, data.cost_usd, data.latency_s,
    )  # fmt: skip
    with pytest.raises(OutcomesError, match="was recorded for any of 30 requests"):
        Complexity(other).fit(strangers)


def test_public_outcomes(shared_data: Path, tmp_path: Path, at: Any) -> None:
    """Mean gain over the hull of single models; the learned classifier is worth having where there is something to learn."""
    name = "routellm_gsm8k"
    store = Store(tmp_path / "s.duckdb")
    files = {part: shared_data / f"{name}.{part}.parquet" for part in ("outcomes", "prompts")}
    import_outcomes(store, name, **files, at=at())
    data = open_outcomes(store, name)
    found = compare(data, [BestSingle(), Complexity()]).as_dict()
    row = next(row for row in found["strategies"] if row["name"] == "complexity")
    assert row["aiq"] - found["zero_router"]["aiq"] > 0.015
    assert row["deployed_gain"] > 0.01
    train, test = split(data, 42)
    strategy = Complexity().fit(data.take(train))
    point = next(at for at, tiers in enumerate(strategy.tierings_) if tiers.below)
    fresh = data.take(test)
    (replayed,) = RulesFile(strategy.to_ruleset(point)).fit(data.take(train)).curve(fresh.requests)
    assert chains(replayed) == chains(strategy.curve(fresh.requests)[point])
