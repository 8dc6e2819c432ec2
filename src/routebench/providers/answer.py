"""What has arrived of one answer, in the words that every wire format is turned into."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from routebench.providers.base import failed
from routebench.providers.events import Event, ReasoningDelta, TextDelta, ToolCallDelta
from routebench.types import Completion, ErrorKind, ToolCall, Usage

_MOST_TOKENS = 2**53


@dataclass(slots=True)
class _ToolParts:
    id: str | None = None
    name: str = ""
    arguments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Answer:
    """Filled by a wire format's reader, event by event; turned into a Completion at the end.

    Attributes:
        finish: the provider's own finish reason, None until it has come.
        finish_reason: ours for it.
        done: the terminal event has come; without it an answer is incomplete, whatever its text.
        error: kind and sentence of a failure that the provider told inside its answer.
        routed_to: the model that a gateway names in its headers; it wins over the name in the answer.
        emit: called with every piece as it comes.
    """

    emit: Callable[[Event], None]
    finish: str | None = None
    finish_reason: str | None = None
    done: bool = False
    error: tuple[ErrorKind, str] | None = None
    served_model: str | None = None
    routed_to: str | None = None
    request_id: str | None = None
    usage: Usage = field(default_factory=Usage)
    reported_cost_usd: float | None = None
    service_tier: str | None = None
    _text: list[str] = field(default_factory=list)
    _reasoning: list[str] = field(default_factory=list)
    _tools: dict[int, _ToolParts] = field(default_factory=dict)
    _logprobs: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def started(self) -> bool:
        """Whether any text, thought or tool call has come."""
        return bool(self._text or self._reasoning or self._tools)

    def say(self, piece: Any, logprobs: Any = None) -> None:
        """Takes a piece of text and the logprobs of its tokens; null and empty pieces are none."""
        told = None
        if logprobs:
            told = tuple(mapping(one, "a logprob") for one in sequence(logprobs, "`logprobs`"))
            self._logprobs += told
        if piece or told:
            self._text.append(_string(piece or "", "content"))
            self.emit(TextDelta(piece or "", told))

    def think(self, piece: Any) -> None:
        """Takes a piece of reasoning."""
        if piece:
            self._reasoning.append(_string(piece, "reasoning"))
            self.emit(ReasoningDelta(piece))

    def call_tool(self, index: int, *, id: str | None = None, name: str | None = None, arguments: str = "") -> None:  # noqa: A002 - the field's name everywhere
        """Takes a piece of a tool call."""
        parts = self._tools.setdefault(index, _ToolParts())
        parts.id = id or parts.id
        parts.name = name or parts.name
        if arguments:
            parts.arguments.append(_string(arguments, "arguments"))
        self.emit(ToolCallDelta(index, id, name, arguments))

    def has_tool_call(self, index: int) -> bool:
        """Whether a tool call of that index has begun."""
        return index in self._tools

    @property
    def n_tool_calls(self) -> int:
        """How many tool calls have begun."""
        return len(self._tools)

    def end(self, raw: str, known: Mapping[str, str]) -> None:
        """Takes the finish reason; one that `known` does not have is `other`."""
        self.finish = raw
        self.finish_reason = known.get(raw, "other")

    def spoil(self, kind: ErrorKind, sentence: str) -> None:
        """Takes a failure that the provider told; the usage of it may still follow."""
        self.error = (kind, sentence)

    def fail(self, kind: ErrorKind, sentence: str) -> None:
        """Takes a failure after which nothing follows."""
        self.spoil(kind, sentence)
        self.done = True

    def usage_so_far(self) -> Usage:
        """The usage; of an answer that broke off the output count is unknown, since what was told so far is less."""
        if (self.done and self.finish is not None) or self.usage.output_tokens is None:
            return self.usage
        return replace(self.usage, output_tokens=None)

    def completion(self, **known: Any) -> Completion:
        """Returns the answer, or the typed error that stands in its place; `known` are times and wire facts."""
        facts: dict[str, Any] = {
            "usage": self.usage_so_far(),
            "served_model": self.routed_to or self.served_model,
            "request_id": self.request_id,
            "reported_cost_usd": self.reported_cost_usd,
            "raw_finish_reason": self.finish,
            "service_tier": self.service_tier or "standard",
        }
        facts |= {name: value for name, value in known.items() if value is not None}
        if self.error is not None:
            return failed(*self.error, **facts)
        if not self.done or self.finish is None:
            return failed("incomplete", "the answer ended before its terminal event", **facts)
        if self._tools:
            calls = [ToolCall(one.id, one.name, "".join(one.arguments)) for _, one in sorted(self._tools.items())]
            facts["tool_calls"] = tuple(calls)
        return Completion(
            status="ok",
            text="".join(self._text),
            reasoning="".join(self._reasoning) or None,
            finish_reason=self.finish_reason,
            logprobs=tuple(self._logprobs) or None,
            **facts,
        )


def _string(piece: Any, what: str) -> str:
    if not isinstance(piece, str):
        raise ValueError(f"`{what}` is {type(piece).__name__}, not text")
    return piece


def read_json(text: str | bytes) -> Any:
    """Reads a document or an event.

    Raises:
        ValueError: it is no JSON; how it begins is told, since it is often a proxy's page.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        # Some servers write what is no JSON to the letter: NaN, halves of characters.
        pass
    try:
        return json.loads(text)
    except ValueError:
        shown = text[:4096].decode(errors="replace") if isinstance(text, bytes) else text[:4096]
        head = " ".join(shown.split())
        raise ValueError(f"not JSON, it begins {head!r}" if head else "it is empty") from None


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """Returns a JSON object as it is, an absent one as empty.

    Raises:
        ValueError: it is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{what} is {type(value).__name__}, not a JSON object")
    return value


def sequence(value: Any, what: str) -> list[Any]:
    """Returns a JSON array as it is, an absent one as empty.

    Raises:
        ValueError: it is something else.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{what} is {type(value).__name__}, not a JSON array")
    return value


def prompt_count(value: Any) -> int | None:
    """Returns the tokens of a prompt; none at all is a placeholder, since there is no prompt without one."""
    return count(value) or None


def count(value: Any) -> int | None:
    """Returns a number of tokens, None where the provider does not tell."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MOST_TOKENS:
        return None
    return int(value)


def cost(value: Any) -> float | None:
    """Returns an amount in US dollars, None where the provider tells none, or no amount that anything can cost."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        return None
    return float(value)
