"""What a blind batch amounts to, for one person and beside the others who were shown the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from routebench.evaluate.intervals import Interval
from routebench.evaluate.verdicts import (
    Held,
    Repeats,
    Standing,
    as_plain,
    held,
    left_share,
    mean_score,
    mean_scores,
    raters_agree,
    standings,
)
from routebench.grade.blind import SKIP, grade_of, mirrored, preference, score_on
from routebench.grade.judge import PAIRWISE
from routebench.store import BlindAnswer, BlindBatch, BlindItem, BlindVerdict
from routebench.types import Case

REFERENCE = "reference"
_SAME = 1e-9


@dataclass(frozen=True)
class Graded:
    """What one person's verdicts on a blind batch amount to.

    Before the reveal models stand under numbers, such as `model 1`.

    Attributes:
        rater: who graded.
        kind: `score` or `pairwise`.
        judged_by: what scored the same answers, in words; None where nothing did.
        n_items: shown in the whole batch.
        n_done: with a word, skips among them.
        n_skipped: of them.
        n_both_bad: pairs of which neither answer will do.
        n_identical: pairs of equal answers, ties without a look; they are in no share here.
        standings: of pairs.
        scores: model -> how many, and the weighted mean; of scores.
        overall: the weighted mean of all scores; None for pairs.
        held: the judge held against the person; None where it scored none of the items.
        repeats: how far the person agrees with themselves.
        left: how many pairs were decided, and the share that went to the left side; None for scores.
        taken_s: median seconds a verdict; None while unknown.
        others: agreement with everybody else who graded the batch.
        revealed_at: when the names were told; None before.
    """

    rater: str
    kind: str
    judged_by: str | None
    n_items: int
    n_done: int
    n_skipped: int
    n_both_bad: int
    n_identical: int
    standings: tuple[Standing, ...]
    scores: Mapping[str, tuple[int, Interval]]
    overall: Interval | None
    held: Held | None
    repeats: Repeats
    left: tuple[int, Interval] | None
    taken_s: float | None
    others: pd.DataFrame = field(repr=False)
    revealed_at: datetime | None = None

    @property
    def n_graded(self) -> int:
        """Items with a verdict that counts."""
        return self.n_done - self.n_skipped

    def as_dict(self) -> dict[str, Any]:
        """The JSON form: unknown is null, an interval is a mean with `ci95`."""
        sides = ("preferred", "won", "tied", "lost")
        return {
            "rater": self.rater,
            "kind": self.kind,
            "judged_by": self.judged_by,
            "n_items": self.n_items,
            "n_done": self.n_done,
            "n_skipped": self.n_skipped,
            "n_both_bad": self.n_both_bad,
            "n_identical": self.n_identical,
            "standings": [
                {name: getattr(one, name) for name in ("name", "against", "n", "wins", "ties", "losses", "verdict")}
                | {name: as_plain(getattr(one, name)) for name in sides}
                for one in self.standings
            ],
            "scores": {name: {"n": n, **as_plain(mean)} for name, (n, mean) in self.scores.items()},
            "overall": None if self.overall is None else as_plain(self.overall),
            "judge": None if self.held is None else _held_dict(self.held),
            "repeats": {"same": self.repeats.same, "n": self.repeats.n, "ci95": _listed(self.repeats.ci95)},
            "left": None if self.left is None else {"n": self.left[0], **as_plain(self.left[1])},
            "taken_s": self.taken_s,
            "others": [
                {**row, "alpha": as_plain(row["alpha"]), "kappa": as_plain(row["kappa"])}
                for row in self.others.to_dict("records")
            ],
            "revealed_at": None if self.revealed_at is None else self.revealed_at.isoformat(),
        }


def _held_dict(one: Held) -> dict[str, Any]:
    return {
        "n": one.n,
        "alpha": as_plain(one.alpha),
        "kappa": as_plain(one.kappa),
        "same": None if one.same is None else as_plain(one.same),
        "above": None if one.above is None else as_plain(one.above),
    }


def _listed(pair: tuple[float, float] | None) -> list[float] | None:
    return None if pair is None else list(pair)


def amount_to(
    batch: BlindBatch,
    verdicts: Sequence[BlindVerdict],
    rater: str,
    cases: Mapping[str, Case],
    scored: pd.DataFrame,
    names: Mapping[str, str],
    *,
    judged_by: str | None,
    revealed_at: datetime | None,
) -> Graded:
    """Works out what a person's verdicts amount to.

    Args:
        batch: what was shown.
        verdicts: of everybody.
        rater: whose result it is.
        cases: by id.
        scored: the primary grader's scores, as `read_scores_of` returns them.
        names: model -> under which name it stands.
        judged_by: what gave those scores, in words.
        revealed_at: when the person was told the names.
    """
    mine = {one.place: one for one in verdicts if one.rater == rater}
    items = items_of(batch, mine, cases, scored, names)
    words = [one.verdict for one in mine.values()]
    times = [one.taken_s for one in mine.values() if one.taken_s is not None and one.verdict != SKIP]
    pairs = batch.kind == "pairwise"
    by_rater = {
        other: _values(batch, {one.place: one for one in verdicts if one.rater == other})
        for other in dict.fromkeys(one.rater for one in verdicts)
    }
    models = [names[model] for model in batch.models]
    graded = items.assign(value=items["grade"]) if batch.opponent == "reference" else items
    return Graded(
        rater=rater,
        kind=batch.kind,
        judged_by=judged_by,
        n_items=len(batch.items),
        n_done=len(mine),
        n_skipped=words.count(SKIP),
        n_both_bad=words.count("both_bad"),
        n_identical=batch.counts.get("identical", 0),
        standings=standings(items, sorted(models)) if pairs else (),
        scores={} if pairs else mean_scores(items, sorted(models)),
        overall=None if pairs else mean_score(items),
        held=held(graded[graded["value"].notna()], pairs=pairs, grades=batch.opponent != "model"),
        repeats=_repeats(batch, mine),
        left=left_share(_sides(batch, mine)) if pairs else None,
        taken_s=float(np.median(times)) if times else None,
        others=raters_agree(pd.DataFrame(by_rater)),
        revealed_at=revealed_at,
    )


def items_of(
    batch: BlindBatch,
    mine: Mapping[int, BlindVerdict],
    cases: Mapping[str, Case],
    scored: pd.DataFrame,
    names: Mapping[str, str],
) -> pd.DataFrame:
    """Returns a row for each item with a verdict that counts, silent repeats aside.

    Columns: place, case_id, group, `weight` (requests over the chance to be drawn), left, right, `value` (the score, or
    1 where the left one is better), `grade` and `judge` (the answer's score by the person and by the suite's grader; of
    two models the judge's preference), word, note. Against a reference the answer stands left, wherever it was shown.
    """
    keys = zip(scored["case_id"], scored["request_key"], scored["run_id"], strict=True)
    score_of: dict[tuple[str, str, str | None], float] = dict(zip(keys, scored["score"], strict=True))
    rows = []
    for item in batch.items:
        said = mine.get(item.place)
        value = None if said is None or item.first_place is not None else _value(batch, item, said.verdict)
        if said is None or value is None:
            continue
        # Of a case that the suite has lost the verdict stands, and what it is worth as a grade is unknown.
        case = cases.get(item.case_id)
        left, right = item.left, item.right
        if right is not None and left.model is None:
            left, right, value = right, left, 1 - value
        graded = None if case is None else grade_of(batch, item, said.verdict, case)
        rows.append(
            {
                "place": item.place,
                "case_id": item.case_id,
                "group": item.group,
                "weight": item.weight / item.chance,
                "left": _name(left, names),
                "right": None if right is None else _name(right, names),
                "value": value,
                "grade": np.nan if graded is None or graded[1] is None else graded[1],
                "judge": _judged(batch, item.case_id, left, right, case, score_of),
                "word": said.verdict,
                "note": said.note,
            }
        )
    columns = ["place", "case_id", "group", "weight", "left", "right", "value", "grade", "judge", "word", "note"]
    numbers = dict.fromkeys(("weight", "value", "grade", "judge"), float)
    return pd.DataFrame(rows, columns=columns).astype(numbers)


def _value(batch: BlindBatch, item: BlindItem, word: str) -> float | None:
    if word == SKIP:
        return None
    return preference(word) if item.right is not None else score_on(str(batch.scale), word)


def _name(answer: BlindAnswer, names: Mapping[str, str]) -> str:
    return REFERENCE if answer.model is None else names[answer.model]


def _judged(
    batch: BlindBatch,
    case_id: str,
    left: BlindAnswer,
    right: BlindAnswer | None,
    case: Case | None,
    score_of: Mapping[tuple[str, str, str | None], float],
) -> float:
    """What the suite's grader says of the same, on the scale of the person's value."""
    own = score_of.get((case_id, left.request_key, left.run_id), np.nan)
    if batch.opponent is None:
        return own
    if batch.opponent == "reference":
        return own if case is not None and case.grader.name == PAIRWISE else np.nan
    assert right is not None
    gap = own - score_of.get((case_id, right.request_key, right.run_id), np.nan)
    return np.nan if np.isnan(gap) else 0.5 if abs(gap) < _SAME else float(gap > 0)


def _repeats(batch: BlindBatch, mine: Mapping[int, BlindVerdict]) -> Repeats:
    same = n = 0
    for item in batch.items:
        first = mine.get(-1 if item.first_place is None else item.first_place)
        again = mine.get(item.place)
        if first is None or again is None or item.first_place is None:
            continue
        one = _value(batch, item, first.verdict)
        other = _value(batch, item, mirrored(again.verdict))
        if one is not None and other is not None:
            n += 1
            same += one == other
    return Repeats(same, n)


def _sides(batch: BlindBatch, mine: Mapping[int, BlindVerdict]) -> pd.DataFrame:
    rows = [
        (item.group, liked)
        for item in batch.items
        if item.place in mine and (liked := _value(batch, item, mine[item.place].verdict)) is not None
    ]
    return pd.DataFrame(rows, columns=["group", "to_left"])


def _values(batch: BlindBatch, mine: Mapping[int, BlindVerdict]) -> dict[int, float]:
    """Place -> what one person said there first, as a number."""
    found = {}
    for item in batch.items:
        if item.place in mine and item.first_place is None:
            value = _value(batch, item, mine[item.place].verdict)
            if value is not None:
                found[item.place] = value
    return found
