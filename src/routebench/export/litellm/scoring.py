"""Tiers as LiteLLM's keywords and scores.

Keyword rules come before any score. So they serve for the most severe tiers as long as these ask for words alone; from
the first tier on that asks for more, everything is a dimension of the score. Weights are chosen so that whatever
matches on less severe tiers never adds up to the next boundary, and all parts of a condition are needed to reach it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from routebench.export.litellm.ladder import Ladder, Level
from routebench.export.litellm.matchers import Clause, Matcher
from routebench.export.litellm.patterns import MOST_WORK_OF_ALL, total

TIERS = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
BOUNDARIES = ("simple_medium", "medium_complex", "complex_reasoning")
MOST_DIMENSIONS = 16
MOST_MATCHERS = 32
MOST_SIGNS = 4096
LONGEST_PATTERN_LENGTH = 1_792
"""Characters that a pattern can count: 28 times 64, within the work that LiteLLM allows a pattern."""
_NEVER = 1_000_000_000
_WEIGHTS = (0.00002, 0.005, 1.0)
"""Of the second, third and fourth tier: sixteen of one are less than a twelfth of the next."""
_BOUNDARY = 0.95
_MOST_PARTS = 8
"""With seven of eight parts, and all of a less severe tier, a message stays below the boundary."""


class CrowdedError(Exception):
    """More than LiteLLM has room for; the text says what."""


@dataclass
class Scored:
    """What of a `complexity_router_config` makes the tiers.

    Attributes:
        keyword_rules: `keyword_tier_rules`.
        dimensions: `custom_dimensions`.
        boundaries: `tier_boundaries`.
        weights: `dimension_weights`.
        thresholds: `token_thresholds`.
    """

    keyword_rules: list[dict[str, Any]] = field(default_factory=list)
    dimensions: list[dict[str, Any]] = field(default_factory=list)
    boundaries: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    thresholds: dict[str, int] = field(default_factory=dict)

    def as_config(self) -> Mapping[str, Any]:
        """Returns the keys of `complexity_router_config`."""
        found: dict[str, Any] = {
            "tier_boundaries": self.boundaries,
            "dimension_weights": self.weights,
            "token_thresholds": self.thresholds,
            # Two of LiteLLM's own words for reasoning would else choose the most severe tier.
            "reasoning_override_min_score": float(_NEVER),
        }
        if self.keyword_rules:
            found["keyword_tier_rules"] = self.keyword_rules
        if self.dimensions:
            found["custom_dimensions"] = self.dimensions
        return found


def scored(ladder: Ladder) -> Scored:
    """Returns the keywords, dimensions and boundaries of the tiers.

    Raises:
        CrowdedError: there are more patterns, words or lengths than fit.
    """
    found = Scored(
        boundaries={name: _BOUNDARY * weight for name, weight in zip(BOUNDARIES, _WEIGHTS, strict=True)},
        weights=dict.fromkeys(
            (
                "tokenCount",
                "codePresence",
                "reasoningMarkers",
                "technicalTerms",
                "simpleIndicators",
                "multiStepPatterns",
                "questionComplexity",
            ),
            0.0,
        ),
        thresholds={"simple": 0, "complex": _NEVER},
    )
    scores = _scores_from(ladder.levels)
    for number, level in enumerate(ladder.levels):
        for step in level.steps:
            if number > scores or (number == scores and _is_words(step.clause)):
                found.keyword_rules.append({"keywords": list(step.clause[0].keywords), "tier": TIERS[number]})
            else:
                _score(found, step.clause, number)
    if len(found.dimensions) > MOST_DIMENSIONS:
        raise CrowdedError(f"it has {MOST_DIMENSIONS} dimensions, and {len(found.dimensions)} are needed")
    if total(pattern for made in found.dimensions for pattern in made.get("patterns", ())) > MOST_WORK_OF_ALL:
        raise CrowdedError("its patterns together are more work than it allows")
    return found


def _scores_from(levels: Sequence[Level]) -> int:
    """The most severe tier that asks for more than words; 0 where none does."""
    return max(
        (place for place, level in enumerate(levels) if any(not _is_words(step.clause) for step in level.steps)),
        default=0,
    )


def _is_words(clause: Clause) -> bool:
    return len(clause) == 1 and clause[0].is_words_alone


def _score(found: Scored, clause: Clause, tier: int) -> None:
    """A condition of several parts needs all of them to reach the boundary, which lies a twentieth below the weight."""
    if len(clause) > _MOST_PARTS:
        raise CrowdedError(f"a condition has {_MOST_PARTS} parts at most")
    each = _WEIGHTS[tier - 1] / len(clause)
    for matcher in clause:
        _check_parts(matcher, len(clause))
        words = [*matcher.keywords]
        patterns = [*matcher.patterns]
        if matcher.above is not None and matcher.above <= LONGEST_PATTERN_LENGTH:
            patterns.append(at_least(matcher.above))
        elif matcher.above is not None:
            _count(found, {"simple": 0, "complex": matcher.above // 4 - 1}, each)
        if matcher.below is not None:
            _count(found, {"simple": round(matcher.below / 4), "complex": _NEVER}, -each)
        groups = list(_grouped(words, patterns))
        if len(clause) > 1 and len(groups) > 1:
            raise CrowdedError(f"one part of a condition has {MOST_MATCHERS} words and patterns at most")
        for some, others in groups:
            made: dict[str, Any] = {"name": f"rb{len(found.dimensions) + 1}", "weight": each}
            if some:
                made["keywords"] = some
            if others:
                made["patterns"] = others
            found.dimensions.append(made)


def _check_parts(matcher: Matcher, parts: int) -> None:
    by_length = matcher.below is not None or (matcher.above or 0) > LONGEST_PATTERN_LENGTH
    if parts > 1 and by_length and (matcher.keywords or matcher.patterns):
        raise CrowdedError("one part of a condition asks for words or for a length, not for one of both")


def at_least(characters: int) -> str:
    """Returns a pattern that messages of so many characters have: LiteLLM repeats a character 64 times at most."""
    times, rest = divmod(characters, 64)
    return "(?s:" + ".{64}" * times + (f".{{{rest}}}" if rest else "") + ")"


def _count(found: Scored, thresholds: dict[str, int], weight: float) -> None:
    if found.weights["tokenCount"]:
        raise CrowdedError("it counts length against one bound, and a second one is needed")
    found.weights["tokenCount"] = weight
    found.thresholds = thresholds


def _grouped(words: Sequence[str], patterns: Sequence[str]) -> Iterator[tuple[list[str], list[str]]]:
    some: list[str] = []
    others: list[str] = []
    for one, where in [(word, some) for word in words] + [(pattern, others) for pattern in patterns]:
        if len(some) + len(others) == MOST_MATCHERS or sum(map(len, (*some, *others, one))) > MOST_SIGNS:
            yield list(some), list(others)
            some.clear()
            others.clear()
        where.append(one)
    if some or others:
        yield list(some), list(others)
