"""The Berkeley Function-Calling Leaderboard: files of results, files of scores, and files of questions.

A result file holds every case of a category. A score file holds a summary and then the failures only, so that a case is
right where it is in the one and not in the other. Only failures and question files hold what was asked.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

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
    not_of_format,
    text_of_value,
    user,
)
from routebench.suites.importers.frames import Tally
from routebench.types import Case, Message, ToolCall, Usage

_NAME = "bfcl"
_UNTOLD = "cases whose question no file tells: scores without a prompt (give the benchmark's question files too)"
_KIND_IN_NAME = re.compile(r"(?<![a-z])(result|score)(?![a-z])")


def read(paths: Sequence[Path], tally: Tally, only: Container[int] | None = None) -> Iterator[Answer]:
    """Reads the files of one or several models, in any order.

    Raises:
        OutcomesError: a file is of none of the kinds, a score file does not hold as many failures as its summary says,
            or scores fewer cases than the result file has.
    """
    return finished(_answers(paths, tally), paths, tally, only)


FORMAT = Format(_NAME, "BFCL: result files, their score files, and question files (json lines)", read)


@dataclass(slots=True)
class _Scores:
    """What one score file tells.

    Attributes:
        total: number of cases that were scored.
        failures: ids of those that were wrong.
        model: as its rows name it.
    """

    path: Path
    total: int | None = None
    correct: int | None = None
    failures: set[str] = field(default_factory=set)
    model: str | None = None


@dataclass(slots=True)
class _Files:
    """The files by what they hold.

    Attributes:
        results: files of answers.
        scores: by what the file has in common with its result file.
        asked: id -> messages and tools.
        targets: id -> the right calls.
    """

    results: list[Path] = field(default_factory=list)
    scores: dict[tuple[str, str], _Scores] = field(default_factory=dict)
    asked: dict[str, tuple[list[Message], list[Mapping[str, Any]]]] = field(default_factory=dict)
    targets: dict[str, Any] = field(default_factory=dict)


def _answers(paths: Sequence[Path], tally: Tally) -> Iterator[Answer]:
    files = _sorted(paths)
    models = _model_names(files)
    cases = Cases()
    met: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path in files.results:
        scores = files.scores.get(_pair(path))
        if scores is None:
            tally.noted["result files without their score file"] += 1
        for where, row in json_rows(path, ("id", "result"), _NAME):
            case_id = name_of(row.get("id"))
            if case_id is None:
                tally.skipped["rows without an id"] += 1
                continue
            met[_pair(path)].add(case_id)
            case = cases.get(case_id)
            if case is None:
                tally.noted[_UNTOLD] += case_id not in files.asked
                case = cases.one(_case(case_id, files), where)
            yield _answer(case, models[_model_key(path)], row, scores, where, tally)
        n_cases = len(met[_pair(path)])
        if scores is not None and scores.total is not None and n_cases > scores.total:
            raise OutcomesError(
                f"{path}: holds {n_cases} cases, but {scores.path} scored {scores.total}; give the files of one run"
            )
    for pair, scores in files.scores.items():
        left = len(scores.failures - met[pair])
        if left:
            tally.noted["failures whose answer is in no result file"] += left


def _sorted(paths: Sequence[Path]) -> _Files:
    files = _Files()
    for path in paths:
        kind = _kind(path)
        if kind == "result":
            files.results.append(path)
        elif kind == "score":
            files.scores[_pair(path)] = _scores(path, files)
        else:
            for where, row in json_rows(path, ("id",), _NAME):
                _remember(row, name_of(row.get("id")), where, files)
    if not files.results:
        names = ", ".join(str(path) for path in paths)
        raise OutcomesError(f"{names}: no result file among them; score files tell only what was answered wrongly")
    return files


def _kind(path: Path) -> Literal["result", "score", "questions"]:
    for where, row in json_rows(path, (), _NAME):
        if "accuracy" in row and "total_count" in row:
            return "score"
        if "id" in row and "result" in row:
            return "result"
        if "id" in row and ("question" in row or "ground_truth" in row):
            return "questions"
        raise not_of_format(
            where, _NAME, "neither {id, result}, nor {accuracy, total_count}, nor {id, question, function}", row
        )
    raise OutcomesError(f"{path}: the file is empty")


def _scores(path: Path, files: _Files) -> _Scores:
    found = _Scores(path)
    listed = 0
    for where, row in json_rows(path, (), _NAME):
        if "total_count" in row:
            found.total = count(row["total_count"], "total_count", where)
            found.correct = count(row.get("correct_count"), "correct_count", where)
            continue
        if row.get("valid") is True:
            continue
        listed += 1
        case_id = _failed_id(row, where)
        found.failures.add(case_id)
        found.model = found.model or name_of(row.get("model_name"))
        prompt = row.get("prompt")
        if isinstance(prompt, dict):
            _remember({"ground_truth": row.get("possible_answer"), **prompt}, case_id, where, files)
    if found.total is not None and found.correct is not None and listed != found.total - found.correct:
        raise OutcomesError(
            f"{path}: its summary says {found.total - found.correct} failures, it holds {listed}; is the file whole?"
        )
    return found


def _failed_id(row: Mapping[str, Any], where: str) -> str:
    """The case that a failure is about: older files number their rows from 1, and name the case in its prompt."""
    prompt = row.get("prompt")
    told = name_of(prompt.get("id")) if isinstance(prompt, dict) else None
    if told is not None:
        return told
    number, category = row.get("id"), name_of(row.get("test_category"))
    if isinstance(number, str) and not number.isdecimal():
        return number
    if name_of(number) is None or category is None:
        raise OutcomesError(
            f"{where}: a failure names its case by prompt.id, or by id and test_category; it has neither"
        )
    return f"{category}_{int(number or 0) - 1}"


def _remember(row: Mapping[str, Any], case_id: str | None, where: str, files: _Files) -> None:
    if case_id is None:
        raise OutcomesError(f"{where}: a question needs an id")
    if row.get("ground_truth") is not None:
        files.targets.setdefault(case_id, row["ground_truth"])
    messages = _messages(row.get("question"))
    if messages:
        functions = row.get("function")
        tools = functions if isinstance(functions, list) else [functions]
        given: list[Mapping[str, Any]] = [
            {"type": "function", "function": tool} for tool in tools if isinstance(tool, dict)
        ]
        asked = (messages, given)
        if files.asked.setdefault(case_id, asked) != asked:
            raise OutcomesError(f"{where}: {case_id!r} has two different questions; give files of one release together")


def _messages(question: Any) -> list[Message]:
    """The messages of a text, of a list of messages, or of a list of turns that are such lists."""
    if isinstance(question, str):
        return [user(question)] if question.strip() else []
    if isinstance(question, dict):
        return [question] if "role" in question else []
    return [message for part in question for message in _messages(part)] if isinstance(question, list) else []


def _case(case_id: str, files: _Files) -> Case:
    # Of scores alone strategies that read no prompt can be compared all the same.
    messages, tools = files.asked.get(case_id, ([], []))
    category = case_id.rpartition("_")[0] or None
    return imported_case(case_id, messages, target=files.targets.get(case_id), category=category, tools=tools)


def _answer(case: Case, model: str, row: Mapping[str, Any], scores: _Scores | None, where: str, tally: Tally) -> Answer:
    result, latency = row.get("result"), amount(_summed(row.get("latency")), "latency", where)
    usage = Usage(
        input_tokens=count(_summed(row.get("input_token_count")), "input_token_count", where),
        output_tokens=count(_summed(row.get("output_token_count")), "output_token_count", where),
    )
    text = text_of_value(result)
    score = None if scores is None else float(case.id not in scores.failures)
    if not latency and not usage.output_tokens and (not text or text.startswith("Error")):
        # Such a call took no time and made no token: it never reached the model, whatever the score file says.
        tally.noted[
            "answers that are errors of the call, left unscored" + (", though marked right" if score else "")
        ] += 1
        return Answer(case, model, error_kind=kind_of_error(text) if text else "incomplete", text=text, where=where)
    calls = _tool_calls(result)
    return Answer(
        case, model, score, text=None if calls else text, tool_calls=calls, usage=usage, latency_s=latency, where=where
    )


def _tool_calls(result: Any) -> tuple[ToolCall, ...]:
    """The calls of a model that has calling built in: a list of objects, each a name and its arguments."""
    if not isinstance(result, list) or not result or not all(isinstance(call, dict) for call in result):
        return ()
    return tuple(
        ToolCall(None, str(name), text_of_value(arguments) or "") for call in result for name, arguments in call.items()
    )


def _summed(value: Any) -> Any:
    """Over the turns and steps of one case."""
    if not isinstance(value, list):
        return value
    parts = [_summed(part) for part in value]
    return sum(parts) if parts and all(isinstance(part, (int, float)) for part in parts) else None


def _pair(path: Path) -> tuple[str, str]:
    """What a result file and its score file have in common: their folder, if it is a model's, and their name."""
    folder = path.parent.name
    return ("" if folder in ("result", "score") else folder, _KIND_IN_NAME.sub("*", path.name))


def _model_names(files: _Files) -> dict[str, str]:
    """Names of models as score files tell them, else as files and folders are named."""
    names = {_model_key(path): _model_key(path) for path in files.results}
    for scores in files.scores.values():
        if scores.model is not None:
            names[_model_key(scores.path)] = scores.model
    return names


def _model_key(path: Path) -> str:
    """The model in a file's name behind its category; in the benchmark's own layout its folder is the model."""
    rest = _KIND_IN_NAME.split(path.name.partition(".json")[0])[-1]
    found = _category_of(path)
    name = rest.strip("_").removeprefix(found or "").strip("_")
    return name or path.parent.name


def _category_of(path: Path) -> str | None:
    for _, row in json_rows(path, (), _NAME):
        if row.get("test_category"):
            return name_of(row["test_category"])
        case_id = name_of(row.get("id"))
        if case_id is not None:
            return case_id.rpartition("_")[0]
    return None
