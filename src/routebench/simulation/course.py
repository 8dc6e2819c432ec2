"""The course of a simulation: every request through the runtime of the rule set, in virtual time."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.errors import BudgetSpentError, NoEligibleModelError
from routebench.evaluate.choices import BoolArray, FloatArray, IntArray
from routebench.rules import Router, RuleSet
from routebench.rules.health.health import State, Ticket
from routebench.simulation.arrivals import Arrivals
from routebench.simulation.calls import Weather
from routebench.simulation.recorded import Call, Recorded
from routebench.simulation.scenario import Scenario
from routebench.strategies.times import times_of
from routebench.types import Decision

_REFUSALS = (NoEligibleModelError, BudgetSpentError)


@dataclass(frozen=True, eq=False)
class Luck:
    """What chance decides, drawn beforehand so that two courses meet the same.

    Attributes:
        sample: in [0, 1), which of a case's samples a request meets, shape (n,).
        error: in [0, 1), shape (n, m): whether a call meets an error.
    """

    sample: FloatArray
    error: npt.NDArray[np.float32]

    @classmethod
    def draw(cls, rng: np.random.Generator, n: int, m: int) -> Luck:
        """Draws it for n requests and m models."""
        return cls(rng.random(n), rng.random((n, m), dtype=np.float32))


@dataclass(frozen=True, eq=False)
class Course:
    """What became of n requests, in the order in which they came.

    Attributes:
        models: names.
        at_s: when each came, shape (n,).
        answered_by: position of the model whose answer was given, -1 where none was, shape (n,).
        latency_s: from arrival to answer or to the failure of the last model, shape (n,).
        cost_usd: of all its calls that were charged, NaN where one is unknown, shape (n,).
        score: of the answer given, 0 where none was, NaN where it is unscored, shape (n,).
        n_calls: models that were asked, shape (n,).
        avoidable: it failed although a model that nobody asked, and that the guards allow, was in no trouble and has an
            answer on record: its chain was too short, shape (n,).
        changes: when health came to see something otherwise, and who is not well from then on.
    """

    models: tuple[str, ...]
    at_s: FloatArray
    answered_by: IntArray
    latency_s: FloatArray
    cost_usd: FloatArray
    score: FloatArray
    n_calls: IntArray
    avoidable: BoolArray
    changes: tuple[tuple[float, Mapping[str, State]], ...]


class _Clock:
    """Virtual time; both clocks of a router read it."""

    def __init__(self, scenario: Scenario) -> None:
        self.at_s = 0.0
        self._starts_at = scenario.starts_at

    def seconds(self) -> float:
        return self.at_s

    def now(self) -> Any:
        return self._starts_at + timedelta(seconds=self.at_s)


def run_course(ruleset: RuleSet, recorded: Recorded, arrivals: Arrivals, scenario: Scenario, luck: Luck) -> Course:
    """Sends every request through a fresh `Router`: `decide`, `started`, and `next` until it is answered.

    Calls go on at the same time; an event is the arrival of a request or the end of a call, and the router is told of
    each when it happens.
    """
    return _Course(ruleset, recorded, arrivals, scenario, luck).run()


class _Course:
    def __init__(
        self, ruleset: RuleSet, recorded: Recorded, arrivals: Arrivals, scenario: Scenario, luck: Luck
    ) -> None:
        self._clock = _Clock(scenario)
        self._router = Router(ruleset, now=self._clock.now, clock=self._clock.seconds)
        self._recorded = recorded
        self._at_s = arrivals.at_s.tolist()
        self._case = arrivals.case.tolist()
        self._sample = luck.sample.tolist()
        self._luck = luck.error
        self._place = {name: place for place, name in enumerate(recorded.models)}
        deployments = {name: ruleset.deployments_of(name) for name in ruleset.order}
        self._several = {name for name, places in deployments.items() if len(places) > 1}
        self._names = {name: tuple(one.name for one in places) for name, places in deployments.items()}
        self._weather = Weather(scenario.incidents, self._names)
        n = len(arrivals)
        self._ends: list[tuple[float, int, int, Decision, Call, str, Ticket | None]] = []
        self._number = 0
        self._answered_by = [-1] * n
        self._latency_s = [math.nan] * n
        self._cost_usd = [0.0] * n
        self._score = [0.0] * n
        self._n_calls = [0] * n
        self._avoidable = [False] * n
        # Without health, budget and times, a case is decided the same way for ever.
        self._is_fixed = self._router.health is None and self._router.ledger is None and not times_of(ruleset)
        self._decided: dict[int, Decision] = {}
        self._ill: Mapping[str, State] = {}
        self._changes: list[tuple[float, Mapping[str, State]]] = []

    def run(self) -> Course:
        ends, number, n = self._ends, 0, len(self._at_s)
        while number < n or ends:
            arrives_s = self._at_s[number] if number < n else math.inf
            if ends and ends[0][0] <= arrives_s:
                self._clock.at_s, _, request, decision, call, place, ticket = heapq.heappop(ends)
                self._end(request, decision, call, place, ticket)
            else:
                self._clock.at_s = arrives_s
                self._arrive(number)
                number += 1
            self._look()
        return Course(
            self._recorded.models,
            np.array(self._at_s),
            np.array(self._answered_by, dtype=np.intp),
            np.array(self._latency_s),
            np.array(self._cost_usd),
            np.array(self._score),
            np.array(self._n_calls, dtype=np.intp),
            np.array(self._avoidable, dtype=bool),
            tuple(self._changes),
        )

    def _arrive(self, request: int) -> None:
        case = self._case[request]
        decision = self._decided.get(case)
        if decision is None:
            try:
                decision = self._router.decide(self._recorded.readings[case])
            except _REFUSALS:
                return
            if self._is_fixed:
                self._decided[case] = decision
        self._ask(request, decision)

    def _ask(self, request: int, decision: Decision) -> None:
        """Sends the call that a decision asks for next."""
        model = decision.model
        assert model is not None
        at_s = self._clock.at_s
        try:
            place = self._router.deployment(decision).name if model in self._several else model
        except _REFUSALS:
            self._fail(request, decision)
            return
        ticket = self._router.started(decision, place)
        calls = self._recorded.calls[self._case[request]]
        at = self._place[model]
        # Another place of the same model is another call, with luck of its own.
        again = sum(one.model == model for one in decision.tried)
        luck = float(self._luck[request, (at + again) % len(self._place)])
        call = self._weather.change(calls[int(self._sample[request] * len(calls))][at], place, at_s, luck)
        self._n_calls[request] += 1
        self._number += 1
        heapq.heappush(self._ends, (at_s + call.latency_s, self._number, request, decision, call, place, ticket))

    def _end(self, request: int, decision: Decision, call: Call, place: str, ticket: Ticket | None) -> None:
        """Tells the router what came of a call, and goes on as it says."""
        answer = call.answer
        if answer.cost_usd is not None:
            self._cost_usd[request] += answer.cost_usd
        elif answer.error_kind is None:
            self._cost_usd[request] = math.nan
        try:
            after = self._router.next(decision, answer, deployment=place, ticket=ticket)
        except _REFUSALS:
            self._fail(request, decision)
            return
        if after.chain:
            self._ask(request, after)
            return
        model = after.answered_by
        if model is None:
            self._fail(request, after)
            return
        self._latency_s[request] = self._clock.at_s - self._at_s[request]
        self._answered_by[request] = at = self._place[model]
        calls = self._recorded.calls[self._case[request]]
        score = calls[int(self._sample[request] * len(calls))][at].score
        self._score[request] = math.nan if score is None else score

    def _fail(self, request: int, decision: Decision) -> None:
        self._latency_s[request] = self._clock.at_s - self._at_s[request]
        self._avoidable[request] = any(self._would_answer(request, decision, name) for name in self._place)

    def _would_answer(self, request: int, decision: Decision, model: str) -> bool:
        calls = self._recorded.calls[self._case[request]]
        call = calls[int(self._sample[request] * len(calls))][self._place[model]]
        fair = any(self._weather.is_fair(place, self._clock.at_s) for place in self._names[model])
        asked = any(one.model == model for one in decision.tried)
        if asked or not fair or call.answer.error_kind is not None or decision.request is None:
            return False
        try:
            self._router.decide(decision.request, model=model)
        except _REFUSALS:
            return False
        return True

    def _look(self) -> None:
        """Notes whether health sees something otherwise than before."""
        health = self._router.health
        if health is not None and (ill := health.ill()) != self._ill:
            self._ill = ill
            self._changes.append((self._clock.at_s, ill))
