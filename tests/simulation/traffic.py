"""A small suite with latencies, and a rule set on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from routebench.evaluate import Cases, Outcomes
from routebench.evaluate.outcomes import OK
from routebench.rules import Default, HealthPolicy, Rule, RuleSet
from tests.conftest import make_case, make_model

N = 60
FRONT, BACK = 0.8, 1.2
"""Median latencies of the two models, in seconds."""


def outcomes(models: Sequence[str] = ("front", "back")) -> Outcomes:
    """Sixty cases, ten of them long; the front is right on every other, the back always, at ten times the price."""
    rng = np.random.default_rng(3)
    cases = [
        make_case(
            f"c{number}", f"{number} " * (400 if number < 10 else 20), category="long" if number < 10 else "short"
        )
        for number in range(N)
    ]
    medians_s = np.array([FRONT, BACK, BACK])[: len(models)]
    latency_s = medians_s * rng.lognormal(0.0, 0.3, (N, len(models))) * np.where(np.arange(N) < 10, 4.0, 1.0)[:, None]
    score = np.stack([np.arange(N) % 2, np.ones(N), np.ones(N)][: len(models)], axis=1).astype(float)
    cost = np.tile([0.001, 0.01, 0.01][: len(models)], (N, 1))
    status = np.full((N, len(models), 1), OK, dtype=np.int8)
    return Outcomes(
        "traffic", Cases.of(cases), tuple(models), status, score[:, :, None], cost[:, :, None], latency_s[:, :, None]
    )


def ruleset(*route: str, health: HealthPolicy | None = None, rules: Sequence[Rule] = ()) -> RuleSet:
    """The models one after the other, front and back when left out."""
    route = route or ("front", "back")
    models = {name: make_model(name) for name in dict.fromkeys(("front", "back", *route))}
    return RuleSet("line", models, Default(route=route), rules=tuple(rules), health=health)
