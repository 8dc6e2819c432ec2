"""Past prompts and what became of them, as numbers: routing by the ones that are most similar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from routebench.errors import RulesError
from routebench.rules.learned.artifact import artifact_path, read_artifact, write_artifact
from routebench.rules.learned.classifier import features_of
from routebench.rules.learned.features import FeatureSpec
from routebench.rules.learned.postings import Postings
from routebench.rules.learned.settings import SimilaritySettings
from routebench.rules.reading.request import Reading

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

KIND = "library"
_DECIMALS = 6
"""Of a similarity: below them is how a machine adds up, and that must not decide which neighbours count."""
_LENGTH_TOLERANCE = 0.01
"""Rows of 16-bit floats are not quite of length 1."""


class Expected(NamedTuple):
    """What similar prompts let one expect of a request.

    Attributes:
        scores: one a model, shape (m,); NaN for a model without any known score.
        similarity: the cosine of the nearest past prompt, between 0 and 1.
        n: past prompts that were looked at.
    """

    scores: npt.NDArray[np.float64]
    similarity: float
    n: int


@dataclass(frozen=True, eq=False)
class Library:
    """Past prompts' features with the scores of every model; no text and no case's id.

    A model's score for a request is (sum_i w_i s_i + a * mean) / (sum_i w_i + a) over those of the k nearest prompts
    whose score s_i is known, w_i the squared cosine: with nothing similar in the library the model's mean stands. The
    search is exact; of equally similar prompts the earlier one counts first.

    Attributes:
        vectors: features of the past prompts, rows of length 1 or 0, shape (n, width of the features).
        scores: shape (n, m); NaN where unknown.
        costs_usd: of a request on average, one a model, shape (m,); NaN where unknown.
        models: the m names.
        spec: the features; without the surface, whose lengths would drown the words in the cosine.
        k: neighbours that are looked at; all of a smaller library.
        shrinkage: the weight `a` of the mean, in neighbours.
        min_similarity: where the nearest prompt is less similar, `rank` says nothing.
        cost_weight: score that a US dollar a request is worth.

    Raises:
        RulesError: the parts do not fit each other.
    """

    vectors: Floats = field(repr=False)
    scores: Floats = field(repr=False)
    costs_usd: npt.NDArray[np.float64] = field(repr=False)
    models: tuple[str, ...]
    spec: FeatureSpec
    k: int = 24
    shrinkage: float = 0.3
    min_similarity: float = 0.0
    cost_weight: float = 0.0
    _means: npt.NDArray[np.float64] = field(init=False, repr=False)
    _postings: Postings = field(init=False, repr=False)

    def __post_init__(self) -> None:
        import numpy as np

        n, m = len(self.vectors), len(self.models)
        if self.spec.surface:
            raise RulesError("the features of a library are words alone: its `surface` must be false")
        if not n or not m or len(set(self.models)) != m:
            raise RulesError("a library needs past prompts, and models of different names")
        for name, shape in {"vectors": (n, self.spec.width), "scores": (n, m), "costs_usd": (m,)}.items():
            if getattr(self, name).shape != shape:
                raise RulesError(f"the {name} of a library are {getattr(self, name).shape}, not {shape}")
        if (self.scores < 0).any() or (self.scores > 1).any():
            raise RulesError("a score of the library is not between 0 and 1")
        if (self.costs_usd < 0).any():
            raise RulesError("a cost of the library is below 0")
        # Sixteen bits are a form to keep: arithmetic with them is slow and coarse.
        object.__setattr__(self, "vectors", self.vectors.astype(np.float32, copy=False))
        object.__setattr__(self, "scores", self.scores.astype(np.float32, copy=False))
        squares = np.einsum("ij,ij->i", self.vectors, self.vectors)
        if not ((squares == 0) | (np.abs(squares - 1) < _LENGTH_TOLERANCE)).all():
            raise RulesError("a row of the library's vectors is not of length 1")
        object.__setattr__(self, "_postings", Postings.of(self.vectors))
        known = ~np.isnan(self.scores)
        counts = known.sum(axis=0)
        totals = np.where(known, self.scores, 0).sum(axis=0, dtype=np.float64)
        object.__setattr__(self, "_means", np.where(counts, totals / np.maximum(counts, 1), np.nan))

    def predict(self, reading: Reading) -> Expected:
        """Returns the scores that the nearest past prompts let one expect."""
        import numpy as np

        similarity = np.round(self._postings.products(*self.spec.sparse(reading)), _DECIMALS).clip(0, 1)
        k = min(self.k, len(similarity))
        # All that are as similar as the k-th, in their order, so that ties fall the same way everywhere.
        least = np.partition(similarity, len(similarity) - k)[len(similarity) - k]
        index = np.flatnonzero(similarity >= least)
        index = index[np.argsort(-similarity[index], kind="stable")[:k]]
        near = similarity[index]
        scores = self.scores[index].astype(np.float64)
        known = ~np.isnan(scores)
        weight = np.where(known, near[:, None] ** 2, 0)
        summed = (weight * np.where(known, scores, 0)).sum(axis=0) + self.shrinkage * self._means
        total = weight.sum(axis=0) + self.shrinkage
        expected = np.where(total > 0, summed / np.where(total > 0, total, 1), self._means)
        return Expected(expected, float(near[0]), k)

    def rank(self, reading: Reading) -> tuple[tuple[str, ...], float] | None:
        """Returns the models by falling score - cost_weight * cost, and the similarity of the nearest past prompt.

        An unknown cost is the dearest known one; models without any known score come last; of equal ones the earlier
        in `models` comes first.

        Returns:
            None where the nearest past prompt is less similar than `min_similarity`.
        """
        import numpy as np

        expected = self.predict(reading)
        if expected.similarity < self.min_similarity:
            return None
        utility = expected.scores - self.cost_weight * self._assumed_costs()
        utility = np.where(np.isnan(utility), -np.inf, np.round(utility, 12))
        order = np.argsort(-utility, kind="stable")
        return tuple(self.models[place] for place in order), expected.similarity

    def _assumed_costs(self) -> npt.NDArray[np.float64]:
        import numpy as np

        unknown = np.isnan(self.costs_usd)
        dearest = 0.0 if unknown.all() else float(self.costs_usd[~unknown].max())
        return np.where(unknown, dearest, self.costs_usd)

    def problem_with(self, models: Sequence[str]) -> str | None:
        """Returns what is wrong where a rule set has these models, None where they are the library's."""
        unknown = [name for name in self.models if name not in models]
        missing = [name for name in models if name not in self.models]
        if not unknown and not missing:
            return None
        said = [f"the library knows {name!r}, which is not among `models`" for name in unknown]
        said += [f"the library does not know the model {name!r}" for name in missing]
        return f"{'; '.join(said)}: name the models as they were, or build the library again with `routebench tune`"

    def save(self, path: Path, *, half: bool = False) -> str:
        """Writes the past prompts as an artifact, `.safetensors` or `.json`, and returns its sha256.

        How they are used (`k` and what follows it) is said in the rules.yaml, and not kept.

        Args:
            path: of the artifact.
            half: whether vectors are kept in 16 bits: half the size, similarities right to three digits.

        Raises:
            RulesError: the suffix is another one, the library is too large, or the file cannot be written.
        """
        import numpy as np

        vectors = self.vectors.astype(np.float16 if half else np.float32)
        tensors = {"vectors": vectors, "scores": self.scores, "costs_usd": self.costs_usd}
        metadata = {"kind": KIND, "models": list(self.models), "features": self.spec.as_dict()}
        return write_artifact(path, tensors, metadata)

    @classmethod
    def load(cls, path: Path, sha256: str | None = None, *, where: str | None = None) -> Self:
        """Reads what `save` wrote.

        Args:
            path: of the artifact.
            sha256: that it must have; None to read whatever it is.
            where: what errors call it; its path by default.

        Raises:
            RulesError: there is no such artifact, it was changed, or it is not a library.
        """
        artifact = read_artifact(path, sha256, where=where or str(path))
        artifact.expect(KIND, "vectors", "scores", "costs_usd")
        spec = features_of(artifact)
        models: Any = artifact.metadata.get("models")
        if not isinstance(models, list) or not all(isinstance(name, str) for name in models):
            raise RulesError(f"{artifact.where}: the library's metadata has no list of models")
        vectors = artifact.tensor("vectors", (None, spec.width))
        scores = artifact.tensor("scores", (len(vectors), len(models)), unknown=True)
        costs_usd = artifact.tensor("costs_usd", (len(models),), unknown=True)
        try:
            return cls(vectors, scores, costs_usd, tuple(models), spec)
        except RulesError as error:
            raise RulesError(f"{artifact.where}: {path.name}: {error}") from None


