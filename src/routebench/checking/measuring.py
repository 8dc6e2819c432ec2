"""A rule set on stored outcomes: by its prompts, or by the decisions that a pack recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from routebench.checking.evidence import seed_of
from routebench.errors import InputError
from routebench.evaluate import Comparison, Evaluation, Outcomes, Strategy, compare
from routebench.matrix import open_outcomes
from routebench.rules import RuleSet
from routebench.store import Store, open_store, suite_names
from routebench.strategies import RecordedRules, RulesFile, with_baselines
from routebench.suites.prompts import read_prompt_file
from routebench.tune.evidence import make_evidence, own_evaluation
from routebench.types import Case


@dataclass(frozen=True)
class Measurement:
    """What is needed to measure a rule set, as often as prices and cases make it necessary.

    Attributes:
        ruleset: what is measured.
        store: where the outcomes are.
        suite: whose.
        prompts: texts that the store does not hold, None where it does.
        outcomes: the cases that are not sealed.
        policy: the rule set as something that decides for cases.
        seed: of the split that the evidence is about.
    """

    ruleset: RuleSet
    store: Store
    suite: str
    prompts: tuple[Case, ...] | None
    outcomes: Outcomes
    policy: Strategy
    seed: int

    @classmethod
    def open(
        cls,
        ruleset: RuleSet,
        path: str | Path,
        *,
        suite: str | None = None,
        prompts: str | Path | None = None,
        lock_timeout_s: float = 30.0,
    ) -> Measurement:
        """Opens a store or a pack for a rule set.

        Args:
            ruleset: what is measured.
            path: of the store or pack.
            suite: whose outcomes; may be left out where there is one suite only.
            prompts: a file with the suite's texts, for a store that holds none.
            lock_timeout_s: longest wait for another process that holds the store.

        Raises:
            InputError: the suite is not said, models are missing, or nothing tells what the rule set decides.
            StoreError: the store cannot be opened.
        """
        seed = seed_of(ruleset)
        store = open_store(path, lock_timeout_s=lock_timeout_s)
        suite = suite or _only_suite(store, path)
        cases = None if prompts is None else read_prompt_file(prompts)
        outcomes = open_outcomes(store, suite, prompts=cases)
        missing = [name for name in ruleset.models if name not in outcomes.models]
        if missing:
            raise InputError(f"suite {suite!r} has no outcomes of {', '.join(missing)}, which the rule set routes to")
        return cls(ruleset, store, suite, cases, outcomes, _policy(ruleset, store, path, outcomes), seed)

    def compared(self, outcomes: Outcomes) -> Comparison:
        """Replays the rule set beside the baselines on the evidence's own split of some outcomes."""
        return compare(outcomes, with_baselines([self.policy], outcomes.models), seeds=[self.seed])

    def own(self, comparison: Comparison) -> Evaluation:
        """The rule set's own line of a comparison."""
        return own_evaluation(comparison)

    def evidence(self, comparison: Comparison, outcomes: Outcomes) -> dict[str, Any]:
        """What a comparison found, in the form of a file's evidence."""
        made = make_evidence(comparison, outcomes, seed=self.seed, abstained=False, constraint="", created=date.min)
        return {name: value for name, value in made.items() if name not in ("abstained", "constraint", "created")}

    def sealed(self) -> Outcomes:
        """The sealed cases, and only those.

        Raises:
            OutcomesError: there are none.
        """
        return open_outcomes(self.store, self.suite, prompts=self.prompts, sealed=True)


def _only_suite(store: Store, path: str | Path) -> str:
    names = suite_names(store)
    if len(names) != 1:
        held = f"it holds {', '.join(names)}" if names else "it is empty"
        raise InputError(f"check: say with --suite which suite of {path} is meant; {held}")
    return names[0]


def _policy(ruleset: RuleSet, store: Store, path: str | Path, outcomes: Outcomes) -> Strategy:
    """The rule set by its prompts, or by what a pack says that it decides."""
    policies = () if store.pack is None else store.pack.policies
    recorded = next((one for one in policies if one.policy_sha256 == ruleset.policy_sha256), None)
    # Where answers are checked prompts do not suffice: of answers a pack holds the verdicts alone.
    if outcomes.cases.has_text.any() and (recorded is None or not ruleset.checks):
        return RulesFile(ruleset)
    if recorded is not None:
        return RecordedRules(recorded)
    file = ruleset.source or "rules.yaml"
    anew = f"make the pack anew with `routebench pack … --rules {file}`"
    if any(one.name == ruleset.name for one in policies):
        raise InputError(
            f"{path}: the decisions in it are of an earlier {ruleset.name!r}, and {file} was changed since; give the "
            f"prompts with --prompts suite.jsonl, or {anew}"
        )
    where = f"{path}: holds no prompt, and no decision of {file}"
    raise InputError(f"{where}; give the prompts with --prompts suite.jsonl, or {anew}")
