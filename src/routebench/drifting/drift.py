"""Production beside the evidence, as a value and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from routebench.drifting.bounds import Bounds
from routebench.drifting.callers import tag_rows, untold
from routebench.drifting.expected import Expected, expect, written
from routebench.drifting.figures import rows_of
from routebench.drifting.findings import Finding, read, settled
from routebench.drifting.inputs import input_rows
from routebench.drifting.labelling import Candidate, candidates
from routebench.drifting.needs import Need, needs
from routebench.drifting.off_policy import OffPolicy
from routebench.drifting.row import Row
from routebench.drifting.scored import value_of_shadow
from routebench.drifting.served import Served
from routebench.drifting.shadow import Shadow, shadows
from routebench.errors import InputError
from routebench.evaluate import Outcomes
from routebench.evaluate.paired import holm
from routebench.rules import RuleSet

SCHEMA = "routebench/drift/v1"
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class PolicyUse:
    """One policy among the traces.

    Attributes:
        policy: the first digits of its digest.
        n: requests that it decided.
        first_at: of its first request.
        last_at: of its latest one.
    """

    policy: str
    n: int
    first_at: datetime
    last_at: datetime

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "policy": self.policy,
            "n": self.n,
            "first_at": self.first_at.isoformat(),
            "last_at": self.last_at.isoformat(),
        }


@dataclass(frozen=True)
class Drift:
    """What production is like beside the evidence.

    Attributes:
        rules: the file, or the name of the rule set.
        policy: the first digits of its digest.
        policies: those of the traces, in the order in which they came.
        mixed: whether requests that other policies decided count too, as was asked.
        suite: whose cases the evidence is about, None where there is none.
        replayed: cases that the rule set was replayed on, None where only the file's figures are known.
        first_at: of the first request that counts, None where none does.
        last_at: of the latest one.
        n_traces: all of them.
        n: requests that the policy decided, and that count.
        n_named: requests whose model the client named; they are left out.
        n_undecided: requests that were refused before anything was decided.
        n_cost_unknown: of those that count.
        rows: figures beside figures.
        never: rules that decided no request.
        untold: what rules and guards ask for of which traces tell nothing, such as `metadata.tenant`.
        shadows: rule sets that decided in the shadow.
        needs: labelled cases by rule.
        label_next: requests that are worth a label.
        bounds: what did not matter.
        served: the requests that count.
        value: what the rules in the shadow would have been worth; None where no scores were given, or no such rules.
        readings: what was found, as sentences.
    """

    rules: str
    policy: str
    policies: tuple[PolicyUse, ...]
    mixed: bool
    suite: str | None
    replayed: int | None
    first_at: datetime | None
    last_at: datetime | None
    n_traces: int
    n: int
    n_named: int
    n_undecided: int
    n_cost_unknown: int
    rows: tuple[Row, ...]
    never: tuple[str, ...]
    untold: tuple[str, ...]
    shadows: tuple[Shadow, ...]
    needs: tuple[Need, ...]
    label_next: tuple[Candidate, ...]
    bounds: Bounds
    served: Served = field(repr=False, compare=False)
    value: OffPolicy | None = None
    readings: tuple[Finding, ...] = ()

    @property
    def drifted(self) -> bool:
        """Whether a figure moved beyond its bound, in a direction that matters."""
        return any(row.harmful for row in self.rows)

    @property
    def measured(self) -> bool:
        """Whether there was enough on both sides to say anything."""
        return settled(self.rows)

    @property
    def reading(self) -> str:
        """The sentences one after the other."""
        return " ".join(one.text for one in self.readings)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that `drift --json` prints; what is unknown is null, and no text of a request is in it."""
        return {
            "schema": SCHEMA,
            "rules": self.rules,
            "policy": self.policy,
            "policies": [one.as_dict() for one in self.policies],
            "mixed": self.mixed,
            "suite": self.suite,
            "n_replayed": self.replayed,
            "from": None if self.first_at is None else self.first_at.isoformat(),
            "to": None if self.last_at is None else self.last_at.isoformat(),
            "n_traces": self.n_traces,
            "n": self.n,
            "n_named": self.n_named,
            "n_undecided": self.n_undecided,
            "n_cost_unknown": self.n_cost_unknown,
            "bounds": self.bounds.as_dict(),
            "drifted": self.drifted,
            "measured": self.measured,
            "rows": [one.as_dict() for one in self.rows],
            "rules_that_never_decided": list(self.never),
            "conditions_untold": list(self.untold),
            "shadows": [one.as_dict() for one in self.shadows],
            "needs": [one.as_dict() for one in self.needs],
            "label_next": [one.as_dict() for one in self.label_next],
            "value": None if self.value is None else self.value.as_dict(),
            "readings": [one.as_dict() for one in self.readings],
        }


