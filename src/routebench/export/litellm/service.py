"""Models as LiteLLM's `model_list`, and chains as its groups and fallbacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

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
_ADDRESSES: Mapping[str, str] = {
    "llamacpp": "http://127.0.0.1:8080/v1",
    "ollama": "http://127.0.0.1:11434/v1",
    "vllm": "http://127.0.0.1:8000/v1",
    "tokenmix": "https://api.tokenmix.ai/v1",
    "portkey": "https://api.portkey.ai/v1",
}
_KEYS: Mapping[str, str] = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "qwen": "DASHSCOPE_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "tokenmix": "TOKENMIX_API_KEY",
    "portkey": "PORTKEY_API_KEY",
    "litellm": "LITELLM_API_KEY",
}


class Groups:
    """The model groups: one of every model's own name, and one of every chain that has something after its first model.

    A fallback leads to groups that have none themselves, so that a chain never grows: LiteLLM would else go on with the
    fallbacks of what it fell back to, past a guard.

    Args:
        chains: that tiers lead to.
    """

    def __init__(self, chains: Sequence[Chain]) -> None:
        self._names: dict[Chain, str] = {}
        for chain in dict.fromkeys(chains):
            name = chain[0] if len(chain) == 1 else f"{chain[0]}-then-{chain[1]}"
            taken = set(self._names.values())
            number = 2
            base = name
            while name in taken:
                name, number = f"{base}-{number}", number + 1
            self._names[chain] = name

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
    return listed, list(_lost(ruleset, names))


def _entry(model: Model, place: Deployment, names: Mapping[str, str]) -> dict[str, Any]:
    params: dict[str, Any] = {"model": _called(model, names)}
    address = place.base_url or model.base_url or _ADDRESSES.get(model.provider)
    if address is not None:
        params["api_base"] = address
    key = place.key_env or model.key_env or _KEYS.get(model.provider)
    # Local servers take any key, and LiteLLM sends none of an empty one.
    params["api_key"] = f"os.environ/{key}" if key is not None else "none"
    params |= {name: value for name, value in model.params.items() if name != "stream"}
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


def _lost(ruleset: RuleSet, names: Mapping[str, str]) -> Iterator[Lost]:
    unknown = [name for name in ruleset.order if name not in names and ruleset.models[name].provider not in _PREFIXES]
    if unknown:
        yield Lost(
            f"models {', '.join(unknown)}",
            "dropped",
            "nothing is known of how to call them: they are written as models of OpenAI",
            f"name each before the file is loaded, such as --map {unknown[0]}=PROVIDER/MODEL",
        )
    yield from shown_by_models(ruleset, ruleset.order, "LiteLLM")
