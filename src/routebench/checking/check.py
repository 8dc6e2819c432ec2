"""Everything that a rule set is checked for, in one pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from routebench.checking.ages import age_gate, retirement_gate
from routebench.checking.evidence import evidence_gate
from routebench.checking.gates import Bounds, Gate, bound_gates
from routebench.errors import InputError
from routebench.rules import GoldenCheck, RuleSet, check_golden
from routebench.types import Request

# What measures is imported when it is used: golden decisions are checked with the base install too.


@dataclass(frozen=True, slots=True)
class Checked:
    """A rule set that was checked.

    Attributes:
        ruleset: as it was read.
        golden: its golden decisions.
        gates: in the order in which they were looked at.
        evidence: what was measured now, None without a store.
    """

    ruleset: RuleSet
    golden: GoldenCheck
    gates: tuple[Gate, ...]
    evidence: dict[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Whether no gate fails."""
        return not self.failed

    @property
    def failed(self) -> tuple[Gate, ...]:
        """The gates that are not kept."""
        return tuple(gate for gate in self.gates if gate.ok is False)

    @property
    def file(self) -> str:
        """What the rule set is called in messages."""
        return self.ruleset.source or self.ruleset.name

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that `check --json` prints."""
        return {
            "ok": self.ok,
            "golden": {
                "n": self.golden.n,
                "n_unseen": len(self.golden.unseen),
                "n_unasked": len(self.golden.unasked),
                "failed": [failure.as_dict() for failure in self.golden.failed],
            },
            "gates": [gate.as_dict() for gate in self.gates],
            "evidence": self.evidence,
        }


def check_rules(
    path: str | Path,
    *,
    at: datetime,
    store: str | Path | None = None,
    suite: str | None = None,
    prompts: str | Path | None = None,
    bounds: Bounds | None = None,
    max_age_days: int | None = None,
    final: bool = False,
    lock_timeout_s: float = 30.0,
) -> Checked:
    """Checks a rules.yaml: what it decides, what it measures, what it costs today, and whether its models live on.

    Args:
        path: of the rules.yaml; with `final` its block `evidence` is written anew.
        at: the time of the check.
        store: a store or a pack with outcomes; without one only golden decisions and dates are looked at.
        suite: whose outcomes; may be left out where there is one suite only.
        prompts: a file with the suite's texts, where the store holds none.
        bounds: what it must keep.
        max_age_days: the oldest evidence that will do; None asks nothing.
        final: whether to look at the sealed cases; only where every other gate is kept, since looks wear them out.
        lock_timeout_s: longest wait for another process that holds the store.

    Raises:
        InputError: the file cannot be used, or it cannot be measured.
        StoreError: the store cannot be opened.
    """
    ruleset = RuleSet.load(path)
    bounds = bounds or Bounds()
    if store is None and (suite is not None or prompts is not None or bounds.asks_something or final):
        raise InputError("check: nothing can be measured without outcomes; give --store, a store or a pack")
    gates: list[Gate] = []
    known: Iterable[Request] = ()
    evidence: dict[str, Any] | None = None
    measurement: Any = None
    if store is not None:
        from routebench.checking.measuring import Measurement
        from routebench.checking.prices import price_gate

        measurement = Measurement.open(ruleset, store, suite=suite, prompts=prompts, lock_timeout_s=lock_timeout_s)
        comparison = measurement.compared(measurement.outcomes)
        now = measurement.evidence(comparison, measurement.outcomes)
        gates += [
            evidence_gate(ruleset.evidence, now),
            *bound_gates(measurement.own(comparison), bounds),
            price_gate(measurement, comparison, bounds, at),
        ]
        if any(one.request is None for one in ruleset.golden):
            cases = measurement.outcomes.cases
            known = (case.request for case, there in zip(cases, cases.has_text, strict=True) if there)
        same = now["outcomes_sha256"] == ruleset.evidence.get("outcomes_sha256")
        evidence = {**now, "same_outcomes": same}
    golden = check_golden(ruleset, known)
    gates.insert(0, _golden_gate(golden))
    gates.append(retirement_gate(ruleset, at))
    if max_age_days is not None:
        gates.append(age_gate(ruleset.evidence, max_age_days, at))
    if final and any(gate.ok is False for gate in gates):
        reading = "final: the sealed cases were not looked at, since other gates fail: every look wears them out"
        gates.append(Gate("final", None, reading))
    elif final:
        from routebench.checking.sealed import final_gate

        gate, sealed = final_gate(measurement, Path(path), at)
        gates.append(gate)
        evidence = {**(evidence or {}), "sealed": sealed}
    return Checked(ruleset, golden, tuple(gates), evidence)


def _golden_gate(golden: GoldenCheck) -> Gate:
    if not golden.n:
        return Gate("golden", None, "golden: the file holds no golden decisions")
    seen = golden.n - len(golden.unseen) - len(golden.unasked)
    rest = f"; {len(golden.unseen)} are of private requests, which --store may hold" if golden.unseen else ""
    if golden.unasked:
        rest += f"; {len(golden.unasked)} wait for what a classifier's model answers, which is not asked here"
    if not seen:
        return Gate("golden", None, f"golden: none of {golden.n} golden decisions can be made here{rest}")
    kept = seen - len(golden.failed)
    return Gate("golden", not golden.failed, f"golden: {kept} of {seen} golden decisions hold{rest}")
