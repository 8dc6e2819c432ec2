"""ZeroEval's outputs: a file a set and model, whose answers are JSON inside a text; the scores are made here."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from routebench.suites.importers.answers import Answer, Format
from routebench.suites.importers.benchmark import (
    Cases,
    finished,
    imported_case,
    json_rows,
    name_of,
    user,
)
from routebench.suites.importers.frames import Tally
from routebench.types import Case, Message

_NAME = "zeroeval"
_NEEDED = ("session_id", "chat_history", "output")
_NO_ANSWER = "outputs without a readable answer, scored 0"
_UNSCORED = "outputs of sets that this reader cannot score"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_FRACTION = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)\s*\Z")
_FIELD = re.compile(r'"answer"\s*:\s*(?:"((?:[^"\\]|\\.)*)"|([^",\s}][^,\n}]*))', re.DOTALL)
_DECODER = json.JSONDecoder(strict=False)
_NO_LITERAL = object()


def read(paths: Sequence[Path], tally: Tally, only: Container[int] | None = None) -> Iterator[Answer]:
    """Reads outputs; several to one prompt are samples.

    Scored are numbers (gsm), literals (crux) and choices (mmlu-redux), where the file tells the right answer. An output
    in which no answer can be read is wrong, as it is to the benchmark.

    Raises:
        OutcomesError: a file is not of the format.
    """
    return finished(_answers(paths, tally), paths, tally, only)


FORMAT = Format(_NAME, "ZeroEval's outputs, a file a set and model (json)", read)


def _answers(paths: Sequence[Path], tally: Tally) -> Iterator[Answer]:
    cases = Cases()
    for path in paths:
        for where, row in json_rows(path, _NEEDED, _NAME):
            model, case = _model(row, path), _case(row, path)
            outputs = row.get("output")
            if model is None:
                tally.skipped["records without a model"] += 1
            elif case is None:
                tally.skipped["records without an id or a prompt"] += 1
            elif not outputs:
                tally.skipped["records without an output"] += 1
            else:
                case = cases.one(case, where)
                for output in outputs if isinstance(outputs, list) else [outputs]:
                    text = output if isinstance(output, str) else None
                    yield Answer(case, model, _score(text, case, row, tally), text=text, where=where)


def _case(row: Mapping[str, Any], path: Path) -> Case | None:
    case_id = name_of(row.get("id")) or name_of(row.get("session_id"))
    messages = _messages(row.get("chat_history"))
    if case_id is None or not messages:
        return None
    target = row.get("correct_answer", row.get("answer"))
    return imported_case(case_id, messages, target=target, category=_set(row, path))


def _messages(history: Any) -> list[Message]:
    """The chat before the output: its texts are the user's and the model's in turn."""
    if isinstance(history, str):
        history = [history]
    if not isinstance(history, list):
        return []
    turns = [turn for turn in history if isinstance(turn, str)]
    return [user(turn) if at % 2 == 0 else {"role": "assistant", "content": turn} for at, turn in enumerate(turns)]


def _set(row: Mapping[str, Any], path: Path) -> str | None:
    """The set that the prompt is from: the file tells it, or its folder does."""
    return name_of(row.get("dataset")) or name_of(path.parent.name)


def _model(row: Mapping[str, Any], path: Path) -> str | None:
    return name_of(row.get("generator")) or name_of(row.get("model")) or name_of(path.name.partition(".json")[0])


def _score(text: str | None, case: Case, row: Mapping[str, Any], tally: Tally) -> float | None:
    right = row.get("correct_answer", row.get("answer"))
    choices = row.get("choices")
    check: Callable[[Any, str], bool]
    if text is None or right is None:
        return None
    if isinstance(choices, list) and right in choices:
        check = _is_choice
        right = _LETTERS[choices.index(right) % len(_LETTERS)]
    elif case.category == "crux":
        check = _is_literal
    elif case.category == "gsm":
        check = _is_number
    else:
        tally.noted[_UNSCORED] += 1
        return None
    answer = _answer_in(text)
    if answer is None:
        tally.noted[_NO_ANSWER] += 1
        return 0.0
    return float(check(answer, str(right)))


def _is_choice(answer: Any, letter: str) -> bool:
    return str(answer).strip().rstrip(".)").lstrip("(") == letter


def _is_number(answer: Any, right: str) -> bool:
    ours, theirs = _first_number(str(answer)), _first_number(right)
    return ours is not None and ours == theirs


def _first_number(text: str) -> float | None:
    plain = text.replace("$", "").replace(",", "").replace("#", "")
    fraction = _FRACTION.match(plain)
    if fraction and float(fraction[2]):
        return float(fraction[1]) / float(fraction[2])
    found = _NUMBER.search(plain)
    return float(found[0]) if found else None


def _is_literal(answer: Any, right: str) -> bool:
    """Whether an answer is the same Python value, however it is spaced and quoted.

    A text may have lost its quotes, but 1001 is not '1001'.
    """
    text = str(answer)
    value, theirs = _literal(right), _literal(text)
    if theirs is _NO_LITERAL:
        return text in (right, value)
    return type(theirs) is type(value) and theirs == value


def _literal(text: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _NO_LITERAL


def _answer_in(text: str) -> Any:
    """The field `answer` of the first JSON object that has one; in broken JSON what stands behind the key."""
    at = text.find("{")
    while at >= 0:
        try:
            found, end = _DECODER.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError):
            end = at + 1
        else:
            if isinstance(found, dict) and found.get("answer") is not None:
                return found["answer"]
        at = text.find("{", end)
    field = _FIELD.search(text)
    if field is None:
        return None
    return field[1] if field[1] is not None else field[2].strip()
