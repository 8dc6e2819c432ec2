"""OpenAI chat completions, and every server that speaks them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from routebench.providers.answer import Answer, cost, count, mapping, prompt_count, read_json, sequence
from routebench.providers.base import Call
from routebench.providers.faults import from_error_event
from routebench.providers.history import chat_messages
from routebench.providers.http import Wire, WireRequest
from routebench.providers.params import (
    EVERYWHERE,
    address,
    check_everywhere,
    check_names,
    check_spelling,
    extra_headers,
    refuse,
)
from routebench.types import Model, Request, Usage

_FINISH = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "STOP": "stop",
    "length": "length",
    "model_length": "length",
    "max_tokens": "length",
    "MAX_TOKENS": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
_FILTERED = frozenset({"content_filter", "safety"})
_BROKEN = frozenset({"error", "abort", "insufficient_system_resource"})
OPENAI_PARAMS = frozenset(
    """
    frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens metadata modalities
    n parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_retention reasoning_effort
    response_format safety_identifier seed service_tier stop store temperature tool_choice top_logprobs top_p user
    verbosity web_search_options
    """.split()
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one server's chat completions differ from OpenAI's.

    Attributes:
        name: the preset, for messages to people.
        base_url: where it is; empty where every installation has its own.
        key_header: the header that carries the key.
        key_prefix: what stands before the key in it.
        params: the parameters that it has; None where the server is not known, and takes anything.
        renamed: our parameter -> its.
        only_at_home: parameters and names hold for `base_url` alone; elsewhere is another server of the same format.
        json_schema: whether it can hold an answer to a JSON schema.
        usage_on_request: whether a stream tells its usage only when asked; one that always does may refuse the ask.
        body: what every request carries besides.
        cost_header: the response header in which a gateway tells what the call cost, in US dollars.
        model_header: the response header in which a gateway tells which model really answered.
        developer: whether it has messages of that role; elsewhere they are sent as `system`.
        extras: whether it takes back what other servers put into messages, such as thoughts and marks for a cache.
        short_ids: whether ids of tool calls are nine letters and digits.
    """

    name: str
    base_url: str
    key_header: str = "authorization"
    key_prefix: str = "Bearer "
    params: frozenset[str] | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    only_at_home: bool = False
    json_schema: bool = True
    usage_on_request: bool = True
    body: Mapping[str, Any] = field(default_factory=dict)
    cost_header: str | None = None
    model_header: str | None = None
    developer: bool = False
    extras: bool = True
    short_ids: bool = False


