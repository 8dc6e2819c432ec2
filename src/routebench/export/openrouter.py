"""OpenRouter: a request template for every tier, and the classifier that chooses the template.

OpenRouter has no rules about texts. Of a request it reads `models`, the fallbacks, and `provider`, who may serve them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from routebench.errors import RulesError
from routebench.export.capability import Capability
from routebench.export.classifying import asked_model, rules_file
from routebench.export.json_text import json_text
from routebench.export.loss import Lost, refuse_lost_guards
from routebench.export.target import Exported, Target
from routebench.export.tiers import (
    ChainTier,
    cut_chains,
    left_out,
    safe_tier,
    shown_by_models,
    tiers_of,
    without_answers,
)
from routebench.export.verify.openrouter import verify
from routebench.pricing import look_up
from routebench.providers.registry import book_entry, provider_names
from routebench.rules import RuleSet
from routebench.types import Model, Price, Request

MAIN = "openrouter.json"
CLASSIFIER = "openrouter_classifier.py"
TITLE = "OpenRouter"
SCHEMA = "routebench/openrouter/v1"

MOST_MODELS = 3
"""Longer lists of `models` are refused with 400."""
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

_IN_THE_CLASSIFIER = "the classifier asks the rule set itself, and chooses the template"
_CAPABILITIES = (
    *(
        Capability(feature, "full", _IN_THE_CLASSIFIER)
        for feature in (
            *("any_keyword", "all_keywords", "regex", "language", "length", "input_tokens", "digits", "has_code"),
            *("is_question", "turns", "has_tools", "has_images", "json_schema", "metadata", "tag", "time"),
            *("any_all_not", "in", "order", "mix", "limits"),
        )
    ),
    Capability("guards", "degraded", "a template names only models that guards leave; regions cannot be held"),
    Capability("complexity", "full", f"{_IN_THE_CLASSIFIER}; it needs the artifact beside it"),
    Capability("similarity", "degraded", "the classifier orders the models; a template holds the first two of them"),
    Capability("learned", "degraded", "the classifier orders the models; a template holds the first two of them"),
    Capability("chain", "degraded", f"`models`, at most {MOST_MODELS} of them"),
    Capability("cascade", "none", "answers are not checked: the chain begins at its last model, which is the safest"),
    Capability(
        "deployments", "none", "OpenRouter chooses who serves a model; `provider.order` asks for the measured one"
    ),
    Capability("health", "degraded", "OpenRouter watches who serves a model by itself"),
    Capability("budget", "none", "a key may have a limit there; nobody tells the classifier what was spent"),
    Capability("sticky", "degraded", "where the caller tells the classifier who answered before, as `previous`"),
    Capability("few_shot", "none", "the caller's messages are sent as they are"),
    Capability("explore", "none", "no request tries another model by chance"),
)


def export(
    ruleset: RuleSet,
    *,
    requests: Sequence[Request] = (),  # noqa: ARG001 - nothing is approximated by prompts
    names: Mapping[str, str] | None = None,
    allow_lost_guards: bool = False,
) -> Exported:
    """Returns the templates and the classifier.

    Args:
        ruleset: the policy.
        requests: not needed.
        names: model name -> OpenRouter's id of it, where the price book does not tell.
        allow_lost_guards: guards that cannot be held are left out, and said so.

    Raises:
        RulesError: a guard would be lost, or no model is known there.
    """
    ids = {name: found for name in ruleset.order if (found := _id(ruleset.models[name], names or {})) is not None}
    unknown = [name for name in ruleset.order if name not in ids]
    if not ids:
        raise RulesError(
            f"OpenRouter is not known to serve any of {', '.join(unknown)}; say what it calls them: "
            f"--map {unknown[0]}=AUTHOR/MODEL"
        )
    reduced, lost = without_answers(ruleset)
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
        "default": None if default is None else default.name,
        "templates": {tier.name: _template(tier, reduced, ids) for tier in tiers},
    }
    return Exported(
        target="openrouter",
        files={MAIN: json_text(document), CLASSIFIER: _classifier(ruleset)},
        lost=tuple(parts),
        ruleset=reduced,
        needs=(
            *asked_model(ruleset),
            f"put {CLASSIFIER} and {rules_file(ruleset)} with its artifacts beside {MAIN}, and send its template along",
            "set OPENROUTER_API_KEY where requests are sent",
        ),
    )


def _id(model: Model, names: Mapping[str, str]) -> str | None:
    """What OpenRouter calls a model; None where neither the caller nor the price book knows."""
    if model.name in names:
        return names[model.name]
    if model.provider == _BOOK:
        return model.model
    author = _AUTHORS.get(model.provider)
    if author is None:
        return None
    # A snapshot's date is no part of its id there, and versions have a point: claude-sonnet-4-5 is claude-sonnet-4.5.
    plain = _DATE.sub("", model.model)
    for name in dict.fromkeys((model.model, plain, _DASHED.sub(".", plain))):
        entry = look_up(f"{author[0]}/{name}", book=_BOOK, base_url=None, at=datetime.now(UTC))
        if entry is not None and entry.model == f"{author[0]}/{name}":
            return entry.model
    return None


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
    order = list(dict.fromkeys(_AUTHORS[one.provider][1] for one in models if one.provider in _AUTHORS))
    price = _most(models, ids)
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


def _most(models: Sequence[Model], ids: Mapping[str, str]) -> dict[str, str] | None:
    """The dearest rates of a chain, above which OpenRouter may not go; None where one is unknown."""
    rates: dict[str, str] = {}
    for name, key in (("prompt", "input_usd_per_mtok"), ("completion", "output_usd_per_mtok")):
        found: list[float] = []
        for model in models:
            known = [rate for price in _prices(model, ids[model.name]) if (rate := getattr(price, key)) is not None]
            if not known:
                return None
            found += known
        rates[name] = f"{max(found):g}"
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


def _classifier(ruleset: RuleSet) -> str:
    return f'''"""Says which template of {MAIN} a request takes; written by routebench.

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

template = OpenRouterTemplates.load(
    HERE / {json.dumps(rules_file(ruleset))}, HERE / "{MAIN}", policy_sha256=POLICY_SHA256
)
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
