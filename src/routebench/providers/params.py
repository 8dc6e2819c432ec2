"""Request parameters under one set of names, OpenAI's, and what each provider takes of them.

A parameter that a provider lacks is an error before anything is sent. What must reach a server under a name that
routebench does not know goes into `extra_body`, which every HTTP provider passes on as it is.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from routebench.errors import ConfigError, nearest
from routebench.types import Message, Model, Request

EVERYWHERE = frozenset({"stream", "extra_body", "extra_headers"})
"""Parameters that every HTTP provider has: they shape the exchange, not the answer."""
_KEY_NAMES = ("api_key", "apikey", "authorization", "x-api-key", "password", "secret", "token")


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
    for name, value in {**params, **params.get("extra_body", {}), **params.get("extra_headers", {})}.items():
        if name.lower() in _KEY_NAMES and not str(value).startswith("env:"):
            raise ConfigError(
                f"model {model.name!r}: a key has no place in a file, and {name!r} looks like one; name its "
                "environment variable with `key_env`, or write `env:NAME` as the value of a header"
            )
    if params.get("n", 1) != 1:
        raise ConfigError(
            f"model {model.name!r}: `n` asks for several answers at once; use `samples` of the bench.yaml"
        )
    if model.base_url is not None and ("@" in model.base_url.partition("//")[2] or "?" in model.base_url):
        raise ConfigError(
            f"model {model.name!r}: `base_url` is an address without user, password or query; name the key's "
            "environment variable with `key_env`"
        )


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
