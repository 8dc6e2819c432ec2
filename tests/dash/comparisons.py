"""Comparisons for the tests of panels: three models, a rule set that sends sums to the large one, answers with grades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from routebench.evaluate import Answers, Cases, Comparison, Outcomes, Strategy, compare
from routebench.evaluate.outcomes import ERROR, OK
from routebench.rules import Default, Rule, RuleSet
from routebench.strategies import Decisions, RulesFile, with_baselines
from routebench.suites.importers import RecordedDecision, RecordedDecisions
from routebench.types import Answer, GradedAnswer
from tests.conftest import make_case, make_model

MODELS = ("small", "large", "odd<b")
EVIL = "<script>alert('x')</script>"
RULES, TODAY = "rules:house", "decisions:old"


def outcomes(n: int = 200, *, costs: bool = True, models: Sequence[str] = MODELS, text: bool = True) -> Outcomes:
    """The large model is right on sums and dear, the small one right on words and cheap, the odd one on a third."""
    kinds = ["sum" if place % 2 else "word" for place in range(n)]
    cases = [
        make_case(
            f"c{place:03}",
            f"{kind} number {place} {EVIL}",
            category=kind,
            tags=("rare",) if place < 12 else (),
            stakes_usd=5.0 if place % 10 == 1 else None,
        )
        for place, kind in enumerate(kinds)
    ]
    if not text:
        cases = [replace(case, request=replace(case.request, messages=())) for case in cases]
    rng = np.random.default_rng(7)
    sums = np.array([kind == "sum" for kind in kinds])
    score = np.zeros((n, 3, 1))
    score[:, 0, 0] = np.where(sums, rng.random(n) < 0.2, rng.random(n) < 0.9)
    score[:, 1, 0] = np.where(sums, rng.random(n) < 0.9, rng.random(n) < 0.6)
    score[:, 2, 0] = rng.random(n) < 0.33
    cost = np.broadcast_to(np.array([0.001, 0.004, 0.002])[None, :, None], score.shape).copy()
    cost *= rng.uniform(0.9, 1.1, size=score.shape)
    status = np.full(score.shape, OK, dtype=np.int8)
    status[::25, 2] = ERROR
    score[status == ERROR] = np.nan
    latency = rng.uniform(0.2, 1.0, size=score.shape)
    made = Outcomes(
        "s",
        Cases.of(cases),
        MODELS,
        status,
        score,
        cost if costs else np.full(score.shape, np.nan),
        latency,
        answers=Answers(lambda _names: {}, lambda case_id: told(case_id) if text else {}),
    )
    return made.select(models)


def told(case_id: str) -> Mapping[tuple[str, int], GradedAnswer]:
    """What every model said to a case."""
    texts = {"small": f"I say {EVIL} to {case_id}", "large": f"I say no to {case_id}"}
    answers = {
        (name, 0): GradedAnswer(Answer(text), None, None, 0.001, 0.5, "exact#1f", None, 1.0, f"expected {EVIL}")
        for name, text in texts.items()
    }
    answers["odd<b", 0] = GradedAnswer(Answer(None), "timeout", "too <slow>", 0.0, None, None, None, None, None)
    return answers


def house_rules() -> RulesFile:
    """Sums to the large model, the rest to the small one."""
    models = {name: make_model(name) for name in MODELS}
    rules = (Rule("sums", {"any_keyword": ["sum"]}, ("large",)),)
    return RulesFile(RuleSet(name="house", models=models, rules=rules, default=Default(route=("small",))))


def old_router(made: Outcomes) -> Decisions:
    """A router that sends every tenth request to the large model."""
    rows = {
        str(case_id): RecordedDecision(
            str(case_id), ("large",) if place % 10 == 0 else ("small",), {"tier": "SIMPLE", "score": 0.1}
        )
        for place, case_id in enumerate(made.cases.ids)
    }
    return Decisions(RecordedDecisions(None, rows, Path("old.jsonl")))


def compared(
    made: Outcomes | None = None, *, today: bool = True, more: Sequence[Strategy] = (), **settings: Any
) -> Comparison:
    """The rules and the old router beside the baselines, on one split."""
    made = outcomes() if made is None else made
    # What reads prompts cannot be compared where none is kept.
    own = [house_rules()] if made.cases[0].request.messages and set(made.models) == set(MODELS) else []
    wanted: list[Any] = [*own, *([old_router(made)] if today else []), *more]
    return compare(made, with_baselines(wanted, made.models), seeds=(42,), **settings)
