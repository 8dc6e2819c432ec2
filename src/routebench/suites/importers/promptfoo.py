"""What `promptfoo eval --output` writes: a JSON object that holds the results, or JSON Lines of them."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from routebench.suites.importers.answers import Answer, Format
from routebench.suites.importers.benchmark import (
    Cases,
    amount,
    count,
    digest,
    finished,
    head_keys,
    imported_case,
    json_object,
    json_rows,
    kind_of_error,
    name_of,
    need,
    not_of_format,
    object_of,
    score_of,
    text_of_value,
    user,
)
from routebench.suites.importers.frames import Tally
from routebench.types import Case, ErrorKind, Message, ToolCall, Usage

_NAME = "promptfoo"
_NEEDED = ("provider", "prompt", "success")
_EXPECTED = ("equals", "contains", "icontains")
"""Assertions whose value is the right answer, or a part of it."""
_ERROR = 2
"""promptfoo's failureReason of a call that failed; an assertion that failed is 1."""
_FINISH: Mapping[str, str] = {"stop": "stop", "length": "length", "tool_calls": "tool_calls"}


def read(paths: Sequence[Path], tally: Tally, only: Container[int] | None = None) -> Iterator[Answer]:
    """Reads results; a case is a rendered prompt and what is expected of the answer, repeats are samples.

    Answers out of promptfoo's own cache have no latency and no cost. An answer that no assertion checked is unscored,
    although promptfoo passes it.

    Raises:
        OutcomesError: a file is not of the format, a score is not from 0 to 1, or a cost or a latency is no amount.
    """
    return finished(_answers(paths, tally), paths, tally, only)


FORMAT = Format(_NAME, "promptfoo's results: promptfoo eval --output x.json or x.jsonl", read)


def _answers(paths: Sequence[Path], tally: Tally) -> Iterator[Answer]:
    cases = Cases()
    for path in paths:
        for where, row in _rows(path):
            model, case = _model(row.get("provider")), _case(row)
            if model is None:
                tally.skipped["results without a provider"] += 1
            elif case is None:
                tally.skipped["results without a prompt"] += 1
            else:
                yield _answer(cases.one(case, where), model, row, where, tally)


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    found = False
    for where, row in _placed(path):
        if not found:
            need(row, _NEEDED, where, _NAME)
        found = True
        yield where, row
    if not found:
        raise not_of_format(path, _NAME, "no results.results", head_keys(path))


def _placed(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    is_document = False
    for name, number, row in json_object(path, ("results", "results"), _NAME):
        is_document = is_document or name.startswith("results")
        if number:
            yield f"{path}: result {number}", row
    if not is_document:
        # The object was the first line's.
        yield from json_rows(path, _NEEDED, _NAME)


def _model(provider: Any) -> str | None:
    """A provider's label, under which one model may stand with several settings, else its id."""
    if isinstance(provider, dict):
        return name_of(provider.get("label")) or name_of(provider.get("id"))
    return name_of(provider)


def _case(row: Mapping[str, Any]) -> Case | None:
    prompt = row.get("prompt")
    raw = prompt.get("raw") if isinstance(prompt, dict) else prompt
    messages = _messages(raw)
    if not messages:
        return None
    test = object_of(row.get("testCase"))
    told = object_of(test.get("metadata"))
    target = _target(test.get("assert"))
    return imported_case(
        # Places in the file are no ids: they change with every test that is put before.
        digest([dict(message) for message in messages], target),
        messages,
        target=target,
        category=name_of(told.get("category")),
        group=name_of(told.get("conversationId")),
    )


def _messages(raw: Any) -> list[Message]:
    if not isinstance(raw, str):
        return []
    if raw.lstrip().startswith("["):
        try:
            found = json.loads(raw)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list) and found and all(isinstance(part, dict) and "role" in part for part in found):
            return found
    return [user(raw)] if raw.strip() else []


def _target(assertions: Any) -> str | None:
    for assertion in assertions if isinstance(assertions, list) else ():
        if isinstance(assertion, dict) and assertion.get("type") in _EXPECTED:
            value = assertion.get("value")
            if isinstance(value, str):
                return value
    return None


def _answer(case: Case, model: str, row: Mapping[str, Any], where: str, tally: Tally) -> Answer:
    response = object_of(row.get("response"))
    cached = response.get("cached") is True
    if cached:
        tally.noted["cached answers, whose latency and cost are unknown"] += 1
    failure = _failure(row, response)
    output = response.get("output")
    calls = _tool_calls(output)
    reason = response.get("finishReason")
    latency_ms = None if cached else amount(row.get("latencyMs", response.get("latencyMs")), "latencyMs", where)
    return Answer(
        case,
        model,
        score=None if failure else _score(row, where, tally),
        error_kind=failure,
        text=None if calls else text_of_value(output),
        tool_calls=calls,
        finish_reason=_FINISH.get(str(reason), "other") if reason else None,
        usage=_usage(response.get("tokenUsage") or row.get("tokenUsage"), where),
        cost_usd=None if cached or failure else _cost(row, response, where),
        latency_s=None if latency_ms is None else latency_ms / 1000,
        where=where,
    )


def _failure(row: Mapping[str, Any], response: Mapping[str, Any]) -> ErrorKind | None:
    error = response.get("error")
    # `error` beside a response holds the reason of an assertion that failed, too.
    if not error and (row.get("failureReason") == _ERROR or (row.get("error") and not response)):
        error = row.get("error") or "unknown"
    return kind_of_error(str(error)) if error else None


def _score(row: Mapping[str, Any], where: str, tally: Tally) -> float | None:
    graded, test = object_of(row.get("gradingResult")), object_of(row.get("testCase"))
    # Older results hold no test case, and then a verdict is all that there is.
    if not test.get("assert") and not graded.get("componentResults") and (test or not graded):
        tally.noted["answers that no assertion checked"] += 1
        return None
    value = graded.get("score", row.get("score"))
    return score_of(row.get("success") if value is None else value, where)


def _usage(told: Any, where: str) -> Usage:
    if not isinstance(told, dict):
        return Usage()
    prompt, completion = count(told.get("prompt"), "prompt", where), count(told.get("completion"), "completion", where)
    if not prompt and not completion:
        # promptfoo writes 0 where a provider told nothing.
        return Usage()
    details = object_of(told.get("completionDetails"))
    return Usage(
        input_tokens=prompt,
        output_tokens=completion,
        cached_input_tokens=count(details.get("cacheReadInputTokens"), "cacheReadInputTokens", where),
        cache_write_tokens=count(details.get("cacheCreationInputTokens"), "cacheCreationInputTokens", where),
        reasoning_tokens=count(details.get("reasoning"), "reasoning", where),
    )


def _cost(row: Mapping[str, Any], response: Mapping[str, Any], where: str) -> float | None:
    """The response's cost; a result without one has 0, which is then unknown."""
    told = amount(response.get("cost"), "cost", where)
    return amount(row.get("cost"), "cost", where) or None if told is None else told


def _tool_calls(output: Any) -> tuple[ToolCall, ...]:
    """The calls in an output that is a list of them."""
    if not isinstance(output, list) or not output:
        return ()
    functions = [object_of(object_of(call).get("function")) for call in output]
    if not all("name" in function for function in functions):
        return ()
    return tuple(
        ToolCall(name_of(call.get("id")), str(function["name"]), text_of_value(function.get("arguments")) or "")
        for call, function in zip(output, functions, strict=True)
    )
