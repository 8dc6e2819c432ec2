"""What LiteLLM does with each part of a rule set, without a classifier of ours beside it."""

from __future__ import annotations

from routebench.export.capability import CASCADE, EXPLORE, Capability

_SCAN = "in the first 2,048 characters of the last user message, whatever the case"

CAPABILITIES: tuple[Capability, ...] = (
    Capability(
        "any_keyword",
        "full",
        "`keyword_tier_rules`: words between word boundaries, whatever the case; phrases "
        "are found inside longer words too",
    ),
    Capability(
        "all_keywords",
        "degraded",
        "weights of `custom_dimensions` that only together reach a tier, one such condition a tier",
    ),
    Capability(
        "regex",
        "degraded",
        f"`custom_dimensions`: {_SCAN}; `+` and `*` count to 24 at most, groups cannot repeat; "
        "a plain list of words becomes keywords",
    ),
    Capability("language", "none", "it knows no languages"),
    Capability(
        "length",
        "degraded",
        "characters up to 1,792 by a pattern, one longer bound or one upper bound by its "
        "token count; a word is taken for 5.7 characters",
    ),
    Capability("input_tokens", "degraded", "as length: the last user message is measured, not the whole request"),
    Capability("digits", "none", "it measures no shares"),
    Capability("has_code", "degraded", f"the same signs of code, {_SCAN}"),
    Capability("is_question", "degraded", "a question mark at the end of the first 2,048 characters"),
    Capability("turns", "none", "it counts no turns"),
    Capability("has_tools", "none", "it looks at no tools when it routes"),
    Capability("has_images", "none", "`modality_routing` keeps images from models that cannot see, and nothing else"),
    Capability("json_schema", "none", "it looks at no answer form when it routes"),
    Capability("metadata", "none", "it reads no metadata when it routes"),
    Capability("tag", "none", "its tags choose among the deployments of a model, not among tiers"),
    Capability("time", "none", "it knows no time of day"),
    Capability("any_all_not", "degraded", "`any` in full; `all` as `all_keywords`; `not` of a length alone"),
    Capability("in", "none", "it reads the last user message that has text"),
    Capability(
        "order",
        "degraded",
        "the most severe of four tiers wins: rules that lead to three chains besides the "
        "default keep their order, others are moved or dropped by how many prompts that moves",
    ),
    Capability(
        "guards",
        "degraded",
        "held as the most severe tier where they say `in: user` and ask for a length; refused otherwise, for a word "
        "in an earlier turn or in unusual letters would not count. Callers that may name models themselves pass every "
        "guard",
    ),
    Capability(
        "complexity", "degraded", "rules of keywords, patterns and lengths that were learned from its decisions"
    ),
    Capability("similarity", "degraded", "likewise"),
    Capability("learned", "degraded", "likewise"),
    Capability("mix", "none", "it draws no chain: all of it goes to the strongest of them"),
    Capability("chain", "full", "a group a chain with `fallbacks` in `router_settings`"),
    CASCADE,
    Capability("deployments", "full", "several entries of one `model_name`, with their weights"),
    Capability("health", "degraded", "`allowed_fails` a minute and `cooldown_time`: no latency, no probes"),
    Capability("budget", "none", "its budgets refuse, they do not route"),
    Capability("sticky", "degraded", "`session_affinity` where there is no guard, for callers that send a session id"),
    Capability(
        "limits",
        "degraded",
        "`enable_context_window_escalation` and `modality_routing` where there is no guard, by its own count of "
        "tokens; tools and JSON schemas are not looked at",
    ),
    Capability("few_shot", "none", "it adds nothing to a request"),
    EXPLORE,
)
