"""Anthropic messages, and every server that speaks them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from routebench.messages import text_of
from routebench.providers.answer import Answer, count, mapping, prompt_count, read_json, sequence
from routebench.providers.base import Call
from routebench.providers.faults import from_error_event
from routebench.providers.history import arguments_of, call_id, with_tool_calls
from routebench.providers.http import Wire, WireRequest
from routebench.providers.params import (
    address,
    check_everywhere,
    check_functions,
    check_names,
    check_parts,
    content_parts,
    data_url,
    extra_headers,
    file_data,
    refuse,
)
from routebench.types import Message, Model, Request, Usage

URL = "https://api.anthropic.com/v1"
VERSION = "2023-06-01"
DEFAULT_MAX_TOKENS = 4096
"""Sent where nobody says how long an answer may be: the field is required."""

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
}
# Our parameter -> its; those that keep their name, and those that take another form, are written out below.
_RENAMED = {"max_completion_tokens": "max_tokens", "stop": "stop_sequences"}
_SAME = frozenset(
    "max_tokens temperature top_p top_k thinking service_tier metadata stop_sequences output_config".split()
)
_FORMED = frozenset("tool_choice parallel_tool_calls reasoning_effort user safety_identifier response_format n".split())
_KNOWN = _SAME | _FORMED | _RENAMED.keys()
_PARTS = frozenset({"image_url", "file"})
# OpenAI's words for how long to think that are none here.
_EFFORTS: Mapping[Any, str | None] = {"minimal": "low", "none": None}
_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class AnthropicMessages(Wire):
    """`POST {base_url}/messages`."""

    def check(self, model: Model, request: Request) -> None:
        """Checks a rendered request.

        Raises:
            ConfigError: it asks for what this format lacks.
        """
        check_everywhere(model, request)
        check_names(model, request, _KNOWN, provider="anthropic")
        check_parts(model, request, _PARTS, provider="anthropic")
        check_functions(model, request, provider="anthropic")
        kind = (request.response_format or {}).get("type")
        if kind == "json_object":
            raise refuse(
                model, "anthropic", "plain JSON mode", "give a schema: `response_format: {type: json_schema, …}`"
            )

    def output_cap(self, model: Model, request: Request) -> int | None:  # noqa: ARG002 - the request says it
        """The most output tokens of a call: the format never leaves it open."""
        return _max_tokens(request)

    def request(self, call: Call, secrets: Mapping[str, str], *, stream: bool) -> WireRequest:
        """Writes a call."""
        model, request = call.model, call.request
        params = request.params
        body: dict[str, Any] = {
            "model": model.model,
            "messages": _messages(request.messages),
            "stream": stream,
            **{_RENAMED.get(name, name): value for name, value in params.items() if name in _SAME or name in _RENAMED},
            "max_tokens": _max_tokens(request),
        }
        if isinstance(body.get("stop_sequences"), str):
            body["stop_sequences"] = [body["stop_sequences"]]
        system = [part for message in request.messages if _is_system(message) for part in content_parts(message)]
        if any(text_of({"content": [part]}) for part in system):
            body["system"] = text_of({"content": system}) if all(set(p) == {"type", "text"} for p in system) else system
        if request.tools:
            body["tools"] = [_tool(tool) for tool in request.tools]
        choice = _tool_choice(params)
        if choice is not None:
            body["tool_choice"] = choice
        output = _output_config(request)
        if output:
            body["output_config"] = output
        user = params.get("user") or params.get("safety_identifier")
        if user is not None:
            body["metadata"] = {**body.get("metadata", {}), "user_id": user}
        body.update(params.get("extra_body", {}))
        headers = {"anthropic-version": VERSION, **extra_headers(params, secrets)}
        if model.key_env is not None:
            headers["x-api-key"] = secrets[model.key_env]
        return WireRequest(f"{address(model, URL)}/messages", headers, body)

    def read_event(self, answer: Answer, name: str, data: str) -> None:
        """Takes one event; the type inside it counts, since some servers leave the event's name out."""
        event = mapping(read_json(data), "an event")
        kind = event.get("type") or name
        if kind == "message_start":
            self._facts(answer, mapping(event.get("message"), "`message`"))
        elif kind == "content_block_start":
            block = mapping(event.get("content_block"), "`content_block`")
            if block.get("type") == "tool_use":
                answer.call_tool(_index(event), id=block.get("id"), name=block.get("name"))
            else:
                self._block(answer, block, _index(event))
        elif kind == "content_block_delta":
            delta = mapping(event.get("delta"), "`delta`")
            answer.say(delta.get("text") if delta.get("type") == "text_delta" else None)
            answer.think(delta.get("thinking") if delta.get("type") == "thinking_delta" else None)
            # Tools that the provider runs itself have deltas too; they are no calls for the caller.
            if delta.get("type") == "input_json_delta" and answer.has_tool_call(_index(event)):
                answer.call_tool(_index(event), arguments=delta.get("partial_json") or "")
        elif kind == "message_delta":
            answer.usage = _usage(answer.usage, mapping(event.get("usage"), "`usage`"))
            self._finish(answer, mapping(event.get("delta"), "`delta`"))
        elif kind == "message_stop":
            answer.done = True
        elif kind == "error":
            answer.fail(*from_error_event(event.get("error")))

    def read_document(self, answer: Answer, document: Any) -> None:
        """Takes a whole message."""
        document = mapping(document, "the answer")
        if document.get("type") == "error" or document.get("error"):
            answer.fail(*from_error_event(document.get("error")))
            return
        if not isinstance(document.get("content"), list):
            raise ValueError("no `content` in the answer")
        self._facts(answer, document)
        for index, block in enumerate(document["content"]):
            self._block(answer, mapping(block, "a content block"), index)
        self._finish(answer, document)
        answer.done = True

    def _facts(self, answer: Answer, message: Mapping[str, Any]) -> None:
        answer.served_model = message.get("model") or answer.served_model
        usage = mapping(message.get("usage"), "`usage`")
        answer.service_tier = usage.get("service_tier") or answer.service_tier
        answer.usage = _usage(answer.usage, usage)

    def _block(self, answer: Answer, block: Mapping[str, Any], index: int) -> None:
        if block.get("type") == "text":
            answer.say(block.get("text"))
        elif block.get("type") == "thinking":
            answer.think(block.get("thinking"))
        elif block.get("type") == "tool_use":
            arguments = json.dumps(block.get("input") or {}, ensure_ascii=False)
            answer.call_tool(index, id=block.get("id"), name=block.get("name"), arguments=arguments)

    def _finish(self, answer: Answer, holder: Mapping[str, Any]) -> None:
        raw = holder.get("stop_reason")
        if not raw:
            return
        answer.end(str(raw), _FINISH)
        if raw == "refusal":
            answer.spoil("content_filter", "the model refused")


