"""Gemini generateContent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from routebench.messages import text_of
from routebench.providers.answer import Answer, count, mapping, prompt_count, read_json, sequence
from routebench.providers.base import Call
from routebench.providers.faults import from_error_event
from routebench.providers.history import arguments_of, with_tool_calls
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
)
from routebench.types import Message, Model, Request, Usage

URL = "https://generativelanguage.googleapis.com/v1beta"

_FINISH = {"STOP": "stop", "MAX_TOKENS": "length"}
_FILTERED = frozenset("SAFETY RECITATION BLOCKLIST PROHIBITED_CONTENT SPII IMAGE_SAFETY LANGUAGE".split())
_BROKEN = frozenset("MALFORMED_FUNCTION_CALL UNEXPECTED_TOOL_CALL TOO_MANY_TOOL_CALLS MALFORMED_RESPONSE".split())
# Our parameter -> its name inside `generationConfig`.
_CONFIG = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",
    "stop": "stopSequences",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
    "thinkingConfig": "thinkingConfig",
}
_FORMED = frozenset("tool_choice reasoning_effort response_format safetySettings cachedContent n".split())


_KNOWN = _FORMED | _CONFIG.keys()
_PARTS = frozenset({"image_url", "input_audio", "file"})
# OpenAI's words for how long to think that are none here.
_LEVELS = {"xhigh": "high", "max": "high"}
_SIGNING = re.compile(r"gemini-(?:[3-9]|\d\d)")
"""Models that refuse a call of a function in the conversation without the signature of the thought behind it."""
_NO_SIGNATURE = "skip_thought_signature_validator"
"""What the API takes for the signature of a call that another model made, or whose signature is lost.
Source: ai.google.dev/gemini-api/docs/thought-signatures."""


class GeminiContent(Wire):
    """`POST {base_url}/models/{model}:generateContent`, or `:streamGenerateContent?alt=sse`."""

    def check(self, model: Model, request: Request) -> None:
        """Checks a rendered request.

        Raises:
            ConfigError: it asks for what this format lacks.
        """
        check_everywhere(model, request)
        check_names(model, request, _KNOWN, provider="gemini")
        check_parts(model, request, _PARTS, provider="gemini")
        check_functions(model, request, provider="gemini")

    def request(self, call: Call, secrets: Mapping[str, str], *, stream: bool) -> WireRequest:
        """Writes a call."""
        model, request = call.model, call.request
        params = request.params
        called = model.model.removeprefix("models/")
        body: dict[str, Any] = {"contents": _contents(request.messages, signed=bool(_SIGNING.match(called)))}
        system = "\n".join(text_of(message) for message in request.messages if _is_system(message))
        if system:
            body["systemInstruction"] = {"parts": [{"text": system}]}
        config = _generation_config(request)
        if config:
            body["generationConfig"] = config
        if request.tools:
            body["tools"] = [{"functionDeclarations": [_tool(tool) for tool in request.tools]}]
        if params.get("tool_choice") is not None:
            body["toolConfig"] = {"functionCallingConfig": _tool_choice(params["tool_choice"])}
        for name in ("safetySettings", "cachedContent"):
            if name in params:
                body[name] = params[name]
        body.update(params.get("extra_body", {}))
        headers = extra_headers(params, secrets)
        if model.key_env is not None:
            headers["x-goog-api-key"] = secrets[model.key_env]
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return WireRequest(f"{address(model, URL)}/models/{called}:{method}", headers, body)

    def read_event(self, answer: Answer, name: str, data: str) -> None:  # noqa: ARG002 - this format's events have no names
        """Takes one response object; its usage is cumulative."""
        self._take(answer, mapping(read_json(data), "an event"))

    def read_end(self, answer: Answer) -> None:
        """No event says that it is the last: a stream that has told its finish reason and then ends is whole."""
        answer.done = answer.done or answer.finish is not None

    def read_document(self, answer: Answer, document: Any) -> None:
        """Takes a whole response object, or the list of them that a stream without `alt=sse` is."""
        for part in document if isinstance(document, list) else [document]:
            self._take(answer, mapping(part, "the answer"))
        if answer.finish is None and answer.error is None:
            raise ValueError("no `candidates` with a `finishReason` in the answer")
        answer.done = True

    def _take(self, answer: Answer, document: Mapping[str, Any]) -> None:
        if document.get("error"):
            answer.fail(*from_error_event(document["error"]))
            return
        answer.served_model = document.get("modelVersion") or answer.served_model
        answer.request_id = document.get("responseId") or answer.request_id
        if document.get("usageMetadata"):
            answer.usage = _usage(mapping(document["usageMetadata"], "`usageMetadata`"))
        blocked = mapping(document.get("promptFeedback"), "`promptFeedback`").get("blockReason")
        if blocked:
            answer.end(str(blocked), _FINISH)
            answer.spoil("content_filter", f"the provider blocked the prompt: {blocked}")
        for candidate in sequence(document.get("candidates"), "`candidates`")[:1]:
            content = mapping(candidate.get("content"), "`content`")
            for part in sequence(content.get("parts"), "`parts`"):
                _part(answer, mapping(part, "a part"))
            raw = candidate.get("finishReason")
            if raw:
                self._finish(answer, str(raw))

    def _finish(self, answer: Answer, raw: str) -> None:
        answer.end(raw, _FINISH)
        if raw == "STOP" and answer.n_tool_calls:
            answer.finish_reason = "tool_calls"
        if raw in _FILTERED:
            answer.spoil("content_filter", f"the provider filtered the answer: {raw}")
        elif raw in _BROKEN:
            answer.spoil("malformed", f"the model's tool call cannot be used: {raw}")


def _generation_config(request: Request) -> dict[str, Any]:
    params, form = request.params, request.response_format
    config = {_CONFIG[name]: value for name, value in params.items() if name in _CONFIG}
    if isinstance(config.get("stopSequences"), str):
        config["stopSequences"] = [config["stopSequences"]]
    if params.get("reasoning_effort") is not None:
        effort = params["reasoning_effort"]
        thinking = {"thinkingBudget": 0} if effort == "none" else {"thinkingLevel": _LEVELS.get(effort, effort)}
        config["thinkingConfig"] = {**config.get("thinkingConfig", {}), **thinking}
    if form is not None and form.get("type") != "text":
        config["responseMimeType"] = "application/json"
        if form.get("json_schema") is not None:
            config["responseJsonSchema"] = form["json_schema"]["schema"]
    return config


def _part(answer: Answer, part: Mapping[str, Any]) -> None:
    if part.get("thought"):
        answer.think(part.get("text"))
    elif "functionCall" in part:
        call = mapping(part["functionCall"], "`functionCall`")
        arguments = json.dumps(call.get("args") or {}, ensure_ascii=False)
        answer.call_tool(answer.n_tool_calls, id=call.get("id"), name=call.get("name"), arguments=arguments)
    else:
        answer.say(part.get("text"))


def _usage(raw: Mapping[str, Any]) -> Usage:
    """Gemini's candidate tokens leave thoughts out, ours include them; prompts of tools' own use are input too."""
    prompt, tools = count(raw.get("promptTokenCount")), count(raw.get("toolUsePromptTokenCount"))
    written, thought = count(raw.get("candidatesTokenCount")), count(raw.get("thoughtsTokenCount"))
    return Usage(
        input_tokens=None if prompt is None else prompt_count(prompt + (tools or 0)),
        # A response that ends while thinking has no count of candidates.
        output_tokens=None if written is None and thought is None else (written or 0) + (thought or 0),
        cached_input_tokens=count(raw.get("cachedContentTokenCount")),
        reasoning_tokens=thought,
        raw=dict(raw),
    )


def _is_system(message: Message) -> bool:
    return message.get("role") in ("system", "developer")


def _contents(messages: tuple[Message, ...], *, signed: bool) -> list[dict[str, Any]]:
    """Turns chat messages into turns of user and model; a tool's result is named by the call that it answers."""
    names: dict[Any, str] = {}
    turns: list[dict[str, Any]] = []
    for message in with_tool_calls(messages):
        if _is_system(message):
            continue
        role = "model" if message.get("role") == "assistant" else "user"
        parts = _message_parts(message, names)
        called = next((part for part in parts if "functionCall" in part), None)
        if signed and called is not None:
            # Of parallel calls only the first one has a signature.
            called["thoughtSignature"] = _NO_SIGNATURE
        if turns and turns[-1]["role"] == role:
            turns[-1]["parts"] += parts
        else:
            turns.append({"role": role, "parts": parts})
    return turns


