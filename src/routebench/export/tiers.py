"""Tiers: every chain that a rule set can decide for, by a name that a gateway can be told in place of the request.

A gateway whose own conditions cannot read a text can still hold the chains. Which of them a request takes is said by
whoever sends it, who asks the rule set; see `classifying`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

from routebench.export.loss import Lost
from routebench.rules import Guard, RuleSet
from routebench.rules.guards import admitted
from routebench.rules.learned.llm_classifier import LlmClassifier
from routebench.types import Model

_MOST_ADMISSIONS = 64
"""Sets of models that guards leave together; a chain that none of them has is cut to its first models."""
_MOST_PAIRED = 10
"""Where a library or a head orders the models: up to so many models every pair has a tier, beyond that one each."""

LEFT_OUT = "left-out"
"""The name of the guard that holds models back which a gateway cannot call."""

Regions = frozenset[str] | None


@dataclass(frozen=True, slots=True)
class ChainTier:
    """A chain of models to try.

    Attributes:
        regions: where it may be processed; None where no guard says.
    """

    chain: tuple[str, ...]
    regions: Regions = None

    @property
    def name(self) -> str:
        """The chain in one text, such as `small>large`, with the regions that it is held to."""
        return ">".join(self.chain) + ("" if self.regions is None else f"@{'+'.join(sorted(self.regions))}")


def tiers_of(ruleset: RuleSet) -> tuple[ChainTier, ...]:
    """Returns the tiers of a rule set, the most ordinary first; every model that may be asked first has one alone."""
    orders = tuple(_orders(ruleset))
    admissions = tuple(_admissions(ruleset))
    # Where guards or limits may leave nothing of a chain, all models that may take the request are tried.
    emptied = any(_has_limits(model) for model in ruleset.models.values()) or any(
        permitted.isdisjoint(order) for permitted, _ in admissions for order in orders
    )
    used = frozenset(ruleset.order if emptied or _ranks(ruleset) else (name for order in orders for name in order))
    found: dict[ChainTier, None] = {}
    for permitted, regions in admissions:
        alone = ((name,) for name in ruleset.order if name in used)
        for order in (*orders, *alone, *([ruleset.order] if emptied else [])):
            chain = tuple(name for name in order if name in permitted)
            if chain:
                found.setdefault(ChainTier(chain, regions))
    return tuple(found)


def safe_tier(ruleset: RuleSet) -> ChainTier | None:
    """Returns the tier that no guard can object to; None where there is none.

    It is the default's chain, strongest model first where the default is drawn, as far as every guard allows it, and
    otherwise all models that every guard allows, the strongest first.
    """
    permitted, regions = frozenset(ruleset.models), None
    for guard in ruleset.guards:
        permitted, regions = narrowed(ruleset, permitted, regions, guard)
    if ruleset.guards and not permitted:
        return None
    chain = tuple(name for name in safest(ruleset) if name in permitted)
    return ChainTier(chain or tuple(name for name in reversed(ruleset.order) if name in permitted), regions)


def safest(ruleset: RuleSet) -> tuple[str, ...]:
    """Returns the default's chain; of a mix, the part whose first model is the strongest."""
    if ruleset.default.mix is None:
        return ruleset.default.route or ()
    return max((chain for _, chain in ruleset.default.mix), key=lambda chain: ruleset.order.index(chain[0]))


def held_by(tiers: Sequence[ChainTier], most: int | None = None) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    """Returns what is left of a chain where a gateway has tiers alone: the longest beginning that is one.

    Args:
        tiers: of the gateway.
        most: models that it takes of one; all of them when left out.
    """
    known = {tier.chain for tier in tiers}
    return lambda chain: next(chain[:end][:most] for end in range(len(chain), 0, -1) if chain[:end] in known)


