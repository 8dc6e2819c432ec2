"""The report: one HTML page that holds everything it shows and draws with no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from routebench import __version__
from routebench.dash.charts import cost_quality, model_mix, svg
from routebench.dash.format import UNKNOWN, money, percent
from routebench.dash.tables import (
    COMPARISON_COLUMNS,
    chart_hull,
    chart_points,
    comparison_rows,
    mix_frame,
    mix_rows,
)
from routebench.errors import InputError
from routebench.evaluate import Comparison
from routebench.evaluate.examples import RoutedCase, routed_badly, routed_well
from routebench.messages import last_user_text
from routebench.store import Store, read_answers
from routebench.tune import Tuned

_ANSWER_CHARACTERS = 600
_GOLDEN_SHOWN = 3


def write_report(
    path: str | Path,
    comparison: Comparison,
    *,
    store: Store | None = None,
    tuned: Tuned | None = None,
    demo: bool = False,
    notes: str = "",
) -> Path:
    """Writes the page and returns its path.

    Args:
        path: of the HTML file.
        comparison: what is shown.
        store: where prompts and answers are; without it the page holds no text of either.
        tuned: a rule set to show with its decisions.
        demo: whether the page is marked DEMO.
        notes: a remark under the table, such as what the prices mean.

    Raises:
        InputError: the file cannot be written.
    """
    path = Path(path)
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        (files("routebench") / "report.html.j2").read_text(encoding="utf-8")
    )
    page = template.render(**_context(comparison, store, tuned, demo=demo, notes=notes))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another path") from None
    return path


def _context(
    comparison: Comparison, store: Store | None, tuned: Tuned | None, *, demo: bool, notes: str
) -> dict[str, Any]:
    points, hidden = chart_points(comparison)
    shown = _shown(comparison)
    mixed = mix_rows(comparison, shown)
    pick = _pick(comparison)
    mix_reading = "Share of held-out requests that each model answers"
    chart = cost_quality(points, chart_hull(comparison), title="Cost and quality on held-out cases", reading="")
    names = [name for name in shown if not name.startswith("always:")]
    return {
        "title": f"Which rules are right for {comparison.suite}",
        "subtitle": (
            f"{comparison.n_cases} cases, {len(comparison.models)} models, {len(comparison.seeds)} half-and-half "
            f"split{'s' if len(comparison.seeds) > 1 else ''}; baseline {comparison.baseline}"
        ),
        "demo": demo,
        "reading": comparison.reading,
        "tuned": tuned,
        "charts": {
            "cost_quality": svg(chart),
            "mix": svg(model_mix(mix_frame(comparison, names), title="Where the requests go", reading=mix_reading)),
        },
        "hidden": hidden,
        "caption": f"Held out: {comparison.n_test} cases; {comparison.n_left_out} left out for lack of outcomes.",
        "table": {
            "columns": COMPARISON_COLUMNS,
            "rows": [{"pick": cells[0] == pick, "cells": cells} for cells in comparison_rows(comparison)],
        },
        "notes": notes,
        "mix_reading": mix_reading,
        "models": [*comparison.models, "no answer"],
        "mix": [{"name": name, "shares": [percent(share) for share in shares]} for name, shares in mixed],
        "category_columns": names,
        "categories": _categories(comparison, names),
        "examples": _examples(comparison, pick, store),
        "rules_yaml": None if tuned is None else _shortened(tuned),
        "provenance": _provenance(comparison, tuned),
    }


def _pick(comparison: Comparison) -> str:
    """The candidate that the page is about: the best one, or the baseline where there is none."""
    candidates = [one for one in comparison.evaluations if one.kind == "strategy"]
    return max(candidates, key=lambda one: one.quality).name if candidates else comparison.baseline


def _shown(comparison: Comparison) -> list[str]:
    return [one.name for one in comparison.evaluations if one.name != "cheapest"]


def _categories(comparison: Comparison, names: Sequence[str]) -> list[dict[str, Any]]:
    labels = comparison.half.test.cases.category
    rows = []
    for label in np.unique(labels[labels != ""]):
        inside = labels == label
        means = [float(comparison[name].first.replayed.score[inside].mean()) for name in names]
        rows.append({"name": str(label), "n": int(inside.sum()), "values": [percent(mean) for mean in means]})
    return rows


def _examples(comparison: Comparison, pick: str, store: Store | None) -> list[dict[str, Any]]:
    if pick == comparison.baseline:
        return []
    answers: dict[tuple[str, str], Mapping[Any, Any]] = {}
    if store is not None:
        frame = read_answers(store, comparison.suite)
        answers = {(row["case_id"], row["model"]): row for row in frame.to_dict("records") if row["sample"] == 0}
    groups = (("Routed well", routed_well(comparison, pick)), ("Routed badly", routed_badly(comparison, pick)))
    return [{"title": title, "cases": [_example(one, answers) for one in cases]} for title, cases in groups if cases]


def _example(one: RoutedCase, answers: Mapping[tuple[str, str], Mapping[Any, Any]]) -> dict[str, Any]:
    told = []
    for model, score in ((one.model, one.score), (one.baseline_model, one.baseline_score)):
        row = answers.get((one.case.id, model or ""))
        if row is not None:
            text = row["text"] if isinstance(row["text"], str) else f"({row['error_kind']})"
            told.append({"model": model, "verdict": f"score {score:.2g}", "text": text[:_ANSWER_CHARACTERS]})
    return {
        "id": one.case.id,
        "category": one.case.category,
        "sentence": sentence(one),
        "prompt": last_user_text(one.case.request.messages) if answers else None,
        "answers": told,
    }


def sentence(one: RoutedCase) -> str:
    """Returns what happened to a case, against the baseline."""
    own, base = one.model or "no model", one.baseline_model or "no model"
    cost, base_cost = money(one.cost_usd), money(one.baseline_cost_usd)
    costs = "" if UNKNOWN in (cost, base_cost) else f" (for {cost} instead of {base_cost})"
    return f"{own} scores {one.score:.2g}, the baseline's {base} {one.baseline_score:.2g}{costs}."


def _shortened(tuned: Tuned) -> str:
    """The file without most of its golden decisions, which are many and alike."""
    golden = tuned.ruleset.golden
    text = replace(tuned.ruleset, golden=golden[:_GOLDEN_SHOWN]).to_yaml()
    return text + (f"# … and {len(golden) - _GOLDEN_SHOWN} more" if len(golden) > _GOLDEN_SHOWN else "")


def _provenance(comparison: Comparison, tuned: Tuned | None) -> list[tuple[str, str]]:
    facts = [
        ("suite", comparison.suite),
        ("models", ", ".join(comparison.models)),
        ("splits", f"seeds {', '.join(map(str, comparison.seeds))}; half of the cases or groups each"),
        (
            "intervals",
            ", ".join(sorted({one.quality_ci95.method for one in comparison.evaluations if one.quality_ci95})),
        ),
        ("comparisons", "Holm over the candidates; " + "; ".join(_methods(comparison))),
        ("routebench", __version__),
    ]
    if tuned is not None:
        facts.insert(1, ("outcomes sha256", str(tuned.ruleset.evidence.get("outcomes_sha256"))))
    return facts


def _methods(comparison: Comparison) -> list[str]:
    return sorted({one.versus_baseline.method for one in comparison.evaluations if one.versus_baseline is not None})
