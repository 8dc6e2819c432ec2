"""Portkey's gateway: a conditional config whose targets are the tiers, and the classifier that names the tier.

Its conditions read `metadata.*`, `params.*` and `url.pathname`, never a text. So the config holds the chains, and a
small Python module, which asks the rule set, sets `metadata.rb_tier`. A request without it goes where no guard objects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from routebench.export.addresses import Address, address_of, unserved, variables_of
from routebench.export.capability import CASCADE, EXPLORE, FEW_SHOT, Capability, by_classifier
from routebench.export.classifying import TIER, asked_model, rules_file
from routebench.export.json_text import json_text
from routebench.export.loss import Lost, refuse_lost_guards
from routebench.export.target import Exported, Target
from routebench.export.tiers import (
    ChainTier,
    Regions,
    cut_chains,
    held_by,
    safe_tier,
    shown_by_models,
    tiers_of,
)
from routebench.export.unchecked import Opening, parts_as_written, without_answers
from routebench.export.verify.portkey import verify
from routebench.rules import Deployment, RuleSet
from routebench.types import Model, Request

MAIN = "portkey.json"
CLASSIFIER = "portkey_classifier.py"
TITLE = "Portkey gateway 1.15"

_PROVIDERS: Mapping[str, str] = {
    "anthropic": "anthropic",
    "deepseek": "deepseek",
    "gemini": "google",
    "mistral": "mistral-ai",
    "ollama": "ollama",
    "openai": "openai",
    "openrouter": "openrouter",
    "qwen": "dashscope",
}
"""Our providers by Portkey's names; every other one speaks OpenAI's words at an address of its own."""
_STATUSES = [400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529]
"""As in replay, whatever failed: the next model of the chain may hold the context, or have a key."""
_RETRY = {"attempts": 1, "on_status_codes": [429, 500, 502, 503, 504, 529]}
"""Where a chain ends there is nobody left to ask instead."""
_NO_KEY = "unused"

_CAPABILITIES = (
    *by_classifier(
        "the classifier asks the rule set itself; without it a request takes the default, which is safe",
        "the classifier asks the rule set itself, which needs the artifact beside it",
        "a tier holds",
    ),
    Capability("guards", "full", "a tier holds only models that the guards leave; where none is left nothing is sent"),
    Capability("chain", "full", "`fallback` targets; a stream that breaks midway is not asked again"),
    CASCADE,
    Capability("deployments", "full", "`loadbalance` by weight over `fallback`s, each beginning at another place"),
    Capability("health", "none", "every request finds out anew; the chain stands for it"),
    Capability("budget", "none", "the gateway tells nobody what calls cost"),
    FEW_SHOT,
    EXPLORE,
)
_EXCHANGE = frozenset({"stream", "extra_body", "extra_headers"})
"""Parameters that shape the exchange: whether an answer is streamed is the caller's to say."""