def build_library(
    readings: Sequence[Reading],
    scores: npt.NDArray[Any],
    costs_usd: Sequence[float | None],
    models: Sequence[str],
    spec: FeatureSpec | None = None,
) -> Library:
    """Returns a library of past requests.

    Args:
        readings: the n requests.
        scores: in [0, 1], shape (n, m); NaN where unknown.
        costs_usd: of a request on average, one a model; None where unknown.
        models: the m names.
        spec: the features; 1024 columns of words and pairs of words by default.

    Raises:
        RulesError: the parts do not fit each other.
    """
    import numpy as np

    spec = spec or FeatureSpec(1024, bigrams=True, surface=False)
    costs = np.array([np.nan if cost is None else cost for cost in costs_usd], dtype=np.float64)
    return Library(spec.matrix(readings), np.array(scores, dtype=np.float32), costs, tuple(models), spec)


def load_library(settings: SimilaritySettings, folder: Path, models: Sequence[str], *, where: str) -> Library:
    """Returns the library of a rules.yaml.

    Args:
        settings: as its author wrote them.
        folder: of the rules.yaml.
        models: of the rule set.
        where: of the library in it, for errors.

    Raises:
        RulesError: the artifact is missing, was changed, is not a library, or knows other models.
    """
    path = artifact_path(folder, settings.library.artifact, where=where)
    library = Library.load(path, settings.library.sha256, where=where)
    problem = library.problem_with(models)
    if problem is not None:
        raise RulesError(f"{where}: {problem}")
    return replace(
        library,
        k=settings.k,
        shrinkage=settings.shrinkage,
        min_similarity=settings.min_similarity,
        cost_weight=settings.cost_weight,
    )
