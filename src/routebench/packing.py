"""Making a pack: the outcomes of a suite without texts, and what rule sets decide for its cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routebench.errors import InputError, NoEligibleModelError
from routebench.rules import Router, RuleSet
from routebench.store import PackInfo, RecordedPolicy, Store, check_not_a_pack, pack_suite, read_cases
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
    """
    check_not_a_pack(store, "packing")
    cases = read_cases(store, suite) if rules else []
    policies = [_decide(one if isinstance(one, RuleSet) else RuleSet.load(one), cases) for one in rules]
    info = pack_suite(store, suite, path, policies)
    return Packed(info, info.path.stat().st_size)


def _decide(ruleset: RuleSet, cases: Sequence[Case]) -> RecordedPolicy:
    router = Router(ruleset)
    chains: dict[str, tuple[str, ...]] = {}
    for case in cases:
        if not case.request.messages:
            raise InputError(
                f"case {case.id!r}: its prompt is not kept, so what rule set {ruleset.name!r} decides cannot be "
                "recorded; pack without --rules"
            )
        try:
            chains[case.id] = router.decide(case.request).chain
        except NoEligibleModelError:
            chains[case.id] = ()
    return RecordedPolicy(ruleset.name, ruleset.policy_sha256, chains)
