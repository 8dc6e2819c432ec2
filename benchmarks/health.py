"""How soon health sees trouble, lets go of it, and how often it sees some where there is none; in virtual time.

    python benchmarks/health.py                       a synthetic traffic of three categories
    python benchmarks/health.py --data FOLDER         also the recorded latencies of bfcl_lite in that folder
    python benchmarks/health.py --hours 40            of quiet traffic for each front model; more is surer

Traffic has five-minute bursts of one category all along: without them every false alarm stays hidden. Incidents begin and
end at any moment, in a burst or not. The runtime never sees a category.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from routebench.evaluate import Cases, Outcomes
from routebench.evaluate.choices import FloatArray
from routebench.evaluate.outcomes import OK
from routebench.rules import Default, HealthPolicy, RuleSet
from routebench.simulation import Incident, Scenario
from routebench.simulation.arrivals import Arrivals
from routebench.simulation.course import Course, Luck, run_course
from routebench.simulation.findings import Found, episodes, false_shifts, find
from routebench.simulation.recorded import Recorded
from routebench.types import Case, Model, Request

BURST_S, EVERY_S, BURST_SHARE = 300.0, 1200.0, 0.95
WARM_UP_S, GAP_S = 600.0, 420.0
BACK_S, FALSE_PER_HOUR = 35.0, 0.1
KINDS: dict[str, tuple[dict[str, object], str]] = {
    "outage": ({"kind": "outage"}, "5 s"),
    "30 % errors": ({"kind": "errors", "share": 0.3}, "12 s"),
    "five times slower": ({"kind": "slow_down", "factor": 5.0}, "1.5 p90 + 8 s"),
    "hang": ({"kind": "hang"}, "1.5 p90 + 8 s"),
}


@dataclass(frozen=True)
class Source:
    """Outcomes whose first model is the front, and the others its fallbacks."""

    name: str
    outcomes: Outcomes

    @property
    def ruleset(self) -> RuleSet:
        models = {name: Model(name, "openai", name) for name in self.outcomes.models}
        return RuleSet(name="front", models=models, default=Default(route=self.outcomes.models), health=HealthPolicy())

    @cached_property
    def recorded(self) -> Recorded:
        return Recorded.of(self.outcomes, self.ruleset)

    @property
    def p90_s(self) -> float:
        return float(np.quantile(self.outcomes.latency_s[:, 0], 0.9))


def synthetic(name: str, sigma: float, *, lengths: bool = True) -> Source:
    """Three categories with medians of 0.8, 2 and 5 s; prompts of their own length, which overlap, or all alike."""
    rng = np.random.default_rng(7)
    kinds = {"short": (0.8, 150.0, 0.6), "middling": (2.0, 700.0, 0.3), "long": (5.0, 3000.0, 0.1)}
    cases, latency_s = [], []
    for category, (median_s, characters, share) in kinds.items():
        for number in range(int(1500 * share)):
            size = int((characters if lengths else 600.0) * rng.lognormal(0.0, 0.6))
            text = " ".join(f"w{rng.integers(9000)}" for _ in range(max(1, size // 6)))
            cases.append(Case(f"{category}-{number}", Request(({"role": "user", "content": text},)), category=category))
            latency_s.append(median_s * rng.lognormal(0.0, sigma, 3))
    return Source(name, _outcomes(name, cases, ("front", "back", "last"), np.array(latency_s)))


def bfcl(folder: Path, fronts: Sequence[str] = ()) -> Iterator[Source]:
    """Recorded latencies, each model once as the front."""
    import pandas as pd

    prompts = pd.read_parquet(folder / "bfcl_lite.prompts.parquet")
    rows = pd.read_parquet(folder / "bfcl_lite.outcomes.parquet")
    cases = [
        Case(name, Request(({"role": "user", "content": prompt},)), category=category)
        for name, prompt, category in prompts[["prompt_id", "prompt", "category"]].to_numpy().tolist()
    ]
    table = rows.pivot_table(index="prompt_id", columns="model", values="latency_s").loc[list(prompts.prompt_id)]
    for front in fronts or table.columns:
        names = (front, *(name for name in table.columns if name != front))[:3]
        yield Source(f"bfcl {front}", _outcomes("bfcl", cases, names, table[list(names)].to_numpy()))


def _outcomes(name: str, cases: Sequence[Case], models: tuple[str, ...], latency_s: FloatArray) -> Outcomes:
    shape = (*latency_s.shape, 1)
    known = np.ones(shape)
    return Outcomes(
        name, Cases.of(cases), models, np.full(shape, OK, dtype=np.int8), known, known, latency_s[:, :, None]
    )


def arrivals(rng: np.random.Generator, cases: Cases, until_s: float, rate: float) -> Arrivals:
    """Poisson; a burst takes the place of nearly all other traffic, so that the rate stays as it is."""
    at_s = np.sort(rng.uniform(0.0, until_s, rng.poisson(rate * until_s)))
    case = rng.integers(len(cases), size=len(at_s))
    for start_s in np.arange(WARM_UP_S, until_s, EVERY_S):
        own = np.flatnonzero(cases.category == rng.choice(np.unique(cases.category)))
        first, last = np.searchsorted(at_s, (start_s, start_s + BURST_S))
        inside = first + np.flatnonzero(rng.random(last - first) < BURST_SHARE)
        case[inside] = rng.choice(own, size=len(inside))
    return Arrivals(at_s, case, until_s)


def course(source: Source, scenario: Scenario, until_s: float, rate: float, rng: np.random.Generator) -> Course:
    came = arrivals(rng, source.recorded.cases, until_s, rate)
    luck = Luck.draw(rng, len(came), len(source.recorded.models))
    return run_course(source.ruleset, source.recorded, came, scenario, luck)


@dataclass
class Measured:
    found: list[Found]
    failed: int
    false: int
    hours: float


def incidents(
    source: Source, of: dict[str, object], *, n: int, rate: float, seed: int, errors: float = 0.0
) -> Measured:
    rng = np.random.default_rng(seed)
    front = source.outcomes.models[0]
    starts_s = WARM_UP_S + GAP_S * np.arange(n) + rng.uniform(0.0, 60.0, n)
    happened = [
        Incident(front, from_s=float(at), to_s=float(at + rng.uniform(60.0, 180.0)), **of)  # type: ignore[arg-type]
        for at in starts_s
    ]
    until_s = WARM_UP_S + GAP_S * n
    noise = [Incident(front, "errors", share=errors)] if errors else []
    ran = course(source, Scenario((*happened, *noise)), until_s, rate, rng)
    places = {name: (name,) for name in ran.models}
    seen = episodes(ran.changes, places)
    return Measured(
        list(find(happened, seen)),
        int((ran.answered_by < 0).sum()),
        sum(false_shifts(happened, seen, places).values()),
        until_s / 3600.0,
    )


def quiet(source: Source, *, hours: float, rate: float, seed: int, errors: float = 0.0) -> tuple[int, float]:
    """False shifts, and the model-hours that they are of; the front alone has traffic."""
    rng = np.random.default_rng(seed)
    noise = [Incident(source.outcomes.models[0], "errors", share=errors)] if errors else []
    count, left = 0, hours
    while left > 0:
        length_s = 3600.0 * min(left, 10.0)
        ran = course(source, Scenario(tuple(noise)), length_s, rate, rng)
        count += len(episodes(ran.changes, {name: (name,) for name in ran.models}).get(ran.models[0], ()))
        left -= 10.0
    return count, hours


def centile(values: Sequence[float | None]) -> float:
    """The 95th percentile; what never came is infinite."""
    ordered = sorted(math.inf if value is None else value for value in values)
    return ordered[math.ceil(0.95 * len(ordered)) - 1]


def bound_s(kind: str, source: Source) -> float:
    return {"outage": 5.0, "30 % errors": 12.0}.get(kind, 1.5 * source.p90_s + 8.0)


def report(source: Source, *, n: int, hours: float, rate: float, seed: int) -> None:
    began = time.perf_counter()
    print(f"\n{source.name}: p90 {source.p90_s:.2f} s, {rate:g} requests a second")
    print(f"  {'':<20}{'seen, p50':>10}{'p95':>8}{'asked':>8}  {'back, p50':>10}{'p95':>8}{'asked':>8}{'failed':>9}")
    for kind, (of, _) in KINDS.items():
        one = incidents(source, of, n=n, rate=rate, seed=seed)
        seen, back = [found.detected_after_s for found in one.found], [found.recovered_after_s for found in one.found]
        asked = bound_s(kind, source)
        marks = "" if centile(seen) <= asked and centile(back) <= BACK_S and not one.failed else "   NOT MET"
        print(
            f"  {kind:<20}{_median(seen):10.1f}{centile(seen):8.1f}{asked:8.1f}  {_median(back):10.1f}{centile(back):8.1f}"
            f"{BACK_S:8.0f}{one.failed:9d}{marks}",
            flush=True,
        )
    for errors in (0.0, 0.01):
        count, of_hours = quiet(source, hours=hours, rate=rate, seed=seed, errors=errors)
        rate_of = count / of_hours
        print(
            f"  false shifts an hour{rate_of:10.3f}        asked at most {FALSE_PER_HOUR} ({count} in {of_hours:g} h, "
            f"{errors:.0%} errors){'' if rate_of <= FALSE_PER_HOUR else '   NOT MET'}",
            flush=True,
        )
    print(f"  took {time.perf_counter() - began:.0f} s")


def _median(values: Sequence[float | None]) -> float:
    return float(np.median([math.inf if value is None else value for value in values]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder with bfcl_lite.outcomes.parquet")
    parser.add_argument("--front", action="append", default=[], help="only this model of bfcl_lite as the front")
    parser.add_argument("--only", help="only sources whose name holds this")
    parser.add_argument("--incidents", type=int, default=60)
    parser.add_argument("--hours", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sources = [
        synthetic("lognormal", 0.5),
        synthetic("lognormal, sigma 0.8", 0.8),
        synthetic("lognormal, prompts all alike", 0.5, lengths=False),
        *(bfcl(options.data, options.front) if options.data else ()),
    ]
    for source in sources:
        if options.only is None or options.only in source.name:
            report(source, n=options.incidents, hours=options.hours, rate=options.rate, seed=options.seed)
