"""A store with answers to look at: `small` is always wrong, `large` always right, in words that differ by case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from routebench.store import Cell, Store, add_completions, add_grades, register
from routebench.suites import Suite, content_hash
from tests.conftest import make_case, make_model

AT = datetime(2026, 11, 23, tzinfo=UTC)


def suite_of(n: int, grader: str = "judge", **options: Any) -> Suite:
    cases = [
        make_case(f"c{i:03}", f"prompt {i}", f"right {i}", grader, options=options, category=("x", "y")[i % 2])
        for i in range(n)
    ]
    return Suite("s", tuple(cases))


def said(model: str, i: int) -> str:
    return f"right {i}, as {i} is" if model == "large" else f"wrong {i} by {i * 7}"


def answered(
    folder: Path,
    models: Sequence[str] = ("small", "large"),
    n: int = 80,
    *,
    suite: Suite | None = None,
    scores: Mapping[tuple[str, int], float | None] | None = None,
    texts: Mapping[tuple[str, int], str | None] | None = None,
) -> Store:
    """Answers of some models, and the judge's scores: 0.9 for `large`, 0.1 for the others, unless given."""
    store = Store(folder / "s.duckdb")
    suite = suite or suite_of(n)
    cells = [Cell(case.id, model, 0, f"m-{model}", f"{i}-{model}") for i, case in enumerate(suite) for model in models]
    register(
        store,
        suite=suite.name,
        run_id="r",
        cases=[(case, content_hash(case)) for case in suite],
        models=[(make_model(model), f"m-{model}") for model in models],
        cells=cells,
        at=AT,
    )
    rows, grades = [], []
    for i, case in enumerate(suite):
        for model in models:
            text = (texts or {}).get((model, i), said(model, i))
            rows.append(
                {
                    "request_key": f"{i}-{model}",
                    "run_id": "r",
                    "status": "ok",
                    "text": text,
                    "started_at": AT,
                    "attempts": 1,
                }
            )
            score = (scores or {}).get((model, i), 0.9 if model == "large" else 0.1)
            grades.append(
                {
                    "suite": suite.name,
                    "case_id": case.id,
                    "request_key": f"{i}-{model}",
                    "run_id": "r",
                    "grader": case.grader.key,
                    "score": score,
                    "rater": "gpt-x",
                    "graded_at": AT,
                }
            )
    add_completions(store, rows)
    add_grades(store, grades)
    return store
