"""A suite with outcomes, a rule set, and what a gateway would have written of requests that it decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from routebench.evaluate import Outcomes
from routebench.rules import Default, Reading, Router, Rule, RuleSet
from routebench.traces import Attempt, Trace, frame_of
from routebench.types import Case, Decision, Model, Request
from tests.conftest import make_case

SMALL, LARGE = "small", "large"
COSTS = {SMALL: 0.001, LARGE: 0.01}
BEGAN = 1_790_000_000.0


def rules(**fields: Any) -> RuleSet:
    """Long requests to the large model, the others to the small one; a rule that never decides."""
    made: dict[str, Any] = {
        "name": "shop",
        "models": {name: Model(name, "recorded", name) for name in (SMALL, LARGE)},
        "default": Default(route=(SMALL, LARGE)),
        "rules": (
            Rule("long", {"input_tokens": {"gt": 50}}, (LARGE, SMALL)),
            Rule("refunds", {"any_keyword": ["chargeback"]}, (LARGE,)),
        ),
    }
    return RuleSet(**{**made, **fields})


def prompt(number: int, *, long: bool) -> str:
    return f"Where is order {number}?" if not long else f"Order {number}: " + "please explain in detail " * 12


def cases(n: int = 480, long_share: float = 0.25) -> list[Case]:
    every = round(1 / long_share)
    return [make_case(f"c{number}", prompt(number, long=number % every == 0)) for number in range(n)]


def outcomes(n: int = 480) -> Outcomes:
    """Scores and costs of both models; every tenth answer of the small one is wrong, no call failed."""
    some = cases(n)
    rows = [
        {
            "case_id": case.id,
            "model": model,
            "sample": 0,
            "status": "ok",
            "score": 1.0 if model == LARGE or number % 10 else 0.0,
            "cost_usd": COSTS[model] * (1 + number % 7 / 10),
            "latency_s": 1.0 + number % 11 / 10,
        }
        for number, case in enumerate(some)
        for model in (SMALL, LARGE)
    ]
    return Outcomes.from_frame("shop", some, pd.DataFrame(rows))


def requests(n: int, *, long_share: float = 0.25, seed: int = 1) -> list[Request]:
    """Requests as those of the cases, of which a share is long."""
    random = np.random.default_rng(seed)
    return [_request(int(random.integers(0, 480)), bool(random.random() < long_share)) for _ in range(n)]


@cache
def _request(number: int, long: bool) -> Request:
    return make_case(f"r{number}", prompt(number, long=long)).request


def served(
    ruleset: RuleSet,
    asked: Sequence[Request],
    *,
    cost_factor: float = 1.0,
    failing: float = 0.0,
    seed: int = 2,
    **fields: Any,
) -> list[Trace]:
    """A trace a request, a minute apart, two turns a conversation."""
    return list(_served(ruleset, asked, cost_factor, failing, np.random.default_rng(seed), fields))


def _served(
    ruleset: RuleSet, asked: Sequence[Request], cost_factor: float, failing: float, random: Any, fields: dict[str, Any]
) -> Iterator[Trace]:
    policy = ruleset.policy_sha256[:12]
    router, decisions = Router(ruleset), dict[int, tuple[Decision, dict[str, Any]]]()
    for number, request in enumerate(asked):
        decision, features = _decided(router, request, decisions)
        failed = bool(random.random() < failing)
        first = decision.chain[0]
        told: dict[str, Any] = {
            "trace_id": f"t{number:06}",
            "at": BEGAN + 60.0 * number,
            "gateway": "g",
            "rules": ruleset.name,
            "policy": policy,
            "status": 502 if failed else 200,
            "outcome": "failed" if failed else "ok",
            "streamed": False,
            "latency_s": 1.0 + random.integers(0, 11) / 10,
            "conversation": f"v{number // 2}",
            "rule": decision.rule,
            "chain": decision.chain,
            "wanted": first,
            "eligible": (SMALL, LARGE),
            "model": None if failed else first,
            "error_kind": "timeout" if failed else None,
            "attempts": (Attempt(first, first, "failed" if failed else "accepted", "timeout" if failed else None),),
            "cost_usd": None if failed else cost_factor * COSTS[first] * (1 + random.integers(0, 7) / 10),
            "features": features,
            "messages": request.messages,
        }
        yield Trace(**{**told, **fields})


def _decided(
    router: Router, request: Request, known: dict[int, tuple[Decision, dict[str, Any]]]
) -> tuple[Decision, dict[str, Any]]:
    """Most requests come again: each is decided and read once."""
    if id(request) not in known:
        known[id(request)] = router.decide(request), dict(Reading(request).features())
    return known[id(request)]


def frame(traces: Sequence[Trace]) -> pd.DataFrame:
    return frame_of(traces)
