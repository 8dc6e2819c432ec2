"""What OpenRouter calls a model, and what it asks for it: both from the price book, and never guessed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from routebench.pricing import look_up
from routebench.providers.registry import book_entry, provider_kind, provider_names
from routebench.types import Model, Price

_BOOK = "openrouter"
_AUTHORS: Mapping[str, tuple[str, str]] = {
    "anthropic": ("anthropic", "anthropic"),
    "deepseek": ("deepseek", "deepseek"),
    "gemini": ("google", "google-ai-studio"),
    "mistral": ("mistralai", "mistral"),
    "openai": ("openai", "openai"),
    "qwen": ("qwen", "alibaba"),
}
"""Our providers -> OpenRouter's author of a model, and its slug of who serves it."""
_DATE = re.compile(r"-(?:latest|\d{8}|\d{4}-\d{2}-\d{2})$")
_DASHED = re.compile(r"(?<=\d)-(?=\d{1,2}(?:-|$))")


def id_of(model: Model, names: Mapping[str, str]) -> str | None:
    """Returns what OpenRouter calls a model; None where neither the caller nor the price book knows.

    Args:
        model: of the rules.
        names: model name -> id, as the caller says.
    """
    if model.name in names:
        return names[model.name]
    if model.provider == _BOOK:
        return model.model
    author = _AUTHORS.get(model.provider)
    if author is None or _is_elsewhere(model):
        return None
    # A snapshot's date is no part of its id there, and versions have a point: claude-sonnet-4-5 is claude-sonnet-4.5.
    plain = _DATE.sub("", model.model)
    for name in dict.fromkeys((model.model, plain, _DASHED.sub(".", plain))):
        entry = look_up(f"{author[0]}/{name}", book=_BOOK, base_url=None, at=datetime.now(UTC))
        if entry is not None and entry.model == f"{author[0]}/{name}":
            return entry.model
    return None


def _is_elsewhere(model: Model) -> bool:
    """Whether it was measured at another address: what listens there need not be what bears the name."""
    return model.base_url is not None and model.base_url.rstrip("/") != provider_kind(model.provider).base_url


def served_by(models: Sequence[Model]) -> list[str]:
    """Returns OpenRouter's slugs of who served what was measured, in the order of the models."""
    return list(dict.fromkeys(_AUTHORS[one.provider][1] for one in models if one.provider in _AUTHORS))


def dearest(models: Sequence[Model], ids: Mapping[str, str]) -> dict[str, str] | None:
    """Returns the dearest rates of a chain, above which OpenRouter may not go; None where one is unknown.

    Args:
        models: of the chain.
        ids: model name -> id.
    """
    rates: dict[str, str] = {}
    for name, key in (("prompt", "input_usd_per_mtok"), ("completion", "output_usd_per_mtok")):
        found: list[float] = []
        for model in models:
            known = [rate for price in _prices(model, ids[model.name]) if (rate := getattr(price, key)) is not None]
            if not known:
                return None
            found += known
        rates[name] = f"{max(found):.10g}"
    return rates


def _prices(model: Model, model_id: str) -> Iterator[Price]:
    """What a model costs as it was measured, and what OpenRouter asks for it: a bound below that refuses everything."""
    at = datetime.now(UTC)
    own = book_entry(model, at) if model.provider in provider_names() else None
    for entry in (look_up(model_id, book=_BOOK, base_url=None, at=at), own):
        if entry is not None:
            yield entry.price
    if model.price is not None:
        yield model.price
