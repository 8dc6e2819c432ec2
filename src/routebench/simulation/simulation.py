"""Incidents on recorded outcomes: what a rule set's health makes of them, beside the same without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from routebench.errors import InputError
from routebench.rules import HealthPolicy, RuleSet
from routebench.simulation.arrivals import Times, draw_arrivals, recorded_arrivals
from routebench.simulation.course import Course, Luck, run_course
from routebench.simulation.figures import Figures, binned
from routebench.simulation.findings import Episode, Found, episodes, false_shifts, find
from routebench.simulation.reading import read
from routebench.simulation.recorded import Recorded
from routebench.simulation.scenario import Scenario

if TYPE_CHECKING:
    from routebench.evaluate import Outcomes

USUAL_RATE = 20.0
"""Requests a second where nobody says how many."""
_SHORTEST_S = 600.0
_AFTER_S = 120.0
"""After the last incident, so that recovery can be seen."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs.

    Attributes:
        whole: figures of the whole time.
        bins: of equal stretches of it.
        course: what became of every request.
    """

    whole: Figures
    bins: tuple[Figures, ...]
    course: Course

    @classmethod
    def of(cls, course: Course, duration_s: float, bin_s: float) -> Side:
        """Works the figures out."""
        (whole,) = binned(course, duration_s, duration_s)
        return cls(whole, binned(course, duration_s, bin_s), course)

    def as_dict(self) -> dict[str, Any]:
        """The form in which `simulate --json` prints it."""
        return {"whole": self.whole.as_dict(), "bins": [one.as_dict() for one in self.bins]}


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a rule set does while models fail, slow down or change their price.

    Attributes:
        suite: whose outcomes were replayed.
        rules: the rule set's name.
        own_health: whether the rule set says how health is kept; else it is `health: {}` that is shown.
        seed: of all that was drawn.
        requests_per_s: the mean rate outside bursts, None where the times were recorded.
        duration_s: how long requests came in.
        bin_s: seconds of a bin.
        n_cases: that requests were drawn from; `n_left_out` cases lack a call or its latency.
        incidents: each with when it was seen and let go of.
        seen: model -> when health took it to be ill.
        false_shifts: model -> how often it was passed over though no incident was there.
        with_health: the run in which the rule set's health reorders chains.
        without_health: the same requests, the same luck, and no health.
    """

    suite: str
    rules: str
    own_health: bool
    seed: int
    requests_per_s: float | None
    duration_s: float
    bin_s: float
    n_cases: int
    n_left_out: int
    incidents: tuple[Found, ...]
    seen: Mapping[str, tuple[Episode, ...]]
    false_shifts: Mapping[str, int]
    with_health: Side
    without_health: Side

    @property
    def reading(self) -> str:
        """What it shows, in sentences."""
        return read(
            self.with_health.whole,
            self.without_health.whole,
            [one for one in self.incidents if one.incident.is_trouble],
            self.false_shifts,
            own_health=self.own_health,
            n_left_out=self.n_left_out,
        )

    def as_dict(self) -> dict[str, Any]:
        """The document that `simulate --json` prints."""
        return {
            "schema": "routebench/simulate/v1",
            "suite": self.suite,
            "rules": self.rules,
            "health": "rules" if self.own_health else "default",
            "seed": self.seed,
            "requests_per_s": self.requests_per_s,
            "duration_s": self.duration_s,
            "bin_s": self.bin_s,
            "n_requests": self.with_health.whole.n,
            "n_cases": self.n_cases,
            "n_left_out": self.n_left_out,
            "reading": self.reading,
            "incidents": [one.as_dict() for one in self.incidents],
            "false_shifts": dict(self.false_shifts),
            "with_health": self.with_health.as_dict(),
            "without_health": self.without_health.as_dict(),
        }


def simulate(
    ruleset: RuleSet,
    outcomes: Outcomes,
    scenario: Scenario,
    *,
    requests_per_s: float | None = None,
    duration_s: float | None = None,
    times: Times | None = None,
    bin_s: float = 10.0,
    seed: int = 42,
) -> Simulation:
    """Replays requests over recorded outcomes while incidents happen, once with health and once without.

    Requests come by a Poisson process or at recorded times; which case each is, is drawn by the cases' weight. Calls
    take what they took when the suite was run, changed by incidents, and every decision is that of the rule set's own
    runtime. The same arguments give the same simulation.

    Args:
        ruleset: the policy.
        outcomes: of all its models, with latencies.
        scenario: the incidents and bursts.
        requests_per_s: mean rate; the scenario's own, or 20, when left out.
        duration_s: how long requests come in; two minutes beyond the last incident, or ten in all, when left out; with
            recorded times until the last of them.
        times: recorded times, instead of a Poisson process.
        bin_s: seconds of a bin.
        seed: of all that is drawn.

    Raises:
        OutcomesError: the outcomes do not tell what the calls would do.
        InputError: an incident begins after the end, or bursts are asked for on recorded times.
    """
    recorded = Recorded.of(outcomes, ruleset)
    rng = np.random.default_rng(seed)
    rate = requests_per_s or scenario.requests_per_s or USUAL_RATE
    if times is None:
        length_s = max(_SHORTEST_S, scenario.ends_s + _AFTER_S) if duration_s is None else duration_s
        arrivals = draw_arrivals(rng, recorded.cases, requests_per_s=rate, duration_s=length_s, bursts=scenario.bursts)
    elif scenario.bursts:
        raise InputError("recorded arrivals have bursts of their own; take `bursts` out of the incidents file")
    else:
        arrivals = recorded_arrivals(rng, recorded.cases, times, duration_s=duration_s)
        scenario = scenario if times.starts_at is None else replace(scenario, starts_at=times.starts_at)
    for incident in scenario.incidents:
        if incident.from_s >= arrivals.duration_s:
            raise InputError(
                f"the {incident.kind} of {incident.model} begins at {incident.from_s:g} s, and the simulation ends at "
                f"{arrivals.duration_s:g} s: it would show nothing; make it longer with --duration-s"
            )
    luck = Luck.draw(rng, len(arrivals), len(recorded.models))
    watched = replace(ruleset, health=ruleset.health or HealthPolicy())
    ran = run_course(watched, recorded, arrivals, scenario, luck)
    bare = run_course(replace(ruleset, health=None), recorded, arrivals, scenario, luck)
    models = {name: tuple(one.name for one in ruleset.deployments_of(name)) for name in ruleset.order}
    single = {place: (place,) for own in models.values() for place in own}
    seen = episodes(ran.changes, {**single, **models})
    return Simulation(
        outcomes.suite,
        ruleset.name,
        ruleset.health is not None,
        seed,
        rate if times is None else None,
        arrivals.duration_s,
        bin_s,
        len(recorded.cases),
        recorded.n_left_out,
        find(scenario.incidents, seen),
        {name: tuple(found) for name, found in seen.items() if name in models},
        false_shifts(scenario.incidents, seen, models),
        Side.of(ran, arrivals.duration_s, bin_s),
        Side.of(bare, arrivals.duration_s, bin_s),
    )
