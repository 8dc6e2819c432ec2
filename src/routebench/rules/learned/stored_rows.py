"""The rows of a library as its artifact holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routebench.errors import RulesError
from routebench.rules.learned.artifact import Artifact
from routebench.rules.learned.embedded import EmbedderSpec
from routebench.rules.learned.features import FeatureSpec
from routebench.rules.learned.head import SparseRows, features_of
from routebench.rules.learned.postings import sparse

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Rows = SparseRows | npt.NDArray[np.float32]

SPARSE = ("lengths", "columns", "values")
"""How many numbers each row has, and where and what these are; with a last number that belongs to no row."""
DENSE = ("vectors",)
_TOLERANCE = 0.01
"""Rows of 16-bit floats are not quite of length 1."""


def tensors_of(rows: Any, *, half: bool) -> dict[str, npt.NDArray[Any]]:
    """Returns rows as the tensors of an artifact.

    Args:
        rows: sparse ones or an array.
        half: whether in 16 bits.
    """
    import numpy as np

    kind = np.float16 if half else np.float32
    if not isinstance(rows, SparseRows):
        return {"vectors": rows.astype(kind)}
    return {
        # Whole numbers up to 2**24 are exact in 32 bits.
        "lengths": np.diff(rows.starts).astype(np.float32),
        "columns": np.append(rows.columns, 0).astype(np.float32),
        "values": np.append(rows.values, 0).astype(kind),
    }


def reads_of(artifact: Artifact) -> FeatureSpec | EmbedderSpec:
    """Returns what an artifact's rows were made by.

    Raises:
        RulesError: its metadata does not say, or says both.
    """
    if "embedder" not in artifact.metadata:
        return features_of(artifact)
    try:
        return EmbedderSpec.from_dict(artifact.metadata["embedder"])
    except RulesError as error:
        raise RulesError(f"{artifact.where}: {error}") from None


def rows_of(artifact: Artifact, reads: FeatureSpec | EmbedderSpec) -> Rows:
    """Returns an artifact's rows.

    Raises:
        RulesError: they have another shape, or are no rows of these features.
    """
    import numpy as np

    width = width_of(reads)
    if "vectors" in artifact.tensors:
        return artifact.tensor("vectors", (None, width)).astype(np.float32, copy=False)
    lengths = artifact.tensor("lengths", (None,)).astype(np.float64)
    columns = artifact.tensor("columns", (None,)).astype(np.float64)
    values = artifact.tensor("values", (len(columns),)).astype(np.float64)
    whole = (np.round(lengths) == lengths).all() and (np.round(columns) == columns).all()
    n = lengths.sum() + 1
    if not whole or (lengths < 0).any() or n != len(columns) or (columns < 0).any() or (columns >= width).any():
        raise RulesError(f"{artifact.where}: lengths, columns and values are no rows of {width} columns")
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.intp)
    found = columns[:-1].astype(np.intp)
    within = np.delete(np.diff(found), starts[1:-1][(starts[1:-1] > 0) & (starts[1:-1] < len(found))] - 1)
    if (within <= 0).any():
        raise RulesError(f"{artifact.where}: the columns of a row do not rise")
    return SparseRows(starts, found, values[:-1])


def checked_rows(rows: Rows, reads: FeatureSpec | EmbedderSpec) -> Rows:
    """Returns rows in the form that is searched.

    Raises:
        RulesError: their width is another one, or they are not of length 1 or 0.
    """
    import numpy as np

    width = width_of(reads)
    if isinstance(rows, SparseRows):
        row = np.repeat(np.arange(len(rows.starts) - 1), np.diff(rows.starts))
        squares = np.bincount(row, rows.values**2, minlength=len(rows.starts) - 1)
    else:
        if rows.ndim != 2 or rows.shape[1] != width:
            raise RulesError(f"the rows of a library are {rows.shape}, not (n, {width})")
        squares = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    if not ((squares == 0) | (np.abs(squares - 1) < _TOLERANCE)).all():
        raise RulesError("a row of the library's vectors is not of length 1")
    if isinstance(reads, FeatureSpec) and not isinstance(rows, SparseRows):
        return sparse(rows)
    return rows


def width_of(reads: FeatureSpec | EmbedderSpec) -> int:
    """Returns the length of a row."""
    return reads.width if isinstance(reads, FeatureSpec) else reads.dim


def count_of(rows: Rows) -> int:
    """Returns the number of rows."""
    return len(rows.starts) - 1 if isinstance(rows, SparseRows) else len(rows)
