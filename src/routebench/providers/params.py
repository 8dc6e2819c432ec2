"""Request parameters under one set of names, OpenAI's, and what each provider takes of them.

A parameter that a provider lacks is an error before anything is sent. What must reach a server under a name that
routebench does not know goes into `extra_body`, which every HTTP provider passes on as it is.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from routebench.errors import ConfigError, nearest
from routebench.types import Message, Model, Request

EVERYWHERE = frozenset({"stream", "extra_body", "extra_headers"})
"""Parameters that every HTTP provider has: they shape the exchange, not the answer."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_KEY_NAME = re.compile(r"(?i)(^|[-_])(api[-_]?key|apikey|key|token|secret|password|authorization|auth|cookie)$")
_BOUNDS = ("n", "max_tokens", "max_completion_tokens", "max_output_tokens", "generationConfig", "service_tier")
"""What a cost is bounded by: hidden in `extra_body`, no cap on money could hold."""


class UnsupportedError(ConfigError):
    """A request brings what a model's provider lacks; the text is for who wrote the model's settings.

    Attributes:
        told: the same for who sent the request, and cannot change these settings.
        param: the part of the request, None where it is not one parameter.
    """

    def __init__(self, sentence: str, *, told: str, param: str | None = None) -> None:
        super().__init__(sentence)
        self.told = told
        self.param = param


def check_names(model: Model, request: Request, known: frozenset[str], *, provider: str) -> None:
    """Checks that a provider has every parameter that a request brings.

    Raises:
        UnsupportedError: it lacks one; the nearest known name is offered.
    """
    for name in request.params:
        if name in known or name in EVERYWHERE:
            continue
        close = nearest(name, known)
        raise UnsupportedError(
            f"model {model.name!r}: {provider} has no request parameter {name!r}{close}; leave it out, "
            "or send it as it is inside `extra_body`",
            told=f"{name}: model {model.name!r} has no such parameter{close}; leave it out, or ask another model",
            param=name,
        )


def check_spelling(model: Model, request: Request, known: frozenset[str]) -> None:
    """Checks, for a server whose parameters are not known, that none is a known one with a slip of the pen.

    Raises:
        UnsupportedError: one is.
    """
    for name in request.params:
        if name in known or name in EVERYWHERE:
            continue
        close = _slip_of(name, known)
        if close is not None:
            raise UnsupportedError(
                f"model {model.name!r}: request parameter {name!r}: did you mean {close!r}? If the server really "
                f"has {name!r}, put it into `extra_body`",
                told=f"{name}: did you mean {close!r}?",
                param=name,
            )


# Comparing a name with all others takes longer than all the rest of a request.
@lru_cache(maxsize=1024)
def _slip_of(name: str, known: frozenset[str]) -> str | None:
    close = difflib.get_close_matches(name, {*known, *EVERYWHERE}, n=1, cutoff=0.87)
    return close[0] if close else None


def refuse(model: Model, provider: str, what: str, mend: str) -> UnsupportedError:
    """The error for something that a request brings and a provider lacks."""
    return UnsupportedError(
        f"model {model.name!r}: {provider} has no {what}; {mend}", told=f"model {model.name!r} has no {what}; {mend}"
    )


def check_parts(model: Model, request: Request, kinds: frozenset[str], *, provider: str) -> None:
    """Checks, for a format that parts of messages are written anew for, that it has a form for each.

    Raises:
        UnsupportedError: it has none, as for audio.
    """
    for message in request.messages:
        content = message.get("content")
        if not isinstance(content, list):
            continue
        for part in content:
            kind = part.get("type")
            if kind in ("image_url", "input_audio", "file") and kind not in kinds:
                raise refuse(model, provider, f"content part of type {kind!r}", "leave it out, or ask another model")


def check_functions(model: Model, request: Request, *, provider: str) -> None:
    """Checks that no tool of a request is a custom one, which only OpenAI has.

    Raises:
        UnsupportedError: one is.
    """
    choice = request.params.get("tool_choice")
    choices = [choice] if isinstance(choice, Mapping) and choice.get("type") in ("custom", "allowed_tools") else []
    if choices or any("custom" in tool for tool in request.tools):
        raise refuse(model, provider, "tools or choices of tools but functions", "write each tool as a function")


