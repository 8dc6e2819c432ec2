"""A model as a grader: the question that it is asked, and how its verdict is read.

What is not handled: a judge favours long answers and its own family's; a score by one judge is a measurement only
after it was held against people's. The same weights behind another address are another model to the check here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from routebench.errors import ConfigError, nearest
from routebench.messages import text_of
from routebench.suites import Suite
from routebench.types import Case, Completion, Grade, Model, Request

JUDGE = "judge"
PAIRWISE = "pairwise"
JUDGING = frozenset({JUDGE, PAIRWISE})
"""Graders that are a model's to answer."""
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


@dataclass(frozen=True, slots=True)
class Vote:
    """One question to a judge.

    Attributes:
        sample: tells votes on the same question apart.
        flipped: whether the answer stands where the reference stands in the other half of the votes.
    """

    request: Request
    sample: int
    flipped: bool = False


def is_judged(case: Case) -> bool:
    """Whether the case's primary grader is a judge."""
    return case.grader.name in JUDGING


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
        f"{{name: {case.grader.name}, model: …}}"
    )


def is_itself(judge: Model, models: Sequence[Model]) -> Model | None:
    """Returns the model that a judge would grade answers of its own for: the same id of a provider; None mostly."""
    address = (judge.provider, judge.base_url, judge.model)
    return next((one for one in models if (one.provider, one.base_url, one.model) == address), None)


def check_judges(suite: Suite, judges: tuple[Model, ...], models: Sequence[Model] = ()) -> None:
    """Checks that every judged case has its judge, and that no judge is silently one of the judged.

    Raises:
        ConfigError: one has not, or is.
    """
    for case in suite:
        if not is_judged(case):
            continue
        judge = judge_of(case, judges)
        itself = is_itself(judge, models)
        if itself is not None and case.grader.options.get("self") != "allow":
            raise ConfigError(
                f"case {case.id!r}: judge {judge.name!r} is model {itself.name!r} ({judge.provider}, {judge.model}) "
                "and would grade its own answers; list another under `judges`, or say in the case that you want it: "
                f"{{name: {case.grader.name}, model: {judge.name}, self: allow}}"
            )


def rubric_votes(case: Case, answer: str) -> tuple[Vote, ...]:
    """Returns what a judge is asked about an answer: the same question `votes` times (1 by default).

    A judge at temperature 0 repeats itself: more votes than one ask for a temperature above it.
    """
    request = judge_request(case, answer)
    return tuple(Vote(request, sample) for sample in range(case.grader.options.get("votes", 1)))


def judge_request(case: Case, answer: str) -> Request:
    """Returns one question about an answer."""
    reference = "" if case.target is None else f"\n# Reference answer\n{as_text(case.target)}\n"
    rubric = str(case.grader.options.get("rubric", _RUBRIC))
    text = _ASKING.format(rubric=rubric, prompt=prompt_of(case), reference=reference, answer=answer, top=TOP_SCORE)
    return Request(messages=({"role": "user", "content": text},))


def read_rubric(
    grader: str,
    votes: Sequence[Vote],
    completions: Sequence[Completion],
    options: Mapping[str, Any] | None = None,  # noqa: ARG001 - readers of all judges have one form
) -> Grade:
    """Reads a judge's replies into the mean of the scores that they hold.

    Replies that failed, or that hold no score in range, do not count; with fewer than half left the answer is unscored.
    """
    verdicts = [_verdict(grader, completion) for completion in completions]
    scores = [verdict.score for verdict in verdicts if verdict.score is not None]
    if 2 * len(scores) < len(votes) or not scores:
        return next(verdict for verdict in verdicts if verdict.score is None)
    if len(votes) == 1:
        return verdicts[0]
    lost = f", {len(votes) - len(scores)} unreadable" if len(scores) < len(votes) else ""
    told = next((verdict.detail for verdict in verdicts if verdict.score is not None and verdict.detail), "")
    spread = f"{len(scores)} votes from {min(scores):g} to {max(scores):g}{lost}"
    return Grade(grader, fmean(scores), f"{spread}: {told}" if told else spread)


def _verdict(grader: str, completion: Completion) -> Grade:
    if completion.status != "ok":
        return Grade(grader, None, f"the judge failed ({completion.error_kind})")
    verdict = verdict_of(completion)
    score = verdict.get("score")
    if isinstance(score, bool) or not isinstance(score, (int, float)) or not 0 <= score <= TOP_SCORE:
        return Grade(grader, None, f"no verdict in the judge's reply: {(completion.text or '')[:200]!r}")
    return Grade(grader, score / TOP_SCORE, str(verdict["reason"])[:500] if "reason" in verdict else None)


def verdict_of(completion: Completion) -> dict[str, Any]:
    """Returns the JSON object in a judge's reply, an empty one where there is none."""
    text = completion.text or ""
    start, end = max(0, text.find("{")), text.rfind("}")
    try:
        verdict = json.loads(text[start : end + 1])
    except (json.JSONDecodeError, RecursionError):
        return {}
    return verdict if isinstance(verdict, dict) else {}


def prompt_of(case: Case) -> str:
    """Returns a case's messages as a judge reads them."""
    return "\n\n".join(f"[{message.get('role')}] {text_of(message)}" for message in case.request.messages)


def as_text(target: Any) -> str:
    """Returns a reference as a judge reads it."""
    return target if isinstance(target, str) else json.dumps(target, ensure_ascii=False)
