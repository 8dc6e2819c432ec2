"""What vLLM Semantic Router does with each part of a rule set."""

from __future__ import annotations

from routebench.export.capability import CASCADE, EXPLORE, FEW_SHOT, Capability

CAPABILITIES: tuple[Capability, ...] = (
    Capability("any_keyword", "full", "`keyword` signals with word boundaries of ASCII, else `structure` patterns"),
    Capability("all_keywords", "full", "as any_keyword, all of them"),
    Capability("regex", "full", "`structure` signals: the same syntax (RE2)"),
    Capability("language", "degraded", "its own detector tells it"),
    Capability("length", "full", "`structure` signals that count characters and words"),
    Capability("input_tokens", "degraded", "its own estimate; guards allow for twice the difference"),
    Capability("digits", "none", "it counts matches, and knows no share of characters"),
    Capability("has_code", "full", "a `structure` pattern, the same as ours"),
    Capability("is_question", "full", "a `structure` pattern"),
    Capability("turns", "full", "a `conversation` signal"),
    Capability("has_tools", "full", "a `conversation` signal"),
    Capability("has_images", "full", "a `conversation` signal; other parts that are no text are not seen"),
    Capability("json_schema", "none", "it does not read what form the answer must have"),
    Capability("metadata", "degraded", "`metadata` signals of texts; numbers and lists are not compared"),
    Capability("tag", "none", "it knows no tags; send them as metadata"),
    Capability("time", "none", "it knows no clock"),
    Capability("any_all_not", "full", "AND, OR and NOT in a decision's rules"),
    Capability("in", "degraded", "it reads the last user message; a guard holds for every conversation that has more"),
    Capability("order", "full", "priorities in the order of the rules"),
    Capability(
        "guards", "degraded", "decisions of their own for every set of guards; wider where it cannot read what is asked"
    ),
    *(
        Capability(
            phase,
            "degraded",
            "rules learned from its decisions on a store's prompts; without one all goes to the strongest",
        )
        for phase in ("complexity", "similarity", "learned")
    ),
    Capability("mix", "none", "all of it goes to the part with the strongest model"),
    Capability(
        "chain", "degraded", "`modelRefs` in order with `routing.fallback`; which failures go on is its own list"
    ),
    CASCADE,
    Capability(
        "deployments", "degraded", "models of their own: the heaviest is asked first, the others where it fails"
    ),
    Capability("health", "none", "set `providers.models[].reliability` there"),
    Capability("budget", "none", "nobody tells it what a day may cost"),
    Capability("sticky", "none", "every turn is decided anew"),
    Capability("limits", "degraded", "`candidate_requirements` by the model cards"),
    FEW_SHOT,
    EXPLORE,
)
