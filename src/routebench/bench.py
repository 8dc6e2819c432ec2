"""Bench: the whole job from one object, without a screen."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from routebench.classes import check_classes
from routebench.config import BenchConfig, load_config
from routebench.errors import ConfigError, InputError, RulesError, StoreError, nearest
from routebench.grade import (
    Filing,
    Judging,
    check_graders,
    check_judges,
    check_privacy,
    grade_answers,
)
from routebench.matrix import open_outcomes
from routebench.providers import (
    Keys,
    Provider,
    Recorded,
    check_requests,
    find_secrets,
    model_key,
    provider_kind,
    with_defaults,
)
from routebench.redact import Secrets
from routebench.rules.file.loading import parse_guard
from routebench.run import CacheMode, Limits, Plan, ProviderLimit, Purse, Run, make_plan, recover
from routebench.store import (
    Store,
    check_not_a_pack,
    count_unscored,
    is_pack,
    open_store,
    register,
    registered_mark,
    revise_cases,
    sql,
)
from routebench.suites import content_hash, load_suite
from routebench.types import Case, Model

if TYPE_CHECKING:
    import pandas as pd

    from routebench.evaluate import Comparison
    from routebench.evaluate.outcomes import Outcomes
    from routebench.evaluate.protocol import Strategy
    from routebench.tune import Study, Tuned

# Evaluation, strategies and tuning are imported when they are used: a run needs none of them, and they are heavy.

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
        environment: where ROUTEBENCH_CACHE, and keys by default, are looked up.
        secret: finds a key by the name in `key_env`, such as `lambda name: keyring.get_password("routebench", name)`;
            the environment when left out.
        now: the wall clock.
        lock_timeout_s: longest wait for another process that holds the store.
        purse: money that its runs share with those of other processes; each stays under what is left of it.

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
        secret: Callable[[str], str | None] | None = None,
        now: Callable[[], datetime] = utc_now,
        lock_timeout_s: float = 30.0,
        purse: Purse | None = None,
    ) -> None:
        self.config = load_config(config)
        self._now = now
        self.suite = load_suite(
            self.config.suite_path,
            name=self.config.suite_name,
            fields=self.config.suite_fields,
            seal=self.config.seal,
        )
        check_graders(self.suite)
        check_privacy(self.suite, self.config.privacy)
        check_classes(
            self.config.protect,
            self.config.stakes_where,
            categories={case.category for case in self.suite if case.category},
            tags={tag for case in self.suite for tag in case.tags},
        )
        try:
            self.models = tuple(with_defaults(model, now()) for model in self.config.models)
            self.judges = tuple(with_defaults(model, now()) for model in self.config.judges)
        except ConfigError as error:
            raise ConfigError(f"{config}: {error}") from None
        check_judges(self.suite, self.judges, self.models)
        _check_guards(self.config)
        self.store = self._open_store(Path(store or self.config.store_path), lock_timeout_s)
        self._recorded = None if recorded is None else Recorded(recorded)
        self._environment = os.environ if environment is None else environment
        self._secret = secret or self._environment.get
        self._purse = purse
        self._revised = False
        recover(self.store)

    def _open_store(self, path: Path, lock_timeout_s: float) -> Store:
        if not is_pack(path):
            return Store(path, lock_timeout_s=lock_timeout_s)
        keys = {model.name: (model_key(model), Keys(model)) for model in self.models}
        asked = {case.id: (content_hash(case), case.request) for case in self.suite}

        def key_of(case_id: str, content: str, model: str, key: str, sample: int) -> str | None:
            known, ours = keys.get(model), asked.get(case_id)
            if known is None or ours is None or (known[0], ours[0]) != (key, content):
                return None
            return known[1].of(ours[1], sample)

        return open_store(path, key_of=key_of)

    def plan(
        self, *, cache: CacheMode | None = None, retry_errors: bool = False, shard: tuple[int, int] = (1, 1)
    ) -> Plan:
        """Finds what is still to be sent, and what it may cost; sends nothing.

        Args:
            cache: `use` what is known (the default), `refresh` it, `only` it (an error where it does not suffice),
                or `off`; the environment variable ROUTEBENCH_CACHE is used when left out.
            retry_errors: also send again what failed for good.
            shard: (1, 2) is the first of two halves, for as many processes.

        Raises:
            MissingCellsError: cache mode `only`, and answers are missing.
            ConfigError: a provider lacks what a model or a case asks of it.
            MissingDependencyError: a model that would be asked is not installed.
        """
        limits = self.limits
        plan = make_plan(
            self.suite,
            self.models,
            self.store,
            samples=self.config.samples,
            timeout_s=limits.timeout_s,
            cache=cache or cache_mode(self._environment),
            retry_errors=retry_errors,
            shard=shard,
            concurrency={
                model.provider: limits.concurrency(model.provider, provider_kind(model.provider).concurrency)
                for model in self.models
            },
            salt=uuid.uuid4().hex,
        )
        plan = replace(plan, lines=(*plan.lines, *self._judging.expected_lines(plan)))
        if self._recorded is None:
            check_requests(self._called(plan), [case.request for case in self.suite])
        return plan

    def _called(self, plan: Plan) -> list[Model]:
        """The models and judges that a plan asks."""
        names = {line.name for line in plan.lines if line.calls}
        return [model for model in (*self.models, *self.judges) if model.name in names]

    @property
    def limits(self) -> Limits:
        """How fast a run may go, as the bench.yaml says."""
        limits = self.config.limits
        return Limits(
            max_concurrency=limits.max_concurrency,
            initial_concurrency=limits.initial_concurrency,
            timeout_s=limits.timeout_s,
            max_attempts=limits.max_attempts,
            per_provider={
                name: ProviderLimit(own.max_concurrency, own.requests_per_minute)
                for name, own in limits.per_provider.items()
            },
        )

    def run(self, plan: Plan | None = None, *, budget_usd: float | None = None, max_calls: int | None = None) -> Run:
        """Sends a plan and returns at once; await the Run, or `run.wait()`.

        Args:
            plan: what to send; everything that is missing when left out.
            budget_usd: hard cap on what is billed; the bench.yaml's when left out.
            max_calls: hard cap on the requests that are sent, retries included.

        Raises:
            ConfigError: a key is missing, or a cap is set and the worst case of a model's calls is unknown.
        """
        return self._start(plan or self.plan(), budget_usd, max_calls)

    def judge(
        self,
        *,
        budget_usd: float | None = None,
        max_calls: int | None = None,
        cache: CacheMode | None = None,
        shard: tuple[int, int] = (1, 1),
    ) -> Run | None:
        """Asks the judges about the answers that they have not seen, and returns at once; None when there are none.

        `grade` reads their verdicts. The same caps, cache and journal hold as for any run.

        Raises:
            ConfigError: as for `run`.
            MissingCellsError: cache mode `only`, and verdicts are missing.
        """
        plan = self._judging.plan(cache or cache_mode(self._environment), shard)
        return None if plan is None else self._start(plan, budget_usd, max_calls)

    def check_keys(self, plan: Plan) -> None:
        """Checks that the keys of all whom a plan asks are set.

        Raises:
            ConfigError: one is missing; it is named with the models that need it.
        """
        self._secrets(plan)

    def _secrets(self, plan: Plan) -> dict[str, str]:
        # Judges too: a missing key should show before anything is bought, and not after it.
        return {} if self._recorded else find_secrets(self._called(plan), self._secret)

    def _start(self, plan: Plan, budget_usd: float | None, max_calls: int | None) -> Run:
        cap = budget_usd if budget_usd is not None else self.config.budget_usd
        if cap is not None and max_calls is None:
            _check_cap(plan, cap)
        elif self._purse is not None:
            _check_cap(plan, self._purse.cap_usd)
        secrets = self._secrets(plan)
        run_id = f"{self._now():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
        if plan.calls:
            check_not_a_pack(self.store, "a run that buys answers")
        # A purse is asked even where nothing is left to send: a page that may only look starts no run.
        share = None if self._purse is None else self._purse.take(run_id)
        if share is not None:
            cap = share.usd if cap is None else min(cap, share.usd)
        # Only now: a run that is refused leaves the store as it was.
        try:
            if plan.keys:
                self._register(plan, run_id)
        except StoreError:
            if share is not None:
                share.settle(0.0)
            raise
        privacy = self.config.privacy
        return Run(
            plan,
            self.store,
            run_id=run_id,
            open_provider=lambda name: self._recorded or self._open(name, secrets),
            limits=self.limits,
            budget_usd=cap,
            max_calls=max_calls,
            share=share,
            secrets=Secrets(secrets.values()),
            now=self._now,
            file=None if privacy.text == "full" else Filing(self.suite, plan.cells(), privacy, self._now),
        ).start()

    @property
    def _judging(self) -> Judging:
        return Judging(self.store, self.suite, self.judges, timeout_s=self.config.limits.timeout_s, models=self.models)

    def grade(self) -> int:
        """Grades what has no grade yet and returns how many answers that were; calls no model.

        Answers that a judge is to grade get its verdict where it has been asked: see `judge`. A case whose grader or
        target has changed is graded anew.
        """
        self._revise()
        return grade_answers(self.store, self.suite, self._now(), self.config.privacy) + self._judging.grade(
            self._now()
        )

    def _revise(self) -> None:
        """Tells the store how cases are graded now; once, since a suite that is read does not change."""
        if not self._revised:
            revise_cases(self.store, self.suite.name, self._kept_cases())
            self._revised = True

    def unscored(self) -> int:
        """Returns how many answers of the suite their grader has seen and left without a score, grader `none` aside."""
        return count_unscored(self.store, self.suite.name)

    def outcomes(self) -> Outcomes:
        """Returns the outcome matrix of the suite, graded, with missing cells explicit."""
        from routebench.evaluate import with_stakes

        self.grade()
        names = [model.name for model in self.models]
        outcomes = open_outcomes(self.store, self.suite.name, models=names, prompts=self.suite, strict=False)
        return with_stakes(outcomes, self.config.stakes_usd)

    def compare(
        self,
        strategies: Sequence[str | Strategy] | None = None,
        *,
        seeds: Sequence[int] = DEFAULT_SEEDS,
        baseline: str = "best_single",
        cache_hit_rate: float | None = None,
    ) -> Comparison:
        """Replays strategies on held-out halves, always beside the baselines.

        Args:
            strategies: names such as `similarity`, or strategies; None for the default ones.
            seeds: one half-and-half split each.
            baseline: the strategy that the others are compared with.
            cache_hit_rate: share of input tokens that production reads from the provider's cache.
        """
        from routebench.evaluate import compare
        from routebench.strategies import with_baselines

        outcomes = self.outcomes()
        chosen = with_baselines(strategies, outcomes.models)
        return compare(outcomes, chosen, seeds=seeds, baseline=baseline, cache_hit_rate=cache_hit_rate)

    def tune(self, *, seed: int = 42, beside: Sequence[Strategy] = (), **constraints: Any) -> Tuned:
        """Chooses a rule set on the training half of a split and measures it on the other half.

        Args:
            seed: of the split.
            beside: bars to measure it against besides the baselines, such as `Decisions("today.jsonl")`.
            constraints: the fields of `Constraints`, such as `max_quality_drop=0.01`.
        """
        from routebench.tune import Constraints, tune

        return tune(
            self.outcomes(),
            self.models,
            Constraints(**constraints),
            name=self.suite.name,
            guards=self.config.guards,
            protections=self.config.protect,
            seed=seed,
            created=self._now().date(),
            beside=beside,
        )

    def study(self, *, seed: int = 42, max_rules: int = 12) -> Study:
        """Learns what tuning chooses from, once; `study.choose(Constraints(…))` then takes milliseconds.

        Args:
            seed: of the split, of which the test half is not looked at.
            max_rules: at most so many rules.
        """
        from routebench.tune import learn

        return learn(
            self.outcomes(),
            self.models,
            name=self.suite.name,
            guards=self.config.guards,
            protections=self.config.protect,
            max_rules=max_rules,
            seed=seed,
        )

    def sql(self, query: str) -> pd.DataFrame:
        """Runs one query on the store and returns a pandas frame; also while a run goes."""
        return sql(self.store, query)

    def _open(self, name: str, secrets: Mapping[str, str]) -> Provider:
        return provider_kind(name).open(secrets)

    def _register(self, plan: Plan, run_id: str) -> None:
        """Writes cases, models and cells, unless the very same are there already."""
        models = [(model, model_key(model)) for model in self.models]
        # A set has another order in every process.
        told = [(replace(model, capabilities=None), sorted(model.capabilities or ())) for model in self.models]
        named = repr((self.suite.fingerprint or self.suite.version, plan.key, told))
        mark = hashlib.sha256(named.encode()).hexdigest()
        if registered_mark(self.store, self.suite.name) == mark:
            return
        self._revise()
        register(
            self.store,
            suite=self.suite.name,
            run_id=run_id,
            cases=self._kept_cases(),
            models=models,
            cells=plan.cells(),
            at=self._now(),
            mark=mark,
        )

    def _kept_cases(self) -> Iterator[tuple[Case, str]]:
        """What the store may keep of every case, and the hash of all of it."""
        return ((self.config.privacy.of_case(case), content_hash(case)) for case in self.suite)

    def __repr__(self) -> str:
        names = ", ".join(model.name for model in self.models)
        return f"Bench({self.suite!r}, models {names}, store {str(self.store.path)!r})"


def opened(what: Bench | str | Path) -> Bench:
    """Returns a bench as it is, or the one that a path of a bench.yaml names: what every panel of a bench takes.

    Raises:
        InputError: it is neither.
        ConfigError, SuiteError, StoreError: as `Bench`.
    """
    if isinstance(what, Bench):
        return what
    if isinstance(what, str | Path):
        return Bench(what)
    raise InputError(f"this takes a bench, not a {type(what).__name__}; give rb.Bench('bench.yaml') or the file's path")


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


def _check_guards(config: BenchConfig) -> None:
    names = [model.name for model in config.models]
    for data in config.guards:
        try:
            guard = parse_guard(data)
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
    unknown = sorted({line.name for line in plan.lines if line.calls and line.cost_high_usd is None})
    if unknown:
        raise ConfigError(
            f"budget ${cap:g}: the most that a call of {', '.join(unknown)} can cost is unknown; give the model a "
            "`price` and `max_tokens` in its `params`, or cap its calls: --max-calls N"
        )
