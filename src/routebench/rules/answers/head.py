"""AnswerHead: weighted sums of an answer's features, one for every place of a chain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from routebench.errors import RulesError
from routebench.rules.answers.features import AGREEMENT, AnswerSpec
from routebench.rules.answers.surface import ANSWER_SURFACE
from routebench.rules.learned.artifact import artifact_path, read_artifact, write_artifact
from routebench.rules.learned.head import Link, logistic
from routebench.rules.learned.surface import SURFACE
from routebench.rules.reading.request import Reading
from routebench.types import Answer

if TYPE_CHECKING:
    import numpy.typing as npt
    from numpy import floating

KIND = "answer_head"
_NAMED = 2
"""Contributions that a sentence names."""


class AnswerHead:
    """How good it is to keep an answer: one weighted sum of its features a place of the chain.

    Weights are kept in 16 bits, which is what a file holds: 3 places of 512 words are 7 KiB.

    Args:
        weights: shape (places, width of the features), finite.
        bias: shape (places,), finite.
        spec: the features.
        link: `identity`: the sums themselves, such as the score that is lost by going on; `logistic`: the logistic
            function of the sums, such as the chance that the answer is right.

    Attributes:
        weights: rounded to 16 bits.
        bias: as 32-bit floats.

    Raises:
        RulesError: the shapes do not fit each other or the features, or a number is too large or not finite.
    """

    def __init__(
        self,
        weights: npt.NDArray[floating],
        bias: npt.NDArray[floating],
        spec: AnswerSpec | None = None,
        link: Link = "identity",
    ) -> None:
        import numpy as np

        self.spec = AnswerSpec() if spec is None else spec
        self.link = link
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and that is refused
            self.weights: npt.NDArray[np.float16] = np.array(weights).astype(np.float16)
        self.bias: npt.NDArray[np.float32] = np.array(bias, dtype=np.float32)
        if self.weights.ndim != 2 or self.weights.shape != (len(self.bias), self.spec.width) or not len(self.bias):
            raise RulesError(
                f"an answer head of weights {self.weights.shape} and bias {self.bias.shape} does not fit features of "
                f"width {self.spec.width}: weights are (places, width), bias is (places,)"
            )
        if not (np.isfinite(self.weights).all() and np.isfinite(self.bias).all()):
            raise RulesError("a weight of the answer head is not finite, or too large for 16 bits")
        self.places = len(self.bias)
        self._rows: list[list[float]] = self.weights.tolist()
        self._bias: list[float] = self.bias.tolist()

    def value(
        self, reading: Reading, answer: Answer, earlier: Sequence[Answer] = (), *, place: int | None = None
    ) -> float:
        """Returns how good it is to keep an answer.

        Args:
            reading: the request.
            answer: to it.
            earlier: what other models of the chain answered before.
            place: in the chain, from 0; as many as there are earlier answers when left out. Places that the head does
                not have are like its last.
        """
        at = len(earlier) if place is None else place
        return self.value_of(*self.spec.sparse(reading, answer, earlier), place=at)

    def value_of(self, columns: Sequence[int], values: Sequence[float], *, place: int) -> float:
        """Returns the same for features that are known."""
        at = min(place, self.places - 1)
        row = self._rows[at]
        # fsum rounds once, whatever the order: a decision does not depend on how a sum was taken.
        total = math.fsum(
            (self._bias[at], *(row[column] * value for column, value in zip(columns, values, strict=True)))
        )
        return total if self.link == "identity" else logistic(total)

    def why_of(self, columns: Sequence[int], values: Sequence[float], *, place: int) -> str:
        """Returns what speaks most for keeping an answer or against it, words only together."""
        row = self._rows[min(place, self.places - 1)]
        added: dict[str, float] = {}
        for column, value in zip(columns, values, strict=True):
            name = self._name_of(column)
            added[name] = added.get(name, 0.0) + row[column] * value
        most = sorted(added.items(), key=lambda item: (-abs(item[1]), item[0]))[:_NAMED]
        return ", ".join(f"{name} {value:+.2f}" for name, value in most if value)

    def _name_of(self, column: int) -> str:
        blocks = self.spec.blocks
        for block, names, what in (
            ("request_surface", SURFACE, "the prompt's "),
            ("answer_surface", ANSWER_SURFACE, ""),
            ("agreement", AGREEMENT, ""),
        ):
            if blocks[block].start <= column < blocks[block].stop:
                return f"{what}{names[column - blocks[block].start]}"
        return "the prompt's words" if column < blocks["request_words"].stop else "words"

    def save(self, path: Path) -> str:
        """Writes the head as an artifact, `.safetensors` or `.json`, and returns its sha256.

        Raises:
            RulesError: the suffix is another one, or the file cannot be written.
        """
        metadata = {"kind": KIND, "link": self.link, "features": self.spec.as_dict()}
        return write_artifact(path, {"weights": self.weights, "bias": self.bias}, metadata)

    @classmethod
    def load(cls, path: Path, sha256: str | None = None, *, where: str | None = None) -> Self:
        """Reads what `save` wrote; it says the same to the last bit.

        Args:
            path: of the artifact.
            sha256: that it must have; None to read whatever it is.
            where: what errors call it; its path by default.

        Raises:
            RulesError: there is no such artifact, it was changed, or it is not an answer head.
        """
        artifact = read_artifact(path, sha256, where=where or str(path))
        artifact.expect(KIND, "weights", "bias")
        try:
            spec = AnswerSpec.from_dict(artifact.metadata.get("features"))
        except RulesError as error:
            raise RulesError(f"{artifact.where}: the artifact's {error}") from None
        said = artifact.metadata.get("link")
        links: tuple[Link, ...] = ("identity", "logistic")
        link = next((one for one in links if one == said), None)
        if link is None:
            raise RulesError(f"{artifact.where}: the link {said!r:.40} is none of {', '.join(links)}")
        bias = artifact.tensor("bias", (None,))
        return cls(artifact.tensor("weights", (len(bias), spec.width)), bias, spec, link)


def load_head(name: str, sha256: str, folder: Path, *, where: str) -> AnswerHead:
    """Returns the head that a check of a rules.yaml names.

    Args:
        name: of the artifact, relative to the folder.
        sha256: of its file.
        folder: of the rules.yaml.
        where: of the check in it, for errors.

    Raises:
        RulesError: the artifact is missing, was changed, or is no answer head.
    """
    return AnswerHead.load(artifact_path(folder, name, where=where), sha256, where=where)
