"""The cases on which strategies differ, those that hurt most first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from routebench.evaluate import Comparison
from routebench.evaluate.choices import BoolArray, FloatArray
from routebench.messages import last_user_text
from routebench.types import Case

Which = Literal["different", "answers", "all"]
"""Cases whose scores differ; those that other models answer to the same score; every case."""

_SAME = 1e-12
_PREVIEW = 160
HARM, WEIGHT, STAKES, SAVED, PROMPT = "harm", "weight", "stakes_usd", "saved_usd_per_1k", "prompt"


def score_column(place: int) -> str:
    """Returns the column with what a strategy's answer scored, by its place among those that are held together."""
    return f"score_{place}"


def model_column(place: int) -> str:
    """Returns the column with who answered for a strategy."""
    return f"model_{place}"


def differing(
    comparison: Comparison,
    names: Sequence[str],
    which: Which = "different",
    prompts: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Returns the cases on which strategies differ from the first of them, by case id.

    Harm is the loss of score against the first, times the requests that the case stands for; of several strategies the
    largest loss counts. The most harmful come first, of equal ones those with the highest stakes; those that gain most
    are last.

    Args:
        comparison: has them.
        names: two or more strategies; the first is what the others are held against.
        which: of the cases.
        prompts: case id -> the beginning of what was asked, for a column prompt; none when left out.

    Returns:
        Columns category, score_0, model_0 and so on for every strategy, saved_usd_per_1k (what 1,000 such requests
        cost less with the last than with the first, NaN while unknown), harm, weight, stakes_usd (NaN while unknown).
    """
    test = comparison.half.test
    held, *others = (comparison[name].first.replayed for name in names)
    scores = np.column_stack([held.score, *(one.score for one in others)])
    loss = (scores[:, :1] - scores[:, 1:]).max(axis=1)
    differs: BoolArray = (np.abs(scores[:, 1:] - scores[:, :1]) > _SAME).any(axis=1)
    by_other: BoolArray = np.any(
        [np.abs(one.answered_by - held.answered_by).max(axis=1) > _SAME for one in others], axis=0
    )
    kept = {"different": differs, "answers": by_other & ~differs, "all": np.ones(test.n, dtype=bool)}[which]
    harm = loss * test.weight
    at = np.flatnonzero(kept)
    stakes = test.cases.stakes_usd
    order = np.lexsort((at, -np.nan_to_num(stakes[at]), -harm[at]))
    at = at[order]
    ids = test.cases.ids[at].tolist()
    columns: dict[str, object] = {"category": _texts(test.cases.category[at].tolist())}
    for place, one in enumerate((held, *others)):
        columns[score_column(place)] = scores[at, place]
        columns[model_column(place)] = _texts(answerers(one.answered_by[at], comparison.models))
    columns |= {
        SAVED: 1000 * (held.cost_usd[at] - others[-1].cost_usd[at]),
        HARM: harm[at],
        WEIGHT: test.weight[at],
        STAKES: stakes[at],
    }
    if prompts is not None:
        columns[PROMPT] = _texts([prompts[case_id] for case_id in ids])
    return pd.DataFrame(columns, index=pd.Index(ids, dtype=object, name="case"))


def previews(cases: Iterable[Case]) -> dict[str, str]:
    """Returns the beginning of what was asked, by case id; empty where no text is kept."""
    return {
        case.id: " ".join(last_user_text(case.request.messages)[: 2 * _PREVIEW].split())[:_PREVIEW] for case in cases
    }


def _texts(values: Sequence[str]) -> npt.NDArray[np.object_]:
    # As they are: a column of texts of its own kind takes ten times as long to make.
    return np.array(values, dtype=object)


def answerers(answered_by: FloatArray, models: Sequence[str]) -> list[str]:
    """Returns who answers each case: the likeliest model, with its share where it is not sure; shape (n,)."""
    likeliest = answered_by.argmax(axis=1)
    shares = answered_by[np.arange(len(likeliest)), likeliest].tolist()
    return [
        "nobody" if share <= _SAME else models[at] if share > 1 - _SAME else f"{models[at]} ({share:.0%})"
        for at, share in zip(likeliest.tolist(), shares, strict=True)
    ]
