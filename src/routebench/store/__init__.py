"""What we know: one DuckDB file per workspace."""

from __future__ import annotations

from routebench.store.queries import (
    Cell,
    UngradedAnswer,
    add_completions,
    add_grades,
    answered,
    completion_row,
    read_answers,
    read_cases,
    read_completions,
    read_models,
    read_outcomes,
    register,
    sql,
    suite_names,
    ungraded,
    write_run,
)
from routebench.store.store import Store

__all__ = [
    "Cell",
    "Store",
    "UngradedAnswer",
    "add_completions",
    "add_grades",
    "answered",
    "completion_row",
    "read_answers",
    "read_cases",
    "read_completions",
    "read_models",
    "read_outcomes",
    "register",
    "sql",
    "suite_names",
    "ungraded",
    "write_run",
]
