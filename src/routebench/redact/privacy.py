"""What a store may keep of texts: all, all without personal data, or none; applied before anything is written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from routebench.redact.banking import CARD, IBAN
from routebench.redact.personal import EMAIL, Redactor
from routebench.redact.phones import PHONE
from routebench.types import Case, Completion, GraderSpec, Request, ToolCall

_BLANK = re.compile(rf"\[(?:{EMAIL}|{PHONE}|{CARD}|{IBAN})\]")

TextMode = Literal["full", "redacted", "none"]
TEXT_MODES: tuple[TextMode, ...] = get_args(TextMode)


@dataclass(frozen=True, slots=True)
class Privacy:
    """What is kept of the texts of cases and answers.

    Attributes:
        text: `full`, `redacted` (without personal data), or `none`.
        redactor: finds personal data.
    """

    text: TextMode = "full"
    redactor: Redactor = field(default_factory=Redactor)

    def of_text(self, text: str | None) -> str | None:
        """Returns what may be kept of a text."""
        if text is None or self.text == "full":
            return text
        return None if self.text == "none" else self.redactor.clean(text)

    def lacks(self, text: str | None) -> bool:
        """Whether a kept text shows that personal data was taken out of it; what a user's function took is not seen."""
        return self.text == "redacted" and text is not None and _BLANK.search(text) is not None

    def of_value(self, value: Any) -> Any:
        """Returns what may be kept of a JSON value of the user's; keys of objects are texts like any other."""
        if value is None or self.text == "full":
            return value
        return None if self.text == "none" else self.redactor.clean_all(value, names=True)

    def of_calls(self, calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
        """Returns what may be kept of calls of tools; what stays of their arguments is JSON as before."""
        if self.text == "full":
            return tuple(calls)
        kept = () if self.text == "none" else calls
        return tuple(
            replace(call, name=self.redactor.clean(call.name), arguments=self.redactor.clean_json(call.arguments))
            for call in kept
        )

    def of_request(self, request: Request) -> Request:
        """Returns what may be kept of a request: without any message where no text may be."""
        if self.text == "full":
            return request
        if self.text == "none":
            return Request(messages=(), tags=request.tags)
        return replace(
            request,
            messages=tuple(_plain(self.redactor.clean_all(dict(message)), message) for message in request.messages),
            tools=tuple(self.redactor.clean_all(list(request.tools))),
            response_format=self.redactor.clean_all(request.response_format),
            params=self.redactor.clean_all(dict(request.params)),
            metadata=self.redactor.clean_all(dict(request.metadata)),
        )

    def of_case(self, case: Case) -> Case:
        """Returns what may be kept of a case: labels, numbers, and which grader, without texts in its options."""
        if self.text == "full":
            return case
        return replace(
            case,
            request=self.of_request(case.request),
            target=self.of_value(case.target),
            grader=self._of_grader(case.grader),
        )

    def _of_grader(self, grader: GraderSpec) -> GraderSpec:
        """Rubrics, references and tests of a program are texts; the key stays that of the whole options."""
        if not grader.options:
            return grader
        _, _, digest = grader.key.partition("#")
        kept = {} if self.text == "none" else self.redactor.clean_all(dict(grader.options))
        return GraderSpec(grader.name, kept, digest)

    def of_completion(self, completion: Completion) -> Completion:
        """Returns what may be kept of an answer: numbers always; errors repeat prompts, so they count as texts."""
        if self.text == "full":
            return completion
        return replace(
            completion,
            text=self.of_text(completion.text),
            reasoning=self.of_text(completion.reasoning),
            tool_calls=self.of_calls(completion.tool_calls),
            error=self.of_text(completion.error),
            raw_finish_reason=self._of_word(completion.raw_finish_reason),
            served_model=self._of_word(completion.served_model),
            usage=replace(completion.usage, raw=self._of_usage(completion.usage.raw)),
        )

    def _of_word(self, text: str | None) -> str | None:
        """A server says its own words here, and may say anything."""
        return None if text is None else self.redactor.clean(text)

    def _of_usage(self, raw: Mapping[str, Any] | None) -> Any:
        if raw is None or self.text == "redacted":
            return self.of_value(raw)
        return _numbers(raw)


FULL = Privacy()
"""Keeps everything."""


def _numbers(value: Any) -> Any:
    """A JSON value without the texts in it."""
    if isinstance(value, Mapping):
        return {key: _numbers(inner) for key, inner in value.items() if not isinstance(inner, str)}
    if isinstance(value, (list, tuple)):
        return [_numbers(inner) for inner in value if not isinstance(inner, str)]
    return value


def _plain(cleaned: Mapping[str, Any], message: Mapping[str, Any]) -> dict[str, Any]:
    """A message's role names no person, whatever it looks like."""
    return {**cleaned, "role": message["role"]} if "role" in message else dict(cleaned)
