"""What every model is expected to be worth for a request, predicted from its features: routing without a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from routebench.errors import RulesError
from routebench.rules.learned.artifact import artifact_path, read_artifact
from routebench.rules.learned.classifier import most_of
from routebench.rules.learned.head import LinearHead, SparseRows
from routebench.rules.learned.settings import LearnedSettings
from routebench.rules.reading.request import Reading

if TYPE_CHECKING:
    import numpy.typing as npt
    from numpy import intp

_STEPS = 1e9
"""To one unit of utility: below a step is how a machine takes a logarithm, and that must not decide who comes first."""


@dataclass(frozen=True, slots=True, eq=False)
class UtilityHead:
    """Predicted utility of every model: its score less what its cost weighs, as whoever trained the head weighed it.

    Attributes:
        head: with the identity link, one output a model.
        models: the names of the outputs; models of a rule set that are not among them are no candidates here.

    Raises:
        RulesError: the parts do not fit each other.
    """

    head: LinearHead
    models: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.head.link != "identity":
            raise RulesError(f"utilities are a linear head's sums: its link must be identity, not {self.head.link}")
        if len(self.models) != self.head.m or len(set(self.models)) != self.head.m:
            raise RulesError(
                f"a linear head of {self.head.m} outputs needs {self.head.m} different models, not {len(self.models)}"
            )

    def utilities(self, reading: Reading) -> dict[str, float]:
        """Returns the predicted utility of every model, the best first; of equal ones the earlier in `models`."""
        found = dict(zip(self.models, self.head.outputs(reading), strict=True))
        return dict(sorted(found.items(), key=lambda item: -round(item[1] * _STEPS)))

    def rank(self, reading: Reading) -> tuple[str, ...]:
        """Returns the models by falling utility."""
        return tuple(self.utilities(reading))

    def rank_rows(self, rows: SparseRows) -> npt.NDArray[intp]:
        """Returns the places in `models` by falling utility, for many requests, shape (n, m); equal to `rank`'s."""
        import numpy as np

        steps = np.rint(self.head.predict_rows(rows) * _STEPS)
        return np.argsort(-steps, axis=1, kind="stable")

    def why(self, reading: Reading, model: str, other: str) -> str:
        """Returns what speaks most for a model and against another; words only together, `bias` whatever is asked."""
        place, beside = self.models.index(model), self.models.index(other)
        first, second = self.head.contributions(reading, place), self.head.contributions(reading, beside)
        bias = float(self.head.bias[place]) - float(self.head.bias[beside])
        return most_of({"bias": bias} | {name: value - second[name] for name, value in first.items()})

    def problem_with(self, models: Sequence[str]) -> str | None:
        """Returns what is wrong where a rule set has these models, None where all of the head's are among them."""
        unknown = [repr(name) for name in self.models if name not in models]
        if not unknown:
            return None
        return (
            f"the head knows {', '.join(unknown)}, not among `models`: name the models as they were, or run "
            "`routebench tune` again"
        )

    def save(self, path: Path, *, half: bool = True) -> str:
        """Writes the head as an artifact, `.safetensors` or `.json`, and returns its sha256.

        Args:
            path: of the artifact.
            half: whether weights are kept in 16 bits; what is read then is this head `halved`.

        Raises:
            RulesError: the suffix is another one, a weight is too large for 16 bits, or the file cannot be written.
        """
        return self.head.save(path, half=half, models=self.models)

    def halved(self) -> Self:
        """Returns the head as `save` keeps it.

        Raises:
            RulesError: a weight is too large for 16 bits.
        """
        return type(self)(self.head.halved(), self.models)

    @classmethod
    def load(cls, path: Path, sha256: str | None = None, *, where: str | None = None) -> Self:
        """Reads what `save` wrote; it predicts the same to the last bit.

        Args:
            path: of the artifact.
            sha256: that it must have; None to read whatever it is.
            where: what errors call it; its path by default.

        Raises:
            RulesError: there is no such artifact, it was changed, or it is no head of models.
        """
        artifact = read_artifact(path, sha256, where=where or str(path))
        models: Any = artifact.metadata.get("models")
        head = LinearHead.of(artifact)
        if not isinstance(models, list) or not all(isinstance(name, str) for name in models):
            raise RulesError(f"{artifact.where}: {path.name}: the head's metadata has no list of models")
        try:
            return cls(head, tuple(models))
        except RulesError as error:
            raise RulesError(f"{artifact.where}: {path.name}: {error}") from None


def load_utility_head(settings: LearnedSettings, folder: Path, models: Sequence[str], *, where: str) -> UtilityHead:
    """Returns the head of a rules.yaml.

    Args:
        settings: as their author wrote them.
        folder: of the rules.yaml.
        models: of the rule set.
        where: of the head in it, for errors.

    Raises:
        RulesError: the artifact is missing, was changed, is no head of models, or knows others.
    """
    path = artifact_path(folder, settings.head.artifact, where=where)
    head = UtilityHead.load(path, settings.head.sha256, where=where)
    problem = head.problem_with(models)
    if problem is not None:
        raise RulesError(f"{where}: {problem}")
    return head
