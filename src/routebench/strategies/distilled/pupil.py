"""Pupil: what every form of the learned strategy shares that runs from a rules.yaml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from routebench.evaluate.choices import Choices
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.sweep import Joined
from routebench.rules import Default, Guard, RuleSet
from routebench.strategies.base import Policy
from routebench.strategies.distilled.lesson import Lesson
from routebench.strategies.learned.strategy import Learned
from routebench.types import Model, Request


class Pupil(Policy):
    """Learns from what a teacher expects of the training prompts; abstains where the teacher does.

    Constant decisions are on the curve too, after the points that were learned. Subclasses write `_learn`, `_decided`,
    `_decided_out_of_fold` and `_parts`.

    Args:
        teacher: fitted on the same outcomes; one is fitted when left out.
        models: settings of the models for `to_ruleset`; by name only when left out.
        guards: guards that every rule set carries.

    Attributes:
        teacher_: after `fit`.
        rates_: after `fit`: cost weights of the points that were learned; none where the teacher abstains.
    """

    teacher_: Learned
    rates_: tuple[float, ...]

    def __init__(
        self, teacher: Learned | None = None, *, models: Sequence[Model] = (), guards: Sequence[Guard] = ()
    ) -> None:
        self.teacher = teacher
        self.models = tuple(models)
        self.guards = tuple(guards)

    def _fit(self, outcomes: Outcomes) -> None:
        self.teacher_ = Learned().fit(outcomes) if self.teacher is None else self.teacher
        lesson = Lesson.of(self.teacher_, outcomes)
        self.abstained = self.teacher_.abstained
        self.rates_ = () if self.abstained else tuple(map(float, lesson.rates()))
        if not self.abstained:
            self._learn(outcomes, lesson)

    def _learn(self, train: Outcomes, lesson: Lesson) -> None:
        """Learns one form for every cost weight."""
        raise NotImplementedError

    def _decided(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """Decisions for n requests, one a cost weight."""
        raise NotImplementedError

    def _decided_out_of_fold(self) -> Sequence[Choices]:
        """The same for the training cases, by forms that were learned without them."""
        raise NotImplementedError

    def _parts(self, place: int) -> Mapping[str, Any]:
        """What a rule set says besides models and guards, for one cost weight."""
        raise NotImplementedError

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """One point a lambda, from quality at any price to the cheapest, then the single models."""
        if self.abstained:
            return self.teacher_.curve(requests)
        return Joined((self._decided(requests), self.teacher_.grounds_.constant(len(requests))))

    def train_curve(self) -> Sequence[Choices]:
        """The curve by what was learned without the case, five folds by group."""
        if self.abstained:
            return self.teacher_.train_curve()
        return Joined((self._decided_out_of_fold(), self.teacher_.grounds_.constant(self._train.n)))

    def to_ruleset(self, point: int) -> RuleSet:
        """Returns one operating point as a rule set, ready to route."""
        parts: Mapping[str, Any]
        if self.abstained:
            parts = {"default": _default(self.teacher_.curve([self._train.requests[0]])[point])}
        elif point < len(self.rates_):
            parts = self._parts(point)
        else:
            parts = {"default": Default(route=self.teacher_.grounds_.arms[point - len(self.rates_)])}
        return self._framed(parts)

    def _framed(self, parts: Mapping[str, Any]) -> RuleSet:
        given = {model.name: model for model in self.models}
        return RuleSet(
            name=self.name,
            models={name: given.get(name, Model(name, provider="recorded", model=name)) for name in self.models_},
            guards=self.guards,
            **parts,
        )

    def _label(self, place: int) -> str:
        return f"lambda={self.rates_[place]:.3g}"


def _default(choices: Choices) -> Default:
    """The default that decides every request as one."""
    mix = tuple(
        (share, tuple(choices.models[place] for place in chains[0] if place >= 0)) for share, chains in choices.parts
    )
    return Default(mix=mix) if len(mix) > 1 else Default(route=mix[0][1])
