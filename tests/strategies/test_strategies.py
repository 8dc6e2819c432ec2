from __future__ import annotations

import numpy as np
import pytest

from routebench.errors import InputError, OutcomesError
from routebench.evaluate import Cases, Choices, Outcomes, replay
from routebench.evaluate.outcomes import ERROR, OK
from routebench.rules import Condition, Default, Rule, RuleSet
from routebench.strategies import (
    Always,
    BestChain,
    FixedMix,
    Rules,
    RulesFile,
    Similarity,
    parse_strategy,
    with_baselines,
)
from routebench.strategies.candidates import candidates
from routebench.strategies.induce import induce
from routebench.types import Request
from tests.conftest import make_case, make_model

PROMPTS = ["add {} and 4", "translate word {}", "who wrote book {}"]


def outcomes(n: int = 120) -> Outcomes:
    """A tool that is right on sums and abstains elsewhere; one model for translation, one for books."""
    kind = np.arange(n) % 3
    cases = tuple(make_case(f"c{place}", PROMPTS[kind[place]].format(place)) for place in range(n))
    status = np.full((n, 3, 1), OK, dtype=np.int8)
    status[kind != 0, 0, 0] = ERROR
    score = np.zeros((n, 3, 1))
    score[:, 0, 0] = np.where(kind == 0, 1.0, np.nan)
    score[:, 1, 0] = kind == 1
    score[:, 2, 0] = kind == 2
    cost = np.broadcast_to(np.array([0.0, 0.001, 0.002])[None, :, None], score.shape).copy()
    return Outcomes("s", Cases.of(cases), ("tool", "words", "books"), status, score, cost, np.full(score.shape, 1.0))


def ask(text: str) -> Request:
    return Request(({"role": "user", "content": text},))


def test_rules_send_every_kind_to_the_model_that_can() -> None:
    data = outcomes()
    rules = Rules(models=(make_model("tool"),)).fit(data)
    best = max(replay(data, choices).score.mean() for choices in rules.train_curve())
    assert best == 1.0
    decision = rules.route(ask("translate word 999"))
    assert decision.chain[0] in ("tool", "words")
    assert "words" in decision.chain[:2]


def test_what_was_replayed_is_what_the_router_decides() -> None:
    models = {name: make_model(name) for name in ("tool", "words", "books")}
    ruleset = RuleSet(
        "r", models, Default(route=("books",)), (Rule("t", {"any_keyword": ["translate"]}, ("words", "books")),)
    )
    strategy = RulesFile(ruleset).fit(outcomes())
    chains = strategy.curve(outcomes().requests)[0].parts[0][1]
    assert chains[:3].tolist() == [[2, -1], [1, 2], [2, -1]]
    assert strategy.route(ask("translate")).rule == "t"
    with pytest.raises(OutcomesError, match="no outcomes of"):
        RulesFile(RuleSet("r", {"other": make_model("other")}, Default(route=("other",)))).fit(outcomes())


def test_similarity_learns_and_goes_on_learning() -> None:
    strategy = Similarity().fit(outcomes())
    assert strategy.route(ask("who wrote book 1000")).chain == ("books",)
    for place in range(8):
        strategy.observe(ask(f"paint a picture of {place}"), {"words": 1.0, "books": 0.0, "tool": 0.0})
    assert strategy.route(ask("paint a picture of 77")).chain == ("words",)


def test_a_constant_chain_is_a_bar() -> None:
    chain = BestChain().fit(outcomes()).chain_
    assert chain[0] == "tool"
    assert len(chain) == 2
    with pytest.raises(OutcomesError, match="did you mean 'words'"):
        Always("tool>word").fit(outcomes())


def test_the_fixed_mix_pays_what_it_says() -> None:
    data = outcomes()
    mix = FixedMix().fit(data)
    replayed = replay(data, mix.at_cost(0.0015, data.n))
    assert replayed.cost_usd.mean() <= 0.0015 + 1e-9


def test_a_condition_that_the_learner_tries_means_the_same_at_run_time() -> None:
    requests = [
        ask(text) for text in ("Add 3 + 4!", "naïve café, naïve", "What is x?", 'the "quoted text" here', "a, b, and c")
    ] * 2
    for candidate in candidates(requests):
        matched = [Condition.parse(candidate.when).matches(request) for request in requests]
        assert candidate.mask.tolist() == matched, candidate.when


def test_noise_gives_no_more_rules_than_asked() -> None:
    rng = np.random.default_rng(0)
    requests = [ask(" ".join(rng.choice(list("abcdefgh"), 6))) for _ in range(200)]
    learned = induce(candidates(requests), rng.random((2, 200)), np.ones(200), max_rules=3)
    assert len(learned.rules) <= 3


def test_names() -> None:
    assert parse_strategy("always:a>b").name == "always:a>b"
    assert parse_strategy("zero").name == "fixed_mix"
    with pytest.raises(InputError, match="did you mean 'similarity'"):
        parse_strategy("similarty")
    names = [strategy.name for strategy in with_baselines(["best_single"], ["a"])]
    assert len(names) == len(set(names))


def test_choices_of_a_mix_keep_their_shares() -> None:
    mix = Choices.mix([0.25, 0.75], [Choices.same(("a", "b"), ("a",), 2), Choices.same(("a", "b"), ("b",), 2)])
    assert [share for share, _ in mix.parts] == [0.25, 0.75]
