"""What is told of a request that was served: to its client, and in its trace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from routebench.gateway.course import Course
from routebench.traces.row import LONG_TOKENS, QUICK_FEATURES, Attempt
from routebench.types import Completion, Decision, Request

_PRINTED = bytes(sign if 0x20 <= sign < 0x7F else ord("?") for sign in range(256))


def about(course: Course, trace_id: str, cost_usd: float | None) -> dict[str, Any]:
    """Returns the object `routebench` of an answer: who decided, who answered, what it cost."""
    decision, place, accepted = course.decision, course.place, course.accepted
    told: dict[str, Any] = {"trace_id": trace_id, "policy": course.policy.digest}
    if decision is not None:
        told |= {"rule": decision.rule, "chain": decision.chain, "explored": decision.explored}
    if place is not None and accepted is not None:
        usage = accepted.usage
        told |= {
            "model": place.model.name,
            "deployment": place.name,
            "served_model": accepted.served_model,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
        }
        if accepted.finish_reason == "other":
            told["raw_finish_reason"] = accepted.raw_finish_reason
    told |= {"cost_usd": cost_usd, "attempts": [_attempt(one) for one in course.attempts]}
    if decision is not None and decision.cascade is not None:
        told["cascade"] = {"check": decision.cascade, "escalated": course.escalated, "wait_s": course.cascade_wait_s}
    return told


def headers(course: Course, trace_id: str) -> list[tuple[bytes, bytes]]:
    """Returns the headers that say who answers; the cost of an answer that is being written is not known yet."""
    decision, place = course.decision, course.place
    told = [(b"x-request-id", trace_id.encode())]
    if decision is not None:
        told.append((b"x-routebench-rule", _value(decision.rule)))
    if place is not None:
        told += [
            (b"x-routebench-model", _value(place.model.name)),
            (b"x-routebench-deployment", _value(place.name)),
        ]
    return told


def costs(course: Course) -> list[float | None]:
    """Returns what every call that the request caused was billed, None where that is unknown."""
    return [*course.asides_usd, *(one.cost_usd for one in course.attempts)]


def total_usd(each: Iterable[float | None]) -> float | None:
    """Returns a sum of costs, None where one of them is unknown."""
    total = 0.0
    for cost_usd in each:
        if cost_usd is None:
            return None
        total += cost_usd
    return total


def trace_facts(course: Course, cost_usd: float | None, *, fully: bool) -> dict[str, Any]:
    """Returns what a trace says of a request that came as far as a decision."""
    decision, place, accepted = course.decision, course.place, course.accepted
    facts: dict[str, Any] = {
        "attempts": tuple(course.attempts),
        "decision_s": course.decision_s,
        "cost_usd": cost_usd,
    }
    if decision is not None:
        facts |= {
            "rule": decision.rule,
            "chain": decision.chain,
            "wanted": decision.wanted,
            "eligible": decision.eligible,
            "explored": decision.explored,
            "propensity": decision.propensity,
            "features": _features(decision, fully=fully),
            "cascade": decision.cascade,
        }
        if decision.cascade is not None:
            refused = [one.cost_usd for one in course.attempts if one.verdict == "refused"]
            facts |= {
                "escalated": course.escalated,
                "cascade_wait_s": course.cascade_wait_s,
                "cascade_extra_usd": total_usd(refused),
            }
    if place is not None and accepted is not None:
        usage = accepted.usage
        facts |= {
            "model": place.model.name,
            "deployment": place.name,
            "served_model": accepted.served_model,
            "finish_reason": accepted.finish_reason,
            "input_tokens": usage.input_tokens,
            "cached_input_tokens": usage.cached_input_tokens,
            "output_tokens": usage.output_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
        }
    return facts


def _features(decision: Decision, *, fully: bool) -> Mapping[str, Any]:
    """What conditions can read; of a long text only what needs no look at all of it, for that is a millisecond."""
    features = decision.features
    names = features if fully and features["input_tokens"] <= LONG_TOKENS else QUICK_FEATURES
    return {name: features[name] for name in names}


def texts(request: Request, answer: Completion | None) -> dict[str, Any]:
    """Returns what a trace keeps of texts, where it keeps any."""
    told: dict[str, Any] = {
        "messages": request.messages,
        "request": {"tools": request.tools, "response_format": request.response_format, "params": request.params},
    }
    if answer is not None:
        calls = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in answer.tool_calls
        ]
        told |= {"answer": answer.text, "tool_calls": calls or None}
    return told


def _attempt(one: Attempt) -> Mapping[str, Any]:
    return {
        "model": one.model,
        "deployment": one.deployment,
        "verdict": one.verdict,
        "error_kind": one.error_kind,
        "latency_s": one.latency_s,
        "cost_usd": one.cost_usd,
    }


def _value(text: str) -> bytes:
    """A name as a header may hold it; what is beyond ASCII stands in the body only."""
    return text.encode("ascii", "replace").translate(_PRINTED)
