"""One request that a gateway served, as a row: what was decided, what was tried, what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["ok", "refused", "failed", "broken", "cancelled"]
"""`ok`: an answer was handed over whole. `refused`: the gateway turned the request down before any model was asked
(a bad request, a key, a limit, a guard). `failed`: every model that was asked failed. `broken`: the answer broke off
after its first token was handed over. `cancelled`: the client went away."""
TEXTS = ("messages", "answer", "tool_calls", "request")
"""Fields of a trace that hold what people and models said."""
QUICK_FEATURES = ("input_tokens", "turns", "has_tools", "has_images", "json_schema")
"""Features that every row tells. The others need a look at the whole text, and a gateway tells them of no more than so
many requests a second."""
LONG_TOKENS = 2_000
"""Of a longer request it never tells them."""


# Neither is frozen: one that is takes three times as long to make, and a gateway makes them for every request.
@dataclass(slots=True)
class Attempt:
    """One call to one model.

    Attributes:
        deployment: where it was asked.
        verdict: `accepted`, `refused` by a cascade's check, `failed`, or `cancelled` with the client.
        error_kind: why there is no answer.
        cost_usd: what the call was billed, None while unknown.
    """

    model: str
    deployment: str
    verdict: Literal["accepted", "refused", "failed", "cancelled"]
    error_kind: str | None = None
    latency_s: float | None = None
    ttft_s: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


@dataclass(slots=True)
class Trace:
    """One request.

    Attributes:
        trace_id: names the request, for the client too.
        at: when it came, in seconds since 1970 (UTC).
        gateway: names the process that served it.
        rules: the name of the rule set that decided.
        policy: the first twelve digits of its `policy_sha256`.
        client: the name of the gateway key, None where keys are not asked for.
        conversation: a digest, the same for all turns of a conversation.
        asked: the model that the client named; None where the policy decided.
        rule: the rule that decided; None where nothing was decided.
        chain: the models of the decision, the first to ask first.
        wanted: the model that would have come first were every model well; another one than `chain[0]` is a shift by
            health, unless exploration drew that one.
        eligible: the models that may take the request; among them exploration draws.
        explored: whether exploration chose the first model.
        propensity: the chance with which the first model was chosen, by policy and exploration together; None where
            nothing was drawn: no exploration is set, or it may not touch this request.
        model: that answered, None where none did.
        deployment: where.
        served_model: as the provider calls it.
        streamed: whether the client asked for a stream.
        status: of HTTP.
        error_kind: of the last failure, or what the gateway refused the request for.
        error: the same in words, without secrets and without text of the prompt.
        attempts: the calls to models, in their order.
        cascade: the check that answers had to pass.
        escalated: whether the check refused an answer; None without a cascade.
        cascade_wait_s: what the cascade added to the time to the first token: refused answers, and holding the accepted
            one back until it was whole; None without a cascade.
        cascade_extra_usd: what refused answers cost; None without a cascade, or while unknown.
        input_tokens: of the answer that was handed over; the others too.
        cost_usd: what all calls together were billed; None where one of them is unknown.
        latency_s: from the request's first byte to the answer's last, at the gateway.
        ttft_s: to the first byte of the answer's text, of streams.
        decision_s: what reading and deciding took.
        features: what the rules' conditions can read of the request; numbers and flags, no text.
        features_sha256: digest of them.
        shadow_rules: the name of the rule set that decided in the shadow; None without one.
        shadow_rule: its rule.
        shadow_chain: its chain; empty where it found no model.
        tags: words that the client or its key gave.
        messages: the conversation; None unless the gateway was told to keep texts.
        answer: the text that was handed over; None unless texts are kept.
        tool_calls: that were handed over, in OpenAI's form; None unless texts are kept.
        request: what was sent besides messages and shapes the answer: `tools`, `response_format`, `params`; None unless
            texts are kept.
    """

    trace_id: str
    at: float
    gateway: str
    rules: str
    policy: str
    status: int
    outcome: Outcome
    streamed: bool
    latency_s: float
    client: str | None = None
    conversation: str | None = None
    asked: str | None = None
    rule: str | None = None
    chain: Sequence[str] = ()
    wanted: str | None = None
    eligible: Sequence[str] = ()
    explored: bool = False
    propensity: float | None = None
    model: str | None = None
    deployment: str | None = None
    served_model: str | None = None
    finish_reason: str | None = None
    error_kind: str | None = None
    error: str | None = None
    attempts: Sequence[Attempt] = ()
    cascade: str | None = None
    escalated: bool | None = None
    cascade_wait_s: float | None = None
    cascade_extra_usd: float | None = None
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    ttft_s: float | None = None
    decision_s: float | None = None
    features: Mapping[str, Any] | None = None
    features_sha256: str | None = None
    shadow_rules: str | None = None
    shadow_rule: str | None = None
    shadow_chain: Sequence[str] | None = None
    tags: Sequence[str] = ()
    messages: Sequence[Mapping[str, Any]] | None = None
    answer: str | None = None
    tool_calls: Sequence[Mapping[str, Any]] | None = None
    request: Mapping[str, Any] | None = None
