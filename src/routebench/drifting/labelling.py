"""Which requests of production to label next."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from routebench.drifting.inputs import told_wholly
from routebench.drifting.needs import Need, kinds_of
from routebench.drifting.served import Served, Words, is_filled
from routebench.drifting.shadow import same_first
from routebench.errors import InputError
from routebench.evaluate.choices import BoolArray, IntArray
from routebench.rules import RuleSet
from routebench.rules.conditions.parts import parts_of
from routebench.traces import features_of

_NEAR = 0.1
_MOST_LOOKED_AT = 20_000
_COMPARISONS = ("gt", "gte", "lt", "lte")

Reason = Literal["few_cases", "explored", "shadow_differs", "failed", "near_threshold"]
REASONS: Mapping[Reason, str] = {
    "few_cases": "few labelled cases of its kind",
    "explored": "explored",
    "shadow_differs": "another model in the shadow",
    "failed": "failed",
    "near_threshold": "near a threshold of the rules",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One request that is worth a label.

    Attributes:
        row: its position among the traces that were looked at.
        reasons: why.
        has_text: whether its messages were kept.
    """

    trace_id: str
    row: int
    rule: str | None
    model: str | None
    reasons: tuple[Reason, ...]
    has_text: bool

    def as_dict(self) -> dict[str, Any]:
        """The JSON form; it holds no text."""
        return {
            "trace_id": self.trace_id,
            "rule": self.rule,
            "model": self.model,
            "reasons": list(self.reasons),
            "has_text": self.has_text,
        }


def candidates(
    served: Served, ruleset: RuleSet, lacking: Sequence[Need], *, n: int = 100, seed: int = 0
) -> tuple[Candidate, ...]:
    """Returns requests that are worth a label, the most telling first, of every conversation one at the most.

    Those with more reasons come first; among them those whose kind lacks most. Of a kind that lacks cases no more
    are named for this reason alone than it lacks.

    Args:
        served: requests that one policy decided.
        ruleset: that policy, for its thresholds.
        lacking: what `needs` found.
        n: at the most so many.
        seed: of the order among requests that tell alike.
    """
    rows = _pool(served, seed)
    pool = served.take(rows)
    kinds = kinds_of(pool)
    amounts = {one.kind: one for one in lacking if one.lacking}
    reasons: list[tuple[Reason, BoolArray]] = [
        ("few_cases", kinds.are(*amounts)),
        ("near_threshold", _near_threshold(pool, ruleset)),
        *_rare_reasons(pool),
    ]
    counts = np.sum([which for _, which in reasons], axis=0)
    shares = [amounts[name].lacking / amounts[name].need if name in amounts else 0.0 for name in kinds.names]
    lack = np.array([*shares, 0.0])[kinds.by]
    ranked = np.lexsort((np.arange(pool.n), -lack, -counts))
    left = {name: one.lacking for name, one in amounts.items()}
    return tuple(_chosen(pool, rows, ranked, kinds, reasons, left, n))


def _pool(served: Served, seed: int) -> IntArray:
    """Positions of requests that are looked at, one of a conversation and one of the same features.

    Those that are rare, and known without a look at features, come first.
    """
    rare = np.zeros(served.n, dtype=bool)
    for _, which in _rare_reasons(served):
        rare |= which
    order = np.random.default_rng(seed).permutation(served.n)
    order = order[np.argsort(~rare[order], kind="stable")]
    order = order[~pd.Series(served.conversation[order]).duplicated().to_numpy()]
    if "features_sha256" in served.frame and "features" in served.frame:
        # Where only the quick ones are told, many requests look alike that are not.
        digests = served.frame["features_sha256"].where(told_wholly(served)).iloc[order]
        order = order[(digests.isna() | ~digests.duplicated()).to_numpy()]
    return order[:_MOST_LOOKED_AT]


