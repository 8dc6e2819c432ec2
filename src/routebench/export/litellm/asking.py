"""LiteLLM asks the rule set itself: a classifier of ours beside config.yaml names the tier of every request.

LiteLLM calls it for every request with the whole conversation and what the caller sent along, in its own process. So
guards hold for the conversation, and learned phases decide as measured. Where it fails, LiteLLM goes to its fallback
tier: with guards that is one whose group nobody answers, so that no request passes a guard by a fault.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from routebench.errors import NoEligibleModelError
from routebench.export.classifying import Classifier
from routebench.export.tiers import safe_tier, tiers_of
from routebench.rules import Reading, Router, RuleSet
from routebench.types import Request

MOST_TIERS = 8
"""Tiers of its own that LiteLLM allows."""
FILE = "routebench_tiers.py"
REFUSED = "refused"
Chain = tuple[str, ...]


class Asked(Protocol):
    """What LiteLLM hands to a classifier."""

    structured_messages: Sequence[Mapping[str, Any]]
    metadata: Mapping[str, Any]


class LiteLLMTiers:
    """Names the tier of a request.

    Args:
        classifier: decides.
        tiers: LiteLLM's name of each chain; of a chain that has none a part stands for it.
    """

    def __init__(self, classifier: Classifier, tiers: Mapping[Chain, str]) -> None:
        self._classifier = classifier
        self._tiers = tiers
        self._is_guarded = bool(classifier.ruleset.guards)

    @classmethod
    def load(
        cls,
        rules: str | Path,
        *,
        policy_sha256: str,
        tiers: Mapping[str, Sequence[str]],
        as_written: Sequence[str] = (),
    ) -> Self:
        """Reads a rules.yaml.

        Args:
            rules: the path.
            policy_sha256: of the policy that the tiers were written for.
            tiers: name -> chain.
            as_written: where cascades stand whose first model is asked first.

        Raises:
            RulesError: the file cannot be used, or is another policy.
        """
        classifier = Classifier.load(rules, policy_sha256=policy_sha256, as_written=as_written)
        return cls(classifier, {tuple(chain): name for name, chain in tiers.items()})

    def __deepcopy__(self, memo: Any) -> Self:
        # LiteLLM copies its settings all the way down, and the locks of a router cannot be copied: one serves all.
        return self

    async def classify(self, context: Asked) -> str:
        """Returns the tier of a request.

        Raises:
            NoEligibleModelError: guards and limits leave no model; LiteLLM goes to its fallback tier.
        """
        said = context.metadata.get("requester_metadata") or {}
        tags = [str(tag) for tag in context.metadata.get("tags") or ()]
        chain = self._classifier.tier(context.structured_messages, metadata=said, tags=tags).chain
        found = stands_for(chain, tuple(self._tiers), is_guarded=self._is_guarded)
        return REFUSED if found is None else self._tiers[found]


def stands_for(chain: Chain, tiers: Sequence[Chain], *, is_guarded: bool) -> Chain | None:
    """Returns the tier of a chain, else of the longest beginning of it, else of what is left without its first model.

    None where no tier may stand for it.

    Args:
        chain: that was decided.
        tiers: the chains that have one.
        is_guarded: only parts of the chain itself may stand for it, for a guard may forbid all others.
    """
    for start in range(len(chain)):
        for end in range(len(chain), start, -1):
            if chain[start:end] in tiers:
                return chain[start:end]
        if not is_guarded:
            first = next((tier for tier in tiers if tier[0] == chain[start]), None)
            if first is not None:
                return first
    return None


def tiers_for(ruleset: RuleSet, requests: Sequence[Request] = ()) -> tuple[tuple[Chain, ...], bool]:
    """Returns the chains that LiteLLM's tiers stand for, and whether they are all that there are.

    Where there are more chains than tiers, every model that prompts are sent to first has one tier: with the chain that
    most of them take where no guard may forbid a part of it, of the model alone otherwise.

    Args:
        ruleset: the policy.
        requests: prompts that tell which chains are taken most.
    """
    found = [tier.chain for tier in tiers_of(ruleset) if tier.regions is None]
    learns = ruleset.learned is not None or ruleset.similarity is not None
    if len(found) < MOST_TIERS and not learns:
        return tuple(found), True
    taken = Counter(found) if not requests else Counter(_chains(ruleset, requests))
    firsts = Counter[str]()
    for chain, n in taken.items():
        firsts[chain[0]] += n
    kept = [name for name, _ in firsts.most_common(MOST_TIERS - 1)]
    if ruleset.guards:
        return tuple((name,) for name in kept), False
    return tuple(max((c for c in taken if c[0] == name), key=lambda c: taken[c]) for name in kept), False


def _chains(ruleset: RuleSet, requests: Sequence[Request]) -> Iterator[tuple[str, ...]]:
    router = Router(ruleset)
    for request in requests:
        try:
            yield router.decide(Reading(request)).chain
        except NoEligibleModelError:
            continue


def fallback(ruleset: RuleSet) -> Chain | None:
    """Returns where requests go when the classifier fails; None where they must not go anywhere."""
    if ruleset.guards:
        return None
    tier = safe_tier(ruleset)
    return None if tier is None else tier.chain


def source(ruleset: RuleSet, names: Mapping[str, Chain], as_written: Sequence[str]) -> str:
    """Returns the text of the classifier's file.

    Args:
        ruleset: the policy.
        names: tier -> chain.
        as_written: where cascades stand whose first model is asked first.
    """
    tiers = "".join(f"    {name!r}: {list(chain)!r},\n" for name, chain in names.items())
    return f'''"""Names the tier of a request for LiteLLM; written by routebench, from rules.yaml.

LiteLLM loads it from beside config.yaml. Its environment needs the package routebench, without extras.
"""

from pathlib import Path

from routebench.export.litellm.asking import LiteLLMTiers

POLICY_SHA256 = "{ruleset.policy_sha256}"
TIERS = {{
{tiers}}}
AS_WRITTEN = {tuple(as_written)!r}
classifier = LiteLLMTiers.load(
    Path(__file__).with_name("rules.yaml"), policy_sha256=POLICY_SHA256, tiers=TIERS, as_written=AS_WRITTEN
)
'''
