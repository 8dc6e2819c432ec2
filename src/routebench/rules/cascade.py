"""Cascades: try a model, check its answer, go on to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from routebench.rules.conditions.condition import Condition
from routebench.rules.reading.request import Reading
from routebench.rules.structured import misfit, misfit_of_calls, read_json, schema_of
from routebench.types import Answer, Decision, Request, Tried

Otherwise = Literal["accept", "fail"]
"""What becomes of the latest answer when no model of the chain gives one that passes."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer passes a check, and the sentence that says why."""

    passed: bool
    why: str


_Demand = Callable[[Request, Answer], str | None]
"""Returns what is wrong with an answer, None where nothing is."""


@dataclass(frozen=True, slots=True)
class Check:
    """What an answer must be like to be accepted.

    Attributes:
        otherwise: `accept`: the last model's answer stands whatever it is like, for there is nothing to escalate to;
            `fail`: an answer that does not pass is never given.
    """

    demands: tuple[_Demand, ...]
    otherwise: Otherwise = "accept"

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Builds a check from its YAML form, whose shape is known to be right.

        Args:
            data: such as `{"finish": ["stop"], "json": True, "answer": {"words": {"ge": 3}}, "min_confidence": 0.8}`.
        """
        demands: list[_Demand] = [_there]
        if data.get("finish") is not None:
            demands.append(_finish(frozenset(data["finish"])))
        if data.get("json"):
            demands.append(_json)
        if data.get("json_schema"):
            demands.append(_json_schema)
        if data.get("tool_calls"):
            demands.append(_tool_calls)
        if data.get("answer") is not None:
            demands.append(_answer(Condition.parse(data["answer"])))
        if data.get("min_confidence") is not None:
            demands.append(_confidence(data["min_confidence"]))
        return cls(tuple(demands), data.get("otherwise", "accept"))

    def verdict(self, request: Request, answer: Answer) -> Verdict:
        """Checks an answer to a request; what cannot be known of it does not pass."""
        for demand in self.demands:
            wrong = demand(request, answer)
            if wrong is not None:
                return Verdict(passed=False, why=wrong)
        return Verdict(passed=True, why="the answer passes")


def advance(
    decision: Decision,
    request: Request,
    answer: Answer,
    check: Check | None,
    *,
    deployment: str | None = None,
    elsewhere: bool = False,
) -> Decision:
    """Returns the decision after the first model of its chain has answered: accepted, or the next model to ask.

    Args:
        decision: before.
        request: that was asked.
        answer: what came.
        check: what it has to pass, if anything.
        deployment: where the model was asked, where there are several places.
        elsewhere: whether a failed call can be made again in another place: then the model stays the first.

    Raises:
        ValueError: the decision has no model to ask.
    """
    if decision.model is None:
        raise ValueError("this decision has no model left to ask; `route` makes a new one")
    model, rest = decision.chain[0], decision.chain[1:]
    if answer.error_kind is not None:
        tried = Tried(model, "failed", answer.error_kind)
        rest = decision.chain if elsewhere else rest
    elif check is None:
        tried = Tried(model, "accepted", "it answered", answer)
    elif not rest and check.otherwise == "accept":
        tried = Tried(model, "accepted", "nothing is left to escalate to", answer)
    else:
        verdict = check.verdict(request, answer)
        tried = Tried(model, "accepted" if verdict.passed else "refused", verdict.why, answer)
    after = (*decision.tried, replace(tried, deployment=deployment))
    if tried.verdict == "accepted":
        return replace(decision, chain=(), tried=after)
    if not rest and check is not None and check.otherwise == "accept":
        after = _with_the_latest(after)
    return replace(decision, chain=rest, tried=after)


def _with_the_latest(tried: tuple[Tried, ...]) -> tuple[Tried, ...]:
    """Every model was asked and none gave an answer that passes: the latest one that came stands."""
    for place in range(len(tried) - 1, -1, -1):
        if tried[place].verdict == "refused":
            stands = replace(tried[place], verdict="accepted", why=f"{tried[place].why}; nothing better came")
            return (*tried[:place], stands, *tried[place + 1 :])
    return tried


def _there(_request: Request, answer: Answer) -> str | None:
    return None if answer.tool_calls or (answer.text or "").strip() else "the answer is empty"


def _finish(reasons: frozenset[str]) -> _Demand:
    def wrong(_request: Request, answer: Answer) -> str | None:
        return (
            None if answer.finish_reason in reasons else f"it finished by {answer.finish_reason or 'an unknown reason'}"
        )

    return wrong


def _json(_request: Request, answer: Answer) -> str | None:
    try:
        read_json(answer.text or "")
    except ValueError:
        return "the answer is not JSON"
    return None


def _json_schema(request: Request, answer: Answer) -> str | None:
    schema = schema_of(request)
    if schema is None or (answer.tool_calls and not answer.text):
        # Nothing was asked for, or the model calls a tool first.
        return None
    try:
        document = read_json(answer.text or "")
    except ValueError:
        return "the answer is not JSON"
    return misfit(document, schema)


def _tool_calls(request: Request, answer: Answer) -> str | None:
    return misfit_of_calls(answer.tool_calls, request)


def _answer(condition: Condition) -> _Demand:
    def wrong(_request: Request, answer: Answer) -> str | None:
        reading = Reading(Request(({"role": "user", "content": answer.text or ""},)))
        return None if condition.matches(reading) else f"the answer is not so: {condition}"

    return wrong


def _confidence(least: float) -> _Demand:
    def wrong(_request: Request, answer: Answer) -> str | None:
        if answer.confidence is None:
            return "its confidence is unknown"
        return None if answer.confidence >= least else f"its confidence {answer.confidence:.3g} is below {least:g}"

    return wrong
