"""One trace in full, as HTML: what was decided, what was tried, what it cost; texts only where they were kept."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from routebench.dash.format import UNKNOWN, money, seconds
from routebench.messages import spoken

_SHOWN, _MOST = 2_000, 20_000
_FACTS = (
    ("outcome", "outcome"),
    ("rule", "rule"),
    ("asked", "the client named"),
    ("wanted", "wanted first"),
    ("deployment", "deployment"),
    ("served_model", "served as"),
    ("finish_reason", "finished"),
    ("error_kind", "kind of failure"),
    ("error", "failure"),
    ("cascade", "cascade"),
    ("client", "client"),
    ("conversation", "conversation"),
    ("rules", "rule set"),
    ("policy", "its digest"),
    ("gateway", "gateway"),
)
_ATTEMPT = ("model", "deployment", "verdict", "time", "first token", "tokens in", "out", "$")


def trace_html(trace: Mapping[str, Any]) -> str:
    """Returns a trace as HTML, every text escaped.

    Args:
        trace: by the names of `Trace`; what is missing is unknown.
    """
    known = {name: None if _is_unknown(value) else value for name, value in trace.items()}
    facts = [(title, str(known[name])) for name, title in _FACTS if known.get(name) is not None]
    facts += [(title, text) for title, text in _told(known) if text]
    told = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in facts)
    return (
        f"<section class='rb-case'><h4>{html.escape(str(known['trace_id']))}</h4>"
        f"{_texts(known)}<dl>{told}</dl>{_attempts(_list(known.get('attempts')))}</section>"
    )


def _told(known: Mapping[str, Any]) -> list[tuple[str, str]]:
    chain, shadow = _list(known.get("chain")), known.get("shadow_chain")
    waited, extra = known.get("cascade_wait_s"), known.get("cascade_extra_usd")
    chance = known.get("propensity")
    features = _read(known.get("features"))
    return [
        ("chain", " → ".join(map(str, chain))),
        ("explored", f"yes, with a chance of {chance:.3g}" if known.get("explored") and chance is not None else ""),
        ("cascade added", f"{seconds(waited)} and {money(extra)}" if waited is not None else ""),
        ("time", f"{seconds(known.get('latency_s'))}, to the first token {seconds(known.get('ttft_s'))}"),
        ("cost", money(known.get("cost_usd"))),
        ("shadow", _shadow(known, _list(shadow)) if known.get("shadow_rules") is not None else ""),
        ("features", ", ".join(f"{name} {value}" for name, value in (features or {}).items())[:_SHOWN]),
        ("tags", ", ".join(map(str, _list(known.get("tags"))))),
    ]


def _shadow(known: Mapping[str, Any], chain: Sequence[Any]) -> str:
    to = " → ".join(map(str, chain)) or "no model"
    return f"{known['shadow_rules']} would have asked {to} (rule {known.get('shadow_rule') or UNKNOWN})"


def _texts(known: Mapping[str, Any]) -> str:
    messages, answer, calls = _read(known.get("messages")), known.get("answer"), _read(known.get("tool_calls"))
    if messages is None and answer is None:
        return "<p>Its texts were not kept.</p>"
    said = [(str(one.get("role")), spoken(one)) for one in _list(messages)]
    said += [] if answer is None or (calls and not answer) else [("answer", str(answer))]
    said += [("calls of tools", spoken({"role": "assistant", "tool_calls": calls}))] if calls else []
    return "".join(f"<div><b>{html.escape(role)}</b>{_folded(text)}</div>" for role, text in said)


def _folded(text: str) -> str:
    start, rest = text[:_SHOWN], text[_SHOWN:_MOST]
    if not rest:
        return f"<pre>{html.escape(start)}</pre>"
    cut = len(text) - _MOST
    more = f"<p>{cut:,} more characters are not shown.</p>" if cut > 0 else ""
    return (
        f"<pre>{html.escape(start)}</pre><details><summary>{len(text) - _SHOWN:,} more characters</summary>"
        f"<pre>{html.escape(rest)}</pre>{more}</details>"
    )


def _attempts(attempts: Sequence[Mapping[str, Any]]) -> str:
    if not attempts:
        return "<p>No model was asked.</p>"
    head = "".join(f"<th scope='col'>{name}</th>" for name in _ATTEMPT)
    rows = []
    for one in attempts:
        known = {name: None if _is_unknown(value) else value for name, value in one.items()}
        kind = known.get("error_kind")
        verdict = f"{known.get('verdict')}{f': {kind}' if kind else ''}"
        counts = [known.get(name) for name in ("input_tokens", "output_tokens")]
        cells = (
            *(str(known.get("model")), str(known.get("deployment")), verdict),
            *(seconds(known.get("latency_s")), seconds(known.get("ttft_s"))),
            *(UNKNOWN if count is None else f"{count:,.0f}" for count in counts),
            money(known.get("cost_usd")),
        )
        rows.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    return f"<table class='rb-numbers'><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _read(value: Any) -> Any:
    """What is JSON in a frame."""
    return json.loads(value) if isinstance(value, str) else value


def _list(value: Any) -> list[Any]:
    return [] if value is None else list(value)


def _is_unknown(value: Any) -> bool:
    if isinstance(value, (list, tuple, dict, np.ndarray)):
        return False
    return bool(pd.isna(value))
