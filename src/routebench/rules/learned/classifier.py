"""Phase one of two: a small classifier scores a request between 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Mapping
from operator import mul
from pathlib import Path
from typing import Protocol

from routebench.errors import RulesError
from routebench.rules.learned.artifact import artifact_path
from routebench.rules.learned.head import LinearHead, logistic
from routebench.rules.learned.llm_classifier import DEFAULT_PROMPT, DEFAULT_SCALE, LlmClassifier
from routebench.rules.learned.settings import ClassifierSettings
from routebench.rules.learned.surface import surface
from routebench.rules.reading.request import Reading

_NAMED = 3
"""Contributions that a sentence names."""


class Classifier(Protocol):
    """Scores requests; the same request always has the same score."""

    def score(self, reading: Reading) -> float:
        """Returns a number between 0 and 1, higher for requests that need more."""
        ...

    def why(self, reading: Reading) -> str:
        """Returns what the score of a request comes from, for people."""
        ...


class Heuristic:
    """Weights that somebody wrote down, of numbers on the surface of a request; needs no numpy.

    Args:
        weights: by name of SURFACE.
        bias: added to the weighted sum, before the logistic function.
    """

    def __init__(self, weights: Mapping[str, float], bias: float = 0.0) -> None:
        self.weights = dict(weights)
        self.bias = bias

    def score(self, reading: Reading) -> float:
        """Returns the logistic function of the weighted sum."""
        return logistic(self.bias + math.fsum(map(mul, self.weights.values(), surface(reading, tuple(self.weights)))))

    def why(self, reading: Reading) -> str:
        """Returns what adds most to the sum, or takes most from it."""
        values = surface(reading, tuple(self.weights))
        return most_of(
            {name: weight * value for (name, weight), value in zip(self.weights.items(), values, strict=True)}
        )


class Logistic:
    """A learned classifier: a linear head of one output.

    Args:
        head: with the logistic link.

    Raises:
        RulesError: the head has several outputs, or another link.
    """

    def __init__(self, head: LinearHead) -> None:
        if head.m != 1 or head.link != "logistic":
            raise RulesError(
                f"a classifier is a linear head of one output with the logistic link; this one has {head.m} "
                f"and the link {head.link}"
            )
        self.head = head

    def score(self, reading: Reading) -> float:
        """Returns the head's output."""
        return self.head.outputs(reading)[0]

    def why(self, reading: Reading) -> str:
        """Returns what adds most to the sum, or takes most from it; words only together."""
        return most_of(self.head.contributions(reading))


def load_classifier(settings: ClassifierSettings, folder: Path, *, where: str) -> Classifier | LlmClassifier:
    """Returns the classifier of a rules.yaml.

    Args:
        settings: as its author wrote them.
        folder: of the rules.yaml.
        where: of the classifier in it, for errors.

    Raises:
        RulesError: the artifact is missing, was changed, or is not that of a classifier.
    """
    if settings.kind == "heuristic":
        assert settings.weights is not None
        return Heuristic(settings.weights, settings.bias or 0.0)
    if settings.kind == "llm":
        assert settings.model is not None
        low, high = settings.scale or DEFAULT_SCALE
        return LlmClassifier(settings.model, settings.prompt or DEFAULT_PROMPT, (low, high))
    assert settings.artifact is not None
    path = artifact_path(folder, settings.artifact, where=where)
    head = LinearHead.load(path, settings.sha256, where=where)
    try:
        return Logistic(head)
    except RulesError as error:
        raise RulesError(f"{where}: {path.name}: {error}; run `routebench tune` again") from None


def most_of(added: Mapping[str, float]) -> str:
    """Returns what adds most to a sum or takes most from it, by name, for people."""
    most = sorted(added.items(), key=lambda item: (-abs(item[1]), item[0]))[:_NAMED]
    named = [f"{name} {value:+.2f}" for name, value in most if value]
    return ", ".join(named) or "nothing speaks for more or less"
