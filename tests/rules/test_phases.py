from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from routebench.rules import Default, Guard, Router, RuleSet
from tests.conftest import make_model

PUBLISHED = Path(__file__).parent / "v1"


def explained(file: str, text: str, **known: Any) -> tuple[str, str, tuple[str, ...]]:
    decision = Router.load(PUBLISHED / file).explain([{"role": "user", "content": text}], **known)
    return decision.rule, decision.why, decision.counterfactuals


def test_rules_come_first_then_similarity_then_complexity() -> None:
    assert explained("learned.yaml", "Please name three colours.")[0] == "polite"
    rule, why, told = explained("learned.yaml", "Name three colours.")
    assert (rule, why) == ("similarity", "best on similar prompts, the nearest at 1.00")
    assert told == ("expected scores: small 0.98, large 1.00",)
    rule, why, told = explained("learned.yaml", "Write a poem about the legal code of Rome")
    assert (rule, why) == ("complexity", "complexity 0.753 is above every threshold")
    assert told[1] == "0.153 from 0.6: below it, large > small"


def test_what_was_learned_comes_after_similarity_and_before_complexity() -> None:
    learned, predicted = (RuleSet.load(PUBLISHED / f"{name}.yaml") for name in ("learned", "predicted"))
    both = RuleSet(
        "t", {**learned.models, **predicted.models}, learned.default, learned.rules,
        similarity=learned.similarity, learned=predicted.learned, complexity=learned.complexity,
        checks=predicted.checks,
    )  # fmt: skip
    by = {text: Router(both).route([{"role": "user", "content": text}]).rule for text in ("Name three colours.", "Hi")}
    assert by == {"Name three colours.": "similarity", "Hi": "learned"}
    # Where the head knows none of the models that are left, complexity decides.
    only = Guard("only", {}, only=("local",))
    left = replace(both, guards=(only,), learned=predicted.learned, similarity=None)
    assert Router(left).route([{"role": "user", "content": "Hi"}]).rule == "default"


def test_what_a_score_comes_from() -> None:
    rule, _, told = explained("heuristic.yaml", "Is it?")
    assert rule == "complexity"
    assert told[0] == "complexity comes from: log_words +0.99, is_question -0.80"
    assert told[1].endswith("from 0.5: above it, large")


@pytest.mark.parametrize("text", ["Name three colours.", "Write a poem about the legal code of Rome"])
def test_guards_stand_above_what_was_learned(text: str) -> None:
    learned = RuleSet.load(PUBLISHED / "learned.yaml")
    for only in ("small", "large"):
        guard = Guard("all", {}, only=(only,))
        ruleset = RuleSet(
            "t", learned.models, learned.default, guards=(guard,),
            similarity=learned.similarity, complexity=learned.complexity,
        )  # fmt: skip
        decision = Router(ruleset).route([{"role": "user", "content": text}])
        assert decision.chain == (only,)


def test_a_phase_that_has_nothing_to_offer_leaves_it_to_the_next() -> None:
    learned = RuleSet.load(PUBLISHED / "heuristic.yaml")
    # The tier of short requests names no model that the guard allows, so the default decides.
    guard = Guard("middle", {}, only=("middle",))
    ruleset = RuleSet("t", learned.models, learned.default, guards=(guard,), complexity=learned.complexity)
    decision = Router(ruleset).route([{"role": "user", "content": "Hi"}])
    assert (decision.chain, decision.rule) == (("middle",), "default")


def test_a_mix_says_what_was_drawn() -> None:
    models = {name: make_model(name) for name in ("a", "b")}
    router = Router(RuleSet("t", models, Default(mix=((0.25, ("a",)), (0.75, ("b",))))))
    assert router.explain([{"role": "user", "content": "hi"}]).counterfactuals == (
        "drawn for 25% of the conversations: a",
        "drawn for 75% of the conversations: b",
    )
    drawn = [router.route([{"role": "user", "content": f"hi {number}"}]).model for number in range(400)]
    assert 70 < drawn.count("a") < 130
