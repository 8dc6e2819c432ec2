"""RouterBench's wide table: a row a prompt, and of every model its score, its answer and its cost."""

from __future__ import annotations

import ast
import pickle
import warnings
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routebench.errors import OutcomesError
from routebench.suites.importers.answers import Answer, Format
from routebench.suites.importers.benchmark import (
    amount,
    digest,
    finished,
    imported_case,
    name_of,
    need,
    not_of_format,
    score_of,
    stands_for_two,
    user,
)
from routebench.suites.importers.frames import Tally
from routebench.suites.importers.tables import Row, is_parquet, table_columns, table_rows
from routebench.types import Case, Message

_NAME = "routerbench"
_NEEDED = ("sample_id", "prompt", "eval_name")
_RESPONSE, _COST = "|model_response", "|total_cost"
_PICKLES = (".pkl", ".pickle")


def read(paths: Sequence[Path], tally: Tally, only: Container[int] | None = None) -> Iterator[Answer]:
    """Reads CSV and Parquet with columns `MODEL`, `MODEL|model_response` and `MODEL|total_cost` for every model.

    Raises:
        OutcomesError: a file is a pickle, or is not of the format; a score is not from 0 to 1, or a cost is no amount.
    """
    return finished(_answers(paths, tally, pickles=False), paths, tally, only)


def with_pickle(paths: Sequence[Path], tally: Tally, only: Container[int] | None = None) -> Iterator[Answer]:
    """Reads pickles too, which run whatever code their maker put into them.

    Raises:
        OutcomesError: as `read` does, but for pickles.
    """
    return finished(_answers(paths, tally, pickles=True), paths, tally, only)


FORMAT = Format(_NAME, "RouterBench's wide table: a row a prompt, columns for every model (csv, parquet)", read)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which columns hold what.

    Attributes:
        models: with a column of scores, and one of answers or costs.
        others: are left out.
    """

    models: tuple[str, ...]
    others: tuple[str, ...]


def _answers(paths: Sequence[Path], tally: Tally, *, pickles: bool) -> Iterator[Answer]:
    prompts: dict[str, str] = {}
    for path in paths:
        names, rows = _table(path, pickles=pickles)
        columns = _columns(names, path)
        for name in columns.others:
            # Such as oracle_model_to_route_to, which tells the right answer.
            tally.noted[f"columns left out ({name})"] += 1
        for where, row in rows:
            case = _case(row, tally)
            if case is None:
                continue
            content = digest([dict(message) for message in case.request.messages])
            if prompts.setdefault(case.id, content) != content:
                raise stands_for_two(case.id, where)
            for model in columns.models:
                answer = _answer(case, model, row, where)
                if answer is None:
                    tally.skipped["cells without score, answer and cost"] += 1
                else:
                    yield answer


def _table(path: Path, *, pickles: bool) -> tuple[list[str], Iterator[tuple[str, Row]]]:
    suffix = path.suffix.lower()
    if suffix in _PICKLES:
        if not pickles:
            raise OutcomesError(
                f"{path}: a pickle runs whatever code its maker put into it; save it as Parquet, or say --allow-pickle "
                "if you trust where it is from"
            )
        return _pickled(path)
    if not is_parquet(path) and ".csv" not in (end.lower() for end in path.suffixes):
        raise OutcomesError(f"{path}: not of the format {_NAME}: expected a .csv or .parquet file")
    return table_columns(path), table_rows(path)


def _pickled(path: Path) -> tuple[list[str], Iterator[tuple[str, Row]]]:
    import pandas as pd

    try:
        frame = pd.read_pickle(path)  # noqa: S301  # the user said --allow-pickle
    except FileNotFoundError:
        raise OutcomesError(f"{path}: no such file") from None
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, ValueError, TypeError, OSError) as error:
        raise OutcomesError(f"{path}: cannot be unpickled ({error}); was it made with another pandas?") from None
    if not isinstance(frame, pd.DataFrame):
        raise OutcomesError(f"{path}: expected a pickled DataFrame, got {type(frame).__name__}")
    names = [str(name) for name in frame.columns]
    frame = frame.astype(object).where(frame.notna(), None)
    rows = (
        (f"{path}: row {number}", dict(zip(names, values, strict=True)))
        for number, values in enumerate(frame.itertuples(index=False, name=None), start=1)
    )
    return names, rows


def _columns(names: Sequence[str], path: Path) -> _Columns:
    need(dict.fromkeys(names), _NEEDED, str(path), _NAME)
    there = set(names)
    models = tuple(
        name for name in names if name not in _NEEDED and (name + _RESPONSE in there or name + _COST in there)
    )
    if not models:
        raise not_of_format(path, _NAME, "no model has a column of scores and one `MODEL|total_cost`", there)
    ours = {*_NEEDED, *(name + end for name in models for end in ("", _RESPONSE, _COST))}
    return _Columns(models, tuple(name for name in names if name not in ours))


def _case(row: Mapping[str, Any], tally: Tally) -> Case | None:
    case_id, messages = name_of(row["sample_id"]), _messages(row["prompt"])
    if case_id is None:
        tally.skipped["rows without a sample_id"] += 1
    elif not messages:
        tally.skipped["rows without a prompt"] += 1
    else:
        return imported_case(case_id, messages, category=name_of(row["eval_name"]))
    return None


def _answer(case: Case, model: str, row: Mapping[str, Any], where: str) -> Answer | None:
    score = score_of(row[model], f"{where}, column {model}")
    response = _texts(row.get(model + _RESPONSE))
    cost = amount(row.get(model + _COST), "cost", f"{where}, column {model + _COST}")
    if score is None and cost is None and not response:
        return None
    text = "\n\n".join(response) if response else None
    return Answer(case, model, score, text=text, cost_usd=cost, where=where)


def _messages(value: Any) -> list[Message]:
    """The turns of the user; examples that stand before the question are a part of it."""
    return [user(text) for text in _texts(value) if text]


def _texts(value: Any) -> list[str]:
    """The texts of a cell: what a list that was written as a text holds, else the cell as it is."""
    if isinstance(value, str):
        return _listed(value) or [value]
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return list(value)
    return [] if value is None else [str(value)]


def _listed(text: str) -> list[str] | None:
    if not (text.startswith("[") and text.endswith("]")):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    whole = isinstance(found, list) and found and all(isinstance(item, str) for item in found)
    return found if whole else None
