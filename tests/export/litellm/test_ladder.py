from __future__ import annotations

from routebench.export.litellm.ladder import MOST_TIERS, Step, ladder_of
from routebench.export.litellm.matchers import clause_of
from routebench.export.litellm.scoring import scored
from routebench.types import Request

A, B, C, D, E = (("a",), ("b",), ("c",), ("d",), ("e",))


def step(name: str, chain: tuple[str, ...], *words: str, **more: object) -> Step:
    return Step(name, clause_of({"any_keyword": list(words or (name,)), **more}), chain)


def prompts(*texts: str) -> list[Request]:
    return [Request(messages=({"role": "user", "content": text},)) for text in texts]


def test_rules_become_tiers_from_the_last_to_the_first() -> None:
    ladder, lost = ladder_of([step("one", B), step("two", C)], A)
    assert [level.chain for level in ladder.levels] == [A, C, B]
    assert [one.name for one in ladder.steps] == ["one", "two"]
    assert not lost


def test_rules_beside_each_other_that_lead_alike_share_a_tier() -> None:
    ladder, _ = ladder_of([step("one", B), step("two", B), step("three", C)], A)
    assert [level.chain for level in ladder.levels] == [A, C, B]
    assert [one.name for one in ladder.levels[2].steps] == ["one", "two"]


def test_a_last_rule_that_leads_where_the_default_leads_needs_no_tier() -> None:
    ladder, lost = ladder_of([step("one", B), step("two", A)], A)
    assert [level.chain for level in ladder.levels] == [A, B]
    assert not lost


def test_an_exception_that_leads_where_the_default_leads_keeps_its_tier() -> None:
    ladder, _ = ladder_of([step("exception", A), step("rule", B)], A)
    assert [level.chain for level in ladder.levels] == [A, B, A]


def test_of_too_many_tiers_the_rule_goes_that_decides_the_fewest_prompts() -> None:
    steps = [step("one", B), step("two", C), step("three", D), step("four", E)]
    ladder, lost = ladder_of(steps, A, prompts("one", "one", "two", "three", "three", "four", "four", "else"))
    assert len(ladder.levels) == MOST_TIERS
    (gone,) = lost
    assert (gone.part, gone.how) == ("rule two", "dropped")
    assert "--classifier" in gone.mend


def test_a_rule_is_moved_where_that_moves_no_prompt() -> None:
    steps = [step("one", B), step("two", C), step("three", B), step("four", D), step("five", B)]
    ladder, lost = ladder_of(steps, A, prompts("one", "two", "three", "four", "five", "else"))
    assert len(ladder.levels) <= MOST_TIERS
    assert {one.how for one in lost} == {"approximated"}
    assert {one.name for one in ladder.steps} == {"one", "two", "three", "four", "five"}


def test_without_prompts_the_last_rule_goes() -> None:
    steps = [step("one", B), step("two", C), step("three", D), step("four", E)]
    assert [one.part for one in ladder_of(steps, A)[1]] == ["rule four"]


def test_a_condition_of_several_parts_has_room_next_to_the_default_alone() -> None:
    both = Step("both", clause_of({"all_keywords": ["x", "y"]}), B)
    assert not ladder_of([step("one", C), both], A)[1]
    assert [one.part for one in ladder_of([both, step("one", C)], A, prompts("one", "x y"))[1]] != []


def test_scores_reach_a_tier_only_by_what_belongs_to_it() -> None:
    both = Step("both", clause_of({"all_keywords": ["x", "y"]}), B)
    pattern = Step("pattern", clause_of({"regex": "p.q"}), C)
    found = scored(ladder_of([pattern, both], A)[0])
    weights = {made["name"]: made["weight"] for made in found.dimensions}
    first, second, _ = found.boundaries.values()
    assert len(weights) == 3
    parts = [weight for weight in weights.values() if weight < second]
    assert len(parts) == 2
    assert all(weight < first for weight in parts)
    assert first <= sum(parts) < second
    assert max(weights.values()) >= second


def test_words_alone_need_no_score() -> None:
    found = scored(ladder_of([step("one", B), step("two", C)], A)[0])
    assert not found.dimensions
    assert found.keyword_rules == [{"keywords": ["two"], "tier": "MEDIUM"}, {"keywords": ["one"], "tier": "COMPLEX"}]


def test_words_below_a_score_are_scored_too_for_keywords_would_come_first() -> None:
    pattern = Step("pattern", clause_of({"regex": "p.q"}), C)
    found = scored(ladder_of([pattern, step("word", B)], A)[0])
    assert not found.keyword_rules
    assert [sorted(made) for made in found.dimensions] == [
        ["keywords", "name", "weight"],
        ["name", "patterns", "weight"],
    ]
