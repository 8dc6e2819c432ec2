"""What a store may keep of texts: all, all without personal data, or none; applied before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from routebench.redact.personal import Redactor
from routebench.types import Case, Completion, Request

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

    def of_value(self, value: Any) -> Any:
        """Returns what may be kept of a JSON value; its keys are kept with `redacted`."""
        if value is None or self.text == "full":
            return value
        return None if self.text == "none" else self.redactor.clean_all(value)

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
        """Returns what may be kept of a case: of labels, weight, split and how it is graded everything."""
        if self.text == "full":
            return case
        return replace(case, request=self.of_request(case.request), target=self.of_value(case.target))

    def of_completion(self, completion: Completion) -> Completion:
        """Returns what may be kept of an answer: numbers always; errors repeat prompts, so they count as texts."""
        if self.text == "full":
            return completion
        calls = () if self.text == "none" else completion.tool_calls
        return replace(
            completion,
            text=self.of_text(completion.text),
            reasoning=self.of_text(completion.reasoning),
            tool_calls=tuple(replace(call, arguments=self.redactor.clean(call.arguments)) for call in calls),
            error=self.of_text(completion.error),
        )


FULL = Privacy()
"""Keeps everything."""


def _plain(cleaned: Mapping[str, Any], message: Mapping[str, Any]) -> dict[str, Any]:
    """A message's role names no person, whatever it looks like."""
    return {**cleaned, "role": message["role"]} if "role" in message else dict(cleaned)
