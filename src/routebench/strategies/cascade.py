"""Cascades, learned: try a cheap model, look at its answer, keep it or go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain as chained
from typing import Any, Literal

import numpy as np

from routebench.errors import InputError, nearest
from routebench.evaluate.choices import ACCEPTED, REFUSED, UNTOLD, BoolArray, Checks, Choices, FloatArray, IntArray
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.splits import folds
from routebench.rules import Default, Guard, RuleSet
from routebench.rules.answers.features import AnswerSpec
from routebench.rules.answers.head import AnswerHead
from routebench.strategies.base import Policy, lambda_grid
from routebench.strategies.baselines import FixedMix
from routebench.strategies.cascading.chains import Cells, Chain, Point, area, candidates, points_of, reached
from routebench.strategies.cascading.heads import Heads
from routebench.strategies.cascading.table import AnswerTable, lacking
from routebench.types import Model, Request

Looks = Literal["all", "features", "agree"]
"""What of answers counts: everything; each answer by itself; only whether two models came to the same."""
_LOOKS: tuple[Looks, ...] = ("all", "features", "agree")
_MAX_CHAINS = 3
_ADDS = 5e-4
"""Area that another chain has to add to be kept."""
_MIN_ROWS = 20
_CHECK = "learned"


@dataclass(frozen=True, slots=True)
class CascadeForm:
    """One operating point in the form of a rules.yaml.

    Attributes:
        route: the chain of models.
        check: what answers must be like, without the artifact of its head; None for a single model.
        head: the learned part of the check, None where nothing is learned.
    """

    route: tuple[str, ...]
    check: Mapping[str, Any] | None
    head: AnswerHead | None


class Cascade(Policy):
    """Chains of two and three models, with an acceptance test that is learned from their answers.

    After an answer a weighted sum of its features, of the prompt's, and of its agreement with the answers before it
    predicts the score that is lost by going on to the last model of the chain. The answer is kept where that is more
    than what going on costs, at the cost weight of the operating point. Every request of a point has the same chain.
    Costs and times of all answers count. Without evidence that it beats a fixed mix, a fixed mix stands in.

    Args:
        looks: `all`, `features` (each answer by itself, chains of two) or `agree` (nothing is learned: the second
            answer is kept where it comes down to the same as the first).
        hashed_words: columns for the words of the prompt, and as many for those of the answer.
        models: settings of the models for `to_ruleset`; by name only when left out.
        guards: guards that every rule set carries.

    Attributes:
        points_: after `fit`: the operating points, from quality at any price to the cheapest, then the single models.

    Raises:
        InputError: there is no such kind of look.
    """

    points_: tuple[Point, ...]

    def __init__(
        self,
        looks: str = "all",
        *,
        hashed_words: int = 256,
        models: Sequence[Model] = (),
        guards: Sequence[Guard] = (),
    ) -> None:
        found = next((one for one in _LOOKS if one == looks), None)
        if found is None:
            raise InputError(f"cascade:{looks}: no such kind{nearest(looks, _LOOKS)}; there are {', '.join(_LOOKS)}")
        self.looks = found
        self.spec = AnswerSpec(hashed_words)
        self.name = "cascade" if looks == "all" else f"cascade:{looks}"
        self.models = tuple(models)
        self.guards = tuple(guards)

    def _fit(self, outcomes: Outcomes) -> None:
        table = AnswerTable(outcomes, self.spec)
        cells = self._told(Cells.of(outcomes), table)
        if not table.looked_at or (cells.weight > 0).sum() < _MIN_ROWS:
            raise lacking(outcomes)
        self._rates = lambda_grid(cells.mean_cost_usd)
        names = outcomes.models
        heads = Heads(cells, table, names, list(folds(outcomes, n_folds=5)), agree_only=self.looks == "agree")
        chains = candidates(
            cells,
            None if self.looks == "features" else lambda first, second: table.agrees(names[first], names[second]),
            n_pairs=0 if self.looks == "agree" else 6,
        )
        chains = [chain for chain in chains if table.looked_at.issuperset(chain[:-1])]
        curves = {
            chain: [Point(chain, (0.0,) * (len(chain) - 1), 0.0)] * len(self._rates)
            if self.looks == "agree"
            else points_of(cells, chain, heads.out_of_fold(chain), self._rates)
            for chain in chains
        }
        kept = self._chosen(cells, heads, curves)
        options = [[Point((model,), (), 0.0) for model in range(len(names))]] * len(self._rates)
        options = [[*one, *(curves[chain][place] for chain in kept)] for place, one in enumerate(options)]
        self.points_ = self._best(cells, heads, options)
        self._heads = heads
        self._keeps: tuple[Outcomes, dict[Chain, list[FloatArray]]] | None = None
        gain, error = self._gain(outcomes, cells, heads, options)
        self.abstained = gain <= error
        self._mix = FixedMix().fit(outcomes)

    def _told(self, cells: Cells, table: AnswerTable) -> Cells:
        """The cells, without those rows in which the text of an answer is not kept."""
        told = np.ones(table.rows, dtype=bool)
        for number, name in enumerate(self.models_):
            if number in table.looked_at:
                told &= table.known(name) | ~cells.answered[:, number]
        return cells.only(told)

    def _chosen(self, cells: Cells, heads: Heads, curves: Mapping[Chain, Sequence[Point]]) -> list[Chain]:
        """Chains that add most to what is reached without them, one after the other."""
        costs, qualities = list(cells.mean_cost_usd), list(cells.quality)
        low, high = min(costs), max(costs)
        ends = {
            chain: [reached(cells, point, heads.out_of_fold(chain)) for point in points]
            for chain, points in curves.items()
        }
        chosen: list[Chain] = []
        now = area(costs, qualities, low, high)
        while len(chosen) < _MAX_CHAINS and len(chosen) < len(ends):
            areas = {
                chain: area([*costs, *(one for one, _ in found)], [*qualities, *(one for _, one in found)], low, high)
                for chain, found in ends.items()
                if chain not in chosen
            }
            best = max(areas, key=lambda chain: areas[chain])
            if areas[best] < now + _ADDS:
                break
            now = areas[best]
            chosen.append(best)
            costs += [one for one, _ in ends[best]]
            qualities += [one for _, one in ends[best]]
        return chosen

    def _best(self, cells: Cells, heads: Heads, options: Sequence[Sequence[Point]]) -> tuple[Point, ...]:
        """The best option at every cost weight, and every single model."""
        found: dict[Point, None] = {}
        for rate, some in zip(self._rates, options, strict=True):
            ends = [reached(cells, point, heads.out_of_fold(point.chain)) for point in some]
            worth = [score - rate * cost for cost, score in ends]
            found.setdefault(some[int(np.argmax(worth))])
        for model in range(len(self.models_)):
            found.setdefault(Point((model,), (), 0.0))
        return tuple(found)

    def _gain(
        self, outcomes: Outcomes, cells: Cells, heads: Heads, options: Sequence[Sequence[Point]]
    ) -> tuple[float, float]:
        """What options chosen on one half of the training cases gain on the other over single models so chosen.

        Mean over the cost weights, and its standard error.
        """
        k = outcomes.status.shape[2]
        gained = np.zeros(len(cells.weight))
        runs = {point: heads.run(cells, point) for point in dict.fromkeys(chained.from_iterable(options))}
        for inside, outside in folds(outcomes, n_folds=2, seed=1):
            chosen_on, measured_on = (cells.only(np.repeat(_mask(part, outcomes.n), k)) for part in (inside, outside))
            for rate, some in zip(self._rates, options, strict=True):
                ends = [runs[point] for point in some]
                worth = np.array([chosen_on.mean(score - rate * cost) for score, cost in ends])
                alone = np.where([len(point.chain) == 1 for point in some], worth, -np.inf)
                (score, cost), (alone_score, alone_cost) = ends[int(np.argmax(worth))], ends[int(np.argmax(alone))]
                more = score - alone_score - rate * (cost - alone_cost)
                gained += np.where(measured_on.weight > 0, more, 0.0) / len(self._rates)
        mean = cells.mean(gained)
        by_case = (cells.weight * (gained - mean)).reshape(outcomes.n, k).sum(axis=1)
        by_key = np.bincount(outcomes.cases.cluster, weights=by_case)
        return mean, float(np.sqrt((by_key**2).sum()) / cells.weight.sum())

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """One point a cost weight, then the single models; `check` says which answers are kept."""
        if self.abstained:
            return self._mix.curve(requests)
        return [self._choices(number, len(requests)) for number in range(len(self.points_))]

    def train_curve(self) -> Sequence[Choices]:
        """The curve with verdicts by sums that did not see the case."""
        if self.abstained:
            return self._mix.train_curve()
        n, _, k = self._train.status.shape
        return [
            self._with_verdicts(self._choices(number, n), point, self._heads.out_of_fold(point.chain), k)
            for number, point in enumerate(self.points_)
        ]

    def check(self, choices: Choices, outcomes: Outcomes) -> Choices:
        """Looks at the recorded answers that the chains come to.

        Raises:
            OutcomesError: none is kept.
        """
        checks = choices.checks[0] if choices.checks else None
        if checks is None or checks.verdicts is not None:
            return choices
        point = self.points_[int(checks.names[0].rpartition("#")[2])]
        if self._keeps is None or self._keeps[0] is not outcomes:
            self._keeps = (outcomes, {})
        keeps = self._keeps[1]
        if point.chain not in keeps:
            keeps[point.chain] = self._heads.predicted(point.chain, AnswerTable(outcomes, self.spec))
        return self._with_verdicts(choices, point, keeps[point.chain], outcomes.status.shape[2])

    def form(self, point: int) -> CascadeForm:
        """Returns one operating point, by its position in the curve, in the form of a rules.yaml.

        Raises:
            InputError: it abstained: the form of a fixed mix is a `default` with a `mix`.
        """
        if self.abstained:
            raise InputError(f"{self.name} abstained: there is no cascade to write down, only a fixed mix")
        one = self.points_[point]
        route = tuple(self.models_[model] for model in one.chain)
        if len(one.chain) == 1:
            return CascadeForm(route, None, None)
        if self.looks == "agree":
            return CascadeForm(route, {"agree": {"on": "auto", "votes": 2}}, None)
        least: float | list[float] = one.accept_from[0] if len(set(one.accept_from)) == 1 else list(one.accept_from)
        return CascadeForm(route, {"accept_from": least}, self._heads.head(one.chain))

    def to_ruleset(self, point: int) -> RuleSet:
        """Returns one operating point as a rule set.

        The check's settings lack `head`: whoever writes the rules.yaml saves `heads` beside it first, and adds the
        artifact's name and sha256.

        Args:
            point: by its position in the curve.

        Raises:
            InputError: it abstained.
        """
        form = self.form(point)
        given = {model.name: model for model in self.models}
        models = {name: given.get(name, Model(name, provider="recorded", model=name)) for name in self.models_}
        if form.check is None:
            return RuleSet(self.name, models, Default(form.route), guards=self.guards)
        heads = {} if form.head is None else {_CHECK: form.head}
        default = Default(form.route, cascade=_CHECK)
        return RuleSet(self.name, models, default, guards=self.guards, checks={_CHECK: form.check}, heads=heads)

    def _choices(self, number: int, n: int) -> Choices:
        point = self.points_[number]
        chain = tuple(self.models_[model] for model in point.chain)
        learned = len(chain) > 1 and self.looks != "agree"
        label = " > ".join(chain) + (f", lambda={point.rate:.3g}" if learned else "")
        choices = Choices.same(self.models_, chain, n, label)
        if len(chain) == 1:
            return choices
        return replace(choices, checks=(Checks((f"{self.name}#{number}",), np.zeros(n, dtype=np.intp)),))

    def _with_verdicts(self, choices: Choices, point: Point, keep: Sequence[FloatArray], k: int) -> Choices:
        if not choices.checks:
            return choices
        chains = choices.parts[0][1]
        verdicts = np.full((*chains.shape, k), ACCEPTED, dtype=np.int8)
        for place, (values, least) in enumerate(zip(keep, point.accept_from, strict=True)):
            told = np.where(values >= least, ACCEPTED, REFUSED)
            verdicts[:, place] = np.where(np.isnan(values), UNTOLD, told).reshape(-1, k)
        stands = np.ones(len(chains), dtype=bool)
        checks = choices.checks[0]
        assert checks is not None
        return replace(choices, checks=(replace(checks, verdicts=verdicts, latest_stands=stands),))


def _mask(positions: IntArray, n: int) -> BoolArray:
    found = np.zeros(n, dtype=bool)
    found[positions] = True
    return found