def _usage(before: Usage, raw: Mapping[str, Any]) -> Usage:
    """Takes each count as the largest of all events: some servers tell it at the start, some at the end, some in part.

    Anthropic's input tokens leave cached and cache-written ones out; ours include them.
    """
    if not raw:
        return before
    merged = {**(before.raw or {}), **{name: value for name, value in raw.items() if name not in _COUNTS}}
    for name in _COUNTS:
        values = [value for value in (count((before.raw or {}).get(name)), count(raw.get(name))) if value is not None]
        if values:
            merged[name] = max(values)
    fresh, cached, written = merged.get(_COUNTS[0]), merged.get(_COUNTS[2]), merged.get(_COUNTS[3])
    return Usage(
        input_tokens=None if fresh is None else prompt_count(fresh + (cached or 0) + (written or 0)),
        output_tokens=merged.get(_COUNTS[1]),
        cached_input_tokens=cached,
        cache_write_tokens=written,
        raw=merged,
    )


def _index(event: Mapping[str, Any]) -> int:
    return count(event.get("index")) or 0


def _max_tokens(request: Request) -> int:
    params = request.params
    cap = params.get("max_completion_tokens") or params.get("max_tokens") or DEFAULT_MAX_TOKENS
    return int(cap)


def _output_config(request: Request) -> dict[str, Any]:
    """How the answer is formed, and how much thought goes into it."""
    form = request.response_format
    output = dict(request.params.get("output_config", {}))
    said = request.params.get("reasoning_effort")
    effort = _EFFORTS.get(said, said)
    if effort is not None:
        output["effort"] = effort
    if form is not None and form.get("type") == "json_schema":
        output["format"] = {"type": "json_schema", "schema": form["json_schema"]["schema"]}
    return output


def _is_system(message: Message) -> bool:
    return message.get("role") in ("system", "developer")


def _messages(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Turns chat messages into alternating turns: results of tools are parts of a user turn here."""
    turns: list[dict[str, Any]] = []
    for message in with_tool_calls(messages):
        if _is_system(message):
            continue
        role = "assistant" if message.get("role") == "assistant" else "user"
        parts = _parts(message)
        if not parts:
            # A turn of nothing, as answers are that hold only a refusal's null, is refused there.
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += parts
        else:
            turns.append({"role": role, "content": parts})
    for turn in turns:
        if len(turn["content"]) == 1 and set(turn["content"][0]) == {"type", "text"}:
            turn["content"] = turn["content"][0]["text"]
    return turns


def _parts(message: Message) -> list[dict[str, Any]]:
    if message.get("role") == "tool":
        return [
            {"type": "tool_result", "tool_use_id": call_id(message.get("tool_call_id")), "content": text_of(message)}
        ]
    # An empty text is refused there.
    parts = [_part(part) for part in content_parts(message) if part.get("type") != "text" or part.get("text")]
    for call in sequence(message.get("tool_calls"), "`tool_calls`"):
        function = call["function"]
        made = {"type": "tool_use", "id": call_id(call.get("id")), "name": function["name"]}
        parts.append({**made, "input": arguments_of(function)})
    return parts


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    if part.get("type") == "refusal":
        return {"type": "text", "text": part.get("refusal")}
    if part.get("type") == "file":
        kind, data = file_data(part)
        made = {"type": "document", "source": {"type": "base64", "media_type": kind, "data": data}}
        return {**made, "title": part["file"]["filename"]} if part["file"].get("filename") else made
    if part.get("type") != "image_url":
        return dict(part)
    media_type, data = data_url(part)
    if media_type is None:
        return {"type": "image", "source": {"type": "url", "url": data}}
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function":
        return dict(tool)
    function = tool["function"]
    made = {"name": function["name"], "input_schema": function.get("parameters") or {"type": "object"}}
    return {**made, "description": function["description"]} if function.get("description") else made


def _tool_choice(params: Mapping[str, Any]) -> dict[str, Any] | None:
    choice, parallel = params.get("tool_choice"), params.get("parallel_tool_calls")
    if choice is None and parallel is None:
        return None
    if isinstance(choice, Mapping):
        function = choice.get("function")
        made = {"type": "tool", "name": function["name"]} if isinstance(function, Mapping) else dict(choice)
    else:
        made = {"type": {"required": "any", "none": "none"}.get(str(choice), "auto")}
    # Without tools to choose from there is nothing to be parallel, and the format has no such key.
    return {**made, "disable_parallel_tool_use": True} if parallel is False and made["type"] != "none" else made
