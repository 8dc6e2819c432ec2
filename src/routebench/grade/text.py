"""Graders that read an answer as text: exact, contains, regex, choice."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import re2

from routebench.types import Case, Grade

_EDGES = " \t\r\n.,;:!?\"'`*()[]\u201c\u201d\u2018\u2019"


def exact(case: Case, answer: str) -> Grade:
    """1 when the answer is one of the targets, letter case and punctuation at the ends aside."""
    given = _plain(answer)
    return _grade("exact", any(given == _plain(target) for target in _targets(case)), f"got {_head(given)!r}")


def contains(case: Case, answer: str) -> Grade:
    """1 when any of the targets stands in the answer as whole words, letter case aside."""
    given = _fold(answer)
    found = [target for target in _targets(case) if _has_words(given, _fold(target))]
    return _grade("contains", bool(found), f"found {found[0]!r}" if found else "none of the targets is in the answer")


def regex(case: Case, answer: str) -> Grade:
    """1 when the target, an RE2 pattern, is found in the answer; linear in time, whatever the pattern."""
    match = pattern(str(case.target)).search(answer)
    return _grade("regex", match is not None, "found" if match else "not found")


def pattern(text: str) -> Any:
    """Compiles an RE2 pattern without a word on stderr about a bad one; raises `re2.error` for that."""
    options = re2.Options()
    options.log_errors = False
    return re2.compile(text, options)


def choice(case: Case, answer: str) -> Grade:
    """1 when the first of the `choices` that the answer names is the target."""
    given = _fold(answer)
    places = [(place, name) for name in case.grader.options["choices"] if (place := _place(given, _fold(name))) >= 0]
    if not places:
        return _grade("choice", passed=False, detail="names none of the choices")
    first = min(places)[1]
    return _grade("choice", _fold(first) == _fold(str(case.target)), f"chose {first!r}")


def _grade(grader: str, passed: bool, detail: str) -> Grade:  # noqa: FBT001 - the verdict is the point
    return Grade(grader, 1.0 if passed else 0.0, detail)


def _targets(case: Case) -> Sequence[str]:
    target = case.target
    return [str(item) for item in target] if isinstance(target, (list, tuple)) else [str(target)]


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _plain(text: str) -> str:
    return " ".join(_fold(text).strip(_EDGES).split())


def _has_words(text: str, words: str) -> bool:
    return _place(text, words) >= 0


def _place(text: str, words: str) -> int:
    match = re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text)
    return match.start() if match else -1


def _head(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
