"""LiteLLM asks the rule set itself: a classifier of ours beside config.yaml names the tier, and nothing is approximated.

LiteLLM calls it for every request with the whole conversation and what the caller sent along, in its own process. So
guards hold for the conversation, and learned phases decide as measured. Where it fails, LiteLLM goes to its fallback
tier: with guards that is one whose group nobody answers, so that no request passes a guard by a fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from routebench.export.classifying import Classifier
from routebench.export.tiers import ChainTier, safe_tier, tiers_of
from routebench.rules import RuleSet

MOST_TIERS = 8
"""Tiers of its own that LiteLLM allows."""
FILE = "routebench_tiers.py"
REFUSED = "refused"


class Asked(Protocol):
    """What LiteLLM hands to a classifier."""

    structured_messages: Sequence[Mapping[str, Any]]
    metadata: Mapping[str, Any]


class LiteLLMTiers:
    """Names the tier of a request.

    Args:
        classifier: decides.
        tiers: LiteLLM's name of each chain; a chain that has none is cut to the first models of it that do.
    """

    def __init__(self, classifier: Classifier, tiers: Mapping[tuple[str, ...], str]) -> None:
        self._classifier = classifier
        self._tiers = tiers

    @classmethod
    def load(cls, rules: str | Path, *, policy_sha256: str, tiers: Mapping[str, Sequence[str]]) -> Self:
        """Reads a rules.yaml.

        Args:
            rules: the path.
            policy_sha256: of the policy that the tiers were written for.
            tiers: name -> chain.

        Raises:
            RulesError: the file cannot be used, or is another policy.
        """
        classifier = Classifier.load(rules, policy_sha256=policy_sha256)
        return cls(classifier, {tuple(chain): name for name, chain in tiers.items()})

    async def classify(self, context: Asked) -> str:
        """Returns the tier of a request.

        Raises:
            NoEligibleModelError: guards and limits leave no model; LiteLLM goes to its fallback tier.
        """
        said = context.metadata.get("requester_metadata") or {}
        tags = [str(tag) for tag in context.metadata.get("tags") or ()]
        chain = self._classifier.tier(context.structured_messages, metadata=said, tags=tags).chain
        name = next((self._tiers[some] for end in range(len(chain), 0, -1) if (some := chain[:end]) in self._tiers), None)
        # No tier may lead elsewhere than the rules: LiteLLM's fallback tier is for faults alone.
        return REFUSED if name is None else name


def tiers_for(ruleset: RuleSet) -> tuple[tuple[ChainTier, ...], int]:
    """Returns the chains that LiteLLM's tiers stand for, the most ordinary first, and how many were left out.

    Every model that a chain may begin with has a tier, of it alone where there is no room for more.
    """
    found = [tier for tier in tiers_of(ruleset) if tier.regions is None]
    most = MOST_TIERS - 1
    singles = [tier for tier in found if len(tier.chain) == 1]
    longer = [tier for tier in found if len(tier.chain) > 1]
    if len(found) <= most:
        return tuple(found), 0
    kept = longer[: max(0, most - len(singles))]
    return (*kept, *singles[:most]), len(longer) - len(kept) + max(0, len(singles) - most)


def fallback(ruleset: RuleSet) -> tuple[str, ...] | None:
    """Returns where requests go when the classifier fails; None where they must not go anywhere."""
    if ruleset.guards:
        return None
    tier = safe_tier(ruleset)
    return None if tier is None else tier.chain


def source(ruleset: RuleSet, names: Mapping[str, tuple[str, ...]]) -> str:
    """Returns the text of the classifier's file."""
    tiers = "".join(f"    {name!r}: {list(chain)!r},\n" for name, chain in names.items())
    return f'''"""Names the tier of a request for LiteLLM; written by routebench, from rules.yaml.

LiteLLM loads it from beside config.yaml. Its environment needs the package routebench, without extras.
"""

from pathlib import Path

from routebench.export.litellm.asking import LiteLLMTiers

POLICY_SHA256 = "{ruleset.policy_sha256}"
TIERS = {{
{tiers}}}
classifier = LiteLLMTiers.load(Path(__file__).with_name("rules.yaml"), policy_sha256=POLICY_SHA256, tiers=TIERS)
'''
