"""Learning an ordered list of readable rules: sequential covering on the lower bound of what a rule gains.

A rule sends the requests that match a condition to a chain other than the default. Its worth is the sum, over the
requests that no earlier rule took, of the utility gained against the default, lowered by one standard error: with a
few hundred candidate conditions the best raw gain is mostly luck.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from routebench.evaluate.choices import BoolArray, FloatArray
from routebench.messages import last_user_text
from routebench.rules import Condition
from routebench.types import Request

_WORD = re.compile(r"\w+")
_PAIR = re.compile(r"(?=(?<!\w)(\w+ \w+)(?!\w))")
_MIN_SUPPORT = 3
_MIN_SUPPORT_SHARE = 0.01
_MAX_SUPPORT_SHARE = 0.7
_MAX_KEYWORDS = 400
_PRIOR_CASES = 3.0
"""Weight of the pooled variance against a rule's own: three requests that agree by chance are not certainty."""

# Forms of a request that words alone do not show; each is linear-time and readable.
_PATTERNS: Mapping[str, str] = {
    "sum": r"\d\s*[-+*/x×÷^]\s*\d",
    "percent": r"\d\s*(%|percent)",
    "quoted": r"[\"“'][^\"”']{2,}[\"”']",
    "list": r"\w+, \w+(, | and |,? or )\w+",
    "colon": r":\s*\S",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A condition that a rule could have, and the training requests that match it, shape (n,)."""

    when: Mapping[str, Any]
    mask: BoolArray


@dataclass(frozen=True, slots=True)
class LearnedRule:
    """A rule of the list: requests that match go to the chain; its evidence on the training cases.

    Attributes:
        support: training cases that reach and match it.
        gain: mean utility gained against the default on them.
        gain_se: standard error of that gain.
    """

    when: Mapping[str, Any]
    action: int
    support: int
    gain: float
    gain_se: float


@dataclass(frozen=True, slots=True)
class RuleList:
    """Rules in order, first match wins, and the action where none matches."""

    rules: tuple[LearnedRule, ...]
    default: int


def candidates(requests: Sequence[Request]) -> list[Candidate]:
    """Returns the conditions worth trying for requests like these: words, word pairs, forms and lengths."""
    n = len(requests)
    found = _keyword_candidates([last_user_text(request.messages).casefold() for request in requests])
    whens: list[Mapping[str, Any]] = [{"regex": pattern} for pattern in _PATTERNS.values()]
    whens += [
        {"has_code": True},
        {"is_question": True},
        {"is_question": False},
        {"json_schema": True},
        {"has_tools": True},
    ]
    words = np.array([len(_WORD.findall(last_user_text(request.messages))) for request in requests])
    for cut in sorted({int(q) for q in np.quantile(words, [0.2, 0.4, 0.6, 0.8])}) if n else ():
        whens += [{"words": {"le": cut}}, {"words": {"gt": cut}}]
    for when in whens:
        condition = Condition.parse(when)
        mask = np.fromiter((condition.matches(request) for request in requests), dtype=bool, count=n)
        if _worth(mask):
            found.append(Candidate(when, mask))
    return found


def _keyword_candidates(prompts: Sequence[str]) -> list[Candidate]:
    n = len(prompts)
    held = [set(_WORD.findall(prompt)) | {match[1] for match in _PAIR.finditer(prompt)} for prompt in prompts]
    counts = Counter(word for words in held for word in words if not word.isdigit() and len(word) > 1)
    least = max(_MIN_SUPPORT, _MIN_SUPPORT_SHARE * n)
    frequent = [word for word, count in counts.most_common() if least <= count <= _MAX_SUPPORT_SHARE * n]
    result = []
    for word in sorted(frequent[:_MAX_KEYWORDS], key=lambda word: (-counts[word], word)):
        mask = np.fromiter((word in words for words in held), dtype=bool, count=n)
        result.append(Candidate({"any_keyword": [word]}, mask))
    return result


def _worth(mask: BoolArray) -> bool:
    support = int(mask.sum())
    return max(_MIN_SUPPORT, _MIN_SUPPORT_SHARE * len(mask)) <= support < len(mask)


def induce(
    found: Sequence[Candidate], utility: FloatArray, weight: FloatArray, *, max_rules: int, z: float = 1.0
) -> RuleList:
    """Learns a rule list.

    Args:
        found: candidate conditions with their training masks, shape (n,) each.
        utility: what each of a actions is worth on each training case, shape (a, n).
        weight: of each training case, shape (n,).
        max_rules: at most so many rules.
        z: standard errors that a rule's gain is lowered by before it counts.
    """
    means = utility @ weight / weight.sum()
    best: tuple[float, RuleList] | None = None
    # The best single default is not always the best default beside rules: try the two best.
    for default in np.argsort(-means, kind="stable")[:2]:
        rules, bound = _cover(found, utility, weight, int(default), max_rules, z)
        total = float(means[default] * weight.sum()) + bound
        if best is None or total > best[0]:
            best = (total, RuleList(tuple(rules), int(default)))
    assert best is not None
    return best[1]


def _cover(
    found: Sequence[Candidate], utility: FloatArray, weight: FloatArray, default: int, max_rules: int, z: float
) -> tuple[list[LearnedRule], float]:
    gains = (utility - utility[default]).T  # (n, a)
    pooled = np.average((gains - np.average(gains, axis=0, weights=weight)) ** 2, axis=0, weights=weight)
    masks = np.array([candidate.mask for candidate in found], dtype=float).reshape(len(found), len(gains))
    left = np.ones(len(gains))
    rules: list[LearnedRule] = []
    bound_total = 0.0
    while found and len(rules) < max_rules * 4:
        open_weight = left * weight
        support = masks @ left
        total = masks @ open_weight
        sums = masks @ (gains * open_weight[:, None])
        squares = masks @ (gains**2 * open_weight[:, None])
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = sums / total[:, None]
            variance = squares / total[:, None] - mean**2
            smooth = (support[:, None] * np.maximum(variance, 0) + _PRIOR_CASES * pooled) / (support + _PRIOR_CASES)[
                :, None
            ]
            error = np.sqrt(smooth / support[:, None])
            bound = np.where(support[:, None] >= _MIN_SUPPORT, (mean - z * error) * total[:, None], -np.inf)
        bound = np.nan_to_num(bound, nan=-np.inf)
        at, action = (int(place) for place in np.unravel_index(int(np.argmax(bound)), bound.shape))
        if bound[at, action] <= 0:
            break
        rules.append(
            LearnedRule(
                found[at].when, int(action), int(support[at]), float(mean[at, action]), float(error[at, action])
            )
        )
        bound_total += float(bound[at, action])
        left = left * (1 - masks[at])
        rules_merged = merge(rules)
        if len(rules_merged) > max_rules:
            rules.pop()
            break
    return merge(rules), bound_total


def merge(rules: Sequence[LearnedRule]) -> list[LearnedRule]:
    """Joins neighbouring keyword rules with the same action into one: the decisions stay the same."""
    merged: list[LearnedRule] = []
    for rule in rules:
        last = merged[-1] if merged else None
        if last is not None and last.action == rule.action and _is_keywords(last.when) and _is_keywords(rule.when):
            support = last.support + rule.support
            gain = (last.gain * last.support + rule.gain * rule.support) / support
            spread = (last.gain_se * last.support) ** 2 + (rule.gain_se * rule.support) ** 2
            words = [*last.when["any_keyword"], *rule.when["any_keyword"]]
            merged[-1] = LearnedRule({"any_keyword": words}, rule.action, support, gain, spread**0.5 / support)
        else:
            merged.append(rule)
    return merged


def _is_keywords(when: Mapping[str, Any]) -> bool:
    return set(when) == {"any_keyword"}
