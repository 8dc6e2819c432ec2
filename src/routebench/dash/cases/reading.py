"""An opened case as HTML: what was asked, and the answers side by side; every text is escaped."""

from __future__ import annotations

import difflib
import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from routebench.dash.cases.opened import Opened, Side, Way
from routebench.dash.format import UNKNOWN, money, seconds
from routebench.dash.tables import shown_name
from routebench.messages import answer_text, spoken

SHOWN_CHARACTERS = 2_000
EXPANDED_CHARACTERS = 20_000
DIFF_CHARACTERS = 4_000
"""Of longer answers no words are compared: it would take longer than a reader waits."""
NOT_KEPT = "text not kept"
_WORD = re.compile(r"\s*\S+|\s+$")
_LEAST_ALIKE = 0.25
"""With fewer words in common marks would cover everything, and tell nothing."""


def case_html(opened: Opened, *, diff: bool = False) -> str:
    """Returns the case and its answers.

    Args:
        opened: the case.
        diff: whether words that differ from the first answer are marked.
    """
    first = _words(opened.sides[0])
    sides = "".join(
        _side(side, place, first if diff and place else None) for place, side in enumerate(opened.sides, start=0)
    )
    return f"{_asked(opened)}<div class='rb-sides'>{sides}</div>"


def diff_refusal(opened: Opened) -> str:
    """Returns why the words of these answers are not compared; an empty string where they can be."""
    texts = [_words(side) for side in opened.sides]
    if len(texts) < 2:
        return "there is one answer only"
    if any(text is None for text in texts):
        return "an answer is not kept"
    if max(len(text or "") for text in texts) > DIFF_CHARACTERS:
        return f"an answer is longer than {DIFF_CHARACTERS:,} characters"
    return ""


def _asked(opened: Opened) -> str:
    case = opened.case
    told = [f"case {case.id}"]
    told += [f"category {case.category}"] if case.category else []
    told += [f"tags {', '.join(case.tags)}"] if case.tags else []
    told += [f"weight {case.weight:g}"] if case.weight != 1 else []
    told += [f"stakes {money(case.stakes_usd)}"] if case.stakes_usd is not None else []
    head = f"<div class='rb-case-head'>{html.escape(' · '.join(told))}</div>{_target(case.target)}"
    if not case.request.messages:
        return f"{head}<p class='rb-absent'>Prompt: {NOT_KEPT}.</p>"
    turns = "".join(
        f"<div class='rb-turn'><span class='rb-role'>{html.escape(str(message['role']))}</span>"
        f"{_passage(spoken(message))}</div>"
        for message in case.request.messages
    )
    beyond = _beyond("tools", case.request.tools) + _beyond("response format", case.request.response_format)
    return f"{head}<div class='rb-asked' role='region' aria-label='prompt'>{turns}{beyond}</div>"


def _target(target: Any) -> str:
    if target is None or target == "":
        return ""
    text = target if isinstance(target, str) else json.dumps(target, ensure_ascii=False, default=str)
    return f"<div class='rb-detail'>target: {html.escape(text[:SHOWN_CHARACTERS])}</div>"


def _beyond(what: str, value: Any) -> str:
    """What a request asks for besides its messages, folded away."""
    if not value:
        return ""
    text = json.dumps(value, indent=1, ensure_ascii=False, default=str)
    return f"<details><summary>{what}</summary>{_passage(text)}</details>"


def _side(side: Side, place: int, first: str | None) -> str:
    ways = "".join(_way(way) for way in side.ways)
    who = "nobody" if side.model is None else side.model
    return (
        f"<section class='rb-side' tabindex='0' aria-label='answer {place + 1}, {html.escape(who)}'>"
        f"<h4>{place + 1} · {html.escape(who)}</h4>{ways}{_grade(side)}{_answer(side, first)}</section>"
    )


