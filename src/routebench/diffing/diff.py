"""The comparison of two rule sets, as a value and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from routebench.diffing.reading import Opened, Used, read
from routebench.errors import OutcomesError
from routebench.evaluate import Outcomes
from routebench.evaluate.choices import BoolArray, IntArray
from routebench.evaluate.examples import RoutedCase
from routebench.evaluate.intervals import Interval
from routebench.evaluate.moving import Moved, Tail, move
from routebench.evaluate.paired import Difference
from routebench.evaluate.sentence import Sentence
from routebench.evaluate.slices import Slice
from routebench.evaluate.splits import split
from routebench.rules import RuleSet
from routebench.rules.comparing.changes import changes, replaced
from routebench.rules.comparing.loosening import Loosening, loosened, newly_admitted
from routebench.strategies import decided_cases
from routebench.strategies.prompts import readings

SCHEMA = "routebench/diff/v1"
_OPENED_SHOWN = 2


@dataclass(frozen=True)
class RulesDiff:
    """A rule set beside the one that it is to take the place of.

    Attributes:
        suite: the name of the suite that both were replayed on.
        old: the file of the old rule set, or its name.
        new: likewise.
        used: which cases count.
        moved: what moves, and what that does.
        loosened: guards that are not surely held as strictly.
        opened: cases that show it.
        replaced: names of models that guards speak of and that are another model now.
        changes: what differs in the file, as sentences.
        readings: what was found, as sentences, the gravest first.
    """

    suite: str
    old: str
    new: str
    used: Used
    moved: Moved
    loosened: tuple[Loosening, ...]
    opened: Opened
    replaced: tuple[str, ...]
    changes: tuple[str, ...]
    readings: tuple[Sentence, ...]

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that `diff --json` prints; what is unknown is null."""
        moved = self.moved
        return {
            "schema": SCHEMA,
            "suite": self.suite,
            "old": self.old,
            "new": self.new,
            "cases": {**asdict(self.used), "seeds": list(self.used.seeds)},
            "n_left_out": moved.n_left_out,
            "n_left_out_moved": moved.n_left_out_moved,
            "loosened": [one.as_dict() for one in self.loosened],
            "opened": {**asdict(self.opened), "cases": list(self.opened.cases)},
            "replaced": list(self.replaced),
            "changes": list(self.changes),
            "moved": {
                "n": moved.n_first,
                "n_chain": moved.n_chain,
                "share_of_requests": moved.requests_first / moved.requests,
                "flows": [
                    {"from": one.before, "to": one.after, "n": one.n, "requests": one.requests} for one in moved.flows
                ],
                "refused": _pair(moved.refused),
            },
            "quality": {**_pair(moved.quality), **_difference(moved.scores)},
            "cost_usd_per_1k": {
                **_pair(moved.cost_usd, 1000),
                **_interval(moved.added_usd, 1000),
                "change_pct": None if moved.cost_change is None else 100 * moved.cost_change.mean,
                "change_pct_ci95": _interval(moved.cost_change, 100)["ci95"],
                "n_unknown": moved.n_cost_unknown,
            },
            "latency_p95_s": _tail(moved.tail),
            "slices": [_slice(one) for one in moved.slices],
            "harmed": [_harmed(one) for one in moved.harmed],
            "readings": [one.as_dict() for one in self.readings],
        }


def diff_rules(old: RuleSet, new: RuleSet, outcomes: Outcomes) -> RulesDiff:
    """Replays two rule sets on the cases that neither was tuned on, and compares their guards.

    Nothing is tuned here, so all the cases count, but for those that the evidence of either file says were tuned on.

    Raises:
        OutcomesError: a rule set decides for a model without outcomes, or no case is left.
        RulesError: a condition cannot be used.
    """
    told = outcomes.cases.has_text
    if told.any() and not told.all():
        outcomes = outcomes.take(told)
    decided = {"old": decided_cases(old, outcomes), "new": decided_cases(new, outcomes)}
    at, used = _held_out(old, new, outcomes, n_without_text=int((~told).sum()) if told.any() else 0)
    moved = move(outcomes.take(at), decided["old"].take(at), decided["new"].take(at))
    found = loosened(old, new)
    opened = _opened(old, new, outcomes)
    other = replaced(old, new)
    differs = changes(old, new)
    return RulesDiff(
        suite=outcomes.suite,
        old=old.source or old.name,
        new=new.source or new.name,
        used=used,
        moved=moved,
        loosened=found,
        opened=opened,
        replaced=other,
        changes=differs,
        readings=read(moved, found, opened, other, differs, used, has_guards=bool(old.guards)),
    )


