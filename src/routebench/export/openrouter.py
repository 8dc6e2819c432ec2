"""OpenRouter: a request template for every tier, and the classifier that chooses the template.

OpenRouter has no rules about texts. Of a request it reads `models`, the fallbacks, and `provider`, who may serve them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from routebench.errors import RulesError
from routebench.export.capability import CASCADE, EXPLORE, FEW_SHOT, Capability, by_classifier
from routebench.export.classifying import asked_model, rules_file
from routebench.export.json_text import json_text
from routebench.export.loss import Lost, refuse_lost_guards
from routebench.export.openrouter_models import dearest, id_of, served_by
from routebench.export.target import Exported, Target
from routebench.export.tiers import (
    ChainTier,
    cut_chains,
    held_by,
    left_out,
    safe_tier,
    shown_by_models,
    tiers_of,
)
from routebench.export.unchecked import Opening, parts_as_written, without_answers
from routebench.export.verify.openrouter import verify
from routebench.rules import RuleSet
from routebench.types import Model, Request

MAIN = "openrouter.json"
CLASSIFIER = "openrouter_classifier.py"
TITLE = "OpenRouter"
SCHEMA = "routebench/openrouter/v1"

MOST_MODELS = 3
"""Longer lists of `models` are refused with 400."""
_PARAMS = frozenset(
    {
        *(
            "frequency_penalty",
            "logit_bias",
            "logprobs",
            "max_completion_tokens",
            "max_tokens",
            "min_p",
            "seed",
            "stop",
        ),
        *("parallel_tool_calls", "presence_penalty", "reasoning", "reasoning_effort", "repetition_penalty", "top_a"),
        *("response_format", "service_tier", "temperature", "tool_choice", "top_k", "top_logprobs", "top_p", "user"),
    }
)
"""Parameters of a model that OpenRouter takes, in `openrouter` 1.3.84."""
_TEMPLATE = _PARAMS | {"models", "provider"}
_PROVIDER = frozenset(
    {
        *("allow_fallbacks", "data_collection", "enforce_distillable_text", "ignore", "max_price", "only", "options"),
        *("order", "preferred_max_latency", "preferred_min_throughput", "quantizations", "require_parameters", "sort"),
        "zdr",
    }
)
_PRICES = frozenset({"audio", "completion", "image", "prompt", "request"})

_CAPABILITIES = (
    *by_classifier(
        "the classifier asks the rule set itself, and chooses the template",
        "the classifier asks the rule set itself, and chooses the template; it needs the artifact beside it",
        "a template holds",
    ),
    Capability("guards", "degraded", "a template names only models that guards leave; regions cannot be held"),
    Capability("chain", "degraded", f"`models`, at most {MOST_MODELS} of them"),
    CASCADE,
    Capability(
        "deployments", "none", "OpenRouter chooses who serves a model; `provider.order` asks for the measured one"
    ),
    Capability("health", "degraded", "OpenRouter watches who serves a model by itself"),
    Capability("budget", "none", "a key may have a limit there; nobody tells the classifier what was spent"),
    FEW_SHOT,
    EXPLORE,
)


def export(
    ruleset: RuleSet,
    *,
    requests: Sequence[Request] = (),  # noqa: ARG001 - nothing is approximated by prompts
    openings: Sequence[Opening] = (),
    names: Mapping[str, str] | None = None,
    allow_lost_guards: bool = False,
) -> Exported:
    """Returns the templates and the classifier.

    Args:
        ruleset: the policy.
        requests: not needed.
        openings: which model is asked first of cascades that were replayed without their checks.
        names: model name -> OpenRouter's id of it, where the price book does not tell.
        allow_lost_guards: guards that cannot be held are left out, and said so.

    Raises:
        RulesError: a guard would be lost, or no model is known there.
    """
    ids = {name: found for name in ruleset.order if (found := id_of(ruleset.models[name], names or {})) is not None}
    unknown = [name for name in ruleset.order if name not in ids]
    if not ids:
        raise RulesError(
            f"OpenRouter is not known to serve any of {', '.join(unknown)}; say what it calls them: "
            f"--map {unknown[0]}=AUTHOR/MODEL"
        )
    reduced, lost = without_answers(ruleset, openings)
    reduced = left_out(reduced, unknown)
    tiers = tiers_of(reduced)
    parts = [
        *lost,
        *cut_chains(reduced),
        *(_unknown(ruleset, name) for name in unknown),
        *shown_by_models(ruleset, list(ids), TITLE),
        *_lost_here(ruleset, tiers, list(ids)),
    ]
    refuse_lost_guards(parts, TITLE, allow=allow_lost_guards)
    default = safe_tier(reduced)
    document = {
        "schema": SCHEMA,
        "policy_sha256": ruleset.policy_sha256,
        "without": unknown,
        "as_written": parts_as_written(openings),
        "default": None if default is None else default.name,
        "templates": {tier.name: _template(tier, reduced, ids) for tier in tiers},
    }
    return Exported(
        target="openrouter",
        files={MAIN: json_text(document), CLASSIFIER: _classifier(ruleset)},
        lost=tuple(parts),
        ruleset=reduced,
        holds=held_by(tiers, MOST_MODELS),
        needs=(
            *asked_model(ruleset),
            f"put {CLASSIFIER} and {rules_file(ruleset)} with its artifacts beside {MAIN}, and send its template along",
            "set OPENROUTER_API_KEY where requests are sent",
        ),
    )


def _unknown(ruleset: RuleSet, name: str) -> Lost:
    model = ruleset.models[name]
    return Lost(
        f"model {name}",
        "dropped",
        f"OpenRouter is not known to serve {model.provider} {model.model}, so that it is in no template",
        f"say what it is called there: --map {name}=AUTHOR/MODEL",
    )


def _lost_here(ruleset: RuleSet, tiers: Sequence[ChainTier], known: Sequence[str]) -> Iterator[Lost]:
    for guard in ruleset.guards:
        if guard.regions is not None:
            yield Lost(
                f"guard {guard.name}",
                "refused",
                "a template cannot say in which region a model runs",
                "write the guard with `only` and models that run nowhere else, or serve it with `routebench serve`",
            )
    for tier in tiers:
        if len(tier.chain) > MOST_MODELS:
            yield Lost(
                f"chain {tier.name}",
                "approximated",
                f"`models` takes {MOST_MODELS} at most, and the rest is cut off",
                "shorten the chain",
            )
    for name in known:
        model = ruleset.models[name]
        strange = sorted(model.params.keys() - _PARAMS)
        if strange:
            yield Lost(
                f"model {name}",
                "dropped",
                f"OpenRouter takes no {', '.join(strange)}",
                "measure it without, or serve it with `routebench serve`",
            )
        if len(ruleset.deployments_of(name)) > 1:
            yield Lost(
                f"deployments of {name}",
                "dropped",
                "OpenRouter chooses who serves a model",
                "add your own keys to your account there",
            )
    mixed = [tier.name for tier in tiers if len({_shown(ruleset.models[name]) for name in tier.chain}) > 1]
    if mixed:
        yield Lost(
            f"parameters in {', '.join(mixed[:3])}" + (f" and {len(mixed) - 3} more" if len(mixed) > 3 else ""),
            "approximated",
            "a template has one set of parameters, so that those of its first model hold for its fallbacks too",
            "give the models the same parameters",
        )


def _shown(model: Model) -> str:
    return json.dumps(_params(model), sort_keys=True, default=str)


def _params(model: Model) -> dict[str, Any]:
    return {name: value for name, value in model.params.items() if name in _PARAMS}


def _template(tier: ChainTier, ruleset: RuleSet, ids: Mapping[str, str]) -> dict[str, Any]:
    models = [ruleset.models[name] for name in tier.chain[:MOST_MODELS]]
    order, price = served_by(models), dearest(models, ids)
    return {
        "models": [ids[one.name] for one in models],
        "provider": {
            # Who served what was measured is asked first; where that one is down, others may.
            **({"order": order} if order else {}),
            "allow_fallbacks": True,
            **({} if price is None else {"max_price": price}),
        },
        **_params(models[0]),
    }


def _classifier(ruleset: RuleSet) -> str:
    return f'''"""Says which template beside it a request takes; written by routebench.

    from openrouter_classifier import template

    client = OpenAI(base_url="https://openrouter.ai/api/v1", api_key=os.environ["OPENROUTER_API_KEY"])
    body = template(messages)
    client.chat.completions.create(model=body["models"][0], messages=messages, extra_body=body)

