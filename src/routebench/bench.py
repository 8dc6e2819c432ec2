"""Bench: the whole job from one object, without a screen."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from routebench.config import BenchConfig, load_config
from routebench.errors import ConfigError, RulesError, nearest
from routebench.evaluate import Comparison, compare
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.protocol import Strategy
from routebench.grade import check_graders, grade
from routebench.providers import (
    Provider,
    Recorded,
    check_models,
    model_key,
    open_provider,
    provider_names,
    unknown_provider,
)
from routebench.redact import Secrets
from routebench.rules import Guard
from routebench.run import CacheMode, Limits, Plan, Run, make_plan, recover
from routebench.store import Store, add_grades, read_cases, read_models, read_outcomes, register, sql, ungraded
from routebench.strategies import with_baselines
from routebench.suites import Suite, content_hash, load_suite
from routebench.tune import Constraints, Tuned, tune

CACHE_VARIABLE = "ROUTEBENCH_CACHE"
"""Environment variable that sets the cache mode of every plan; `only` turns a notebook into a recorded one."""

DEFAULT_SEEDS = (42, 43, 44, 45, 46)


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Bench:
    """A suite, its models and what is known about them.

    Args:
        config: the path of a bench.yaml.
        store: the DuckDB file, instead of the one that the bench.yaml names.
        recorded: a recording that answers in place of every provider; nothing is sent.
        environment: where keys are looked up.
        now: the wall clock.

    Raises:
        ConfigError: the bench.yaml, or a provider in it, cannot be used.
        SuiteError: the suite cannot be used.
        StoreError: the store cannot be opened.
    """

    def __init__(
        self,
        config: str | Path,
        *,
        store: str | Path | None = None,
        recorded: str | Path | None = None,
        environment: Mapping[str, str] | None = None,
        now: Callable[[], datetime] = utc_now,
        lock_timeout_s: float = 30.0,
    ) -> None:
        self.config = load_config(config)
        known = provider_names()
        for model in self.config.models:
            if model.provider not in known:
                raise ConfigError(f"{config}: model {model.name!r}: {unknown_provider(model.provider)}")
        self.suite = load_suite(self.config.suite_path, name=self.config.suite_name, fields=self.config.suite_fields)
        check_graders(self.suite)
        self.models = self.config.models
        _check_guards(self.config)
        self.store = Store(store or self.config.store_path, lock_timeout_s=lock_timeout_s)
        self._recorded = None if recorded is None else Recorded(recorded)
        self._environment = os.environ if environment is None else environment
        self._now = now
        recover(self.store)

    def plan(self, *, cache: CacheMode | None = None, retry_errors: bool = False) -> Plan:
        """Finds what is still to be sent, and what it may cost; sends nothing.

        Args:
            cache: `use` what is known (the default), `refresh` it, `only` it (an error where it does not suffice),
                or `off`; the environment variable ROUTEBENCH_CACHE is used when left out.
            retry_errors: also send again what failed for good.

        Raises:
            MissingCellsError: cache mode `only`, and answers are missing.
        """
        return make_plan(
            self.suite,
            self.models,
            self.store,
            samples=self.config.samples,
            timeout_s=self.config.limits.timeout_s,
            cache=cache or cache_mode(self._environment),
            retry_errors=retry_errors,
        )

    def run(self, plan: Plan | None = None, *, budget_usd: float | None = None) -> Run:
        """Sends a plan and returns at once; await the Run, or `run.wait()`.

        Raises:
            ConfigError: a key is missing, or a cap is set and the worst case of a model's calls is unknown.
        """
        plan = plan or self.plan()
        cap = budget_usd if budget_usd is not None else self.config.budget_usd
        if cap is not None:
            _check_cap(plan, cap)
        called = {call.model.name for call in plan.calls}
        keys = {} if self._recorded else check_models([m for m in self.models if m.name in called], self._environment)
        run_id = f"{self._now():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
        self._register(plan, run_id)
        return Run(
            plan,
            self.store,
            run_id=run_id,
            open_provider=lambda name: self._open(name, keys),
            limits=Limits(
                max_concurrency=self.config.limits.max_concurrency,
                timeout_s=self.config.limits.timeout_s,
                max_attempts=self.config.limits.max_attempts,
                per_provider={k: v.max_concurrency for k, v in self.config.limits.per_provider.items()},
            ),
            budget_usd=cap,
            secrets=Secrets(keys.values()),
            now=self._now,
        ).start()

    def grade(self) -> int:
        """Grades what has no grade yet and returns how many answers that were; calls no model."""
        return grade_answers(self.store, self.suite, self._now())

    def outcomes(self) -> Outcomes:
        """Returns the outcome matrix of the suite, graded, with missing cells explicit."""
        self.grade()
        return open_outcomes(self.store, self.suite.name, models=[model.name for model in self.models])

    def compare(
        self,
        strategies: Sequence[str | Strategy] | None = None,
        *,
        seeds: Sequence[int] = DEFAULT_SEEDS,
        baseline: str = "best_single",
    ) -> Comparison:
        """Replays strategies on held-out halves, always beside the baselines.

        Args:
            strategies: names such as `similarity`, or strategies; None for the default ones.
            seeds: one half-and-half split each.
            baseline: the strategy that the others are compared with.
        """
        outcomes = self.outcomes()
        return compare(outcomes, with_baselines(strategies, outcomes.models), seeds=seeds, baseline=baseline)

    def tune(self, *, seed: int = 42, **constraints: Any) -> Tuned:
        """Chooses a rule set on the training half of a split and measures it on the other half.

        Args:
            seed: of the split.
            constraints: the fields of `Constraints`, such as `max_quality_drop=0.01`.
        """
        return tune(
            self.outcomes(),
            self.models,
            Constraints(**constraints),
            name=self.suite.name,
            guards=self.config.guards,
            seed=seed,
            created=self._now().date(),
        )

    def sql(self, query: str) -> pd.DataFrame:
        """Runs one query on the store and returns a pandas frame; also while a run goes."""
        return sql(self.store, query)

    def _open(self, name: str, keys: Mapping[str, str]) -> Provider:
        return self._recorded or open_provider(name, keys)

    def _register(self, plan: Plan, run_id: str) -> None:
        register(
            self.store,
            suite=self.suite.name,
            run_id=run_id,
            cases=[(case, content_hash(case)) for case in self.suite],
            models=[(model, model_key(model)) for model in self.models],
            cells=plan.cells,
            at=self._now(),
        )

    def __repr__(self) -> str:
        names = ", ".join(model.name for model in self.models)
        return f"Bench({self.suite!r}, models {names}, store {str(self.store.path)!r})"


def cache_mode(environment: Mapping[str, str]) -> CacheMode:
    """Returns the cache mode that the environment asks for, `use` by default.

    Raises:
        ConfigError: the variable holds something else.
    """
    value = environment.get(CACHE_VARIABLE) or "use"
    for mode in get_args(CacheMode):
        if value == mode:
            return mode  # type: ignore[no-any-return]
    raise ConfigError(f"{CACHE_VARIABLE}={value!r}: use one of {', '.join(get_args(CacheMode))}")


def grade_answers(store: Store, suite: Suite, at: datetime) -> int:
    """Grades every answer of a suite that its case's grader has not seen; returns how many that were."""
    rows = []
    for answer in ungraded(store, suite.name):
        case = suite[answer.case_id]
        graded = grade(case, answer.text)
        rows.append(
            {
                "suite": suite.name,
                "case_id": case.id,
                "request_key": answer.request_key,
                "run_id": answer.run_id,
                "grader": case.grader.key,
                "score": graded.score,
                "detail": graded.detail,
                "grader_cost_usd": 0.0,
                "rater": None,
                "graded_at": at,
            }
        )
    add_grades(store, rows)
    return len(rows)


