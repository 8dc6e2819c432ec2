"""The forms that a tuned policy can take in a rules.yaml, the more readable ones first."""

from __future__ import annotations

from collections.abc import Sequence

from routebench.evaluate import Outcomes
from routebench.rules import Guard
from routebench.strategies import Complexity, CostThreshold, Learned, Rules, Similarity
from routebench.tune.trials import Deployable
from routebench.types import Model


def forms(
    train: Outcomes, teacher: Learned, *, models: Sequence[Model], guards: Sequence[Guard], max_rules: int
) -> list[Deployable]:
    """Returns every form, fitted on the training half.

    Args:
        train: the training half.
        teacher: a strategy that was fitted on it, from which some forms learn.
        models: settings of the models.
        guards: that every rule set carries.
        max_rules: at most so many rules.
    """
    made: list[Deployable] = [
        CostThreshold(models=models, guards=guards),
        Rules(max_rules=max_rules, models=models, guards=guards),
        Complexity(models=models, guards=guards),
        Similarity(models=models, guards=guards),
    ]
    return [form.fit(train) for form in made]
