"""What was chosen on the training half, and why."""

from __future__ import annotations

from dataclasses import dataclass

from routebench.tune.trials import Trial


@dataclass(frozen=True)
class Found:
    """What the search on the training half came to.

    Attributes:
        trial: what is used; None for the fixed mix.
        runner_up: the next best of the forms, None where no other met the constraint.
        learned_gain: what the teacher gains over mixes of two models out of fold, in AIQ: what prompts can tell.
        p_value: the probability of what the teacher explains where prompts tell nothing about models.
        why: in one or two sentences.
        left_out: why a form was not tried, a sentence each.
    """

    trial: Trial | None
    runner_up: Trial | None
    learned_gain: float
    p_value: float
    why: str
    left_out: tuple[str, ...] = ()
