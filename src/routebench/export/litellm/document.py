"""What stands in LiteLLM's config.yaml around the tiers, whatever names them, and what is lost there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from routebench.errors import RulesError
from routebench.export.litellm.names import TRIED
from routebench.export.litellm.service import ROUTER, Groups
from routebench.export.loss import Lost
from routebench.export.unchecked import Opening, without_answers
from routebench.rules import RuleSet

MAIN = "config.yaml"
TITLE = f"LiteLLM proxy (tried with {TRIED})"
REFUSED_GROUP = "routebench-refused"
CLASSIFIER = "let LiteLLM ask routebench (--classifier)"
SERVE = "serve the rule set itself: routebench serve"


def plain_of(ruleset: RuleSet, openings: Sequence[Opening]) -> tuple[RuleSet, list[Lost]]:
    """Returns what decides by the request alone, and what was lost for it but for health, of which LiteLLM has a form.

    Args:
        ruleset: the policy.
        openings: which model is asked first of cascades that were replayed without their checks.

    Raises:
        RulesError: a model has a name that the export needs.
    """
    taken = [name for name in ruleset.order if name in (ROUTER, REFUSED_GROUP)]
    if taken:
        raise RulesError(f"model {taken[0]}: a group of the export has this name; call the model otherwise")
    plain, lost = without_answers(ruleset, openings)
    return plain, [one for one in lost if one.part != "health"]


def around(
    ruleset: RuleSet, config: Mapping[str, Any], default: str, groups: Groups, listed: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Returns the whole document around what makes the tiers.

    Args:
        ruleset: the policy.
        config: the part of `complexity_router_config` that makes the tiers.
        default: the group for requests without a user message.
        groups: of the chains.
        listed: the models.
    """
    nowhere = f"routebench-{ruleset.policy_sha256[:16]}"
    # What LiteLLM does by itself beside the tiers, and nobody measured.
    still: dict[str, Any] = {
        "route_housekeeping_to_cheapest_tier": False,
        "max_tokens_from_tier_model": False,
        "context_compaction": False,
        # Reminders are read here, and would not be there; there is no empty list of them.
        "reminder_markers": [{"open": f"<{nowhere}>", "close": f"</{nowhere}>"}],
    }
    router = {
        "model_name": ROUTER,
        "litellm_params": {
            "model": "auto_router/complexity_router",
            "complexity_router_default_model": default,
            "complexity_router_config": {**config, **still},
        },
    }
    several = max(len(ruleset.deployments_of(name)) for name in ruleset.order)
    settings: dict[str, Any] = {"routing_strategy": "simple-shuffle", "num_retries": several - 1}
    if groups.fallbacks:
        settings["fallbacks"] = groups.fallbacks
    if ruleset.health is not None:
        settings["allowed_fails"] = ruleset.health.min_errors
        settings["cooldown_time"] = ruleset.health.cooldown_s
    return {
        "model_list": [*listed, router],
        "router_settings": settings,
        "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
    }


def around_lost(ruleset: RuleSet, *, moves: bool) -> Iterator[Lost]:
    """Yields what is lost around the tiers.

    Args:
        ruleset: the policy.
        moves: whether requests may be moved to other tiers by their size or images.
    """
    if ruleset.health is not None:
        why = "it counts failures in a minute and cools down; latency and probes are not looked at"
        yield Lost("health", "approximated", why, SERVE)
    if ruleset.sticky == "conversation":
        if ruleset.guards:
            why = "a session that is pinned would pass a guard, so every turn is decided anew"
            yield Lost("sticky", "dropped", why, SERVE)
        else:
            yield Lost(
                "sticky", "approximated", "only callers that send a session id are pinned", "send `litellm_session_id`"
            )
    limited = [name for name, model in ruleset.models.items() if model.capabilities is not None]
    if not moves and (limited or any(model.context_window is not None for model in ruleset.models.values())):
        why = "nothing is moved by its size or images, for LiteLLM would move it past a guard"
        yield Lost("limits", "dropped", why, CLASSIFIER)
    elif limited:
        why = f"of what {', '.join(limited)} cannot do, only images are looked at"
        yield Lost("limits", "approximated", why, SERVE)


def needs_of(ruleset: RuleSet) -> Iterator[str]:
    """Yields what the reader has to do besides loading the files."""
    yield "set LITELLM_MASTER_KEY and the variables that `os.environ/...` names"
    if ruleset.guards:
        yield f"give callers keys for {ROUTER} alone: one that may name a model itself passes the guards"
    yield f"callers ask for the model {ROUTER}"
