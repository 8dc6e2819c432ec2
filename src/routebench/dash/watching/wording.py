"""What a run panel says in words."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable

from routebench.dash.format import duration, money
from routebench.dash.watching.forecast import Forecast
from routebench.dash.watching.look import Look
from routebench.dash.watching.state import Watch
from routebench.errors import RoutebenchError
from routebench.run import Progress, Run

_LINE_CHARACTERS = 400


def reading(suite: str, look: Look) -> str:
    """A run in a sentence."""
    progress = look.progress
    if not progress.calls:
        return f"Nothing to run: {progress.known:,} cells are known. Spend $0."
    failed = f", {progress.errors:,} failed" if progress.errors else ""
    unknown = f" and {progress.n_cost_unknown:,} bills unknown" if progress.n_cost_unknown else ""
    return (
        f"{suite}: {progress.done:,} of {progress.calls:,} calls ({progress.done / progress.calls:.0%}){failed}, "
        f"{money(progress.spent_usd)} spent{unknown}. {_STATES[progress.status]}"
    )


_STATES = {
    "pending": "It begins.",
    "running": "It goes on.",
    "paused": "It is paused: calls in flight finish, nothing new is sent.",
    "done": "It is done.",
    "stopped": "It was stopped.",
    "budget": "It ended at its cap.",
    "failed": "It broke off.",
}


def ending(run: Run, progress: Progress, *, can_plan: bool) -> tuple[str, str] | None:
    """Why a run ended before everything was answered, and what helps; None where it came to its end.

    Args:
        run: has ended.
        progress: its last.
        can_plan: whether the panel itself can plan what is left.
    """
    left = f"{progress.left:,} calls were not sent"
    goes_on = "plan what is left and start it" if can_plan else "run the bench again"
    if run.error is not None:
        cause = str(run.error) if isinstance(run.error, RoutebenchError) else progress.note or repr(run.error)
        return f"The run broke off: {cause}", f"every answer that was reported is kept; mend it, then {goes_on}"
    if progress.status == "budget":
        return f"Stopped at the cap: {left} ({progress.note})", f"{goes_on} with a higher cap"
    if progress.paused:
        told = ". ".join(f"{name} is paused: {reason}" for name, reason in progress.paused.items())
        return told, f"{f'{left}; ' if progress.left else ''}mend it, then {goes_on}"
    if progress.status == "stopped" and progress.left:
        return f"Stopped: {left}", f"nothing is lost; {goes_on} to go on from here"
    return None


def done(look: Look) -> str:
    """How far it is, and how long it will take."""
    progress = look.progress
    parts = [f"{progress.done:,} / {progress.calls:,} calls", progress.status]
    if progress.in_flight:
        parts.append(f"{progress.in_flight} in flight")
    if progress.status == "running":
        parts.append(f"{_about(look.left, duration)} left")
    going = progress.status in ("pending", "running", "paused")
    return " · ".join([*parts, f"{duration(progress.elapsed_s)}{' so far' if going else ''}"])


def spent(look: Look) -> str:
    """What it costs so far, under which cap, and what it will have cost."""
    progress = look.progress
    parts = [f"spent {money(progress.spent_usd)}"]
    if progress.cap_usd is not None:
        parts[0] += f" of a cap of {money(progress.cap_usd)}"
    if progress.max_calls is not None:
        parts.append(f"{progress.n_sent:,} of at most {progress.max_calls:,} requests")
    if progress.n_cost_unknown:
        parts.append(f"the bill of {progress.n_cost_unknown:,} requests is unknown")
    if progress.status in ("running", "paused"):
        over = look.spend is not None and progress.cap_usd is not None and look.spend.value > progress.cap_usd
        parts.append(f"projected {_about(look.spend, money)}{', which the cap will cut off' if over else ''}")
    return " · ".join(parts)


def _about(told: Forecast | None, show: Callable[[float | None], str]) -> str:
    return "n/a (too early)" if told is None else f"{show(told.value)} [{show(told.low)}, {show(told.high)}]"


def listed(lines: Iterable[str]) -> str:
    """Lines as an HTML list, escaped."""
    items = "".join(f"<li>{html.escape(line[:_LINE_CHARACTERS])}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else "<p>Nothing yet.</p>"


def footer(watch: Watch) -> str:
    """What the figures rest on."""
    from routebench import __version__

    parts = [f"suite {watch.suite}"]
    if watch.run is not None:
        parts.insert(0, f"run {watch.run.run_id}")
    if watch.bench is not None:
        parts.append(f"store {watch.bench.store.path.name}")
    spreads = "spreads of time and spend: 95 %, from the pace of the last minute and the bills so far"
    return " · ".join([*parts, spreads, f"routebench {__version__}"])
