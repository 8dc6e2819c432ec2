"""Phase one of two: a small classifier scores a request between 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from operator import mul
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, Self, get_args

from routebench.errors import RulesError
from routebench.rules.learned.artifact import Artifact, artifact_path, read_artifact, write_artifact
from routebench.rules.learned.features import FeatureSpec
from routebench.rules.learned.settings import ClassifierSettings
from routebench.rules.learned.surface import SURFACE, surface
from routebench.rules.reading.request import Reading

if TYPE_CHECKING:
    import numpy.typing as npt
    from numpy import float32, float64, floating

Link = Literal["logistic", "identity"]
_LINKS: tuple[Link, ...] = get_args(Link)

KIND = "linear_head"
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
        return _sentence(
            {name: weight * value for (name, weight), value in zip(self.weights.items(), values, strict=True)}
        )


class LinearHead:
    """Weighted sums of a request's features.

    Args:
        weights: shape (m, width of the features), finite.
        bias: shape (m,), finite.
        spec: the features.
        link: `logistic`: the logistic function of the sums is predicted; `identity`: the sums themselves.

    Attributes:
        weights: as 32-bit floats, which is what a file keeps.
        bias: likewise.
        m: the number of outputs.

    Raises:
        RulesError: the shapes do not fit each other or the features.
    """

    def __init__(
        self,
        weights: npt.NDArray[floating],
        bias: npt.NDArray[floating],
        spec: FeatureSpec,
        link: Link = "logistic",
    ) -> None:
        import numpy as np

        self.weights: npt.NDArray[float32] = np.array(weights, dtype=np.float32)
        self.bias: npt.NDArray[float32] = np.array(bias, dtype=np.float32)
        self.spec = spec
        self.link = link
        if self.weights.ndim != 2 or self.weights.shape[1] != spec.width or self.bias.shape != self.weights.shape[:1]:
            raise RulesError(
                f"a linear head of weights {self.weights.shape} and bias {self.bias.shape} does not fit features of "
                f"width {spec.width}: weights are (outputs, width), bias is (outputs,)"
            )
        if not (np.isfinite(self.weights).all() and np.isfinite(self.bias).all()):
            raise RulesError("a weight of the linear head is not finite")
        self.m = len(self.bias)
        # Lists: for the hundred columns of one prompt they are faster than an array.
        self._rows: list[list[float]] = self.weights.tolist()
        self._bias: list[float] = self.bias.tolist()

    def outputs(self, reading: Reading) -> list[float]:
        """Returns the m outputs for one request, without an array around them."""
        columns, values = self.spec.sparse(reading)
        # fsum rounds once, whatever the order: a decision does not depend on how a sum was taken.
        sums = [
            math.fsum((bias, *map(mul, map(row.__getitem__, columns), values)))
            for row, bias in zip(self._rows, self._bias, strict=True)
        ]
        return sums if self.link == "identity" else [logistic(total) for total in sums]

    def predict(self, reading: Reading) -> npt.NDArray[float64]:
        """Returns the outputs for one request, shape (m,)."""
        import numpy as np

        return np.array(self.outputs(reading))

    def predict_many(self, readings: Sequence[Reading]) -> npt.NDArray[float64]:
        """Returns the outputs for many requests, shape (n, m); each row is what `predict` returns for it."""
        import numpy as np

        return np.array([self.outputs(reading) for reading in readings]).reshape(len(readings), self.m)

    def save(self, path: Path) -> str:
        """Writes the head as an artifact, `.safetensors` or `.json`, and returns its sha256.

        Raises:
            RulesError: the suffix is another one, or the file cannot be written.
        """
        metadata = {"kind": KIND, "link": self.link, "features": self.spec.as_dict()}
        return write_artifact(path, {"weights": self.weights, "bias": self.bias}, metadata)

    @classmethod
    def load(cls, path: Path, sha256: str | None = None, *, where: str | None = None) -> Self:
        """Reads what `save` wrote; it predicts the same to the last bit.

        Args:
            path: of the artifact.
            sha256: that it must have; None to read whatever it is.
            where: what errors call it; its path by default.

        Raises:
            RulesError: there is no such artifact, it was changed, or it is not a linear head.
        """
        artifact = read_artifact(path, sha256, where=where or str(path))
        artifact.expect(KIND, "weights", "bias")
        spec = features_of(artifact)
        said = artifact.metadata.get("link")
        link = next((one for one in _LINKS if one == said), None)
        if link is None:
            raise RulesError(f"{artifact.where}: the link {said!r:.40} is none of {', '.join(_LINKS)}")
        bias = artifact.tensor("bias", (None,))
        weights = artifact.tensor("weights", (len(bias), spec.width))
        return cls(weights, bias, spec, link)

    def contributions(self, reading: Reading) -> dict[str, float]:
        """Returns what the words together and each number of the surface add to the first output's sum."""
        columns, values = self.spec.sparse(reading)
        added = [self._rows[0][column] * value for column, value in zip(columns, values, strict=True)]
        n_words = len(columns) - (len(SURFACE) if self.spec.surface else 0)
        named = dict(zip(SURFACE, added[n_words:], strict=True)) if self.spec.surface else {}
        return {"words": math.fsum(added[:n_words]), **named}


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
        return _sentence(self.head.contributions(reading))


def load_classifier(settings: ClassifierSettings, folder: Path, *, where: str) -> Classifier:
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
    assert settings.artifact is not None
    path = artifact_path(folder, settings.artifact, where=where)
    head = LinearHead.load(path, settings.sha256, where=where)
    try:
        return Logistic(head)
    except RulesError as error:
        raise RulesError(f"{where}: {path.name}: {error}; run `routebench tune` again") from None


def features_of(artifact: Artifact) -> FeatureSpec:
    """Returns the features that an artifact was learned from.

    Raises:
        RulesError: its metadata does not say them.
    """
    try:
        return FeatureSpec.from_dict(artifact.metadata.get("features"))
    except RulesError as error:
        raise RulesError(f"{artifact.where}: the artifact's {error}") from None


def logistic(total: float) -> float:
    """Returns 1 / (1 + exp(-total)), without overflow."""
    if total >= 0:
        return 1 / (1 + math.exp(-total))
    small = math.exp(total)
    return small / (1 + small)


def _sentence(added: Mapping[str, float]) -> str:
    most = sorted(added.items(), key=lambda item: (-abs(item[1]), item[0]))[:_NAMED]
    named = [f"{name} {value:+.2f}" for name, value in most if value]
    return ", ".join(named) or "nothing speaks for more or less"
