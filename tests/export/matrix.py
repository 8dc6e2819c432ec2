"""Outcomes that effects are replayed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from routebench.evaluate import Cases, Outcomes
from routebench.evaluate.outcomes import OK
from routebench.types import Case, Request


def outcomes_of(texts: Sequence[str], *, scores: Mapping[str, Any], costs_usd: Mapping[str, Any]) -> Outcomes:
    """Returns a matrix with one answered, graded cell for every prompt and model."""
    cases = [
        Case(f"c{place}", Request(messages=({"role": "user", "content": text},))) for place, text in enumerate(texts)
    ]
    names = tuple(scores)
    shape = (len(texts), len(names), 1)
    score = np.stack([scores[name] for name in names], axis=1).reshape(shape).astype(float)
    cost = np.stack([costs_usd[name] for name in names], axis=1).reshape(shape).astype(float)
    return Outcomes("s", Cases.of(cases), names, np.full(shape, OK, dtype=np.int8), score, cost, np.full(shape, 1.0))
