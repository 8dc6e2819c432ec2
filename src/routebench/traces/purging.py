"""Taking texts out of traces for good; decisions, costs and times stay."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routebench.errors import InputError
from routebench.traces.journal import changing
from routebench.traces.packing import Packing
from routebench.traces.parquet import parquet_table, times_of, write_parquet
from routebench.traces.reading import TraceFolder
from routebench.traces.row import TEXTS
from routebench.traces.segments import JOURNAL
from routebench.traces.tables import read_journal

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class PurgedTraces:
    """What a purge took out.

    Attributes:
        n_rows: rows whose texts are gone.
        n_left: rows of that time that a gateway is still writing, with their texts.
    """

    n_rows: int
    n_left: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that `purge --json` prints."""
        return asdict(self)

    def __str__(self) -> str:
        told = f"texts of {self.n_rows} traces are gone; decisions, costs and times are kept"
        left = f"{self.n_left} more are being written just now: purge again in some seconds"
        return f"{told}; {left}" if self.n_left else told


def purge_texts(folder: Path, before: datetime) -> PurgedTraces:
    """Takes the texts of every row out that came before a moment; also while a gateway writes new ones.

    Args:
        folder: of traces.
        before: the moment; one without a zone is UTC.

    Raises:
        InputError: the folder or a file in it cannot be read or written; what was done until then stays done.
    """
    before = before if before.tzinfo else before.replace(tzinfo=UTC)
    n_rows = n_left = 0
    try:
        # What killed gateways left becomes Parquet first.
        Packing(folder, "").pack_all()
        with changing(folder):
            for segment in TraceFolder(folder).standing():
                path = folder / segment.name
                if segment.kind == JOURNAL:
                    with suppress(FileNotFoundError):
                        # An empty one goes with its writer.
                        n_left += _n_texts(read_journal(path.read_bytes()).table, before)
                elif times_of(path)[0] < before:
                    n_rows += _purge(path, before)
        for unread in folder.glob("*.unread"):
            # Nobody knows what such lines hold.
            unread.unlink()
    except OSError as error:
        raise InputError(
            f"traces {folder}: cannot be purged ({error.strerror or error}); mend that, and purge again"
        ) from None
    return PurgedTraces(n_rows, n_left)


def _purge(path: Path, before: datetime) -> int:
    """Writes a segment anew, and returns from how many rows something was taken."""
    from pyarrow import compute

    table = parquet_table(path)
    count = _n_texts(table, before)
    if count:
        gone = _earlier(table, before)
        for name in TEXTS:
            kept = compute.if_else(gone, None, table.column(name))
            table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), kept)
        write_parquet(path, [table])
    return count


def _n_texts(table: pa.Table, before: datetime) -> int:
    from functools import reduce

    from pyarrow import compute

    has_text = reduce(compute.or_, (compute.is_valid(table.column(name)) for name in TEXTS))
    return int(compute.sum(compute.and_(has_text, _earlier(table, before))).as_py() or 0)


def _earlier(table: pa.Table, before: datetime) -> pa.ChunkedArray:
    import pyarrow as pa
    from pyarrow import compute

    at = table.column("at")
    return compute.less(at, pa.scalar(before, at.type))
