"""Bringing files of other tools into a store, one answer at a time, whatever their size."""

from __future__ import annotations

import hashlib
import json
import pickle
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from routebench.errors import OutcomesError
from routebench.importing.naming import check_name, register_all, request_key
from routebench.importing.outcomes import CELLS, GRADES
from routebench.importing.told import Imported
from routebench.redact import FULL, Privacy
from routebench.store import (
    Added,
    Store,
    Table,
    add_import,
    read_content_hashes,
    registered_mark,
    sparingly,
    upload,
)
from routebench.suites import content_hash
from routebench.suites.importers import Answer, Format, Tally
from routebench.types import Case

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_AT_ONCE = 2_000
_PART_ROWS, _PART_BYTES = 20_000, 16 << 20
"""Of what is written at once: of a million answers this took 170 MB less than DuckDB's whole row groups, and 10 % more
time."""
_TABLES = (
    Table(
        "completions",
        ("request_key", "run_id"),
        ("started_at",),
        """
        SELECT request_key, 'import' AS run_id, if(error_kind IS NULL, 'ok', 'error') AS status, error_kind,
            response AS text, tool_calls::JSON AS tool_calls, finish_reason, input_tokens, cached_input_tokens,
            cache_write_tokens, output_tokens, reasoning_tokens, cost_usd, latency_s, ttft_s,
            'standard' AS service_tier, 1 AS attempts, coalesce(started_at, told_at) AS started_at
        FROM incoming""",
    ),
    CELLS,
    GRADES,
)


def import_answers(
    store: Store, suite: str, form: Format, files: Sequence[Path], *, at: datetime, privacy: Privacy = FULL
) -> Imported:
    """Reads files of one format into the store under a suite's name.

    Everything is read and checked before the store is touched.

    Args:
        store: where answers go.
        suite: the suite's name.
        form: what the files are.
        files: all of them.
        at: when rows are said to be from that do not tell.
        privacy: what is kept of texts.

    Raises:
        OutcomesError: a file cannot be used, or the name stands for other prompts; the store is as it was.
    """
    tally = Tally()
    with _Spool(suite, at, privacy, numbered=not form.is_log) as spool:
        for answer in form.read(files, tally, None):
            spool.add(answer)
            tally.rows += 1
        spool.finish()
        if not tally.rows:
            reasons = "; ".join(f"{count} {reason}" for reason, count in tally.skipped.items()) or "it is empty"
            raise OutcomesError(f"{', '.join(map(str, files))}: holds no answer ({reasons})")
        _check(store, suite, spool)
        models, mark = tuple(spool.models), spool.mark
        sparingly(store, lambda: register_all(store, suite, spool.cases(), models, at, mark))
        added = {table.name: _write(store, spool, table) for table in _TABLES}
    add_import(store, suite, form=form.name, files=[str(path) for path in files], is_log=form.is_log, at=at)
    return Imported(spool.n_cases, tally.rows, models, added["completions"], added["grades"], tally)


def _check(store: Store, suite: str, spool: _Spool) -> None:
    """Holds the cases against those that the name stands for."""
    if registered_mark(store, suite) == spool.mark:
        return
    known = read_content_hashes(store, suite)
    if known:
        changed = [pair for pair in spool.cases() if known.get(pair[0].id, pair[1]) != pair[1]]
        # A million hashes need not stand in memory twice.
        known.clear()
        check_name(store, suite, changed)


def _write(store: Store, spool: _Spool, table: Table) -> Added:
    """Writes every answer to one table: the indexes of three at a time would take three times the memory."""
    with upload(store) as rows:
        for part in _parts(spool.rows()):
            rows.write(part, (table,))
        return rows.added(table.name)


