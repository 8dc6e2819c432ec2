"""Models as LiteLLM's `model_list`, and chains as its groups and fallbacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from routebench.export.addresses import Address, address_of, unserved
from routebench.export.litellm.ladder import Chain
from routebench.export.loss import Lost
from routebench.export.tiers import shown_by_models
from routebench.rules import RuleSet
from routebench.rules.deployments import Deployment
from routebench.types import Model

ROUTER = "routebench-auto"
_MILLION = 1_000_000

_PREFIXES: Mapping[str, str] = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "deepseek": "deepseek",
    "mistral": "mistral",
    "qwen": "dashscope",
    "openrouter": "openrouter",
    "vllm": "hosted_vllm",
    "llamacpp": "openai",
    "ollama": "openai",
    "tokenmix": "openai",
    "portkey": "openai",
    "litellm": "openai",
}
"""Our provider -> LiteLLM's prefix; those without a name of their own there are OpenAI-compatible addresses."""
_AT_HOME = frozenset({"openai", "anthropic", "gemini", "deepseek", "mistral", "qwen", "openrouter"})
"""Providers whose address LiteLLM knows."""


class Groups:
    """The model groups: one of every model's own name, and one of every chain that has something after its first model.

    A fallback leads to groups that have none themselves, so that a chain never grows: LiteLLM would else go on with the
    fallbacks of what it fell back to, past a guard.

    Args:
        chains: that tiers lead to.
        models: the names of all models, which no other group may have.
    """

    def __init__(self, chains: Sequence[Chain], models: Sequence[str]) -> None:
        self._names: dict[Chain, str] = {}
        taken = set(models)
        for chain in dict.fromkeys(chains):
            if len(chain) == 1:
                self._names[chain] = chain[0]
                continue
            base = f"{chain[0]}-then-{chain[1]}"
            names = (base if number == 1 else f"{base}-{number}" for number in count(1))
            self._names[chain] = next(name for name in names if name not in taken)
            taken.add(self._names[chain])

    def name(self, chain: Chain) -> str:
        """Returns the group that a tier names for a chain."""
        return self._names[chain]

    @property
    def fallbacks(self) -> list[dict[str, list[str]]]:
        """The `fallbacks` of `router_settings`."""
        return [{name: list(chain[1:])} for chain, name in self._names.items() if len(chain) > 1]

    @property
    def several(self) -> Iterator[tuple[str, str]]:
        """Names of groups beside the models' own, each with the model that it asks first."""
        for chain, name in self._names.items():
            if len(chain) > 1:
                yield name, chain[0]


def model_list(ruleset: RuleSet, groups: Groups, names: Mapping[str, str]) -> tuple[list[dict[str, Any]], list[Lost]]:
    """Returns every deployment under its model's name, again under the groups of chains, and what is lost of models."""
    listed: list[dict[str, Any]] = []
    made: dict[str, list[dict[str, Any]]] = {}
    for name in ruleset.order:
        model = ruleset.models[name]
        made[name] = [_entry(model, place, names) for place in ruleset.deployments_of(name)]
        listed += [{"model_name": name, **entry} for entry in made[name]]
    for group, name in groups.several:
        listed += [{"model_name": group, **entry} for entry in made[name]]
    unknown = [name for name in ruleset.order if name not in names]
    return listed, [*unserved(ruleset, unknown), *shown_by_models(ruleset, ruleset.order, "LiteLLM")]


def _entry(model: Model, place: Deployment, names: Mapping[str, str]) -> dict[str, Any]:
    address = address_of(model, place)
    params: dict[str, Any] = {"model": _called(model, names), **_reached(model, place, address)}
    if model.name in names and address.url_env is not None:
        # The caller says what LiteLLM calls it, and LiteLLM where that is and what key it takes.
        params = {"model": names[model.name]}
    params |= {name: _translated(name, value) for name, value in model.params.items() if name != "stream"}
    if place.weight != 1.0:
        params["weight"] = place.weight
    if model.price is not None:
        rates = {
            "input_cost_per_token": model.price.input_usd_per_mtok,
            "output_cost_per_token": model.price.output_usd_per_mtok,
        }
        params |= {name: rate / _MILLION for name, rate in rates.items() if rate is not None}
    info: dict[str, Any] = {"routebench_model": model.name}
    if model.context_window is not None:
        info["max_input_tokens"] = model.context_window
    if model.max_output is not None:
        info["max_output_tokens"] = model.max_output
    if model.capabilities is not None:
        info["supports_vision"] = "vision" in model.capabilities
    return {"litellm_params": params, "model_info": info}


def _called(model: Model, names: Mapping[str, str]) -> str:
    if model.name in names:
        return names[model.name]
    return f"{_PREFIXES.get(model.provider, 'openai')}/{model.model}"


def _reached(model: Model, place: Deployment, address: Address) -> dict[str, str]:
    """Address and key. A provider's own key goes to its own address alone, and local servers take any."""
    reached = {}
    if address.url_env is not None:
        reached["api_base"] = f"os.environ/{address.url_env}"
    elif address.base_url is not None and (model.provider not in _AT_HOME or place.base_url or model.base_url):
        # LiteLLM puts `/v1/messages` behind it.
        at_root = model.provider == "anthropic"
        reached["api_base"] = address.base_url.rstrip("/").removesuffix("/v1") if at_root else address.base_url
    # Of an empty key LiteLLM sends none.
    return reached | {"api_key": "none" if address.key_env is None else f"os.environ/{address.key_env}"}


def _translated(name: str, value: Any) -> Any:
    """A parameter; a header that names a variable does so in LiteLLM's words."""
    if name != "extra_headers":
        return value
    return {
        header: f"os.environ/{text[4:]}" if (text := str(told)).startswith("env:") else text
        for header, told in value.items()
    }
