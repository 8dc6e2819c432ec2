"""Scores of traces: what people or graders said, and what they say of the rules in the shadow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from routebench.drifting.off_policy import MIN_MATCHES, Logged, OffPolicy, doubly_robust, self_normalised
from routebench.drifting.served import Served, Words
from routebench.drifting.shadow import same_first
from routebench.errors import InputError
from routebench.evaluate.choices import BoolArray, FloatArray, IntArray
from routebench.suites.importers.frames import frames, numbers, texts

_EVEN = 1.5
"""Explored requests may be scored so many times as often as the others before it must be said by which chance."""


def read_scores(path: str | Path) -> pd.DataFrame:
    """Reads scores of traces: trace_id, score from 0 to 1, and perhaps `chance`, with which it was drawn to be scored.

    Raises:
        InputError: the file cannot be read, or a score or a chance is out of range.
    """
    path = Path(path)
    parts = []
    for frame in frames(path, ("trace_id", "score")):
        part = pd.DataFrame({"trace_id": texts(frame["trace_id"]), "score": numbers(frame["score"])})
        part["chance"] = numbers(frame["chance"]) if "chance" in frame.columns else np.nan
        parts.append(part)
    told = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    told = told[told["trace_id"].notna() & told["score"].notna()] if len(told) else told
    if told.empty:
        raise InputError(f"{path}: holds no score; a row needs trace_id and a score from 0 to 1")
    for name, low in (("score", 0.0), ("chance", 1e-9)):
        wrong = told[name].notna() & ~told[name].between(low, 1.0)
        if wrong.any():
            row = told[wrong].iloc[0]
            raise InputError(
                f"{path}: {name} {row[name]:g} of trace {row['trace_id']!r} is not "
                f"{'between 0 and 1' if name == 'score' else 'above 0 and at most 1'}"
            )
    return told.drop_duplicates("trace_id", keep="last")


def value_of_shadow(served: Served, scores: pd.DataFrame) -> OffPolicy | None:
    """Returns what the rules in the shadow would be worth against those at work; None where none were there.

    A request that failed counts as a score of 0, one that health sent elsewhere not at all.

    Args:
        served: requests that one policy decided.
        scores: as `read_scores` returns them.
    """
    if "shadow_rules" not in served.frame or "shadow_chain" not in served.frame:
        return None
    names = Words.of(served.frame["shadow_rules"])
    if not names.counts():
        return None
    name = next(iter(names.counts()))
    placed = scores.set_index("trace_id").reindex(served.frame["trace_id"].astype(object))
    score, chance = (placed[column].to_numpy(dtype=float) for column in ("score", "chance"))
    scored = np.isfinite(score)
    # Nobody scores an answer that never came: left out, a model that often fails would look like one that never does.
    lost = served.failed & ~scored
    # What health sent elsewhere tells nothing of the model that was wanted: it had no chance.
    could = names.are(name) & served.first.known & served.wanted.known & ~served.shifted
    chosen = could & (served.propensity > 0)
    if not (chosen & scored).any():
        why = (
            "no chance of another choice was written (`explore` was not set): a policy that always decides alike says "
            "nothing of what it never did; serve with `explore: 0.02`"
            if (could & scored).any()
            else "no request that both decided has a score"
        )
        return OffPolicy(name, int((could & scored).sum()), 0, 0, why_not=why)
    answered = chosen & (scored | served.outcome.are("ok"))
    uneven = _uneven(served.take(answered), scored[answered], chance[answered])
    drawn = chosen & (scored | lost)
    even = float(scored[answered].mean())
    logged = _logged(
        served.take(drawn),
        np.where(lost, 0.0, score)[drawn],
        np.where(lost, 1.0, np.where(np.isnan(chance), even, chance))[drawn],
    )
    n, moved, matches = len(logged.score), int(logged.moved.sum()), int(logged.matches.sum())
    if uneven is not None:
        return OffPolicy(name, n, moved, matches, why_not=uneven)
    difference = doubly_robust(logged)
    if difference is None:
        why = (
            f"exploration tried what {name} wants on {matches} of {moved} scored requests that it would move, in "
            f"{logged.n_matched} conversations; it takes {MIN_MATCHES}"
        )
        return OffPolicy(name, n, moved, matches, why_not=why)
    return OffPolicy(name, n, moved, matches, difference, self_normalised(logged))


def _uneven(served: Served, scored: BoolArray, chance: FloatArray) -> str | None:
    """Why the scores may be those of chosen requests, None where nothing speaks for it."""
    if np.isfinite(chance[scored]).all():
        return None
    shares = [float(scored[which].mean()) if which.any() else 0.0 for which in (served.explored, ~served.explored)]
    if min(shares) <= 0 or max(shares) / min(shares) > _EVEN:
        return (
            f"{shares[0]:.1%} of the explored requests have a score and {shares[1]:.1%} of the others, so that they "
            "were chosen, not drawn; give a column `chance`, with which each was drawn to be scored"
        )
    return None


def _logged(served: Served, score: FloatArray, chance: FloatArray) -> Logged:
    theirs, _, _ = same_first(served)
    models = list(dict.fromkeys((*served.first.names, *served.wanted.names, *theirs.names)))
    place = {name: number for number, name in enumerate(models)}

    def numbered(words: Words) -> IntArray:
        found: IntArray = np.array([*(place[name] for name in words.names), len(models)], dtype=np.intp)[words.by]
        return found

    return Logged(
        tried=numbered(served.first),
        wanted=numbered(served.wanted),
        target=numbered(theirs),
        propensity=served.propensity,
        score=score,
        kind=np.maximum(served.rule.by, 0),
        groups=served.conversation,
        weight=1.0 / chance,
    )