def _rare_reasons(served: Served) -> list[tuple[Reason, BoolArray]]:
    differs = np.zeros(served.n, dtype=bool)
    if "shadow_chain" in served.frame and "shadow_rules" in served.frame:
        told = served.frame["shadow_rules"].notna().to_numpy()
        if told.any():
            _, same, known = same_first(served)
            differs = told & known & ~same & ~served.explored
    return [("explored", served.explored), ("shadow_differs", differs), ("failed", served.failed)]


def _near_threshold(served: Served, ruleset: RuleSet) -> BoolArray:
    """Requests with a number within a tenth of one that a rule compares it with."""
    near = np.zeros(served.n, dtype=bool)
    limits = [one for rule in ruleset.rules for one in _thresholds(rule.when)]
    if not limits or "features" not in served.frame:
        return near
    features = features_of(served.frame)
    for name, limit in limits:
        if name in features:
            values = features[name].to_numpy(dtype=float, na_value=np.nan)
            near |= np.abs(values - limit) <= _NEAR * abs(limit)
    return near


def _thresholds(when: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Every number that a condition compares a feature with, however deep it stands."""
    for part in parts_of(when):
        for name, value in part.items():
            for word, limit in value.items() if isinstance(value, Mapping) else ():
                if word in _COMPARISONS and isinstance(limit, (int, float)) and not isinstance(limit, bool):
                    yield name, float(limit)


def _chosen(
    pool: Served,
    rows: IntArray,
    ranked: IntArray,
    kinds: Words,
    reasons: Sequence[tuple[Reason, BoolArray]],
    left: dict[str, int],
    n: int,
) -> Iterator[Candidate]:
    ids = pool.frame["trace_id"].to_numpy(dtype=object)
    texts = pool.frame["messages"].notna().to_numpy() if "messages" in pool.frame else np.zeros(pool.n, dtype=bool)
    given = 0
    for place in ranked:
        why = tuple(name for name, which in reasons if which[place])
        kind = kinds.name(place)
        if not why or given >= n:
            return
        if why == ("few_cases",) and left.get(kind or "", 0) <= 0:
            continue
        if "few_cases" in why and kind is not None:
            left[kind] -= 1
        given += 1
        rule, model = pool.rule.name(place), pool.model.name(place)
        yield Candidate(str(ids[place]), int(rows[place]), rule, model, why, bool(texts[place]))


def write_candidates(path: str | Path, served: Served, chosen: Sequence[Candidate]) -> int:
    """Writes the candidates whose texts were kept as rows of a suite, and returns how many they are.

    Targets and graders are for people to add: every row has grader `none` until then. Its category is the rule that
    decided, its group the conversation. What callers said as metadata no trace holds.

    Raises:
        InputError: the file cannot be written.
    """
    kept = [one for one in chosen if one.has_text]
    told = served.frame.iloc[[one.row for one in kept]].to_dict("records")
    rows = [_suite_row(candidate, trace) for candidate, trace in zip(kept, told, strict=True)]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    try:
        Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another path") from None
    return len(kept)


def _suite_row(candidate: Candidate, trace: Mapping[Hashable, Any]) -> dict[str, Any]:
    """All that rules can read of a request, so that the row is decided as the request was."""
    sent = _read(trace.get("request")) or {}
    row = {
        "id": candidate.trace_id,
        "messages": _read(trace["messages"]),
        **{name: sent.get(name) or None for name in ("tools", "response_format", "params")},
        "tags": [*trace["tags"]] if is_filled(trace.get("tags")) else None,
        "category": candidate.rule,
        "group": trace["conversation"] if isinstance(trace.get("conversation"), str) else None,
        "grader": "none",
    }
    return {name: value for name, value in row.items() if value is not None}


def _read(told: Any) -> Any:
    """A value of any shape, which a frame holds as JSON."""
    return json.loads(told) if isinstance(told, str) else told if isinstance(told, (list, tuple, dict)) else None
