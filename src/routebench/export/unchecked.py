"""A policy without its checks: what a gateway decides by that sees a request and never an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from routebench.export.loss import Lost
from routebench.rules import RuleSet, Tier
from routebench.rules.conditions.parts import mentions

Chain = tuple[str, ...]
_CHECKED = "serve it with `routebench serve`, which checks them"


@dataclass(frozen=True, slots=True)
class Cascade:
    """A chain whose answers are checked.

    Attributes:
        part: where it stands, such as `rule long` or `default`.
        check: the name of the check.
    """

    part: str
    chain: Chain
    check: str

    def opened(self, *, as_written: bool) -> Chain:
        """Returns the chain, its last model first unless it stays as it is written."""
        return self.chain if as_written else (self.chain[-1], *self.chain[:-1])


@dataclass(frozen=True, slots=True)
class Opening:
    """Which model of a cascade is asked first where nobody checks its answer.

    Attributes:
        part: where the cascade stands.
        as_written: the chain stays as it is, and its first answer stands; otherwise its last model comes first, which
            the check would have trusted.
        why: what speaks for it; empty where nobody asks.
    """

    part: str
    as_written: bool
    why: str = ""


def openings_as_written(parts: Iterable[str]) -> tuple[Opening, ...]:
    """Returns the openings of cascades that an export left as they are written."""
    return tuple(Opening(part, as_written=True) for part in parts)


def parts_as_written(openings: Iterable[Opening]) -> tuple[str, ...]:
    """Returns where cascades stand that stay as they are written, for whoever decides beside the gateway."""
    return tuple(one.part for one in openings if one.as_written)


def cascades_of(ruleset: RuleSet) -> tuple[Cascade, ...]:
    """Returns the chains of a rule set whose answers are checked, but for those that a learned phase orders anew."""
    found: list[Cascade] = []

    def note(cascade: Cascade) -> Chain:
        found.append(cascade)
        return cascade.chain

    _turned(ruleset, note)
    return tuple(found)


def without_answers(ruleset: RuleSet, openings: Iterable[Opening] = ()) -> tuple[RuleSet, tuple[Lost, ...]]:
    """Returns a rule set whose decisions depend on the request alone, and what was lost for it.

    Args:
        ruleset: the policy.
        openings: which model is asked first of cascades that were replayed; the others begin at their last model, which
            the check would have trusted: dearer, and the safe side of an answer that nobody checks.
    """
    lost: list[Lost] = []
    known = {one.part: one for one in openings}

    def turn(cascade: Cascade) -> Chain:
        opening = known.get(cascade.part)
        lost.append(_lost(cascade, opening))
        return cascade.opened(as_written=opening is not None and opening.as_written)

    ruleset = _turned(ruleset, turn)
    similarity, learned = ruleset.similarity, ruleset.learned
    if similarity is not None and similarity.cascade is not None:
        lost.append(_unchecked("similarity"))
        similarity = replace(similarity, cascade=None)
    if learned is not None and learned.cascade is not None:
        lost.append(_unchecked("learned"))
        learned = replace(learned, cascade=None)
    lost += _states(ruleset)
    return (
        replace(
            ruleset,
            similarity=similarity,
            learned=learned,
            checks={},
            heads={},
            health=None,
            budget=None,
            explore=0.0,
        ),
        tuple(lost),
    )


def _turned(ruleset: RuleSet, turn: Callable[[Cascade], Chain]) -> RuleSet:
    """A rule set whose cascades are plain chains."""

    def chain(part: str, written: Chain, check: str | None) -> Chain:
        return written if check is None else turn(Cascade(part, written, check))

    rules = tuple(
        replace(one, route=chain(f"rule {one.name}", one.route, one.cascade), cascade=None) for one in ruleset.rules
    )
    default = ruleset.default
    if default.route is not None:
        default = replace(default, route=chain("default", default.route, default.cascade), cascade=None)
    elif default.mix is not None:
        mix = tuple(
            (share, chain(f"default, part {place}", written, default.cascade))
            for place, (share, written) in enumerate(default.mix, start=1)
        )
        default = replace(default, mix=mix, cascade=None)
    complexity = ruleset.complexity
    if complexity is not None:
        tiers = tuple(
            Tier(one.below, chain(f"complexity, tier {place}", one.route, one.cascade))
            for place, one in enumerate(complexity.tiers, start=1)
        )
        complexity = replace(complexity, tiers=tiers)
    return replace(ruleset, rules=rules, default=default, complexity=complexity)


def _lost(cascade: Cascade, opening: Opening | None) -> Lost:
    if len(cascade.chain) == 1:
        return _unchecked(cascade.part)
    as_written = opening is not None and opening.as_written
    first, place = (cascade.chain[0], "first") if as_written else (cascade.chain[-1], "last")
    why = f"answers are not checked there, so that {first}, the {place} of its cascade, is asked first"
    if opening is None:
        why += ", which is the safe side and was not replayed"
        mend = f"name a store (--store) to have both orders replayed, or {_CHECKED}"
        return Lost(cascade.part, "approximated", why, mend)
    return Lost(cascade.part, "approximated", f"{why}: {opening.why}", _CHECKED)


def _unchecked(part: str) -> Lost:
    return Lost(part, "dropped", "answers are not checked there: the first one is taken", _CHECKED)


def _states(ruleset: RuleSet) -> Iterator[Lost]:
    """What depends on calls that were made before, of which a decision by the request alone knows nothing."""
    if ruleset.health is not None:
        yield Lost(
            "health",
            "dropped",
            "nobody tells how calls go, so that a model that fails is found out anew by every request",
            "rely on the chain, or serve it with `routebench serve`",
        )
    if ruleset.budget is not None:
        yield Lost(
            "budget",
            "dropped",
            "nobody tells what calls cost",
            "set a limit there, or serve it with `routebench serve`",
        )
    if ruleset.explore:
        yield Lost(
            "explore",
            "dropped",
            "no request tries another model by chance there",
            "serve it with `routebench serve`, which logs how likely each choice was",
        )
    for kind, name, when in (
        *(("guard", one.name, one.when) for one in ruleset.guards),
        *(("rule", one.name, one.when) for one in ruleset.rules),
    ):
        if mentions(when, ("budget_pace",)):
            # A condition on what nobody knows does not hold: a guard would be open.
            yield Lost(
                f"{kind} {name}",
                "refused" if kind == "guard" else "dropped",
                "it asks what was spent today, which nobody tells there",
                "serve it with `routebench serve`, or write it without `budget_pace`",
            )
