"""What can be seen of a run while it goes: plain values, for a terminal, a widget or a test."""

from __future__ import annotations

import math
import statistics
import threading
from array import array
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from routebench.types import Completion

RunStatus = Literal["pending", "running", "paused", "done", "stopped", "budget", "failed"]

_PROBLEMS_KEPT = 20


@dataclass(frozen=True, slots=True)
class ModelProgress:
    """Counts of one model's calls; latency in seconds, None before two answers, cost None while any is unknown.

    Attributes:
        n_billed: calls whose bill is known.
        billed_usd: the sum of those bills.
        billed_sd_usd: their standard deviation, None before two.
    """

    name: str
    calls: int
    done: int
    ok: int
    errors: int
    abstained: int
    retries: int
    cost_usd: float | None
    latency_p50_s: float | None
    latency_p95_s: float | None
    n_billed: int = 0
    billed_usd: float = 0.0
    billed_sd_usd: float | None = None


@dataclass(frozen=True, slots=True)
class LaneProgress:
    """The limit of one provider and account, as it stands.

    Attributes:
        limit: calls that may be in flight now.
        wait_s: seconds for which nothing is sent, because the provider asked for it.
        cuts: how often refusals have cut the limit.
    """

    name: str
    limit: int
    in_flight: int
    wait_s: float
    cuts: int


@dataclass(frozen=True, slots=True)
class Progress:
    """A snapshot of a run.

    Attributes:
        known: cells that were answered before the run began.
        spent_usd: billed so far; calls whose bill is unknown are counted in `n_cost_unknown`.
        eta_s: estimated seconds left, None before anything is done.
        n_sent: requests sent, retries included.
        max_calls: the cap on them, None for no cap.
        errors_by_kind: failed calls by the kind of their error.
        lanes: one a provider and account.
        paused: model -> why nothing more is sent to it.
        note: why the run ended early, None otherwise.
        problems: the latest failed calls, newest last, one sentence each.
    """

    run_id: str
    status: RunStatus
    calls: int
    done: int
    known: int
    in_flight: int
    spent_usd: float
    n_cost_unknown: int
    cap_usd: float | None
    n_sent: int
    max_calls: int | None
    errors_by_kind: Mapping[str, int]
    lanes: tuple[LaneProgress, ...]
    paused: Mapping[str, str]
    note: str | None
    elapsed_s: float
    eta_s: float | None
    models: tuple[ModelProgress, ...]
    problems: tuple[str, ...]

    @property
    def left(self) -> int:
        """Calls that have not been answered."""
        return self.calls - self.done

    @property
    def errors(self) -> int:
        """Calls that failed, abstentions not counted."""
        return sum(model.errors for model in self.models)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that `run --json` prints."""
        return {**asdict(self), "left": self.left, "errors": self.errors}

    def __str__(self) -> str:
        spent = f"${self.spent_usd:.4g}" + (f" of ${self.cap_usd:g}" if self.cap_usd is not None else "")
        eta = "" if self.eta_s is None or not self.left else f", about {self.eta_s:.0f} s left"
        kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(self.errors_by_kind.items()))
        unknown = f" and {self.n_cost_unknown} requests whose bill is unknown" if self.n_cost_unknown else ""
        return (
            f"{self.status}: {self.done} of {self.calls} calls, {self.errors} failed{f' ({kinds})' if kinds else ''}, "
            f"spent {spent}{unknown}{eta}"
        )


@dataclass
class _Count:
    calls: int = 0
    ok: int = 0
    errors: int = 0
    abstained: int = 0
    retries: int = 0
    cost_usd: float = 0.0
    cost_squares: float = 0.0
    cost_unknown: int = 0
    latencies_s: array[float] = field(default_factory=lambda: array("d"))


class Tally:
    """Counts what happens in a run; written by the run's thread, read by any."""

    def __init__(self, models: Sequence[str]) -> None:
        self._counts = {name: _Count() for name in models}
        self._kinds: Counter[str] = Counter()
        self._problems: deque[str] = deque(maxlen=_PROBLEMS_KEPT)
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """Calls that have not ended."""
        with self._lock:
            return sum(count.calls - count.ok - count.errors - count.abstained for count in self._counts.values())

    def expect(self, model: str) -> None:
        """Counts a call that will be sent."""
        self._counts[model].calls += 1

    def retried(self, model: str) -> None:
        """Counts an attempt that will be repeated."""
        with self._lock:
            self._counts[model].retries += 1

    def add(self, model: str, completion: Completion) -> None:
        """Counts a call that has ended."""
        with self._lock:
            count = self._counts[model]
            if completion.status == "ok":
                count.ok += 1
                if completion.latency_s is not None:
                    count.latencies_s.append(completion.latency_s)
            elif completion.error_kind == "abstained":
                count.abstained += 1
            else:
                count.errors += 1
                self._kinds[str(completion.error_kind)] += 1
                self._problems.append(f"{model}: {completion.error_kind}: {completion.error}")
            if completion.billed_cost_usd is None:
                count.cost_unknown += 1
            else:
                count.cost_usd += completion.billed_cost_usd
                count.cost_squares += completion.billed_cost_usd**2

    def snapshot(self, *, elapsed_s: float, **known: Any) -> Progress:
        """Returns the counts as a Progress; `known` are its fields that the run itself knows."""
        with self._lock:
            models = tuple(_model_progress(name, count) for name, count in self._counts.items())
            problems, kinds = tuple(self._problems), dict(self._kinds)
        calls, done = sum(model.calls for model in models), sum(model.done for model in models)
        eta_s = elapsed_s / done * (calls - done) if done else None
        return Progress(
            calls=calls,
            done=done,
            elapsed_s=elapsed_s,
            eta_s=eta_s,
            models=models,
            problems=problems,
            errors_by_kind=kinds,
            **known,
        )


def _model_progress(name: str, count: _Count) -> ModelProgress:
    done = count.ok + count.errors + count.abstained
    billed = done - count.cost_unknown
    many = len(count.latencies_s) >= 2
    centiles = statistics.quantiles(count.latencies_s, n=20, method="inclusive") if many else None
    return ModelProgress(
        name=name,
        calls=count.calls,
        done=done,
        ok=count.ok,
        errors=count.errors,
        abstained=count.abstained,
        retries=count.retries,
        cost_usd=None if count.cost_unknown else count.cost_usd,
        latency_p50_s=centiles[9] if centiles else None,
        latency_p95_s=centiles[18] if centiles else None,
        n_billed=billed,
        billed_usd=count.cost_usd,
        billed_sd_usd=_deviation(count.cost_usd, count.cost_squares, billed),
    )


def _deviation(total: float, squares: float, n: int) -> float | None:
    return None if n < 2 else math.sqrt(max(0.0, squares - total**2 / n) / (n - 1))
