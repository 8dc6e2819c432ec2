"""Past prompts and what became of them, as numbers: routing by the ones that are most similar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from routebench.embedding.embedder import Embedder, find_embedder
from routebench.errors import InputError, RoutebenchError, RulesError, nearest
from routebench.rules.learned.artifact import artifact_path, read_artifact, write_artifact
from routebench.rules.learned.embedded import EmbedderSpec
from routebench.rules.learned.features import FeatureSpec
from routebench.rules.learned.head import sparse_rows
from routebench.rules.learned.past import Past, index_of
from routebench.rules.learned.settings import SimilaritySettings
from routebench.rules.learned.stored_rows import (
    DENSE,
    SPARSE,
    checked_rows,
    count_of,
    reads_of,
    rows_of,
    tensors_of,
    width_of,
)
from routebench.rules.reading.request import Reading

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from routebench.rules.learned.stored_rows import Rows

    Floats = npt.NDArray[np.float64]

KIND = "library"
DEFAULT_COLUMNS = 2**14
MAX_PROMPTS = 100_000
"""So many are searched in 6 ms."""


class Expected(NamedTuple):
    """What similar prompts let one expect of a request.

    Attributes:
        scores: one a model, shape (m,); NaN for a model without any known score.
        costs_usd: one a model, shape (m,); NaN for a model without any known cost.
        similarity: the cosine of the nearest past prompt, between 0 and 1.
        n: past prompts that were looked at.
    """

    scores: Floats
    costs_usd: Floats
    similarity: float
    n: int


@dataclass(frozen=True, slots=True)
class Usage:
    """How a library is used.

    Attributes:
        k: neighbours that are looked at; all of a smaller library.
        shrinkage: the weight of a model's mean, in neighbours.
        min_similarity: where the nearest prompt is less similar, `rank` says nothing.
        cost_weight: score that a US dollar a request is worth.
        max_prompts: how many past prompts are kept at most when more are learned; None for 100,000, or as many as there
            are if these are more.
    """

    k: int = 24
    shrinkage: float = 0.3
    min_similarity: float = 0.0
    cost_weight: float = 0.0
    max_prompts: int | None = None


def shrunk(near: Floats, known: npt.NDArray[Any], means: Floats, shrinkage: float) -> Floats:
    """Returns (sum_i w_i y_i + a * mean) / (sum_i w_i + a) over neighbours whose y_i is known, w_i the squared cosine.

    With nothing similar the mean stands.

    Args:
        near: cosines of the neighbours, shape (..., k).
        known: what is known of each, NaN where nothing is, shape (..., k, m).
        means: of all, shape (m,).
        shrinkage: the weight `a`, in neighbours.

    Returns:
        Shape (..., m).
    """
    import numpy as np

    is_known = ~np.isnan(known)
    weight = np.where(is_known, near[..., None] ** 2, 0)
    summed = (weight * np.where(is_known, known, 0)).sum(axis=-2) + shrinkage * means
    total = weight.sum(axis=-2) + shrinkage
    return np.where(total > 0, summed / np.where(total > 0, total, 1), means)


class Library:
    """Past prompts' features with the scores and costs of every model; no text and no case's id.

    What to expect of a model is the mean over the k nearest prompts, weighted by the squared cosine and shrunk to the
    mean of all (`shrunk`). The search is exact; of equally similar prompts the earlier one counts first. Safe to use
    from many threads, and to `learn` meanwhile.

    Args:
        past: the prompts' rows, scores and costs.
        models: the names.
        reads: the features, without the surface, whose lengths would drown the words in the cosine; or which embedder
            made the rows.
        usage: how the library is used.
        embedder: reads requests, where `reads` names one.

    Attributes:
        past: as given.
        models: the names, as a tuple.
        reads: as given.
        usage: as given.
    """

    def __init__(
        self,
        past: Past,
        models: Sequence[str],
        reads: FeatureSpec | EmbedderSpec,
        usage: Usage | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        self.models = tuple(models)
        self.reads = reads
        self.usage = usage or Usage()
        self.past = past
        self._embedder = embedder

    @classmethod
    def of(
        cls,
        rows: Rows,
        scores: npt.NDArray[Any],
        costs_usd: npt.NDArray[Any],
        models: Sequence[str],
        reads: FeatureSpec | EmbedderSpec,
        usage: Usage | None = None,
        embedder: Embedder | None = None,
    ) -> Self:
        """Returns a library of these rows.

        Args:
            rows: of the past prompts, of length 1 or 0: sparse ones, or an array of shape (n, width of the features).
            scores: in [0, 1], shape (n, m); NaN where unknown.
            costs_usd: of every answer, shape (n, m), or of a request on average, shape (m,); NaN where unknown.
            models: the m names.
            reads: what made the rows.
            usage: how the library is used.
            embedder: reads requests, where `reads` names one.

        Raises:
            RulesError: the parts do not fit each other.
        """
        import numpy as np

        if isinstance(reads, FeatureSpec) and reads.surface:
            raise RulesError("the features of a library are words alone: its `surface` must be false")
        n, m = count_of(rows), len(models)
        if not n or not m or len(set(models)) != m:
            raise RulesError("a library needs past prompts, and models of different names")
        if scores.shape != (n, m):
            raise RulesError(f"the scores of a library are {scores.shape}, not {(n, m)}")
        if costs_usd.shape not in ((m,), (n, m)):
            raise RulesError(f"the costs_usd of a library are {costs_usd.shape}, neither {(m,)} nor {(n, m)}")
        if (scores < 0).any() or (scores > 1).any():
            raise RulesError("a score of the library is not between 0 and 1")
        if (costs_usd < 0).any():
            raise RulesError("a cost of the library is below 0")
        most = max(n, (usage or Usage()).max_prompts or MAX_PROMPTS)
        costs = np.broadcast_to(costs_usd, (n, m)).astype(np.float64)
        index = index_of(checked_rows(rows, reads), width_of(reads))
        return cls(Past(index, scores.astype(np.float32, copy=False), costs, most), models, reads, usage, embedder)

    @property
    def n(self) -> int:
        """The number of past prompts."""
        return self.past.seen.n

    def opened(
        self, embedders: Mapping[str, Embedder] | None = None, usage: Usage | None = None, *, where: str = "similarity"
    ) -> Self:
        """Returns a library that knows the same now and learns by itself, with the embedder that it needs.

        Args:
            embedders: by name; what is not there is looked for among what installed packages offer.
            usage: how it is used; as this one when left out.
            where: of the library, for errors.

        Raises:
            RulesError: its embedder is not here, is another one, or the library is larger than it may be.
        """
        usage, embedder = usage or self.usage, self._embedder
        most = usage.max_prompts
        if most is not None and most < self.n:
            raise RulesError(f"{where}: the library holds {self.n} prompts, more than max_prompts, {most}; raise it")
        if isinstance(self.reads, EmbedderSpec) and (embedder is None or self.reads.name in (embedders or ())):
            try:
                embedder = find_embedder(self.reads.name, embedders)
                self.reads.check(embedder)
            except RoutebenchError as error:
                raise RulesError(f"{where}: {error}") from None
        past = self.past.again(max(self.n, most or MAX_PROMPTS))
        return type(self)(past, self.models, self.reads, usage, embedder)

    def predict(self, reading: Reading) -> Expected:
        """Returns the scores and costs that the nearest past prompts let one expect.

        Raises:
            RulesError: the library was not opened, and needs an embedder.
        """
        query = self._row(reading)
        seen, usage = self.past.seen, self.usage
        index, near = seen.index.nearest(query, usage.k, seen.first, seen.end)
        scores = shrunk(near, seen.scores[index], seen.mean_scores, usage.shrinkage)
        costs = shrunk(near, seen.costs_usd[index], seen.mean_costs_usd, usage.shrinkage)
        return Expected(scores, costs, float(near[0]), len(near))

    def rank(self, reading: Reading) -> tuple[tuple[str, ...], float] | None:
        """Returns the models by falling score - cost_weight * cost, and the similarity of the nearest past prompt.

        An unknown cost is the dearest known one; models without any known score come last; of equal ones the earlier
        in `models` comes first.

        Returns:
            None where the nearest past prompt is less similar than `min_similarity`.
        """
        import numpy as np

        expected = self.predict(reading)
        if expected.similarity < self.usage.min_similarity:
            return None
        unknown = np.isnan(expected.costs_usd)
        dearest = 0.0 if unknown.all() else float(expected.costs_usd[~unknown].max())
        utility = expected.scores - self.usage.cost_weight * np.where(unknown, dearest, expected.costs_usd)
        utility = np.where(np.isnan(utility), -np.inf, np.round(utility, 12))
        order = np.argsort(-utility, kind="stable")
        return tuple(self.models[place] for place in order), expected.similarity

    def learn(
        self, reading: Reading, scores: Mapping[str, float], costs_usd: Mapping[str, float] | None = None
    ) -> None:
        """Adds a request and what became of it; of more than `max_prompts` the oldest leaves.

        Args:
            reading: the request.
            scores: model name -> score in [0, 1]; models that are left out stay unknown.
            costs_usd: model name -> US dollars; likewise.

        Raises:
            InputError: a model is unknown, or a number out of bounds; nothing was added.
            RulesError: the library was not opened, and needs an embedder.
        """
        costs = costs_usd or {}
        for name in (*scores, *costs):
            if name not in self.models:
                raise InputError(f"the library does not know the model {name!r}{nearest(name, self.models)}")
        for name, score in scores.items():
            if not 0 <= score <= 1:
                raise InputError(f"the score {score!r} of {name!r} is not between 0 and 1")
        for name, cost in costs.items():
            if not 0 <= cost < float("inf"):
                raise InputError(f"the cost {cost!r} of {name!r} is no number of US dollars")
        if not scores:
            raise InputError("nothing to learn: give the score of one model at least")
        self.past.add(self._row(reading), self._by_model(scores), self._by_model(costs))

    def _by_model(self, values: Mapping[str, float]) -> Floats:
        import numpy as np

        return np.array([values.get(name, np.nan) for name in self.models], dtype=np.float64)

    def _row(self, reading: Reading) -> Any:
        if isinstance(self.reads, FeatureSpec):
            return self.reads.sparse(reading)
        if self._embedder is None:
            raise RulesError(f"this library needs its embedder {self.reads.name!r}: `opened` finds it")
        return self._embedder.embed([reading.text("user").text])[0]

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

        How they are used (`k` and what follows it) is said in the rules.yaml, and not kept. What was learned meanwhile
        is kept: a rules.yaml with the new sha256 goes on from there.

        Args:
            path: of the artifact.
            half: whether rows are kept in 16 bits: similarities are right to three digits then.

        Raises:
            RulesError: the suffix is another one, the library is too large, or the file cannot be written.
        """
        import numpy as np

        rows, seen = self.past.rows()
        part = slice(seen.first, seen.end)
        costs = seen.costs_usd[part]
        is_mean = ((costs == costs[:1]) | (np.isnan(costs) & np.isnan(costs[:1]))).all()
        tensors = {"scores": seen.scores[part], "costs_usd": costs[0] if is_mean else costs.astype(np.float32)}
        name = "features" if isinstance(self.reads, FeatureSpec) else "embedder"
        metadata = {"kind": KIND, "models": list(self.models), name: self.reads.as_dict()}
        return write_artifact(path, {**tensors, **tensors_of(rows, half=half)}, metadata)

    @classmethod
    def load(
        cls, path: Path, sha256: str | None = None, *, where: str | None = None, usage: Usage | None = None
    ) -> Self:
        """Reads what `save` wrote.

        Args:
            path: of the artifact.
            sha256: that it must have; None to read whatever it is.
            where: what errors call it; its path by default.
            usage: how the library is used.

        Raises:
            RulesError: there is no such artifact, it was changed, or it is not a library.
        """
        artifact = read_artifact(path, sha256, where=where or str(path))
        artifact.expect(KIND, *(DENSE if "vectors" in artifact.tensors else SPARSE), "scores", "costs_usd")
        models: Any = artifact.metadata.get("models")
        if not isinstance(models, list) or not all(isinstance(name, str) for name in models):
            raise RulesError(f"{artifact.where}: the library's metadata has no list of models")
        reads = reads_of(artifact)
        rows = rows_of(artifact, reads)
        n = count_of(rows)
        scores = artifact.tensor("scores", (n, len(models)), unknown=True)
        each = artifact.tensors["costs_usd"].ndim == 2
        costs = artifact.tensor("costs_usd", (n, len(models)) if each else (len(models),), unknown=True)
        try:
            return cls.of(rows, scores, costs, models, reads, usage)
        except RulesError as error:
            raise RulesError(f"{artifact.where}: {path.name}: {error}") from None


