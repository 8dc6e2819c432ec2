"""Learning an ordered list of readable rules, each of which gains more than its standard error.

A rule sends the requests that match a condition to another action than the rest of the list would. Rules are added one
by one, as the first or as the last of the list, wherever more is gained: so there are exceptions to what is there, and
cases that nothing took yet. Then every place is looked at once more beside all others, the default too, and what gains
nothing any more is taken out.

What a rule is expected to gain and what it was seen to gain may come from two sources: expectations tell small gains
apart, outcomes say whether there is evidence. A rule needs both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from routebench.evaluate.choices import BoolArray, FloatArray, IntArray
from routebench.strategies.candidates import MIN_SUPPORT, Candidates, least_support

_PRIOR_CASES = 3.0
"""Weight of the pooled variance against a rule's own: three requests that agree by chance are not certainty."""
_MAX_KEYWORDS = 25
_ACTIONS_GROWN = 3
_REFINED = 5


@dataclass(frozen=True, slots=True)
class LearnedRule:
    """A rule of the list: requests that match go to the action; its evidence on the training cases.

    Attributes:
        support: training cases that reach and match it.
        gain: mean utility that was seen to be gained on them, against what the rest of the list would do.
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


def induce(
    found: Candidates,
    utility: FloatArray,
    weight: FloatArray,
    *,
    max_rules: int,
    observed: FloatArray | None = None,
    z: float = 1.0,
) -> RuleList:
    """Learns a rule list.

    Args:
        found: candidate conditions on the training cases.
        utility: what each of a actions is expected to be worth on each training case, shape (a, n).
        weight: of each training case, shape (n,); only their ratios count.
        max_rules: at most so many rules.
        observed: what each action was seen to be worth; `utility` when left out.
        z: standard errors that an expected gain is lowered by before it counts.
    """
    return _Search(found, utility, utility if observed is None else observed, weight, z).best(max_rules)


class _Placed(NamedTuple):
    """A rule in the making."""

    when: Mapping[str, Any]
    mask: BoolArray
    action: int


class _Sums(NamedTuple):
    """Of sets of cases: how many, their weight, weighted sums of expected and seen gains, and of squares of these."""

    support: FloatArray
    weight: FloatArray
    expected: FloatArray
    seen: FloatArray
    squares: FloatArray


class _At(NamedTuple):
    """A place in the list: which cases reach it, where the rest of the list would send them, and what others gain."""

    rows: BoolArray
    rest: IntArray
    expected: FloatArray
    seen: FloatArray


class _Search:
    """Looks for rules on n cases; arrays have a row a case and a column an action here."""

    def __init__(
        self, found: Candidates, utility: FloatArray, observed: FloatArray, weight: FloatArray, z: float
    ) -> None:
        self._found = found
        self._utility, self._observed = utility.T, observed.T
        self._weight = weight / weight.mean()
        self._z = z
        self._n = len(weight)
        self._least = least_support(self._n)
        self._default = int(np.argmax(self._weight @ self._utility))
        against = self._observed - self._observed[:, [self._default]]
        self._pooled = np.var(against, axis=0) + 1e-12
        # An action that is the best for next to no case needs no rule.
        best = self._utility >= self._utility.max(axis=1, keepdims=True)
        self._actions = np.flatnonzero(best.sum(axis=0) >= self._least)
        self._rules: list[_Placed] = []

    def best(self, max_rules: int) -> RuleList:
        """Returns the list that was found."""
        while len(self._found) and len(self._actions) and len(self._rules) < max_rules:
            places = sorted({0, len(self._rules)})
            found = [(place, *self._best_among(self._at(place))) for place in places]
            place, _, rule = max(found, key=lambda one: one[1])
            if rule is None:
                break
            self._rules.insert(place, rule)
        self._look_again()
        self._prune()
        learned = []
        for place, rule in enumerate(self._rules):
            at = self._without(place)
            sums = self._of_mask(at, rule.mask, rule.action)
            mean, error = self._seen(sums, self._pooled[rule.action])
            learned.append(LearnedRule(rule.when, rule.action, round(float(sums.support)), float(mean), float(error)))
        return RuleList(tuple(learned), self._default)

    def _look_again(self) -> None:
        place = 0
        while place < len(self._rules):
            old = self._rules[place]
            at = self._without(place)
            kept = float(self._bound(self._of_mask(at, old.mask, old.action), self._pooled[old.action]))
            bound, rule = self._best_among(at)
            if max(bound, kept) <= 0:
                del self._rules[place]
                continue
            if rule is not None and bound > kept:
                self._rules[place] = rule
            place += 1
        left = self._at(len(self._rules)).rows
        if left.any():
            self._default = int(np.argmax(self._weight[left] @ self._utility[left]))

    def _prune(self) -> None:
        place = 0
        while place < len(self._rules):
            rule = self._rules[place]
            sums = self._of_mask(self._without(place), rule.mask, rule.action)
            if self._bound(sums, self._pooled[rule.action]) > 0:
                place += 1
            else:
                # What reaches the others changes with it.
                del self._rules[place]
                place = 0

    def _at(self, place: int, skip: int = 0) -> _At:
        """What a rule at a place would gain, instead of so many of those that are there."""
        rows = np.ones(self._n, dtype=bool)
        for rule in self._rules[:place]:
            rows &= ~rule.mask
        rest = np.full(self._n, self._default)
        left = rows.copy()
        for rule in self._rules[place + skip :]:
            rest[left & rule.mask] = rule.action
            left &= ~rule.mask
        every = np.arange(self._n)
        expected = (self._utility - self._utility[every, rest][:, None]) * rows[:, None]
        seen = (self._observed - self._observed[every, rest][:, None]) * rows[:, None]
        return _At(rows, rest, expected, seen)

    def _without(self, place: int) -> _At:
        return self._at(place, skip=1)

    def _best_among(self, at: _At) -> tuple[float, _Placed | None]:
        """The rule with the largest lower bound of what it gains, above 0, and that bound."""
        sums = self._of_candidates(at, self._actions)
        bounds = self._bound(sums, self._pooled[self._actions])
        flat = np.argsort(-bounds, axis=None, kind="stable")[:_REFINED]
        flat = flat[bounds.ravel()[flat] > 0]
        tops = [(int(place) // len(self._actions), int(self._actions[place % len(self._actions)])) for place in flat]
        best: tuple[float, _Placed | None] = (0.0, None)
        for rule in self._worth_a_look(at, tops, sums):
            bound = float(self._bound(self._of_mask(at, rule.mask, rule.action), self._pooled[rule.action]))
            if bound > best[0]:
                best = bound, rule
        return best

    def _worth_a_look(self, at: _At, tops: Sequence[tuple[int, int]], sums: _Sums) -> Iterator[_Placed]:
        """The best condition, the best ones together with another one, and groups of keywords."""
        for row, action in tops[:1]:
            yield _Placed(self._found[row].when, self._found[row].mask, action)
        for row, action in tops:
            one = self._found[row]
            narrowed = _At(at.rows & one.mask, at.rest, at.expected * one.mask[:, None], at.seen * one.mask[:, None])
            bounds = self._bound(self._of_candidates(narrowed, np.array([action])), self._pooled[[action]])[:, 0]
            other = self._found[int(np.argmax(bounds))]
            if (narrowed.rows & ~other.mask).any():
                yield _Placed(both(one.when, other.when), one.mask & other.mask, action)
        words = self._found.n_keywords
        if words:
            most = sums.expected[:words].max(axis=0)
            for column in np.argsort(-most, kind="stable")[:_ACTIONS_GROWN]:
                yield from self._grown(at, int(self._actions[column]))

    def _grown(self, at: _At, action: int) -> Iterator[_Placed]:
        """A group of keywords for one action, each of which gains on requests that those before it do not take."""
        worth = np.column_stack(
            [at.rows, at.expected[:, action] * self._weight, at.seen[:, action] * self._weight]
        ).astype(float)
        sums = self._found.keyword_sums(worth)
        error = self._z * float(np.sqrt(self._pooled[action]))
        left = at.rows.copy()
        # The rule's own mask says nothing of the place: what reaches it changes with the rules before it.
        mask = np.zeros(self._n, dtype=bool)
        words: list[str] = []
        while len(words) < _MAX_KEYWORDS:
            support, expected, seen = sums.T
            enough = (support >= MIN_SUPPORT) & (seen > 0)
            bounds = np.where(enough, expected - error * np.sqrt(np.maximum(support, 0.0)), -np.inf)
            place = int(np.argmax(bounds))
            if bounds[place] <= 0:
                break
            words += self._found[place].when["any_keyword"]
            mask |= self._found.masks[place]
            taken = np.flatnonzero(left & self._found.masks[place])
            left[taken] = False
            sums = sums - self._found.keyword_sums(worth[taken], taken)
        if len(words) > 1:
            yield _Placed({"any_keyword": words}, mask, action)

    def _of_candidates(self, at: _At, actions: IntArray) -> _Sums:
        """Of every candidate and some of the actions, shape (c, len(actions))."""
        weight, q = self._weight[:, None], len(actions)
        expected, seen = at.expected[:, actions], at.seen[:, actions]
        known = np.column_stack([at.rows, at.rows * weight[:, 0]])
        sums = self._found.sums(np.hstack([known, expected * weight, seen * weight, seen**2 * weight]))
        return _Sums(sums[:, :1], sums[:, 1:2], sums[:, 2 : 2 + q], sums[:, 2 + q : 2 + 2 * q], sums[:, 2 + 2 * q :])

    def _of_mask(self, at: _At, mask: BoolArray, action: int) -> _Sums:
        taken = at.rows & mask
        weight, seen = self._weight[taken], at.seen[taken, action]
        return _Sums(
            *map(np.asarray, (taken.sum(), weight.sum(), weight @ at.expected[taken, action])),
            *map(np.asarray, (weight @ seen, weight @ seen**2)),
        )

    def _seen(self, sums: _Sums, pooled: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The mean seen gain and its standard error."""
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = sums.seen / sums.weight
            variance = np.maximum(sums.squares / sums.weight - mean**2, 0)
            smooth = (sums.support * variance + _PRIOR_CASES * pooled) / (sums.support + _PRIOR_CASES)
            return mean, np.sqrt(smooth / sums.support)

    def _bound(self, sums: _Sums, pooled: FloatArray) -> FloatArray:
        """The expected gain, lowered by its error; minus infinity for rules without evidence."""
        mean, error = self._seen(sums, pooled)
        bound = sums.expected - self._z * error * sums.weight
        return np.where((sums.support >= self._least) & (mean > error), bound, -np.inf)


def both(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a condition that holds where both do; two ranges of one number become one."""
    shared = set(one) & set(other)
    if not shared:
        return {**one, **other}
    ranges = all(isinstance(when[key], Mapping) and key != "not" for when in (one, other) for key in shared)
    if ranges and not any(set(one[key]) & set(other[key]) for key in shared):
        return {**one, **other, **{key: {**one[key], **other[key]} for key in shared}}
    return {"all": [dict(one), dict(other)]}