def _message_parts(message: Message, names: dict[Any, str]) -> list[dict[str, Any]]:
    if message.get("role") == "tool":
        identity = message.get("tool_call_id")
        response = {"name": names.get(identity, str(identity)), "response": {"result": text_of(message)}}
        return [{"functionResponse": response}]
    parts = [_content_part(part) for part in content_parts(message)]
    for call in sequence(message.get("tool_calls"), "`tool_calls`"):
        function = call["function"]
        names[call.get("id")] = function["name"]
        parts.append({"functionCall": {"name": function["name"], "args": arguments_of(function)}})
    return parts


def _content_part(part: Mapping[str, Any]) -> dict[str, Any]:
    if part.get("type") == "image_url":
        media_type, data = data_url(part)
        if media_type is None:
            return {"fileData": {"fileUri": data}}
        return {"inlineData": {"mimeType": media_type, "data": data}}
    if part.get("type") == "input_audio":
        return {
            "inlineData": {"mimeType": f"audio/{part['input_audio']['format']}", "data": part["input_audio"]["data"]}
        }
    if part.get("type") == "file":
        media_type, data = file_data(part)
        return {"inlineData": {"mimeType": media_type, "data": data}}
    return {"text": part.get("refusal") or part.get("text", "")}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool.get("function", tool)
    made = {"name": function["name"]}
    if function.get("description"):
        made["description"] = function["description"]
    if function.get("parameters"):
        made["parametersJsonSchema"] = function["parameters"]
    return made


def _tool_choice(choice: Any) -> dict[str, Any]:
    if isinstance(choice, Mapping):
        return {"mode": "ANY", "allowedFunctionNames": [choice["function"]["name"]]}
    return {"mode": {"required": "ANY", "none": "NONE"}.get(str(choice), "AUTO")}
