from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from routebench.evaluate import Cases, Outcomes, compare
from routebench.evaluate.outcomes import OK
from routebench.evaluate.splits import split
from routebench.rules import RuleSet, check_golden
from routebench.strategies import with_baselines
from routebench.tune import Constraints, Point, choose, tune
from tests.conftest import make_case, make_model

MODELS = (make_model("cheap"), make_model("dear"))
DAY = date(2026, 11, 23)


def outcomes(n: int = 240, *, signal: bool = True, seed: int = 3) -> Outcomes:
    """Sums are right with either model; essays only with the dear one."""
    rng = np.random.default_rng(seed)
    sums = rng.random(n) < 0.5
    known = rng.permutation(sums) if not signal else sums
    cases = [
        make_case(
            f"c{number}",
            f"add {number} and 3" if known[number] else f"write an essay on topic {number}",
            tags=("public",),
        )
        for number in range(n)
    ]
    score = np.empty((n, 2, 1))
    score[:, 0, 0] = np.where(sums, rng.random(n) < 0.9, rng.random(n) < 0.1)
    score[:, 1, 0] = np.where(sums, rng.random(n) < 0.85, rng.random(n) < 0.9)
    cost = np.broadcast_to(np.array([0.0001, 0.001])[None, :, None], score.shape).copy()
    return Outcomes(
        "s",
        Cases.of(cases),
        ("cheap", "dear"),
        np.full(score.shape, OK, dtype=np.int8),
        score,
        cost,
        np.full(score.shape, 0.5),
    )


def tuned(data: Outcomes, **constraints: float):  # type: ignore[no-untyped-def]
    return tune(data, MODELS, Constraints(**constraints), name="s", created=DAY)  # type: ignore[arg-type]


def test_rules_that_the_data_hold_are_found_and_their_file_checks(tmp_path: Path) -> None:
    data = outcomes()
    result = tuned(data, max_quality_drop=0.03)
    assert not result.abstained
    row = result.as_dict()
    assert row["cost_usd_per_1k"] < 0.75
    assert row["quality"] > 0.8
    assert row["versus_fixed_mix"]["verdict"] == "better"
    ruleset = RuleSet.load(result.export(tmp_path / "deep" / "rules.yaml"))
    assert ruleset == result.ruleset
    assert len(ruleset.golden) == 60
    assert not check_golden(ruleset).failed


def test_where_prompts_say_nothing_the_fixed_mix_comes_out_and_says_so() -> None:
    abstained = [tuned(outcomes(signal=False, seed=seed), max_cost_usd_per_1k=0.5).abstained for seed in range(8)]
    assert sum(abstained) >= 6
    seed = abstained.index(True)
    result = tuned(outcomes(signal=False, seed=seed), max_cost_usd_per_1k=0.5)
    assert not result.ruleset.rules
    assert result.ruleset.default.mix is not None
    assert result.ruleset.evidence["abstained"] is True


def test_guards_are_carried_and_kept() -> None:
    guard = {"name": "essays", "when": {"any_keyword": ["essay"]}, "at_least": "dear"}
    result = tune(outcomes(), MODELS, Constraints(max_cost_usd_per_1k=0.2), name="s", guards=[guard], created=DAY)
    assert result.ruleset.guards[0].at_least == "dear"
    essays = [one for one in result.ruleset.golden if "essay" in str(one.request.messages[0]["content"])]
    assert essays
    assert all(one.decision == ("dear",) for one in essays)


def test_a_point_that_is_unknown_does_not_keep_a_bound() -> None:
    points = [Point(0, 0.9, None, None), Point(1, 0.85, 2.0, 1.0), Point(2, 0.8, 1.0, 1.0)]
    assert choose(points, Constraints(max_quality_drop=0.05), 0.9) == points[1]
    assert choose(points, Constraints(min_quality=0.8), 0.9) == points[2]
    assert choose(points, Constraints(max_cost_usd_per_1k=1.5, min_quality=0), 0.9) == points[2]
    assert choose(points, Constraints(min_quality=0.95), 0.9) is None


def test_compare_holds_candidates_against_every_bar() -> None:
    document = compare(outcomes(), with_baselines(None, ("cheap", "dear")), seeds=[42, 43]).as_dict()
    rows = {row["name"]: row for row in document["strategies"]}
    assert list(rows)[:4] == ["always:cheap", "always:dear", "cheapest", "best_single"]
    assert list(rows)[4:] == ["best_chain", "random_mix", "fixed_mix", "oracle", "auto"]
    assert rows["oracle"]["quality"] >= rows["auto"]["quality"] >= rows["cheapest"]["quality"]
    assert rows["oracle"]["aiq"] >= rows["auto"]["aiq"] > document["zero_router"]["aiq"]
    assert rows["auto"]["deployed_gain"] > 0.05
    assert rows["auto"]["versus_fixed_mix"]["verdict"] == "better"
    assert rows["auto"]["apgr"] > 0.6
    assert rows["cheapest"]["constant_router"]
    assert not rows["auto"]["constant_router"]
    assert rows["best_single"]["versus_baseline"] is None
    assert sum(rows["random_mix"]["mix"].values()) == pytest.approx(1)


def test_a_cost_that_is_unknown_on_the_test_half_is_not_taken_for_free() -> None:
    data = outcomes()
    _, outside = split(data, 42)
    data.cost_usd[outside, 1] = np.nan
    rows = {
        row["name"]: row
        for row in compare(data, with_baselines(["rules"], data.models), seeds=[42]).as_dict()["strategies"]
    }
    assert rows["always:dear"]["cost_usd_per_1k"] is None
    for name in ("always:cheap", "rules"):
        assert rows[name]["versus_fixed_mix"] is None
        assert rows[name]["deployed_gain"] is None


def test_private_prompts_are_held_to_by_digests(tmp_path: Path) -> None:
    data = outcomes()
    cases = [
        replace(case, request=replace(case.request, tags=case.request.tags if number % 12 == 0 else ()))
        for number, case in enumerate(data.cases)
    ]
    result = tuned(replace(data, cases=Cases.of(cases)), max_quality_drop=0.03)
    text = result.export(tmp_path / "rules.yaml").read_text()
    ruleset = RuleSet.parse(text)
    private = [one for one in ruleset.golden if one.request is None]
    assert (len(ruleset.golden), len(private)) == (60, 40)
    assert {int(number) % 12 for number in re.findall(r"(?:topic|add) (\d+)", text)} == {0}
    assert check_golden(ruleset).failed == ()
    assert len(check_golden(ruleset).unseen) == 40
    assert check_golden(ruleset, [case.request for case in cases]).unseen == ()
    # The same tuning gives the same file.
    again = tuned(replace(data, cases=Cases.of(cases)), max_quality_drop=0.03)
    assert again.ruleset == result.ruleset
