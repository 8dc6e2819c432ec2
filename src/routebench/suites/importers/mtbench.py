"""MT-Bench's judgements of single answers: the judge's prompt holds the question and the answer."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routebench.errors import OutcomesError
from routebench.suites.importers.answers import Answer, Format
from routebench.suites.importers.benchmark import (
    Cases,
    amount,
    finished,
    imported_case,
    json_rows,
    name_of,
    need,
    user,
)
from routebench.suites.importers.frames import Tally
from routebench.types import Case

_NAME = "mtbench"
_NEEDED = ("question_id", "model", "judge", "user_prompt", "score", "turn")
_FAILED = -1
"""The score of a judgement in which no rating could be read."""
_CATEGORIES = ("writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities")
_FIRST, _A_CATEGORY = 81, 10
"""MT-Bench numbers its questions from 81 on, ten a category."""

_ONE_TURN = re.compile(
    r"\[Question\]\n(?P<question>.*?)\n\n"
    r"(?:\[The Start of Reference Answer\]\n(?P<reference>.*?)\n\[The End of Reference Answer\]\n\n)?"
    r"\[The Start of Assistant's Answer\]\n(?P<answer>.*)\n\[The End of Assistant's Answer\]\s*\Z",
    re.DOTALL,
)
_BLOCK = r"<\|The Start of {0}\|>\n\n(?P<{1}>.*)\n\n<\|The End of {0}\|>"
_TWO_TURNS = re.compile(_BLOCK.format("Assistant A's Conversation with User", "talk") + r"\s*\Z", re.DOTALL)
_REFERENCES = re.compile(r"\A" + _BLOCK.format("Reference Answer", "talk").replace(".*", ".*?"), re.DOTALL)
_SPEAKER = re.compile(r"(?:\A|\n\n)### (User|Assistant A|Reference answer):\n")


def read(paths: Sequence[Path], tally: Tally, only: Container[int] | None = None) -> Iterator[Answer]:
    """Reads judgements, one answer each; a case is a turn of a question, and both turns are one group.

    The prompt of a second turn holds what the user said in both turns, and not the model's own first answer: it is
    another one for every model, and a case is the same for all.

    Raises:
        OutcomesError: a file is not of the format, or a score is neither from 1 to 10 nor -1.
    """
    return finished(_answers(paths, tally), paths, tally, only)


FORMAT = Format(_NAME, "MT-Bench's judgements of single answers, scores of 1 to 10 (jsonl)", read)


@dataclass(frozen=True, slots=True)
class _Told:
    """What a judge was shown."""

    questions: tuple[str, ...]
    answer: str
    reference: str | None


def _answers(paths: Sequence[Path], tally: Tally) -> Iterator[Answer]:
    # A prompt that cannot be read in one model's judgement may be read in another's, later in the files.
    cases = _cases(paths)
    judge = None
    for where, row in _rows(paths):
        model = name_of(row.get("model"))
        name = _judge(row)
        judge = judge or name
        case = cases.get(_case_id(row, where))
        if model is None:
            tally.skipped["rows without a model"] += 1
        elif name != judge:
            tally.skipped[f"judgements by another judge than {judge}"] += 1
        elif case is None:
            tally.skipped["judgements whose question cannot be read from the judge's prompt"] += 1
        else:
            told = _told(row)
            score = _score(row.get("score"), where)
            if score is None:
                tally.noted["judgements without a rating"] += 1
            yield Answer(case, model, score, text=told.answer if told else None, where=where)


def _rows(paths: Sequence[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in paths:
        for where, row in json_rows(path, (), _NAME):
            if "winner" in row or "model_1" in row:
                raise OutcomesError(
                    f"{where}: judgements of pairs tell no score of an answer; give those of single ones"
                )
            need(row, _NEEDED, where, _NAME)
            yield where, row


def _cases(paths: Sequence[Path]) -> Cases:
    cases = Cases()
    for where, row in _rows(paths):
        told = _told(row)
        if told is not None:
            cases.one(_case(row, told, where), where)
    return cases


def _case(row: Mapping[str, Any], told: _Told, where: str) -> Case:
    return imported_case(
        _case_id(row, where),
        [user(question) for question in told.questions],
        target=told.reference,
        category=_category(row),
        group=name_of(row["question_id"]),
    )


def _case_id(row: Mapping[str, Any], where: str) -> str:
    question, turn = name_of(row["question_id"]), row["turn"]
    if question is None or turn not in (1, 2):
        raise OutcomesError(f"{where}: expected a question_id, and turn 1 or 2, got {question!r} and {turn!r}")
    return f"{question}-t{turn}"


def _category(row: Mapping[str, Any]) -> str | None:
    if row.get("category"):
        return name_of(row["category"])
    number = row["question_id"]
    at = (number - _FIRST) // _A_CATEGORY if isinstance(number, int) else -1
    return _CATEGORIES[at] if 0 <= at < len(_CATEGORIES) else None


def _judge(row: Mapping[str, Any]) -> str:
    """The judging model; the template of its prompt, which stands behind it, depends on the question."""
    judge = row["judge"]
    return str(judge[0] if isinstance(judge, list) and judge else judge)


def _told(row: Mapping[str, Any]) -> _Told | None:
    """None where the judge's prompt cannot be taken apart without doubt."""
    prompt, turn = row["user_prompt"], row["turn"]
    if not isinstance(prompt, str):
        return None
    if turn == 1:
        found = _ONE_TURN.search(prompt)
        return found and _Told((found["question"],), found["answer"], found["reference"])
    talk = _turns(_TWO_TURNS.search(prompt))
    if talk is None:
        return None
    references = _turns(_REFERENCES.match(prompt))
    return _Told((talk[0], talk[2]), talk[3], references[3] if references else None)


def _turns(found: re.Match[str] | None) -> tuple[str, str, str, str] | None:
    """Question, answer, question, answer; None where an answer holds a line that looks like a speaker's."""
    if found is None:
        return None
    parts = _SPEAKER.split(found["talk"])
    speakers, texts = parts[1::2], parts[2::2]
    alternating = [speaker == "User" for speaker in speakers] == [True, False, True, False]
    return (texts[0], texts[1], texts[2], texts[3]) if alternating else None


def _score(value: Any, where: str) -> float | None:
    number = amount(None if value == _FAILED else value, "score", where)
    if number is not None and not 1 <= number <= 10:
        raise OutcomesError(f"{where}: score {value!r} is neither from 1 to 10 nor -1, which is a failed judgement")
    return None if number is None else number / 10
