"""The interchange format: one file of prompts, one file of outcomes, as Parquet, CSV or JSON Lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from routebench.errors import OutcomesError, nearest
from routebench.types import Case, GraderSpec, Request

_OUTCOME_COLUMNS = ("prompt_id", "model", "score")
_PROMPT_COLUMNS = ("prompt_id", "prompt")
GRADER = "imported"
"""What the grader of imported scores is called."""


@dataclass(frozen=True, slots=True)
class ImportedOutcome:
    """One row: None wherever the file does not tell."""

    case_id: str
    model: str
    sample: int
    score: float | None
    cost_usd: float | None
    input_tokens: int | None
    output_tokens: int | None
    latency_s: float | None
    response: str | None


@dataclass(frozen=True, slots=True)
class ImportedOutcomes:
    """What two files held, and what had to be skipped, clipped or left unknown: reason -> count."""

    cases: tuple[Case, ...]
    rows: tuple[ImportedOutcome, ...]
    skipped: Mapping[str, int]
    clipped: Mapping[str, int]
    unknown: Mapping[str, int]

    @property
    def models(self) -> tuple[str, ...]:
        """Models in order of first appearance."""
        return tuple(dict.fromkeys(row.model for row in self.rows))

    def as_dict(self) -> dict[str, Any]:
        """The JSON form of the summary."""
        return {
            "n_cases": len(self.cases),
            "n_outcomes": len(self.rows),
            "models": list(self.models),
            "skipped": dict(self.skipped),
            "clipped": dict(self.clipped),
            "unknown": dict(self.unknown),
        }

    def __str__(self) -> str:
        lines = [f"{len(self.rows)} outcomes of {len(self.cases)} prompts x {len(self.models)} models"]
        for title, counts in (("skipped", self.skipped), ("clipped", self.clipped), ("unknown", self.unknown)):
            lines += [f"{title}: {count} {reason}" for reason, count in counts.items()]
        return "\n".join(lines)


def read_outcome_files(outcomes: str | Path, prompts: str | Path) -> ImportedOutcomes:
    """Reads a pair of interchange files.

    Args:
        outcomes: prompt_id, model, score; optional cost_usd, input_tokens, output_tokens, latency_s, response.
        prompts: prompt_id, prompt; optional category, reference, group, weight.

    Raises:
        OutcomesError: a file cannot be read, a column is missing, or an id stands for two prompts.
    """
    cases = _cases(_frame(Path(prompts), _PROMPT_COLUMNS))
    frame = _frame(Path(outcomes), _OUTCOME_COLUMNS)
    known = {case.id for case in cases}
    skipped: Counter[str] = Counter()
    clipped: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    samples: Counter[tuple[str, str]] = Counter()
    rows: list[ImportedOutcome] = []
    for record in frame.to_dict("records"):
        case_id, model = _text(record.get("prompt_id")), _text(record.get("model"))
        if case_id is None or model is None:
            skipped["rows without prompt_id or model"] += 1
            continue
        if case_id not in known:
            skipped["rows whose prompt_id is not in the prompts file"] += 1
            continue
        score = _number(record.get("score"))
        if score is None:
            unknown["scores"] += 1
        elif not 0 <= score <= 1:
            clipped["scores outside [0, 1]"] += 1
            score = min(1.0, max(0.0, score))
        numbers = {
            name: _number(record.get(name)) for name in ("cost_usd", "latency_s", "input_tokens", "output_tokens")
        }
        for name, value in numbers.items():
            if value is not None and value < 0:
                clipped[f"negative {name}, taken as unknown"] += 1
                numbers[name] = None
            if numbers[name] is None and name in ("cost_usd", "latency_s"):
                unknown[name] += 1
        sample = samples[case_id, model]
        samples[case_id, model] += 1
        rows.append(
            ImportedOutcome(
                case_id,
                model,
                sample,
                score,
                numbers["cost_usd"],
                _whole(numbers["input_tokens"]),
                _whole(numbers["output_tokens"]),
                numbers["latency_s"],
                _text(record.get("response")),
            )
        )
    if not rows:
        raise OutcomesError(f"{outcomes}: no outcome belongs to a prompt of {prompts}; do their prompt_ids agree?")
    return ImportedOutcomes(tuple(cases), tuple(rows), dict(skipped), dict(clipped), dict(unknown))


def _cases(frame: pd.DataFrame) -> list[Case]:
    cases: dict[str, Case] = {}
    for record in frame.to_dict("records"):
        case_id, prompt = _text(record.get("prompt_id")), _text(record.get("prompt"))
        if case_id is None or prompt is None:
            continue
        weight = _number(record.get("weight"))
        case = Case(
            case_id,
            Request(messages=({"role": "user", "content": prompt},)),
            target=_text(record.get("reference")),
            grader=GraderSpec(GRADER),
            category=_text(record.get("category")),
            group=_text(record.get("group")),
            weight=1.0 if weight is None else weight,
        )
        if cases.setdefault(case_id, case) != case:
            raise OutcomesError(f"prompt_id {case_id!r} stands for two different prompts; give each its own id")
    return list(cases.values())


def _frame(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    readers: Mapping[str, Any] = {
        ".parquet": pd.read_parquet,
        ".csv": lambda file: pd.read_csv(file, dtype={"prompt_id": str, "model": str}),
        ".jsonl": lambda file: pd.read_json(file, lines=True, dtype={"prompt_id": str}),
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise OutcomesError(f"{path}: expected a .parquet, .csv or .jsonl file")
    try:
        frame: pd.DataFrame = reader(path)
    except FileNotFoundError:
        raise OutcomesError(f"{path}: no such file") from None
    except (ValueError, OSError) as error:
        raise OutcomesError(f"{path}: not what its name says: {error}") from None
    for column in needed:
        if column not in frame.columns:
            columns = [str(name) for name in frame.columns]
            raise OutcomesError(f"{path}: no column {column!r}{nearest(column, columns)}; it has {', '.join(columns)}")
    return frame


def _text(value: Any) -> str | None:
    return None if value is None or (not isinstance(value, str) and pd.isna(value)) else str(value)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if number == number and abs(number) != float("inf") else None  # noqa: PLR0124 - NaN


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
