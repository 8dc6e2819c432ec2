"""Langfuse's observations: exports as JSON, JSON Lines or CSV, answers of its API, downloads of one trace."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from routebench.errors import OutcomesError
from routebench.suites.importers.amounts import amount, count, dollars, moment, seconds_between, share
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
)
from routebench.suites.importers.frames import Tally
from routebench.suites.importers.log import (
    Call,
    Entry,
    Log,
    Sifted,
    Skip,
    any_entries,
    dumped,
    is_json,
    missing,
    read_log,
)
from routebench.suites.importers.outcomes import GRADER
from routebench.types import Case, GraderSpec, Request, Usage

_ROWS_AT_ONCE = 2_000
_GRADER = GraderSpec(GRADER)
_FOREIGN = missing("`type` with `traceId` or `id`")
_NO_MODEL = Skip("generations without a model")
_NO_INPUT = Skip("generations without recorded input")
_NO_MESSAGES = Skip("generations whose input holds no messages")
_PLAIN_NAMES = {
    "trace_id": "traceId",
    "session_id": "sessionId",
    "start_time": "startTime",
    "end_time": "endTime",
    "completion_start_time": "completionStartTime",
    "provided_model_name": "model",
    "model_parameters": "modelParameters",
    "usage_details": "usageDetails",
    "cost_details": "costDetails",
    "total_cost": "totalCost",
    "status_message": "statusMessage",
}
"""The names of the blob storage export -> those of everything else."""


def _read(paths: Sequence[Path], tally: Tally, only: Container[int] | None) -> Iterator[Answer]:
    yield from read_log(_LOG, paths, tally, only)


FORMAT = Format(
    "langfuse",
    "Langfuse's export of observations as JSON, JSON Lines or CSV; its generations count",
    _read,
    is_log=True,
)


def _entries(path: Path) -> Iterator[Entry]:
    if not is_json(path):
        yield from _rows(path)
        return
    for where, record, data in any_entries(path):
        inner = record.get("data", record.get("observations"))
        if isinstance(inner, list) and "type" not in record:
            # An answer of the API, or one trace with what belongs to it.
            trace = record.get("trace") or record
            for number, one in enumerate(inner, start=1):
                if isinstance(one, dict):
                    yield f"{where}: observation {number}", _named(one, trace), dumped(one)
        else:
            yield where, _named(record, {}), data


def _rows(path: Path) -> Iterator[Entry]:
    import pandas as pd

    number = 0
    try:
        with pd.read_csv(
            path, dtype=str, keep_default_na=False, chunksize=_ROWS_AT_ONCE, encoding="utf-8-sig"
        ) as parts:
            for part in parts:
                for row in part.to_dict("records"):
                    number += 1
                    held = {str(name): value for name, value in row.items() if value != ""}
                    yield f"{path}: row {number}", _named(held, {}), dumped(held)
    except (ValueError, OSError) as error:
        raise OutcomesError(f"{path}: cannot be read as CSV after row {number}: {str(error).strip()}") from None


def _named(record: dict[str, Any], trace: Mapping[str, Any]) -> dict[str, Any]:
    """The record under one set of names, with what only its trace tells."""
    if "trace_id" in record or "start_time" in record:
        record = {_PLAIN_NAMES.get(name, name): value for name, value in record.items()}
    for name in ("sessionId", "tags"):
        if not record.get(name) and trace.get(name):
            record = {**record, name: trace[name]}
    return record


def _sift(record: dict[str, Any]) -> Sifted | Skip:
    kind = record.get("type")
    if not isinstance(kind, str) or not ("traceId" in record or "id" in record):
        return _FOREIGN
    if kind != "GENERATION":
        return Skip(f"observations of type {kind[:40]}")
    if not record.get("input"):
        return _NO_INPUT
    found = messages(record["input"])
    if found is None:
        return _NO_MESSAGES
    model = record.get("model")
    if not isinstance(model, str) or not model:
        return _NO_MODEL
    return found, model, str(record["id"]) if record.get("id") else None


def _answer(call: Call, tally: Tally) -> Answer:
    record, where = call.record, call.where
    get = record.get
    failed = get("level") == "ERROR"
    kind = error_kind(None, str(get("statusMessage") or ""), tally) if failed else None
    said = NO_REPLY if failed else packed_reply(get("output"), tally)
    started = moment(get("startTime"), tally)
    begun = moment(get("completionStartTime"), tally)
    counts = _usage(record, where, tally)
    if counts.input_tokens is None and counts.output_tokens is None:
        counts = said.usage
    score = _score(unpacked(get("scores")), where, tally)
    if failed and score is not None:
        tally.noted["scores of failed calls, left out"] += 1
    session = get("sessionId") or mapping(get("trace")).get("sessionId") or get("traceId")
    kind = kind or said.error_kind
    return Answer(
        Case(call.case_id, _request(call), grader=_GRADER, category=str(get("name")) if get("name") else None),
        call.model,
        score=None if kind is not None else score,
        error_kind=kind,
        text=said.text,
        tool_calls=said.tool_calls,
        finish_reason=said.finish_reason,
        usage=counts,
        cost_usd=_cost(record, counts, where, tally),
        latency_s=seconds_between(started, moment(get("endTime"), tally), "latency", where),
        ttft_s=seconds_between(started, begun, "ttft", where),
        started_at=started,
        conversation=str(session) if session else None,
        where=where,
    )


def _request(call: Call) -> Request:
    record = call.record
    sent, params = mapping(record.get("input")), mapping(record.get("modelParameters"))
    shape = {**sent, **params} if "messages" in sent else params
    tags = unpacked(record.get("tags"))
    return Request(
        call.messages,
        tools=tools(shape.get("tools")),
        response_format=mapping(shape.get("response_format")) or None,
        params=shaping(shape),
        metadata=mapping(record.get("metadata")),
        tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
    )


def _usage(record: Mapping[str, Any], where: str, tally: Tally) -> Usage:
    details = {name: value for name, value in mapping(record.get("usageDetails")).items() if value is not None}
    if details:
        return _of_details({name: count(value, name, where) or 0 for name, value in details.items()})
    old = mapping(record.get("usage"))
    if old.get("unit") not in (None, "TOKENS"):
        tally.noted[f"usage in {str(old['unit']).lower()}, left unknown"] += 1
        return Usage()
    given = _first(record, "promptTokens", "inputUsage") or _first(old, "input", "promptTokens", "prompt_tokens")
    made = _first(record, "completionTokens", "outputUsage") or _first(
        old, "output", "completionTokens", "completion_tokens"
    )
    input_tokens = count(given, "input tokens", where) or None
    # The export writes 0 where nothing was counted, and no prompt has 0 tokens.
    return Usage(input_tokens, count(made, "output tokens", where) if input_tokens is not None else None)


def _of_details(details: Mapping[str, int]) -> Usage:
    """The counts of the new form, whose parts add up unless their total says otherwise."""
    cached = sum(value for name, value in details.items() if "cache" in name and ("read" in name or "cached" in name))
    written = sum(value for name, value in details.items() if "cache" in name and ("creat" in name or "writ" in name))
    thought = sum(value for name, value in details.items() if "reasoning" in name)
    inside = [value for name, value in details.items() if name.startswith(("input", "prompt", "cache"))]
    outside = [value for name, value in details.items() if name.startswith(("output", "completion"))]
    given, made = (details.get(name) for name in ("input", "output"))
    total = details.get("total")
    if total is None or given is None or made is None or total != given + made:
        given, made = (sum(inside) if inside else None), (sum(outside) if outside else None)
    names = " ".join(details)
    return Usage(
        input_tokens=given or None,
        output_tokens=made if given else None,
        cached_input_tokens=cached if "cache" in names else None,
        cache_write_tokens=written if "creat" in names or "writ" in names else None,
        reasoning_tokens=thought if "reasoning" in names else None,
    )


def _cost(record: Mapping[str, Any], counts: Usage, where: str, tally: Tally) -> float | None:
    told = _first(mapping(record.get("costDetails")), "total")
    cost = amount(told or _first(record, "totalCost", "calculatedTotalCost"), "totalCost", where)
    if cost == 0:
        if counts.input_tokens:
            tally.noted["costs of 0 for tokens that were used, left unknown: Langfuse knew no price"] += 1
        return None
    return dollars(cost, record.get("currency"), where, tally)


def _score(scores: Any, where: str, tally: Tally) -> float | None:
    """The one score of an observation; of several nobody says which is its quality."""
    found: list[Any] = []
    if isinstance(scores, dict):
        for value in scores.values():
            found += value if isinstance(value, list) else [value]
    elif isinstance(scores, list):
        found = [one.get("value") for one in scores if isinstance(one, dict)]
    numbers = [value for value in found if isinstance(value, (int, float))]
    if len(numbers) > 1:
        tally.noted["generations with several scores, left unscored"] += 1
        return None
    return share(numbers[0], where) if numbers else None


def _first(record: Mapping[str, Any], *names: str) -> Any:
    return next((record[name] for name in names if record.get(name) not in (None, "")), None)


_LOG = Log("langfuse", "startTime", _entries, _sift, _answer)
