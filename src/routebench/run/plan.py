"""What a run would send: the wanted cells minus the answered ones, priced before anything is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd

from routebench.errors import MissingCellsError
from routebench.messages import estimate_input_tokens, text_of
from routebench.pricing import list_cost_usd, worst_case_usd
from routebench.providers import Call, model_key, prepare
from routebench.store import Cell, Store, answered
from routebench.suites import Suite
from routebench.types import TRANSIENT_KINDS, ErrorKind, Model, Usage

CacheMode = Literal["use", "refresh", "only", "off"]


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """What one model is asked, in calls, tokens and US dollars (None: unknown).

    Attributes:
        cost_low_usd: input tokens alone, as if every answer were empty.
        cost_high_usd: every answer as long as its output cap allows, or as slow as the timeout allows.
    """

    name: str
    cells: int
    answered: int
    kept_errors: int
    calls: int
    input_tokens: int
    cost_low_usd: float | None
    cost_high_usd: float | None
    price_source: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Cells of a suite x models x samples, and the calls that are still to be sent.

    Attributes:
        calls: one a distinct request, shuffled, so that a partial run is a fair sample.
        worst_case_usd: request key -> the most that one attempt can cost, None where unknown.
    """

    suite: Suite
    models: tuple[Model, ...]
    samples: int
    cells: tuple[Cell, ...]
    calls: tuple[Call, ...]
    by_model: tuple[ModelPlan, ...]
    worst_case_usd: Mapping[str, float | None]

    @property
    def key(self) -> str:
        """16 hex digits over every wanted request: equal for equal plans."""
        digest = hashlib.sha256()
        for cell in self.cells:
            digest.update(cell.request_key.encode())
        return digest.hexdigest()[:16]

    @property
    def cost_high_usd(self) -> float | None:
        """The most that the run can cost without retries, None when a model's price is unknown."""
        highs = [part.cost_high_usd for part in self.by_model if part.calls]
        known = [high for high in highs if high is not None]
        return sum(known) if len(known) == len(highs) else None

    def df(self) -> pd.DataFrame:
        """One row a model; costs in US dollars, NaN while unknown."""
        columns = list(ModelPlan.__slots__)
        return pd.DataFrame([[getattr(part, name) for name in columns] for part in self.by_model], columns=columns)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that `plan --json` prints."""
        return {
            "suite": self.suite.name,
            "plan_key": self.key,
            "cells": len(self.cells),
            "calls": len(self.calls),
            "cost_high_usd": self.cost_high_usd,
            "models": [asdict(part) for part in self.by_model],
        }

    def _repr_html_(self) -> str:
        table = self.df().to_html(index=False, na_rep="unknown", border=0, float_format=lambda value: f"{value:.4g}")
        return f"<p>{self}</p>{table}"

    def __str__(self) -> str:
        high = self.cost_high_usd
        price = "at an unknown price" if high is None else f"for at most ${high:.4g}"
        done = len(self.cells) - sum(part.calls for part in self.by_model)
        if not self.calls:
            return f"{self.suite.name}: nothing to send, {len(self.cells)} cells are known"
        return (
            f"{self.suite.name}: {len(self.calls)} calls to send {price}; {done} of {len(self.cells)} cells are known"
        )


def make_plan(
    suite: Suite,
    models: Sequence[Model],
    store: Store,
    *,
    samples: int = 1,
    timeout_s: float = 60.0,
    cache: CacheMode = "use",
    retry_errors: bool = False,
    seed: int = 0,
) -> Plan:
    """Finds what is still to be sent for every case x model x sample.

    Errors of a kind that may pass are sent again; abstentions, filtered, over-long and refused requests only with
    `retry_errors`.

    Raises:
        MissingCellsError: `cache` is `only` and answers are missing; the first ones are named.
    """
    calls: dict[str, Call] = {}
    cells: list[Cell] = []
    for model in models:
        key = model_key(model)
        for case in suite:
            for sample in range(samples):
                call = prepare(model, case.request, sample=sample, timeout_s=timeout_s)
                calls.setdefault(call.key, call)
                cells.append(Cell(case.id, model.name, sample, key, call.key))
    known = {} if cache in ("refresh", "off") else answered(store, calls)
    open_keys = {key for key in calls if _is_open(known, key, retry_errors=retry_errors)}
    if cache == "only" and open_keys:
        raise MissingCellsError(_missing(suite, cells, open_keys))
    # A keyed shuffle: the order depends on the content alone, and is the same in every process.
    order = sorted(open_keys, key=lambda key: hashlib.sha256(f"{seed}{key}".encode()).digest())
    worst = {key: _worst_case(calls[key]) for key in order}
    by_model = tuple(_model_plan(model, cells, calls, known, open_keys, worst) for model in models)
    return Plan(suite, tuple(models), samples, tuple(cells), tuple(calls[key] for key in order), by_model, worst)


def _is_open(known: Mapping[str, ErrorKind | None], key: str, *, retry_errors: bool) -> bool:
    if key not in known:
        return True
    kind = known[key]
    return kind is not None and (retry_errors or kind in TRANSIENT_KINDS)


def _model_plan(
    model: Model,
    cells: Sequence[Cell],
    calls: Mapping[str, Call],
    known: Mapping[str, ErrorKind | None],
    open_keys: set[str],
    worst: Mapping[str, float | None],
) -> ModelPlan:
    own = [cell.request_key for cell in cells if cell.model == model.name]
    to_send = [key for key in dict.fromkeys(own) if key in open_keys]
    tokens = [estimate_input_tokens(calls[key].request.messages) for key in to_send]
    lows = [list_cost_usd(Usage(input_tokens=n, output_tokens=0), model.price) for n in tokens]
    return ModelPlan(
        name=model.name,
        cells=len(own),
        answered=sum(1 for key in own if key in known and known[key] is None),
        kept_errors=sum(1 for key in own if known.get(key) is not None and key not in open_keys),
        calls=len(to_send),
        input_tokens=sum(tokens),
        cost_low_usd=_total(lows),
        cost_high_usd=_total([worst[key] for key in to_send]),
        price_source=model.price_source,
    )


def _worst_case(call: Call) -> float | None:
    params = call.request.params
    cap = params.get("max_completion_tokens") or params.get("max_tokens") or call.model.max_output
    # One token a character is the most that any tokenizer makes of a text, plus the chat template around it.
    upper = sum(len(text_of(message)) for message in call.request.messages) + 16 * len(call.request.messages)
    return worst_case_usd(call.model.price, input_tokens=upper, max_output=cap, timeout_s=call.timeout_s)


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _missing(suite: Suite, cells: Sequence[Cell], open_keys: set[str]) -> str:
    missing = [f"{cell.case_id} x {cell.model}" for cell in cells if cell.request_key in open_keys]
    shown = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
    return (
        f"suite {suite.name!r}: {len(missing)} of {len(cells)} cells have no answer, and cache mode `only` sends "
        f"nothing: {shown}; run it once with cache mode `use`"
    )
