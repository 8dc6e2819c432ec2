"""The grader for structured answers: JSON that fits a schema and has the wanted fields."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from routebench.types import Case, Grade

_FENCE = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)
_MOST_STARTS = 1000
"""Braces of an answer at which an object is looked for: each may cost a reading of the rest."""


def json_schema(case: Case, answer: str) -> Grade:
    """1 when the answer is JSON, fits the `schema` option, and has every key of the target with its value.

    A fenced block is read as JSON too. Strings are compared without letter case and outer blanks. Options:

    - `schema`: a JSON Schema; what does not fit it scores 0.
    - `fields`: `all` (the default), or `share`: the share of the target's values that the answer has. Items of a list
      are compared place by place, and those that the target lacks count as wrong.
    - `lenient`: also take the first JSON object that stands in prose.
    """
    options = case.grader.options
    fenced = _FENCE.search(answer)
    text = fenced[1] if fenced else answer
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        document = _first_object(text) if options.get("lenient", False) else None
        if document is None:
            return Grade("json_schema", 0.0, f"not JSON: {error}")
    if options.get("schema") is not None:
        import jsonschema

        try:
            jsonschema.validate(document, options["schema"])
        except jsonschema.ValidationError as error:
            return Grade("json_schema", 0.0, f"does not fit the schema: {error.message[:200]}")
    if case.target is None:
        return Grade("json_schema", 1.0, "fits")
    matches = list(_matches(document, case.target))
    right = sum(matches)
    if right == len(matches):
        return Grade("json_schema", 1.0, "fits")
    share = right / len(matches) if options.get("fields") == "share" else 0.0
    return Grade("json_schema", share, f"{right} of {len(matches)} fields are as in the target")


def _first_object(text: str) -> dict[str, Any] | None:
    decoder, start = json.JSONDecoder(), -1
    for _ in range(_MOST_STARTS):
        start = text.find("{", start + 1)
        if start < 0:
            return None
        try:
            found, _end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        return found if isinstance(found, dict) else None
    return None


_ABSENT = object()


def _matches(document: Any, target: Any) -> Iterator[bool]:
    """Whether each value of the target is in the document, at its place."""
    if isinstance(target, dict) and target:
        for key, wanted in target.items():
            yield from _matches(document.get(key, _ABSENT) if isinstance(document, dict) else _ABSENT, wanted)
    elif isinstance(target, list) and target:
        given = document if isinstance(document, list) else []
        for place, wanted in enumerate(target):
            yield from _matches(given[place] if place < len(given) else _ABSENT, wanted)
        yield from (False for _ in given[len(target) :])
    else:
        yield _equal(document, target)


def _equal(document: Any, target: Any) -> bool:
    if isinstance(target, dict):
        # An empty one asks for nothing but an object.
        return isinstance(document, dict)
    if isinstance(target, str):
        return isinstance(document, str) and document.strip().casefold() == target.strip().casefold()
    if isinstance(target, bool) or isinstance(document, bool):
        # True == 1 in Python; in an answer they are different things.
        return document is target
    return bool(document == target)
