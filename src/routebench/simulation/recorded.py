"""What calls do in a simulation: what they did when the suite was run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from routebench.errors import OutcomesError
from routebench.evaluate import Cases, Outcomes
from routebench.evaluate.choices import BoolArray
from routebench.evaluate.outcomes import MISSING, OK
from routebench.rules import Reading, RuleSet
from routebench.types import Answer

_MEND = (
    "a simulation replays latencies and never makes them up: run the model with `routebench run`, or import outcomes "
    "with a column `latency_s`"
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call on record.

    Attributes:
        latency_s: how long it took.
        answer: what routing sees of it. A failure on record is the case's own: it comes again, and tells nothing about
            how the model is doing just then.
        score: of the answer, None where it is unscored or there is none.
    """

    latency_s: float
    answer: Answer
    score: float | None


@dataclass(frozen=True, eq=False)
class Recorded:
    """The calls of n cases to m models. Plain lists: they are looked up one by one.

    Attributes:
        cases: those that can be simulated.
        models: names, those of the rule set.
        readings: what the router reads of each case.
        calls: [case][sample][model]; samples of which a call or its latency is not on record are left out.
        n_left_out: cases of the suite that have no such sample.
    """

    cases: Cases
    models: tuple[str, ...]
    readings: tuple[Reading, ...] = field(repr=False)
    calls: list[list[list[Call]]] = field(repr=False)
    n_left_out: int

    @classmethod
    def of(cls, outcomes: Outcomes, ruleset: RuleSet) -> Recorded:
        """Takes the outcomes of a rule set's models.

        Raises:
            OutcomesError: a model was not run, latencies are not known, or the rule set checks answers that are not on
                record.
        """
        unknown = [name for name in ruleset.models if name not in outcomes.models]
        if unknown:
            raise OutcomesError(
                f"suite {outcomes.suite!r} has no outcomes of {', '.join(unknown)}, which {ruleset.name!r} routes to; "
                "run these models on the suite first"
            )
        chosen = outcomes.select(ruleset.order)
        usable = _timed(chosen)
        said = _said(chosen, ruleset)
        if said is not None:
            usable &= (said != None) | (chosen.status != OK)  # noqa: E711 - elementwise
        whole: BoolArray = np.logical_and.reduce(usable, axis=1)
        kept: BoolArray = np.logical_or.reduce(whole, axis=1)
        if not kept.any():
            raise _nothing_left(chosen, ruleset, usable)
        rows = [int(row) for row in np.flatnonzero(kept)]
        readings = tuple(Reading(chosen.requests[row]) for row in rows)
        calls = [
            [
                [_call(chosen, said, (row, model, int(sample))) for model in range(len(chosen.models))]
                for sample in np.flatnonzero(whole[row])
            ]
            for row in rows
        ]
        cases = chosen.cases.take(np.array(rows))
        return cls(cases, chosen.models, readings, calls, chosen.n - len(rows))


def _timed(outcomes: Outcomes) -> BoolArray:
    """Which calls are on record with their latency, shape (n, m, k)."""
    bought = outcomes.status != MISSING
    timed: BoolArray = bought & ~np.isnan(outcomes.latency_s)
    for place, name in enumerate(outcomes.models):
        if not timed[:, place].any():
            what = "latency" if bought[:, place].any() else "outcome"
            raise OutcomesError(f"suite {outcomes.suite!r}: no {what} of model {name!r} is known; {_MEND}")
    return timed


def _said(outcomes: Outcomes, ruleset: RuleSet) -> npt.NDArray[np.object_] | None:
    """The recorded answers as far as the checks of a rule set can judge them; None where it checks none."""
    if not ruleset.checks:
        return None
    for name, check in ruleset.checks.items():
        if check.get("min_confidence") is not None:
            raise OutcomesError(
                f"check {name!r} of {ruleset.name!r} asks for a confidence, which is not recorded; take "
                "`min_confidence` out to simulate the rest"
            )
    finishes = any(check.get("finish") for check in ruleset.checks.values())
    found = np.full(outcomes.status.shape, None, dtype=object)
    if outcomes.answers is None:
        return found
    outcomes.answers.want(outcomes.models)
    for case, model, sample in zip(*np.nonzero(outcomes.status == OK), strict=True):
        answer = outcomes.answers.get(str(outcomes.cases.ids[case]), outcomes.models[model], int(sample))
        if answer is not None and not (finishes and answer.finish_reason is None):
            found[case, model, sample] = answer
    return found


def _nothing_left(outcomes: Outcomes, ruleset: RuleSet, usable: BoolArray) -> OutcomesError:
    known = usable.any(axis=2).sum(axis=0)
    worst = int(known.argmin())
    said = f"suite {outcomes.suite!r}: {outcomes.models[worst]!r} has {known[worst]} of {outcomes.n} cases"
    if ruleset.checks:
        return OutcomesError(
            f"{said} with a latency and an answer that the checks of {ruleset.name!r} can judge, so no case can be "
            "simulated; use a store with texts and finish reasons"
        )
    return OutcomesError(f"{said} with a latency, and no case has one of every model; {_MEND}")


def _call(outcomes: Outcomes, said: npt.NDArray[np.object_] | None, cell: tuple[int, int, int]) -> Call:
    latency_s, cost, score = (float(values[cell]) for values in (outcomes.latency_s, outcomes.cost_usd, outcomes.score))
    cost_usd = None if np.isnan(cost) else cost
    if outcomes.status[cell] != OK:
        return Call(latency_s, Answer(error_kind="abstained", latency_s=latency_s, cost_usd=cost_usd), None)
    answer = Answer("") if said is None else said[cell]
    return Call(latency_s, replace(answer, latency_s=latency_s, cost_usd=cost_usd), None if np.isnan(score) else score)
