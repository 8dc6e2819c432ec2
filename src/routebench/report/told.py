"""What a report is about."""

from __future__ import annotations

from dataclasses import dataclass

from routebench.evaluate import Comparison, Evaluation
from routebench.store import Store
from routebench.traffic import Traffic
from routebench.tune import Insurance, Tuned


@dataclass(frozen=True)
class Told:
    """Everything that a report is about.

    Attributes:
        store: where models, prompts and answers are; without it the page knows of none.
        tuned: a rule set to show with its decisions.
        insurance: what the guards of a rule set cost; that of `tuned` is worked out when left out.
        traffic: requests of a month; None leaves the bill out.
        share: whether the page goes to people who may not read prompts: no text then.
        demo: whether the page is marked DEMO.
        notes: a remark under the table, such as what the prices mean.
    """

    comparison: Comparison
    store: Store | None = None
    tuned: Tuned | None = None
    insurance: Insurance | None = None
    traffic: Traffic | None = None
    share: bool = False
    demo: bool = False
    notes: str = ""

    @property
    def pick(self) -> Evaluation:
        """What the page is about: the candidate of the reading, or the baseline where there is none."""
        return self.comparison.pick or self.comparison[self.comparison.baseline]
