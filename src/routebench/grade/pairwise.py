"""A judge that compares an answer with the incumbent's: for requests to which no one right answer is known.

1 is better, 0.5 as good, 0 worse, so that a mean of 0.5 is as good as the incumbent. The judge sees two answers without
names, and in half of its votes they stand in the other order: what it prefers only because of the place cancels out,
and how often that happened is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from routebench.grade.judge import Vote, as_text, prompt_of, verdict_of
from routebench.types import Case, Completion, Grade, Request

AS_GOOD = 0.5
"""The score of an answer as good as the incumbent's; that of every answer of the incumbent itself."""
VOTES = 2
NO_WORSE = "no_worse"
"""The verdict of which a mean says how often an answer is at least as good as the incumbent's."""
NO_OPTIONS: Mapping[str, Any] = {}
_CRITERIA = "Which answer does better what was asked: correct, complete, to the point?"
_ASKING = """\
You compare two answers to one request. Judge only by the criteria; length and style count only where the criteria say \
so, and which answer stands first says nothing.

# Criteria
{rubric}

# Request
{prompt}

# Answer A
{first}

# Answer B
{second}

Reply with one JSON object and nothing else: {{"reason": "one sentence", "better": "A", "B", or "tie" where neither is \
better}}"""
_CHANGED = "{changed} of {pairs} pairs changed when flipped"
_COUNTED = re.compile(r"^(\d+) of (\d+) pairs changed when flipped")


def pairwise_votes(case: Case, answer: str) -> tuple[Vote, ...]:
    """Returns what a judge is asked: `votes` times (2 by default, an even number), every second time flipped.

    None at all where the answer is the reference word for word.
    """
    answer, reference = answer.strip(), as_text(case.target).strip()
    if answer == reference:
        return ()
    requests = (_request(case, answer, reference), _request(case, reference, answer))
    return tuple(
        Vote(requests[number % 2], number // 2, flipped=number % 2 == 1)
        for number in range(case.grader.options.get("votes", VOTES))
    )


def read_pairwise(
    grader: str, votes: Sequence[Vote], completions: Sequence[Completion], options: Mapping[str, Any] = NO_OPTIONS
) -> Grade:
    """Reads a judge's replies into the mean of its verdicts; with `verdict: no_worse`, into whether it is 0.5 or more.

    A pair of votes counts only where both are readable: one alone would carry the judge's liking for a place. With
    fewer than half of the pairs left the answer is unscored.
    """
    binary = options.get("verdict") == NO_WORSE
    if not votes:
        return Grade(grader, 1.0 if binary else AS_GOOD, "the same as the reference")
    scores = [_score(vote, completion) for vote, completion in zip(votes, completions, strict=True)]
    pairs = [
        (one, other)
        for one, other in zip(scores[::2], scores[1::2], strict=True)
        if one is not None and other is not None
    ]
    if 4 * len(pairs) < len(votes) or not pairs:
        unread = scores.index(None)
        failed = completions[unread].status != "ok"
        told = f"the judge failed ({completions[unread].error_kind})" if failed else "no verdict in the judge's reply"
        return Grade(grader, None, told if failed else f"{told}: {(completions[unread].text or '')[:200]!r}")
    detail = _CHANGED.format(changed=sum(one != other for one, other in pairs), pairs=len(pairs))
    reason = verdict_of(completions[0]).get("reason")
    score = fmean(map(fmean, pairs))
    if binary:
        score = float(score >= AS_GOOD)
    return Grade(grader, score, f"{detail}: {str(reason)[:500]}" if reason else detail)


def flip_rate(details: Iterable[str | None]) -> float | None:
    """Returns the share of compared pairs whose verdict changed with the sides; None where no pair was compared.

    Args:
        details: of the grades that `read_pairwise` gave.
    """
    counted = [match for detail in details if (match := _COUNTED.match(detail or ""))]
    pairs = sum(int(match[2]) for match in counted)
    return sum(int(match[1]) for match in counted) / pairs if pairs else None


def _request(case: Case, first: str, second: str) -> Request:
    rubric = str(case.grader.options.get("rubric", _CRITERIA))
    text = _ASKING.format(rubric=rubric, prompt=prompt_of(case), first=first, second=second)
    return Request(messages=({"role": "user", "content": text},))


def _score(vote: Vote, completion: Completion) -> float | None:
    better = verdict_of(completion).get("better") if completion.status == "ok" else None
    word = better.strip().casefold() if isinstance(better, str) else ""
    if word == "tie":
        return AS_GOOD
    if word not in ("a", "b"):
        return None
    return 1.0 if (word == "b") == vote.flipped else 0.0
