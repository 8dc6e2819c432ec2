"""The cases on which strategies differ: which, in which order, and what stands beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from routebench.dash.cases.differing import answerers, differing, previews
from routebench.dash.cases.listing import case_columns, case_rows
from routebench.evaluate import Comparison
from tests.dash.comparisons import RULES, TODAY, compared, outcomes


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compared()


def test_the_most_harmful_come_first_and_stakes_decide_between_equals(comparison: Comparison) -> None:
    frame = differing(comparison, ("best_single", RULES))
    assert (frame["harm"].diff().dropna() <= 0).all()
    dear = differing(comparison, ("always:large", "always:small"))
    stakes = dear[dear["harm"] == 1]["stakes_usd"].fillna(0)
    assert set(stakes) == {0.0, 5.0}
    assert (stakes.diff().dropna() <= 0).all()
    scores = comparison["best_single"].first.replayed.score - comparison[RULES].first.replayed.score
    assert len(frame) == int((scores != 0).sum())
    np.testing.assert_array_equal(frame["harm"], frame["score_0"] - frame["score_1"])


def test_other_models_with_the_same_score_are_a_list_of_their_own(comparison: Comparison) -> None:
    different = set(differing(comparison, ("best_single", RULES)).index)
    answers = differing(comparison, ("best_single", RULES), "answers")
    everything = differing(comparison, ("best_single", RULES), "all")
    assert not different & set(answers.index)
    assert (answers["model_0"] != answers["model_1"]).all()
    assert len(everything) == comparison.half.test.n


def test_of_several_strategies_the_largest_loss_counts(comparison: Comparison) -> None:
    frame = differing(comparison, ("always:large", TODAY, RULES))
    np.testing.assert_array_equal(
        frame["harm"], np.maximum(frame["score_0"] - frame["score_1"], frame["score_0"] - frame["score_2"])
    )
    rows = np.flatnonzero(np.isin(comparison.half.test.cases.ids, frame.index))
    first, last = (comparison[name].first.replayed.cost_usd[rows] for name in ("always:large", RULES))
    ids = comparison.half.test.cases.ids[rows]
    np.testing.assert_allclose(frame.loc[ids, "saved_usd_per_1k"].astype(float), 1000 * (first - last))


def test_weights_make_a_loss_larger() -> None:
    made = outcomes(80)
    weight = np.where(made.cases.category == "sum", 3.0, 1.0)
    heavy = compared(replace(made, cases=replace(made.cases, weight=weight)))
    frame = differing(heavy, ("always:small", "always:large"))
    np.testing.assert_allclose(frame["harm"], (frame["score_0"] - frame["score_1"]) * frame["weight"])
    rows = case_rows(frame, ("always:small", "always:large"))
    assert "weight" in [column.name for column in case_columns(("always:small", "always:large"), rows)]


def test_who_answers_is_told_with_a_share_where_it_is_not_sure() -> None:
    assert answerers(np.array([[1.0, 0.0], [0.3, 0.7], [0.0, 0.0]]), ("a", "b")) == ["a", "b (70%)", "nobody"]


def test_a_table_leaves_out_what_no_case_has(comparison: Comparison) -> None:
    names = ("cheapest", RULES)
    frame = differing(comparison, names, prompts=previews(comparison.half.test.cases))
    titles = [column.title for column in case_columns(names, case_rows(frame, names))]
    assert titles == ["case", "category", "harm", "cheapest", RULES, "saves per 1,000", "stakes", "prompt"]
    bare = compared(outcomes(60, text=False, costs=False))
    frame = differing(bare, ("always:small", "always:large"), prompts=previews(bare.half.test.cases))
    titles = [column.name for column in case_columns(names, case_rows(frame, ("always:small", "always:large")))]
    assert "prompt" not in titles
    assert "saved_usd_per_1k" not in titles


def test_cells_sort_as_scores_and_show_who_answered(comparison: Comparison) -> None:
    names = ("best_single", RULES)
    frame = differing(comparison, names)
    rows = case_rows(frame, names)
    shown = {column.name: column.show for column in case_columns(names, rows)}
    first = rows["beside_1"].iloc[0]
    assert float(first) == frame["score_1"].iloc[0]
    assert shown["beside_1"](first) == f"{frame['score_1'].iloc[0]:.2g} · {frame['model_1'].iloc[0]}"
    assert (shown["harm"](1.0), shown["harm"](-0.5), shown["harm"](0.0)) == ("▼ 1", "▲ 0.5", "0")
    assert (shown["saved_usd_per_1k"](0.5), shown["saved_usd_per_1k"](-2.0)) == ("$0.5", "-$2")
