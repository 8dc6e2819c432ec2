"""The tables of a suite: its cases, the values of a facet, near-duplicates, rules and cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from routebench.dash.browsing.coverage import Coverage
from routebench.dash.browsing.state import Browse, Count, prompt_text
from routebench.dash.format import percent
from routebench.dash.parts import Column

_PREVIEW = 110


def _whole(value: Any) -> str:
    return f"{value:,.0f}"


def _one_line(value: str) -> str:
    return " ".join(value[: 2 * _PREVIEW].split())[:_PREVIEW]


def _group(number: int) -> str:
    return f"group {number}" if number else ""


COUNT_COLUMNS = (
    Column("value", "value"),
    Column("n", "cases", "right", _whole),
    Column("weight", "share of requests", "right", percent),
    Column("shown", "shown", "right", _whole, "cases that the other choices leave"),
)
DUPLICATE_COLUMNS = (
    Column("n", "cases", "right", _whole),
    Column("similarity", "in common", "right", percent, "word triples that the least similar has with the first"),
    Column("danger", "what a split does"),
    Column("targets", "targets"),
    Column("ids", "which"),
    Column("prompt", "the first of them", show=_one_line),
)
RULE_COLUMNS = (
    Column("rule", "rule"),
    Column("n", "cases", "right", _whole),
    Column("weight", "share of requests", "right", percent),
    Column("models", "asked first"),
    Column("categories", "categories"),
)
GAP_COLUMNS = (
    Column("model", "model"),
    Column("category", "category"),
    Column("cells", "cells", "right", _whole),
    Column("missing", "missing", "right", _whole, "never answered, or the case has changed since"),
    Column("failed", "failed", "right", _whole, "an error in place of the answer"),
)
_DANGERS = {
    "leak": "LEAK: on both sides of the split",
    "torn": "can put them on both sides: no common group",
    "none": "keeps them together",
}


def case_columns(browse: Browse) -> list[Column]:
    """Returns the columns that say anything of a suite's cases."""
    frame = browse.frame
    columns = [
        Column("id", "case"),
        Column("category", "category"),
        Column("tags", "tags"),
        Column("prompt", "prompt", show=_one_line, help="its beginning; search looks at all of it"),
        Column("characters", "length", "right", _whole, "characters of the whole conversation"),
        Column("turns", "turns", "right", _whole, "messages of the user"),
        Column("grader", "grader"),
        Column("split", "split"),
        Column("weight", "requests", "right", lambda value: f"{value:,.3g}", "how many the case stands for"),
        Column("group", "group"),
        Column("stakes_usd", "stakes, $", "right", lambda value: f"{value:,.3g}", "what a wrong answer costs"),
        Column("duplicates", "alike", "right", _group, "number of the group that asks nearly the same"),
        Column("rule", "rule", help="the rule that takes it"),
        Column("model", "asked first", help="whom that rule asks first"),
        Column("answered", "answers", "right", _whole, "models whose answer is there"),
        Column("score", "score", "right", lambda value: f"{value:.2f}", "mean over the graded answers of all models"),
    ]
    # A column of one value for all cases is said once, above.
    telling = {name for name in ("tags", "grader", "split", "group") if len(set(frame[name])) > 1}
    telling |= {"id", "category", "prompt", "characters", "duplicates"}
    telling |= {"turns"} if frame["turns"].max() > 1 else set()
    telling |= {"weight"} if browse.is_weighted else set()
    telling |= {"stakes_usd"} if frame["stakes_usd"].notna().any() else set()
    telling |= {"rule", "model"} if browse.coverage is not None else set()
    telling |= {"answered", "score"} if browse.cells is not None else set()
    return [column for column in columns if column.name in telling]


def case_frame(browse: Browse) -> pd.DataFrame:
    """Returns the cases that are shown, for a table of `case_columns`."""
    frame = browse.shown
    if "duplicates" not in frame:
        frame = frame.assign(duplicates=pd.array([None] * len(frame), dtype="Int64"))
    # A label that a case does not have is none, and not unknown.
    labels = {name: frame[name].fillna("") for name in ("category", "tags", "split", "group")}
    return frame.assign(id=frame.index, **labels)


def count_frame(counts: Sequence[Count]) -> pd.DataFrame:
    """Returns a row of COUNT_COLUMNS a value."""
    rows = [(one.value, one.n, one.weight, one.shown) for one in counts]
    frame = pd.DataFrame(rows, columns=[column.name for column in COUNT_COLUMNS])
    return frame.set_index(pd.Index([one.value for one in counts]))


def duplicate_frame(browse: Browse) -> pd.DataFrame:
    """Returns a row of DUPLICATE_COLUMNS a group, by its number from 1 on."""
    rows = [
        (
            len(one.case_ids),
            one.similarity,
            _DANGERS[one.danger],
            "differ" if one.is_contradiction else "agree",
            ", ".join(one.case_ids[:4]) + (f" and {len(one.case_ids) - 4} more" if len(one.case_ids) > 4 else ""),
            prompt_text(browse.suite[one.case_ids[0]]),
        )
        for one in browse.duplicates or ()
    ]
    frame = pd.DataFrame(rows, columns=[column.name for column in DUPLICATE_COLUMNS])
    return frame.set_index(pd.Index([str(number) for number in range(1, len(rows) + 1)]))


def rule_frame(coverage: Coverage) -> pd.DataFrame:
    """Returns a row of RULE_COLUMNS a rule."""
    rows = [(row.rule, row.n, row.weight, _most(row.models), _most(row.categories)) for row in coverage.rows]
    frame = pd.DataFrame(rows, columns=[column.name for column in RULE_COLUMNS])
    return frame.set_index(frame["rule"])


def _most(counts: Sequence[tuple[str, int]]) -> str:
    told = ", ".join(f"{name} {number:,}" for name, number in counts[:4])
    return told + (f" and {len(counts) - 4} others" if len(counts) > 4 else "") if told else "takes no case"
