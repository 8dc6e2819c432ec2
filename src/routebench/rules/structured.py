"""JSON in answers: read, and held against the schema that the caller asked for."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import re2

from routebench.errors import MissingDependencyError
from routebench.types import Request, ToolCall

_FENCE = re.compile(r"\A\s*```(?:json)?[ \t]*\n(.*?)\n?```\s*\Z", re.DOTALL)
_SHOWN_CHARACTERS = 120
_MOST_STEPS = 100_000
"""Of one check: a schema of a few lines can refer to itself so that no machine comes to its end."""
_steps = threading.local()


def read_json(text: str) -> Any:
    """Returns the JSON value that a text is, perhaps as one fenced block.

    Raises:
        ValueError: it is none.
    """
    fenced = _FENCE.match(text)
    try:
        return json.loads(fenced[1] if fenced else text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def schema_of(request: Request) -> Mapping[str, Any] | None:
    """Returns the JSON Schema that a request wants its answer to follow, None where it wants none."""
    asked = request.response_format if isinstance(request.response_format, Mapping) else {}
    inner = asked.get("json_schema") if asked.get("type") == "json_schema" else None
    schema = inner.get("schema") if isinstance(inner, Mapping) else None
    return schema if isinstance(schema, Mapping) else None


def misfit(document: Any, schema: Mapping[str, Any]) -> str | None:
    """Returns why a value does not fit a JSON Schema, None where it does.

    A schema that is none itself is fitted by nothing: what cannot be checked must not pass.
    """
    try:
        body = json.dumps(schema, sort_keys=True)
        problem = next(_errors(body, document), None)
    except RecursionError:
        return "it is nested too deep to be held against the schema"
    except (TypeError, ValueError, _UnusableSchemaError) as error:
        return f"the schema cannot be used: {str(error)[:_SHOWN_CHARACTERS]}"
    if problem is None:
        return None
    place = "/".join(map(str, problem.absolute_path)) or "the answer"
    return f"{place} does not fit the schema's `{problem.validator}`"


def misfit_of_calls(calls: tuple[ToolCall, ...], request: Request) -> str | None:
    """Returns why calls do not fit the tools that a request offers, None where every one does."""
    offered = {}
    for tool in request.tools:
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if isinstance(function, Mapping):
            offered[function.get("name")] = function.get("parameters")
    for call in calls:
        if call.name not in offered:
            return f"it calls {call.name!r}, which is no tool of the request"
        try:
            arguments = read_json(call.arguments or "{}")
        except ValueError:
            return f"the arguments of {call.name!r} are not JSON"
        schema = offered[call.name]
        found = misfit(arguments, schema) if isinstance(schema, Mapping) else None
        if found is not None:
            return f"the arguments of {call.name!r}: {found}"
    return None


class _UnusableSchemaError(Exception):
    """A schema refers to somewhere else, or is none, or takes too long."""


def _errors(schema: str, document: Any) -> Iterator[Any]:
    import jsonschema
    from referencing.exceptions import Unresolvable

    _steps.left = _MOST_STEPS
    try:
        yield from _validator(schema).iter_errors(document)
    except (jsonschema.exceptions.SchemaError, jsonschema.exceptions.UndefinedTypeCheck, Unresolvable) as error:
        raise _UnusableSchemaError(str(error)) from None
    except (AttributeError, re2.error) as error:
        # jsonschema trusts that a schema is one; `check_schema` does not look at patterns.
        raise _UnusableSchemaError(str(error)) from None


@lru_cache(maxsize=64)
def _validator(schema: str) -> Any:
    """A validator that asks nobody for references and whose patterns take linear time."""
    try:
        import jsonschema
        from referencing import Registry
    except ImportError:
        raise MissingDependencyError(
            "checking answers against a schema needs jsonschema: pip install jsonschema"
        ) from None
    value = json.loads(schema)
    validators: Any = jsonschema.validators
    checks = {
        **jsonschema.Draft202012Validator.VALIDATORS,
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
    }
    kind = validators.extend(jsonschema.Draft202012Validator, {name: _counted(one) for name, one in checks.items()})
    kind.check_schema(value)
    return kind(value, registry=Registry())


def _counted(check: Callable[..., Any]) -> Callable[..., Any]:
    def counted(validator: Any, said: Any, instance: Any, schema: Any) -> Any:
        _steps.left -= 1
        if _steps.left < 0:
            raise _UnusableSchemaError(f"it takes more than {_MOST_STEPS:,} steps")
        return check(validator, said, instance, schema)

    return counted


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if isinstance(instance, str) and not _search(pattern, instance):
        yield ValidationError("does not match the pattern")


def _pattern_properties(validator: Any, patterns: Mapping[str, Any], instance: Any, _schema: Any) -> Iterator[Any]:
    if isinstance(instance, dict):
        for pattern, inner in patterns.items():
            for key, value in instance.items():
                if _search(pattern, key):
                    yield from validator.descend(value, inner, path=key, schema_path=pattern)


def _search(pattern: str, text: str) -> bool:
    # The schema is the caller's, and so is the pattern: it must not be able to stop the process.
    options = re2.Options()
    options.log_errors = False
    found = re2.compile(pattern.encode(errors="replace"), options).search(text.encode(errors="replace"))
    return found is not None
