"""Providers by name; third parties register theirs through the entry point group that the built-ins could use too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import entry_points

import httpx

from routebench.errors import ConfigError, nearest
from routebench.providers.base import Provider
from routebench.providers.embedded import Embedded, find_weights
from routebench.providers.openai import OpenAIChat
from routebench.providers.tool import Tool, find_tool
from routebench.types import Model

ENTRY_POINTS = "routebench.providers"

Open = Callable[[Mapping[str, str]], Provider]
"""Opens a provider, given environment variable name -> secret for the models that will use it."""


def _open_openai(keys: Mapping[str, str]) -> Provider:
    return OpenAIChat(httpx.AsyncClient(limits=httpx.Limits(max_connections=None)), keys)


_BUILT_IN: Mapping[str, Open] = {
    "openai": _open_openai,
    "embedded": lambda _keys: Embedded(),
    "tool": lambda _keys: Tool(),
}


def provider_names() -> list[str]:
    """Returns every provider name that a bench.yaml may use."""
    return sorted({*_BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINTS))})


def open_provider(name: str, keys: Mapping[str, str]) -> Provider:
    """Opens a provider by name.

    Raises:
        ConfigError: no such provider.
    """
    if name in _BUILT_IN:
        return _BUILT_IN[name](keys)
    for point in entry_points(group=ENTRY_POINTS, name=name):
        opener: Open = point.load()
        return opener(keys)
    raise ConfigError(unknown_provider(name))


def unknown_provider(name: str) -> str:
    """The sentence about a provider that nobody registered."""
    names = provider_names()
    return f"unknown provider {name!r}{nearest(name, names)}; known: {', '.join(names)}"


def check_models(models: Iterable[Model], environment: Mapping[str, str]) -> dict[str, str]:
    """Checks, before anything is sent, that every model can be called; returns the keys that they need.

    Raises:
        ConfigError: a key's environment variable is not set, or an embedded model or tool is unknown.
        MissingDependencyError: an embedded model is not installed.
    """
    keys: dict[str, str] = {}
    missing: dict[str, list[str]] = {}
    for model in models:
        if model.provider == "embedded":
            find_weights(model.model)
        elif model.provider == "tool":
            find_tool(model.model)
        if model.key_env is None:
            continue
        value = environment.get(model.key_env)
        if value:
            keys[model.key_env] = value
        else:
            missing.setdefault(model.key_env, []).append(model.name)
    if missing:
        lines = [
            f"environment variable {name} is not set; models {', '.join(who)} need it" for name, who in missing.items()
        ]
        raise ConfigError("\n".join(lines) + "\nset it in the shell, never in a file: export NAME=…")
    return keys
