"""Three upstreams that behave alike, each in its own wire format: what a model would do is decided by the request.

A request with tools, and without a result of one, is answered with two calls; one with a schema, with JSON; one that
says `think`, with a thought first; any other with a text. So the same test can ask all of them.
"""

from __future__ import annotations

import json
from typing import Any

from tests.upstream import Reply

TEXT = "Grüße, 世界 😀"
PIECES = ("Grüße, ", "世界 ", "😀")
JSON = '{"city": "Bern", "degrees": 21}'
CALLS = (("look", '{"where": "here"}'), ("leap", ""))
"""The second one takes nothing, and is written in the way in which each provider writes nothing."""
THOUGHT = "Let me think."
USAGE = (30, 20, 12, 7)
"""Prompt, of it cached; answer, of it thoughts."""


def events(*written: Any, named: bool = False) -> Reply:
    out = []
    for one in written:
        name = f"event: {one['type']}\n" if named else ""
        out.append(f"{name}data: {one if isinstance(one, str) else json.dumps(one)}\n\n".encode())
    return Reply(out)


def document(value: Any) -> Reply:
    return Reply([json.dumps(value).encode()], headers={"content-type": "application/json"})


def openai(body: dict[str, Any], _number: int) -> Reply:
    prompt, cached, answer, thought = USAGE
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": thought},
    }
    said = json.dumps(body["messages"])
    if body.get("tools") and '"tool"' not in said:
        calls = [
            {"index": number, "id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": text}}
            for number, (name, text) in enumerate(CALLS)
        ]
        message, finish = {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"
        deltas: list[dict[str, Any]] = []
        for call in calls:
            function = call["function"]
            deltas.append({"tool_calls": [{**call, "function": {**function, "arguments": ""}}]})
            deltas += [
                {"tool_calls": [{"index": call["index"], "function": {"arguments": piece}}]}
                for piece in (function["arguments"][:5], function["arguments"][5:])
                if piece
            ]
    else:
        is_json = (body.get("response_format") or {}).get("type") == "json_schema"
        pieces = (JSON[:9], JSON[9:]) if is_json else PIECES
        message, finish = {"role": "assistant", "content": "".join(pieces)}, "stop"
        deltas = [{"content": piece} for piece in pieces]
        if "think" in said:
            message["reasoning_content"] = THOUGHT
            deltas.insert(0, {"reasoning_content": THOUGHT})
    logprobs = None
    if body.get("logprobs"):
        logprobs = {"content": [{"token": "G", "logprob": -0.5, "bytes": [71], "top_logprobs": []}], "refusal": None}
    if not body.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": logprobs}
        return document({"id": "x", "model": "served", "choices": [choice], "usage": usage})
    return events(
        {"model": "served", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
        *({"choices": [{"index": 0, "delta": delta, "logprobs": logprobs}]} for delta in deltas),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
        {"choices": [], "usage": usage},
        "[DONE]",
    )


def anthropic(body: dict[str, Any], _number: int) -> Reply:
    prompt, cached, answer, _ = USAGE
    start = {"input_tokens": prompt - cached, "cache_read_input_tokens": cached, "output_tokens": 1}
    said = json.dumps(body["messages"])
    blocks: list[dict[str, Any]] = []
    if "think" in said:
        blocks.append({"type": "thinking", "thinking": THOUGHT, "signature": "c2ln"})
    if body.get("tools") and "tool_result" not in said:
        blocks.append({"type": "text", "text": "I shall look."})
        blocks += [
            {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": json.loads(text or "{}")}
            for number, (name, text) in enumerate(CALLS)
        ]
        finish = "tool_use"
    else:
        blocks.append({"type": "text", "text": JSON if "format" in (body.get("output_config") or {}) else TEXT})
        finish = "end_turn"
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "served"}
    if not body.get("stream"):
        usage = {**start, "output_tokens": answer}
        return document({**head, "content": blocks, "stop_reason": finish, "usage": usage})
    written: list[Any] = [
        {"type": "message_start", "message": {**head, "content": [], "usage": start}},
        {"type": "ping"},
    ]
    for index, block in enumerate(blocks):
        written += _block(index, block)
    written += [
        {"type": "message_delta", "delta": {"stop_reason": finish}, "usage": {"output_tokens": answer}},
        {"type": "message_stop"},
    ]
    return events(*written, named=True)


def _block(index: int, block: dict[str, Any]) -> list[Any]:
    kind = block["type"]
    if kind == "tool_use":
        start, text = {**block, "input": {}}, json.dumps(block["input"]) if block["input"] else ""
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", text[:6], text[6:])]
    elif kind == "thinking":
        start = {**block, "thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": THOUGHT}, {"type": "signature_delta", "signature": "c2ln"}]
    else:
        start = {**block, "text": ""}
        deltas = [{"type": "text_delta", "text": piece} for piece in (block["text"][:6], block["text"][6:])]
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def gemini(body: dict[str, Any], _number: int) -> Reply:
    """Streams whatever it is asked, as its own answers are read both ways."""
    prompt, cached, answer, thought = USAGE
    usage = {
        "promptTokenCount": prompt,
        "cachedContentTokenCount": cached,
        "candidatesTokenCount": answer - thought,
        "thoughtsTokenCount": thought,
    }
    said = json.dumps(body["contents"])
    parts: list[dict[str, Any]] = [{"text": THOUGHT, "thought": True}] if "think" in said else []
    if body.get("tools") and "functionResponse" not in said:
        parts += [{"functionCall": {"name": name, "args": json.loads(text or "{}")}} for name, text in CALLS]
    elif "responseJsonSchema" in body.get("generationConfig", {}):
        parts += [{"text": JSON[:9]}, {"text": JSON[9:]}]
    else:
        parts += [{"text": piece} for piece in PIECES]
    written: list[Any] = [
        {"modelVersion": "served", "candidates": [{"content": {"role": "model", "parts": [part]}}]} for part in parts
    ]
    written.append({"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}], "usageMetadata": usage})
    return events(*written)
