"""What a condition can read of a request: its texts and a few surface features, each computed once."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, Literal

from routebench.messages import estimate_input_tokens, last_user_text, text_of
from routebench.rules.language import language_of
from routebench.types import Request

Scope = Literal["user", "system", "history", "conversation", "any"]
"""Which messages are read: the last user message (the default of rules), the system prompt, what came between,
everything but the system prompt (the default of guards), or everything."""

_WORD = re.compile(r"\w+")
_CODE = re.compile(
    r"```|^\s*(?:def |class |import |from \w+ import|#include|SELECT |public |function |const |let )|[;{}]\s*$",
    re.MULTILINE,
)


class Text:
    """One text, with the pieces that conditions ask for."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def folded(self) -> str:
        """The text without differences of case."""
        return self.text.casefold()

    @cached_property
    def words(self) -> list[str]:
        """Runs of letters, digits and underscores, folded."""
        return _WORD.findall(self.folded)

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """The distinct words."""
        return frozenset(self.words)

    @cached_property
    def digits(self) -> float:
        """The share of characters that are digits, 0 for an empty text."""
        return sum(character.isdigit() for character in self.text) / max(1, len(self.text))

    @cached_property
    def language(self) -> str | None:
        """A two-letter code, None where it does not show."""
        return language_of(self.text)

    @property
    def has_code(self) -> bool:
        """Whether a line looks like program code."""
        return _CODE.search(self.text) is not None

    @property
    def is_question(self) -> bool:
        """Whether the text ends in a question mark."""
        return self.text.rstrip().endswith(("?", "？"))


class Reading:
    """A request as conditions read it; made once, asked by every rule.

    Args:
        request: what the caller sent; labels and outcomes are not in it.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self._texts: dict[Scope, Text] = {}

    def text(self, scope: Scope) -> Text:
        """Returns the text of a scope, its messages joined by line feeds."""
        if scope not in self._texts:
            self._texts[scope] = Text(self._join(scope))
        return self._texts[scope]

    def _join(self, scope: Scope) -> str:
        messages = self.request.messages
        if scope == "user":
            return last_user_text(messages)
        if scope == "system":
            chosen = [message for message in messages if message.get("role") == "system"]
        elif scope == "any":
            chosen = list(messages)
        else:
            chosen = [message for message in messages if message.get("role") != "system"]
            if scope == "history":
                users = [place for place, message in enumerate(chosen) if message.get("role") == "user"]
                chosen = chosen[: users[-1]] if users else chosen
        return "\n".join(text_of(message) for message in chosen)

    @cached_property
    def input_tokens(self) -> int:
        """The estimate ceil(characters / 4) over all messages."""
        return estimate_input_tokens(self.request.messages)

    @cached_property
    def turns(self) -> int:
        """User messages so far."""
        return sum(message.get("role") == "user" for message in self.request.messages)

    @property
    def wants_json_schema(self) -> bool:
        """Whether the answer must follow a JSON schema."""
        return (self.request.response_format or {}).get("type") == "json_schema"

    @cached_property
    def has_images(self) -> bool:
        """Whether any message carries an image."""
        return any(
            isinstance(part, dict) and part.get("type") in ("image_url", "input_image", "image")
            for message in self.request.messages
            if isinstance(message.get("content"), (list, tuple))
            for part in message["content"]
        )

    def features(self) -> dict[str, Any]:
        """Returns what the conditions read, of the last user message where they read a text."""
        text = self.text("user")
        return {
            "input_tokens": self.input_tokens,
            "characters": len(text.text),
            "words": len(text.words),
            "turns": self.turns,
            "digits": round(text.digits, 4),
            "language": text.language,
            "has_code": text.has_code,
            "is_question": text.is_question,
            "has_tools": bool(self.request.tools),
            "has_images": self.has_images,
            "json_schema": self.wants_json_schema,
        }
