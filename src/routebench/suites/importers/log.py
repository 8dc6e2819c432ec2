"""Logs of production, one call at a time: what is skipped, what repeats, and which file is none of the format."""

from __future__ import annotations

import csv
import hashlib
import json
from array import array
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from routebench.errors import OutcomesError
from routebench.suites.importers.answers import Answer
from routebench.suites.importers.frames import Tally
from routebench.suites.importers.lines import is_json_lines, json_array, json_document, lines, parse_line
from routebench.types import Message

_HEAD = 200
"""Records that are looked at before a file is believed to be what it is said to be."""
_MASK = (1 << 64) - 1

Entry = tuple[str, dict[str, Any], bytes]
"""Where a record stands, the record, and the bytes by which repeats of it are known."""
Sifted = tuple[tuple[Message, ...], str, str | None]
"""The messages that were sent, the model, and the log's own id of the call."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Why a record is no call to bring in.

    Attributes:
        reason: told with the number of such records.
        is_foreign: whether the record is none of the format at all.
    """

    reason: str
    is_foreign: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One call as a log holds it, with what every format knows of it."""

    record: dict[str, Any]
    messages: tuple[Message, ...]
    model: str
    case_id: str
    where: str


@dataclass(frozen=True, slots=True)
class Log:
    """What sets one format of logs apart.

    Attributes:
        name: of the format.
        time: the key of a record's time; a record without id is known again by its bytes only where it has one.
        entries: reads a file record by record.
        sift: tells the calls from what is skipped; decides alone which places are counted.
        answer: reads a call.
    """

    name: str
    time: str
    entries: Callable[[Path], Iterator[Entry]]
    sift: Callable[[dict[str, Any]], Sifted | Skip]
    answer: Callable[[Call, Tally], Answer]


def read_log(log: Log, paths: Sequence[Path], tally: Tally, only: Container[int] | None) -> Iterator[Answer]:
    """Yields the answers of a log, as `Read` says.

    Raises:
        OutcomesError: a file is none of the format, an id stands for two calls, or a value cannot be what it says.
    """
    known = _Digests()
    ordinal = 0
    for path in paths:
        entries = log.entries(path)
        head = list(islice(entries, _HEAD))
        _check(log, path, head)
        for where, record, data in chain(head, entries):
            sifted = log.sift(record)
            if isinstance(sifted, Skip):
                tally.skipped[sifted.reason] += 1
                continue
            messages, model, identity = sifted
            if (identity is not None or record.get(log.time)) and _is_repeat(known, identity, data, where):
                tally.skipped["exact repeats of a line"] += 1
                continue
            if only is None or ordinal in only:
                case_id = identity or f"{_stable(data)}-{ordinal}"
                answer = log.answer(Call(record, messages, model, case_id, where), tally)
                _count_unknown(answer, tally)
                yield answer
            ordinal += 1


def json_entries(path: Path) -> Iterator[Entry]:
    """Yields the objects of JSON Lines or of a JSON array.

    Raises:
        OutcomesError: the file is neither.
    """
    name = str(path)
    if is_json_lines(path) or _first_sign(path) == b"{":
        for number, line in lines(path):
            yield f"{name}:{number}", parse_line(path, number, line), line.rstrip()
    elif _first_sign(path) == b"[":
        for number, record in json_array(path):
            yield f"{name}: record {number}", record, dumped(record)
    else:
        raise OutcomesError(f"{path}: neither JSON Lines nor a JSON array{_table_hint(path)}")


def any_entries(path: Path) -> Iterator[Entry]:
    """Yields the objects of JSON Lines or of a JSON array, or the one object that the whole file is.

    Raises:
        OutcomesError: the file is no JSON.
    """
    if not is_json_lines(path) and _first_sign(path) == b"{":
        document = json_document(path)
        yield str(path), document, dumped(document)
    else:
        yield from json_entries(path)


def is_json(path: Path) -> bool:
    """Whether a file begins like JSON."""
    return _first_sign(path) in (b"{", b"[")


def is_litellm(record: Mapping[str, Any]) -> bool:
    """Whether a record has what LiteLLM alone writes."""
    return "call_type" in record and ("response_cost" in record or "spend" in record or "model_group" in record)


def dumped(record: Any) -> bytes:
    """Returns bytes by which a record is known again that has no line of its own."""
    return json.dumps(record).encode()


def missing(name: str) -> Skip:
    """Returns the reason for records without what the format needs."""
    return Skip(f"lines without {name}", is_foreign=True)


def _check(log: Log, path: Path, head: Sequence[Entry]) -> None:
    """Holds the first records against the format."""
    sifted = [(entry, log.sift(entry[1])) for entry in head]
    foreign = [(entry, found.reason) for entry, found in sifted if isinstance(found, Skip) and found.is_foreign]
    if 2 * len(foreign) > len(head):
        (where, record, _), reason = foreign[0]
        likely = [name for name, marks in _MARKS if name != log.name and marks(record)]
        hint = (
            f"it looks like {' or '.join(likely)}"
            if likely
            else f"its keys there are {', '.join(list(record)[:8]) or 'none'}"
        )
        raise OutcomesError(
            f"{path}: no {log.name} log: {len(foreign)} of its first {len(head)} records are none, as {where} is one "
            f"of the {reason}; {hint}"
        )


def _is_repeat(known: _Digests, identity: str | None, data: bytes, where: str) -> bool:
    digest = hash(data) & _MASK
    before = known.put(digest if identity is None else hash(identity) & _MASK, digest)
    if before is None:
        return False
    if before != digest:
        raise OutcomesError(f"{where}: id {identity!r} has come before with other content; give every call its own id")
    return True


def _count_unknown(answer: Answer, tally: Tally) -> None:
    unknown = tally.unknown
    if answer.started_at is None:
        unknown["timestamp"] += 1
    if answer.cost_usd is None:
        unknown["cost_usd"] += 1
    if answer.latency_s is None:
        unknown["latency_s"] += 1
    if answer.score is None:
        unknown["scores"] += 1
    if answer.usage.input_tokens is None:
        unknown["input_tokens"] += 1
    if answer.usage.output_tokens is None:
        unknown["output_tokens"] += 1
    if answer.text is None and not answer.tool_calls and answer.error_kind is None:
        unknown["response"] += 1


def _stable(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def _first_sign(path: Path) -> bytes:
    for _, line in lines(path):
        return line.lstrip()[:1]
    raise OutcomesError(f"{path}: the file is empty")


def _table_hint(path: Path) -> str:
    """What the first line of a file that is no JSON tells, where it is the head of a table."""
    _, line = next(lines(path))
    if line.startswith(b"PAR1"):
        return "; it looks like Parquet"
    names = next(csv.reader([line[:4096].decode(errors="replace")]), [])
    if {"traceId", "trace_id"} & set(names):
        return "; it looks like langfuse"
    return f"; it looks like a table with columns {', '.join(names[:6])}" if len(names) > 1 else ""


def _has(*names: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda record: any(name in record for name in names)


_TYPED, _TRACED = _has("type", "name"), _has("traceId", "trace_id")
_ASKED, _SPANS = _has("messages", "prompt"), _has("resourceSpans", "resource_spans")
_MARKS: tuple[tuple[str, Callable[[Mapping[str, Any]], bool]], ...] = (
    ("litellm-log", is_litellm),
    ("otel", lambda record: _SPANS(record) or isinstance(record.get("attributes"), (dict, list))),
    ("langfuse", lambda record: _TYPED(record) and _TRACED(record) and "attributes" not in record),
    ("jsonl", lambda record: "model" in record and _ASKED(record)),
)


class _Digests:
    """Digests of 64 bits by digests of 64 bits, in 24 to 48 bytes an entry, where a dict takes some 150."""

    def __init__(self) -> None:
        self._size, self._used = 1 << 10, 0
        self._keys, self._values = self._empty(), self._empty()

    def put(self, key: int, value: int) -> int | None:
        """Returns what the key holds; where it is new, takes the value and returns None."""
        key = key or 1  # 0 marks a free place
        keys, mask = self._keys, self._size - 1
        place = key & mask
        while held := keys[place]:
            if held == key:
                return self._values[place]
            place = (place + 1) & mask
        keys[place], self._values[place] = key, value
        self._used += 1
        if 3 * self._used > 2 * self._size:
            self._grow()
        return None

    def _grow(self) -> None:
        old = zip(self._keys, self._values, strict=True)
        self._size *= 2
        self._keys, self._values = keys, values = self._empty(), self._empty()
        mask = self._size - 1
        for key, value in old:
            if key:
                place = key & mask
                while keys[place]:
                    place = (place + 1) & mask
                keys[place], values[place] = key, value

    def _empty(self) -> array[int]:
        return array("Q", bytes(8 * self._size))
