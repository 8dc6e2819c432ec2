"""What the readers of benchmark files share: fields that are checked, cases that are one object, errors that name."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from routebench.errors import OutcomesError
from routebench.suites.importers.answers import Answer
from routebench.suites.importers.frames import Tally
from routebench.suites.importers.lines import json_array, json_lines, json_members, opened
from routebench.suites.importers.outcomes import GRADER
from routebench.types import Case, ErrorKind, GraderSpec, Message, Request

_IMPORTED = GraderSpec(GRADER)
_HEAD = 1 << 16
"""Bytes in which a file of another format shows its keys."""
_SIGNS: Mapping[str, frozenset[str]] = {
    "routerbench": frozenset({"sample_id", "eval_name"}),
    "mtbench": frozenset({"question_id", "judgment"}),
    "routerarena": frozenset({"global_index", "llm_selected"}),
    "bfcl": frozenset({"input_token_count", "result"}),
    "zeroeval": frozenset({"session_id", "chat_history"}),
    "inspect": frozenset({"eval", "plan"}),
    "promptfoo": frozenset({"testCase", "promptIdx"}),
    "litellm-log": frozenset({"call_type", "startTime"}),
    "outcomes": frozenset({"prompt_id", "model", "score"}),
}
_ERROR_WORDS: tuple[tuple[ErrorKind, str], ...] = (
    ("rate_limited", r"rate.?limit|\b429\b|too many requests|resource.?exhausted"),
    ("timeout", r"time[d]?.?out|deadline.?exceeded"),
    ("context_overflow", r"context.?(length|window|size)|maximum context|too many tokens|prompt is too long"),
    ("content_filter", r"content.?(filter|policy|management)|safety system"),
    ("auth", r"\b40[123]\b|api.?key|unauthori[sz]ed|authentication|permission|insufficient.?quota"),
    ("connection", r"connection|connect error|network|\bdns\b|socket"),
    ("bad_request", r"\b4(00|04|22)\b|bad.?request|invalid.?request|not.?found"),
)


class Cases:
    """The cases that were met: one object for all answers to a prompt, and no id for two prompts."""

    def __init__(self) -> None:
        self._by_id: dict[str, Case] = {}

    def get(self, case_id: str) -> Case | None:
        """Returns the case that was met under an id."""
        return self._by_id.get(case_id)

    def one(self, case: Case, where: str) -> Case:
        """Returns the case as it was met first; a target that was unknown then stays so.

        Raises:
            OutcomesError: its id stood for another prompt.
        """
        first = self._by_id.setdefault(case.id, case)
        if first is not case and first.request != case.request:
            raise stands_for_two(case.id, where)
        return first


def stands_for_two(case_id: str, where: str) -> OutcomesError:
    """Returns the error about an id with two prompts."""
    return OutcomesError(
        f"{where}: {case_id!r} stands for two different prompts; bring the files in one at a time, each under a suite "
        "of its own"
    )


def imported_case(
    case_id: str,
    messages: Sequence[Message],
    *,
    target: Any = None,
    category: str | None = None,
    group: str | None = None,
    tools: Sequence[Mapping[str, Any]] = (),
) -> Case:
    """Returns a case whose scores were made elsewhere."""
    request = Request(messages=tuple(messages), tools=tuple(tools))
    return Case(case_id, request, target=target, grader=_IMPORTED, category=category, group=group)


def user(content: str) -> Message:
    """Returns a message of the user."""
    return {"role": "user", "content": content}


def digest(*parts: Any) -> str:
    """Returns a short name for a content, the same for ever."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]


def finished(
    answers: Iterator[Answer], paths: Sequence[Path], tally: Tally, only: Container[int] | None
) -> Iterator[Answer]:
    """Yields the answers that are wanted, and counts for all of them what is unknown.

    Raises:
        OutcomesError: there is none.
    """
    number = -1
    for number, answer in enumerate(answers):
        tally.unknown["cost_usd"] += answer.cost_usd is None
        tally.unknown["latency_s"] += answer.latency_s is None
        if answer.error_kind is not None:
            tally.noted["failed calls"] += 1
        else:
            tally.unknown["scores"] += answer.score is None
        if only is None or number in only:
            yield answer
    if number < 0:
        why = ", ".join(f"{count} {reason}" for reason, count in tally.skipped.items() if count)
        names = ", ".join(str(path) for path in paths)
        raise OutcomesError(f"{names}: no answer could be read" + (f": {why}" if why else "; is the file whole?"))