def _held_out(old: RuleSet, new: RuleSet, outcomes: Outcomes, *, n_without_text: int) -> tuple[IntArray, Used]:
    """The cases on which neither rule set was tuned, as far as their evidence says."""
    seeds = dict.fromkeys(seed for one in (old, new) if (seed := _seed(one.evidence, outcomes.suite)) is not None)
    kept: BoolArray = np.ones(outcomes.n, dtype=bool)
    for seed in seeds:
        kept[split(outcomes, seed)[0]] = False
    if not kept.any():
        raise OutcomesError(
            f"suite {outcomes.suite!r}: the training halves of seeds {', '.join(map(str, seeds))} are all of its "
            "cases; tune both rule sets with one seed, or take `evidence` out of the older file"
        )
    digest = outcomes.sha256() if seeds else ""
    stale = bool(seeds and n_without_text) or any(
        _seed(one.evidence, outcomes.suite) is not None and one.evidence.get("outcomes_sha256") != digest
        for one in (old, new)
    )
    return np.flatnonzero(kept), Used(
        n_suite=outcomes.n,
        n=int(kept.sum()),
        seeds=tuple(seeds),
        outcomes_changed=stale,
        n_sealed=outcomes.n_sealed,
        n_without_text=n_without_text,
        agreement=outcomes.agreement,
    )


def _seed(evidence: Mapping[str, Any], suite: str) -> int | None:
    """The seed of the split that a rule set was tuned on; None where it was not tuned on this suite."""
    halves = evidence.get("split")
    seed = halves.get("seed") if isinstance(halves, Mapping) else None
    return seed if evidence.get("suite") == suite and isinstance(seed, int) and seed >= 0 else None


def _opened(old: RuleSet, new: RuleSet, outcomes: Outcomes) -> Opened:
    """Guards are not tuned: every case of the suite may show what they let through."""
    if not old.guards:
        return Opened(0, outcomes.n, (), ())
    find = newly_admitted(old, new)
    found = [find(request) for request in readings(outcomes.requests)]
    shown = [place for place, names in enumerate(found) if names]
    names = {name for one in found for name in one}
    return Opened(
        n=len(shown),
        n_suite=outcomes.n,
        cases=tuple(str(outcomes.cases.ids[place]) for place in shown[:_OPENED_SHOWN]),
        models=tuple(name for name in new.order if name in names),
    )


def _pair(values: Sequence[float] | None, scale: float = 1) -> dict[str, Any]:
    return {
        "old": None if values is None else scale * values[0],
        "new": None if values is None else scale * values[1],
    }


def _difference(one: Difference) -> dict[str, Any]:
    return {
        "delta": one.delta if one.n else None,
        "ci95": None if one.ci95 is None else list(one.ci95),
        "p_value": one.p_value,
        "verdict": one.verdict,
        "method": one.method,
        "n": one.n,
        "n_groups": one.n_groups,
        "n_discordant": one.n_discordant,
        "mde": one.mde,
    }


def _interval(one: Interval | None, scale: float = 1) -> dict[str, Any]:
    bounds = None if one is None or one.ci95 is None else [scale * bound for bound in one.ci95]
    return {"delta": None if one is None else scale * one.mean, "ci95": bounds}


def _tail(one: Tail | None) -> dict[str, Any]:
    if one is None:
        return {**_pair(None), **_interval(None), "n": 0, "method": None}
    return {
        **_pair((one.before_s, one.after_s)),
        **_interval(one.difference),
        "n": one.n,
        "method": one.difference.method,
    }


def _slice(one: Slice) -> dict[str, Any]:
    return {"name": one.name, "n": one.n, "delta": one.delta, "ci95": None if one.ci95 is None else list(one.ci95)}


def _harmed(one: RoutedCase) -> dict[str, Any]:
    return {
        "case": one.case.id,
        "from": {"model": one.baseline_model, "score": one.baseline_score, "cost_usd": one.baseline_cost_usd},
        "to": {"model": one.model, "score": one.score, "cost_usd": one.cost_usd},
    }
