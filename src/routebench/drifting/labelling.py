"""Which requests of production to label next, and how many of each rule."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import special

from routebench.drifting.expected import Expected
from routebench.drifting.inputs import looked_at
from routebench.drifting.served import Served, Words
from routebench.drifting.shadow import same_first
from routebench.errors import InputError
from routebench.evaluate.choices import BoolArray, FloatArray, IntArray
from routebench.evaluate.estimates import ALPHA
from routebench.rules import RuleSet
from routebench.traces import features_of

PRECISION = 0.02
"""So narrow is the quality of production to be known, to either side."""
_WORST_SPREAD = 0.5
"""Standard deviation of a score of which nothing is known: that of a coin."""
_NEAR = 0.1
LENGTH = "input_tokens"
_EDGES = (100, 1_000, 10_000)
_BANDS = ("up to 100 tokens", "101 to 1,000 tokens", "1,001 to 10,000 tokens", "over 10,000 tokens")
_BETWEEN = "\x1f"
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
class Need:
    """How many labelled cases of one kind of request there are, and how many it would take.

    Attributes:
        rule: that decides.
        band: of lengths, such as `101 to 1,000 tokens`; None where the traces hold no features.
        share: of the requests of production.
        have: cases of the suite of this kind.
        need: cases of it among as many as tell the quality of production to within 2 points (Neyman's allocation: by
            share and spread of scores).
        spread: standard deviation of a score there, None where it was taken for that of a coin.
    """

    rule: str
    band: str | None
    share: float
    have: int
    need: int
    spread: float | None

    @property
    def name(self) -> str:
        """What to call it."""
        return self.rule if self.band is None else f"{self.rule}, {self.band}"

    @property
    def lacking(self) -> int:
        """How many more it takes."""
        return max(0, self.need - self.have)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "rule": self.rule,
            "band": self.band,
            "share": self.share,
            "have": self.have,
            "need": self.need,
            "lacking": self.lacking,
            "spread": self.spread,
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


def needs(served: Served, expected: Expected | None, *, seed: int = 0) -> tuple[Need, ...]:
    """Returns how many labelled cases each kind of request takes, the kind that lacks most first.

    Args:
        served: requests that one policy decided.
        expected: the cases that are labelled.
        seed: of the draw of conversations that are looked at.
    """
    drawn = looked_at(served, seed)
    drawn = drawn if drawn.n else served
    kinds = _kinds(drawn)
    counts = kinds.counts()
    total = sum(counts.values())
    found = []
    for kind, n in counts.items():
        rule, _, band = kind.partition(_BETWEEN)
        weight = None if expected is None else _weight(expected, rule, band)
        have = 0 if weight is None else int(np.count_nonzero(weight))
        spread = None if expected is None or weight is None else _spread(expected.replayed.score, weight)
        found.append((rule, band or None, n / total, have, spread))
    amount = sum(share * (spread or _WORST_SPREAD) for *_, share, _, spread in found)
    z = float(special.ndtri(1 - ALPHA / 2))
    all_cases = (z * amount / PRECISION) ** 2
    made = [
        Need(rule, band, share, have, int(np.ceil(all_cases * share * (spread or _WORST_SPREAD) / amount)), spread)
        for rule, band, share, have, spread in found
    ]
    return tuple(sorted(made, key=lambda one: (-one.lacking, -one.share)))


def _kinds(served: Served) -> Words:
    """Rule and band of lengths of each request."""
    if "features" not in served.frame or not (told := served.frame["features"].notna()).any():
        return served.rule
    features = features_of(served.frame)
    if LENGTH not in features:
        return served.rule
    bands = _bands(features[LENGTH].to_numpy(dtype=float, na_value=np.nan))
    rules = np.array([*served.rule.names, ""], dtype=object)[served.rule.by]
    names = [f"{rule}{_BETWEEN}{band}" if band else rule for rule, band in zip(rules, bands, strict=True)]
    return Words.of([name if known else None for name, known in zip(names, told | served.rule.known, strict=True)])


def _bands(lengths: FloatArray) -> list[str]:
    return [
        _BANDS[place] if place >= 0 else ""
        for place in np.where(np.isnan(lengths), -1, np.searchsorted(_EDGES, lengths))
    ]


def _weight(expected: Expected, rule: str, band: str) -> FloatArray:
    """How much each scored case tells of a kind of request, shape (n,)."""
    names, chances = expected.rules
    if rule not in names:
        return np.zeros(expected.n)
    weight = chances[:, names.index(rule)] * expected.weight * ~expected.replayed.missing
    if band:
        lengths = np.array([one[LENGTH] for one in expected.features], dtype=float)
        weight = weight * (np.array(_bands(lengths)) == band)
    return weight


def _spread(score: FloatArray, weight: FloatArray) -> float | None:
    """Standard deviation of scores; None for too few of them, or where all are alike by what may be chance."""
    known = ~np.isnan(score) & (weight > 0)
    if known.sum() < 30:
        return None
    mean = np.average(score[known], weights=weight[known])
    return float(np.sqrt(np.average((score[known] - mean) ** 2, weights=weight[known]))) or None


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
    kinds = _kinds(pool)
    amounts = {f"{one.rule}{_BETWEEN}{one.band}" if one.band else one.rule: one for one in lacking if one.lacking}
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
    if "features_sha256" in served.frame:
        digests = served.frame["features_sha256"].iloc[order]
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


def _thresholds(when: Any) -> Iterator[tuple[str, float]]:
    """Every number that a condition compares a feature with, however deep it stands."""
    if isinstance(when, Mapping):
        for name, value in when.items():
            if isinstance(value, Mapping):
                for word, limit in value.items():
                    if word in _COMPARISONS and isinstance(limit, (int, float)) and not isinstance(limit, bool):
                        yield str(name), float(limit)
            yield from _thresholds(value)
    elif isinstance(when, (list, tuple)):
        for one in when:
            yield from _thresholds(one)


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

    Targets and graders are for people to add: every row has grader `none` until then.

    Raises:
        InputError: the file cannot be written.
    """
    kept = [one for one in chosen if one.has_text]
    conversations = served.frame.get("conversation")
    lines = []
    for one in kept:
        messages = served.frame["messages"].iloc[one.row]
        row: dict[str, Any] = {
            "id": one.trace_id,
            "messages": json.loads(messages) if isinstance(messages, str) else list(messages),
            "grader": "none",
            "tags": ["production", *one.reasons],
        }
        if conversations is not None and isinstance(conversations.iloc[one.row], str):
            row["group"] = conversations.iloc[one.row]
        lines.append(json.dumps(row, ensure_ascii=False))
    try:
        Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another path") from None
    return len(kept)
