"""RouteLLM's evaluation tables: a row a prompt, and whether each of two models answered it rightly."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routebench.errors import OutcomesError
from routebench.suites.importers.answers import Answer, Format
from routebench.suites.importers.benchmark import (
    Cases,
    digest,
    finished,
    imported_case,
    need,
    not_of_format,
    score_of,
    user,
)
from routebench.suites.importers.frames import Tally
from routebench.suites.importers.tables import table_columns, table_rows

_MMLU, _GSM8K = "routellm-mmlu", "routellm-gsm8k"
_RESPONSE = "_response"
_UNNAMED = ("Unnamed:", "index")
"""Columns of row numbers that a table gets when it is saved with them."""


def read_mmlu(paths: Sequence[Path], tally: Tally, only: Container[int] | None = None) -> Iterator[Answer]:
    """Reads the MMLU tables; a file is a subject, which only its name tells.

    Raises:
        OutcomesError: a file is not of the format, or a cell is neither True nor False.
    """
    return finished(_answers(paths, tally, _MMLU), paths, tally, only)


def read_gsm8k(paths: Sequence[Path], tally: Tally, only: Container[int] | None = None) -> Iterator[Answer]:
    """Reads the GSM8K table, which has the answers too.

    Raises:
        OutcomesError: a file is not of the format, or a cell is neither True nor False.
    """
    return finished(_answers(paths, tally, _GSM8K), paths, tally, only)


MMLU = Format(_MMLU, "RouteLLM's MMLU tables, a file a subject: prompt and True or False a model (csv)", read_mmlu)
GSM8K = Format(_GSM8K, "RouteLLM's GSM8K table: prompt, True or False and the answer of each model (csv)", read_gsm8k)


@dataclass(frozen=True, slots=True)
class _Table:
    """One file.

    Attributes:
        models: columns of verdicts.
        subject: of all its prompts, None where nothing tells it.
    """

    path: Path
    models: tuple[str, ...]
    subject: str | None


def _answers(paths: Sequence[Path], tally: Tally, name: str) -> Iterator[Answer]:
    cases = Cases()
    for path in paths:
        table = _table(path, name, tally)
        for where, row in table_rows(path):
            prompt = row["prompt"]
            if not prompt or not prompt.strip():
                tally.skipped["rows without a prompt"] += 1
                continue
            prefix = table.subject or name.removeprefix("routellm-")
            case = imported_case(f"{prefix}-{digest(prompt)}", [user(prompt)], category=table.subject)
            case = cases.one(case, where)
            for model in table.models:
                score, text = _verdict(row, model, where), row.get(model + _RESPONSE)
                if score is None and text is None:
                    tally.skipped["cells without verdict and answer"] += 1
                else:
                    yield Answer(case, model, score, text=text, where=where)


def _table(path: Path, name: str, tally: Tally) -> _Table:
    columns = table_columns(path)
    need(dict.fromkeys(columns), ("prompt",), str(path), name)
    there = set(columns)
    candidates = [column for column in columns if column != "prompt" and not column.startswith(_UNNAMED)]
    with_answers = [column for column in candidates if column + _RESPONSE in there]
    if name == _GSM8K:
        if not with_answers:
            why = f"no model has a column of verdicts and one of answers, `MODEL{_RESPONSE}`"
            like = f"; it may be {_MMLU}" if candidates else ""
            raise OutcomesError(f"{path}: not of the format {name}: {why}{like}")
        models = with_answers
    else:
        if with_answers:
            raise OutcomesError(f"{path}: not of the format {name}: it holds answers; it looks like {_GSM8K}")
        if not candidates:
            raise not_of_format(path, name, "no column of a model's verdicts", there)
        models = candidates
    known = {"prompt", *models, *(model + _RESPONSE for model in models)}
    for column in columns:
        if column not in known:
            tally.noted[f"columns left out ({column})"] += 1
    return _Table(path, tuple(models), _subject(path, tally) if name == _MMLU else "gsm8k")


def _subject(path: Path, tally: Tally) -> str | None:
    stem = path.name.partition(".")[0].removeprefix("routellm_")
    if not stem.startswith("mmlu_"):
        tally.noted["files whose name tells no subject, as mmlu_SUBJECT.csv does"] += 1
        return None
    return stem.removeprefix("mmlu_") or None


def _verdict(row: Mapping[str, Any], model: str, where: str) -> float | None:
    try:
        return score_of(row[model], f"{where}, column {model}")
    except OutcomesError:
        raise OutcomesError(
            f"{where}: expected True or False in column {model!r}, got {str(row[model])[:40]!r}; is the column a model?"
        ) from None
