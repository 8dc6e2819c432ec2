"""What a target can do with each part of a rule set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Degree = Literal["full", "degraded", "none"]

FEATURES: Mapping[str, str] = {
    "any_keyword": "one of several words or phrases",
    "all_keywords": "all of several words or phrases",
    "regex": "a pattern",
    "language": "the text's language",
    "length": "characters or words of the text",
    "input_tokens": "size of the whole request",
    "digits": "share of digits",
    "has_code": "program code",
    "is_question": "a question mark at the end",
    "turns": "user messages so far",
    "has_tools": "tools on offer",
    "has_images": "images and other parts that are not text",
    "json_schema": "an answer by a JSON schema",
    "metadata": "values that the caller sends",
    "tag": "tags that the caller sends",
    "time": "the time of the week",
    "any_all_not": "conditions of conditions",
    "in": "texts other than the last user message",
    "order": "the first rule that matches wins",
    "guards": "guards that hold for the whole chain",
    "complexity": "a score of the request, then a tier",
    "similarity": "past prompts",
    "learned": "predicted utilities",
    "mix": "a default that is drawn",
    "chain": "the next model where one fails",
    "cascade": "answers that are checked, and bought again where they fail",
    "deployments": "several places of one model",
    "health": "models that fail are passed over",
    "budget": "spend in a day",
    "sticky": "a conversation stays with its model",
    "limits": "models that a request is too much for",
    "few_shot": "a system prompt or demonstrations of a model",
    "explore": "a share of requests that tries other models",
}
"""The rows of every target's table, and what they are."""


@dataclass(frozen=True, slots=True)
class Capability:
    """What becomes of one feature in a target.

    Attributes:
        feature: a key of `FEATURES`.
        degree: `full` where it decides as here, `degraded` where mostly, `none` where it is lost.
        sentence: how, and what is different.
    """

    feature: str
    degree: Degree
    sentence: str


def by_classifier(sentence: str, besides: str, held: str) -> tuple[Capability, ...]:
    """Returns the rows of a target whose classifier asks the rule set itself, which reads a request in full.

    Args:
        sentence: how, for what needs nothing more.
        besides: how, for what needs an artifact beside the rules.
        held: what the target has of a chain of ranked models.
    """
    read = (
        *("any_keyword", "all_keywords", "regex", "language", "length", "input_tokens", "digits", "has_code"),
        *("is_question", "turns", "has_tools", "has_images", "json_schema", "metadata", "tag", "time", "any_all_not"),
        *("in", "order", "mix", "limits"),
    )
    ranked = f"the classifier orders the models; {held} the first two of them"
    return (
        *(Capability(feature, "full", sentence) for feature in read),
        Capability("complexity", "full", besides),
        Capability("similarity", "degraded", ranked),
        Capability("learned", "degraded", ranked),
        Capability("sticky", "degraded", "where the caller tells the classifier who answered before, as `previous`"),
    )


CASCADE = Capability(
    "cascade",
    "none",
    "answers are not checked: the chain begins at its last model, or where both orders were replayed at the better one",
)
FEW_SHOT = Capability("few_shot", "none", "the caller's messages are sent as they are")
EXPLORE = Capability("explore", "none", "no request tries another model by chance")


def capability_line(capabilities: tuple[Capability, ...]) -> str:
    """Returns one line: what is full, degraded and lost."""
    return "; ".join(
        f"{degree}: {', '.join(found)}"
        for degree in ("full", "degraded", "none")
        if (found := [one.feature for one in capabilities if one.degree == degree])
    )