def _way(way: Way) -> str:
    share = "" if way.share > 1 - 1e-9 or way.model is None else f" (answers {way.share:.0%} of such requests)"
    by = f"decided by {way.decided_by}" if way.decided_by else "what decided is not known"
    text = f"{shown_name(way.name)}{share}: score {way.score:.2g}, {money(way.cost_usd)}; {by}"
    return f"<div class='rb-way'>{html.escape(text)}</div>"


def _grade(side: Side) -> str:
    answer = side.answer
    if answer is None:
        return ""
    grader = (answer.grader or "no grader").split("#", maxsplit=1)[0]
    by = f", {answer.rater}" if answer.rater else ""
    score = "unscored" if answer.score is None else f"graded {answer.score:.2g}"
    facts = [f"{score} by {grader}{by}", money(answer.cost_usd), seconds(answer.latency_s)]
    line = " · ".join(fact for fact in facts if fact != UNKNOWN)
    if side.n_samples > 1:
        line += f" · the first of {side.n_samples} samples"
    detail = f"<div class='rb-detail'>{html.escape(answer.detail[:SHOWN_CHARACTERS])}</div>" if answer.detail else ""
    return f"<div class='rb-grade'>{html.escape(line)}</div>{detail}"


def _answer(side: Side, first: str | None) -> str:
    answer = side.answer
    if side.model is None:
        return "<p class='rb-absent'>No model of its chain answered; a failed request scores 0.</p>"
    if answer is not None and answer.error_kind is not None:
        words = f"{answer.error_kind}: {answer.error or 'no words'}"
        return f"<p class='rb-absent'>No answer. {html.escape(words[:SHOWN_CHARACTERS])}</p>"
    text = _words(side)
    if text is None:
        return f"<p class='rb-absent'>Answer: {NOT_KEPT}.</p>"
    if not text:
        return "<p class='rb-absent'>An empty answer.</p>"
    if first is not None:
        marked = _marked(first, text)
        if marked is not None:
            return f"<div class='rb-text'>{marked}</div>"
        return (
            f"<p class='rb-absent'>Hardly a word in common with the first answer: none is marked.</p>{_passage(text)}"
        )
    return _passage(text)


def _words(side: Side) -> str | None:
    """The answer with its calls; None where nothing of it was kept."""
    answer = side.answer
    if answer is None or (answer.said.text is None and not answer.said.tool_calls):
        return None
    return answer_text(answer.said.text, answer.said.tool_calls)


def _passage(text: str) -> str:
    shown = f"<div class='rb-text'>{html.escape(text[:SHOWN_CHARACTERS])}"
    if len(text) <= SHOWN_CHARACTERS:
        return f"{shown}</div>"
    rest = text[SHOWN_CHARACTERS:EXPANDED_CHARACTERS]
    cut = len(text) - EXPANDED_CHARACTERS
    beyond = f"<p class='rb-absent'>{cut:,} more characters are in the store.</p>" if cut > 0 else ""
    return (
        f"{shown}…</div><details><summary>{len(text) - SHOWN_CHARACTERS:,} more characters</summary>"
        f"<div class='rb-text'>{html.escape(rest)}</div>{beyond}</details>"
    )


def _marked(first: str, text: str) -> str | None:
    """The words of a text, those that the first has not underlined, those that it lacks struck out.

    None where too few are the same.
    """
    one, other = _WORD.findall(first), _WORD.findall(text)
    # Blanks belong to the word that they lead to, but two words are the same whatever stands between.
    found = difflib.SequenceMatcher(None, [word.strip() for word in one], [word.strip() for word in other], False)  # noqa: FBT003
    if found.ratio() < _LEAST_ALIKE:
        return None
    return "".join(_pieces(one, other, found.get_opcodes()))


def _pieces(one: Sequence[str], other: Sequence[str], codes: Iterable[tuple[str, int, int, int, int]]) -> Iterator[str]:
    for kind, start, end, begin, stop in codes:
        if kind == "equal":
            yield html.escape("".join(other[begin:stop]))
            continue
        if end > start:
            yield f"<del>{html.escape(''.join(one[start:end]))}</del>"
        if stop > begin:
            yield f"<ins>{html.escape(''.join(other[begin:stop]))}</ins>"
