"""Making a plan: which cells are open, under which keys, and what each call costs at the least and at the most."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from routebench.errors import InputError, MissingCellsError
from routebench.messages import asks_for_cache, estimate_input_tokens, most_input_tokens
from routebench.pricing import list_cost_usd, worst_case_usd
from routebench.providers import Keys, ProviderKind, encode_messages, model_key, provider_kind, render
from routebench.run.plan import CacheMode, Plan, PlanLine, PlannedCall, Purpose
from routebench.store import Store, answered, mean_latencies_s
from routebench.suites import Suite
from routebench.types import TRANSIENT_KINDS, ErrorKind, Model, Request, Usage

_STANDARD_TIERS = ("default", "standard", "standard_only", "flex")
"""Values of `service_tier` that cost no more than the list price."""
_Number = TypeVar("_Number", int, float)


def make_plan(
    suite: Suite,
    models: Sequence[Model],
    store: Store,
    *,
    samples: int = 1,
    timeout_s: float = 60.0,
    cache: CacheMode = "use",
    retry_errors: bool = False,
    shard: tuple[int, int] = (1, 1),
    concurrency: Mapping[str, int] | None = None,
    salt: str = "",
) -> Plan:
    """Finds what is still to be sent for every case x model x sample.

    Errors of a kind that may pass are sent again; abstentions, filtered, over-long and refused requests only with
    `retry_errors`.

    Args:
        suite: the cases.
        models: the models.
        store: what is known.
        samples: independent answers a cell.
        timeout_s: longest time of one attempt; local models are priced by it in the worst case.
        cache: `use` what is known; `refresh` asks again, and the newer answer counts; `only` sends nothing; `off` gives
            every cell an answer of its own that no later plan finds.
        retry_errors: also send again what failed for good.
        shard: (1, 2) is the first of two halves, by key: processes that take one shard each share no call.
        concurrency: provider -> calls in flight at once, for the estimate of time.
        salt: makes the keys of cache mode `off` unique.

    Raises:
        MissingCellsError: `cache` is `only` and answers are missing; the first ones are named.
    """
    drafts = [_Draft(model, suite, samples, salt if cache == "off" else "") for model in models]
    known: dict[str, ErrorKind | None] = {}
    for draft in drafts if cache in ("use", "only") else ():
        known |= answered(store, draft.keys)
    for draft in drafts:
        draft.settle(known, retry_errors=retry_errors, shard=shard)
    if cache == "only" and any(draft.open for draft in drafts):
        raise MissingCellsError(_missing(suite, drafts))
    calls: dict[str, PlannedCall] = {}
    latencies_s = mean_latencies_s(store, [draft.key for draft in drafts])
    lines = [
        draft.line(calls, timeout_s, latencies_s.get(draft.key), (concurrency or {}).get(draft.model.provider))
        for draft in drafts
    ]
    digest = hashlib.sha256()
    for draft in drafts:
        for key in draft.keys:
            digest.update(key.encode())
    by_model = {draft.model.name: draft.keys for draft in drafts}
    # Keys are hashes, so their order is a shuffle that depends on the content alone and is the same in every process.
    shuffled = tuple(calls[key] for key in sorted(calls))
    return Plan(suite, tuple(models), samples, by_model, shuffled, tuple(lines), digest.hexdigest()[:16])


def in_shard(key: str, shard: tuple[int, int]) -> bool:
    """Whether a call belongs to one of so many parts; every key belongs to exactly one of them."""
    part, parts = shard
    return int(key[:8], 16) % parts == part - 1


def read_shard(text: str) -> tuple[int, int]:
    """Reads `1/2` as (1, 2).

    Raises:
        InputError: it is not a part of a whole.
    """
    number, _, of = text.partition("/")
    if number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of):
        return int(number), int(of)
    raise InputError(f"--shard {text}: write which part of how many, such as 1/2")


class _Draft:
    """The cells of one model while a plan is made."""

    def __init__(self, model: Model, suite: Suite, samples: int, salt: str) -> None:
        self.model = model
        self.key = model_key(model)
        self.open: dict[str, int] = {}
        self._suite = suite
        self._kind: ProviderKind = provider_kind(model.provider)
        self._known: Mapping[str, ErrorKind | None] = {}
        maker = Keys(model)
        self.keys: list[str] = []
        for case in suite:
            encoded = encode_messages(case.request)
            for sample in range(samples):
                key = maker.of(case.request, sample, encoded)
                self.keys.append(hashlib.sha256(f"{key}{salt}{case.id}".encode()).hexdigest() if salt else key)
        self._samples = samples

    def settle(self, known: Mapping[str, ErrorKind | None], *, retry_errors: bool, shard: tuple[int, int]) -> None:
        """Finds what is open: key -> the position of the first cell that wants it."""
        self._known = known
        for position, key in enumerate(self.keys):
            kind = known.get(key, "unasked")
            if kind is None or (kind != "unasked" and not retry_errors and kind not in TRANSIENT_KINDS):
                continue
            if in_shard(key, shard):
                self.open.setdefault(key, position)

    def missing(self) -> Iterator[str]:
        """Names the cells that are open."""
        for position, key in enumerate(self.keys):
            if key in self.open:
                yield f"{self._suite.cases[position // self._samples].id} x {self.model.name}"

    def line(
        self, calls: dict[str, PlannedCall], timeout_s: float, latency_s: float | None, concurrency: int | None
    ) -> PlanLine:
        """Adds the open calls to `calls`, prices them, and sums them up."""
        model, cases = self.model, self._suite.cases
        size = _Size(model, self._kind, timeout_s)
        total = _Total()
        for key, position in self.open.items():
            if key in calls:
                # Another model of this configuration asks the same: one answer serves both.
                continue
            case = cases[position // self._samples]
            one = size.of(case.request)
            total.add(one)
            calls[key] = PlannedCall(key, model, case.request, position % self._samples, one.high_usd, case.id)
        return _line(
            model,
            "answer",
            total,
            cells=len(self.keys),
            answered=sum(1 for key in self.keys if self._known.get(key, "unasked") is None),
            kept_errors=sum(1 for key in self.keys if self._known.get(key) is not None and key not in self.open),
            time_s=expected_s(total.calls, latency_s, concurrency),
        )


@dataclass(frozen=True, slots=True)
class _CallSize:
    """One call's tokens, and what one attempt costs at the least and at the most."""

    input_tokens: int
    output_tokens: int | None
    low_usd: float | None
    high_usd: float | None