def export(
    ruleset: RuleSet,
    *,
    requests: Sequence[Request] = (),  # noqa: ARG001 - nothing is approximated by prompts
    openings: Sequence[Opening] = (),
    names: Mapping[str, str] | None = None,
    allow_lost_guards: bool = False,
) -> Exported:
    """Returns the config and the classifier.

    Args:
        ruleset: the policy.
        requests: not needed.
        openings: which model is asked first of cascades that were replayed without their checks.
        names: model name -> the model id that Portkey sends, where it is not the model's own.
        allow_lost_guards: guards that cannot be held are left out, and said so.

    Raises:
        RulesError: a guard would be lost.
    """
    reduced, lost = without_answers(ruleset, openings)
    tiers = tiers_of(reduced)
    used = [name for name in ruleset.order if any(name in tier.chain for tier in tiers)]
    parts = [
        *lost,
        *cut_chains(reduced),
        *shown_by_models(ruleset, used, "Portkey"),
        *unserved(ruleset, used),
        *_headers(ruleset, used),
    ]
    default = safe_tier(reduced)
    if default is None:
        parts.append(
            Lost(
                "requests without metadata",
                "approximated",
                "no model pleases every guard, so that the config has no default and Portkey refuses them with 400",
                "send every request through the classifier",
            )
        )
    refuse_lost_guards(parts, TITLE, allow=allow_lost_guards)
    config = {
        "strategy": {
            "mode": "conditional",
            "conditions": [
                # More than one operator beside `$and` is ignored there, so that everything stands inside it.
                {"query": {"$and": [{f"metadata.{TIER}": {"$eq": tier.name}}]}, "then": tier.name}
                for tier in tiers
            ],
            **({} if default is None else {"default": default.name}),
        },
        "targets": [_target(tier, reduced, names or {}) for tier in (*tiers, *_missing(default, tiers))],
    }
    variables = variables_of(ruleset, used)
    return Exported(
        target="portkey",
        files={
            MAIN: json_text(config),
            CLASSIFIER: _classifier(ruleset, variables, parts_as_written(openings)),
        },
        lost=tuple(parts),
        ruleset=reduced,
        holds=held_by(tiers),
        needs=(
            *asked_model(ruleset),
            f"put {CLASSIFIER} and {rules_file(ruleset)} with its artifacts beside {MAIN}, and send its headers along",
            *([f"set {', '.join(variables)} where {CLASSIFIER} runs"] if variables else []),
            "on Portkey's hosted gateway replace every `api_key` by a `virtual_key` of yours, and send the config's id",
        ),
    )


def _missing(default: ChainTier | None, tiers: Sequence[ChainTier]) -> Iterator[ChainTier]:
    if default is not None and default not in tiers:
        yield default


def _headers(ruleset: RuleSet, used: Sequence[str]) -> Iterator[Lost]:
    for name in used:
        if ruleset.models[name].params.get("extra_headers"):
            yield Lost(
                f"model {name}",
                "dropped",
                "its extra headers are not sent",
                "let the caller send them, and name them in `forward_headers`",
            )


def _target(tier: ChainTier, ruleset: RuleSet, names: Mapping[str, str]) -> dict[str, Any]:
    last = len(tier.chain) - 1
    return {
        "name": tier.name,
        "strategy": {"mode": "fallback", "on_status_codes": _STATUSES},
        "targets": [
            _model_target(ruleset, name, tier.regions, names.get(name), ends=place == last)
            for place, name in enumerate(tier.chain)
        ],
    }


def _model_target(ruleset: RuleSet, name: str, regions: Regions, model_id: str | None, *, ends: bool) -> dict[str, Any]:
    model = ruleset.models[name]
    places = [one for one in ruleset.deployments_of(name) if regions is None or one.region in regions]
    leaves = [_leaf(model, place, model_id, ends=ends and len(places) == 1) for place in places]
    if len(leaves) == 1:
        return leaves[0]
    # `loadbalance` asks one place and no other: each of its targets goes on to the others.
    return {
        "strategy": {"mode": "loadbalance"},
        "targets": [
            {"weight": place.weight, "strategy": {"mode": "fallback"}, "targets": [*leaves[at:], *leaves[:at]]}
            for at, place in enumerate(places)
        ],
    }


def _leaf(model: Model, place: Deployment, model_id: str | None, *, ends: bool) -> dict[str, Any]:
    address = address_of(model, place)
    return {
        "provider": _PROVIDERS.get(model.provider, "openai"),
        "api_key": _NO_KEY if address.key_env is None else f"${{{address.key_env}}}",
        **_host(model, place, address),
        **({"retry": _RETRY} if ends else {}),
        "override_params": {
            "model": model_id or model.model,
            **{key: value for key, value in model.params.items() if key not in _EXCHANGE},
            **model.params.get("extra_body", {}),
        },
    }


def _host(model: Model, place: Deployment, address: Address) -> dict[str, str]:
    if address.url_env is not None:
        return {"custom_host": f"${{{address.url_env}}}"}
    at_home = model.provider in _PROVIDERS and place.base_url is None and model.base_url is None
    return {} if at_home or address.base_url is None else {"custom_host": address.base_url}


