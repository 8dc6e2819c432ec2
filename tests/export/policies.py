"""Rule sets that exports are tried on."""

from __future__ import annotations

from routebench.rules import RuleSet

SUPPORT = """
schema: routebench/rules/v1
name: support-bot
models:
  small: {provider: deepseek, model: deepseek-chat, key_env: DEEPSEEK_API_KEY}
  mid:
    provider: openai
    model: gpt-4o-mini
    deployments:
      - {region: eu, base_url: "https://eu.example.org/v1", key_env: EU_KEY, weight: 2}
      - {region: us, key_env: US_KEY}
  large: {provider: anthropic, model: claude-sonnet-4-5, key_env: ANTHROPIC_API_KEY, region: us, params: {max_tokens: 1024}}
guards:
  - {name: legal, when: {any_keyword: [contract, indemnity, due diligence]}, at_least: large}
  - {name: residency, when: {metadata.data_class: eu_personal}, only: [mid, large]}
rules:
  - {name: maths, when: {regex: '[0-9]+ *[-+*/]'}, route: [small, mid, large]}
  - {name: long, when: {characters: {gt: 120}, not: {any_keyword: [json]}}, route: [large, mid]}
default: {route: [mid, large]}
"""


def support() -> RuleSet:
    """Returns the policy."""
    return RuleSet.parse(SUPPORT)
