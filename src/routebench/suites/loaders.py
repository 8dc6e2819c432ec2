"""Reading a suite from JSONL, CSV or Parquet; every bad row is named by file and line."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from routebench.errors import MissingDependencyError, SuiteError, nearest
from routebench.suites.suite import Suite
from routebench.types import Case, GraderSpec, Request, Split

GRADER_NAMES = (
    "exact",
    "contains",
    "regex",
    "numeric",
    "choice",
    "json_schema",
    "code",
    "judge",
    "pairwise",
    "human",
    "imported",
    "none",
)
"""Graders that a row may name."""
_WITHOUT_TARGET = ("json_schema", "code", "judge", "human", "imported", "none")

_MAX_PROBLEMS = 10
# One for all: a suite of a hundred thousand rows holds a hundred thousand references to these.
_NO_PARAMS: Mapping[str, Any] = {}
_JSON_COLUMNS = frozenset({"messages", "metadata", "params", "response_format", "tools"})
_PLAIN_GRADERS = {name: GraderSpec(name) for name in GRADER_NAMES}


class _Row(BaseModel):
    """One row of a suite file, as users write it."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = None
    prompt: str | None = None
    messages: list[dict[str, Any]] | None = None
    target: Any = None
    grader: str | dict[str, Any] = "none"
    category: str | None = None
    # Not lists and dicts as defaults: they would be copied for every row.
    tags: tuple[str, ...] = ()
    group: str | None = None
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    stakes_usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    tools: tuple[dict[str, Any], ...] = ()
    response_format: dict[str, Any] | None = None
    params: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    split: Split | None = None
    reference: Any = None


def load_suite(
    path: str | Path, *, name: str | None = None, fields: Mapping[str, str] | None = None, seal: float = 0.0
) -> Suite:
    """Reads a suite file.

    Args:
        path: a `.jsonl`, `.csv` or `.parquet` file.
        name: the suite's name, else the file's stem.
        fields: our field -> the file's column, for files with other names.
        seal: share of the groups that are sealed, told by a hash of the group: none moves when others are added.

    Raises:
        SuiteError: the file cannot be read, or rows cannot be used; the first ten are named with their lines.
    """
    path = Path(path)
    if not path.is_file():
        raise SuiteError(f"{path}: no such suite file; `suite:` is read relative to the file that names it")
    problems: list[str] = []
    cases: list[Case] = []
    seen: dict[str, int] = {}
    stem = path.stem
    for line, row in _rows(path):
        where = f"{path}:{line}"
        try:
            case = parse_row(_renamed(row, fields) if fields else row, where=where, default_id=f"{stem}-{line:04d}")
        except SuiteError as error:
            problems.append(str(error))
        else:
            if case.id in seen:
                first = seen[case.id]
                problems.append(f"{where}: case id {case.id!r} was already used at line {first}; give it its own id")
            seen.setdefault(case.id, line)
            cases.append(case)
        if len(problems) >= _MAX_PROBLEMS:
            problems.append("… and perhaps more: mend these first")
            break
    if problems:
        raise SuiteError("\n".join(problems))
    if seal:
        cases = [replace(case, split="sealed") if is_sealed(case.group or case.id, seal) else case for case in cases]
    told = json.dumps([fields, seal], sort_keys=True)
    digest = hashlib.sha256(path.read_bytes() + told.encode()).hexdigest()
    return Suite(name or path.stem, tuple(cases), source=str(path), fingerprint=digest)


def is_sealed(group: str, share: float) -> bool:
    """Whether a group is among the share that is sealed."""
    return int(hashlib.sha256(f"seal\x00{group}".encode()).hexdigest()[:8], 16) < share * 16**8


