"""Vectors on disk: what was once worked out, or paid for, is not asked for again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routebench.embedding.embedder import Embedder
from routebench.errors import MissingDependencyError, StoreError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_AT_ONCE = 256
"""Texts that are handed over together; their vectors are on disk before the next are asked for."""
_DIGEST_BYTES = 32


class Kept:
    """An embedder that looks into a file first, and keeps there what it had to ask for.

    The file holds digests of texts and their vectors, no text; it only grows, in records of one size, and a last one
    that a crash has cut off is written over. Several processes may use it.

    Args:
        embedder: makes what the file does not hold.
        folder: of the file; it is named by the embedder and what its vectors depend on.

    Attributes:
        name: the embedder's.
        key: likewise.
        dim: likewise.
        path: of the file.
        n_asked: texts that the embedder was asked for by this object.

    Raises:
        MissingDependencyError: filelock is not installed.
    """

    def __init__(self, embedder: Embedder, folder: str | Path) -> None:
        try:
            from filelock import FileLock
        except ImportError:
            raise MissingDependencyError(
                "vectors are kept in files of the workbench: pip install 'routebench[lab]'"
            ) from None
        self._embedder = embedder
        self.name, self.key, self.dim = embedder.name, embedder.key, embedder.dim
        digest = hashlib.sha256(f"{self.key}\n{self.dim}".encode()).hexdigest()[:16]
        self.path = Path(folder) / f"{self.name.replace('/', '-')}-{digest}.vectors"
        self.n_asked = 0
        self._lock = FileLock(f"{self.path}.lock")
        self._at: dict[bytes, npt.NDArray[np.float32]] = {}
        self._read = 0

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Returns rows of length 1, shape (n, dim).

        Raises:
            StoreError: the file cannot be read or written.
        """
        import numpy as np

        digests = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        self._look()
        missing = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in self._at}
        asked = list(missing)
        for start in range(0, len(asked), _AT_ONCE):
            some = asked[start : start + _AT_ONCE]
            self.n_asked += len(some)
            rows = self._embedder.embed([missing[digest] for digest in some])
            self._keep(some, rows)
        if not digests:
            return np.empty((0, self.dim), np.float32)
        return np.stack([self._at[digest] for digest in digests])

    @property
    def _record(self) -> Any:
        import numpy as np

        return np.dtype([("digest", np.uint8, _DIGEST_BYTES), ("vector", np.dtype("<f4"), self.dim)])

    def _look(self) -> None:
        """Takes in what the file holds more than when it was last read."""
        import numpy as np

        try:
            if not self.path.exists():
                return
            with self.path.open("rb") as file:
                file.seek(self._read)
                data = file.read()
        except OSError as error:
            raise StoreError(f"{self.path}: the vectors cannot be read: {error.strerror or error}") from None
        size = self._record.itemsize
        whole = len(data) // size * size
        for record in np.frombuffer(data[:whole], self._record):
            self._at[record["digest"].tobytes()] = record["vector"].astype(np.float32)
        self._read += whole

    def _keep(self, digests: Sequence[bytes], rows: npt.NDArray[np.float32]) -> None:
        import numpy as np

        records = np.zeros(len(digests), self._record)
        records["digest"] = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, _DIGEST_BYTES)
        records["vector"] = rows
        size = self._record.itemsize
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock, self.path.open("r+b" if self.path.exists() else "w+b") as file:
                file.seek(0, os.SEEK_END)
                file.seek(file.tell() // size * size)
                file.write(records.tobytes())
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreError(f"{self.path}: the vectors cannot be written: {error.strerror or error}") from None
        self._at.update(zip(digests, np.asarray(rows, np.float32), strict=True))