`template` takes what conditions may ask for besides: tools, response_format, params, metadata, tags, and `previous`,
the model that answered the conversation so far. It raises NoEligibleModelError where guards leave no model: send
nothing.
"""

from pathlib import Path

from routebench.export.classifying import OpenRouterTemplates

HERE = Path(__file__).parent
POLICY_SHA256 = "{ruleset.policy_sha256}"

template = OpenRouterTemplates.load(HERE / {rules_file(ruleset)!r}, HERE / {MAIN!r}, policy_sha256=POLICY_SHA256)
'''


def check(files: Mapping[str, str]) -> tuple[str, ...]:
    """Names keys that OpenRouter does not read, and templates that it refuses."""
    return tuple(
        sentence
        for name, template in json.loads(files[MAIN])["templates"].items()
        for sentence in _wrong(template, f"template {name}")
    )


def _wrong(template: Mapping[str, Any], where: str) -> Iterator[str]:
    yield from (f"{where}: OpenRouter reads no {key!r}" for key in template if key not in _TEMPLATE)
    models = template.get("models", ())
    if not 1 <= len(models) <= MOST_MODELS:
        yield f"{where}: `models` needs 1 to {MOST_MODELS} ids, and has {len(models)}"
    yield from (f"{where}: {one!r} is no id; write AUTHOR/MODEL" for one in models if "/" not in one)
    provider = template.get("provider", {})
    yield from (f"{where}.provider: OpenRouter reads no {key!r}" for key in provider if key not in _PROVIDER)
    for key, rate in provider.get("max_price", {}).items():
        if key not in _PRICES:
            yield f"{where}.provider.max_price: OpenRouter reads no {key!r}"
        if not isinstance(rate, str):
            yield f"{where}.provider.max_price.{key}: OpenRouter takes a string, such as {f'{rate:g}'!r}"


OPENROUTER = Target(
    name="openrouter",
    title=TITLE,
    capabilities=_CAPABILITIES,
    export=export,
    check=check,
    verify=verify,
    main=MAIN,
)
