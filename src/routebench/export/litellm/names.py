"""The keys that LiteLLM 1.106 to 1.109 knows; it ignores others silently, so that a typo would disable a rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from routebench.errors import nearest
from routebench.export.litellm.service import ROUTER

TRIED = "1.108.7"
"""The version that the names were read from, and that `make interop` runs."""

TOP = frozenset({"model_list", "router_settings", "litellm_settings", "general_settings"})
ROUTER_CONFIG = frozenset(
    """
    adaptive adaptive_eligible adaptive_weights cache_aware_routing cache_aware_routing_output_tokens
    cache_aware_routing_timeout_ms capability_classifier_config classification_examples classification_mode
    classification_prompt classifier_context_budget_chars classifier_context_include_assistant_turns
    classifier_context_per_turn_chars classifier_context_window_size classifier_fallback classifier_llm_config
    classifier_plugin classifier_plugin_timeout_ms classifier_type code_keywords context_compaction
    context_window_escalation_buffer custom_dimensions custom_technical_keywords default_model deployment_affinity
    dimension_weights embedding_model enable_context_window_escalation enable_non_reasoning_tier escalation_keywords
    fallback_tier heuristic_first_max_tier heuristic_v2_artifact heuristic_v2_success_threshold housekeeping_patterns
    hybrid_boundary_margin keyword_tier_rules llm_v2_config local_heuristic match_threshold
    max_tokens_from_tier_model modality_pin_override modality_routing opensource_classifier_config plan_mode_min_tier
    plan_mode_patterns plugins reasoning_keywords reasoning_override_min_score reminder_markers return_raw_model_name
    route_housekeeping_to_cheapest_tier semantic_keyword_matching session_affinity session_affinity_ttl_seconds
    simple_keywords stall_escalation_enabled stall_escalation_repeat_threshold stall_escalation_window
    technical_keywords tier_boundaries tier_definitions tier_distance_penalty tier_labels tier_model_configs tiers
    token_thresholds
    """.split()
)
DIMENSION = frozenset({"name", "weight", "keywords", "patterns", "scoring_mode"})
KEYWORD_RULE = frozenset({"keywords", "tier"})
TIER_DEFINITION = frozenset({"name", "description"})
BOUNDARY = frozenset({"simple_medium", "medium_complex", "complex_reasoning"})
WEIGHTS = frozenset(
    """
    codePresence multiStepPatterns questionComplexity reasoningMarkers simpleIndicators technicalTerms tokenCount
    """.split()
)
THRESHOLDS = frozenset({"simple", "complex"})
ROUTER_SETTINGS = frozenset(
    """
    allowed_fails allowed_fails_policy context_window_fallbacks cooldown_time default_fallbacks disable_cooldowns
    enable_pre_call_checks fallbacks max_fallbacks model_group_alias num_retries retry_after retry_policy
    routing_strategy routing_strategy_args timeout
    """.split()
)


def unknown_names(files: Mapping[str, str]) -> tuple[str, ...]:
    """Returns a sentence for every key of a config that LiteLLM does not know.

    Args:
        files: name -> text, the config first.
    """
    name, text = next(iter(files.items()))
    document = yaml.safe_load(text)
    return tuple(f"{name}: {sentence}" for sentence in _unknown(document))


def _unknown(document: Mapping[str, Any]) -> Iterator[str]:
    yield from _among(document, TOP, "the file")
    yield from _among(document.get("router_settings", {}), ROUTER_SETTINGS, "router_settings")
    for entry in document.get("model_list", ()):
        if entry.get("model_name") == ROUTER:
            yield from _in_router(entry["litellm_params"].get("complexity_router_config", {}))


def _in_router(config: Mapping[str, Any]) -> Iterator[str]:
    yield from _among(config, ROUTER_CONFIG, "complexity_router_config")
    yield from _among(config.get("tier_boundaries", {}), BOUNDARY, "tier_boundaries")
    yield from _among(config.get("dimension_weights", {}), WEIGHTS, "dimension_weights")
    yield from _among(config.get("token_thresholds", {}), THRESHOLDS, "token_thresholds")
    for key, known in (
        ("custom_dimensions", DIMENSION),
        ("keyword_tier_rules", KEYWORD_RULE),
        ("tier_definitions", TIER_DEFINITION),
    ):
        for entry in config.get(key, ()):
            yield from _among(entry, known, key)


def _among(given: Mapping[str, Any], known: frozenset[str], where: str) -> Iterator[str]:
    for name in given:
        if name not in known:
            yield f"{where} has no key {name!r}{nearest(name, known)}"