def json_rows(path: Path, needed: Sequence[str], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the objects of JSON Lines, or of a JSON array, each with its place.

    Raises:
        OutcomesError: the file is no such thing, or its first object lacks a key that the format has.
    """
    first = True
    for where, record in _placed(path, name):
        if first:
            need(record, needed, where, name)
            first = False
        yield where, record


def json_object(path: Path, array: Sequence[str], name: str) -> Iterator[tuple[str, int, Any]]:
    """Yields the members of a JSON object as `json_members` does.

    Raises:
        OutcomesError: the file holds no object, or cannot be parsed.
    """
    head = _head(path)
    if not head.startswith("{"):
        raise not_of_format(path, name, "it is no JSON object", _keys(head))
    yield from json_members(path, array)


def head_keys(path: Path) -> list[str]:
    """Returns the keys or columns at the beginning of a file, by which its format may be told."""
    return _keys(_head(path))


def need(record: Mapping[str, Any], needed: Sequence[str], where: str, name: str) -> None:
    """Checks that a record is of the format.

    Raises:
        OutcomesError: keys are missing; they are named, and the format that the record looks like.
    """
    missing = [key for key in needed if key not in record]
    if missing:
        raise not_of_format(where, name, f"no {', '.join(map(repr, missing))}", record)


def not_of_format(where: str | Path, name: str, why: str, keys: Container[str]) -> OutcomesError:
    """Returns the error about a file of another format, with the one that its keys look like."""
    like = next((other for other, signs in _SIGNS.items() if other != name and all(sign in keys for sign in signs)), "")
    return OutcomesError(
        f"{where}: not of the format {name}: {why}"
        + (f"; it looks like {like}: import it as that" if like else "; is it the right file?")
    )


def score_of(value: Any, where: str) -> float | None:
    """Returns a score, None where there is none; `True` and `False` are 1 and 0, also as texts.

    Raises:
        OutcomesError: it is no number from 0 to 1.
    """
    if isinstance(value, str):
        value = {"true": 1.0, "false": 0.0}.get(value.strip().casefold(), value)
    number = _number(value, "score", where)
    if number is not None and not 0 <= number <= 1:
        raise OutcomesError(f"{where}: score {value!r} is not from 0 to 1; divide by the top of its scale first")
    return number


def amount(value: Any, name: str, where: str) -> float | None:
    """Returns an amount such as a cost or seconds, None where there is none.

    Raises:
        OutcomesError: it is no number from 0 on.
    """
    number = _number(value, name, where)
    if number is not None and not 0 <= number < math.inf:
        raise OutcomesError(f"{where}: {name} {value!r} is no amount; leave it empty while it is unknown")
    return number


def count(value: Any, name: str, where: str) -> int | None:
    """Returns a number of tokens, None where there is none.

    Raises:
        OutcomesError: it is no number from 0 on.
    """
    number = amount(value, name, where)
    return None if number is None else round(number)


def text_of_value(value: Any) -> str | None:
    """Returns an answer as a text: what is no text as JSON, None where there is none."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def object_of(value: Any) -> Mapping[str, Any]:
    """Returns an object's members, none where a value is no object."""
    return value if isinstance(value, dict) else {}


def list_of(value: Any) -> Sequence[Any]:
    """Returns a list's members, none where a value is no list."""
    return value if isinstance(value, list) else ()


def name_of(value: Any) -> str | None:
    """Returns a name or an id as a text, None where it is empty or no scalar."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    return str(value).strip() or None


def kind_of_error(text: str) -> ErrorKind:
    """Returns the kind of a failed call by the words of its error; `server` where they say nothing else."""
    lowered = text.casefold()
    return next((kind for kind, words in _ERROR_WORDS if re.search(words, lowered)), "server")


def _number(value: Any, name: str, where: str) -> float | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise OutcomesError(f"{where}: {name} {value!r} is no number; leave it empty while it is unknown") from None
    return None if math.isnan(number) else number


def _placed(path: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    head = _head(path)
    if head.startswith("["):
        yield from ((f"{path}: record {number}", record) for number, record in json_array(path))
        return
    if head and not head.startswith("{"):
        raise not_of_format(path, name, "it holds no JSON objects", _keys(head))
    if head.partition("\n")[0].strip() == "{":
        raise not_of_format(path, name, "it is one JSON object, not one a line", _keys(head))
    yield from ((f"{path}:{number}", record) for number, record in json_lines(path))


def _head(path: Path) -> str:
    with opened(path) as file:
        return file.read(_HEAD).decode(errors="replace").lstrip("\ufeff \t\r\n")


def _keys(head: str) -> list[str]:
    """Words of a file's beginning that may be its keys or its columns."""
    return [*re.findall(r'"([\w|]+)"\s*:', head), *head.partition("\n")[0].strip().split(",")]
