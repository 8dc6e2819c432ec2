"""A simulation as tables, and as a page."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from routebench.dash.format import UNKNOWN, money, percent, seconds
from routebench.report.blocks import Facts, Grid, Page, Section, Text
from routebench.report.render import write_page
from routebench.simulation import Figures, Found, Simulation
from routebench.simulation.figures import binned
from routebench.simulation.reading import title

_FOOT = (
    "Latencies, costs and scores are those on record; no model was called. Both runs meet the same requests and the "
    "same luck. Calls that an incident makes fail are taken to cost nothing."
)
_ROWS_OF_A_PAGE = 120


def figures_grid(simulation: Simulation) -> Grid:
    """The whole time, with health and without."""
    ran, bare = simulation.with_health.whole, simulation.without_health.whole
    rows = [(name, shown(ran), shown(bare)) for name, shown in _FIGURES.items()]
    shares = [
        (f"answered by {name}", percent(ran.shares.get(name)), percent(bare.shares.get(name))) for name in ran.shares
    ]
    return Grid(("", "with health", "without"), rows + shares)


def incidents_grid(simulation: Simulation) -> Grid:
    """Every incident, and when health saw it and let go of it."""
    rows = [_incident(found) for found in simulation.incidents]
    return Grid(("incident", "from", "to", "seen after", "back after"), rows)


def course_grid(simulation: Simulation, *, most_rows: int) -> Grid:
    """Stretches of time one after the other, with health and without."""
    times = max(1, math.ceil(len(simulation.with_health.bins) / most_rows))
    width_s = simulation.bin_s * times
    both = (
        binned(side.course, simulation.duration_s, width_s)
        for side in (simulation.with_health, simulation.without_health)
    )
    rows = [_stretch(ran, bare) for ran, bare in zip(*both, strict=True)]
    columns = ("from", "requests", "failed", "p50", "p95", "quality", "most by", "failed", "p95", "quality")
    caption = f"Stretches of {width_s:g} s; the last three columns are without health."
    return Grid(columns, rows, caption=caption)


def write_simulation(path: str | Path, simulation: Simulation) -> Path:
    """Writes a page, HTML or Markdown by the name of the file, and returns its path.

    Raises:
        InputError: the file cannot be written, or its name says no format.
    """
    rate = "at recorded times" if simulation.requests_per_s is None else f"at {simulation.requests_per_s:g} a second"
    facts = {
        "requests": f"{simulation.with_health.whole.n:,} {rate}, over {simulation.duration_s:g} s",
        "cases": f"{simulation.n_cases:,} that they are drawn from, {simulation.n_left_out:,} left out",
        "health": "as the rule set says" if simulation.own_health else "`health: {}`, as the rule set has none",
        "seed": str(simulation.seed),
    }
    page = Page(
        f"Incidents under {simulation.rules}",
        f"Simulated on the recorded outcomes of {simulation.suite}",
        demo=False,
        opening=[Text(simulation.reading, "finding")],
        sections=[
            Section("With health and without", [figures_grid(simulation)]),
            Section("Incidents", [incidents_grid(simulation)]),
            Section("Over time", [course_grid(simulation, most_rows=_ROWS_OF_A_PAGE)]),
            Section("What was simulated", [Facts(facts), Text(_FOOT, "soft")]),
        ],
    )
    return write_page(path, page)


_FIGURES: dict[str, Callable[[Figures], str]] = {
    "quality": lambda one: percent(one.quality),
    "cost of 1,000 requests": lambda one: money(one.cost_usd_per_1k),
    "p50 latency": lambda one: seconds(one.latency_p50_s),
    "p95 latency": lambda one: seconds(one.latency_p95_s),
    "failed requests": lambda one: f"{one.failed:,} ({percent(one.failed_share)})",
}


def _incident(found: Found) -> tuple[str, ...]:
    incident = found.incident
    to = "the end" if math.isinf(incident.to_s) else f"{incident.to_s:g} s"
    if not incident.is_trouble:
        return title(found), f"{incident.from_s:g} s", to, "no matter of health", ""
    seen, back = (
        UNKNOWN if value is None else f"{value:.1f} s" for value in (found.detected_after_s, found.recovered_after_s)
    )
    return title(found), f"{incident.from_s:g} s", to, seen, back


def _stretch(ran: Figures, bare: Figures) -> tuple[str, ...]:
    most = max(ran.shares, key=lambda name: ran.shares[name], default=None)
    by = UNKNOWN if most is None else f"{most} {ran.shares[most]:.0%}"
    return (
        f"{ran.from_s:g} s",
        f"{ran.n:,}",
        f"{ran.failed:,}",
        seconds(ran.latency_p50_s),
        seconds(ran.latency_p95_s),
        percent(ran.quality),
        by,
        f"{bare.failed:,}",
        seconds(bare.latency_p95_s),
        percent(bare.quality),
    )