def build_library(
    readings: Sequence[Reading],
    scores: npt.NDArray[Any],
    costs_usd: Sequence[float | None] | npt.NDArray[Any],
    models: Sequence[str],
    spec: FeatureSpec | None = None,
    embedder: Embedder | None = None,
    usage: Usage | None = None,
) -> Library:
    """Returns a library of past requests.

    Args:
        readings: the n requests.
        scores: in [0, 1], shape (n, m); NaN where unknown.
        costs_usd: of every answer, shape (n, m), or of a request on average, one a model; None or NaN where unknown.
        models: the m names.
        spec: the features; words and pairs of words in 16,384 columns by default.
        embedder: makes vectors instead.
        usage: how the library is used.

    Raises:
        RulesError: the parts do not fit each other.
    """
    import numpy as np

    known = np.array(scores, dtype=np.float32)
    costs = np.array(costs_usd, dtype=np.float64)
    if embedder is None:
        spec = spec or FeatureSpec(DEFAULT_COLUMNS, bigrams=True, surface=False)
        return Library.of(sparse_rows(spec, readings), known, costs, models, spec, usage)
    rows = embedder.embed([reading.text("user").text for reading in readings])
    return Library.of(rows, known, costs, models, EmbedderSpec.of(embedder), usage, embedder)


def load_library(settings: SimilaritySettings, folder: Path, models: Sequence[str], *, where: str) -> Library:
    """Returns the library of a rules.yaml.

    Args:
        settings: as its author wrote them.
        folder: of the rules.yaml.
        models: of the rule set.
        where: of the library in it, for errors.

    Raises:
        RulesError: the artifact is missing, was changed, is not a library, knows other models, or is by another
            embedder than the settings say.
    """
    path = artifact_path(folder, settings.library.artifact, where=where)
    usage = Usage(settings.k, settings.shrinkage, settings.min_similarity, settings.cost_weight, settings.max_prompts)
    library = Library.load(path, settings.library.sha256, where=where, usage=usage)
    by = "hashed" if isinstance(library.reads, FeatureSpec) else library.reads.name
    if by != settings.embedder:
        raise RulesError(f"{where}: the library was made with `embedder: {by}`; write this, or build it again")
    problem = library.problem_with(models)
    if problem is not None:
        raise RulesError(f"{where}: {problem}")
    return library
