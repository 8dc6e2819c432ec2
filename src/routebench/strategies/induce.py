"""Learning an ordered list of readable rules: sequential covering on the lower bound of what a rule gains.

A rule sends the requests that match a condition to a chain other than the default. Its worth is the sum, over the
requests that no earlier rule took, of the utility gained against the default, lowered by one standard error: with a
few hundred candidate conditions the best raw gain is mostly luck.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.evaluate.cases import rows_of
from routebench.evaluate.choices import BoolArray, FloatArray, IntArray
from routebench.rules import Condition
from routebench.strategies.prompts import readings
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


class Candidates(Sequence[Candidate]):
    """The conditions that are tried, c of them, on the same n training requests."""

    def __init__(self, found: Sequence[Candidate]) -> None:
        self._found = tuple(found)

    def __len__(self) -> int:
        return len(self._found)

    def __getitem__(self, place: int) -> Candidate:  # type: ignore[override]  # nobody slices candidates
        return self._found[place]

    @cached_property
    def held(self) -> Any:
        """1 where a condition matches a request: sparse, because most match few; shape (c, n)."""
        import scipy.sparse

        return scipy.sparse.csr_array(np.array([one.mask for one in self._found], dtype=float))

    @cached_property
    def held_by(self) -> Any:
        """The same the other way round, shape (n, c)."""
        return self.held.T.tocsr()


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


def candidates(requests: Sequence[Request]) -> Candidates:
    """Returns the conditions worth trying for requests like these: words, word pairs, forms and lengths."""
    found = _keyword_candidates(requests)
    whens: list[Mapping[str, Any]] = [{"regex": pattern} for pattern in _PATTERNS.values()]
    whens += [
        {"has_code": True},
        {"is_question": True},
        {"is_question": False},
        {"json_schema": True},
        {"has_tools": True},
    ]
    masks = [(when, _matching(requests, when)) for when in whens]
    words = rows_of(
        requests, "number of words", lambda some: np.array([len(one.text("user").words) for one in readings(some)])
    )
    for cut in sorted({int(q) for q in np.quantile(words, [0.2, 0.4, 0.6, 0.8])}) if len(words) else ():
        masks += [({"words": {"le": cut}}, words <= cut), ({"words": {"gt": cut}}, words > cut)]
    return Candidates([*found, *(Candidate(when, mask) for when, mask in masks if _worth(mask))])


def _matching(requests: Sequence[Request], when: Mapping[str, Any]) -> BoolArray:
    """Which requests meet a condition, as the runtime decides it."""

    def match(some: Sequence[Request]) -> BoolArray:
        condition = Condition.parse(when)
        return np.fromiter((condition.matches(one) for one in readings(some)), dtype=bool, count=len(some))

    found: BoolArray = rows_of(requests, f"condition {when}", match)
    return found


@dataclass(frozen=True, slots=True)
class _Words:
    """Which words and pairs of words stand in which text: a sparse array of shape (n, words), and their names."""

    held: Any
    names: npt.NDArray[np.str_]

    def __getitem__(self, at: IntArray) -> _Words:
        return _Words(self.held[at], self.names)


def _words(requests: Sequence[Request]) -> _Words:
    import scipy.sparse

    place: dict[str, int] = {}
    columns: list[int] = []
    ends = [0]
    for reading in readings(requests):
        text = reading.text("user").folded
        held = set(_WORD.findall(text)) | {match[1] for match in _PAIR.finditer(text)}
        columns += [place.setdefault(word, len(place)) for word in held if not word.isdigit() and len(word) > 1]
        ends.append(len(columns))
    shape = (len(requests), len(place))
    matrix = scipy.sparse.csr_array((np.ones(len(columns), dtype=np.int32), columns, ends), shape=shape)
    return _Words(matrix, np.array(list(place), dtype=str))


def _keyword_candidates(requests: Sequence[Request]) -> list[Candidate]:
    found: _Words = rows_of(requests, "words and pairs", _words)
    counts = np.asarray(found.held.sum(axis=0)).ravel()
    n = len(requests)
    least = max(_MIN_SUPPORT, _MIN_SUPPORT_SHARE * n)
    frequent = np.flatnonzero((counts >= least) & (counts <= _MAX_SUPPORT_SHARE * n))
    chosen = frequent[np.lexsort((found.names[frequent], -counts[frequent]))][:_MAX_KEYWORDS]
    masks = found.held[:, chosen].toarray().T > 0
    return [
        Candidate({"any_keyword": [str(word)]}, mask) for word, mask in zip(found.names[chosen], masks, strict=True)
    ]


def _worth(mask: BoolArray) -> bool:
    support = int(mask.sum())
    return max(_MIN_SUPPORT, _MIN_SUPPORT_SHARE * len(mask)) <= support < len(mask)


def induce(found: Candidates, utility: FloatArray, weight: FloatArray, *, max_rules: int, z: float = 1.0) -> RuleList:
    """Learns a rule list.

    Args:
        found: candidate conditions on the training cases.
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
    found: Candidates,
    utility: FloatArray,
    weight: FloatArray,
    default: int,
    max_rules: int,
    z: float,
) -> tuple[list[LearnedRule], float]:
    gains = (utility - utility[default]).T  # (n, a)
    pooled = np.average((gains - np.average(gains, axis=0, weights=weight)) ** 2, axis=0, weights=weight)
    actions = gains.shape[1]
    worth = np.column_stack([np.ones_like(weight), weight, gains * weight[:, None], gains**2 * weight[:, None]])
    # For every condition: support, weight, and sums of gains and of their squares over the cases that are left. What
    # a rule takes is subtracted, so that every case is multiplied twice and not once a rule.
    matched = found.held @ worth if found else np.zeros((0, worth.shape[1]))
    left = np.ones(len(gains), dtype=bool)
    rules: list[LearnedRule] = []
    bound_total = 0.0
    while found and len(rules) < max_rules * 4:
        support, total = matched[:, 0], matched[:, 1]
        sums, squares = matched[:, 2 : 2 + actions], matched[:, 2 + actions :]
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
                found[at].when, int(action), round(support[at]), float(mean[at, action]), float(error[at, action])
            )
        )
        bound_total += float(bound[at, action])
        taken = np.flatnonzero(left & found[at].mask)
        left[taken] = False
        matched = matched - found.held_by[taken].T @ worth[taken]
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