def _classifier(ruleset: RuleSet, variables: Sequence[str], as_written: Sequence[str]) -> str:
    keys = f"\nIt reads {', '.join(variables)} from the environment.\n" if variables else ""
    cascades = f"    as_written={tuple(as_written)!r},\n" if as_written else ""
    return f'''"""Says which tier of the config beside it a request takes; written by routebench.

    from portkey_classifier import headers

    client = OpenAI(base_url="http://127.0.0.1:8787/v1", api_key="unused")
    client.chat.completions.create(model="routebench/auto", messages=messages, extra_headers=headers(messages))

`headers` takes what conditions may ask for besides: tools, response_format, params, metadata, tags, and `previous`, the
model that answered the conversation so far. It raises NoEligibleModelError where guards leave no model: send nothing.
{keys}"""

from pathlib import Path

from routebench.export.classifying import PortkeyHeaders

HERE = Path(__file__).parent
POLICY_SHA256 = "{ruleset.policy_sha256}"

headers = PortkeyHeaders.load(
    HERE / {rules_file(ruleset)!r},
    HERE / {MAIN!r},
    policy_sha256=POLICY_SHA256,
{cascades})
'''


_STRATEGY = {"mode", "on_status_codes", "conditions", "default"}
_TARGET = {
    *("name", "strategy", "targets", "weight", "on_status_codes", "provider", "api_key", "virtual_key", "custom_host"),
    *("retry", "cache", "request_timeout", "override_params", "forward_headers", "strict_open_ai_compliance"),
    *("input_guardrails", "output_guardrails"),
}
"""Keys of a config that version 1.15.2 reads, of those that concern every provider."""
_RETRIES = {"attempts", "on_status_codes", "use_retry_after_header"}
_OPERATORS = {"$and", "$or", "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$regex"}
_MODES = {"single", "loadbalance", "fallback", "conditional"}


def check(files: Mapping[str, str]) -> tuple[str, ...]:
    """Names keys that Portkey does not read, modes that it does not know, and conditions without a target."""
    config = json.loads(files[MAIN])
    return tuple(_wrong({key: value for key, value in config.items() if not key.startswith("_")}, "config"))


def _wrong(config: Mapping[str, Any], where: str) -> Iterator[str]:
    yield from (f"{where}: Portkey reads no {key!r}" for key in config if key not in _TARGET)
    strategy = config.get("strategy", {})
    yield from (f"{where}.strategy: Portkey reads no {key!r}" for key in strategy if key not in _STRATEGY)
    yield from (f"{where}.retry: Portkey reads no {key!r}" for key in config.get("retry", {}) if key not in _RETRIES)
    if strategy and strategy.get("mode") not in _MODES:
        yield f"{where}.strategy: Portkey has no mode {strategy.get('mode')!r}"
    targets = config.get("targets", ())
    names = {target.get("name") for target in targets}
    conditions = strategy.get("conditions", ())
    asked = [*(one.get("then") for one in conditions), *([strategy["default"]] if "default" in strategy else [])]
    yield from (f"{where}: no target is named {name!r}" for name in asked if name not in names)
    for condition in conditions:
        yield from _wrong_query(condition.get("query", {}), where)
    if not targets and not {"provider", "virtual_key"} & config.keys():
        yield f"{where}: it has neither targets nor a provider"
    for place, target in enumerate(targets):
        yield from _wrong(target, f"{where}.targets[{place}]")


def _wrong_query(query: Mapping[str, Any], where: str) -> Iterator[str]:
    for key, value in query.items():
        if key in ("$and", "$or"):
            if len(query) > 1:
                yield f"{where}: Portkey ignores what stands beside {key}"
            for one in value:
                yield from _wrong_query(one, where)
        elif key.split(".")[0] not in ("metadata", "params", "url"):
            yield f"{where}: Portkey's conditions cannot read {key!r}"
        elif isinstance(value, Mapping):
            yield from (f"{where}: Portkey has no operator {one!r}" for one in value if one not in _OPERATORS)


PORTKEY = Target(
    name="portkey",
    title=TITLE,
    capabilities=_CAPABILITIES,
    export=export,
    check=check,
    verify=verify,
    main=MAIN,
)
