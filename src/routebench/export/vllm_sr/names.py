"""The names of a config that vLLM Semantic Router 0.4 reads, as far as we write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

_KEYS: Mapping[str, frozenset[str]] = {
    "": frozenset({"version", "listeners", "providers", "evaluation", "routing", "entrypoints", "recipes", "global"}),
    "listeners[]": frozenset({"name", "address", "port", "timeout", "api_keys"}),
    "providers": frozenset({"defaults", "models"}),
    "providers.models[]": frozenset(
        {
            *("name", "catalog", "reasoning", "provider_model_id", "backend_refs", "pricing", "reliability"),
            *("api_format", "external_model_ids"),
        }
    ),
    "providers.models[].backend_refs[]": frozenset(
        {
            *("name", "endpoint", "protocol", "weight", "base_url", "provider", "auth_header", "auth_prefix"),
            *("extra_headers", "api_version", "chat_path", "api_key", "api_key_env"),
        }
    ),
    "routing": frozenset(
        {
            *("candidate_requirements", "data_policy", "model_bindings", "modelCards", "signals", "projections"),
            *("decisions", "strategy", "fallback"),
        }
    ),
    "routing.modelCards[]": frozenset(
        {
            *("name", "display_name", "family", "param_size", "context_window_size", "max_output_tokens"),
            *("description", "capabilities", "loras", "modalities", "modality", "tags"),
        }
    ),
    "routing.signals": frozenset({"keywords", "context", "structure", "conversation", "metadata", "language"}),
    "routing.signals.keywords[]": frozenset({"name", "operator", "keywords", "case_sensitive", "method"}),
    "routing.signals.context[]": frozenset({"name", "min_tokens", "max_tokens", "description"}),
    "routing.signals.structure[]": frozenset({"name", "description", "feature", "predicate"}),
    "routing.signals.conversation[]": frozenset({"name", "description", "feature", "predicate"}),
    "routing.signals.metadata[]": frozenset({"name", "description", "key", "predicate"}),
    "routing.signals.language[]": frozenset({"name", "description", "threshold"}),
    "routing.decisions[]": frozenset(
        {
            *("name", "description", "priority", "tier", "rules", "action", "modelRefs", "algorithm", "adaptations"),
            *("plugins", "annotations", "output_contract", "output_contract_spec", "candidateIterations", "emits"),
        }
    ),
    "routing.decisions[].modelRefs[]": frozenset(
        {"model", "lora_name", "weight", "use_reasoning", "reasoning_mode", "reasoning_effort"}
    ),
    "routing.fallback": frozenset(
        {
            *("version", "enabled", "max_attempts", "total_timeout", "per_attempt_timeout", "retryable_status_codes"),
            "circuit_breaker",
        }
    ),
}
_KINDS: Mapping[str, str] = {
    "keyword": "keywords",
    "context": "context",
    "structure": "structure",
    "conversation": "conversation",
    "metadata": "metadata",
    "language": "language",
}
"""A leaf's type -> where its signal stands."""
_OPERATORS = ("AND", "OR", "NOT")


def check(files: Mapping[str, str]) -> tuple[str, ...]:
    """Names keys that the router does not read, and references to what is not there."""
    config = yaml.safe_load(next(iter(files.values())))
    return (*_unread(config, ""), *_dangling(config))


def _unread(value: Any, where: str) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _unread(one, f"{where}[]")
    elif isinstance(value, Mapping):
        known = _KEYS.get(where)
        if known is not None:
            yield from (f"{where or 'config'}: the router reads no {key!r}" for key in value if key not in known)
        for key, one in value.items():
            yield from _unread(one, f"{where}.{key}" if where else str(key))


def _dangling(config: Mapping[str, Any]) -> Iterator[str]:
    routing = config["routing"]
    models = {one["name"] for one in config["providers"]["models"]}
    signals = {family: {one["name"] for one in found} for family, found in routing["signals"].items()}
    for decision in routing["decisions"]:
        where = f"decision {decision['name']}"
        yield from (
            f"{where}: there is no model {one['model']!r}"
            for one in decision["modelRefs"]
            if one["model"] not in models
        )
        yield from _dangling_signals(decision["rules"], signals, where)


def _dangling_signals(node: Mapping[str, Any], signals: Mapping[str, set[str]], where: str) -> Iterator[str]:
    if "type" in node:
        if node["type"] not in _KINDS:
            yield f"{where}: there is no signal of type {node['type']!r}"
        elif node["name"] not in signals.get(_KINDS[node["type"]], set()):
            yield f"{where}: there is no {node['type']} signal {node['name']!r}"
        return
    if node["operator"] not in _OPERATORS:
        yield f"{where}: there is no operator {node['operator']!r}"
    for one in node["conditions"]:
        yield from _dangling_signals(one, signals, where)
