"""RouterArena's answers: a file a model, a line a question, with what the benchmark made of the answer."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from routebench.errors import OutcomesError
from routebench.suites.importers.answers import Answer, Format
from routebench.suites.importers.benchmark import (
    Cases,
    amount,
    count,
    finished,
    imported_case,
    json_rows,
    kind_of_error,
    name_of,
    score_of,
    text_of_value,
    user,
)
from routebench.suites.importers.frames import Tally
from routebench.types import Case, Usage

_NAME = "routerarena"
_NEEDED = ("global_index", "question", "llm_selected", "generated_answer", "evaluation_result")


def read(paths: Sequence[Path], tally: Tally, only: Container[int] | None = None) -> Iterator[Answer]:
    """Reads the files of all models, whose questions are the same cases.

    Raises:
        OutcomesError: a file is not of the format, a score is above 1, or a cost or a number of tokens is no amount.
    """
    return finished(_answers(paths, tally), paths, tally, only)


FORMAT = Format(_NAME, "RouterArena's answers, a file a model (jsonl)", read)


def _answers(paths: Sequence[Path], tally: Tally) -> Iterator[Answer]:
    cases = Cases()
    for path in paths:
        for where, row in json_rows(path, _NEEDED, _NAME):
            model, result = name_of(row.get("llm_selected")), _result(row, where)
            case = _case(row, result)
            if model is None:
                tally.skipped["rows without a model"] += 1
            elif case is None:
                tally.skipped["rows without a global_index or a question"] += 1
            else:
                yield _answer(cases.one(case, where), model, row, result, where, tally)


def _answer(
    case: Case, model: str, row: Mapping[str, Any], result: Mapping[str, Any], where: str, tally: Tally
) -> Answer:
    text, error = text_of_value(row.get("generated_answer")), row.get("error")
    if error or row.get("success") is False:
        # Of a failed call the files tell no tokens and no cost, or 0.
        return Answer(case, model, error_kind=kind_of_error(str(error or "")), text=text or None, where=where)
    return Answer(
        case,
        model,
        _score(result.get("score"), where, tally),
        text=text,
        usage=_usage(row.get("token_usage"), where),
        cost_usd=amount(result.get("inference_cost"), "inference_cost", where),
        where=where,
    )


def _case(row: Mapping[str, Any], result: Mapping[str, Any]) -> Case | None:
    case_id, question = name_of(row.get("global_index")), row.get("question")
    if case_id is None or not isinstance(question, str) or not question.strip():
        return None
    # The index is the name of the set that the question is from, and a number.
    category = case_id.rpartition("_")[0] or None
    return imported_case(case_id, [user(question)], target=result.get("ground_truth"), category=category)


def _result(row: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    result = row.get("evaluation_result")
    if result is None:
        return {}
    if not isinstance(result, dict):
        raise OutcomesError(f"{where}: evaluation_result is null or an object, got {type(result).__name__}")
    return result


def _score(value: Any, where: str, tally: Tally) -> float | None:
    if isinstance(value, (int, float)) and value < 0:
        # Some metrics subtract for wrong answers.
        tally.clipped["scores below 0"] += 1
        return 0.0
    return score_of(value, where)


def _usage(told: Any, where: str) -> Usage:
    if not isinstance(told, dict):
        return Usage()
    return Usage(
        input_tokens=count(told.get("input_tokens"), "input_tokens", where),
        output_tokens=count(told.get("output_tokens"), "output_tokens", where),
    )
