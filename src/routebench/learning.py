"""What became of requests at work, told to the router: similar ones are decided with it in mind."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from routebench.errors import InputError, RulesError
from routebench.rules import Router
from routebench.traces import read_traces
from routebench.traces.reading import Source
from routebench.types import Request

if TYPE_CHECKING:
    import pandas as pd

Grades = Mapping[str, float | None] | Callable[[Mapping[str, Any]], float | None]
"""Trace id -> score in [0, 1]; or what gives the score of a trace, by the names of `Trace`. None: not graded."""
Left = Literal["nobody answered", "no texts kept", "not graded", "model unknown to the library"]
_Lesson = tuple[Request, str, float, float | None]
"""What was asked, who answered, the score, and what it cost in US dollars."""
_READ = ("trace_id", "at", "outcome", "model", "tags", "messages", "answer", "attempts", "rule", "conversation")


@dataclass(frozen=True, slots=True)
class Learned:
    """What a router was told.

    Attributes:
        n: traces that it learned from.
        left_out: why others were of no use -> how many.
        unknown_cost: of those that it learned from, how many have an answer whose cost nobody knows.
    """

    n: int
    left_out: Mapping[Left, int]
    unknown_cost: int

    @property
    def reading(self) -> str:
        """The same in a sentence."""
        left = ", ".join(f"{n:,} {why}" for why, n in self.left_out.items())
        cost = f", {self.unknown_cost:,} of them at an unknown cost" if self.unknown_cost else ""
        return f"Learned from {self.n:,} traces{cost}{f'; left out: {left}' if left else ''}."


def learn_from_traces(router: Router, traces: Source | pd.DataFrame, grades: Grades) -> Learned:
    """Adds graded answers of a gateway to the past prompts of a router, and says what it could not use.

    Of every trace the model is told whose answer was handed over, with its score and what that call cost; what others
    would have answered stays unknown. The traces must hold their texts, which a gateway keeps only if it is told to. A
    trace that is given twice counts twice. `router.library.save(path)` keeps what was learned.

    Args:
        router: of a rule set with `similarity`.
        traces: the folder that a gateway writes, files of one, or what `read_traces` returns.
        grades: by trace id, as people gave them; or a function that grades a trace.

    Raises:
        RulesError: the rule set has no `similarity`.
        InputError: the traces cannot be read, or a score is out of bounds; nothing was learned then.
    """
    if router.library is None:
        raise RulesError(
            f"{router.ruleset.name!r} learns nothing: it has no `similarity`; tune one, or see `rb.Similarity`"
        )
    frame = _frame(traces)
    left: Counter[Left] = Counter()
    told = []
    for row in frame.to_dict("records"):
        trace = {str(name): value for name, value in row.items()}
        found = _lesson(router, trace, grades)
        if isinstance(found, str):
            left[found] += 1
        else:
            told.append(found)
    # Only once all of them are sound: half a lesson could not be taken back.
    for request, model, score, cost_usd in told:
        router.learn(request, {model: score}, None if cost_usd is None else {model: cost_usd})
    return Learned(len(told), dict(left), sum(cost_usd is None for *_, cost_usd in told))


def _frame(traces: Source | pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    return traces if isinstance(traces, pd.DataFrame) else read_traces(traces, columns=_READ)


def _lesson(router: Router, trace: Mapping[str, Any], grades: Grades) -> _Lesson | Left:
    model = trace.get("model")
    if not isinstance(model, str) or trace.get("outcome") != "ok":
        return "nobody answered"
    messages = trace.get("messages")
    if isinstance(messages, str):
        messages = json.loads(messages)
    if not isinstance(messages, (list, tuple)):
        return "no texts kept"
    score = grades.get(str(trace["trace_id"])) if isinstance(grades, Mapping) else grades(trace)
    if score is None or math.isnan(score):
        return "not graded"
    if not 0 <= score <= 1:
        raise InputError(f"trace {trace['trace_id']}: the score {score!r} is not between 0 and 1; nothing was learned")
    assert router.library is not None
    if model not in router.library.models:
        return "model unknown to the library"
    tags = trace.get("tags")
    request = Request(tuple(messages), tags=tuple(tags) if isinstance(tags, (list, tuple)) else ())
    return request, model, float(score), _cost_usd(trace, model)


def _cost_usd(trace: Mapping[str, Any], model: str) -> float | None:
    """What the call cost whose answer was handed over, without those before it."""
    attempts = trace.get("attempts")
    for one in reversed(attempts) if isinstance(attempts, (list, tuple)) else ():
        if one["model"] == model and one["verdict"] == "accepted":
            cost = one.get("cost_usd")
            return None if cost is None or math.isnan(cost) else float(cost)
    return None
