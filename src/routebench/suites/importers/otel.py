"""Spans of OpenTelemetry's GenAI conventions: OTLP as JSON, or one span a line with its attributes as an object."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from routebench.suites.importers.amounts import amount, count, moment, seconds_between
from routebench.suites.importers.answers import Answer, Format
from routebench.suites.importers.chat import Reply, error_kind, finish, is_filtered, mapping, tools, unpacked
from routebench.suites.importers.frames import Tally
from routebench.suites.importers.log import (
    Call,
    Entry,
    Log,
    Sifted,
    Skip,
    any_entries,
    dumped,
    missing,
    read_log,
)
from routebench.suites.importers.outcomes import GRADER
from routebench.suites.importers.span_messages import asked_messages, attributes, spoken
from routebench.types import Case, ErrorKind, GraderSpec, Request, Usage

_CHATS = frozenset({"chat", "completion", "text_completion", "generate_content"})
_PARAMS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_tokens": "max_tokens",
    "stop_sequences": "stop",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "reasoning.level": "reasoning_effort",
}
"""gen_ai.request.* -> the request's parameter."""
_GRADER = GraderSpec(GRADER)
_FOREIGN = missing("`resourceSpans`, or `attributes` and a span id")
_NO_CALL = Skip("spans that are no call of a model")
_NO_MODEL = Skip("spans without a model")
_NO_MESSAGES = Skip("spans without recorded messages")
_FAILED = (2, "2", "ERROR", "STATUS_CODE_ERROR")


def _read(paths: Sequence[Path], tally: Tally, only: Container[int] | None) -> Iterator[Answer]:
    yield from read_log(_LOG, paths, tally, only)


FORMAT = Format(
    "otel",
    "spans of OpenTelemetry's GenAI conventions: OTLP JSON, or a span a line",
    _read,
    is_log=True,
)


def _entries(path: Path) -> Iterator[Entry]:
    for where, record, data in any_entries(path):
        resources = record.get("resourceSpans", record.get("resource_spans"))
        if not isinstance(resources, list):
            yield where, _span(record), data
            continue
        number = 0
        for resource in resources:
            for scope in _list(resource, "scopeSpans", "scope_spans", "instrumentationLibrarySpans"):
                for span in _list(scope, "spans"):
                    number += 1
                    yield f"{where}: span {number}", _span(span), dumped(span)


def _span(record: dict[str, Any]) -> dict[str, Any]:
    """A span with its attributes as an object, and those of its events besides."""
    if not isinstance(record.get("attributes"), (dict, list)):
        return record
    events = []
    for event in _list(record, "events"):
        name, held = event.get("name"), attributes(event.get("attributes"))
        events.append({**held, "event": str(name or held.get("event.name"))})
    return {**record, "attributes": attributes(record["attributes"]), "events": events}


def _sift(record: dict[str, Any]) -> Sifted | Skip:
    held = record.get("attributes")
    if not isinstance(held, dict) or not _id(record, "span"):
        return _FOREIGN
    operation = held.get("gen_ai.operation.name") or held.get("llm.request.type")
    if operation and str(operation) not in _CHATS:
        return Skip(f"spans of operation {str(operation)[:40]}")
    model = held.get("gen_ai.request.model") or held.get("gen_ai.response.model")
    if not operation and not model:
        return _NO_CALL
    found = asked_messages(held, record["events"])
    if not found:
        return _NO_MESSAGES
    if not isinstance(model, str):
        return _NO_MODEL
    trace, span = _id(record, "trace"), _id(record, "span")
    return found, model, f"{trace}-{span}" if trace else span


def _answer(call: Call, tally: Tally) -> Answer:
    record, where = call.record, call.where
    held = record["attributes"]
    said = _reply(record)
    status = mapping(record.get("status"))
    kind = said.error_kind
    if held.get("error.type") or _either(status, "code", "status_code") in _FAILED:
        told = str(held.get("error.type") or "")
        words = f"{told} {_either(status, 'message', 'description') or ''}"
        kind = error_kind(told if told.isdecimal() else None, words, tally)
    started = _time(record, "start", tally)
    conversation = held.get("gen_ai.conversation.id")
    return Answer(
        Case(call.case_id, _request(held, call), grader=_GRADER),
        call.model,
        error_kind=kind,
        text=said.text,
        tool_calls=said.tool_calls,
        finish_reason=said.finish_reason,
        usage=_usage(held, where),
        latency_s=seconds_between(started, _time(record, "end", tally), "latency", where),
        ttft_s=amount(held.get("gen_ai.response.time_to_first_chunk"), "time_to_first_chunk", where),
        started_at=started,
        conversation=str(conversation) if conversation else None,
        where=where,
    )


def _reply(record: Mapping[str, Any]) -> Reply:
    held = record["attributes"]
    message, reason = spoken(held, record["events"])
    if reason is None:
        reasons = unpacked(held.get("gen_ai.response.finish_reasons"))
        reason = reasons[0] if isinstance(reasons, list) and reasons else reasons
    withheld: ErrorKind | None = "content_filter" if is_filtered(reason) else None
    return Reply(message.text, message.tool_calls, finish(reason), error_kind=withheld)


def _request(held: Mapping[str, Any], call: Call) -> Request:
    params = {}
    for theirs, ours in _PARAMS.items():
        value = unpacked(held.get(f"gen_ai.request.{theirs}"))
        if value is not None:
            params[ours] = value
    return Request(call.messages, tools=_tools(held), params=params)


def _tools(held: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The tools, as a chat request names them; OpenLLMetry numbers theirs."""
    found = list(tools(held.get("gen_ai.tool.definitions")))
    number = 0
    while (name := held.get(f"llm.request.functions.{number}.name")) is not None:
        one = {"name": name}
        for key in ("description", "parameters"):
            value = held.get(f"llm.request.functions.{number}.{key}")
            if value is not None:
                one[key] = unpacked(value)
        found.append(one)
        number += 1
    return tuple(
        {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}
        if "function" not in tool and "name" in tool and tool.get("type", "function") == "function"
        else tool
        for tool in found
    )


def _usage(held: Mapping[str, Any], where: str) -> Usage:
    def tokens(*names: str) -> int | None:
        for name in names:
            if (value := held.get(f"gen_ai.usage.{name}")) is not None:
                return count(value, name, where)
        return None

    return Usage(
        input_tokens=tokens("input_tokens", "prompt_tokens"),
        output_tokens=tokens("output_tokens", "completion_tokens"),
        cached_input_tokens=tokens("cache_read.input_tokens", "cache_read_input_tokens"),
        cache_write_tokens=tokens(
            "cache_creation.input_tokens", "cache_write.input_tokens", "cache_creation_input_tokens"
        ),
        reasoning_tokens=tokens("reasoning.output_tokens"),
    )


def _time(record: Mapping[str, Any], edge: str, tally: Tally) -> Any:
    names = (f"{edge}TimeUnixNano", f"{edge}_time_unix_nano", f"{edge}_time", f"{edge}Time")
    return moment(_either(record, *names), tally)


def _id(record: Mapping[str, Any], what: str) -> str | None:
    context = record.get("context")
    for place in (record, context) if isinstance(context, dict) else (record,):
        if value := _either(place, f"{what}Id", f"{what}_id"):
            return str(value)
    return None


def _either(record: Mapping[str, Any], *names: str) -> Any:
    return next((record[name] for name in names if record.get(name) is not None), None)


def _list(record: Any, *names: str) -> list[Any]:
    value = _either(record, *names) if isinstance(record, dict) else None
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


_LOG = Log("otel", "startTimeUnixNano", _entries, _sift, _answer)
