"""What a condition can read of a request: its texts and a few surface features, each computed once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self

import re2

from routebench.messages import estimate_input_tokens, has_images, has_unread, spoken
from routebench.rules.reading.keywords import fold, spaced, vocabulary_of, words_of
from routebench.rules.reading.language import language_of
from routebench.rules.reading.once import once
from routebench.types import Message, Request

Scope = Literal["user", "system", "history", "conversation", "any"]
"""Which messages are read: the last user message (the default of rules), the system prompt (`developer` messages are
one too), the conversation but for the last user message, the conversation (everything but the system prompt; the
default of guards), or everything. Of every message all that it says is read, calls of tools and their results too."""

_SYSTEM = ("system", "developer")
_SPACE = r"[\s\v\x1c-\x1f\x{85}\pZ]"
# RE2, for `re` tries every line break of a run of them as a beginning, and again at the next one.
CODE_PATTERN = (
    rf"(?m)```|^{_SPACE}*(?:def |class |import |from [\pL\pN_]+ import|#include|SELECT |public |function |const |let )"
    rf"|[;{{}}]{_SPACE}*$"
)
"""What a line of program code looks like, for RE2."""
_CODE = re2.compile(CODE_PATTERN)
_QUESTION_MARKS = ("?", "\uff1f", "\u061f")
_DIGITS = b"0123456789"
_ASCII = re.compile(r"[\x00-\x7f]+")


@dataclass(frozen=True, slots=True)
class Situation:
    """What is true of the world when a request comes; a condition on what is not known does not hold.

    Attributes:
        at: the time, with its zone.
        budget_pace: what was spent today, divided by what an even day would have spent until now.
    """

    at: datetime | None = None
    budget_pace: float | None = None

    def __post_init__(self) -> None:
        if self.at is not None and self.at.tzinfo is None:
            raise ValueError(f"{self.at} has no time zone; write datetime.now(UTC), or the like")


_UNKNOWN = Situation()


class Text:
    """One text, with the pieces that conditions ask for."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.found: tuple[object, frozenset[int]] = (None, frozenset())
        """The set of patterns that was searched for latest, and what it found; only one, so that nothing piles up."""

    @once
    def data(self) -> bytes:
        """The text in UTF-8; halves of characters are question marks."""
        return self.text.encode(errors="replace")

    @once
    def folded(self) -> str:
        """The text without differences of case and of Unicode forms, as keywords are compared."""
        return fold(self.text)

    @once
    def spaced(self) -> str:
        """The folded text with one space for every run of white space."""
        return spaced(self.folded)

    @once
    def words(self) -> list[str]:
        """Runs of letters, digits, underscores and marks, folded."""
        return words_of(self.folded)

    @once
    def vocabulary(self) -> frozenset[str]:
        """The distinct words that keywords are looked up in; of scripts without spaces there are none."""
        return vocabulary_of(self.folded, self.words)

    @once
    def digits(self) -> float:
        """The share of characters that are digits, 0 for an empty text."""
        plain = self.data if self.text.isascii() else self.text.encode("ascii", "ignore")
        number = len(plain) - len(plain.translate(None, _DIGITS))
        if len(plain) < len(self.text):
            number += sum(map(str.isdigit, _ASCII.sub("", self.text)))
        return number / max(1, len(self.text))

    @once
    def language(self) -> str | None:
        """A two-letter code, None where it does not show."""
        return language_of(self.text, self.words)

    @once
    def has_code(self) -> bool:
        """Whether a line looks like program code."""
        return _CODE.search(self.data) is not None

    @once
    def is_question(self) -> bool:
        """Whether the text ends in a question mark."""
        return self.text.rstrip().endswith(_QUESTION_MARKS)


