"""What our own gateway wrote: its traces, as folders or as files of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routebench.errors import OutcomesError
from routebench.suites.importers.amounts import amount, count
from routebench.suites.importers.answers import Answer, Format
from routebench.suites.importers.chat import error_kind, mapping, tool_calls, tools
from routebench.suites.importers.frames import Tally
from routebench.suites.importers.log import Call, Entry, Log, Sifted, Skip, read_log
from routebench.suites.importers.outcomes import GRADER
from routebench.traces.reading import each_table, whole_files
from routebench.types import ERROR_KINDS, Case, ErrorKind, GraderSpec, Request, Usage

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_AT_ONCE = 2_000
_GRADER = GraderSpec(GRADER)
_NO_CALL = Skip("requests for which no model was asked: the gateway refused them")
_CANCELLED = Skip("calls that the client did not wait for")
_NO_TEXTS = "answers whose texts the gateway did not keep"


def _read(paths: Sequence[Path], tally: Tally, only: Container[int] | None) -> Iterator[Answer]:
    yield from read_log(Log("traces", "at", _entries, _sift, _Calls().answer), paths, tally, only)


FORMAT = Format(
    "traces",
    "traces of `routebench serve`: their folder, or files of it; a call to a model is an outcome",
    _read,
    is_log=True,
    files=whole_files,
)


def _entries(path: Path) -> Iterator[Entry]:
    """Yields the calls of every request; of a request without one the request itself."""
    number = 0
    for table in each_table(path):
        for row in _rows(table):
            where = f"{path}: trace {row['trace_id']}"
            number += 1
            seen: Counter[str] = Counter()
            for place, attempt in enumerate(row["attempts"] or [None]):
                record = {**row, "attempt": attempt, "place": place}
                if attempt is not None:
                    # A model may be asked at two places for one request.
                    record["sample"] = seen[attempt["model"]]
                    seen[attempt["model"]] += 1
                yield where, record, f"{row['trace_id']} {place} {row['at']} {row['latency_s']}".encode()
    if not number:
        raise OutcomesError(f"{path}: holds no traces yet; give the folder that `routebench serve --traces` writes")


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(_ROWS_AT_ONCE):
        yield from batch.to_pylist()


def _sift(record: dict[str, Any]) -> Sifted | Skip:
    attempt = record["attempt"]
    if attempt is None:
        return _NO_CALL
    if attempt["verdict"] == "cancelled":
        return _CANCELLED
    sent = json.loads(record["messages"]) if record["messages"] else ()
    return tuple(sent), attempt["model"], f"{record['trace_id']}/{record['place']}"


class _Calls:
    """Reads calls; those of one request share its case."""

    def __init__(self) -> None:
        self._case = Case("", Request(()))

    def answer(self, call: Call, tally: Tally) -> Answer:
        row, attempt = call.record, call.record["attempt"]
        case = self._case_of(row, call)
        said = row if attempt["verdict"] == "accepted" else {}
        kind = _kind(attempt, tally)
        if kind is None and said.get("answer") is None and not said.get("tool_calls"):
            tally.noted[_NO_TEXTS if said else "answers that a cascade refused, whose texts nobody kept"] += 1
        return Answer(
            case,
            call.model,
            error_kind=kind,
            text=said.get("answer"),
            tool_calls=tool_calls(said.get("tool_calls")),
            finish_reason=said.get("finish_reason"),
            usage=Usage(
                count(attempt["input_tokens"], "input_tokens", call.where),
                count(attempt["output_tokens"], "output_tokens", call.where),
                cached_input_tokens=count(said.get("cached_input_tokens"), "cached_input_tokens", call.where),
                reasoning_tokens=count(said.get("reasoning_tokens"), "reasoning_tokens", call.where),
            ),
            cost_usd=amount(attempt["cost_usd"], "cost_usd", call.where),
            latency_s=amount(attempt["latency_s"], "latency_s", call.where),
            ttft_s=amount(attempt["ttft_s"], "ttft_s", call.where) if row["streamed"] else None,
            started_at=row["at"],
            sample=row["sample"],
            conversation=row["conversation"],
            where=call.where,
        )

    def _case_of(self, row: Mapping[str, Any], call: Call) -> Case:
        if self._case.id != row["trace_id"]:
            sent = mapping(row["request"])
            request = Request(
                call.messages,
                tools=tools(sent.get("tools")),
                response_format=mapping(sent.get("response_format")) or None,
                params=mapping(sent.get("params")),
                tags=tuple(row["tags"] or ()),
            )
            self._case = Case(row["trace_id"], request, grader=_GRADER, category=row["rule"], group=row["conversation"])
        return self._case


def _kind(attempt: Mapping[str, Any], tally: Tally) -> ErrorKind | None:
    if attempt["verdict"] != "failed":
        return None
    told = attempt["error_kind"]
    return told if told in ERROR_KINDS else error_kind(None, told or "", tally)