class OpenAIChat(Wire):
    """`POST {base_url}/chat/completions`."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known = None if dialect.params is None else dialect.params | set(dialect.renamed)

    def check(self, model: Model, request: Request) -> None:
        """Checks a rendered request.

        Raises:
            ConfigError: it asks for what this server lacks.
        """
        dialect = self._dialect
        check_everywhere(model, request)
        if not dialect.base_url and model.base_url is None:
            raise refuse(model, dialect.name, "address of its own", "set `base_url`")
        if self._known is not None and self._knows(model):
            check_names(model, request, self._known, provider=dialect.name)
        else:
            check_spelling(model, request, OPENAI_PARAMS)
        kind = (request.response_format or {}).get("type")
        if kind == "json_schema" and not dialect.json_schema:
            raise refuse(
                model,
                dialect.name,
                "JSON schema",
                "use `response_format: {type: json_object}` and say it in the prompt",
            )

    def _knows(self, model: Model) -> bool:
        """Whether the server is the one that the dialect describes, and not one that only speaks like it."""
        return not self._dialect.only_at_home or address(model, self._dialect.base_url) == self._dialect.base_url

    def request(self, call: Call, secrets: Mapping[str, str], *, stream: bool) -> WireRequest:
        """Writes a call."""
        model, request, dialect = call.model, call.request, self._dialect
        params = request.params
        knows = self._knows(model)
        renamed = dialect.renamed if knows else {}
        body: dict[str, Any] = {
            "model": model.model,
            "messages": chat_messages(
                request.messages,
                developer=knows and dialect.developer,
                extras=dialect.extras or not knows,
                short_ids=knows and dialect.short_ids,
            ),
            "stream": stream,
            **dialect.body,
            **{renamed.get(name, name): value for name, value in params.items() if name not in EVERYWHERE},
        }
        if stream and dialect.usage_on_request:
            body["stream_options"] = {"include_usage": True}
        if request.tools:
            body["tools"] = [dict(tool) for tool in request.tools]
        if request.response_format is not None:
            body["response_format"] = dict(request.response_format)
        body.update(params.get("extra_body", {}))
        headers = extra_headers(params, secrets)
        if model.key_env is not None:
            headers[dialect.key_header] = f"{dialect.key_prefix}{secrets[model.key_env]}"
        return WireRequest(f"{address(model, dialect.base_url)}/chat/completions", headers, body)

    def read_headers(self, answer: Answer, headers: Mapping[str, str]) -> None:
        """Takes the cost and the model that a gateway reports in its headers; its body names the alias asked for."""
        answer.routed_to = headers.get(self._dialect.model_header or "")
        name = self._dialect.cost_header
        if name is not None and name in headers:
            try:
                answer.reported_cost_usd = cost(float(headers[name]))
            except ValueError:
                answer.reported_cost_usd = None

    def read_event(self, answer: Answer, name: str, data: str) -> None:  # noqa: ARG002 - this format's events have no names
        """Takes one chunk; `[DONE]` is the terminal event."""
        if data == "[DONE]":
            answer.done = True
            return
        event = mapping(read_json(data), "an event")
        if event.get("error"):
            answer.fail(*from_error_event(event["error"]))
            return
        self._facts(answer, event)
        for choice in sequence(event.get("choices"), "`choices`"):
            self._message(answer, mapping(choice.get("delta"), "`delta`"), choice.get("logprobs"))
            self._finish(answer, choice.get("finish_reason"))

    def read_document(self, answer: Answer, document: Any) -> None:
        """Takes a whole chat completion."""
        document = mapping(document, "the answer")
        if document.get("error"):
            answer.fail(*from_error_event(document["error"]))
            return
        self._facts(answer, document)
        choices = sequence(document.get("choices"), "`choices`")
        if not choices:
            raise ValueError("no `choices` in the answer")
        message = mapping(choices[0], "a choice").get("message")
        if not isinstance(message, Mapping):
            raise ValueError("no `message` in the answer's choice")
        self._message(answer, message, choices[0].get("logprobs"))
        self._finish(answer, choices[0].get("finish_reason"))
        answer.done = True

    def _facts(self, answer: Answer, event: Mapping[str, Any]) -> None:
        answer.served_model = event.get("model") or answer.served_model
        tier = event.get("service_tier")
        if tier:
            answer.service_tier = "standard" if tier in ("default", "auto") else tier
        if event.get("usage"):
            raw = mapping(event["usage"], "`usage`")
            answer.usage = _usage(raw)
            told = _reported(raw)
            answer.reported_cost_usd = answer.reported_cost_usd if told is None else told

    def _message(self, answer: Answer, message: Mapping[str, Any], logprobs: Any) -> None:
        content = message.get("content")
        if len(message) == 1 and type(content) is str and not logprobs:
            # Nearly every chunk of a stream is that.
            answer.say(content)
            return
        # Which of these names holds the thoughts is the server's choice; no server fills two.
        answer.think(message.get("reasoning_content") or message.get("reasoning"))
        if isinstance(content, list):
            # Mistral's parts: thoughts and text by type.
            for part in content:
                _part(answer, mapping(part, "a content part"))
        else:
            answer.say(content, mapping(logprobs, "`logprobs`").get("content") if logprobs else None)
        for position, call in enumerate(sequence(message.get("tool_calls"), "`tool_calls`")):
            function = mapping(call.get("function"), "`function`")
            answer.call_tool(
                call.get("index", position),
                id=call.get("id"),
                name=function.get("name"),
                arguments=function.get("arguments") or "",
            )
        if message.get("refusal"):
            answer.spoil("content_filter", f"the model refused: {str(message['refusal'])[:300]}")

    def _finish(self, answer: Answer, raw: Any) -> None:
        if not raw:
            return
        answer.end(str(raw), _FINISH)
        if raw in _FILTERED:
            answer.spoil("content_filter", "the provider filtered the answer")
        elif raw in _BROKEN:
            answer.spoil("server", f"the provider ended the answer with {raw!r}")


def _reported(usage: Mapping[str, Any]) -> float | None:
    """What the call cost; with a key of the user's own, OpenRouter's `cost` is only its fee on top."""
    told = cost(usage.get("cost"))
    if told is None or not usage.get("is_byok"):
        return told
    upstream = cost(mapping(usage.get("cost_details"), "`cost_details`").get("upstream_inference_cost"))
    return None if upstream is None else told + upstream


def _part(answer: Answer, part: Mapping[str, Any]) -> None:
    if part.get("type") == "thinking":
        inner = part.get("thinking")
        pieces = inner if isinstance(inner, list) else [{"text": inner}]
        for piece in pieces:
            answer.think(mapping(piece, "a thinking part").get("text"))
    else:
        answer.say(part.get("text"))


def _usage(raw: Mapping[str, Any]) -> Usage:
    """OpenAI's convention is ours: prompt tokens include cached ones, completion tokens include reasoning."""
    prompt = mapping(raw.get("prompt_tokens_details"), "`prompt_tokens_details`")
    completion = mapping(raw.get("completion_tokens_details"), "`completion_tokens_details`")
    cached = count(prompt.get("cached_tokens"))
    return Usage(
        input_tokens=prompt_count(raw.get("prompt_tokens")),
        output_tokens=count(raw.get("completion_tokens")),
        # DeepSeek names cached tokens beside the total.
        cached_input_tokens=cached if cached is not None else count(raw.get("prompt_cache_hit_tokens")),
        cache_write_tokens=count(prompt.get("cache_write_tokens")),
        reasoning_tokens=count(completion.get("reasoning_tokens")),
        raw=dict(raw) or None,
    )