class _Size:
    """How large the calls to a model are, and what they cost at the least and at the most."""

    def __init__(self, model: Model, kind: ProviderKind, timeout_s: float) -> None:
        self._model = model
        self._kind = kind
        self._timeout_s = timeout_s
        self._bare_cap = kind.output_cap(model, render(model, Request(())))

    def of(self, request: Request) -> _CallSize:
        """Measures a request that is not rendered yet."""
        price = self._model.price
        rendered = render(self._model, request)
        cap = self._kind.output_cap(self._model, rendered) if request.params else self._bare_cap
        tokens = estimate_input_tokens(rendered.messages)
        most = most_input_tokens(rendered)
        return _CallSize(
            tokens,
            cap,
            list_cost_usd(Usage(input_tokens=tokens, output_tokens=0), price),
            self._worst_usd(rendered, most, cap),
        )

    def _worst_usd(self, rendered: Request, most: int | None, cap: int | None) -> float | None:
        if rendered.params.get("service_tier", "default") not in _STANDARD_TIERS:
            # Another tier has other rates, and the book does not hold them.
            return None
        return worst_case_usd(
            self._model.price,
            input_tokens=most,
            max_output=cap,
            timeout_s=self._timeout_s,
            caching=asks_for_cache(rendered),
        )


def plan_calls(
    model: Model, purpose: Purpose, requests: Sequence[tuple[Request, int]], *, timeout_s: float
) -> tuple[PlanLine, tuple[PlannedCall, ...]]:
    """Returns the line and the calls of requests that are no cells of a suite, such as a judge's.

    Args:
        model: who is asked.
        purpose: what for.
        requests: each with its sample index.
        timeout_s: longest time of one attempt.
    """
    size, keys = _Size(model, provider_kind(model.provider), timeout_s), Keys(model)
    total = _Total()
    calls: dict[str, PlannedCall] = {}
    for request, sample in requests:
        key = keys.of(request, sample)
        if key not in calls:
            one = size.of(request)
            total.add(one)
            calls[key] = PlannedCall(key, model, request, sample, one.high_usd)
    return _line(model, purpose, total, cells=len(requests)), tuple(calls.values())


class _Total:
    """The sum of calls; one unknown part makes that sum unknown."""

    def __init__(self) -> None:
        self.calls = 0
        self.input_tokens = 0
        self.output_tokens: int | None = 0
        self.low_usd: float | None = 0.0
        self.high_usd: float | None = 0.0

    def add(self, one: _CallSize) -> None:
        self.calls += 1
        self.input_tokens += one.input_tokens
        self.output_tokens = _plus(self.output_tokens, one.output_tokens)
        self.low_usd = _plus(self.low_usd, one.low_usd)
        self.high_usd = _plus(self.high_usd, one.high_usd)


def _plus(total: _Number | None, part: _Number | None) -> _Number | None:
    return None if total is None or part is None else total + part


def _line(
    model: Model,
    purpose: Purpose,
    total: _Total,
    *,
    cells: int,
    answered: int = 0,
    kept_errors: int = 0,
    time_s: float | None = None,
) -> PlanLine:
    return PlanLine(
        name=model.name,
        purpose=purpose,
        cells=cells,
        answered=answered,
        kept_errors=kept_errors,
        calls=total.calls,
        input_tokens=total.input_tokens,
        output_tokens=total.output_tokens,
        cost_low_usd=total.low_usd,
        cost_high_usd=total.high_usd,
        time_s=time_s,
        price_source=model.price_source,
        price_date=None if model.price_date is None else model.price_date.isoformat(),
    )


def expected_s(n_calls: int, latency_s: float | None, concurrency: int | None) -> float | None:
    """Returns how long calls take at a mean latency, so many at once; None while no latency was measured."""
    if not n_calls:
        return 0.0
    if latency_s is None or not concurrency:
        return None
    return math.ceil(n_calls / min(concurrency, n_calls)) * latency_s


def _missing(suite: Suite, drafts: Sequence[_Draft]) -> str:
    missing = [name for draft in drafts for name in draft.missing()]
    n_cells = sum(len(draft.keys) for draft in drafts)
    shown = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
    return (
        f"suite {suite.name!r}: {len(missing)} of {n_cells} cells have no answer, and cache mode `only` sends "
        f"nothing: {shown}; run it once with cache mode `use`"
    )
