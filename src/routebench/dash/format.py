"""Numbers as people read them; the same everywhere, and unknown is never zero."""

from __future__ import annotations

import math
from collections.abc import Sequence

from routebench.run import LaneProgress, ModelProgress

UNKNOWN = "n/a"
PROGRESS_COLUMNS = ("model", "done", "ok", "failed", "abstained", "retries", "p50", "p95", "spent")


def percent(value: float | None, ci95: Sequence[float] | None = None) -> str:
    """`86.6% [85.1, 88.1]`."""
    if value is None:
        return UNKNOWN
    text = f"{100 * value:.1f}%"
    return text if not ci95 else f"{text} [{100 * ci95[0]:.1f}, {100 * ci95[1]:.1f}]"


def points(value: float | None, ci95: Sequence[float] | None = None) -> str:
    """`+0.5 pt [0.1, 1.0]`, a difference of two shares in points."""
    if value is None:
        return UNKNOWN
    # Late: what watches a run needs no evaluation.
    from routebench.evaluate.sentence import signed_points

    text = f"{signed_points(value)} pt"
    return text if not ci95 else f"{text} [{signed_points(ci95[0])}, {signed_points(ci95[1])}]"


def money(value: float | None, ci95: Sequence[float] | None = None) -> str:
    """`$0.173`, three significant digits; with an interval `$0.173 [0.168, 0.178]`."""
    if value is None:
        return UNKNOWN
    text = f"${_digits(value)}"
    return text if not ci95 else f"{text} [{_digits(ci95[0])}, {_digits(ci95[1])}]"


def _digits(value: float) -> str:
    if 0 < abs(value) < 1e-4:
        # A person reads $0.0000022, and nobody reads $2.2e-06.
        return f"{value:.{2 - math.floor(math.log10(abs(value)))}f}".rstrip("0")
    return "0" if value == 0 else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def seconds(value: float | None) -> str:
    """`0.82 s`, or milliseconds below a tenth of a second."""
    if value is None:
        return UNKNOWN
    return f"{value * 1000:.1f} ms" if value < 0.1 else f"{value:.2f} s"


def duration(value: float | None) -> str:
    """`3 min 20 s`; what was never measured is not guessed."""
    if value is None:
        return UNKNOWN
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{value:.0f} s" if value >= 1 else seconds(value)


def progress_cells(model: ModelProgress) -> tuple[str, ...]:
    """A row of PROGRESS_COLUMNS."""
    return (
        model.name,
        f"{model.done}/{model.calls}",
        str(model.ok),
        str(model.errors),
        str(model.abstained),
        str(model.retries),
        seconds(model.latency_p50_s),
        seconds(model.latency_p95_s),
        money(model.cost_usd),
    )


def lane_line(lane: LaneProgress) -> str:
    """The limit of one account as a line: `openai: 12 of 32 in flight, cut 1 x, waits 3 s`."""
    cut = f", cut {lane.cuts} x" if lane.cuts else ""
    wait = f", waits {lane.wait_s:.0f} s as asked" if lane.wait_s >= 0.5 else ""
    return f"{lane.name}: {lane.in_flight} of {lane.limit} in flight{cut}{wait}"
