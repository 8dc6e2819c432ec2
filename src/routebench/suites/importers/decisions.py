"""Recorded decisions of a router that runs elsewhere: a row a case, without any prompt text.

As JSON Lines, a first line may tell which router it was: `{"router": {"name": …, "version": …, "asked_at": …}}`. CSV
and Parquet have the rows alone.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from routebench.errors import OutcomesError
from routebench.suites.importers.frames import frames, records, text_or_none

_COLUMNS = ("prompt_id", "model")
_NEXT = ">"
"""Stands between the models of a chain."""


@dataclass(frozen=True, slots=True)
class RunningRouter:
    """Which router decided, and how it was asked.

    Attributes:
        name: what it is, such as `litellm complexity router`.
        version: as it tells it, None where it does not.
        way: how it was asked, such as `litellm-preview`.
        model: what its gateway calls it.
        suite: whose cases it was asked about.
        asked_at: when, in ISO 8601.
    """

    name: str
    version: str | None = None
    way: str | None = None
    model: str | None = None
    suite: str | None = None
    asked_at: str | None = None

    @property
    def title(self) -> str:
        """Name and version, for people."""
        return f"{self.name} {self.version}" if self.version else self.name


@dataclass(frozen=True, slots=True)
class RecordedDecision:
    """What a router did, or would do, with one case.

    Attributes:
        chain: the models in the order in which they are tried; empty while the decision is unknown.
        detail: what it told besides, such as a tier, a cause and a score.
        latency_s: seconds that deciding took, None while unknown.
        cost_usd: what deciding cost in US dollars, None while unknown.
        error: why there is no decision.
    """

    case_id: str
    chain: tuple[str, ...]
    detail: Mapping[str, Any] = field(default_factory=dict)
    latency_s: float | None = None
    cost_usd: float | None = None
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The row of a file."""
        row: dict[str, Any] = {"prompt_id": self.case_id, "model": _NEXT.join(self.chain) or None}
        if self.detail:
            row["detail"] = dict(self.detail)
        # Microseconds are finer than any clock that told them.
        row |= {"latency_s": None if self.latency_s is None else round(self.latency_s, 6), "cost_usd": self.cost_usd}
        return row if self.error is None else {**row, "error": self.error}


@dataclass(frozen=True, slots=True)
class RecordedDecisions:
    """The decisions of one file, by case.

    Attributes:
        router: which router it was, None where the file does not tell.
        source: the file.
    """

    router: RunningRouter | None
    by_case: Mapping[str, RecordedDecision]
    source: Path

    @property
    def title(self) -> str:
        """The router's name and version, else the file's stem."""
        return self.router.title if self.router is not None else self.source.stem

    @property
    def models(self) -> Counter[str]:
        """How often each model is tried first."""
        return Counter(row.chain[0] for row in self.by_case.values() if row.chain)

    @property
    def n_undecided(self) -> int:
        """How many cases have a row without a model."""
        return sum(not row.chain for row in self.by_case.values())


def read_decisions(path: str | Path) -> RecordedDecisions:
    """Reads recorded decisions: prompt_id, model; optional detail, latency_s, cost_usd, error.

    `model` may be a chain such as `small>large`; a row without one is a case whose decision is unknown.

    Raises:
        OutcomesError: the file cannot be read, a column is missing, a number is none, or a case has two decisions; the
            row is named.
    """
    path = Path(path)
    router: RunningRouter | None = None
    found: dict[str, RecordedDecision] = {}
    for number, record in enumerate(_rows(path), start=1):
        where = f"{path}: row {number}"
        if number == 1 and isinstance(record.get("router"), dict) and "prompt_id" not in record:
            router = _router(record["router"], where)
            continue
        for column in _COLUMNS:
            if column not in record:
                raise OutcomesError(f"{where}: no {column!r}; a row is {{prompt_id, model, latency_s?, cost_usd?}}")
        row = _decision(record, where)
        known = found.setdefault(row.case_id, row)
        if known is not row:
            if known.chain and row.chain and known.chain != row.chain:
                raise OutcomesError(
                    f"{where}: prompt_id {row.case_id!r} has two decisions, {_NEXT.join(known.chain)!r} and "
                    f"{_NEXT.join(row.chain)!r}; keep one"
                )
            found[row.case_id] = row if row.chain else known
    if not found and router is None:
        raise OutcomesError(f"{path}: holds no decision")
    return RecordedDecisions(router, found, path)


def router_line(router: RunningRouter) -> str:
    """Returns the first line of a file."""
    told = {name: getattr(router, name) for name in RunningRouter.__dataclass_fields__}
    return _line({"router": {name: value for name, value in told.items() if value is not None}})


def decision_line(row: RecordedDecision) -> str:
    """Returns the line of a row."""
    return _line(row.as_dict())


def _line(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n"


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    if path.suffix.lower() not in (".jsonl", ".ndjson"):
        for frame in frames(path, _COLUMNS):
            yield from ({str(name): value for name, value in row.items()} for row in frame.to_dict("records"))
        return
    if not path.is_file():
        raise OutcomesError(f"{path}: no such file; `routebench decisions URL --out {path}` makes it")
    # Only "\n" ends a record: texts hold other line separators.
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        yield from records(path, file)


def _router(told: Mapping[str, Any], where: str) -> RunningRouter:
    if not isinstance(told.get("name"), str):
        raise OutcomesError(f"{where}: `router` needs a `name`")
    fields = {name: text_or_none(told.get(name)) for name in RunningRouter.__dataclass_fields__ if name != "name"}
    return RunningRouter(told["name"], **fields)


def _decision(record: Mapping[str, Any], where: str) -> RecordedDecision:
    case_id = text_or_none(record["prompt_id"])
    if case_id is None:
        raise OutcomesError(f"{where}: prompt_id is empty; fill it in or drop the row")
    chain = tuple(part.strip() for part in (text_or_none(record["model"]) or "").split(_NEXT) if part.strip())
    detail = record.get("detail")
    return RecordedDecision(
        case_id,
        chain,
        detail=detail if isinstance(detail, dict) else {},
        latency_s=_amount(record, "latency_s", where),
        cost_usd=_amount(record, "cost_usd", where),
        error=text_or_none(record.get("error")),
    )


def _amount(record: Mapping[str, Any], name: str, where: str) -> float | None:
    value = record.get(name)
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if math.isnan(number):
        return None
    if not 0 <= number < math.inf:
        raise OutcomesError(f"{where}: {name} {value!r} is no amount; leave it empty while it is unknown")
    return number
