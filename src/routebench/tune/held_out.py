"""A protected class on cases that its guard was not learned from: what it recognises, and who answers best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from routebench.evaluate import Outcomes
from routebench.evaluate.estimates import ALPHA
from routebench.evaluate.paired import Difference, paired
from routebench.evaluate.sentence import signed_points
from routebench.rules import RuleSet
from routebench.rules.guards import admitted
from routebench.tune.protection import Protected, Recall, members, recall_of, share_bounds
from routebench.tune.recognition import matching

_DIGITS = 6


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A protected class on the test half.

    Attributes:
        protected: the class and its guard.
        recall: of the guard; None where no test case is of the class.
        ci95: interval of the recall's share (Clopper and Pearson), None likewise.
        best: the model that scored best on the class's training cases, of those that the guard allows; None where no
            score of the class is known.
        rival: the model that scores best on its test cases; None where nobody scores above `best`.
        loss: score of `best` less that of `rival` on them, paired, as one of as many tries as there are other models.
    """

    protected: Protected
    recall: Recall | None
    ci95: tuple[float, float] | None
    best: str | None
    rival: str | None
    loss: Difference | None

    @property
    def loses(self) -> bool:
        """Whether the class's best model on train surely loses on test."""
        return self.loss is not None and self.loss.p_adjusted is not None and self.loss.p_adjusted < ALPHA

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must not miss, as sentences."""
        found = []
        label, asked = self.protected.protection.label, self.protected.protection.min_recall
        if not self.protected.reached:
            found.append(self.protected.reading)
        if self.recall is None:
            found.append(f"No held-out case is {label}: what its guard recognises is unmeasured.")
        elif not self.protected.exact and self.recall.share < asked:
            found.append(
                f"Held out, its guard recognises {self.recall.share:.1%} of {label}; asked for was {asked:.0%}."
            )
        if self.loss is not None:
            chance = "" if self.loses else ", which can be chance"
            found.append(
                f"On {label}, {self.best} was best on the training half and loses "
                f"{signed_points(-self.loss.delta).lstrip('+')} pt to {self.rival} on the {self.loss.n} held-out "
                f"cases{chance}."
            )
        return tuple(found)

    @property
    def reading(self) -> str:
        """What the guard did, with its warnings."""
        said = list(self.warnings)
        if self.recall is not None and self.ci95 is not None and not self.protected.exact:
            alarms = "" if self.recall.alarms is None else f" and {self.recall.alarms:.1%} of the others"
            low, high = self.ci95
            said.insert(
                0,
                f"Held out, guard {self.protected.guard.name} holds for {self.recall.share:.1%} [{100 * low:.1f}, "
                f"{100 * high:.1f}] of {self.protected.protection.label}{alarms}.",
            )
        return " ".join(said)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "train": self.protected.as_dict(),
            "test": None if self.recall is None else {**self.recall.as_dict(), "recall_ci95": _pair(self.ci95)},
            "best_model_on_train": self.best,
            "best_model_on_test": self.rival or self.best,
            "loses_on_test": self.loses,
            "warnings": list(self.warnings),
        }

    def evidence(self) -> dict[str, Any]:
        """What is written under `evidence` in a rules.yaml; nothing for a tag, which is always recognised."""
        if self.protected.exact:
            return {}
        recall = None if self.recall is None else round(self.recall.share, _DIGITS)
        ci95 = None if self.ci95 is None else [round(bound, _DIGITS) for bound in self.ci95]
        return {"recall": {"mean": recall, "ci95": ci95}, "min_recall": self.protected.protection.min_recall}


def hold_out(protected: Protected, ruleset: RuleSet, train: Outcomes, test: Outcomes) -> HeldOut:
    """Looks at a protected class on the test half.

    Args:
        protected: the class and its guard.
        ruleset: that carries the guard, for the order of its models.
        train: the half that the guard was learned on.
        test: the other half.
    """
    readable = test if protected.exact else test.take(test.cases.has_text)
    inside = members(readable, protected.protection)
    recall = ci95 = None
    if inside.any():
        caught = matching(readable.requests, protected.guard.when) if not protected.exact else inside
        recall = recall_of(caught, inside, readable.keys, readable.weight)
        ci95 = share_bounds(recall.share, recall.n_effective)
    allowed = admitted(protected.guard, ruleset)
    best = _best(train.take(members(train, protected.protection)), [one for one in train.models if one in allowed])
    of_class = test.take(members(test, protected.protection))
    rival = None if best is None else _best(of_class, test.models)
    if best is None or rival is None or rival == best:
        return HeldOut(protected, recall, ci95, best, None, None)
    loss = _difference(of_class, best, rival, tries=len(test.models) - 1)
    return HeldOut(protected, recall, ci95, best, *((rival, loss) if loss.delta < 0 else (None, None)))


def _best(outcomes: Outcomes, models: Sequence[str]) -> str | None:
    """The model with the highest mean score on the cases where all have one."""
    scores = outcomes.expected_scores()
    known = ~np.isnan(scores).any(axis=1)
    if not known.any():
        return None
    means = np.average(scores[known], axis=0, weights=outcomes.weight[known])
    return max(models, key=lambda name: float(means[outcomes.models.index(name)]))


def _difference(outcomes: Outcomes, first: str, second: str, tries: int) -> Difference:
    scores = outcomes.expected_scores()
    one, other = (scores[:, outcomes.models.index(name)] for name in (first, second))
    found = paired(one, other, outcomes.keys, outcomes.weight)
    p_value = found.p_value
    return replace(found, p_adjusted=None if p_value is None else min(1.0, tries * p_value))


def _pair(bounds: tuple[float, float] | None) -> list[float] | None:
    return None if bounds is None else list(bounds)
