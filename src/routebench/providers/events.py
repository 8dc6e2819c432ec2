"""The one stream of events that every provider's own stream becomes."""

from __future__ import annotations

from dataclasses import dataclass

from routebench.types import Completion


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer's text."""

    text: str


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
