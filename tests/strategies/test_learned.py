from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routebench.evaluate import Outcomes, compare, replay
from routebench.evaluate.frontier import aiq, single_models
from routebench.evaluate.outcomes import ERROR
from routebench.evaluate.splits import folds
from routebench.strategies import BestSingle, FixedMix, Learned
from routebench.strategies.learned.chance import by_chance, shuffle
from routebench.strategies.learned.gain import Gain
from routebench.strategies.learned.grams import grams
from routebench.strategies.learned.ladder import Expected, OutOfFold, by_gain, explained, least_squares
from routebench.strategies.learned.levels import smoothers
from routebench.strategies.learned.representation import Representation
from routebench.types import Request
from tests.evaluate.matrices import matrix

TOPICS = (
    "add {} and four",
    "translate the word {} into French",
    "who wrote the book called {}",
    "is {} a prime number",
)


def requests(*texts: str) -> list[Request]:
    return [Request(({"role": "user", "content": text},)) for text in texts]


def topical(n: int = 240, *, signal: bool = True, seed: int = 0) -> Outcomes:
    """Two models, each good at two of four topics, and one that is twice as dear and good at nothing."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, 4, n)
    told = topic if signal else rng.permutation(topic)
    chance = np.column_stack([np.where(topic < 2, 0.9, 0.3), np.where(topic < 2, 0.3, 0.9), np.full(n, 0.4)])
    scores = (rng.random((n, 3)) < chance).astype(float)
    costs = np.array([1e-4, 2e-4, 4e-4]) * np.ones((n, 3))
    return matrix(scores, costs, prompt=[TOPICS[told[place]].format(place) for place in range(n)])


def test_grams_are_words_pairs_and_runs_of_bytes() -> None:
    words, runs = grams(requests("Red  red fox", "red fox", "", "fox red"))
    assert words.sum(axis=1).ravel().tolist() == [5, 3, 0, 3]
    assert words[0].max() == 2
    assert runs.sum(axis=1).ravel().tolist() == [13 - 2 + 13 - 3, 9 - 2 + 9 - 3, 0, 9 - 2 + 9 - 3]
    # Case and the width of white space do not count; the order of words does.
    assert (words[0].toarray() > 0).sum() == 4
    shared = np.flatnonzero((words[1].toarray() > 0) & (words[3].toarray() > 0))
    assert len(shared) == 2
    np.testing.assert_array_equal(grams(requests("Red  FOX"))[0].toarray()[0], words[1].toarray().ravel())


def test_a_row_depends_on_its_own_text_alone() -> None:
    together = grams(requests("alpha beta", "gamma", "délta ünd εψ", "the end"))
    for place, text in enumerate(("alpha beta", "gamma", "délta ünd εψ", "the end")):
        for alone, row in zip(grams(requests(text)), together, strict=True):
            np.testing.assert_array_equal(alone.toarray()[0], row.toarray()[place])


def test_rows_of_new_prompts_need_no_training_prompt_beside_them() -> None:
    data = topical(60)
    found = Representation().fit(data.requests)
    whole, some = found.rows(data.requests), found.rows([data.requests[5], data.requests[7]])
    np.testing.assert_allclose(some.joint, whole.joint[[5, 7]], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(whole.unit, axis=1), 1, atol=1e-6)
    assert np.abs(whole.surface).max() <= 4
    nothing = found.rows(requests("", "zzzz qqqq"))
    assert np.isfinite(nothing.joint).all()


@pytest.mark.parametrize("name", ["surface", "text", "neighbours", "clusters", "categories"])
def test_a_level_is_linear_in_its_targets_or_nearly_so(name: str) -> None:
    data = topical(120)
    rows = Representation().fit(data.requests).rows(data.requests)
    labels = np.array(["even" if place % 2 else "odd" for place in range(120)])
    inside, outside = np.arange(90), np.arange(90, 120)
    smooth = smoothers(rows[inside], labels[inside])[name].at(rows[outside])
    target = data.expected_scores()[inside]
    # A constant stays a constant, and a shift moves every expectation by as much.
    np.testing.assert_allclose(smooth(np.full((90, 2), 0.7)), 0.7, atol=1e-9)
    np.testing.assert_allclose(smooth(target + 3), smooth(target) + 3, atol=1e-8)
    np.testing.assert_allclose(smooth(2 * target), 2 * smooth(target), atol=1e-8)


def test_what_is_expected_of_a_prompt_does_not_depend_on_its_own_outcome() -> None:
    data = topical(100)
    rows = Representation().fit(data.requests).rows(data.requests)
    apart = OutOfFold(rows, data.cases.category, list(folds(data, 5)))
    target = data.expected_scores()
    changed = target.copy()
    changed[17] = 50.0
    before, after = apart.expect(target), apart.expect(changed)
    for name in apart.names:
        np.testing.assert_array_equal(before.levels[name][17], after.levels[name][17])
    assert any((before.levels[name] != after.levels[name]).any() for name in apart.names)


def test_trust_is_never_negative_and_follows_the_level_that_knows() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(300, 2))
    levels = {"knows": truth * 0.5, "guesses": rng.normal(size=(300, 2))}
    trust = least_squares(Expected(np.zeros((300, 2)), levels), truth)
    assert trust["knows"] > 1.5
    assert 0 <= trust["guesses"] < 0.1


def test_more_gain_is_kept_and_less_is_not() -> None:
    levels = {"a": np.full((4, 1), 1.0), "b": np.full((4, 1), -1.0)}
    expected = Expected(np.zeros((4, 1)), levels)
    trust, gained = by_gain(expected, {"a": 0.5, "b": 0.5}, lambda found: float(found.mean()))
    assert gained == pytest.approx(8 / 9)
    np.testing.assert_allclose(expected.combined(trust), 8 / 9)
    trust, gained = by_gain(expected, {"a": 1.0}, lambda found: float(found.mean()))
    assert (trust, gained) == ({"a": 1.0}, 1.0)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(0, 2**32 - 1))
def test_a_shuffle_keeps_groups_together(groups: Sequence[int], seed: int) -> None:
    keys = np.array([f"g{number}" for number in groups])
    order = shuffle(keys, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(keys)))
    sizes = Counter(keys)
    for key, size in sizes.items():
        # A group of the size of another takes the whole place of one.
        if list(sizes.values()).count(size) > 1:
            assert len({keys[place] for place in order[keys == key]}) == 1


def test_chance_is_counted_exactly() -> None:
    keys = np.array([f"c{place}" for place in range(50)])
    values = np.linspace(0, 1, 50)
    surely = by_chance(lambda order: float(np.corrcoef(values, values[order])[0, 1]), keys)
    assert surely.enough
    assert (surely.as_much, surely.shuffles, surely.p_value) == (0, 99, 0.01)
    never = by_chance(lambda _: 1.0, keys)
    assert not never.enough
    assert never.p_value == 1
    assert not by_chance(lambda _: 0.0, keys).enough


def test_false_alarms_are_as_rare_as_the_level_says() -> None:
    keys = np.array([f"c{place}" for place in range(40)])
    draw = np.random.default_rng(5)
    alarms = 0
    for run in range(200):
        one, other = draw.normal(size=(2, 40))
        alarms += by_chance(lambda order, a=one, b=other: abs(float(a @ b[order])), keys, seed=run).enough
    assert 1 <= alarms <= 20


def test_a_gain_is_above_the_hull_and_never_below() -> None:
    data = topical(200)
    gain = Gain.of(data)
    truth = gain.scores
    assert gain(truth, gain.costs) > 0.2
    assert gain(-truth, gain.costs) == pytest.approx(0, abs=1e-12)
    singles = single_models(data)
    bar = aiq([one.cost_usd for one in singles], [one.quality for one in singles], singles)
    assert bar is not None
    found = gain.reached(truth, gain.costs)
    own = aiq(list(found.cost_usd), list(found.quality), singles)
    assert own is not None
    assert gain(truth, gain.costs) == pytest.approx(own - bar, abs=1e-9)


def test_without_known_costs_quality_alone_counts() -> None:
    data = topical(100)
    data.cost_usd[:] = np.nan
    gain = Gain.of(data)
    best = max(single.quality for single in gain.singles)
    assert gain(gain.scores, gain.costs) == pytest.approx(gain.scores.max(axis=1).mean() - best)


def test_prompts_that_tell_models_apart_are_routed() -> None:
    found = compare(topical(400), [BestSingle(), Learned()], seeds=[42, 43]).as_dict()
    row = found["strategies"][1]
    assert not row["abstained"]
    assert row["aiq"] > found["zero_router"]["aiq"] + 0.1
    assert row["deployed_gain"] > 0.1


def test_prompts_that_tell_nothing_leave_the_fixed_mix() -> None:
    abstained = 0
    for seed in range(10):
        data = topical(160, signal=False, seed=seed)
        strategy = Learned().fit(data)
        abstained += strategy.abstained
        if strategy.abstained:
            mix = FixedMix().fit(data).curve(data.requests)
            assert [one.label for one in strategy.curve(data.requests)][: len(mix)] == [one.label for one in mix]
    assert abstained >= 8


def test_a_model_that_abstains_is_chosen_with_another_behind_it() -> None:
    data = topical(240)
    tool = np.array([text.startswith("add") for text in _texts(data)])
    data.status[~tool, 2] = ERROR
    data.score[:, 2, 0] = np.where(tool, 1.0, np.nan)
    data.cost_usd[:, 2] = 0.0
    strategy = Learned().fit(data)
    best = strategy.curve(data.requests)[0]
    replayed = replay(data, best)
    assert replayed.score.mean() > 0.85
    assert np.nansum(replayed.failed) == 0
    assert (best.parts[0][1][:, 0] == 2).any()
    assert strategy.grounds_.arms[-1] == ("m2", "m1")


def test_stakes_move_requests_to_the_model_that_is_seldom_wrong() -> None:
    data = topical(300)
    # Whoever is right costs a hundred times as much.
    data.cost_usd[:, 1] = 0.01
    of_second = np.array([not text.startswith(("add", "translate")) for text in _texts(data)])
    plain, staked = Learned(gate=False).fit(data), Learned(gate=False)
    data.cases.stakes_usd[:] = np.where(of_second, 5.0, 0.0)
    staked.fit(data)
    place = 36
    assert plain.curve(data.requests)[place].label == staked.curve(data.requests)[place].label
    shares = [one.curve(data.requests)[place].parts[0][1][of_second, 0] for one in (plain, staked)]
    assert (shares[0] == 1).mean() < 0.1
    assert (shares[1] == 1).mean() > 0.9


def test_the_same_training_gives_the_same_decisions() -> None:
    data = topical(150)
    new = requests("add one and two", "who wrote the book called four")
    first, second = Learned().fit(data), Learned().fit(data)
    for one, other in zip(first.curve(new), second.curve(new), strict=True):
        assert all((a[1] == b[1]).all() for a, b in zip(one.parts, other.parts, strict=True))
    assert first.route(new[0], 3).chain == tuple(
        first.models_[place] for place in first.route_many(new, 3).parts[0][1][0] if place >= 0
    )


def test_what_is_explained_of_noise_is_next_to_nothing() -> None:
    data = topical(200, signal=False)
    rows = Representation().fit(data.requests).rows(data.requests)
    apart = OutOfFold(rows, data.cases.category, list(folds(data, 5)))
    noise = np.random.default_rng(0).normal(size=(200, 3))
    assert explained(apart.expect(noise), noise) < 0.05
    told = topical(200)
    apart = OutOfFold(
        Representation().fit(told.requests).rows(told.requests), told.cases.category, list(folds(told, 5))
    )
    contrasts = Gain.of(told).contrasts
    assert explained(apart.expect(contrasts), contrasts) > 0.2


def _texts(data: Outcomes) -> list[str]:
    return [str(request.messages[0]["content"]) for request in data.requests]