def open_outcomes(store: Store, suite: str, *, models: Sequence[str] | None = None) -> Outcomes:
    """Reads the outcome matrix of a suite from a store."""
    names = models or [model.name for model in read_models(store, suite)]
    return Outcomes.from_frame(suite, read_cases(store, suite), read_outcomes(store, suite), models=names)


def _check_guards(config: BenchConfig) -> None:
    names = [model.name for model in config.models]
    for data in config.guards:
        try:
            guard = Guard.parse(data)
        except RulesError as error:
            raise ConfigError(f"{config.path}: {error}") from None
        told = (*(guard.only or ()), *(guard.never or ()), *([guard.at_least] if guard.at_least else []))
        for name in told:
            if name not in names:
                raise ConfigError(
                    f"{config.path}: guard {guard.name!r}: no model {name!r}{nearest(name, names)}; "
                    f"models here: {', '.join(names)}"
                )


def _check_cap(plan: Plan, cap: float) -> None:
    unknown = sorted({call.model.name for call in plan.calls if plan.worst_case_usd[call.key] is None})
    if unknown:
        raise ConfigError(
            f"budget ${cap:g}: the most that a call of {', '.join(unknown)} can cost is unknown; give the model a "
            "`price` and `max_tokens` in its `params`, or run without a budget"
        )
