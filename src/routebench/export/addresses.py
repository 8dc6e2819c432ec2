"""Addresses: where a gateway finds a model, and which variable holds its key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from routebench.export.loss import Lost
from routebench.providers.registry import provider_kind, provider_names
from routebench.rules import Deployment, RuleSet
from routebench.types import Model

_NO_NAME = re.compile(r"[^A-Z0-9]+")


@dataclass(frozen=True, slots=True)
class Address:
    """One place of a model, as a gateway calls it.

    Attributes:
        base_url: where it listens; None where the provider's name says that.
        key_env: the environment variable with its key; None where it has none.
        url_env: the environment variable that has to say where it listens, of a model that runs inside routebench.
    """

    base_url: str | None
    key_env: str | None
    url_env: str | None = None


def address_of(model: Model, place: Deployment) -> Address:
    """Returns where a model is called at one of its places."""
    base_url = place.base_url or model.base_url
    if model.provider not in provider_names():
        # Outcomes that were imported tell the model's name alone.
        return Address(base_url, place.key_env or model.key_env, None if base_url else _url_variable(place))
    kind = provider_kind(model.provider)
    if base_url is None and kind.base_url is None:
        return Address(None, None, _url_variable(place))
    moved = base_url is not None and base_url.rstrip("/") != kind.base_url
    return Address(base_url or kind.base_url, place.key_env or model.key_env or (None if moved else kind.key_env))


def _url_variable(place: Deployment) -> str:
    return f"{_NO_NAME.sub('_', place.name.upper()).strip('_')}_BASE_URL"


def variables_of(ruleset: RuleSet, names: Sequence[str], called: Callable[[str], str] = str) -> list[str]:
    """Returns the environment variables that the places of some models need, for keys and addresses, sorted.

    Args:
        ruleset: the policy.
        names: of the models that are exported.
        called: what a target calls the variable of an address.
    """
    found: set[str] = set()
    for name in names:
        for place in ruleset.deployments_of(name):
            address = address_of(ruleset.models[name], place)
            found |= {address.key_env} if address.key_env is not None else set()
            found |= {called(address.url_env)} if address.url_env is not None else set()
    return sorted(found)


def unserved(ruleset: RuleSet, names: Sequence[str], called: Callable[[str], str] = str) -> Iterator[Lost]:
    """Yields what is to be said of models that no gateway can call as they are.

    Args:
        ruleset: the policy.
        names: of the models that are exported.
        called: what a target calls the variable of an address.
    """
    for name in names:
        model = ruleset.models[name]
        places = [address_of(model, place).url_env for place in ruleset.deployments_of(name)]
        variables = ", ".join(called(one) for one in places if one is not None)
        if not variables:
            continue
        why = f"provider {model.provider} runs inside routebench, where no gateway reaches it"
        mend = f"serve it over HTTP, such as by llama.cpp's server, and set {variables} to its address"
        if model.provider not in provider_names():
            why = f"nobody knows where provider {model.provider!r} listens"
            mend = f"write its provider into the rules, or set {variables} to an address that speaks as OpenAI's"
        yield Lost(f"model {name}", "approximated", why, mend)
