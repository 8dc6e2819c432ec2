"""Which is better, and how sure that is: frames in, values out; no network, disk or clock."""

from __future__ import annotations

from routebench.evaluate.answers import Answers
from routebench.evaluate.cases import Cases, Source
from routebench.evaluate.choices import Checks, Choices, Deciders
from routebench.evaluate.compare import compare
from routebench.evaluate.comparison import Comparison
from routebench.evaluate.evaluation import Evaluation
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.protocol import Checking, Peeking, Strategy, decided, decided_out_of_fold
from routebench.evaluate.replay import Replayed, replay
from routebench.evaluate.stakes import Damage, damage_of, with_stakes

__all__ = [
    "Answers",
    "Cases",
    "Checking",
    "Checks",
    "Choices",
    "Comparison",
    "Damage",
    "Deciders",
    "Evaluation",
    "Outcomes",
    "Peeking",
    "Replayed",
    "Source",
    "Strategy",
    "compare",
    "damage_of",
    "decided",
    "decided_out_of_fold",
    "replay",
    "with_stakes",
]
