"""A chat completion as a client asks for it, read and checked: nothing that it can say ends in a fault of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from routebench.errors import nearest
from routebench.gateway.about import read_about
from routebench.gateway.conversation import check_messages
from routebench.gateway.offered import check_response_format, check_tool_choice, check_tools
from routebench.gateway.parameters import PARAMETERS, REFUSED, check_parameter, check_together
from routebench.gateway.refusal import Refusal, wrong
from routebench.types import Request

AUTO = "routebench/auto"
"""The model that a client names where the rule set is to decide."""
_AUTO = frozenset((AUTO, "auto", "routebench"))
_OWN = frozenset("messages model stream stream_options metadata tools tool_choice response_format routebench".split())
_NAMES = _OWN | PARAMETERS
_MOST_NAME = 256
_DEEP = 100
"""A document with fewer brackets nests no deeper than anything here can write again."""

_MOST_PARTS = 100_000
"""An empty object of two bytes takes a hundred times as much memory."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a client.

    Attributes:
        request: what is decided and sent on; `params` are the parameters of the API apart from those below.
        model: as the client named it; None where the rule set decides.
        streamed: whether the answer is to come in pieces.
        include_usage: whether a stream is to end with the tokens used.
        previous: the model that answered the conversation so far, where the client tells.
    """

    request: Request
    model: str | None
    streamed: bool
    include_usage: bool
    previous: str | None


def read_chat(body: bytes) -> Asked:
    """Reads the body of `POST /v1/chat/completions`.

    Of a name that stands twice in an object the last value counts, and only that is decided on and sent on. Values
    that are null are left out, as the API has it.

    Raises:
        Refusal: it is no JSON, or not a request of the API; the place and the mend are told.
    """
    document = _document(body)
    if not document.keys() <= _NAMES:
        _refuse_name(next(name for name in document if name not in _NAMES))
    messages = check_messages(document.get("messages"))
    model = _model(document.get("model"))
    streamed, include_usage = _stream(document)
    about = read_about(document.get("metadata"), document.get("routebench"))
    tools: tuple[Mapping[str, Any], ...] = ()
    if document.get("tools") is not None:
        tools = check_tools(document["tools"])
    form = document.get("response_format")
    if form is not None:
        check_response_format(form)
    params: dict[str, Any] = {}
    for name, value in document.items():
        if name not in _OWN and value is not None:
            check_parameter(name, value)
            params[name] = value
    check_together(params)
    params.pop("n", None)
    if document.get("tool_choice") is not None:
        check_tool_choice(document["tool_choice"], tools)
        if tools:
            params["tool_choice"] = document["tool_choice"]
    request = Request(messages, tools, form, params, about.metadata, about.tags)
    return Asked(request, model, streamed, include_usage, about.previous)


def _document(body: bytes) -> dict[str, Any]:
    brackets = body.count(b"[") + body.count(b"{")
    if brackets > _MOST_PARTS and _n_parts(body) > _MOST_PARTS:
        raise Refusal(
            400, f"the body has more than {_MOST_PARTS} lists and objects; write it flatter", code="invalid_json"
        )
    try:
        document = orjson.loads(body)
        if brackets > _DEEP:
            orjson.dumps(document)
    except orjson.JSONDecodeError as error:
        told = f"{error.msg[:120]} (line {error.lineno}, column {error.colno})"
        raise Refusal(400, f"the body is no JSON: {told}", code="invalid_json") from None
    except orjson.JSONEncodeError:
        raise Refusal(400, "the body nests too deeply; write it flatter", code="invalid_json") from None
    if not isinstance(document, dict):
        raise Refusal(400, "the body is no JSON object; write {model: …, messages: […]}", code="invalid_json")
    return document


def _n_parts(body: bytes) -> int:
    """How many lists and objects there are, apart from brackets in texts, such as those of code."""
    bare = b"".join(body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    return bare.count(b"[") + bare.count(b"{")


def _refuse_name(name: str) -> None:
    told = name[:40]
    if name in REFUSED:
        raise Refusal(400, f"{told}: {REFUSED[name]}", param=told, code="unsupported_parameter")
    raise Refusal(
        400,
        f"{told}: unknown parameter{nearest(told, _NAMES)}; leave it out",
        param=told,
        code="unknown_parameter",
    )


def _model(name: Any) -> str | None:
    if not isinstance(name, str) or not name or len(name) > _MOST_NAME:
        wrong("model", f"the name of a model, or {AUTO} to have the rule set decide", name)
    return None if name in _AUTO else name


def _stream(document: Mapping[str, Any]) -> tuple[bool, bool]:
    streamed = document.get("stream")
    if streamed is not None and not isinstance(streamed, bool):
        wrong("stream", "true or false", streamed)
    options = document.get("stream_options")
    if options is None:
        return bool(streamed), False
    if not isinstance(options, dict):
        wrong("stream_options", "an object such as {include_usage: true}", options)
    if not streamed:
        wrong("stream_options", "only with `stream: true`; leave it out")
    for name, value in options.items():
        if name not in ("include_usage", "include_obfuscation"):
            wrong(f"stream_options.{name[:40]}", "unknown; `include_usage` is known", code="unknown_parameter")
        if value is not None and not isinstance(value, bool):
            wrong(f"stream_options.{name}", "true or false", value)
    return True, bool(options.get("include_usage"))
