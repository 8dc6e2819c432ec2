from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from routebench.classes import Protection
from routebench.evaluate import Cases, Outcomes
from routebench.rules import Default, Guard, RuleSet
from routebench.tune import Insurance, insure, protect
from tests.conftest import make_case, make_model
from tests.tune.test_protection import MODELS, outcomes_of, ruleset

N = 80


def data() -> Outcomes:
    """A quarter of the cases is legal; there small is always wrong and large right, elsewhere both are right."""
    cases = [
        make_case(f"c{number}", "sign the contract" if number % 4 == 0 else "say hello", **_labels(number))
        for number in range(N)
    ]
    return outcomes_of(cases, [(float(number % 4 != 0), 1.0) for number in range(N)])


def _labels(number: int) -> dict[str, object]:
    return {"tags": ("legal",), "stakes_usd": 5.0} if number % 4 == 0 else {"category": "chat"}


LEGAL = Guard("legal", {"any_keyword": ["contract"]}, at_least="large")


def measured(*guards: Guard, outcomes: Outcomes | None = None) -> Insurance:
    found = insure(ruleset(*guards), data() if outcomes is None else outcomes, outcomes or data())
    assert found is not None
    return found


def test_a_guard_costs_the_dearer_model_on_its_cases_and_brings_their_score() -> None:
    found = measured(LEGAL).guards[0]
    assert found.share == pytest.approx(0.25)
    assert found.overall.cost_usd_per_1k == pytest.approx((0.25 * 10 + 0.75, 1.0))
    assert found.overall.cost_gain_usd_per_1k is not None
    assert found.overall.cost_gain_usd_per_1k.delta == pytest.approx(2.25)
    assert found.overall.cost_gain_usd_per_1k.ci95 is not None
    assert found.overall.quality == pytest.approx((1.0, 0.75))
    assert found.inside.quality == pytest.approx((1.0, 0.0))
    assert found.inside.n == N // 4
    assert [one.usd_per_1k for one in found.damage] == [0.0, 5000.0]
    assert found.reading.startswith("Guard legal holds for 25.0% of the held-out requests. That costs $2.25 [")
    assert "saves $5e+03" in found.reading or "saves $5,000" in found.reading


def test_every_guard_is_measured_beside_the_others_and_all_together() -> None:
    doubled = replace(LEGAL, name="twin")
    found = measured(LEGAL, doubled)
    # Without one of the two the other still holds.
    assert [one.overall.cost_gain_usd_per_1k.delta for one in found.guards if one.overall.cost_gain_usd_per_1k] == [
        0,
        0,
    ]
    assert found.together.overall.cost_gain_usd_per_1k is not None
    assert found.together.overall.cost_gain_usd_per_1k.delta == pytest.approx(2.25)
    assert found.reading.startswith("All guards together hold for 25.0%")
    assert "costs nothing" in found.guards[0].reading
    assert [row["guard"] for row in found.evidence()] == ["legal", "twin"]


def test_a_protected_class_is_measured_on_all_of_its_cases() -> None:
    outcomes = data()
    (protected,) = protect(outcomes, [Protection("legal", tag="legal", at_least="large")])
    found = insure(ruleset(protected.guard), outcomes, outcomes, [protected])
    assert found is not None
    assert found.guards[0].label == "tag=legal"
    assert found.guards[0].inside.n == N // 4
    assert [one.protected for one in found.classes] == [protected]
    assert found.evidence() == [{"guard": "legal", "cost_usd_per_1k": 2.25, "delta_quality": 1.0}]
    document = found.as_dict()
    assert document["classes"][0]["train"]["class"] == "tag=legal"
    assert document["guards"][0]["overall"]["cost_usd_per_1k"]["delta"] == pytest.approx(2.25)


def test_a_learned_guard_leaves_its_recall_in_the_evidence() -> None:
    outcomes = data()
    cases = [replace(case, category="law" if "legal" in case.tags else "chat") for case in outcomes.cases]
    outcomes = replace(outcomes, cases=Cases.of(cases))
    (protected,) = protect(outcomes, [Protection("law", category="law", at_least="large", min_recall=0.8)])
    found = insure(ruleset(protected.guard), outcomes, outcomes, [protected])
    assert found is not None
    (row,) = found.evidence()
    assert row["recall"]["mean"] == 1.0
    assert row["min_recall"] == 0.8


def test_a_cost_that_is_unknown_is_not_nothing() -> None:
    outcomes = data()
    outcomes.cost_usd[:] = np.nan
    found = measured(LEGAL, outcomes=outcomes).guards[0]
    assert found.overall.cost_usd_per_1k is None
    assert found.overall.n_cost_unknown == N
    assert "unknown" in found.reading
    assert found.as_dict()["overall"]["cost_usd_per_1k"] is None
    assert found.evidence()["cost_usd_per_1k"] is None


def test_where_the_guard_cheapens_things_that_is_a_saving() -> None:
    dear = RuleSet(
        "r",
        {name: make_model(name) for name in MODELS},
        Default(route=("large",)),
        guards=(replace(LEGAL, at_least=None, only=("small",)),),
    )
    found = insure(dear, data(), data())
    assert found is not None
    assert "That saves $2.25 [" in found.reading
    assert "adds" in found.reading


def test_without_guards_there_is_no_insurance() -> None:
    assert insure(ruleset(), data(), data()) is None
