"""Learning to recognise a class of requests by a readable condition: a few clauses, of which one has to hold.

The label of a case is not visible when a request is routed, so a guard for a class has to go by the text. Clauses are
found greedily: each one takes the words, forms and lengths that bring the most new cases of the class for the false
alarms that they cost. How many false alarms a case is worth is the one knob; learned at several settings, conditions
run from a precise one to one that lets nothing slip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from routebench.evaluate.cases import rows_of
from routebench.evaluate.choices import BoolArray, FloatArray, IntArray
from routebench.rules import Condition
from routebench.rules.reading.request import Scope
from routebench.strategies.prompts import readings, words_and_pairs
from routebench.types import Request

_SCOPE: Scope = "conversation"
"""What guards read."""
_MIN_SUPPORT = 3
_MIN_SHARE = 0.01
_MAX_WORDS = 120
_MAX_SHOWN = 3
_MAX_BARRED = 20
_MAX_CLAUSES = 12
_TINY = 1e-6

# Forms that words do not show; each is linear-time and readable.
_FORMS: tuple[Mapping[str, Any], ...] = (
    {"regex": r"\d\s*[-+*/x×÷^=]\s*\d"},
    {"regex": r"\d\s*(%|percent)"},
    {"regex": r"[\"“'][^\"”']{2,}[\"”']"},
    {"regex": r"(^|\s)[(]?[A-Ea-e][.):]\s"},
    {"regex": r"[$][^$\n]+[$]|\\[a-z]+[{]"},
    {"regex": r":\s*\S"},
    {"regex": r"_{3,}"},
    {"regex": r"\d"},
    {"regex": r"\d\D+\d"},
    {"regex": r"\d\D+\d\D+\d"},
    {"regex": r"\n"},
    {"regex": r"[$]\s?\d"},
    {"regex": r"\b(1\d|20)\d\d\b"},
    {"regex": r"^[a-z]"},
    {"regex": r"[a-z,] [A-Z][a-z]"},
    {"regex": r"[.]\s*$"},
    {"regex": r","},
    {"regex": r"\b[A-Za-z]{12,}\b"},
    {"regex": r"[\^_\\]"},
    {"regex": r"\b[A-Z]{2,}"},
    {"regex": r"[(]"},
    {"regex": r"[.?!]\s+[A-Z]"},
    {"has_code": True},
    {"is_question": True},
    {"has_tools": True},
    {"json_schema": True},
)
_LENGTH_CUTS = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True, slots=True)
class Signs:
    """What n requests show: sparse words of shape (n, w) with their names, and forms of shape (n, f)."""

    held: Any
    names: Any
    forms: BoolArray
    words: FloatArray

    def __getitem__(self, at: IntArray) -> Signs:
        return Signs(self.held[at], self.names, self.forms[at], self.words[at])


@dataclass(frozen=True, slots=True)
class Literal:
    """A sign that has to show, or, where `negated`, must not; on the training requests, shape (n,)."""

    when: Mapping[str, Any]
    mask: BoolArray
    negated: bool = False


def signs_of(requests: Sequence[Request]) -> Signs:
    """Returns the signs of requests, worked out once a suite; every row comes from its own request alone."""
    found: Signs = rows_of(requests, "signs of classes", _signs)
    return found


def matching(requests: Sequence[Request], when: Mapping[str, Any]) -> BoolArray:
    """Returns which requests a guard with such a condition holds for, as the runtime decides it; shape (n,)."""
    condition = Condition.parse(when, _SCOPE)
    return np.fromiter((condition.matches(one) for one in readings(requests)), dtype=bool, count=len(requests))


def learn_condition(
    signs: Signs, inside: BoolArray, weight: FloatArray, alarm_price: float
) -> Mapping[str, Any] | None:
    """Returns the condition that recognises a class best at a price.

    An empty one holds for every request: at a low price that can be best. None where no sign is worth its false alarms.

    Args:
        signs: of the training requests.
        inside: which of them are of the class, shape (n,).
        weight: requests that each stands for, shape (n,).
        alarm_price: what catching all others costs, where finding all of the class is worth 1.
    """
    literals = _literals(signs, inside)
    ground = _Ground(
        shown=np.array([one.mask for one in literals], dtype=np.float32),
        negated=np.array([one.negated for one in literals]),
        inside=inside,
        worth=np.where(
            inside, weight / weight[inside].sum(), -alarm_price * weight / max(weight[~inside].sum(), 1e-12)
        ).astype(np.float32),
    )
    left = np.ones(len(inside), dtype=bool)
    clauses: list[tuple[Literal, ...]] = []
    while len(clauses) < _MAX_CLAUSES:
        found = ground.best_clause(left)
        if found is None:
            break
        clause, mask = found
        if not clause:
            return {}
        clauses.append(tuple(literals[place] for place in clause))
        left &= ~mask
    return _written(clauses) if clauses else None


@dataclass(frozen=True, slots=True)
class _Ground:
    """What clauses are found on: which of l literals show in which of n requests, and what catching each is worth."""

    shown: Any
    negated: BoolArray
    inside: BoolArray
    worth: Any

    def best_clause(self, left: BoolArray) -> tuple[list[int], BoolArray] | None:
        """The literals that together gain most on what no clause has yet, and what they catch; none to catch all of it.

        None where nothing gains. A literal that only takes requests away has to be worth the case of the class that it
        may take away unseen: of a class without a loss in n cases, one in n + 2 is to be expected (Laplace).
        """
        least = max(_MIN_SUPPORT, _MIN_SHARE * int(self.inside.sum()))
        risk = 1.0 / (int(self.inside.sum()) + 2)
        mask, total = left.copy(), float(self.worth[left].sum())
        from_all = total > 0
        total = max(total, 0.0)
        clause: list[int] = []
        open_to = np.ones(len(self.negated), dtype=bool)
        while open_to.any():
            at = np.flatnonzero(mask)
            some = self.shown[:, at]
            gains = some @ self.worth[at]
            gains[some @ self.inside[at].astype(np.float32) < least] = -np.inf
            gains[~open_to] = -np.inf
            best = int(np.argmax(gains))
            if gains[best] <= total + (risk if clause or from_all else 0.0) + _TINY:
                break
            total = float(gains[best])
            clause.append(best)
            barred = int(self.negated[clause].sum())
            open_to = np.where(self.negated, barred < _MAX_BARRED, len(clause) - barred < _MAX_SHOWN)
            mask = mask & (self.shown[best] > 0)
        return (clause, mask) if clause or from_all else None


def _signs(requests: Sequence[Request]) -> Signs:
    found = words_and_pairs(requests, _SCOPE)
    lengths = [len(reading.text(_SCOPE).words) for reading in readings(requests)]
    forms = np.array([matching(requests, when) for when in _FORMS], dtype=bool).reshape(len(_FORMS), len(requests)).T
    return Signs(found.held, found.names, forms, np.array(lengths, dtype=float))


def _literals(signs: Signs, inside: BoolArray) -> list[Literal]:
    """The signs worth trying for a class: words by how much oftener they stand in it, and the other way round."""
    within = np.asarray(signs.held[np.flatnonzero(inside)].sum(axis=0)).ravel()
    without = np.asarray(signs.held[np.flatnonzero(~inside)].sum(axis=0)).ravel()
    n_inside, n_outside = int(inside.sum()), max(int((~inside).sum()), 1)
    often, elsewhere = within / n_inside, without / n_outside
    enough = within >= max(_MIN_SUPPORT, _MIN_SHARE * n_inside)
    telling = [enough * (often - price * elsewhere) for price in (10.0, 1.0, 0.1)]
    chosen = _highest(telling, signs.names)
    absent = _highest([(elsewhere - 10 * often) * (without >= _MIN_SHARE * n_outside)], signs.names)
    columns = np.array([*chosen, *absent], dtype=np.intp)
    shown = signs.held[:, columns].toarray().T > 0
    found = [Literal({"any_keyword": [str(signs.names[at])]}, shown[row]) for row, at in enumerate(chosen)]
    found += [
        Literal({"any_keyword": [str(signs.names[at])]}, ~shown[len(chosen) + row], negated=True)
        for row, at in enumerate(absent)
    ]
    for when, mask in zip(_FORMS, signs.forms.T, strict=True):
        found += [Literal(when, mask), Literal(when, ~mask, negated=True)]
    for cut in sorted({int(one) for one in np.quantile(signs.words[inside], _LENGTH_CUTS)}):
        found += [
            Literal({"words": {"le": cut}}, signs.words <= cut),
            Literal({"words": {"gt": cut}}, signs.words > cut),
        ]
    return found


def _highest(values: Sequence[FloatArray], names: Any) -> list[int]:
    """Places of the highest values above 0 of each list, ties by name."""
    found: dict[int, None] = {}
    for some in values:
        above = np.flatnonzero(some > 0)
        order = np.lexsort((names[above], -some[above]))
        found |= dict.fromkeys(int(place) for place in above[order][:_MAX_WORDS])
    return list(found)


def _written(clauses: Sequence[Sequence[Literal]]) -> Mapping[str, Any]:
    """The clauses as the condition of a rules.yaml; single keywords stand in one list."""
    alone = [clause[0].when["any_keyword"][0] for clause in clauses if _is_word(clause)]
    parts: list[Mapping[str, Any]] = [{"any_keyword": alone}] if alone else []
    parts += [_conjunction(clause) for clause in clauses if not _is_word(clause)]
    return parts[0] if len(parts) == 1 else {"any": parts}


def _is_word(clause: Sequence[Literal]) -> bool:
    return len(clause) == 1 and not clause[0].negated and "any_keyword" in clause[0].when


def _conjunction(clause: Sequence[Literal]) -> Mapping[str, Any]:
    words = [one.when["any_keyword"][0] for one in clause if not one.negated and "any_keyword" in one.when]
    barred = [one.when["any_keyword"][0] for one in clause if one.negated and "any_keyword" in one.when]
    made: dict[str, Any] = {"all_keywords": words} if words else {}
    rest: list[Mapping[str, Any]] = []
    for one in clause:
        if "any_keyword" in one.when:
            continue
        ((key, value),) = one.when.items()
        if one.negated and value is True:
            made[key] = False
        elif one.negated:
            rest.append({"not": dict(one.when)})
        elif key == "words":
            made[key] = {**made.get(key, {}), **value}
        elif key in made:
            rest.append(dict(one.when))
        else:
            made[key] = value
    if barred:
        rest.append({"not": {"any_keyword": barred}})
    if len(rest) == 1 and "not" in rest[0]:
        return {**made, **rest[0]}
    return {**made, "all": rest} if rest else made
