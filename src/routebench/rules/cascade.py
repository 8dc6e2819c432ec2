"""Cascades: try a model, check its answer, go on to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self

from routebench.rules.answers.gist import GistKind, gist
from routebench.rules.answers.judge import AnswerJudge
from routebench.rules.conditions.condition import Condition
from routebench.rules.reading.request import Reading
from routebench.rules.structured import misfit, misfit_of_calls, read_json, schema_of
from routebench.types import Answer, Decision, Request, Tried

if TYPE_CHECKING:
    from routebench.rules.answers.head import AnswerHead

Otherwise = Literal["accept", "fail"]
"""What becomes of the latest answer when no model of the chain gives one that passes."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer passes a check, and the sentence that says why."""

    passed: bool
    why: str


@dataclass(frozen=True, slots=True)
class _Look:
    """What a check looks at: an answer, and what other models of the chain answered before it."""

    request: Request
    answer: Answer
    earlier: Sequence[Answer]
    place: int


_Demand = Callable[[_Look], str | None]
"""Returns what is wrong with an answer, None where nothing is."""
Opinion = Callable[[AnswerJudge, Answer], str | None]
"""Asks a judge of an answer; returns what is wrong with it, None where nothing is."""


@dataclass(frozen=True, slots=True)
class Check:
    """What an answer must be like to be accepted.

    Attributes:
        otherwise: `accept`: the last model's answer stands whatever it is like, for there is nothing to escalate to;
            `fail`: an answer that does not pass is never given.
        judge: a model that is asked of answers which meet all demands; None where nobody is.
        compares: whether an answer is held against those that came before it.
        wants_confidence: whether an answer passes only if it is known how sure the model is.
    """

    demands: tuple[_Demand, ...]
    otherwise: Otherwise = "accept"
    judge: AnswerJudge | None = None
    compares: bool = False
    wants_confidence: bool = False

    @classmethod
    def parse(cls, data: Mapping[str, Any], head: AnswerHead | None = None) -> Self:
        """Builds a check from its YAML form, whose shape is known to be right.

        Args:
            data: such as `{"finish": ["stop"], "json": True, "answer": {"words": {"ge": 3}}, "min_confidence": 0.8}`.
            head: what its `head` names.

        Raises:
            ValueError: it names a head, and there is none.
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
        if data.get("agree") is not None:
            demands.append(_agree(data["agree"].get("on", "auto"), data["agree"].get("votes", 2)))
        if data.get("head") is not None:
            if head is None:
                raise ValueError("this check has a learned head, and its artifact was not loaded")
            demands.append(_head(head, data["accept_from"]))
        judge = None if data.get("judge") is None else AnswerJudge(**data["judge"])
        compares = data.get("agree") is not None or data.get("head") is not None
        sure = data.get("min_confidence") is not None
        return cls(tuple(demands), data.get("otherwise", "accept"), judge, compares, sure)

    def verdict(
        self,
        request: Request,
        answer: Answer,
        earlier: Sequence[Answer] = (),
        *,
        place: int | None = None,
        opinion: Opinion | None = None,
    ) -> Verdict:
        """Checks an answer to a request; what cannot be known of it does not pass.

        Args:
            request: that was asked.
            answer: that came.
            earlier: what models before it in the chain answered, first to last.
            place: in the chain, from 0; as many as there are earlier answers when left out.
            opinion: asks the judge, where there is one; without it what the judge would say does not count.
        """
        look = _Look(request, answer, earlier, len(earlier) if place is None else place)
        for demand in self.demands:
            wrong = demand(look)
            if wrong is not None:
                return Verdict(passed=False, why=wrong)
        if self.judge is not None and opinion is not None:
            wrong = opinion(self.judge, answer)
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
    opinion: Opinion | None = None,
) -> Decision:
    """Returns the decision after the first model of its chain has answered: accepted, or the next model to ask.

    Args:
        decision: before.
        request: that was asked.
        answer: what came.
        check: what it has to pass, if anything.
        deployment: where the model was asked, where there are several places.
        elsewhere: whether a failed call can be made again in another place: then the model stays the first.
        opinion: asks the check's judge, where it has one.

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
        earlier = [one.answer for one in decision.tried if one.answer is not None]
        place = len({one.model for one in decision.tried} - {model})
        verdict = check.verdict(request, answer, earlier, place=place, opinion=opinion)
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


def _there(look: _Look) -> str | None:
    return None if look.answer.tool_calls or (look.answer.text or "").strip() else "the answer is empty"


def _finish(reasons: frozenset[str]) -> _Demand:
    def wrong(look: _Look) -> str | None:
        reason = look.answer.finish_reason
        return None if reason in reasons else f"it finished by {reason or 'an unknown reason'}"

    return wrong


def _json(look: _Look) -> str | None:
    try:
        read_json(look.answer.text or "")
    except ValueError:
        return "the answer is not JSON"
    return None


def _json_schema(look: _Look) -> str | None:
    schema, answer = schema_of(look.request), look.answer
    if schema is None or (answer.tool_calls and not answer.text):
        # Nothing was asked for, or the model calls a tool first.
        return None
    try:
        document = read_json(answer.text or "")
    except ValueError:
        return "the answer is not JSON"
    return misfit(document, schema)


def _tool_calls(look: _Look) -> str | None:
    return misfit_of_calls(look.answer.tool_calls, look.request)


def _answer(condition: Condition) -> _Demand:
    def wrong(look: _Look) -> str | None:
        reading = Reading(Request(({"role": "user", "content": look.answer.text or ""},)))
        return None if condition.matches(reading) else f"the answer is not so: {condition}"

    return wrong


def _confidence(least: float) -> _Demand:
    def wrong(look: _Look) -> str | None:
        confidence = look.answer.confidence
        if confidence is None:
            return "its confidence is unknown"
        return None if confidence >= least else f"its confidence {confidence:.3g} is below {least:g}"

    return wrong


def _agree(kind: GistKind, votes: int) -> _Demand:
    def wrong(look: _Look) -> str | None:
        own = gist(look.answer, kind)
        if own is None:
            return f"it has no {kind} that others could agree with" if kind != "auto" else "it comes down to nothing"
        found = 1 + sum(gist(one, kind) == own for one in look.earlier)
        return None if found >= votes else f"{found} of the {votes} votes that it needs"

    return wrong


def _head(head: AnswerHead, accept_from: float | Sequence[float]) -> _Demand:
    least = (accept_from,) if isinstance(accept_from, (int, float)) else tuple(accept_from)

    def wrong(look: _Look) -> str | None:
        features = head.spec.sparse(Reading(look.request), look.answer, look.earlier)
        value = head.value_of(*features, place=look.place)
        needed = least[min(look.place, len(least) - 1)]
        if value >= needed:
            return None
        why = head.why_of(*features, place=look.place)
        return f"keeping it is worth {value:.3f}, below {needed:g}" + (f": {why}" if why else "")

    return wrong
