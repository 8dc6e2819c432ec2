"""The forms that a tuned policy can take in a rules.yaml, the more readable ones first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Literal

from routebench.rules import Guard
from routebench.strategies import Cascade, Complexity, CostThreshold, Distilled, Learned, Similarity, Student
from routebench.tune.curve import Deployable
from routebench.types import Model

Target = Literal["gateway", "process"]
"""A gateway's base install, or a process of the team's own, which may hold an embedding model."""


def forms(
    teacher: Learned,
    *,
    models: Sequence[Model],
    guards: Sequence[Guard],
    max_rules: int,
    target: Target,
    stopped: Callable[[], bool],
) -> list[Deployable]:
    """Returns every form, to be fitted on the training half.

    Args:
        teacher: a strategy that was fitted on it, from which some forms learn.
        models: settings of the models.
        guards: that every rule set carries.
        max_rules: at most so many rules.
        target: where the rule set will run.
        stopped: whether somebody has stopped the learning; asked by the form that takes longest.
    """
    made: list[Deployable] = [
        CostThreshold(models=models, guards=guards),
        Distilled(teacher, max_rules=max_rules, models=models, guards=guards, stopped=stopped),
        Complexity(models=models, guards=guards),
        Student(teacher, models=models, guards=guards),
        Similarity(models=models, guards=guards),
    ]
    if target == "process" and find_spec("onnxruntime") is not None:
        made.append(Similarity("minilm", models=models, guards=guards))
    return [*made, Cascade(models=models, guards=guards)]