def parse_row(row: Mapping[str, Any], *, where: str, default_id: str) -> Case:
    """Turns one row into a Case.

    Raises:
        SuiteError: the row cannot be used; the text starts with `where`.
    """
    try:
        parsed = _Row.model_validate(row)
    except ValidationError as error:
        raise SuiteError(f"{where}: {_first_problem(error)}") from None
    if (parsed.prompt is None) == (parsed.messages is None):
        raise SuiteError(f"{where}: a row needs either `prompt` or `messages`, and not both")
    messages = parsed.messages if parsed.messages is not None else [{"role": "user", "content": parsed.prompt}]
    if not messages or not any(message.get("role") == "user" for message in messages):
        raise SuiteError(f"{where}: `messages` holds no message with role 'user'")
    target, named = parsed.target, parsed.grader
    if target is None and parsed.reference is not None:
        # No right answer is known: what can be asked is whether an answer is as good as the one that was given.
        target = parsed.reference
        named = {"name": "pairwise", "verdict": "no_worse"} if named == "none" else named
    grader = _grader(named, where)
    if grader.name not in _WITHOUT_TARGET and target is None:
        raise SuiteError(f"{where}: grader {grader.name!r} needs a `target`; add one, or use grader 'none'")
    request = Request(
        messages=tuple(messages),
        tools=parsed.tools,
        response_format=parsed.response_format,
        params=_NO_PARAMS if parsed.params is None else parsed.params,
        metadata=_NO_PARAMS if parsed.metadata is None else parsed.metadata,
        tags=parsed.tags,
    )
    return Case(
        id=parsed.id or default_id,
        request=request,
        target=target,
        grader=grader,
        category=parsed.category,
        group=parsed.group,
        weight=parsed.weight,
        stakes_usd=parsed.stakes_usd,
        split=parsed.split,
    )


def _grader(value: str | dict[str, Any], where: str) -> GraderSpec:
    if isinstance(value, str):
        name, options = value, {}
    else:
        options = dict(value)
        name = options.pop("name", None)
        if not isinstance(name, str):
            raise SuiteError(f"{where}: a grader with options is written {{name: …, option: value}}; `name` is missing")
    if name not in GRADER_NAMES:
        known = ", ".join(GRADER_NAMES)
        raise SuiteError(f"{where}: unknown grader {name!r}{nearest(name, GRADER_NAMES)}; known: {known}")
    return GraderSpec(name, options) if options else _PLAIN_GRADERS[name]


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        key = str(first["loc"][-1])
        return f"unknown key {key!r}{nearest(key, _Row.model_fields)}; known: {', '.join(_Row.model_fields)}"
    return f"`{place}`: {first['msg'][0].lower()}{first['msg'][1:]}, got {first['input']!r}"


def _renamed(row: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    # With a field map, columns that it does not name are the user's own and are left out.
    return {ours: row[theirs] for ours, theirs in fields.items() if row.get(theirs) is not None}


def _rows(path: Path) -> Iterable[tuple[int, dict[str, Any]]]:
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return _jsonl_rows(path)
    if suffix == ".csv":
        return _csv_rows(path)
    if suffix == ".parquet":
        return _parquet_rows(path)
    raise SuiteError(f"{path}: a suite is a .jsonl, .csv or .parquet file")


def _jsonl_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    # newline="\n": splitting on anything else breaks records that hold other line separators in a text.
    with path.open(encoding="utf-8", newline="\n") as file:
        try:
            for line, text in enumerate(file, start=1):
                if not text.strip():
                    continue
                try:
                    row = json.loads(text)
                except json.JSONDecodeError as error:
                    raise SuiteError(f"{path}:{line}: not valid JSON ({error.msg} at column {error.colno})") from None
                if not isinstance(row, dict):
                    raise SuiteError(f"{path}:{line}: a row is a JSON object, got {type(row).__name__}")
                yield line, row
        except UnicodeDecodeError as error:
            raise SuiteError(f"{path}: not UTF-8 (byte {error.start}); save the file as UTF-8") from None


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            if None in row:
                raise SuiteError(f"{path}:{reader.line_num}: more cells than the header has columns; quote commas")
            yield reader.line_num, {key: _csv_value(key, value) for key, value in row.items() if value}


def _csv_value(key: str, value: str) -> Any:
    if key == "tags":
        return [tag.strip() for tag in value.split(",") if tag.strip()]
    if key in _JSON_COLUMNS or (key == "grader" and value.startswith("{")):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise MissingDependencyError("reading Parquet needs pyarrow: pip install 'routebench[lab]'") from None
    line = 0
    for batch in parquet.ParquetFile(path).iter_batches():
        for row in batch.to_pylist():
            line += 1
            yield line, {key: value for key, value in row.items() if value is not None}