def check_everywhere(model: Model, request: Request) -> None:
    """Checks what holds for every provider that speaks HTTP.

    Raises:
        ConfigError: a key stands in the parameters, several answers are asked for at once, or a mapping is none.
    """
    params = request.params
    for name in ("extra_body", "extra_headers"):
        if name in params and not isinstance(params[name], Mapping):
            raise ConfigError(f"model {model.name!r}: `{name}` is a mapping, got {params[name]!r}")
    for name in _BOUNDS:
        if name in params.get("extra_body", {}):
            raise ConfigError(
                f"model {model.name!r}: {name!r} bounds what a call costs; write it in `params`, not in `extra_body`"
            )
    if params.get("n", 1) != 1:
        raise ConfigError(
            f"model {model.name!r}: `n` asks for several answers at once; use `samples` of the bench.yaml"
        )


def check_no_secrets(model: Model) -> None:
    """Checks that no key stands in what the user has written of a model.

    Raises:
        ConfigError: one does, or seems to; it is named, and its value is not told.
    """
    if model.base_url is not None and ("@" in model.base_url.partition("//")[2] or "?" in model.base_url):
        raise ConfigError(
            f"model {model.name!r}: `base_url` is an address without user, password or query; name the key's "
            "environment variable with `key_env`"
        )
    if model.base_url is not None and not model.base_url.startswith(("http://", "https://")):
        raise ConfigError(f"model {model.name!r}: `base_url` begins with http:// or https://")
    if model.key_env is not None and not _VARIABLE.fullmatch(model.key_env):
        # Its value is not told: it may well be the key.
        raise ConfigError(
            f"model {model.name!r}: `key_env` is the name of an environment variable, letters, digits and underscores; "
            "the key itself belongs into that variable"
        )
    for name, value in _named_values(model.params):
        if _KEY_NAME.search(name) and isinstance(value, str) and not value.startswith("env:"):
            raise ConfigError(
                f"model {model.name!r}: a key has no place in a file, and {name!r} looks like one; name its "
                "environment variable with `key_env`, or write `env:NAME` as the value of a header"
            )


def _named_values(value: Any) -> Iterator[tuple[str, Any]]:
    """Every name and value of a JSON value, at any depth."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name), inner
            yield from _named_values(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _named_values(inner)


def header_variables(model: Model) -> list[str]:
    """Returns the environment variables that the model's extra headers name as `env:NAME`."""
    headers = model.params.get("extra_headers")
    values = headers.values() if isinstance(headers, Mapping) else ()
    return [str(value)[4:] for value in values if str(value).startswith("env:")]


def extra_headers(params: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, str]:
    """Returns the extra headers with `env:NAME` replaced by the secret."""
    return {
        name: secrets[str(value)[4:]] if str(value).startswith("env:") else str(value)
        for name, value in params.get("extra_headers", {}).items()
    }


def address(model: Model, default: str) -> str:
    """Returns the base URL of a model's calls, without a slash at its end."""
    return (model.base_url or default).rstrip("/")


def content_parts(message: Message) -> list[Mapping[str, Any]]:
    """Returns a message's content as a list of parts, whatever form it has."""
    content = message.get("content")
    if content is None:
        return []
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def data_url(part: Mapping[str, Any]) -> tuple[str | None, str]:
    """Returns (media type, base64 data) of an image part, or (None, address) where the image lies elsewhere."""
    image = part.get("image_url")
    url = str(image.get("url") if isinstance(image, Mapping) else image)
    if url.startswith("data:"):
        head, _, data = url[5:].partition(",")
        return head.removesuffix(";base64"), data
    return None, url


def file_data(part: Mapping[str, Any]) -> tuple[str, str]:
    """Returns (media type, base64 data) of a file part.

    Raises:
        ValueError: it does not hold the file itself.
    """
    data = str(part["file"].get("file_data") or "")
    head, comma, content = data.removeprefix("data:").partition(",")
    if not comma or not data.startswith("data:"):
        raise ValueError("a file part without `file_data: data:TYPE;base64,…`")
    return head.removesuffix(";base64") or "application/octet-stream", content
