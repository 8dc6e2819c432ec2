"""The config of vLLM Semantic Router: models, signals, and a decision for every rule under every set of guards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from routebench.export.addresses import Address, address_of, unserved, variables_of
from routebench.export.loss import refuse_lost_guards
from routebench.export.target import Exported, Target
from routebench.export.tiers import Regions, narrowed, safe_tier, shown_by_models
from routebench.export.unchecked import Opening
from routebench.export.verify.vllm_sr import verify
from routebench.export.vllm_sr.capabilities import CAPABILITIES
from routebench.export.vllm_sr.names import check
from routebench.export.vllm_sr.places import Place, places_of
from routebench.export.vllm_sr.reduced import of_models, reduced
from routebench.export.vllm_sr.signals import Node, Signals, literal, plain_name
from routebench.rules import Guard, Rule, RuleSet
from routebench.rules.file.writing import yaml_text
from routebench.types import Model, Request

MAIN = "vllm-sr.yaml"
TITLE = "vLLM Semantic Router 0.4"
VERSION = "v0.3"
"""Of its config."""
AUTO = "routebench/auto"
NOBODY_MAY = "No model may take this request."

_PROVIDERS: Mapping[str, str] = {
    **{name: name for name in ("anthropic", "deepseek", "gemini", "mistral", "ollama", "openai", "openrouter", "vllm")},
    "qwen": "dashscope",
}
"""Our providers by the ids of its catalogue; every other one is `openai-compatible`."""
_CAPABILITIES_THERE: Mapping[str, str] = {"tools": "tools", "json_schema": "structured_output", "vision": "vision"}
_STEP = 10
_RETRIES = [408, 429, 500, 502, 503, 504, 529]


def export(
    ruleset: RuleSet,
    *,
    requests: Sequence[Request] = (),
    openings: Sequence[Opening] = (),
    names: Mapping[str, str] | None = None,
    allow_lost_guards: bool = False,
) -> Exported:
    """Returns the config.

    Args:
        ruleset: the policy.
        requests: prompts that rules are learned on in place of a learned phase.
        openings: which model is asked first of cascades that were replayed without their checks.
        names: model name -> the model id that is sent to its provider, where it is not the model's own.
        allow_lost_guards: guards that cannot be held are left out, and said so.

    Raises:
        RulesError: a guard would be lost.
    """
    written, lost = reduced(ruleset, requests, openings)
    signals = Signals()
    decisions = list(_decisions(written, signals))
    asked = {ref["model"] for decision in decisions for ref in decision["modelRefs"]}
    used = [name for name, found in places_of(ruleset).items() if any(place.alias in asked for place in found)]
    parts = [
        *lost,
        *of_models(ruleset, used),
        *shown_by_models(ruleset, used, TITLE),
        *unserved(ruleset, used, _host_variable),
    ]
    refuse_lost_guards(parts, TITLE, allow=allow_lost_guards)
    safe = safe_tier(written)
    places = [place for name in used for place in places_of(ruleset)[name]]
    longest = max(len(one["modelRefs"]) for one in decisions)
    config = {
        "version": VERSION,
        "listeners": [{"name": "http", "address": "127.0.0.1", "port": 8899, "timeout": "300s"}],
        "providers": {
            "defaults": {"model": used[-1] if safe is None or safe.chain[0] not in used else safe.chain[0]},
            "models": [_provider_model(ruleset, place, names or {}) for place in places],
        },
        "global": {"router": {"auto_model_name": AUTO}},
        "routing": {
            "strategy": "priority",
            **_requirements(ruleset),
            **_fallback(longest),
            "modelCards": [_card(place.alias, ruleset.models[place.model]) for place in places],
            "signals": signals.as_dict(),
            "decisions": decisions,
        },
    }
    variables = variables_of(ruleset, used, _host_variable)
    return Exported(
        target="vllm-sr",
        files={MAIN: yaml_text(config)},
        lost=tuple(parts),
        ruleset=written,
        needs=(
            *([f"set {', '.join(variables)} where the router runs"] if variables else []),
            f"let clients ask for {AUTO} alone: a request that names a model passes every decision, guards included",
        ),
    )


def _decisions(ruleset: RuleSet, signals: Signals) -> Iterator[dict[str, Any]]:
    """A decision for every rule, and for the default, under every set of guards that may hold, the largest set first.

    A request takes the first that matches, and where some guards hold the first one is of exactly these: a larger set
    does not match, and the default of this one always does.
    """
    whens = {guard.name: signals.tree(guard.when, f"guard_{guard.name}") for guard in ruleset.guards}
    rules = [(rule, signals.tree(rule.when, rule.name)) for rule in ruleset.rules]
    # A decision that asks for nothing is taken last, whatever its priority: what always holds is held in every one.
    always = [guard for guard in ruleset.guards if not _asks(whens[guard.name])]
    guards = [guard for guard in ruleset.guards if guard not in always]
    found: list[dict[str, Any]] = []
    taken: set[str] = set()
    for size in range(len(guards), -1, -1):
        for held in combinations(guards, size):
            asked = [whens[guard.name] for guard in held]
            under = "".join(f"__{guard.name}" for guard in held)
            found += _needed(_under(ruleset, rules, [*always, *held], asked, under, taken))
    for number, decision in enumerate(reversed(found)):
        decision["priority"] = number * _STEP
    yield from found


def _under(
    ruleset: RuleSet,
    rules: Sequence[tuple[Rule, Node]],
    held: Sequence[Guard],
    asked: Sequence[Node],
    under: str,
    taken: set[str],
) -> Iterator[dict[str, Any]]:
    """The decisions where some guards hold; what is `asked` says that they do."""
    left, regions = frozenset(ruleset.models), None
    for guard in held:
        left, regions = narrowed(ruleset, left, regions, guard)
    for rule, tree in rules:
        chain = [name for name in rule.route if name in left]
        if chain:
            added = [tree] if _asks(tree) else []
            yield _decision(f"{rule.name}{under}", [*asked, *added], _refs(ruleset, chain, regions), taken)
            if not added:
                return
    chain = [name for name in ruleset.default.route or () if name in left]
    chain = chain or [name for name in ruleset.order if name in left]
    if chain:
        yield _decision(f"default{under}", asked, _refs(ruleset, chain, regions), taken)
        return
    # It cannot refuse: the plugin answers in a model's place, and none is asked.
    plugin = {"type": "fast_response", "configuration": {"message": NOBODY_MAY}}
    strongest = _refs(ruleset, ruleset.order[-1:], None)[:1]
    yield {**_decision(f"nobody{under}", asked, strongest, taken), "plugins": [plugin]}


def _needed(decisions: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """Decisions without those at the end that say what the last one says anyway."""
    found = list(decisions)
    while len(found) > 1 and found[-2]["modelRefs"] == found[-1]["modelRefs"] and "plugins" not in found[-1]:
        del found[-2]
    return found


def _refs(ruleset: RuleSet, chain: Sequence[str], regions: Regions) -> list[dict[str, Any]]:
    places = places_of(ruleset)
    return [
        {"model": place.alias, "use_reasoning": False}
        for name in chain
        for place in places[name]
        if regions is None or place.deployment.region in regions
    ]


def _asks(tree: Node) -> bool:
    """Whether a tree asks for anything at all."""
    return "type" in tree or bool(tree["conditions"])


def _decision(name: str, conditions: Sequence[Node], refs: list[dict[str, Any]], taken: set[str]) -> dict[str, Any]:
    plain = plain_name(name)
    while plain in taken:
        plain += "_"
    taken.add(plain)
    return {
        "name": plain,
        "priority": 0,
        "rules": {"operator": "AND", "conditions": list(conditions)},
        "modelRefs": refs,
        "algorithm": {"type": "static"},
    }


def _requirements(ruleset: RuleSet) -> dict[str, Any]:
    models = ruleset.models.values()
    asked = {
        **({"capabilities": "declared"} if any(one.capabilities is not None for one in models) else {}),
        **({"context": "known_limits"} if any(one.context_window is not None for one in models) else {}),
    }
    return {"candidate_requirements": asked} if asked else {}


def _fallback(longest: int) -> dict[str, Any]:
    if longest < 2:
        return {}
    policy = {"version": 1, "enabled": True, "max_attempts": longest, "retryable_status_codes": _RETRIES}
    return {"fallback": policy}


def _card(alias: str, model: Model) -> dict[str, Any]:
    capabilities = [_CAPABILITIES_THERE[one] for one in sorted(model.capabilities or ()) if one in _CAPABILITIES_THERE]
    said = {
        "context_window_size": model.context_window,
        "max_output_tokens": model.max_output,
        "capabilities": None if model.capabilities is None else capabilities,
    }
    return {"name": alias, **{key: value for key, value in said.items() if value is not None}}


def _provider_model(ruleset: RuleSet, place: Place, names: Mapping[str, str]) -> dict[str, Any]:
    model = ruleset.models[place.model]
    return {
        "name": place.alias,
        "provider_model_id": literal(names.get(place.model, model.model)),
        "api_format": "anthropic" if model.provider == "anthropic" else "openai",
        **_pricing(model),
        "backend_refs": [_backend(model, place)],
    }


def _pricing(model: Model) -> dict[str, Any]:
    price = model.price
    if price is None or price.input_usd_per_mtok is None or price.output_usd_per_mtok is None:
        return {}
    rates = {"prompt_per_1m": price.input_usd_per_mtok, "completion_per_1m": price.output_usd_per_mtok}
    return {"pricing": {"currency": "USD", **rates}}


def _backend(model: Model, place: Place) -> dict[str, Any]:
    address = address_of(model, place.deployment)
    return {
        "name": plain_name(place.alias),
        "provider": _PROVIDERS.get(model.provider, "openai-compatible"),
        "base_url": _url(model, address),
        **({} if address.key_env is None else {"api_key_env": address.key_env}),
    }


def _url(model: Model, address: Address) -> str:
    if address.url_env is not None:
        # Its validator wants an address that is one before the variable is read.
        return f"http://${{{_host_variable(address.url_env)}}}/v1"
    url = literal(address.base_url or "")
    # Gemini speaks OpenAI's words there, which is all that this router speaks to it.
    return f"{url}/openai" if model.provider == "gemini" and not url.endswith("/openai") else url


def _host_variable(url_variable: str) -> str:
    return f"{url_variable.removesuffix('_BASE_URL')}_HOST"


VLLM_SR = Target(
    name="vllm-sr",
    title=TITLE,
    capabilities=CAPABILITIES,
    export=export,
    check=check,
    verify=verify,
    main=MAIN,
)
