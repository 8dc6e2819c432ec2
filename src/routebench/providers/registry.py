"""Providers by name, all through one door: the entry point group that the built-ins and third parties register in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import cache
from importlib.metadata import entry_points

from routebench.errors import ConfigError, nearest
from routebench.pricing import BookEntry, known_models, look_up, retirement
from routebench.providers.base import ProviderKind, render
from routebench.providers.params import check_no_secrets, header_variables
from routebench.types import Model, Request

ENTRY_POINTS = "routebench.providers"
_CAPS = {"max_tokens", "max_completion_tokens"}


def provider_names() -> list[str]:
    """Returns every provider name that a bench.yaml may use."""
    return sorted({point.name for point in entry_points(group=ENTRY_POINTS)})


@cache
def provider_kind(name: str) -> ProviderKind:
    """Returns what a provider's name stands for.

    Raises:
        ConfigError: nobody registered it, or what is registered is no ProviderKind.
    """
    for point in entry_points(group=ENTRY_POINTS, name=name):
        kind = point.load()
        if not isinstance(kind, ProviderKind):
            raise ConfigError(f"provider {name!r}: {point.value} is not a routebench.providers.ProviderKind")
        return kind
    names = provider_names()
    raise ConfigError(f"unknown provider {name!r}{nearest(name, names)}; known: {', '.join(names)}")


def with_defaults(model: Model, at: datetime) -> Model:
    """Returns the model with what its provider and the price book know of it, where the user said nothing.

    Raises:
        ConfigError: the provider is unknown, or a key stands in the model's settings.
    """
    try:
        kind = provider_kind(model.provider)
    except ConfigError as error:
        raise ConfigError(f"model {model.name!r}: {error}") from None
    check_no_secrets(model)
    moved = _moved(model, kind)
    key_env = model.key_env or (None if moved else kind.key_env)
    # Somewhere else, at the user's own price, the book has nothing to say.
    entry = None if moved and model.price is not None else _in_book(model, kind, at)
    model = replace(model, key_env=key_env, retires=model.retires or _end(model, kind, entry))
    if entry is not None:
        model = replace(
            model,
            context_window=model.context_window or entry.context_window,
            max_output=model.max_output or entry.max_output,
        )
    if kind.max_tokens is not None and not _CAPS & model.params.keys():
        # A part of the parameters, since it can change an answer.
        model = replace(model, params={**model.params, "max_tokens": model.max_output or kind.max_tokens})
    if entry is None or model.price is not None:
        return model
    return replace(model, price=entry.price, price_source=entry.source, price_date=entry.price_date)


def book_entry(model: Model, at: datetime) -> BookEntry | None:
    """Returns what the price book knows of a model at a time; None where it does not have it.

    Args:
        model: looked up by its provider, its id and its address, whatever its own price is.
        at: the time that the price is wanted for.

    Raises:
        ConfigError: the provider is unknown.
    """
    return _in_book(model, provider_kind(model.provider), at)


def _in_book(model: Model, kind: ProviderKind, at: datetime) -> BookEntry | None:
    if kind.book is None:
        return None
    by_address = _moved(model, kind) and kind.by_address
    return look_up(model.model, book=None if by_address else kind.book, base_url=model.base_url, at=at)


def _moved(model: Model, kind: ProviderKind) -> bool:
    """Whether a model's calls go elsewhere than its provider's usually do."""
    return model.base_url is not None and model.base_url.rstrip("/") != kind.base_url


def _end(model: Model, kind: ProviderKind, entry: BookEntry | None) -> date | None:
    """The day from which on a model answers no longer; a model may end without a price of its own in the book."""
    if entry is not None:
        return entry.retires
    told = None if _moved(model, kind) else retirement(kind.book, model.model)
    return None if told is None else told.retires


def priced_models(at: datetime, *, provider: str | None = None) -> list[BookEntry]:
    """Returns what the price book knows, of all providers or of one, by a bench.yaml's name or the book's own.

    They are sorted by provider and id.

    Raises:
        ConfigError: the book has no such provider.
    """
    entries = sorted(known_models(at), key=lambda entry: (entry.book, entry.model.lower()))
    if provider is None:
        return entries
    book = provider_kind(provider).book if provider in provider_names() else provider
    chosen = [entry for entry in entries if entry.book == book]
    if not chosen:
        names = sorted({entry.book for entry in entries})
        raise ConfigError(
            f"the price book has no provider {provider!r}{nearest(provider, names)}; it has: {', '.join(names)}"
        )
    return chosen


def check_requests(models: Iterable[Model], requests: Sequence[Request]) -> None:
    """Checks, before anything is sent, that every provider has what it would be asked for.

    Requests that bring no tools, response format or parameters of their own are alike here, so one stands for them.

    Raises:
        ConfigError: a provider lacks a parameter, an embedded model or tool is unknown.
        MissingDependencyError: an embedded model is not installed.
    """
    bare = Request(messages=())
    special = [request for request in requests if request.params or request.response_format or request.tools]
    for model in models:
        kind = provider_kind(model.provider)
        for request in (bare, *special):
            kind.check(model, render(model, request))


def find_secrets(models: Iterable[Model], look: Callable[[str], str | None]) -> dict[str, str]:
    """Returns the secrets that models need: environment variable name -> value.

    Args:
        models: those that will be called.
        look: finds a secret by its name: `os.environ.get`, or a keyring.

    Raises:
        ConfigError: one is not set; it is named with the models that need it.
    """
    secrets: dict[str, str] = {}
    missing: dict[str, list[str]] = {}
    for model in models:
        for name in (*([model.key_env] if model.key_env else []), *header_variables(model)):
            value = look(name)
            if value:
                secrets[name] = value
            else:
                missing.setdefault(name, []).append(model.name)
    if missing:
        lines = [
            f"environment variable {name} is not set; models {', '.join(who)} need it" for name, who in missing.items()
        ]
        raise ConfigError("\n".join(lines) + "\nset it in the shell, never in a file: export NAME=…")
    return secrets
