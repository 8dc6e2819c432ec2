"""A model as a grader: the question that it is asked, and how its verdict is read.

What is not handled: a judge favours long answers and its own family's; a score by one judge is a measurement only
after it was held against people's.
"""

from __future__ import annotations

import json
from typing import Any

from routebench.errors import ConfigError, nearest
from routebench.messages import text_of
from routebench.suites import Suite
from routebench.types import Case, Completion, Grade, Model, Request

JUDGE = "judge"
TOP_SCORE = 10
_RUBRIC = "The answer is correct, complete, and does what was asked."
_ASKING = """\
You grade an answer. Judge only by the criteria; length and style count only where the criteria say so.

# Criteria
{rubric}

# Request
{prompt}
{reference}
# Answer
{answer}

Reply with one JSON object and nothing else: {{"reason": "one sentence", "score": a whole number from 0 (meets no \
criterion) to {top} (meets them all)}}"""


def is_judged(case: Case) -> bool:
    """Whether the case's primary grader is a judge."""
    return case.grader.name == JUDGE


def judge_of(case: Case, judges: tuple[Model, ...]) -> Model:
    """Returns the judge that grades a case: the one that it names, or the only one.

    Raises:
        ConfigError: there is none, or it is not clear which.
    """
    by_name = {judge.name: judge for judge in judges}
    name = case.grader.options.get("model")
    if name is None and len(judges) == 1:
        return judges[0]
    if name in by_name:
        return by_name[name]
    known = ", ".join(by_name) or "none"
    asks = "names no judge" if name is None else f"names judge {name!r}{nearest(name, by_name)}"
    raise ConfigError(
        f"case {case.id!r} {asks}; judges of the bench.yaml: {known}; list it under `judges`, and name it in the case: "
        "{name: judge, model: …}"
    )


def check_judges(suite: Suite, judges: tuple[Model, ...]) -> None:
    """Checks that every judged case has its judge.

    Raises:
        ConfigError: one has not.
    """
    for case in suite:
        if is_judged(case):
            judge_of(case, judges)


def judge_request(case: Case, answer: str) -> Request:
    """Returns what a judge is asked about an answer."""
    prompt = "\n\n".join(f"[{message.get('role')}] {text_of(message)}" for message in case.request.messages)
    reference = "" if case.target is None else f"\n# Reference answer\n{_text(case.target)}\n"
    rubric = str(case.grader.options.get("rubric", _RUBRIC))
    text = _ASKING.format(rubric=rubric, prompt=prompt, reference=reference, answer=answer, top=TOP_SCORE)
    return Request(messages=({"role": "user", "content": text},))


def read_verdict(grader: str, completion: Completion) -> Grade:
    """Reads a judge's reply; one that failed, or that holds no score in range, leaves the answer unscored."""
    if completion.status != "ok":
        return Grade(grader, None, f"the judge failed ({completion.error_kind})")
    text = completion.text or ""
    start, end = max(0, text.find("{")), text.rfind("}")
    try:
        verdict = json.loads(text[start : end + 1])
    except json.JSONDecodeError:
        verdict = None
    verdict = verdict if isinstance(verdict, dict) else {}
    score = verdict.get("score")
    if isinstance(score, bool) or not isinstance(score, (int, float)) or not 0 <= score <= TOP_SCORE:
        return Grade(grader, None, f"no verdict in the judge's reply: {text[:200]!r}")
    return Grade(grader, score / TOP_SCORE, str(verdict["reason"])[:500] if "reason" in verdict else None)


def _text(target: Any) -> str:
    return target if isinstance(target, str) else json.dumps(target, ensure_ascii=False)
