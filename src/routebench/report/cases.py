"""Single cases in a report: what was asked, who answered, and how it was scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from routebench.dash.format import UNKNOWN, money
from routebench.evaluate import Evaluation
from routebench.evaluate.examples import RoutedCase
from routebench.messages import last_user_text
from routebench.report.blocks import Block, Example, Section
from routebench.report.told import Told
from routebench.store import read_answers

_ANSWER_CHARACTERS = 600


class Examples:
    """Single cases, with prompts and answers where the page may hold text."""

    def __init__(self, told: Told) -> None:
        self._baseline = told.comparison.baseline
        self._answers: dict[tuple[str, str], Mapping[Any, Any]] = {}
        self._text = told.store is not None and not told.share
        if told.store is not None and self._text:
            frame = read_answers(told.store, told.comparison.suite)
            records = frame[frame["sample"] == 0].to_dict("records")
            self._answers = {(row["case_id"], row["model"]): row for row in records}

    def section(self, title: str, cases: Sequence[RoutedCase], about: Evaluation) -> Section | None:
        """Returns a section of them; None where there are none, or where they would be the baseline's own."""
        if about.name == self._baseline or not cases:
            return None
        return Section(title, self.blocks(cases))

    def blocks(self, cases: Sequence[RoutedCase], beside: str = "the baseline") -> list[Block]:
        """Returns a block a case; `beside` is what the other strategy is called."""
        return [self._example(one, beside) for one in cases]

    def _example(self, one: RoutedCase, beside: str) -> Example:
        answers = []
        for model, score in ((one.model, one.score), (one.baseline_model, one.baseline_score)):
            row = self._answers.get((one.case.id, model or ""))
            if row is not None:
                text = row["text"] if isinstance(row["text"], str) else f"({row['error_kind'] or 'no text kept'})"
                answers.append((f"{model} — score {score:.2g}", text[:_ANSWER_CHARACTERS]))
        return Example(
            name=one.case.id,
            category=one.case.category,
            sentence=sentence(one, beside),
            prompt=last_user_text(one.case.request.messages) if self._text else None,
            answers=answers,
        )


def sentence(one: RoutedCase, beside: str = "the baseline") -> str:
    """Returns what happened to a case, against another strategy."""
    own, base = one.model or "no model", one.baseline_model or "no model"
    cost, base_cost = money(one.cost_usd), money(one.baseline_cost_usd)
    costs = "" if UNKNOWN in (cost, base_cost) else f" (for {cost} instead of {base_cost})"
    return f"{own} scores {one.score:.2g}; with {beside}, {base} scores {one.baseline_score:.2g}{costs}."
