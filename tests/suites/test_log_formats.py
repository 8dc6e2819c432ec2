"""Logs of production: what each format's lines become, what is skipped and noted, and what is refused."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Container, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from routebench.errors import OutcomesError
from routebench.suites.importers import jsonl_log, langfuse, litellm_log, otel
from routebench.suites.importers.amounts import dollars, moment
from routebench.suites.importers.answers import Answer, Format
from routebench.suites.importers.chat import error_kind, messages, packed_reply, reply, usage
from routebench.suites.importers.frames import Tally
from routebench.suites.importers.log import _Digests

ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Two\u2028lines?"}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"city": "Oslo"}'}}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def write(path: Path, records: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), newline="\n")
    return path


def read(fmt: Format, *paths: Path, only: Container[int] | None = None) -> tuple[list[Answer], Tally]:
    tally = Tally()
    return list(fmt.read(paths, tally, only)), tally


def one(fmt: Format, path: Path, record: dict[str, Any]) -> tuple[Answer, Tally]:
    (answer,), tally = read(fmt, write(path, [record]))
    return answer, tally


def counted(tally: Tally) -> dict[str, int]:
    return {**tally.skipped, **tally.noted}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


# LiteLLM


def payload(**changes: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "trace_id": "conv-9",
        "call_type": "acompletion",
        "stream": True,
        "response_cost": 0.0025,
        "status": "success",
        "custom_llm_provider": "openai",
        "total_tokens": 130,
        "prompt_tokens": 100,
        "completion_tokens": 30,
        "startTime": 1764000000.0,
        "completionStartTime": 1764000000.5,
        "endTime": 1764000002.0,
        "response_time": 0.5,
        "model": "gpt-4o-mini",
        "model_group": "small",
        "cache_hit": False,
        "messages": ASKED,
        "response": {
            "choices": [{"message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": 100,
                "completion_tokens": 30,
                "prompt_tokens_details": {"cached_tokens": 64},
                "completion_tokens_details": {"reasoning_tokens": 12},
            },
        },
        "model_parameters": {"temperature": 0.2, "stream": True, "user": "u", "tools": [TOOL], "tool_choice": "auto"},
        "metadata": {"user_api_key_hash": "secret", "requester_metadata": {"plan": "free"}},
        "request_tags": ["web"],
        **changes,
    }


def test_a_litellm_payload_is_one_call_with_all_that_it_tells(file: Path) -> None:
    answer, tally = one(litellm_log.FORMAT, file, payload())
    request = answer.case.request
    assert list(request.messages) == ASKED
    assert (request.tools, request.params) == ((TOOL,), {"temperature": 0.2, "tool_choice": "auto"})
    assert (request.metadata, request.tags) == ({"plan": "free"}, ("web",))
    assert (answer.case.id, answer.case.grader.name, answer.case.weight) == ("chatcmpl-1", "imported", 1.0)
    assert (answer.model, answer.text, answer.finish_reason) == ("gpt-4o-mini", "Yes.", "stop")
    told = answer.usage
    assert (told.input_tokens, told.output_tokens, told.cached_input_tokens, told.reasoning_tokens) == (100, 30, 64, 12)
    # Of a stream LiteLLM's response_time is the time to the first token.
    assert (answer.cost_usd, answer.latency_s, answer.ttft_s) == (0.0025, 2.0, 0.5)
    assert answer.started_at == datetime.fromtimestamp(1764000000, UTC)
    assert (answer.conversation, answer.where, answer.score) == ("conv-9", f"{file}:1", None)
    assert tally.unknown == {"scores": 1}
    assert tally.rows == 0


def test_a_row_of_litellms_spend_table_holds_json_in_texts(file: Path) -> None:
    row = {
        "request_id": "r1",
        "call_type": "completion",
        "spend": 0.01,
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "startTime": "2026-11-01T10:00:00.000Z",
        "endTime": "2026-11-01T10:00:01.500Z",
        "completionStartTime": "2026-11-01T10:00:01.500Z",
        "model": "m",
        "cache_hit": "False",
        "messages": {},
        "proxy_server_request": json.dumps({"model": "m", "messages": ASKED, "max_tokens": 9}),
        "response": json.dumps({"choices": [{"message": {"content": None, "tool_calls": [CALL]}}]}),
        "session_id": "s1",
        "request_tags": '["a"]',
        "metadata": json.dumps({"status": "success"}),
    }
    (first, second), _ = read(
        litellm_log.FORMAT,
        write(file, [row, {**row, "request_id": "r2", "messages": json.dumps(ASKED[1:]), "response": '{"x": 1}'}]),
    )
    assert (list(first.case.request.messages), first.case.request.params) == (ASKED, {"max_tokens": 9})
    assert (first.tool_calls[0].name, first.tool_calls[0].arguments) == ("look", '{"city": "Oslo"}')
    assert (first.conversation, first.latency_s, first.ttft_s, first.text) == ("s1", 1.5, None, None)
    assert first.case.request.tags == ("a",)
    assert list(second.case.request.messages) == ASKED[1:]
    assert second.text == '{"x": 1}', "an answer that is JSON is no wrapping"


def test_litellm_skips_by_reason_and_keeps_what_a_cache_answered(file: Path) -> None:
    hidden = [{"role": "user", "content": "redacted-by-litellm"}]
    lines = [
        payload(id="1", call_type="aembedding"),
        payload(id="2", call_type="image_generation"),
        payload(id="3", messages=hidden, response={"text": "redacted-by-litellm"}),
        payload(id="4", response="redacted-by-litellm"),
        payload(id="5", messages=None),
        payload(id="6", cache_hit=True, response_cost=0),
        payload(id="7", response_cost=0),
        payload(id="8", model="", model_group=""),
    ]
    (cached, unpriced), tally = read(litellm_log.FORMAT, write(file, lines))
    assert tally.skipped == {
        "calls of type aembedding": 1,
        "calls of type image_generation": 1,
        "lines whose messages were redacted by the gateway": 2,
        "lines whose messages the gateway did not record": 1,
        "lines without a model": 1,
    }
    assert (cached.text, cached.cost_usd, cached.latency_s, cached.ttft_s) == ("Yes.", None, None, None)
    assert (unpriced.cost_usd, unpriced.latency_s) == (None, 2.0)
    assert tally.unknown["cost_usd"] == 2
    assert sorted(tally.noted.values()) == [1, 1]


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({"error_code": "429", "error_class": "RateLimitError"}, "rate_limited"),
        ({"error_code": "408", "error_class": "Timeout"}, "timeout"),
        ({"error_code": "401", "error_class": "AuthenticationError"}, "auth"),
        ({"error_code": "403"}, "auth"),
        ({"error_code": "400", "error_class": "BadRequestError"}, "bad_request"),
        ({"error_code": "400", "error_class": "ContextWindowExceededError"}, "context_overflow"),
        ({"error_code": "400", "error_class": "ContentPolicyViolationError"}, "content_filter"),
        ({"error_code": "429", "error_class": "BudgetExceededError"}, "budget"),
        ({"error_code": "500", "error_class": "APIConnectionError"}, "connection"),
        ({"error_code": "503"}, "server"),
        ({"error_class": "NotFoundError"}, "bad_request"),
        ({}, "server"),
    ],
)
def test_litellm_failures_are_typed_and_have_neither_cost_nor_tokens(
    file: Path, told: dict[str, str], kind: str
) -> None:
    record = payload(
        status="failure", error_information=told, response=None, response_cost=0, prompt_tokens=0, completion_tokens=0
    )
    answer, tally = one(litellm_log.FORMAT, file, record)
    assert (answer.error_kind, answer.text, answer.cost_usd) == (kind, None, None)
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (None, None)
    assert bool(tally.noted) == (told == {})
    assert "response" not in tally.unknown


# Langfuse


def observation(**changes: Any) -> dict[str, Any]:
    return {
        "id": "o1",
        "traceId": "t1",
        "sessionId": "s1",
        "type": "GENERATION",
        "name": "answer-ticket",
        "startTime": "2026-11-01T10:00:00.000Z",
        "completionStartTime": "2026-11-01T10:00:00.250Z",
        "endTime": "2026-11-01T10:00:02.000Z",
        "model": "gpt-4o",
        "modelParameters": {"temperature": "0.5", "max_tokens": "inf"},
        "input": {"messages": ASKED, "tools": [TOOL]},
        "output": {"role": "assistant", "content": "Yes."},
        "usageDetails": {
            "input": 20,
            "input_cached_tokens": 80,
            "output": 5,
            "output_reasoning_tokens": 2,
            "total": 107,
        },
        "costDetails": {"input": 0.1, "output": 0.2, "total": 0.3},
        "level": "DEFAULT",
        "metadata": {"plan": "pro"},
        "tags": ["web"],
        "scores": [{"name": "quality", "value": 0.75}],
        **changes,
    }


def test_a_langfuse_generation_is_one_call_with_all_that_it_tells(file: Path) -> None:
    answer, tally = one(langfuse.FORMAT, file, observation())
    request = answer.case.request
    assert (list(request.messages), request.tools, request.params) == (ASKED, (TOOL,), {"temperature": 0.5})
    assert (request.metadata, request.tags, answer.case.category) == ({"plan": "pro"}, ("web",), "answer-ticket")
    assert (answer.model, answer.text, answer.score, answer.conversation) == ("gpt-4o", "Yes.", 0.75, "s1")
    told = answer.usage
    # The parts add up to the total.
    assert (told.input_tokens, told.output_tokens, told.cached_input_tokens, told.reasoning_tokens) == (100, 7, 80, 2)
    assert (answer.cost_usd, answer.latency_s, answer.ttft_s) == (0.3, 2.0, 0.25)
    assert counted(tally) == {}
    assert tally.unknown == {}


def test_langfuse_skips_other_observations_and_reads_older_forms(file: Path) -> None:
    gone = {"usageDetails": None, "costDetails": None, "scores": None}
    lines = [
        observation(id="1", type="SPAN"),
        observation(id="2", type="EVENT"),
        observation(id="3", input=None),
        observation(id="4", input={"question": "?"}),
        observation(
            id="5", **gone, usage={"input": 3, "output": 4, "unit": "TOKENS"}, calculatedTotalCost=0.5, input="Hi"
        ),
        observation(id="6", **gone, promptTokens=3, completionTokens=4, totalCost=0, sessionId=None, output="No."),
        observation(
            id="7", **gone, usage={"input": 9, "unit": "CHARACTERS"}, level="ERROR", statusMessage="Error code: 429"
        ),
        observation(id="8", usageDetails={"input": 100, "input_cached_tokens": 80, "output": 7, "total": 107}),
        observation(id="9", scores=[{"name": "a", "value": 1}, {"name": "b", "value": 0}]),
    ]
    answers, tally = read(langfuse.FORMAT, write(file, lines))
    old, free, failed, whole, unclear = answers
    assert tally.skipped == {
        "observations of type SPAN": 1,
        "observations of type EVENT": 1,
        "generations without recorded input": 1,
        "generations whose input holds no messages": 1,
    }
    assert old.case.request.messages == ({"role": "user", "content": "Hi"},)
    assert (old.usage.input_tokens, old.usage.output_tokens, old.cost_usd) == (3, 4, 0.5)
    assert (free.usage.input_tokens, free.cost_usd, free.conversation, free.text) == (3, None, "t1", "No.")
    assert (failed.error_kind, failed.score, failed.usage.input_tokens) == ("rate_limited", None, None)
    assert (whole.usage.input_tokens, whole.usage.cached_input_tokens) == (100, 80)
    assert unclear.score is None
    assert tally.noted["generations with several scores, left unscored"] == 1
    assert tally.noted["usage in characters, left unknown"] == 1


def test_langfuse_is_the_same_as_lines_array_table_api_answer_and_blob_export(tmp_path: Path) -> None:
    records = [observation(id=f"o{number}", output=f"line\nand, comma {number}") for number in range(3)]
    table = tmp_path / "o.csv"
    with table.open("w", newline="") as out:
        rows = csv.DictWriter(out, list(records[0]))
        rows.writeheader()
        for record in records:
            rows.writerow(
                {
                    name: json.dumps(value) if isinstance(value, (dict, list)) else value
                    for name, value in record.items()
                }
            )
    names = {ours: theirs for theirs, ours in langfuse._PLAIN_NAMES.items()}
    blob = [{names.get(name, name): value for name, value in record.items()} for record in records]
    (tmp_path / "array.json").write_text(json.dumps(records, indent=1))
    (tmp_path / "api.json").write_text(json.dumps({"data": records, "meta": {}}, indent=1))
    packed = tmp_path / "o.jsonl.gz"
    packed.write_bytes(gzip.compress(write(tmp_path / "o.jsonl", records).read_bytes()))
    files = (
        tmp_path / "o.jsonl",
        packed,
        tmp_path / "array.json",
        table,
        tmp_path / "api.json",
        write(tmp_path / "b", blob),
    )
    found = [
        [
            (a.case, a.model, a.text, a.usage, a.cost_usd, a.ttft_s, a.started_at, a.score, a.conversation)
            for a in answers
        ]
        for answers, _ in (read(langfuse.FORMAT, path) for path in files)
    ]
    assert len(found[0]) == 3
    assert all(one == found[0] for one in found)


# OpenTelemetry


def typed(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"arrayValue": {"values": [typed(one) for one in value]}}
    kind = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}[type(value)]
    return {kind: str(value) if kind == "intValue" else value}


def otlp(*spans: dict[str, Any]) -> dict[str, Any]:
    held = [
        {**span, "attributes": [{"key": key, "value": typed(value)} for key, value in span["attributes"].items()]}
        for span in spans
    ]
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "s"}, "spans": held}]}]}


def span(number: int = 1, **attributes: Any) -> dict[str, Any]:
    return {
        "traceId": "a" * 32,
        "spanId": f"{number:016x}",
        "name": "chat m",
        "startTimeUnixNano": "1764000000000000000",
        "endTimeUnixNano": "1764000002500000000",
        "attributes": {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
        | {name.replace("__", "."): value for name, value in attributes.items()},
    }


PARTS = {
    "gen_ai__input__messages": json.dumps(
        [
            {"role": "user", "parts": [{"type": "text", "content": "Weather?"}]},
            {
                "role": "assistant",
                "parts": [{"type": "tool_call", "id": "call_1", "name": "look", "arguments": {"a": 1}}],
            },
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "rain"}]},
            {
                "role": "user",
                "parts": [{"type": "text", "content": "A"}, {"type": "uri", "modality": "image", "uri": "u"}],
            },
        ]
    ),
    "gen_ai__output__messages": json.dumps(
        [{"role": "assistant", "parts": [{"type": "text", "content": "Rain."}], "finish_reason": "stop"}]
    ),
}


def test_an_otlp_span_with_parts_becomes_a_chat_request(file: Path) -> None:
    told = span(
        **PARTS,
        gen_ai__system_instructions=json.dumps([{"type": "text", "content": "Be brief."}]),
        gen_ai__tool__definitions=json.dumps([{"type": "function", "name": "look", "parameters": {"type": "object"}}]),
        gen_ai__conversation__id="c1",
        gen_ai__usage__input_tokens=40,
        gen_ai__usage__output_tokens=6,
        gen_ai__usage__cache_read__input_tokens=8,
        gen_ai__request__temperature=0.5,
        gen_ai__request__stop_sequences=["END"],
        gen_ai__response__time_to_first_chunk=0.25,
    )
    answer, _ = one(otel.FORMAT, file, otlp(told))
    request = answer.case.request
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}
    assert list(request.messages) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
        {"role": "user", "content": [{"type": "text", "text": "A"}, {"type": "image_url", "image_url": {"url": "u"}}]},
    ]
    assert (request.tools, request.params) == ((TOOL,), {"temperature": 0.5, "stop": ["END"]})
    assert (answer.text, answer.finish_reason, answer.conversation) == ("Rain.", "stop", "c1")
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.cached_input_tokens) == (40, 6, 8)
    assert (answer.latency_s, answer.ttft_s, answer.cost_usd) == (2.5, 0.25, None)
    assert answer.case.id == f"{'a' * 32}-{1:016x}"
    assert answer.started_at == datetime.fromtimestamp(1764000000, UTC)


def test_older_spans_number_their_messages_or_tell_them_as_events(file: Path) -> None:
    numbered = span(
        1,
        **{
            "gen_ai.prompt.0.role": "user",
            "gen_ai.prompt.0.content": "Weather?",
            "gen_ai.prompt.10.role": "user",
            "gen_ai.prompt.10.content": json.dumps([{"type": "text", "text": "Now?"}]),
            "gen_ai.prompt.2.role": "assistant",
            "gen_ai.prompt.2.content": "Wait.",
            "gen_ai.completion.0.finish_reason": "tool_calls",
            "gen_ai.completion.0.tool_calls.0.id": "call_1",
            "gen_ai.completion.0.tool_calls.0.name": "look",
            "gen_ai.completion.0.tool_calls.0.arguments": '{"city": "Oslo"}',
            "llm.request.functions.0.name": "look",
            "llm.request.functions.0.parameters": '{"type": "object"}',
            "gen_ai.usage.prompt_tokens": 7,
            "gen_ai.usage.completion_tokens": 3,
        },
    )
    told = span(2) | {
        "events": [
            {"name": "gen_ai.user.message", "attributes": {"content": "Hi"}},
            {"name": "gen_ai.choice", "attributes": {"finish_reason": "length", "message": '{"content": "Hel"}'}},
        ]
    }
    failed = span(3, **PARTS) | {"status": {"code": 2, "message": "deadline exceeded"}}
    (first, second, third), _ = read(otel.FORMAT, write(file, [numbered, told, failed]))
    assert [message["content"] for message in first.case.request.messages] == [
        "Weather?",
        "Wait.",
        [{"type": "text", "text": "Now?"}],
    ]
    assert first.case.request.tools == (TOOL,)
    assert (first.tool_calls[0].arguments, first.finish_reason, first.text) == ('{"city": "Oslo"}', "tool_calls", None)
    assert (first.usage.input_tokens, first.usage.output_tokens, first.conversation) == (7, 3, None)
    assert second.case.request.messages == ({"role": "user", "content": "Hi"},)
    assert (second.text, second.finish_reason) == ("Hel", "length")
    assert third.error_kind == "timeout"


def test_other_spans_are_skipped_by_reason_and_a_document_is_the_same_as_lines(tmp_path: Path) -> None:
    spans = [
        span(1, gen_ai__operation__name="embeddings"),
        span(2),
        {**span(3), "attributes": {"http.method": "GET"}},
        span(4, **PARTS),
        span(5, **PARTS, error__type="500"),
    ]
    (tmp_path / "document.json").write_text(json.dumps(otlp(*spans), indent=2))
    lines = write(tmp_path / "lines.jsonl", [otlp(one) for one in spans])
    flat = write(tmp_path / "flat.jsonl", spans)
    for path in (tmp_path / "document.json", lines, flat):
        answers, tally = read(otel.FORMAT, path)
        assert [(a.case.id[-1], a.text, a.error_kind) for a in answers] == [
            ("4", "Rain.", None),
            ("5", "Rain.", "server"),
        ]
        assert tally.skipped == {
            "spans of operation embeddings": 1,
            "spans without recorded messages": 1,
            "spans that are no call of a model": 1,
        }


# The plain form


def plain(**changes: Any) -> dict[str, Any]:
    return {"prompt": "Hi", "model": "small", "response": "Hello.", **changes}


def test_a_plain_line_needs_little_and_may_tell_much(file: Path) -> None:
    full = plain(
        id=7,
        messages=ASKED,
        prompt=None,
        response={"role": "assistant", "content": None, "tool_calls": [CALL]},
        conversation="c1",
        input_tokens=10,
        output_tokens=5,
        cached_input_tokens=4,
        cost_usd=0.001,
        latency_ms=1500,
        ttft_s=0.5,
        timestamp="2026-11-01T10:00:00+01:00",
        score=1,
        target={"a": 1},
        tools=[TOOL],
        response_format={"type": "json_object"},
        params={"temperature": 0, "user": "u"},
        metadata={"plan": "free"},
        category="weather",
        tags=["a"],
        sample=2,
        host="h1",
    )
    (bare, rich, failed), tally = read(
        jsonl_log.FORMAT,
        write(file, [plain(prompt='{"role": "x"}'), full, plain(id="f", error_kind="timeout", host="h2")]),
    )
    assert bare.case.request.messages == ({"role": "user", "content": '{"role": "x"}'},)
    assert (bare.text, bare.score, bare.cost_usd, bare.started_at, bare.conversation) == (
        "Hello.",
        None,
        None,
        None,
        None,
    )
    request = rich.case.request
    assert (list(request.messages), request.tools, request.response_format) == (ASKED, (TOOL,), {"type": "json_object"})
    assert (request.params, request.metadata, request.tags) == ({"temperature": 0}, {"plan": "free"}, ("a",))
    assert (rich.case.id, rich.case.target, rich.case.category, rich.sample) == ("7", {"a": 1}, "weather", 2)
    assert (rich.score, rich.cost_usd, rich.latency_s, rich.ttft_s, rich.conversation) == (1.0, 0.001, 1.5, 0.5, "c1")
    assert rich.started_at == datetime(2026, 11, 1, 9, tzinfo=UTC)
    assert rich.tool_calls[0].id == "call_1"
    assert failed.error_kind == "timeout"
    assert tally.noted == {"key 'host', not read": 2}
    assert tally.unknown["timestamp"] == 2


def test_costs_in_other_currencies_are_unknown_and_unknown_currencies_are_refused(file: Path) -> None:
    lines = [
        plain(id="1", cost=0.5, currency="EUR"),
        plain(id="2", cost=0.5, currency="usd"),
        plain(id="3", cost=0.5),
        plain(id="4", cost_usd=0.5, currency="JPY"),
    ]
    answers, tally = read(jsonl_log.FORMAT, write(file, lines))
    assert [answer.cost_usd for answer in answers] == [None, 0.5, None, None]
    assert tally.noted == {
        "costs in EUR, left unknown": 1,
        "costs in JPY, left unknown": 1,
        "costs without a currency, left unknown": 1,
    }
    with pytest.raises(OutcomesError, match=r"log.jsonl:1: currency 'XYZ' is no code of ISO 4217"):
        one(jsonl_log.FORMAT, file, plain(cost=1, currency="XYZ"))
    assert dollars(None, "EUR", "x", tally) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"input_tokens": -1}, "input_tokens is -1"),
        ({"output_tokens": 1.5}, "not a whole number"),
        ({"cost_usd": -0.1}, "cost_usd is -0.1"),
        ({"latency_s": -2}, "latency_s is -2"),
        ({"latency_s": "fast"}, "latency_s 'fast' is no number"),
        ({"score": 1.5}, "score 1.5 is above 1"),
        ({"score": -0.5}, "score is -0.5"),
        ({"error_kind": "timeot"}, "did you mean 'timeout'"),
        ({"sample": -1}, "sample is -1"),
    ],
)
def test_values_that_cannot_be_are_refused_with_their_line(file: Path, changes: dict[str, Any], said: str) -> None:
    write(file, [plain(id="1"), plain(id="2", **changes)])
    with pytest.raises(OutcomesError) as refused:
        read(jsonl_log.FORMAT, file)
    assert str(refused.value).startswith(f"{file}:2: ")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("fmt", "record"),
    [
        (litellm_log.FORMAT, payload(prompt_tokens=-1)),
        (litellm_log.FORMAT, payload(response_cost=-1)),
        (litellm_log.FORMAT, payload(endTime=1763999999.0)),
        (langfuse.FORMAT, observation(usageDetails={"input": -5, "output": 1})),
        (langfuse.FORMAT, observation(endTime="2026-11-01T09:00:00Z")),
        (langfuse.FORMAT, observation(scores=[{"name": "stars", "value": 4}])),
        (otel.FORMAT, span(**PARTS, gen_ai__usage__input_tokens=-3)),
    ],
)
def test_every_format_refuses_what_is_below_nothing(file: Path, fmt: Format, record: dict[str, Any]) -> None:
    with pytest.raises(OutcomesError, match=r"log.jsonl:1"):
        one(fmt, file, record)


# What all logs share


def test_repeats_are_skipped_and_an_id_with_two_contents_is_refused(tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", [plain(id="1"), plain(id="2"), plain(id="1")])
    again = write(tmp_path / "b.jsonl", [plain(id="2"), plain(id="3")])
    answers, tally = read(jsonl_log.FORMAT, first, again)
    assert [answer.case.id for answer in answers] == ["1", "2", "3"]
    assert tally.skipped == {"exact repeats of a line": 2}
    other = write(tmp_path / "c.jsonl", [plain(id="4"), plain(id="2", response="Other.")])
    with pytest.raises(OutcomesError, match=r"c\.jsonl:2: id '2' has come before with other content"):
        read(jsonl_log.FORMAT, first, other)


def test_lines_without_id_are_told_apart_by_place_and_known_again_by_their_time(file: Path) -> None:
    timed = plain(timestamp="2026-11-01T10:00:00Z")
    answers, tally = read(jsonl_log.FORMAT, write(file, [plain(), plain(), timed, timed]))
    ids = [answer.case.id for answer in answers]
    assert len(set(ids)) == len(ids) == 3
    assert tally.skipped == {"exact repeats of a line": 1}
    assert [answer.case.id for answer in read(jsonl_log.FORMAT, file)[0]] == ids, "another read gives the same ids"


def test_only_counts_over_what_would_be_yielded(tmp_path: Path) -> None:
    lines = [
        payload(id=str(number), call_type="embedding" if number % 3 == 0 else "completion") for number in range(30)
    ]
    files = (write(tmp_path / "a", [*lines[:15], lines[4]]), write(tmp_path / "b", lines[15:]))
    everything, tally = read(litellm_log.FORMAT, *files)
    some, again = read(litellm_log.FORMAT, *files, only={0, 7, 19, 99})
    assert some == [everything[0], everything[7], everything[19]]
    assert again.skipped == tally.skipped
    assert again.unknown["scores"] == 3


def test_a_file_of_another_format_is_named_with_what_it_looks_like(tmp_path: Path) -> None:
    files = {
        "litellm-log": write(tmp_path / "l", [payload()]),
        "langfuse": write(tmp_path / "f", [observation()]),
        "otel": write(tmp_path / "o", [otlp(span(**PARTS))]),
        "jsonl": write(tmp_path / "p", [plain()]),
    }
    formats = {one.FORMAT.name: one.FORMAT for one in (litellm_log, langfuse, otel, jsonl_log)}
    assert all(fmt.is_log for fmt in formats.values())
    for wanted, fmt in formats.items():
        for name, path in files.items():
            if name == wanted:
                continue
            with pytest.raises(OutcomesError) as refused:
                read(fmt, path)
            assert f"no {wanted} log" in str(refused.value)
            assert f"it looks like {name}" in str(refused.value)
    table = tmp_path / "t.csv"
    table.write_text("prompt_id,model,score\n1,a,1\n")
    with pytest.raises(OutcomesError, match="neither JSON Lines nor a JSON array; it looks like a table with columns"):
        read(jsonl_log.FORMAT, table)
    empty = tmp_path / "empty"
    empty.write_text("\n")
    with pytest.raises(OutcomesError, match="the file is empty"):
        read(jsonl_log.FORMAT, empty)


def test_a_few_lines_without_what_is_needed_are_skipped(file: Path) -> None:
    answers, tally = read(
        jsonl_log.FORMAT, write(file, [{"event": "start"}, plain(), plain(model=None), plain(), plain()])
    )
    assert len(answers) == 3
    assert tally.skipped == {"lines without `messages` or `prompt`": 1, "lines without `model`": 1}
    file.write_text(json.dumps(plain()) + '\n{"prompt": "cut')
    with pytest.raises(OutcomesError, match=r"log.jsonl:2: not valid JSON"):
        read(jsonl_log.FORMAT, file)


def test_answers_of_other_apis_are_read() -> None:
    tally = Tally()
    said = reply(
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "t", "name": "look", "input": {}},
            ],
            "stop_reason": "tool_use",
            "usage": {
                "input_tokens": 10,
                "cache_read_input_tokens": 90,
                "cache_creation_input_tokens": 5,
                "output_tokens": 3,
            },
        },
        tally,
    )
    assert (said.text, said.tool_calls[0].name, said.finish_reason) == ("Let me see.", "look", "tool_calls")
    assert (said.usage.input_tokens, said.usage.cached_input_tokens, said.usage.cache_write_tokens) == (105, 90, 5)
    items = [{"type": "reasoning"}, {"type": "message", "content": [{"type": "output_text", "text": "Hi."}]}]
    assert reply({"output": items, "status": "completed"}, tally).text == "Hi."
    assert packed_reply(json.dumps(items), tally).text == "Hi."
    assert packed_reply('"quoted"', tally).text == "quoted"
    assert packed_reply('{"answer": 1}', tally).text == '{"answer": 1}'
    withheld = reply({"choices": [{"message": {"content": ""}, "finish_reason": "content_filter"}, {}]}, tally)
    assert (withheld.error_kind, withheld.finish_reason) == ("content_filter", "other")
    assert tally.noted == {"calls with several answers, of which the first counts": 1}
    assert usage({"prompt_tokens": 0, "completion_tokens": 0}).input_tokens is None
    assert messages([{"no": "role"}]) is None
    assert messages(json.dumps({"messages": ASKED})) == tuple(ASKED)
    assert error_kind(None, "HTTP status 503 from upstream", tally) == "server"


def test_times_are_read_whatever_their_unit() -> None:
    tally = Tally()
    wanted = datetime(2025, 11, 24, 16, tzinfo=UTC)
    seconds = 1764000000
    for told in (seconds, seconds * 10**3, seconds * 10**6, str(seconds * 10**9), "2025-11-24T16:00:00Z"):
        assert moment(told, tally) == wanted
    assert not tally.noted
    assert moment("2025-11-24 16:00:00.000000", tally) == wanted
    assert moment("yesterday", tally) is None
    assert tally.noted == {"times without a zone, taken as UTC": 1, "times that cannot be read, left unknown": 1}


def test_the_table_of_digests_holds_what_a_dict_holds() -> None:
    known, table = {}, _Digests()
    for number in range(20_000):
        key = (number * number * 2654435761 + number % 700) % 15_000
        assert table.put(key + 1, number) == known.get(key)
        known.setdefault(key, number)
