"""What the rules in the shadow would be worth: estimates that cover, and refusals in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from routebench.drifting import Served, drift, read_scores
from routebench.drifting.off_policy import Logged, doubly_robust, self_normalised
from routebench.drifting.scored import value_of_shadow
from routebench.errors import InputError
from routebench.traces import Trace
from tests.drifting.production import LARGE, SMALL, frame, requests, rules, served

QUALITY = np.array([[0.6, 0.7, 0.8], [0.5, 0.8, 0.7], [0.7, 0.7, 0.7], [0.9, 0.6, 0.8]])


def logged(seed: int, n: int = 6000, explore: float = 0.05, turns: int = 2) -> Logged:
    """Requests of four kinds and three models; the target wants the third model for two of the kinds."""
    random = np.random.default_rng(seed)
    groups = np.arange(n) // turns
    kind = random.integers(0, 4, n)[groups]
    quality = np.clip(QUALITY[kind] + random.normal(0, 0.15, n)[groups][:, None], 0.0, 1.0)
    wanted = np.where(kind == 1, 1, 0)
    target = np.where((kind == 0) | (kind == 3), 2, wanted)
    tried = np.where(random.random(n) < explore, random.integers(0, 3, n), wanted)
    propensity = np.where(tried == wanted, 1 - explore + explore / 3, explore / 3)
    score = (random.random(n) < quality[np.arange(n), tried]).astype(float)
    return Logged(tried, wanted, target, propensity, score, kind, groups, np.ones(n))


def truth() -> float:
    """The mean over kinds and over how conversations differ, by drawing many."""
    random = np.random.default_rng(0)
    shift = random.normal(0, 0.15, 200_000)
    gains = [np.clip(QUALITY[kind, 2] + shift, 0, 1) - np.clip(QUALITY[kind, 0] + shift, 0, 1) for kind in (0, 3)]
    return float(sum(gain.mean() for gain in gains) / 4)


def test_intervals_cover_and_the_weights_alone_agree() -> None:
    real, covered, gaps, others = truth(), 0, [], []
    for seed in range(300):
        one = logged(seed)
        found = doubly_robust(one)
        assert found is not None, one.matches.sum()
        low, high = found.interval()
        covered += low <= real <= high
        gaps.append(found.value - real)
        other = self_normalised(one)
        assert other is not None
        others.append(other - real)
    assert 0.91 <= covered / 300 <= 0.98
    assert abs(np.mean(gaps)) < 3 * np.std(gaps) / np.sqrt(300)
    assert abs(np.mean(others)) < 3 * np.std(others) / np.sqrt(300)


def test_a_sure_gain_is_seen() -> None:
    one = logged(1, n=60_000)
    found = doubly_robust(replace(one, score=np.where(one.tried == 2, 1.0, 0.5)))
    assert found is not None
    assert found.interval()[0] > 0.15


def test_few_matches_have_no_estimate() -> None:
    one = logged(3, n=400)
    assert one.matches.sum() < 30
    assert doubly_robust(one) is None


def explored(n: int = 4000, explore: float = 0.2, seed: int = 4) -> tuple[list[Trace], pd.DataFrame]:
    """Traces whose shadow wants the large model always, which is right 9 times in 10, the small one 6 times."""
    random = np.random.default_rng(seed)
    traces, scores = [], []
    for one in served(rules(rules=()), requests(n)):
        drawn = bool(random.random() < explore)
        first = LARGE if drawn and random.random() < 0.5 else SMALL
        chance = explore / 2 if first == LARGE else 1 - explore / 2
        traces.append(
            replace(
                one,
                chain=(first,),
                model=first,
                explored=drawn,
                propensity=chance,
                shadow_rules="new",
                shadow_chain=(LARGE,),
            )
        )
        scores.append(float(random.random() < (0.9 if first == LARGE else 0.6)))
    return traces, pd.DataFrame({"trace_id": [one.trace_id for one in traces], "score": scores, "chance": np.nan})


def test_explored_traces_tell_what_the_shadow_is_worth() -> None:
    traces, scores = explored()
    found = drift(frame(traces), rules(rules=()), None, scores=scores)
    assert found.value is not None
    assert found.value.difference is not None
    low, high = found.value.difference.interval()
    assert low < 0.3 < high
    assert (found.value.verdict, found.value.agrees) == ("better", True)
    text = next(one.text for one in found.readings if one.topic == "value")
    assert text.startswith("new would be better than the rules at work: +")
    assert found.as_dict()["value"]["n_matches"] > 300


def test_logs_of_a_policy_that_always_decides_alike_are_refused() -> None:
    traces, scores = explored(n=200)
    found = value_of_shadow(Served.of(frame([replace(one, propensity=None) for one in traces])), scores)
    assert found is not None
    assert found.difference is None
    assert "always decides alike says nothing of what it never did; serve with `explore: 0.02`" in (found.why_not or "")
    assert found.verdict == "too_few"


def test_scores_of_chosen_requests_are_refused_without_their_chance() -> None:
    traces, scores = explored()
    chosen = scores[[one.explored or place % 10 == 0 for place, one in enumerate(traces)]]
    found = value_of_shadow(Served.of(frame(traces)), chosen)
    assert found is not None
    assert found.difference is None
    assert "were chosen, not drawn; give a column `chance`" in (found.why_not or "")
    chances = pd.Series([1.0 if one.explored else 0.1 for one in traces])
    told = value_of_shadow(Served.of(frame(traces)), chosen.assign(chance=chances[chosen.index]))
    assert told is not None
    assert told.difference is not None
    low, high = told.difference.interval()
    assert low < 0.3 < high


def test_too_few_matches_are_told_with_their_number() -> None:
    traces, scores = explored(n=200, explore=0.1)
    found = value_of_shadow(Served.of(frame(traces)), scores)
    assert found is not None
    assert found.why_not is not None
    assert found.why_not.startswith(f"exploration tried what new wants on {found.n_matches} of 200 scored requests")
    assert found.why_not.endswith("it takes 30")


def test_scores_are_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("trace_id,score\na,0.5\nb,\na,1\n")
    read = read_scores(path)
    assert read[["trace_id", "score"]].to_numpy().tolist() == [["a", 1.0]]
    path.write_text("trace_id,score\na,7\n")
    with pytest.raises(InputError, match="score 7 of trace 'a' is not between 0 and 1"):
        read_scores(path)
    path.write_text("trace_id,score,chance\na,1,0\n")
    with pytest.raises(InputError, match="chance 0 of trace 'a' is not above 0"):
        read_scores(path)
    path.write_text("trace_id,score\n")
    with pytest.raises(InputError, match=r"no score|holds no"):
        read_scores(path)


def test_requests_that_failed_count_as_a_score_of_0() -> None:
    traces, scores = explored(n=6000)
    # Half of what the large model is asked fails, and nobody scores what never came.
    broken = [
        replace(one, outcome="failed", model=None) if one.chain[0] == LARGE and place % 2 else one
        for place, one in enumerate(traces)
    ]
    kept = scores[[one.outcome == "ok" for one in broken]]
    for told in (kept, kept.sample(frac=0.5, random_state=0)):
        found = value_of_shadow(Served.of(frame(broken)), told)
        assert found is not None
        assert found.difference is not None
        low, high = found.difference.interval()
        assert low < 0.9 / 2 - 0.6 < high
        assert found.verdict == "worse"


def test_what_health_sent_elsewhere_does_not_count() -> None:
    traces, scores = explored()
    # The small model was ill for a while, and what was asked then is easy.
    ill = [
        replace(one, chain=(LARGE,), model=LARGE, propensity=0.9) if place < 1000 and not one.explored else one
        for place, one in enumerate(traces)
    ]
    easy = scores.assign(score=[1.0 if place < 1000 else score for place, score in enumerate(scores["score"])])
    found = value_of_shadow(Served.of(frame(ill)), easy)
    assert found is not None
    assert found.n == 4000 - sum(place < 1000 and not one.explored for place, one in enumerate(traces))


def test_matches_in_few_conversations_are_few() -> None:
    traces, scores = explored()
    one = [replace(trace, conversation=f"v{place % 20}") for place, trace in enumerate(traces)]
    found = value_of_shadow(Served.of(frame(one)), scores)
    assert found is not None
    assert found.n_matches > 300
    assert found.difference is None
    assert found.why_not == (
        f"exploration tried what new wants on {found.n_matches} of 4000 scored requests that it would move, in 20 "
        "conversations; it takes 30"
    )
