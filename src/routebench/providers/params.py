"""Request parameters under one set of names, OpenAI's, and what each provider takes of them.

A parameter that a provider lacks is an error before anything is sent. What must reach a server under a name that
routebench does not know goes into `extra_body`, which every HTTP provider passes on as it is.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from routebench.errors import ConfigError, nearest
from routebench.types import Message, Model, Request

EVERYWHERE = frozenset({"stream", "extra_body", "extra_headers"})
"""Parameters that every HTTP provider has: they shape the exchange, not the answer."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_KEY_NAME = re.compile(r"(?i)(^|[-_])(api[-_]?key|apikey|key|token|secret|password|authorization|auth|cookie)$")
_BOUNDS = ("n", "max_tokens", "max_completion_tokens", "max_output_tokens", "generationConfig", "service_tier")
"""What a cost is bounded by: hidden in `extra_body`, no cap on money could hold."""


def check_names(model: Model, request: Request, known: Iterable[str], *, provider: str) -> None:
    """Checks that a provider has every parameter that a request brings.

    Raises:
        ConfigError: it lacks one; the nearest known name is offered.
    """
    names = {*known, *EVERYWHERE}
    for name in request.params:
        if name in names:
            continue
        raise ConfigError(
            f"model {model.name!r}: {provider} has no request parameter {name!r}{nearest(name, names)}; leave it out, "
            "or send it as it is inside `extra_body`"
        )


def check_spelling(model: Model, request: Request, known: Iterable[str]) -> None:
    """Checks, for a server whose parameters are not known, that none is a known one with a slip of the pen.

    Raises:
        ConfigError: one is.
    """
    names = {*known, *EVERYWHERE}
    for name in request.params:
        if name not in names and (close := difflib.get_close_matches(name, names, n=1, cutoff=0.87)):
            raise ConfigError(
                f"model {model.name!r}: request parameter {name!r}: did you mean {close[0]!r}? If the server really "
                f"has {name!r}, put it into `extra_body`"
            )


def refuse(model: Model, provider: str, what: str, mend: str) -> ConfigError:
    """The error for something that a request brings and a provider lacks."""
    return ConfigError(f"model {model.name!r}: {provider} has no {what}; {mend}")


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
