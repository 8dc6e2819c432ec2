"""LinearHead: weighted sums of a request's features, the same to the last bit on every machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import itemgetter, mul
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Self, get_args

from routebench.errors import RulesError
from routebench.rules.learned.artifact import Artifact, read_artifact, write_artifact
from routebench.rules.learned.exact_sums import row_sums
from routebench.rules.learned.features import FeatureSpec
from routebench.rules.learned.surface import SURFACE
from routebench.rules.reading.request import Reading

if TYPE_CHECKING:
    import numpy.typing as npt
    from numpy import float32, float64, floating, intp

Link = Literal["logistic", "identity"]
_LINKS: tuple[Link, ...] = get_args(Link)

KIND = "linear_head"
_MOST_HALF = 65504.0
"""The largest number of 16 bits."""

_ROWS_AT_ONCE = 2048
"""So few that what is worked with stays near the processor."""


class SparseRows(NamedTuple):
    """The features of n requests, as compressed sparse rows.

    Attributes:
        starts: where each row begins in the others, and the end, shape (n + 1,).
        columns: of the features, in no order but without repetition within a row.
        values: what they are there.
    """

    starts: npt.NDArray[intp]
    columns: npt.NDArray[intp]
    values: npt.NDArray[float64]


def sparse_rows(spec: FeatureSpec, readings: Sequence[Reading]) -> SparseRows:
    """Returns the features of many requests; what `spec.sparse` says of each, one after the other."""
    import numpy as np

    starts: list[int] = [0]
    columns: list[int] = []
    values: list[float] = []
    for reading in readings:
        own_columns, own_values = spec.sparse(reading)
        columns += own_columns
        values += own_values
        starts.append(len(columns))
    return SparseRows(np.array(starts, dtype=np.intp), np.array(columns, dtype=np.intp), np.array(values, dtype=float))


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
        return self._outputs(*self.spec.sparse(reading))

    def _outputs(self, columns: Sequence[int], values: Sequence[float]) -> list[float]:
        # fsum rounds once, whatever the order: a decision does not depend on how a sum was taken.
        if len(columns) > 1:
            # One look at a row for all of its columns, which takes half the time of one look a column.
            of = itemgetter(*columns)
            sums = [
                math.fsum((bias, *map(mul, of(row), values))) for row, bias in zip(self._rows, self._bias, strict=True)
            ]
        else:
            sums = [
                math.fsum((bias, *(row[column] * value for column, value in zip(columns, values, strict=True))))
                for row, bias in zip(self._rows, self._bias, strict=True)
            ]
        return sums if self.link == "identity" else [logistic(total) for total in sums]

    def predict(self, reading: Reading) -> npt.NDArray[float64]:
        """Returns the outputs for one request, shape (m,)."""
        import numpy as np

        return np.array(self.outputs(reading))

    def predict_many(self, readings: Sequence[Reading]) -> npt.NDArray[float64]:
        """Returns the outputs for many requests, shape (n, m); each row is what `predict` returns for it."""
        return self.predict_rows(sparse_rows(self.spec, readings))

    def predict_rows(self, rows: SparseRows) -> npt.NDArray[float64]:
        """Returns the outputs for requests whose features are known, shape (n, m); equal to `predict_many`'s."""
        import numpy as np

        n = len(rows.starts) - 1
        # The bias is one column more, so that no row is empty.
        table = np.vstack([self.weights.T, self.bias]).astype(np.float64)
        found = np.empty((n, self.m))
        for first in range(0, n, _ROWS_AT_ONCE):
            starts = np.asarray(rows.starts[first : first + _ROWS_AT_ONCE + 1])
            part = slice(starts[0], starts[-1])
            columns = np.insert(rows.columns[part], starts[:-1] - starts[0], len(table) - 1)
            values = np.insert(rows.values[part], starts[:-1] - starts[0], 1.0)
            begins = starts - starts[0] + np.arange(len(starts))
            found[first : first + _ROWS_AT_ONCE] = row_sums(table[columns] * values[:, None], begins)
        if self.link == "logistic":
            # One by one: the exponential functions of arrays are others than that of a number.
            found = np.array([[logistic(total) for total in sums] for sums in found.tolist()]).reshape(n, self.m)
        return found

    def halved(self) -> Self:
        """Returns the head as `save(half=True)` keeps it: whoever measures a head that will be so kept measures this.

        Raises:
            RulesError: a weight is too large for 16 bits.
        """
        import numpy as np

        if np.abs(self.weights).max(initial=0) > _MOST_HALF:
            raise RulesError(f"a weight of the linear head is above {_MOST_HALF:g}, too large for 16 bits")
        return type(self)(self.weights.astype(np.float16), self.bias, self.spec, self.link)

    def save(self, path: Path, *, half: bool = False, models: Sequence[str] = ()) -> str:
        """Writes the head as an artifact, `.safetensors` or `.json`, and returns its sha256.

        Args:
            path: of the artifact.
            half: whether weights are kept in 16 bits, so that 14 outputs of 512 words and the surface fit into 16 KiB;
                what is read then is `halved()`.
            models: the names of the outputs, where they are of models.

        Raises:
            RulesError: the suffix is another one, a weight is too large for 16 bits, or the file cannot be written.
        """
        import numpy as np

        weights = self.halved().weights.astype(np.float16) if half else self.weights
        metadata = {"kind": KIND, "link": self.link, "features": self.spec.as_dict()}
        metadata |= {"models": list(models)} if models else {}
        return write_artifact(path, {"weights": weights, "bias": self.bias}, metadata)

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
        return cls.of(read_artifact(path, sha256, where=where or str(path)))

    @classmethod
    def of(cls, artifact: Artifact) -> Self:
        """Returns the head that an artifact holds.

        Raises:
            RulesError: it holds another thing.
        """
        artifact.expect(KIND, "weights", "bias")
        spec = features_of(artifact)
        said = artifact.metadata.get("link")
        link = next((one for one in _LINKS if one == said), None)
        if link is None:
            raise RulesError(f"{artifact.where}: the link {said!r:.40} is none of {', '.join(_LINKS)}")
        bias = artifact.tensor("bias", (None,))
        weights = artifact.tensor("weights", (len(bias), spec.width))
        return cls(weights, bias, spec, link)

    def contributions(self, reading: Reading, output: int = 0) -> dict[str, float]:
        """Returns what the words together and each number of the surface add to one output's sum."""
        columns, values = self.spec.sparse(reading)
        row = self._rows[output]
        added = [row[column] * value for column, value in zip(columns, values, strict=True)]
        n_words = len(columns) - (len(SURFACE) if self.spec.surface else 0)
        named = dict(zip(SURFACE, added[n_words:], strict=True)) if self.spec.surface else {}
        return {"words": math.fsum(added[:n_words]), **named}


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
