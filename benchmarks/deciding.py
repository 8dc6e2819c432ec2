"""Deciding and replaying, side by side in one run: ratios matter, milliseconds depend on the machine."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import numpy as np

from routebench.evaluate import Cases, Choices, Outcomes, replay
from routebench.evaluate.outcomes import OK
from routebench.rules import Default, Router, Rule, RuleSet
from routebench.types import Case, Model, Request

N_RULES, N_CASES, N_MODELS = 50, 20_000, 8


def seconds(work: Callable[[], object], repeat: int) -> float:
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(repeat):
            work()
        best = min(best, (time.perf_counter() - start) / repeat)
    return best


def deciding() -> None:
    patterns = [rf"(?i)\bword{number}\s+[a-z]+ing\b" for number in range(N_RULES)]
    models = {"small": Model("small", "openai", "s"), "large": Model("large", "openai", "l")}
    rules = tuple(Rule(f"r{number}", {"regex": pattern}, ("large",)) for number, pattern in enumerate(patterns))
    router = Router(RuleSet("b", models, Default(route=("small",)), rules))
    text = "Please summarise the following notes for a new colleague, and keep every figure as it is. " * 9
    request = Request(({"role": "user", "content": text},))
    ours = seconds(lambda: router.decide(request), 100)
    compiled = [re.compile(pattern) for pattern in patterns]
    theirs = seconds(lambda: any(pattern.search(text) for pattern in compiled), 20)
    print(
        f"{N_RULES} regex rules, 200 tokens: Router {ours * 1e6:.0f} us; a loop over re {theirs * 1e6:.0f} us ({theirs / ours:.1f} x)"
    )


def replaying() -> None:
    rng = np.random.default_rng(0)
    shape = (N_CASES, N_MODELS, 1)
    request = Request(({"role": "user", "content": "x"},))
    names = tuple(f"m{number}" for number in range(N_MODELS))
    outcomes = Outcomes(
        "b", Cases.of([Case(str(number), request) for number in range(N_CASES)]), names,
        np.full(shape, OK, dtype=np.int8), rng.random(shape), rng.random(shape), rng.random(shape),
    )  # fmt: skip
    chosen = rng.integers(0, N_MODELS, N_CASES)
    ours = seconds(lambda: replay(outcomes, Choices.single(names, chosen)), 3)
    frame = outcomes.df().set_index(["case_id", "model"])["score"].to_dict()
    theirs = seconds(lambda: sum(frame[str(row), names[model]] for row, model in enumerate(chosen)), 1)
    print(
        f"replay of {N_CASES} cases: {ours * 1e3:.1f} ms; a loop over a dict {theirs * 1e3:.1f} ms ({theirs / ours:.1f} x)"
    )


if __name__ == "__main__":
    deciding()
    replaying()