class Reading:
    """A request as conditions read it; made once, asked by every rule.

    Args:
        request: what the caller sent; labels and outcomes are not in it.
        situation: what is true of the world; unknown when left out.
    """

    def __init__(self, request: Request, situation: Situation = _UNKNOWN) -> None:
        self.request = request
        self.situation = situation
        self._content = _Content(request)

    def within(self, situation: Situation) -> Self:
        """Returns the same request in another situation; what was computed of its texts serves both."""
        other = copy(self)
        other.situation = situation
        return other

    def text(self, scope: Scope) -> Text:
        """Returns the text of a scope, its messages joined by line feeds."""
        content = self._content
        found = content.texts.get(scope)
        return content.read(scope) if found is None else found

    @property
    def input_tokens(self) -> int:
        """The estimate ceil(characters / 4) over all messages."""
        return self._content.input_tokens

    @property
    def turns(self) -> int:
        """User messages so far."""
        return self._content.turns

    @property
    def wants_json_schema(self) -> bool:
        """Whether the answer must follow a JSON schema."""
        wanted = self.request.response_format
        return isinstance(wanted, Mapping) and wanted.get("type") == "json_schema"

    @property
    def has_images(self) -> bool:
        """Whether any message carries an image."""
        return self._content.has_images

    @property
    def has_unread(self) -> bool:
        """Whether a message has a part that is not read as text: an image, audio, a file, anything unknown."""
        return self._content.has_unread

    def features(self) -> Features:
        """Returns what the conditions read, of the last user message where they read a text."""
        return Features(self)


class _Content:
    """What a request says, whatever the situation."""

    def __init__(self, request: Request) -> None:
        self._messages = request.messages
        self.texts: dict[Scope, Text] = {}

    def read(self, scope: Scope) -> Text:
        chosen = self._chosen(scope)
        if scope != "history" and len(chosen) == 1 and chosen[0].get("role") == "user":
            # Of most requests the user's message is all there is: read it once, for guards and for rules.
            alone = self.texts.get("user") or self.texts.setdefault("user", Text(spoken(chosen[0])))
            return self.texts.setdefault(scope, alone)
        # Of two threads that read the same scope the first one's text serves both.
        return self.texts.setdefault(scope, Text("\n".join([spoken(message) for message in chosen])))

    def _chosen(self, scope: Scope) -> Sequence[Message]:
        messages = self._messages
        if scope == "any":
            return messages
        if scope == "system":
            return [message for message in messages if message.get("role") in _SYSTEM]
        last = next((place for place in reversed(range(len(messages))) if messages[place].get("role") == "user"), None)
        if scope == "user":
            return () if last is None else (messages[last],)
        return [
            message
            for place, message in enumerate(messages)
            if message.get("role") not in _SYSTEM and (scope == "conversation" or place != last)
        ]

    @once
    def input_tokens(self) -> int:
        return estimate_input_tokens(self._messages)

    @once
    def turns(self) -> int:
        return sum(message.get("role") == "user" for message in self._messages)

    @once
    def has_images(self) -> bool:
        return has_images(self._messages)

    @once
    def has_unread(self) -> bool:
        return has_unread(self._messages)


class Features(Mapping[str, Any]):
    """What conditions read of a request, by name; computed when it is looked at, for most decisions are only used.

    Attributes:
        reading: of the request.
    """

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    def __getitem__(self, name: str) -> Any:
        return _FEATURES[name](self.reading)

    def __iter__(self) -> Iterator[str]:
        return iter(_FEATURES)

    def __len__(self) -> int:
        return len(_FEATURES)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        # Copies and other processes get the values: a reading holds compiled patterns.
        return dict, (dict(self),)


_FEATURES: Mapping[str, Callable[[Reading], Any]] = {
    "input_tokens": lambda reading: reading.input_tokens,
    "characters": lambda reading: len(reading.text("user").text),
    "words": lambda reading: len(reading.text("user").words),
    "turns": lambda reading: reading.turns,
    "digits": lambda reading: round(reading.text("user").digits, 4),
    "language": lambda reading: reading.text("user").language,
    "has_code": lambda reading: reading.text("user").has_code,
    "is_question": lambda reading: reading.text("user").is_question,
    "has_tools": lambda reading: bool(reading.request.tools),
    "has_images": lambda reading: reading.has_images,
    "json_schema": lambda reading: reading.wants_json_schema,
}