def consulted(ruleset: RuleSet) -> str | None:
    """Returns the model that has a say in the decisions, such as a classifier of `kind: llm`; None where none has."""
    complexity = ruleset.complexity
    if complexity is None or not isinstance(complexity.classifier, LlmClassifier):
        return None
    return complexity.classifier.model


def left_out(ruleset: RuleSet, names: Sequence[str]) -> RuleSet:
    """Returns a rule set that never asks some of its models: a guard on every request holds them back."""
    if not names:
        return ruleset
    return replace(ruleset, guards=(*ruleset.guards, Guard(LEFT_OUT, {}, never=tuple(names))))


def cut_chains(ruleset: RuleSet) -> Iterator[Lost]:
    """Yields what is lost where a phase orders all models anew for every request: tiers hold its first models alone."""
    if _ranks(ruleset) and len(ruleset.order) > 2:
        kept = "two models" if len(ruleset.order) <= _MOST_PAIRED else "model"
        phases = [name for name in ("similarity", "learned") if getattr(ruleset, name) is not None]
        yield Lost(
            f"chains of {' and '.join(phases)}",
            "approximated",
            f"it puts the models in an order of its own, of which a tier holds the first {kept}",
            "serve it with `routebench serve`, which tries all of them",
        )


def shown_by_models(ruleset: RuleSet, names: Sequence[str], title: str) -> Iterator[Lost]:
    """Yields the models whose own messages a gateway does not send.

    Args:
        ruleset: the policy.
        names: of the models that are exported.
        title: of the gateway.
    """
    for name in names:
        model = ruleset.models[name]
        own = [what for what, said in (("system prompt", model.system), ("demonstrations", model.few_shot)) if said]
        if own:
            yield Lost(
                f"model {name}",
                "dropped",
                f"what was measured has its {' and '.join(own)} in front; {title} sends the caller's messages alone",
                "let the caller put that in front of its messages, or serve it with `routebench serve`",
            )


def _orders(ruleset: RuleSet) -> Iterator[tuple[str, ...]]:
    """The chains before guards and limits."""
    if ruleset.default.route is not None:
        yield ruleset.default.route
    for _, chain in ruleset.default.mix or ():
        yield chain
    for rule in ruleset.rules:
        yield rule.route
    if ruleset.complexity is not None:
        for tier in ruleset.complexity.tiers:
            yield tier.route
    if _ranks(ruleset) and len(ruleset.order) <= _MOST_PAIRED:
        yield from permutations(ruleset.order, 2)


def _ranks(ruleset: RuleSet) -> bool:
    """Whether a phase puts all models in an order of its own."""
    return ruleset.similarity is not None or ruleset.learned is not None


def _has_limits(model: Model) -> bool:
    return model.context_window is not None or model.max_output is not None or model.capabilities is not None


def _admissions(ruleset: RuleSet) -> Iterator[tuple[frozenset[str], Regions]]:
    """What guards may leave together: models, and where they may be asked."""
    permitted, regions = frozenset(ruleset.models), None
    for guard in ruleset.guards:
        if not guard.when:
            # It holds for every request.
            permitted, regions = narrowed(ruleset, permitted, regions, guard)
    found: dict[tuple[frozenset[str], Regions], None] = {(permitted, regions): None}
    for guard in ruleset.guards:
        for one in tuple(found):
            if len(found) < _MOST_ADMISSIONS:
                found.setdefault(narrowed(ruleset, *one, guard))
    yield from found


def narrowed(
    ruleset: RuleSet, permitted: frozenset[str], regions: Regions, guard: Guard
) -> tuple[frozenset[str], Regions]:
    """Returns what a guard leaves of models that may be asked, and of regions."""
    if guard.regions is not None:
        places = frozenset(guard.regions)
        regions = places if regions is None else regions & places
    permitted &= admitted(guard, ruleset)
    if regions is not None:
        permitted = frozenset(
            name for name in permitted if any(one.region in regions for one in ruleset.deployments_of(name))
        )
    return permitted, regions