def _parts(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yields small batches as parts; of long answers fewer make one."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(one.num_rows for one in held) >= _PART_ROWS or sum(one.nbytes for one in held) >= _PART_BYTES:
            yield pa.Table.from_batches(held)
            held.clear()
    if held:
        yield pa.Table.from_batches(held)


class _Spool:
    """Cases and answers in files, so that a bad line at the end leaves the store as it was, and memory stays flat.

    Args:
        suite: the suite's name.
        at: when rows are from that do not tell.
        privacy: what is kept of texts.
        numbered: whether an answer may be one of several to the same prompt.
    """

    def __init__(self, suite: str, at: datetime, privacy: Privacy, *, numbered: bool) -> None:
        self.models: dict[str, None] = {}
        self._suite = suite
        self._at = at.astimezone(UTC).replace(tzinfo=None)
        self._privacy = privacy
        self._samples: dict[tuple[str, str], int] | None = {} if numbered else None
        # Of ids and contents 64 bits. The readers of logs see to it that no id comes twice: a million more here would
        # take 200 MB.
        self._seen: dict[int, int] | None = {} if numbered else None
        self._n_cases = 0
        # Several calls of one request follow each other, and share its case.
        self._case: Case | None = None
        self._held: list[dict[str, Any]] = []
        self._digest = hashlib.sha256()

    def __enter__(self) -> Self:
        from pyarrow import ipc

        self._cases: IO[bytes] = tempfile.TemporaryFile()
        self._answers: IO[bytes] = tempfile.TemporaryFile()
        self._writer = ipc.new_stream(self._answers, _schema())
        return self

    def __exit__(self, *_: object) -> None:
        self._cases.close()
        self._answers.close()

    @property
    def n_cases(self) -> int:
        """Prompts so far."""
        return self._n_cases

    @property
    def mark(self) -> str:
        """Names every case that was added, and the models."""
        digest = self._digest.copy()
        digest.update(repr(tuple(self.models)).encode())
        return digest.hexdigest()

    def add(self, answer: Answer) -> None:
        """Takes an answer.

        Raises:
            OutcomesError: its case's id stands for another prompt already.
        """
        content = content_hash(answer.case)
        if answer.case is not self._case:
            self._add_case(answer.case, content, answer.where)
            self._case = answer.case
        self.models.setdefault(answer.model)
        self._held.append(self._row(answer))
        if len(self._held) >= _ROWS_AT_ONCE:
            self._flush()

    def finish(self) -> None:
        """Writes what is held back."""
        self._flush()
        self._writer.close()

    def cases(self) -> Iterator[tuple[Case, str]]:
        """Yields what may be kept of the cases, each with the hash of the whole."""
        self._cases.seek(0)
        for _ in range(self.n_cases):
            yield pickle.load(self._cases)  # noqa: S301 - our own file, which nobody else can open

    def rows(self) -> Iterator[pa.RecordBatch]:
        """Yields the answers."""
        from pyarrow import ipc

        self._answers.seek(0)
        yield from ipc.open_stream(self._answers)

    def _add_case(self, case: Case, content: str, where: str) -> None:
        if self._seen is not None:
            digest = int(content, 16)
            known = self._seen.setdefault(_short(case.id), digest)
            if known != digest:
                raise OutcomesError(f"{where}: id {case.id!r} stands for two different prompts; give each its own id")
            if len(self._seen) == self._n_cases:
                return
        self._n_cases += 1
        told = (case.id, content, case.category, case.group, case.weight, case.split)
        self._digest.update(repr(told).encode())
        pickle.dump((self._privacy.of_case(case), content), self._cases, protocol=pickle.HIGHEST_PROTOCOL)

    def _row(self, answer: Answer) -> dict[str, Any]:
        case_id, usage = answer.case.id, answer.usage
        sample = answer.sample if answer.sample is not None else self._next_sample(case_id, answer.model)
        kept = [asdict(call) for call in self._privacy.of_calls(answer.tool_calls)]
        began = answer.started_at
        return {
            "suite": self._suite,
            "request_key": request_key(self._suite, case_id, answer.model, sample),
            "case_id": case_id,
            "model": answer.model,
            "sample": sample,
            "error_kind": answer.error_kind,
            "score": answer.score,
            "response": self._privacy.of_text(answer.text),
            "tool_calls": json.dumps(kept, ensure_ascii=False) if kept else None,
            "finish_reason": answer.finish_reason,
            "cost_usd": answer.cost_usd,
            "latency_s": answer.latency_s,
            "ttft_s": answer.ttft_s,
            "input_tokens": usage.input_tokens,
            "cached_input_tokens": usage.cached_input_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "output_tokens": usage.output_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "started_at": None if began is None else began.astimezone(UTC).replace(tzinfo=None),
            "told_at": self._at,
        }

    def _next_sample(self, case_id: str, model: str) -> int:
        if self._samples is None:
            return 0
        number = self._samples.get((case_id, model), 0)
        self._samples[case_id, model] = number + 1
        return number

    def _flush(self) -> None:
        import pyarrow as pa

        if self._held:
            self._writer.write_table(pa.Table.from_pylist(self._held, schema=_schema()))
            self._held = []


def _schema() -> pa.Schema:
    import pyarrow as pa

    texts = ("suite", "request_key", "case_id", "model", "error_kind", "response", "tool_calls", "finish_reason")
    counts = ("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
    return pa.schema(
        [
            *((name, pa.string()) for name in texts),
            ("sample", pa.int32()),
            *((name, pa.float64()) for name in ("score", "cost_usd", "latency_s", "ttft_s")),
            *((name, pa.int64()) for name in counts),
            *((name, pa.timestamp("us")) for name in ("started_at", "told_at")),
        ]
    )


def _short(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
