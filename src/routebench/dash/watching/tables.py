"""The tables of a run panel as frames: models, problems, the plan and what the store knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from routebench.dash.format import duration, money, percent, seconds
from routebench.dash.parts import Column
from routebench.dash.watching.look import Look
from routebench.dash.watching.scores import SCORED_FROM, Score

MODEL_COLUMNS = (
    Column("name", "model"),
    Column("done", "done", "right", help="calls that have ended, of those that were planned"),
    Column("score", "mean score", "right", help=f"hidden until {SCORED_FROM} answers are graded"),
    Column("ok", "ok", "right", lambda value: f"{value:,}", "answers"),
    Column("errors", "failed", "right", lambda value: f"{value:,}", "calls that ended without an answer"),
    Column("abstained", "abstained", "right", lambda value: f"{value:,}", "refusals to answer"),
    Column("retries", "retries", "right", lambda value: f"{value:,}", "attempts that were repeated"),
    Column("p50_s", "p50", "right", seconds, "middle latency of the answers"),
    Column("p95_s", "p95", "right", seconds, "latency that 19 of 20 answers stay below"),
    Column("spent_usd", "spent", "right", money, "the bills that are known, retries included"),
    Column("unknown", "bills unknown", "right", lambda value: f"{value:,}", "calls that may have been billed"),
)
PROBLEM_COLUMNS = (
    Column("at_s", "at", "right", duration, "time since the run began"),
    Column("model", "model"),
    Column("case", "case"),
    Column("what", "what happened"),
)


def model_frame(look: Look, scores: Mapping[str, Score]) -> pd.DataFrame:
    """Returns a row of MODEL_COLUMNS a model."""
    ended = look.progress.status not in ("pending", "running", "paused")
    rows = [
        (
            model.name,
            f"{model.done:,}/{model.calls:,}",
            score_text(scores.get(model.name), ended=ended),
            model.ok,
            model.errors,
            model.abstained,
            model.retries,
            model.latency_p50_s,
            model.latency_p95_s,
            model.billed_usd if model.n_billed else None,
            model.done - model.n_billed,
        )
        for model in look.progress.models
    ]
    frame = pd.DataFrame(rows, columns=[column.name for column in MODEL_COLUMNS])
    return frame.astype({"p50_s": float, "p95_s": float, "spent_usd": float}).set_index(frame["name"])


def score_text(score: Score | None, *, ended: bool) -> str | None:
    """A mean score as it may be shown while a run goes, or after it; None where nothing is graded."""
    if score is None:
        return None
    if score.mean is None and ended:
        return f"{percent(score.of_few)} of {score.n}: too few to decide"
    if score.mean is None:
        return f"hidden until {SCORED_FROM} ({score.n})"
    return percent(score.mean, score.ci95)


def problem_frame(look: Look) -> pd.DataFrame:
    """Returns a row of PROBLEM_COLUMNS a problem, the newest first."""
    rows = [(call.at_s, call.model, call.case_id or "", str(call)) for call in reversed(look.problems)]
    frame = pd.DataFrame(rows, columns=[column.name for column in PROBLEM_COLUMNS])
    return frame.set_index(pd.Index([str(len(rows) - place) for place in range(len(rows))]))


def text_columns(names: Sequence[str]) -> list[Column]:
    """Returns columns of finished texts and of seconds: words at the left, figures at the right."""
    return [Column(name, name, "left" if name in _WORDS else "right", _SECONDS.get(name, str)) for name in names]


_WORDS = ("model", "for", "price")
# A text would not sort: 820 ms is less than 1.20 s.
_SECONDS = {"p50": seconds, "p95": seconds, "time": duration}


def text_frame(rows: Sequence[Sequence[str | float | None]], names: Sequence[str]) -> pd.DataFrame:
    """Returns rows of `text_columns` as a frame that a Grid shows."""
    frame = pd.DataFrame([list(row) for row in rows], columns=list(names))
    return frame.set_index(pd.Index([str(place) for place in range(len(rows))]))
