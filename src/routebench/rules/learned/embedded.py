"""Which embedder made the vectors of a library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from routebench.embedding.embedder import Embedder
from routebench.errors import RulesError


@dataclass(frozen=True, slots=True)
class EmbedderSpec:
    """What a library's vectors are from.

    Attributes:
        name: under which the embedder is found.
        key: names all that its vectors depend on.
        dim: the length of a vector.
    """

    name: str
    key: str
    dim: int

    @classmethod
    def of(cls, embedder: Embedder) -> Self:
        """Returns what an embedder is."""
        return cls(embedder.name, embedder.key, embedder.dim)

    def as_dict(self) -> dict[str, Any]:
        """The form that artifacts hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Reads the form of `as_dict`.

        Raises:
            RulesError: a key is missing, unknown or of another type.
        """
        kinds = {"name": str, "key": str, "dim": int}
        if not isinstance(data, Mapping) or set(data) != set(kinds):
            raise RulesError(f"an embedder is a mapping of {', '.join(kinds)}, not {data!r:.60}")
        for key, kind in kinds.items():
            if type(data[key]) is not kind or not data[key]:
                raise RulesError(f"an embedder needs {key}, of type {kind.__name__}")
        return cls(**data)

    def check(self, embedder: Embedder) -> None:
        """Checks that an embedder makes vectors that can be compared.

        Raises:
            RulesError: it makes others.
        """
        found = EmbedderSpec.of(embedder)
        if (found.key, found.dim) != (self.key, self.dim):
            raise RulesError(
                f"the library's vectors are by {self.key!r}, of length {self.dim}; the embedder {self.name!r} here "
                f"makes {found.key!r}, of length {found.dim}: hand over the same one, or build the library again"
            )
