"""What we know: one DuckDB file per workspace."""

from __future__ import annotations

from routebench.store.queries import (
    Cell,
    UngradedAnswer,
    add_completions,
    add_grades,
    add_journal,
    answered,
    find_completions,
    mean_latencies_s,
    read_answers,
    read_cases,
    read_completions,
    read_models,
    read_outcomes,
    register,
    registered_mark,
    reprice,
    sql,
    suite_names,
    tokens_by_model,
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
    "add_journal",
    "answered",
    "find_completions",
    "mean_latencies_s",
    "read_answers",
    "read_cases",
    "read_completions",
    "read_models",
    "read_outcomes",
    "register",
    "registered_mark",
    "reprice",
    "sql",
    "suite_names",
    "tokens_by_model",
    "ungraded",
    "write_run",
]
