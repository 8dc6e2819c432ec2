"""Making a pack: the outcomes of a suite without texts, and what rule sets decide for its cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from routebench.errors import InputError
from routebench.evaluate import Outcomes
from routebench.matrix import open_outcomes
from routebench.rules import Router, RuleSet
from routebench.store import (
    PackInfo,
    RecordedPart,
    RecordedPolicy,
    Store,
    check_not_a_pack,
    pack_suite,
    read_cases,
)
from routebench.strategies import RulesFile, decide_all
from routebench.strategies.recorded import record
from routebench.types import Case


@dataclass(frozen=True, slots=True)
class Packed:
    """A pack that was made.

    Attributes:
        info: what it says of itself.
        n_bytes: its size.
    """

    info: PackInfo
    n_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that `pack --json` prints."""
        return {
            "out": str(self.info.path),
            "suite": self.info.suite,
            "sha256": self.info.sha256,
            "models": [row["name"] for row in self.info.models],
            "rules": [policy.name for policy in self.info.policies],
            "withheld": list(self.info.withheld),
            "bytes": self.n_bytes,
        }

    def __str__(self) -> str:
        size = f"{len(self.info.models)} models, {self.n_bytes / 1000:.0f} kB, no text"
        lines = [f"{self.info.path}: suite {self.info.suite}, {size}; sha256 {self.info.sha256[:12]}"]
        lines += [f"decisions of rule set {policy.name} are recorded in it" for policy in self.info.policies]
        if self.info.withheld:
            names = ", ".join(self.info.withheld)
            lines.append(f"system prompts and demonstrations of {names} are left out: `tune` needs --bench bench.yaml")
        return "\n".join(lines)


def pack(store: Store, suite: str, path: str | Path, *, rules: Sequence[str | Path | RuleSet] = ()) -> Packed:
    """Writes the outcomes of a suite as a pack.

    Args:
        store: where they are.
        suite: the suite's name.
        path: of the pack; one that says the same already is left as it is.
        rules: rule sets whose decisions are recorded with it: `check` can then measure them without a prompt.

    Raises:
        StoreError: the store is a pack itself, has no such suite, or the file cannot be written.
        InputError: decisions are wanted of cases whose prompt is not kept.
        OutcomesError: a rule set checks answers, and none is kept.
    """
    check_not_a_pack(store, "packing")
    cases = read_cases(store, suite) if rules else []
    rulesets = [one if isinstance(one, RuleSet) else RuleSet.load(one) for one in rules]
    policies = [_decide(store, suite, one, cases) for one in rulesets]
    info = pack_suite(store, suite, path, policies)
    return Packed(info, info.path.stat().st_size)


def _decide(store: Store, suite: str, ruleset: RuleSet, cases: Sequence[Case]) -> RecordedPolicy:
    for case in cases:
        if not case.request.messages:
            raise InputError(
                f"case {case.id!r}: its prompt is not kept, so what rule set {ruleset.name!r} decides cannot be "
                "recorded; pack without --rules"
            )
    ids = [case.id for case in cases]
    requests = [case.request for case in cases]
    choices = decide_all(Router(ruleset), ruleset.order, requests)
    if not choices.checks:
        return RecordedPolicy(ruleset.name, ruleset.policy_sha256, record(choices, ids))
    place = {case_id: number for number, case_id in enumerate(ids)}
    halves = []
    for outcomes in _matrices(store, suite):
        at = np.array([place[str(case_id)] for case_id in outcomes.cases.ids], dtype=np.intp)
        looked = RulesFile(ruleset).fit(outcomes).check(choices.take(at), outcomes)
        halves.append(record(looked, [str(case_id) for case_id in outcomes.cases.ids]))
    return RecordedPolicy(ruleset.name, ruleset.policy_sha256, [_joined(parts) for parts in zip(*halves, strict=True)])


def _matrices(store: Store, suite: str) -> list[Outcomes]:
    """All cases with their answers: the open ones, and the sealed ones where there are any."""
    found = open_outcomes(store, suite)
    return [found] if not found.n_sealed else [found, open_outcomes(store, suite, sealed=True)]


def _joined(parts: Sequence[RecordedPart]) -> RecordedPart:
    chains = {case_id: chain for part in parts for case_id, chain in part.chains.items()}
    verdicts = {cell: verdict for part in parts for cell, verdict in part.verdicts.items()}
    return RecordedPart(parts[0].share, chains, verdicts)
