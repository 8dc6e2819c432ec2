"""The plain form of a log, for those who have no gateway that writes one: JSON Lines, an object a call."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from routebench.errors import OutcomesError, nearest
from routebench.suites.importers.amounts import amount, count, dollars, moment, share
from routebench.suites.importers.answers import Answer, Format
from routebench.suites.importers.chat import mapping, messages, reply, shaping, tools
from routebench.suites.importers.frames import Tally
from routebench.suites.importers.log import Call, Log, Sifted, Skip, is_litellm, json_entries, missing, read_log
from routebench.suites.importers.outcomes import GRADER
from routebench.types import ERROR_KINDS, Case, ErrorKind, GraderSpec, Message, Request, Usage

_KNOWN = frozenset(
    """
    cached_input_tokens category conversation cost cost_usd currency error_kind id input_tokens latency_ms latency_s
    messages metadata model output_tokens params prompt response response_format sample score session_id tags target
    timestamp tools ttft_s
    """.split()
)
_MOST_NAMES = 50
_NOTE = "key {!r}, not read"
_GRADER = GraderSpec(GRADER)
_NO_MESSAGES = missing("`messages` or `prompt`")
_NO_MODEL = missing("`model`")
_LITELLM = Skip("lines of a LiteLLM log", is_foreign=True)


def _read(paths: Sequence[Path], tally: Tally, only: Container[int] | None) -> Iterator[Answer]:
    yield from read_log(_LOG, paths, tally, only)


FORMAT = Format(
    "jsonl",
    "a plain log as JSON Lines: messages or prompt, model, response, and what else is known",
    _read,
    is_log=True,
)


def _sift(record: dict[str, Any]) -> Sifted | Skip:
    if is_litellm(record):
        # Read as plain lines, their costs and times would be lost.
        return _LITELLM
    asked = record.get("messages")
    if asked is None and isinstance(prompt := record.get("prompt"), str) and prompt:
        # Even one that is JSON: this form writes messages as messages.
        found: tuple[Message, ...] | None = ({"role": "user", "content": prompt},)
    else:
        found = messages(record.get("prompt") if asked is None else asked)
    if found is None:
        return _NO_MESSAGES
    model = record.get("model")
    if not isinstance(model, str) or not model:
        return _NO_MODEL
    identity = record.get("id")
    return found, model, None if identity is None or identity == "" else str(identity)


def _answer(call: Call, tally: Tally) -> Answer:
    record, where = call.record, call.where
    get = record.get
    _note_unknown(record, tally)
    said = reply(get("response"), tally)
    kind = _error_kind(get("error_kind"), where) or said.error_kind
    score = share(get("score"), where)
    if kind is not None and score is not None:
        tally.noted["scores of failed calls, left out"] += 1
        score = None
    return Answer(
        Case(
            call.case_id,
            Request(
                call.messages,
                tools=tools(get("tools")) if "tools" in record else (),
                response_format=mapping(get("response_format")) or None,
                params=shaping(mapping(get("params"))) if "params" in record else {},
                metadata=mapping(get("metadata")) if "metadata" in record else {},
                tags=_tags(get("tags")),
            ),
            target=get("target"),
            grader=_GRADER,
            category=_text(get("category")),
        ),
        call.model,
        score=score,
        error_kind=kind,
        text=said.text,
        tool_calls=said.tool_calls,
        finish_reason=said.finish_reason,
        usage=_usage(record, said.usage, where),
        cost_usd=_cost(record, where, tally),
        latency_s=_latency(record, where),
        ttft_s=amount(get("ttft_s"), "ttft_s", where),
        started_at=moment(get("timestamp"), tally),
        sample=count(get("sample"), "sample", where),
        conversation=_text(get("conversation")) or _text(get("session_id")),
        where=where,
    )


def _note_unknown(record: Mapping[str, Any], tally: Tally) -> None:
    if record.keys() <= _KNOWN:
        return
    for name in record:
        if name in _KNOWN:
            continue
        note = _NOTE.format(name)
        if note not in tally.noted and len(tally.noted) >= _MOST_NAMES:
            note = "further keys, not read"
        tally.noted[note] += 1


def _error_kind(value: Any, where: str) -> ErrorKind | None:
    if value is None or value == "":
        return None
    if value not in ERROR_KINDS:
        raise OutcomesError(
            f"{where}: unknown error_kind {value!r}{nearest(str(value), ERROR_KINDS)}; known: {', '.join(ERROR_KINDS)}"
        )
    kind: ErrorKind = value
    return kind


def _usage(record: Mapping[str, Any], told: Usage, where: str) -> Usage:
    given = count(record.get("input_tokens"), "input_tokens", where)
    made = count(record.get("output_tokens"), "output_tokens", where)
    cached = count(record.get("cached_input_tokens"), "cached_input_tokens", where)
    return Usage(
        input_tokens=told.input_tokens if given is None else given,
        output_tokens=told.output_tokens if made is None else made,
        cached_input_tokens=told.cached_input_tokens if cached is None else cached,
        cache_write_tokens=told.cache_write_tokens,
        reasoning_tokens=told.reasoning_tokens,
    )


def _cost(record: Mapping[str, Any], where: str, tally: Tally) -> float | None:
    """The cost in US dollars: `cost_usd`, else `cost` where its currency is told and is that."""
    currency = record.get("currency")
    cost = amount(record.get("cost_usd"), "cost_usd", where)
    if cost is not None:
        return dollars(cost, currency, where, tally)
    cost = amount(record.get("cost"), "cost", where)
    if cost is not None and not currency:
        tally.noted["costs without a currency, left unknown"] += 1
        return None
    return dollars(cost, currency, where, tally)


def _latency(record: Mapping[str, Any], where: str) -> float | None:
    took = amount(record.get("latency_s"), "latency_s", where)
    if took is None and (took := amount(record.get("latency_ms"), "latency_ms", where)) is not None:
        took /= 1000
    return took


def _tags(value: Any) -> tuple[str, ...]:
    if not value:
        return ()
    return tuple(str(tag) for tag in value) if isinstance(value, list) else (str(value),)


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


_LOG = Log("jsonl", "timestamp", json_entries, _sift, _answer)
