"""What a comparison says in words, on outcomes that are made so that it must."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from routebench.evaluate import Choices, Comparison, Outcomes, compare
from routebench.strategies import Policy, with_baselines
from routebench.types import Case, Request


class Told(Policy):
    """Sends every request where it is told, by the prompt's number."""

    def __init__(self, name: str, models: Sequence[str], kind: str = "strategy") -> None:
        self.name = name
        self.kind = kind  # type: ignore[assignment]
        self._models = list(models)

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        numbers = [int(str(request.messages[0]["content"])) for request in requests]
        place = [self.models_.index(self._models[number % len(self._models)]) for number in numbers]
        return [Choices.single(self.models_, np.array(place), label=self.name)]


def outcomes(n: int = 400, *, cacheable: bool = False, weights: bool = False) -> Outcomes:
    """Two models: `large` is right on 9 of 10 prompts and costs ten times as much, `small` on the even ones."""
    cases = [
        Case(
            f"c{number:04}",
            Request(({"role": "user", "content": str(number)},)),
            category="even" if number % 2 == 0 else "odd",
            weight=2.0 if weights and number % 3 == 0 else 1.0,
        )
        for number in range(n)
    ]
    rows = [
        {
            "case_id": case.id,
            "model": model,
            "sample": 0,
            "status": "ok",
            "score": float(right),
            "cost_usd": cost,
            "latency_s": 1.0,
        }
        for number, case in enumerate(cases)
        for model, right, cost in (("small", number % 2 == 0, 0.001), ("large", number % 10 != 9, 0.01))
    ]
    made = Outcomes.from_frame("s", cases, pd.DataFrame(rows))
    if not cacheable:
        return made
    from dataclasses import replace

    return replace(made, cacheable_usd=made.cost_usd * 0.8)


def found(
    *strategies: Policy, seeds: Sequence[int] = (42,), made: Outcomes | None = None, **options: object
) -> Comparison:
    made = outcomes() if made is None else made
    return compare(made, with_baselines(strategies, made.models), seeds=seeds, **options)  # type: ignore[arg-type]


def said(comparison: Comparison, topic: str) -> list[tuple[str, bool]]:
    return [(one.text, one.grave) for one in comparison.readings if one.topic == topic]


def test_a_constant_router_of_today_cannot_be_missed() -> None:
    comparison = found(Told("today", ["small"], "today"), Told("halves", ["small", "large"]))
    ((text, grave),) = said(comparison, "today")
    assert grave
    assert "sends 100% of the requests to the cheapest model, small: hardly anything is decided" in text
    assert "A fixed mix at the same cost does as well" in text
    assert "halves is better than it" in text
    assert comparison["today"].constant
    assert not comparison["halves"].constant
    assert comparison.readings[0].topic == "today"


def test_the_pick_is_named_with_its_verdict_its_cost_and_the_mix_at_its_cost() -> None:
    comparison = found(Told("halves", ["small", "large"]), made=outcomes(1000))
    ((text, _),) = said(comparison, "best")
    assert text.startswith("halves is no worse than best_single")
    assert "less cost [" in text
    assert "better than the fixed mix at its own cost" in text


def test_the_same_answers_as_the_baseline_are_no_finding() -> None:
    comparison = found(Told("copy", ["large"]))
    ((text, grave),) = said(comparison, "best")
    assert grave
    assert "copy scores and costs the same" in text


def test_many_candidates_on_one_test_half_are_warned_of() -> None:
    few = found(Told("one", ["small"]))
    many = found(*(Told(f"s{number}", ["small", *["large"] * number]) for number in range(1, 9)))
    assert not said(few, "tries")
    ((text, grave),) = said(many, "tries")
    assert grave
    assert "8 candidates" in text
    assert "34%" in text


def test_the_worst_slice_is_named_with_its_simultaneous_interval() -> None:
    comparison = found(Told("cheap", ["small"]))
    ((text, grave),) = said(comparison, "slice")
    assert grave
    assert text.startswith("category=odd is the worst of 2 slices")


def test_the_saving_that_prompt_caching_eats_is_priced() -> None:
    made = outcomes(cacheable=True)
    without = found(Told("halves", ["small", "large"]), made=made)
    ((text, _),) = said(without, "caching")
    # A request costs .0055 against .01 of which .008 could be cached: 56 %.
    share = float(text.split(" read ")[1].split("%")[0])
    assert share == pytest.approx(56, abs=6)
    cached = found(Told("halves", ["small", "large"]), made=made, cache_hit_rate=0.9)
    ((text, grave),) = said(cached, "cost")
    assert grave
    assert "moving between models lost it every hit" in text
    row = cached.as_dict()["strategies"][-1]["cost_cached"]
    assert row["cost_usd_per_1k"] == pytest.approx(5.5 * (1 - 0.9 * 0.8), rel=0.1)
    assert not said(cached, "caching")


def test_weights_and_their_absence_are_told() -> None:
    assert "looks like this suite" in said(found(Told("one", ["small"])), "weights")[0][0]
    weighted = found(Told("one", ["small"]), made=outcomes(weights=True))
    assert "weighted by the requests" in said(weighted, "weights")[0][0]


def test_what_is_left_out_is_counted_by_model() -> None:
    whole = outcomes()
    frame = whole.df()
    lacking = frame[~((frame["model"] == "large") & (frame["case_id"] < "c0100"))].assign(
        status=lambda one: one["status"]
    )
    made = Outcomes.from_frame("s", list(whole.cases), lacking, models=("small", "large"))
    comparison = found(Told("one", ["small"]), made=made)
    (text, _), *_ = said(comparison, "missing")
    assert f"{comparison.n_left_out} were left out (large lacks {comparison.n_left_out})" in text
    assert comparison.n_test + comparison.n_left_out == 200


def test_intervals_contain_their_points_on_small_suites() -> None:
    comparison = found(Told("halves", ["small", "large"]), made=outcomes(24), seeds=(42, 43, 44))
    for one in comparison.evaluations:
        if one.quality_ci95 is not None and one.quality_ci95.ci95 is not None:
            low, high = one.quality_ci95.ci95
            assert 0 <= low <= one.shown_quality <= high <= 1


def test_what_fails_and_what_has_no_price_is_told() -> None:
    whole = outcomes(60)
    from dataclasses import replace

    unpriced = replace(whole, cost_usd=np.where(np.arange(2)[None, :, None] == 1, np.nan, whole.cost_usd))
    assert ("Cost unknown: large on 30 of 30 held-out cases.", True) in said(
        found(Told("one", ["small"]), made=unpriced), "missing"
    )
    status = whole.status.copy()
    status[:, 1] = 2
    failing = replace(whole, status=status, score=np.where(status == 2, np.nan, whole.score))
    texts = [text for text, _ in said(found(Told("one", ["small"]), made=failing), "missing")]
    assert "Requests without an answer, scored 0: large 100%." in texts


def test_one_model_and_no_difference_say_what_to_do() -> None:
    alone = found(made=outcomes(60).select(["small"]))
    assert "add a second model" in said(alone, "best")[0][0]
    same = found(Told("copy", ["large"]), made=outcomes(1000))
    assert said(same, "power")[0][0] == (
        "With 500 paired cases you can see 4.0 points (80 % power, if 10% of the cases differed)."
    )