def drift(
    traces: pd.DataFrame | Served,
    ruleset: RuleSet,
    outcomes: Outcomes | Expected | None = None,
    *,
    bounds: Bounds | None = None,
    any_policy: bool = False,
    n_label: int = 100,
    scores: pd.DataFrame | None = None,
) -> Drift:
    """Holds production against the evidence of its rule set.

    Only requests that this rule set decided count: not those whose model the client named, those that were refused
    before, nor those of other policies. Mix and rules are those of requests that were decided anew, every model being
    well: without what was explored, what health sent elsewhere, and what kept a conversation on its model.

    Args:
        traces: what `read_traces` returns, or the same as `Served`.
        ruleset: the policy.
        outcomes: of a suite, to replay the rule set on; `expect` makes what can be used again. Without it the figures
            in the file are taken.
        bounds: what does not matter.
        any_policy: whether requests of other policies count too.
        n_label: so many requests are named as worth a label.
        scores: of traces, as `read_scores` returns them, to say what the rules in the shadow are worth.

    Raises:
        InputError: the frame holds no traces, or none of this policy.
        OutcomesError: the suite lacks a model, or its prompts.
    """
    bounds = bounds or Bounds()
    served = Served.of(traces)
    policy = ruleset.policy_sha256[:_DIGITS]
    policies = _policies(served)
    decided = served.take(served.decided)
    counted = decided if any_policy else decided.take(decided.policy.are(policy))
    _check(served, counted, policies, policy, ruleset)
    expected = expect(ruleset, outcomes) if isinstance(outcomes, Outcomes) else outcomes
    against = written(ruleset) if expected is None else expected
    rows = [*rows_of(counted, against, bounds)]
    if expected is not None:
        rows += input_rows(counted, expected, bounds.input_shift)
        rows += tag_rows(counted, expected, ruleset, bounds.input_shift)
    lacking = needs(counted, expected)
    fired = counted.rule.counts()
    found = Drift(
        rules=ruleset.source or ruleset.name,
        policy=policy,
        policies=policies,
        mixed=any_policy,
        suite=None if against is None else against.suite,
        replayed=None if expected is None else expected.n,
        first_at=_moment(counted.at_s[0]),
        last_at=_moment(counted.at_s[-1]),
        n_traces=served.n,
        n=counted.n,
        n_named=int(served.named.sum()),
        n_undecided=int((~served.rule.known & ~served.named).sum()),
        n_cost_unknown=int(np.isnan(counted.cost_usd[counted.asked]).sum()),
        rows=tuple(_adjusted(rows)),
        never=tuple(rule.name for rule in ruleset.rules if rule.name not in fired),
        untold=untold(ruleset),
        shadows=shadows(counted),
        needs=lacking,
        label_next=candidates(counted, ruleset, lacking, n=n_label),
        bounds=bounds,
        served=counted,
        value=None if scores is None else value_of_shadow(counted, scores),
    )
    return replace(found, readings=read(found))


def _check(served: Served, counted: Served, policies: Sequence[PolicyUse], policy: str, ruleset: RuleSet) -> None:
    if counted.n:
        return
    file = ruleset.source or ruleset.name
    if not served.n:
        raise InputError("there is no trace in this time; give another folder, or a longer window")
    if not policies:
        raise InputError(f"none of {served.n:,} traces was decided by a policy; `routebench serve {file}` writes them")
    shown = ", ".join(f"{one.policy} ({one.n:,})" for one in policies)
    raise InputError(
        f"{file}: none of {served.n:,} traces is of this policy, {policy}; they are of {shown}. Give the "
        "file that decided them, or --any-policy to count them all the same"
    )


def _policies(served: Served) -> tuple[PolicyUse, ...]:
    decided = served.take(served.decided)
    found = []
    for policy, n in decided.policy.counts().items():
        at = decided.at_s[decided.policy.are(policy)]
        found.append(PolicyUse(policy, n, _moment(at[0]), _moment(at[-1])))
    return tuple(sorted(found, key=lambda one: one.first_at))


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(float(at), UTC)


def _adjusted(rows: Sequence[Row]) -> Iterable[Row]:
    """Holm over all rows that decide; over the others of each topic, which only show where something is."""
    families: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        families.setdefault("" if row.decides else row.topic, []).append(place)
    adjusted: dict[int, float | None] = {}
    for places in families.values():
        adjusted.update(zip(places, holm([rows[place].p_value for place in places]), strict=True))
    return (replace(row, p_adjusted=adjusted[place]) for place, row in enumerate(rows))
