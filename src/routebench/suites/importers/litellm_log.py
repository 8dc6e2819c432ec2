"""LiteLLM's logs: what its file, S3 and GCS callbacks write (a StandardLoggingPayload a line), and its spend table."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from routebench.suites.importers.amounts import amount, count, dollars, moment, seconds_between
from routebench.suites.importers.answers import Answer, Format
from routebench.suites.importers.chat import (
    NO_REPLY,
    error_kind,
    mapping,
    messages,
    packed_reply,
    shaping,
    tools,
    unpacked,
    usage,
)
from routebench.suites.importers.frames import Tally
from routebench.suites.importers.log import Call, Log, Sifted, Skip, json_entries, missing, read_log
from routebench.suites.importers.outcomes import GRADER
from routebench.types import Case, ErrorKind, GraderSpec, Message, Request, Usage

_REDACTED = "redacted-by-litellm"
_CHATS = frozenset(
    """
    completion acompletion text_completion atext_completion responses aresponses anthropic_messages
    generate_content agenerate_content generate_content_stream agenerate_content_stream
    """.split()
)
_GRADER = GraderSpec(GRADER)
_FOREIGN = missing("`model` and one of `call_type`, `request_id` and `startTime`")
_NO_MODEL = Skip("lines without a model")
_NO_MESSAGES = Skip("lines whose messages the gateway did not record")
_WAS_REDACTED = Skip("lines whose messages were redacted by the gateway")


def _read(paths: Sequence[Path], tally: Tally, only: Container[int] | None) -> Iterator[Answer]:
    yield from read_log(_LOG, paths, tally, only)


FORMAT = Format(
    "litellm-log",
    "logs of a LiteLLM proxy as JSON Lines: its callbacks' payloads, or rows of its spend table",
    _read,
    is_log=True,
)


def _sift(record: dict[str, Any]) -> Sifted | Skip:
    kind = record.get("call_type")
    if "model" not in record or not (
        kind or "request_id" in record or ("startTime" in record and "messages" in record)
    ):
        return _FOREIGN
    if kind and str(kind) not in _CHATS:
        return Skip(f"calls of type {str(kind)[:40]}")
    found = messages(record.get("messages"))
    if found is None:
        # Newer versions keep the prompts of the spend table with the body that was posted.
        found = messages(mapping(record.get("proxy_server_request")))
    if found is None:
        return _NO_MESSAGES
    said = record.get("response")
    if found[0].get("content") == _REDACTED or (said.get("text") if isinstance(said, dict) else said) == _REDACTED:
        return _WAS_REDACTED
    model = record.get("model") or record.get("model_group")
    if not isinstance(model, str) or not model:
        return _NO_MODEL
    identity = record.get("id") or record.get("request_id")
    return found, model, str(identity) if identity else None


def _answer(call: Call, tally: Tally) -> Answer:
    record, where = call.record, call.where
    get = record.get
    kind = _failure(record, tally)
    said = NO_REPLY if kind is not None else packed_reply(get("response"), tally)
    started = moment(get("startTime"), tally)
    cost: float | None = None
    latency: float | None = None
    first: float | None = None
    if str(get("cache_hit")).lower() == "true":
        tally.noted["answers from the gateway's cache, their cost and latency left unknown"] += 1
    else:
        cost = _cost(record, kind, where, tally)
        ended = moment(get("endTime"), tally)
        latency = seconds_between(started, ended, "latency", where)
        if latency is None and not get("stream"):
            # Of a stream this is the time to its first token.
            latency = amount(get("response_time"), "response_time", where)
        begun = moment(get("completionStartTime"), tally)
        # Without a stream the first token is said to come with the last.
        if get("stream") is not False and begun is not None and begun != ended:
            first = seconds_between(started, begun, "ttft", where)
    return Answer(
        Case(call.case_id, _request(record, call.messages), grader=_GRADER),
        call.model,
        error_kind=kind or said.error_kind,
        text=said.text,
        tool_calls=said.tool_calls,
        finish_reason=said.finish_reason,
        usage=_usage(record, said.usage, kind, where),
        cost_usd=cost,
        latency_s=latency,
        ttft_s=first,
        started_at=started,
        conversation=_conversation(record),
        where=where,
    )


def _request(record: Mapping[str, Any], sent: tuple[Message, ...]) -> Request:
    asked = mapping(record.get("model_parameters") or record.get("proxy_server_request"))
    above = asked.get("system") or asked.get("instructions")
    if isinstance(above, (str, list)) and sent[0].get("role") != "system":
        sent = ({"role": "system", "content": above}, *sent)
    metadata = mapping(record.get("metadata"))
    tags = unpacked(record.get("request_tags"))
    return Request(
        sent,
        tools=tools(asked.get("tools")) if asked else (),
        response_format=mapping(asked.get("response_format")) or None,
        params=shaping(asked),
        # The rest of it is the gateway's own: keys, teams, users.
        metadata=mapping(metadata.get("requester_metadata")),
        tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
    )


def _failure(record: Mapping[str, Any], tally: Tally) -> ErrorKind | None:
    if record.get("status") == "success":
        return None
    metadata = mapping(record.get("metadata"))
    if (record.get("status") or metadata.get("status")) != "failure":
        return None
    told = mapping(record.get("error_information") or metadata.get("error_information"))
    words = " ".join(str(told.get(name) or "") for name in ("error_class", "error_message"))
    return error_kind(told.get("error_code"), f"{words} {record.get('error_str') or ''}", tally)


def _cost(record: Mapping[str, Any], failed: ErrorKind | None, where: str, tally: Tally) -> float | None:
    cost = amount(record.get("response_cost", record.get("spend")), "response_cost", where)
    if cost == 0:
        # The gateway writes 0 for a model without a price, and for every failure.
        if failed is None and record.get("total_tokens") != 0:
            tally.noted["costs of 0 for tokens that were used, left unknown: the gateway knew no price"] += 1
        return None
    return dollars(cost, record.get("currency"), where, tally)


def _usage(record: Mapping[str, Any], told: Usage, failed: ErrorKind | None, where: str) -> Usage:
    given = count(record.get("prompt_tokens"), "prompt_tokens", where)
    made = count(record.get("completion_tokens"), "completion_tokens", where)
    if told.input_tokens is None and given and "metadata" in record:
        told = usage(mapping(record["metadata"]).get("usage_object"))
    if not given and (failed is not None or not made):
        # No prompt has 0 tokens: nobody counted.
        given, made = told.input_tokens, told.output_tokens
    return Usage(
        input_tokens=given or told.input_tokens,
        output_tokens=told.output_tokens if made is None else made,
        cached_input_tokens=told.cached_input_tokens,
        cache_write_tokens=told.cache_write_tokens,
        reasoning_tokens=told.reasoning_tokens,
    )


def _conversation(record: Mapping[str, Any]) -> str | None:
    named = record.get("session_id")
    if not named and (trace := record.get("trace_id")) != (record.get("id") or record.get("request_id")):
        named = trace
    return str(named) if named else None


_LOG = Log("litellm-log", "startTime", json_entries, _sift, _answer)
