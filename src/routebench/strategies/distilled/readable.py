"""Distilled: a readable rule list for every trade of quality against cost, learned from what a teacher expects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import Any, Self

import numpy as np

from routebench.errors import StoppedError
from routebench.evaluate.choices import Choices, IntArray
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.splits import folds
from routebench.rules import Default, Guard, Router, Rule
from routebench.strategies.candidates import candidates
from routebench.strategies.distilled.lesson import Lesson
from routebench.strategies.distilled.pupil import Pupil
from routebench.strategies.induce import RuleList, induce
from routebench.strategies.learned.strategy import Learned
from routebench.strategies.prompts import readings
from routebench.strategies.rules import decide_all, rule_name, with_fallback
from routebench.types import Model, Request


class Distilled(Pupil):
    """Learns a rule list for every trade of quality against cost, from what a teacher expects of training prompts.

    Expectations are much less noisy than outcomes, so that small gains show. Outcomes have the last word: each rule has
    gained more on them than its standard error.

    Args:
        teacher: fitted on the same outcomes; one is fitted when left out.
        max_rules: at most so many rules.
        models: settings of the models, for their limits and capabilities; by name only when left out.
        guards: guards that every rule set carries.
        stopped: whether somebody has stopped the learning, asked before every list; it is then given up by a
            StoppedError.

    Attributes:
        lists_: after `fit`: a rule list for every cost weight, with the evidence of each rule.
    """

    name = "distilled"
    lists_: tuple[RuleList, ...]

    def __init__(
        self,
        teacher: Learned | None = None,
        *,
        max_rules: int = 12,
        models: Sequence[Model] = (),
        guards: Sequence[Guard] = (),
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(teacher, models=models, guards=guards)
        self.max_rules = max_rules
        self.stopped = stopped

    def _learn(self, train: Outcomes, lesson: Lesson) -> None:
        # Of an earlier fit.
        self.__dict__.pop("_out_of_fold", None)
        self.lists_ = tuple(self._induced(train.requests, lesson))

    def _induced(self, requests: Sequence[Request], lesson: Lesson) -> list[RuleList]:
        found = candidates(requests)
        lists: list[RuleList] = []
        for rate in self.rates_:
            if self.stopped():
                raise StoppedError(
                    f"{self.name} was stopped after {len(lists)} of {len(self.rates_)} lists; fit it again"
                )
            expected, seen = lesson.utilities(rate)
            lists.append(induce(found, expected.T, lesson.weight, max_rules=self.max_rules, observed=seen.T, z=0.0))
        return lists

    def _decided(self, requests: Sequence[Request]) -> Sequence[Choices]:
        read = readings(requests)
        return [
            decide_all(self._router(rules), self.models_, read, label=self._label(place))
            for place, rules in enumerate(self.lists_)
        ]

    def _decided_out_of_fold(self) -> Sequence[Choices]:
        return _OutOfFold(self)

    def decided_at(self, place: int) -> Choices:
        """Returns the decisions for the training cases at one cost weight, by lists that were learned without them."""
        read = readings(self._train.requests)
        # Where guards refuse all of a chain, all models that they allow stand in for it.
        width = max(2 * max(map(len, self.teacher_.grounds_.arms)), len(self.models_))
        chains: IntArray = np.full((self._train.n, width), -1, dtype=np.intp)
        for outside, lists in self._out_of_fold:
            decided = decide_all(self._router(lists[place]), self.models_, read[outside]).parts[0][1]
            chains[outside, : decided.shape[1]] = decided
        return Choices.single(self.models_, chains, self._label(place))

    @cached_property
    def _out_of_fold(self) -> list[tuple[IntArray, list[RuleList]]]:
        """The training cases of every fold, and the lists that were learned without them."""
        train = self._train
        return [
            (outside, self._induced(train.take(inside).requests, Lesson.within(self.teacher_, inside)))
            for inside, outside in folds(train, n_folds=5)
        ]

    def under(self, guards: Sequence[Guard]) -> Self:
        """Returns the same lists under other guards; nothing is learned anew."""
        made = copy(self)
        made.guards = tuple(guards)
        return made

    def _router(self, rules: RuleList) -> Router:
        return Router(self._framed(self._written(rules)))

    def _parts(self, place: int) -> Mapping[str, Any]:
        return self._written(self.lists_[place])

    def _written(self, rules: RuleList) -> Mapping[str, Any]:
        arms = self.teacher_.grounds_.arms
        default = arms[rules.default]
        written = tuple(
            Rule(rule_name(rule.when, number), rule.when, with_fallback(arms[rule.action], default))
            for number, rule in enumerate(rules.rules, start=1)
        )
        return {"rules": written, "default": Default(route=default)}


class _OutOfFold(Sequence[Choices]):
    """The decisions out of fold, each worked out when somebody asks for it: under other guards it may be the only one.

    Args:
        form: that was fitted.
    """

    def __init__(self, form: Distilled) -> None:
        self._form = form

    def __len__(self) -> int:
        return len(self._form.rates_)

    def __getitem__(self, place: int) -> Choices:  # type: ignore[override]  # a curve is never sliced
        if not 0 <= place < len(self):
            raise IndexError(place)
        return self._form.decided_at(place)
