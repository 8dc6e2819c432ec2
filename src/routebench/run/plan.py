"""What a run would send: the wanted cells minus the answered ones, priced before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from routebench.providers import Call, model_key, render
from routebench.store import Cell
from routebench.suites import Suite
from routebench.types import Model, Request

if TYPE_CHECKING:
    import pandas as pd

CacheMode = Literal["use", "refresh", "only", "off"]
Purpose = Literal["answer", "judge"]


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call that is still to be sent; it is rendered when its turn comes, so that a large plan stays small.

    Attributes:
        request: as the case has it, without what the model adds.
        worst_case_usd: the most that one attempt can be billed, None while unknown.
        case_id: the first case that wants the answer, None for a call that is no cell of the suite.
    """

    key: str
    model: Model
    request: Request
    sample: int
    worst_case_usd: float | None
    case_id: str | None = None

    def call(self, timeout_s: float) -> Call:
        """Renders it."""
        return Call(self.model, render(self.model, self.request), self.sample, timeout_s, self.key)


@dataclass(frozen=True, slots=True)
class PlanLine:
    """What one model is asked for one purpose, in calls, tokens, seconds and US dollars (None: unknown).

    Attributes:
        purpose: `answer` for the cells of the suite, `judge` for calls that grade them.
        answered: cells whose answer is known.
        kept_errors: cells whose error is kept, since sending them again would not help.
        calls: what is still to be sent.
        input_tokens: estimated, ceil(characters / 4).
        output_tokens: of answers as long as their cap allows.
        cost_low_usd: input tokens alone, as if every answer were empty.
        cost_high_usd: no call can be billed more: a token a byte, every answer at its cap, or at the timeout's end.
        time_s: at the mean latency that the store knows of the model and the concurrency allowed.
    """

    name: str
    purpose: Purpose
    cells: int
    answered: int
    kept_errors: int
    calls: int
    input_tokens: int
    output_tokens: int | None
    cost_low_usd: float | None
    cost_high_usd: float | None
    time_s: float | None
    price_source: str | None
    price_date: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Cells of a suite x models x samples, and the calls that are still to be sent.

    Attributes:
        keys: model name -> the request key of every case and sample, in the order of the suite.
        calls: one a distinct request, shuffled, so that a partial run is a fair sample.
        lines: one a model and purpose.
        key: 16 hex digits over every wanted request: equal for equal plans.
    """

    suite: Suite
    models: tuple[Model, ...]
    samples: int
    keys: Mapping[str, Sequence[str]]
    calls: tuple[PlannedCall, ...]
    lines: tuple[PlanLine, ...]
    key: str

    @property
    def n_cells(self) -> int:
        """How many answers are wanted."""
        return sum(len(keys) for keys in self.keys.values())

    def cells(self) -> Iterator[Cell]:
        """Yields every wanted answer: by model, then in the order of the suite."""
        for model in self.models:
            key = model_key(model)
            for position, request_key in enumerate(self.keys.get(model.name, ())):
                case, sample = divmod(position, self.samples)
                yield Cell(self.suite.cases[case].id, model.name, sample, key, request_key)

    @property
    def known(self) -> int:
        """Cells that need no call."""
        return sum(line.answered + line.kept_errors for line in self.lines if line.purpose == "answer")

    @property
    def cost_high_usd(self) -> float | None:
        """The most that the run can cost without retries, None when a model's price is unknown."""
        highs = [line.cost_high_usd for line in self.lines if line.calls]
        known = [high for high in highs if high is not None]
        return sum(known) if len(known) == len(highs) else None

    def df(self) -> pd.DataFrame:
        """One row a line; costs in US dollars, NaN while unknown."""
        import pandas as pd

        columns = [field.name for field in fields(PlanLine)]
        return pd.DataFrame([[getattr(line, name) for name in columns] for line in self.lines], columns=columns)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that `plan --json` prints."""
        return {
            "suite": self.suite.name,
            "plan_key": self.key,
            "cells": self.n_cells,
            "calls": sum(line.calls for line in self.lines),
            "cost_high_usd": self.cost_high_usd,
            "models": [asdict(line) for line in self.lines],
        }

    def _repr_html_(self) -> str:
        table = self.df().to_html(index=False, na_rep="unknown", border=0, float_format=lambda value: f"{value:.4g}")
        return f"<p>{self}</p>{table}"

    def _kept(self) -> str:
        kept = sum(line.kept_errors for line in self.lines)
        return f" ({kept} of them failures or abstentions that are kept; --retry-errors asks again)" if kept else ""

    def __str__(self) -> str:
        high = self.cost_high_usd
        price = "at a cost without a known bound" if high is None else f"for at most ${high:.4g}"
        calls = sum(line.calls for line in self.lines)
        if not calls:
            return f"{self.suite.name}: nothing to send, {self.n_cells} cells are known{self._kept()}"
        known = f"{self.known} of {self.n_cells} cells are known{self._kept()}"
        return f"{self.suite.name}: {calls} calls to send {price}; {known}"
