"""What another rule set would have decided for the same requests, as the gateway wrote it beside its own decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from routebench.drifting.served import Served, Words, head
from routebench.drifting.side import Side
from routebench.evaluate.choices import BoolArray
from routebench.evaluate.intervals import Interval


@dataclass(frozen=True, slots=True)
class RuleAgreement:
    """How often both would ask the same model first, of requests that one rule decided.

    Attributes:
        n: requests.
        agreement: the share.
    """

    rule: str
    n: int
    agreement: Interval


@dataclass(frozen=True, slots=True)
class Shadow:
    """A rule set in the shadow of another.

    Attributes:
        rules: its name.
        n: requests that both decided; those that were explored are left out.
        agreement: share of them for which both want the same model first.
        by_rule: by the rule that decided, the least agreement first.
        flows: where they differ: (wanted, wanted in the shadow or None, requests), the commonest first.
    """

    rules: str
    n: int
    agreement: Interval
    by_rule: tuple[RuleAgreement, ...]
    flows: tuple[tuple[str, str | None, int], ...]

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "rules": self.rules,
            "n": self.n,
            "agreement": _interval(self.agreement),
            "by_rule": [{"rule": one.rule, "n": one.n, "agreement": _interval(one.agreement)} for one in self.by_rule],
            "flows": [{"from": before, "to": after, "n": n} for before, after, n in self.flows],
        }


def shadows(served: Served) -> tuple[Shadow, ...]:
    """Returns every rule set that decided in the shadow, the one with most requests first."""
    if "shadow_rules" not in served.frame or "shadow_chain" not in served.frame:
        return ()
    names = Words.of(served.frame["shadow_rules"])
    found = []
    for name in names.counts():
        some = served.take(names.are(name) & ~served.explored)
        made = _shadow(name, some)
        if made is not None:
            found.append(made)
    return tuple(found)


def same_first(served: Served) -> tuple[Words, BoolArray, BoolArray]:
    """Returns the models wanted in the shadow, whether they are those wanted, and whether both are known."""
    theirs = Words.of([head(chain) for chain in served.frame["shadow_chain"]])
    ours = served.wanted if served.wanted.known.any() else served.first
    place = {name: number for number, name in enumerate(ours.names)}
    at = np.array([*(place.get(name, -2) for name in theirs.names), -2], dtype=np.intp)[theirs.by]
    return theirs, at == ours.by, ours.known


def _shadow(name: str, served: Served) -> Shadow | None:
    theirs, same, known = same_first(served)
    ours = served.wanted if served.wanted.known.any() else served.first
    agreement = Side.of(np.where(known, same, np.nan), served.conversation).share()
    if agreement is None:
        return None
    by_rule = []
    for rule in served.rule.counts():
        which = served.rule.are(rule) & known
        share = Side.of(np.where(which, same, np.nan), served.conversation).share()
        if share is not None:
            by_rule.append(RuleAgreement(rule, int(which.sum()), share))
    differs = np.flatnonzero(known & ~same)
    pairs, counts = np.unique(np.stack([ours.by[differs], theirs.by[differs]]), axis=1, return_counts=True)
    flows = [
        (ours.names[before], theirs.names[after] if after >= 0 else None, int(n))
        for before, after, n in zip(*pairs, counts, strict=True)
    ]
    return Shadow(
        rules=name,
        n=int(known.sum()),
        agreement=agreement,
        by_rule=tuple(sorted(by_rule, key=lambda one: one.agreement.mean)),
        flows=tuple(sorted(flows, key=lambda one: -one[2])),
    )


def _interval(one: Interval) -> dict[str, Any]:
    return {"value": one.mean, "ci95": None if one.ci95 is None else list(one.ci95)}
