"""The one stream of events that every provider's own stream becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from routebench.types import Completion


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer's text.

    Attributes:
        logprobs: of its tokens, in OpenAI's form; None where they were not asked for.
    """

    text: str
    logprobs: tuple[Mapping[str, Any], ...] | None = None


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of the thoughts that the provider shows."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call: its id and name once, its arguments in parts of a JSON text.

    Attributes:
        index: which of the answer's tool calls it belongs to, counted from 0.
    """

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """The last event: the whole answer, or the typed error that ended it."""

    completion: Completion


Event = TextDelta | ReasoningDelta | ToolCallDelta | Done
