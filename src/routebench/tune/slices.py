"""Categories and tags as a constraint: how far the worst one falls, and those too small to judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from routebench.evaluate import Outcomes
from routebench.evaluate.choices import BoolArray, FloatArray
from routebench.evaluate.paired import MIN_CASES
from routebench.rules import Rule
from routebench.tune.recognition import learn_condition, matching, signs_of

_ALARM_PRICE = 1.0
_MOST = 0.5
"""Of the requests: where slices too small to judge hold more, they are no exception, and are judged together."""
_RECALL = 0.8
_FALSE_ALARMS = 0.05
"""A condition is used for a slice that it finds so much of, and beyond which it catches so little."""
TOGETHER = "small slices together"
STAYS = "too-small-to-judge"
"""The rule that keeps such slices on the baseline model."""


@dataclass(frozen=True)
class Slices:
    """Categories and tags, told apart by how many held-out cases they have.

    Attributes:
        judged: the name -> the training cases that are in, shape (n,); of these the worst drop is a constraint.
        too_small: names of those that nobody can judge.
        unrecognised: those of them that nothing in the request tells, so that they go where any request goes.
        together: whether they hold most of the requests, so that they are judged as one and kept nowhere.
        stays: the rule that keeps the others on the baseline model; None where there are none.
        kept: the training cases that this rule holds for, shape (n,).
    """

    judged: Mapping[str, BoolArray]
    too_small: tuple[str, ...]
    unrecognised: tuple[str, ...]
    stays: Rule | None
    kept: BoolArray
    together: bool = False

    def worst(self, gaps: FloatArray) -> tuple[str, float] | None:
        """Returns the slice that loses most and how much, from a policy's score less the baseline's, shape (n,).

        A slice of thirty cases falls by five points by chance alone. So every mean is drawn towards the mean of all, as
        far as the slices differ no more than chance lets them (empirical Bayes, Efron and Morris 1975).
        """
        known = ~np.isnan(gaps)
        found = {name: gaps[mask & known] for name, mask in self.judged.items()}
        found = {name: values for name, values in found.items() if len(values) > 1}
        if not found:
            return None
        means = np.array([values.mean() for values in found.values()])
        noise = np.array([values.var(ddof=1) / len(values) for values in found.values()])
        overall = float(gaps[known].mean())
        between = max(0.0, float(np.mean((means - overall) ** 2 - noise)))
        trust = between / np.where(between + noise > 0, between + noise, 1.0)
        drawn = overall + trust * (means - overall)
        place = int(np.argmin(drawn))
        return list(found)[place], -float(drawn[place])


def slices_of(train: Outcomes, test: Outcomes, baseline: Sequence[str]) -> Slices:
    """Tells the slices apart and learns how to recognise those that are too small to judge.

    Args:
        train: the training half.
        test: the other half, of which only the sizes of slices are looked at.
        baseline: the chain that such slices stay on.
    """
    inside, outside = train.cases.slices(), test.cases.slices()
    held_out = {name: int(outside[name].sum()) if name in outside else 0 for name in {**inside, **outside}}
    large = [name for name, n in held_out.items() if n >= MIN_CASES]
    small = sorted(name for name, n in held_out.items() if n < MIN_CASES)
    any_small = np.any([inside[name] for name in small if name in inside] or [np.zeros(train.n, dtype=bool)], axis=0)
    judged = {name: inside[name] for name in large if name in inside}
    if float(np.average(any_small, weights=train.weight)) > _MOST:
        nowhere = np.zeros(train.n, dtype=bool)
        return Slices({**judged, TOGETHER: any_small}, tuple(small), (), None, nowhere, together=True)
    conditions = {name: _recognised(name, train, inside.get(name)) for name in small}
    found = [when for when in conditions.values() if when is not None]
    kept = np.zeros(train.n, dtype=bool)
    stays = None
    if found:
        when = found[0] if len(found) == 1 else {"any": found}
        stays = Rule(STAYS, when, tuple(baseline))
        kept = matching(train.requests, when)
    return Slices(
        judged=judged,
        too_small=tuple(small),
        unrecognised=tuple(name for name in small if conditions[name] is None),
        stays=stays,
        kept=kept,
    )


def _recognised(name: str, train: Outcomes, mask: BoolArray | None) -> Mapping[str, object] | None:
    """The condition that tells a slice from the request: its tag, or words of its category that hardly others have."""
    kind, _, value = name.partition("=")
    if kind == "tag":
        return {"tag": value}
    if mask is None or not mask.any():
        return None
    when = learn_condition(signs_of(train.requests), mask, train.weight, _ALARM_PRICE)
    if when is None:
        return None
    caught = matching(train.requests, when)
    precise = float(caught[~mask].mean()) <= _FALSE_ALARMS if (~mask).any() else True
    return when if float(caught[mask].mean()) >= _RECALL and precise else None
