"""What an embedder is, and where one is found by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from routebench.errors import InputError, nearest

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

GROUP = "routebench.embedders"


class Embedder(Protocol):
    """Turns texts into directions, each from its own text alone.

    Attributes:
        name: what settings call it, such as `minilm`.
        key: names all that a vector depends on; vectors of different keys cannot be compared.
        dim: the length of a vector.
    """

    @property
    def name(self) -> str:
        """What settings call it."""
        ...

    @property
    def key(self) -> str:
        """Names all that a vector depends on."""
        ...

    @property
    def dim(self) -> int:
        """The length of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Returns rows of length 1, shape (n, dim); a row of zeros for a text that says nothing."""
        ...


def find_embedder(name: str, given: Mapping[str, Embedder] | None = None) -> Embedder:
    """Returns an embedder by its name: one of those given, else one that an installed package offers.

    Packages offer theirs under the entry point group `routebench.embedders`, as a callable without arguments.

    Args:
        name: such as `minilm`.
        given: by name; what needs a key or an address can only be given.

    Raises:
        InputError: there is none of that name.
        MissingDependencyError: it needs a package that is not installed.
    """
    known = dict(given or {})
    if name in known:
        return known[name]
    # Late: it takes as long to import as all conditions together.
    from importlib.metadata import entry_points

    offered = {point.name: point for point in entry_points(group=GROUP)}
    if name in offered:
        made: Embedder = offered[name].load()()
        return made
    names = sorted({*known, *offered})
    raise InputError(
        f"there is no embedder {name!r}{nearest(name, names)}; here are: {', '.join(names) or 'none'}; "
        f"hand yours over by that name, as in embedders={{{name!r}: ...}}"
    )


def unit_rows(rows: Any) -> npt.NDArray[np.float32]:
    """Returns rows divided by their Euclidean length, as 32-bit floats; a row of zeros stays one."""
    import numpy as np

    whole = np.asarray(rows, dtype=np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", whole, whole))[:, None]
    unit: npt.NDArray[np.float64] = np.divide(whole, lengths, out=np.zeros_like(whole), where=lengths > 0)
    return unit.astype(np.float32)
