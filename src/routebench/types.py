"""The values that the rooms hand to each other: frozen, without behaviour that needs a library.

Units are in the names. `None` is unknown and stays unknown: an unknown cost is not zero, an unscored answer is
not wrong, and a failed call is not a cheap one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any, Literal, get_args

Message = Mapping[str, Any]
"""One chat message: `role`, and `content` as a string or a list of parts; unknown keys pass through untouched."""

Split = Literal["train", "test", "sealed"]

ErrorKind = Literal[
    "rate_limited",
    "timeout",
    "connection",
    "auth",
    "bad_request",
    "context_overflow",
    "content_filter",
    "server",
    "malformed",
    "incomplete",
    "abstained",
    "budget",
]
ERROR_KINDS: tuple[ErrorKind, ...] = get_args(ErrorKind)
TRANSIENT_KINDS: frozenset[ErrorKind] = frozenset(
    {"rate_limited", "timeout", "connection", "server", "malformed", "incomplete", "budget", "auth"}
)
"""Kinds that a later `run` tries again by itself; the others need `--retry-errors`."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller sends, and all that a routing decision may look at.

    Labels, targets, stakes and outcomes of a case are not here, so that no strategy can peek at them.
    """

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = ()
    response_format: Mapping[str, Any] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GraderSpec:
    """A grader by name, with its options.

    Attributes:
        digest: of all options, where only a part of them is kept.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    digest: str | None = None

    @property
    def key(self) -> str:
        """The name, and where there are options a digest of them: grades under other options are other grades."""
        if self.digest is not None:
            return f"{self.name}#{self.digest}"
        if not self.options:
            return self.name
        digest = hashlib.sha256(json.dumps(self.options, sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.name}#{digest}"


@dataclass(frozen=True, slots=True)
class Case:
    """One prompt, how to grade the answer to it, and what it stands for.

    Attributes:
        group: cases of one group (turns of a conversation, variants of a question) are never split between
            train and test.
        weight: number of production requests that the case stands for.
        stakes_usd: what a wrong answer costs, in US dollars.
        split: `train` or `test` where the suite fixes it, `sealed` where only a last look may read it, else None.
    """

    id: str
    request: Request
    target: Any = None
    grader: GraderSpec = field(default_factory=lambda: GraderSpec("none"))
    category: str | None = None
    group: str | None = None
    weight: float = 1.0
    stakes_usd: float | None = None
    split: Split | None = None

    @property
    def tags(self) -> tuple[str, ...]:
        """The request's tags."""
        return self.request.tags


@dataclass(frozen=True, slots=True)
class PriceTier:
    """Rates of a long prompt: they hold for every token of a call with more than `above_input_tokens` of input."""

    above_input_tokens: int
    input_usd_per_mtok: float | None = None
    output_usd_per_mtok: float | None = None
    cached_input_usd_per_mtok: float | None = None
    cache_write_usd_per_mtok: float | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """What a model charges; every field unknown (None) unless somebody said so.

    Attributes:
        cpu_usd_per_hour: nominal rate for a local model, multiplied with measured CPU time.
        tiers: other token rates above some length of input, shortest first; only the price book knows them.
    """

    input_usd_per_mtok: float | None = None
    output_usd_per_mtok: float | None = None
    cached_input_usd_per_mtok: float | None = None
    cache_write_usd_per_mtok: float | None = None
    usd_per_request: float | None = None
    cpu_usd_per_hour: float | None = None
    tiers: tuple[PriceTier, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The form that YAML and JSON hold: what is unknown is left out."""
        rates = {name: value for name, value in asdict(self).items() if value is not None and name != "tiers"}
        tiers = [{name: value for name, value in asdict(tier).items() if value is not None} for tier in self.tiers]
        return {**rates, "tiers": tiers} if tiers else rates

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Price:
        """Reads the form of `as_dict`."""
        rates = {name: value for name, value in data.items() if name != "tiers"}
        return cls(**rates, tiers=tuple(PriceTier(**tier) for tier in data.get("tiers") or ()))


@dataclass(frozen=True, slots=True)
class Model:
    """A provider, a model id and the request parameters around it; another configuration is another Model.

    Attributes:
        name: what suites, strategies and rules call it.
        few_shot: demonstration messages put before the case's own.
        price_source: where the price is from (`user`, `genai-prices 0.2.3`, ...); None while the price is unknown.
        price_date: the day that the price is for, where the source tells it.
        retires: the day from which on it answers no longer, None while no such day is known.
    """

    name: str
    provider: str
    model: str
    base_url: str | None = None
    key_env: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    system: str | None = None
    few_shot: tuple[Message, ...] = ()
    price: Price | None = None
    price_source: str | None = None
    price_date: date | None = None
    context_window: int | None = None
    max_output: int | None = None
    capabilities: frozenset[str] | None = None
    region: str | None = None
    retires: date | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call: `input_tokens` includes cached ones, `output_tokens` includes reasoning."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    raw: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool that the model asks for; `arguments` is the JSON text as the model wrote it."""

    id: str | None
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer, or the typed error that stands in its place.

    Attributes:
        reasoning: thoughts that the provider shows, kept apart from the answer's text.
        finish_reason: `stop`, `length`, `tool_calls` or `other`; the provider's own word is `raw_finish_reason`.
        served_model: the model that really answered, as the provider names it.
        request_id: the provider's name for the exchange, for its support.
        latency_s: seconds from the send of the attempt that succeeded to the end of its answer.
        ttft_s: seconds to the first token of text, reasoning or a tool call; None where the answer was not streamed.
        queue_s: seconds spent waiting in our own queue before that send.
        cpu_s: measured CPU seconds of a local model, None for remote ones.
        cost_usd: list price without cache effects, in US dollars, None while unknown.
        billed_cost_usd: what was really paid for all attempts, 0 for an answer from the store or a refused request.
        reported_cost_usd: what the provider itself says that this attempt cost.
        price_source: where `cost_usd` is from; `provider` for a reported one.
        attempts: requests sent for this answer, the last included.
        wasted_input_tokens: tokens of the attempts that failed before, None while unknown for one of them.
        wasted_cost_usd: what those attempts were billed, None while unknown for one of them.
        retry_after_s: seconds that the provider asks to wait before its next request.
        logprobs: of the text's tokens in OpenAI's form, where they were asked for; handed over, and not stored.
    """

    status: Literal["ok", "error"]
    text: str | None = None
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    error_kind: ErrorKind | None = None
    error: str | None = None
    finish_reason: str | None = None
    raw_finish_reason: str | None = None
    served_model: str | None = None
    request_id: str | None = None
    usage: Usage = field(default_factory=Usage)
    cpu_s: float | None = None
    cost_usd: float | None = None
    billed_cost_usd: float | None = None
    reported_cost_usd: float | None = None
    price_source: str | None = None
    price_date: date | None = None
    service_tier: str = "standard"
    queue_s: float | None = None
    ttft_s: float | None = None
    latency_s: float | None = None
    attempts: int = 1
    wasted_input_tokens: int | None = 0
    wasted_output_tokens: int | None = 0
    wasted_cost_usd: float | None = 0.0
    retry_after_s: float | None = None
    started_at: datetime | None = None
    logprobs: tuple[Mapping[str, Any], ...] | None = None


@dataclass(frozen=True, slots=True)
class Grade:
    """A score in [0, 1] by a named grader; `score` None means *unscored*, which is not zero."""

    grader: str
    score: float | None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered, as far as routing looks at it: the common part of every client's answer.

    Attributes:
        text: the words, None where there are none, as of an answer that only calls tools.
        confidence: how sure the model is, in [0, 1], such as the mean probability of its tokens; None while unknown.
        error_kind: why there is no answer; None where there is one.
        latency_s: seconds that the call took.
        cost_usd: US dollars that it cost, None while unknown.
    """

    text: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    confidence: float | None = None
    error_kind: ErrorKind | None = None
    latency_s: float | None = None
    cost_usd: float | None = None

    @classmethod
    def of(cls, completion: Completion, confidence: float | None = None) -> Answer:
        """Returns what routing looks at of a completion."""
        return cls(
            completion.text,
            completion.tool_calls,
            completion.finish_reason,
            confidence,
            completion.error_kind,
            completion.latency_s,
            completion.cost_usd,
        )


@dataclass(frozen=True, slots=True)
class GradedAnswer:
    """One recorded answer, or a failure, with its grade.

    Attributes:
        said: what the model answered; without a text where none was kept, and of a failure.
        error_kind: why there is no answer, None where there is one.
        error: the same in words.
        grader: the case's primary grader, None where nobody graded it.
        rater: who graded, such as a judge's name.
        score: in [0, 1], None while unscored.
        detail: what the grader said of it.
    """

    said: Answer
    error_kind: str | None
    error: str | None
    cost_usd: float | None
    latency_s: float | None
    grader: str | None
    rater: str | None
    score: float | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class Tried:
    """A model that was asked, and what became of its answer.

    Attributes:
        verdict: `accepted`, `refused` by the cascade's check, or `failed`: there is no answer.
        why: the check or the error that decided.
        answer: what it answered, None where it failed.
        deployment: where it was asked, for a model that is served in several places.
    """

    model: str
    verdict: Literal["accepted", "refused", "failed"]
    why: str
    answer: Answer | None = field(default=None, repr=False)
    deployment: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """An ordered chain of models to try, the rule that chose it, and why.

    Attributes:
        chain: models that may still be asked, the next one first; empty once an answer was accepted or nothing is left.
        features: what the conditions read of the request; worked out when somebody looks.
        cascade: the name of the check that answers have to pass; None where any answer is accepted.
        tried: the models asked so far.
        request: what was decided; needed to go on, and shown nowhere.
        consulted: what models answered that were asked for their word, a classifier or a judge; paid for like any.
        wanted: the model that would come first were every model well.
        eligible: the models that limits and guards allow for the request, weakest first.
        explored: whether exploration put the first model there.
        propensity: the chance with which the first model was put first, by the policy and by exploration together; None
            where nothing was drawn.
    """

    chain: tuple[str, ...]
    rule: str
    why: str
    features: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    counterfactuals: tuple[str, ...] = ()
    cascade: str | None = None
    tried: tuple[Tried, ...] = ()
    request: Request | None = field(default=None, repr=False, compare=False)
    consulted: tuple[Answer, ...] = field(default=(), repr=False, compare=False)
    wanted: str | None = field(default=None, repr=False, compare=False)
    eligible: tuple[str, ...] = field(default=(), repr=False, compare=False)
    explored: bool = field(default=False, repr=False, compare=False)
    propensity: float | None = field(default=None, repr=False, compare=False)

    @property
    def model(self) -> str | None:
        """The model to ask now; None where there is none: an answer was accepted, or all have failed."""
        return self.chain[0] if self.chain else None

    @property
    def answered_by(self) -> str | None:
        """The model whose answer was accepted."""
        return next((one.model for one in self.tried if one.verdict == "accepted"), None)

    @property
    def answer(self) -> Answer | None:
        """The answer that was accepted."""
        return next((one.answer for one in self.tried if one.verdict == "accepted"), None)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that `explain --json` prints; what was tried only where something was."""
        told: dict[str, Any] = {
            "chain": list(self.chain),
            "rule": self.rule,
            "why": self.why,
            "features": dict(self.features),
            "counterfactuals": list(self.counterfactuals),
        }
        if self.cascade is not None:
            told["cascade"] = self.cascade
        if self.tried:
            told["tried"] = [
                {"model": one.model, "verdict": one.verdict, "why": one.why}
                | ({} if one.deployment is None else {"deployment": one.deployment})
                for one in self.tried
            ]
        return told
