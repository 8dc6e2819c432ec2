"""The grader for structured answers: JSON that fits a schema and has the wanted fields."""

from __future__ import annotations

import json
import re
from typing import Any

from routebench.types import Case, Grade

_FENCE = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)


def json_schema(case: Case, answer: str) -> Grade:
    """1 when the answer is JSON, fits the `schema` option, and has every key of the target with its value.

    A fenced block is read as JSON too. Strings are compared without letter case and outer blanks.
    """
    fenced = _FENCE.search(answer)
    try:
        document = json.loads(fenced[1] if fenced else answer)
    except ValueError as error:
        return Grade("json_schema", 0.0, f"not JSON: {error}")
    schema = case.grader.options.get("schema")
    if schema is not None:
        import jsonschema

        try:
            jsonschema.validate(document, schema)
        except jsonschema.ValidationError as error:
            return Grade("json_schema", 0.0, f"does not fit the schema: {error.message[:200]}")
    if case.target is not None and not _has(document, case.target):
        return Grade("json_schema", 0.0, "the fields differ from the target")
    return Grade("json_schema", 1.0, "fits")


def _has(document: Any, target: Any) -> bool:
    if isinstance(target, dict):
        return isinstance(document, dict) and all(
            key in document and _has(document[key], value) for key, value in target.items()
        )
    if isinstance(target, list):
        return (
            isinstance(document, list)
            and len(document) == len(target)
            and all(_has(given, wanted) for given, wanted in zip(document, target, strict=True))
        )
    if isinstance(target, str):
        return isinstance(document, str) and document.strip().casefold() == target.strip().casefold()
    # True == 1 in Python; in an answer they are different things.
    return (
        type(document) is type(target) and bool(document == target) if isinstance(target, bool) else document == target
    )
