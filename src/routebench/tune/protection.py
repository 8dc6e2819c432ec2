"""Protected classes: a guard that recognises a class by what a request shows, and how surely it does.

A tag is there for a guard to see. A category is not, so a condition is learned on the training cases: from the one that
lets least slip on, conditions with fewer and fewer false alarms are tried, as long as the lower confidence bound of
their out-of-fold recall reaches what was asked. Tested in this fixed order, the last one that passes keeps the level of
a single test (Angelopoulos et al., Annals of Applied Statistics 19 (2025) 1641): no condition is chosen because it was
lucky.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.classes import Protection
from routebench.errors import InputError, OutcomesError, nearest
from routebench.evaluate import Outcomes
from routebench.evaluate.choices import BoolArray, FloatArray
from routebench.evaluate.splits import folds
from routebench.rules import Guard
from routebench.rules.file.loading import parse_guard
from routebench.tune.recognition import learn_condition, matching, signs_of

_ALARM_PRICES = tuple(2.0 ** (step / 4) for step in range(-20, 13))
"""What catching all others costs, where finding all of the class is worth 1; the lowest lets least slip."""
_FOLDS = 5
_LEVEL = 0.05
_MANY_ALARMS = 0.2
_MEND = "let the application send a tag with such requests and protect that: {tag: …}"


@dataclass(frozen=True, slots=True)
class Recall:
    """How much of a class a guard recognises.

    Attributes:
        share: of the class's requests; weighted by what cases stand for.
        low: one-sided lower bound of it, 95 % (Clopper and Pearson, on the effective number of groups).
        n: cases of the class.
        n_effective: as many independent cases would tell as much.
        alarms: share of the other requests that it holds for too; None where there are none.
    """

    share: float
    low: float
    n: int
    n_effective: float
    alarms: float | None

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "recall": self.share,
            "recall_low95": self.low,
            "n": self.n,
            "n_effective": self.n_effective,
            "false_alarms": self.alarms,
        }


@dataclass(frozen=True, slots=True)
class Protected:
    """A protected class with its guard, as the training cases know it.

    Attributes:
        protection: what was asked.
        guard: to be carried by the rule set.
        recall: out of fold, by group.
        reached: whether it is as high as was asked, with 95 % confidence.
    """

    protection: Protection
    guard: Guard
    recall: Recall
    reached: bool

    @property
    def exact(self) -> bool:
        """Whether callers say themselves which requests are of the class."""
        return self.protection.tag is not None

    @property
    def reading(self) -> str:
        """What the guard does for the class, and how surely."""
        protection, recall = self.protection, self.recall
        who = f"Guard {protection.name} ({protection.label})"
        if self.exact:
            return f"{who} holds for every request that carries the tag."
        alarms = "" if recall.alarms is None else f" and holds for {recall.alarms:.1%} of the other requests"
        found = (
            f"{who} recognises {recall.share:.1%} of its class out of fold (at least {recall.low:.1%}, 95 %){alarms}."
        )
        if not self.reached:
            return (
                f"{found} The {protection.min_recall:.0%} that were asked for are not sure: {self._lacking} For "
                "certainty let the application send a tag, and protect that."
            )
        if recall.alarms is not None and recall.alarms > _MANY_ALARMS:
            return f"{found} Its words hardly tell this class from others; a tag of the application's would be exact."
        return found

    @property
    def _lacking(self) -> str:
        needed = cases_needed(self.protection.min_recall)
        if self.recall.n_effective < needed:
            return (
                f"that takes {needed} independent cases of the class even if all are recognised, and the training half "
                f"has {self.recall.n_effective:.0f}."
            )
        return "no readable condition that was tried recognises enough of it."

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "name": self.protection.name,
            "class": self.protection.label,
            "exact": self.exact,
            "min_recall": None if self.exact else self.protection.min_recall,
            "reached": self.reached,
            **self.recall.as_dict(),
            "reading": self.reading,
        }


def protect(train: Outcomes, protections: Sequence[Protection]) -> tuple[Protected, ...]:
    """Makes a guard for every protected class; outcomes are not looked at, only requests and labels.

    Args:
        train: the training cases.
        protections: what is asked.

    Raises:
        OutcomesError: a class has too few training cases to be recognised by, nothing tells it from others, or prompts
            are not here.
    """
    return tuple(_exact(train, one) if one.tag is not None else _learned(train, one) for one in protections)


def with_guards(guards: Sequence[Guard], protected: Sequence[Protected]) -> tuple[Guard, ...]:
    """Returns guards, and those of protected classes that are not among them already.

    Raises:
        InputError: two different guards have one name.
    """
    named = {guard.name: guard for guard in guards}
    for one in protected:
        if named.setdefault(one.guard.name, one.guard) != one.guard:
            raise InputError(
                f"two guards are called {one.guard.name!r}, one of them of the protected class "
                f"{one.protection.label}; give that another `name`"
            )
    return tuple(named.values())


def recall_of(caught: BoolArray, inside: BoolArray, groups: npt.NDArray[np.str_], weight: FloatArray) -> Recall:
    """Returns how much of a class was caught.

    Cases of a group are taken to tell as much as one case, which is the least that they can tell.

    Args:
        caught: requests that the guard holds for, shape (n,).
        inside: requests of the class, shape (n,).
        groups: cluster of each case, shape (n,).
        weight: requests that each case stands for, shape (n,).
    """
    share = float(np.average(caught[inside], weights=weight[inside]))
    _, member = np.unique(groups[inside], return_inverse=True)
    sizes = np.bincount(member, weights=weight[inside])
    n_effective = float(sizes.sum() ** 2 / (sizes**2).sum())
    others = ~inside
    alarms = float(np.average(caught[others], weights=weight[others])) if others.any() else None
    return Recall(share, share_bounds(share, n_effective, 2 * _LEVEL)[0], int(inside.sum()), n_effective, alarms)


def share_bounds(share: float, n: float, alpha: float = _LEVEL) -> tuple[float, float]:
    """Returns the exact two-sided interval of a share (Clopper and Pearson, Biometrika 26 (1934) 404)."""
    from scipy import special

    hits = share * n
    low = 0.0 if hits <= 0 else float(special.betaincinv(hits, n - hits + 1, alpha / 2))
    high = 1.0 if hits >= n else float(special.betaincinv(hits + 1, n - hits, 1 - alpha / 2))
    return low, high


def cases_needed(min_recall: float) -> int:
    """Returns how many cases suffice to be sure of a recall, if every one of them is recognised."""
    return math.ceil(math.log(_LEVEL) / math.log(min_recall) - 1e-9)


def members(outcomes: Outcomes, protection: Protection) -> BoolArray:
    """Returns which cases are of a protected class, shape (n,)."""
    if protection.tag is None:
        inside: BoolArray = outcomes.cases.category == protection.category
        return inside
    return np.fromiter((protection.tag in tags for tags in outcomes.cases.tags), dtype=bool, count=outcomes.n)


def _exact(train: Outcomes, protection: Protection) -> Protected:
    inside = members(train, protection)
    recall = Recall(1.0, 1.0, int(inside.sum()), float(len(np.unique(train.keys[inside]))), 0.0)
    return Protected(protection, parse_guard(protection.guard({"tag": protection.tag})), recall, reached=True)


def _learned(train: Outcomes, protection: Protection) -> Protected:
    train = train.take(train.cases.has_text)
    inside = members(train, protection)
    n_groups = len(np.unique(train.keys[inside]))
    if n_groups < _FOLDS:
        known = np.unique(train.cases.category).tolist()
        raise OutcomesError(
            f"{_place(protection)}: {n_groups} training cases of category {protection.category!r}"
            f"{nearest(str(protection.category), known) if not n_groups else ''} are too few to recognise it by (at "
            f"least {_FOLDS}); add cases, or {_MEND}"
        )
    passed: list[tuple[Recall, Mapping[str, Any]]] = []
    others: list[tuple[Recall, Mapping[str, Any]]] = []
    for one in _tried(train, inside):
        if others or one[0].low < protection.min_recall:
            others.append(one)
        else:
            passed.append(one)
        if passed and others:
            break
    if not passed and not others:
        raise OutcomesError(
            f"{_place(protection)}: nothing that a condition reads tells category {protection.category!r} from other "
            f"requests; {_MEND}"
        )
    if passed:
        recall, when = min(passed, key=lambda one: one[0].alarms or 0.0)
    else:
        recall, when = max(others, key=lambda one: (one[0].low, -(one[0].alarms or 0.0)))
    return Protected(protection, parse_guard(protection.guard(when)), recall, reached=bool(passed))


def _place(protection: Protection) -> str:
    return protection.where or f"protected class {protection.name!r}"


def _tried(train: Outcomes, inside: BoolArray) -> Iterator[tuple[Recall, Mapping[str, Any]]]:
    """Conditions at every price of a false alarm, with their recall out of fold; at the lowest least slips through."""
    signs = signs_of(train.requests)
    parts = list(folds(train, _FOLDS))
    for price in _ALARM_PRICES:
        caught = np.zeros(train.n, dtype=bool)
        for known, held in parts:
            found = learn_condition(signs[known], inside[known], train.weight[known], price)
            if found is not None:
                caught[held] = matching(train.take(held).requests, found)
        when = learn_condition(signs, inside, train.weight, price)
        if when:
            yield recall_of(caught, inside, train.keys, train.weight), when
