"""A store of a suite in which one model knows sums and the other essays, and the rule set that follows from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from routebench.matrix import open_outcomes
from routebench.pricing import list_cost_usd
from routebench.rules import RuleSet
from routebench.store import Cell, Store, add_completions, add_grades, read_models, register
from routebench.suites import content_hash
from routebench.tune import Constraints, tune
from routebench.types import Case, Model, Price, Usage
from tests.conftest import make_case, make_model

AT = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
DAY = date(2026, 11, 20)
USAGE = Usage(input_tokens=1000, output_tokens=100)
# Nobody's models: no book and no page about their end knows them.
MODELS = (
    make_model("cheap", provider="elsewhere", price=Price(0.05, 0.4)),
    make_model("dear", provider="elsewhere", price=Price(1.25, 10.0)),
)


@dataclass(frozen=True)
class Sample:
    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "s.duckdb"

    @property
    def rules(self) -> Path:
        return self.folder / "rules.yaml"

    @property
    def suite(self) -> Path:
        return self.folder / "suite.jsonl"

    def ruleset(self) -> RuleSet:
        return RuleSet.load(self.rules)

    def edit(self, old: str, new: str) -> None:
        text = self.rules.read_text()
        assert old in text
        self.rules.write_text(text.replace(old, new, 1))

    def change(self, changed: Callable[[RuleSet], RuleSet]) -> None:
        self.rules.write_text(changed(self.ruleset()).to_yaml())


def make_sample(
    folder: Path,
    *,
    models: Sequence[Model] = MODELS,
    n: int = 240,
    sealed: int = 0,
    sealed_right: float = 0.9,
    seed: int = 3,
    created: date = DAY,
) -> Sample:
    """Writes the suite, its store and the rules.yaml tuned on it into a folder."""
    sample = Sample(folder)
    cases = _cases(n, sealed)
    sample.suite.write_text("".join(json.dumps(_row(case)) + "\n" for case in cases))
    fill(Store(sample.store), cases, models, seed=seed, sealed_right=sealed_right)
    store = Store(sample.store)
    tuned = tune(
        open_outcomes(store, "s"),
        read_models(store, "s"),
        Constraints(max_quality_drop=0.03),
        name="s",
        created=created,
    )
    assert not tuned.abstained
    tuned.export(sample.rules)
    return sample


def fill(store: Store, cases: Sequence[Case], models: Sequence[Model], *, seed: int, sealed_right: float = 0.9) -> None:
    """Sums are right with either model; essays only with the dear one; of the sealed cases so many as is said."""
    rng = np.random.default_rng(seed)
    keys = {model.name: f"k-{model.name}" for model in models}
    register(
        store,
        suite="s",
        run_id="r",
        cases=[(case, content_hash(case)) for case in cases],
        models=[(model, keys[model.name]) for model in models],
        cells=[Cell(case.id, one.name, 0, keys[one.name], f"{case.id}-{one.name}") for case in cases for one in models],
        at=AT,
    )
    answers, grades = [], []
    for case in cases:
        is_sum = case.request.messages[0]["content"].startswith("add")
        for place, model in enumerate(models):
            right = (0.9, 0.85)[place] if is_sum else (0.1, 0.9)[place]
            score = float(rng.random() < (right if case.split != "sealed" else right * sealed_right / 0.9))
            key = {"request_key": f"{case.id}-{model.name}", "run_id": "r"}
            answers.append(
                {
                    **key,
                    "status": "ok",
                    "text": "yes",
                    "input_tokens": USAGE.input_tokens,
                    "output_tokens": USAGE.output_tokens,
                    "cost_usd": list_cost_usd(USAGE, model.price),
                    "latency_s": 0.5 + place,
                    "attempts": 1,
                    "started_at": AT,
                }
            )
            grades.append({"suite": "s", "case_id": case.id, **key, "grader": "exact", "score": score, "graded_at": AT})
    add_completions(store, answers)
    add_grades(store, grades)


def _cases(n: int, sealed: int) -> list[Case]:
    cases = []
    for number in range(n + sealed):
        # Every second one is a sum, in no order that the split could follow.
        prompt = f"add {number} and 3" if (number * 7919) % 11 < 5 else f"write an essay on topic {number}"
        case = make_case(f"c{number:03}", prompt, tags=("public",))
        cases.append(replace(case, split="sealed") if number >= n else case)
    return cases


def _row(case: Case) -> dict[str, object]:
    split = {"split": case.split} if case.split else {}
    prompt = case.request.messages[0]["content"]
    return {"id": case.id, "prompt": prompt, "target": "yes", "grader": "exact", "tags": ["public"], **split}
