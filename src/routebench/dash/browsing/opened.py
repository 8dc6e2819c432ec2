"""One case in full, as HTML: what is asked, how it is graded, and what the models said. All of it is escaped."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping

from routebench.dash.format import UNKNOWN, money, seconds
from routebench.messages import answer_text, spoken
from routebench.suites.duplicates import Duplicates
from routebench.types import Case, GradedAnswer

_SHOWN, _MOST = 2_000, 20_000
_OF_ANSWER = 400


def opened_html(
    case: Case,
    *,
    decided: tuple[str, str] | None = None,
    twins: Duplicates | None = None,
    answers: Mapping[tuple[str, int], GradedAnswer] | None = None,
) -> str:
    """Returns a case as HTML.

    Args:
        case: the case.
        decided: the rule that takes it and the model that is asked first, where they are known.
        twins: the cases that ask nearly the same.
        answers: (model, sample) -> what was answered; None where nobody knows.
    """
    messages = "".join(
        f"<div><b>{html.escape(str(message.get('role')))}</b>{folded(spoken(message), case.id)}</div>"
        for message in case.request.messages
    )
    facts = [(name, value) for name, value in _facts(case, decided, twins) if value]
    told = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in facts)
    return (
        f"<section class='rb-case'><h4>{html.escape(case.id)}</h4>"
        f"{messages or '<p>Its text is not kept here.</p>'}<dl>{told}</dl>{_answers(answers)}</section>"
    )


def _facts(case: Case, decided: tuple[str, str] | None, twins: Duplicates | None) -> list[tuple[str, str]]:
    target = case.target if isinstance(case.target, str) else json.dumps(case.target, ensure_ascii=False)
    options = json.dumps(dict(case.grader.options), ensure_ascii=False, default=str) if case.grader.options else ""
    near = ""
    if twins is not None:
        others = [one for one in twins.case_ids if one != case.id]
        shown = ", ".join(others[:10]) + (f" and {len(others) - 10} more" if len(others) > 10 else "")
        near = f"{shown} (at least {twins.similarity:.0%} of the word triples in common)"
    return [
        ("target", "" if case.target is None else target[:_SHOWN]),
        ("grader", f"{case.grader.name} {options}".strip()[:_SHOWN]),
        ("category", case.category or ""),
        ("tags", ", ".join(case.tags)),
        ("group", case.group or ""),
        ("split", case.split or ""),
        ("weight", "" if case.weight == 1 else f"{case.weight:g} requests"),
        ("stakes", "" if case.stakes_usd is None else f"{money(case.stakes_usd)} a wrong answer"),
        ("tools", ", ".join(_tool(tool) for tool in case.request.tools)[:_SHOWN]),
        ("rule", "" if decided is None else " → ".join(decided)),
        ("nearly the same", near),
    ]


def _tool(tool: Mapping[str, object]) -> str:
    function = tool.get("function")
    return str(function.get("name") if isinstance(function, Mapping) else tool.get("name", "tool"))


def _answers(answers: Mapping[tuple[str, int], GradedAnswer] | None) -> str:
    if answers is None:
        return ""
    if not answers:
        return "<p>No model has been asked.</p>"
    several = any(sample for _, sample in answers)
    head = "".join(f"<th scope='col'>{name}</th>" for name in ("model", "score", "cost per 1,000", "latency", "answer"))
    rows = []
    for (model, sample), one in sorted(answers.items()):
        name = f"{model} · {sample + 1}" if several else model
        text = answer_text(one.said.text, one.said.tool_calls) or ""
        said = f"{one.error_kind}: {one.error or ''}" if one.error_kind else text or "(not kept)"
        score = UNKNOWN if one.score is None else f"{one.score:.2f}"
        cost = None if one.cost_usd is None else 1000 * one.cost_usd
        cells = (name, score, money(cost), seconds(one.latency_s))
        escaped = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        rows.append(f"<tr>{escaped}<td>{folded(said, name, shown=_OF_ANSWER, most=_SHOWN)}</td></tr>")
    return f"<table class='rb-numbers'><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def folded(text: str, name: str, *, shown: int = _SHOWN, most: int = _MOST) -> str:
    """Returns a text as HTML, its end folded away where it is long, and cut where it is very long."""
    start, rest = text[:shown], text[shown:most]
    if not rest:
        return f"<pre>{html.escape(start)}</pre>"
    cut = len(text) - most
    more = (
        f"<p>{cut:,} more characters are not shown; Python has them, under {html.escape(name)}</p>" if cut > 0 else ""
    )
    return (
        f"<pre>{html.escape(start)}</pre><details><summary>{len(text) - shown:,} more characters</summary>"
        f"<pre>{html.escape(rest)}</pre>{more}</details>"
    )
