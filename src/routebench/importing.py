"""Bringing outcomes from elsewhere into a store; the same files twice change nothing."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

from routebench.store import Cell, Store, add_completions, add_grades, register
from routebench.suites import content_hash
from routebench.suites.importers import ImportedOutcome, ImportedOutcomes, read_outcome_files
from routebench.types import Model

_RUN = "import"


def import_outcomes(
    store: Store, suite: str, *, outcomes: str | Path, prompts: str | Path, at: datetime
) -> ImportedOutcomes:
    """Reads a pair of interchange files into the store under a suite's name.

    Args:
        store: where they go.
        suite: the suite's name.
        outcomes: the file of outcomes.
        prompts: the file of prompts.
        at: when the rows are said to be from; the files do not tell.

    Raises:
        OutcomesError: a file cannot be used; the store is as it was.
    """
    found = read_outcome_files(outcomes, prompts)
    keys = [_request_key(suite, row) for row in found.rows]
    register(
        store,
        suite=suite,
        run_id=_RUN,
        cases=[(case, content_hash(case)) for case in found.cases],
        models=[(Model(name, provider="imported", model=name), f"imported:{suite}:{name}") for name in found.models],
        cells=[
            Cell(row.case_id, row.model, row.sample, f"imported:{suite}:{row.model}", key)
            for row, key in zip(found.rows, keys, strict=True)
        ],
        at=at,
    )
    add_completions(store, [_completion(row, key, at) for row, key in zip(found.rows, keys, strict=True)])
    add_grades(
        store,
        [
            {
                "suite": suite,
                "case_id": row.case_id,
                "request_key": key,
                "run_id": _RUN,
                "grader": "imported",
                "score": row.score,
                "graded_at": at,
            }
            for row, key in zip(found.rows, keys, strict=True)
        ],
    )
    return found


def _request_key(suite: str, row: ImportedOutcome) -> str:
    """Imported answers have no request of ours: their key is of suite, case, model and sample."""
    body = "\x00".join((suite, row.case_id, row.model, str(row.sample)))
    return hashlib.sha256(body.encode()).hexdigest()


def _completion(row: ImportedOutcome, key: str, at: datetime) -> dict[str, object]:
    return {
        "request_key": key,
        "run_id": _RUN,
        "status": "ok",
        "text": row.response,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cost_usd": row.cost_usd,
        "latency_s": row.latency_s,
        "service_tier": "standard",
        "attempts": 1,
        "started_at": at,
    }
