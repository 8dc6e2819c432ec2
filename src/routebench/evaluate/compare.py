"""Comparing strategies: fitted on one half, measured on the other, always beside the best fixed mix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.errors import OutcomesError, nearest
from routebench.evaluate.choices import Choices, FloatArray, IntArray
from routebench.evaluate.comparison import Comparison, Evaluation, Half, Measured
from routebench.evaluate.frontier import Hull, SingleModel, aiq, oracle_curve, single_models, weighted_mean
from routebench.evaluate.metrics import gap_recovered
from routebench.evaluate.outcomes import OK, Outcomes
from routebench.evaluate.protocol import Kind, Peeking, Strategy
from routebench.evaluate.replay import Replayed, replay
from routebench.evaluate.splits import split
from routebench.evaluate.stats import Difference, adjust, mean_interval, paired

_BUDGETS = 101
_MIN_SLICE = 5


def compare(
    outcomes: Outcomes,
    strategies: Sequence[Strategy],
    *,
    seeds: Sequence[int] = (42, 43, 44, 45, 46),
    baseline: str = "best_single",
    margin: float = 0.01,
) -> Comparison:
    """Replays strategies on the test half of every split.

    Args:
        outcomes: the matrix.
        strategies: fitted anew on every train half.
        seeds: one split each; scalars are means over them, intervals and tests are of the first.
        baseline: the name of the strategy that the others are compared with.
        margin: a loss of mean score that counts as no worse.

    Raises:
        OutcomesError: the baseline is not among the strategies, or no case can be compared.
    """
    names = [strategy.name for strategy in strategies]
    if baseline not in names:
        raise OutcomesError(
            f"baseline {baseline!r} is not compared{nearest(baseline, names)}; there are {', '.join(names)}"
        )
    if not seeds:
        raise OutcomesError("compare needs at least one seed")
    answered = outcomes.status == OK
    if answered.any() and np.isnan(outcomes.score[answered]).all():
        raise OutcomesError(
            f"suite {outcomes.suite!r}: none of its {int(answered.sum())} answers has a score; give its cases a "
            "`grader` that scores them, or see the `detail` of their grades in the store"
        )
    halves: list[Half] = []
    measured: list[list[Measured]] = []
    for seed in seeds:
        half, by_strategy = _measure_split(outcomes, strategies, seed)
        halves.append(half)
        measured.append(by_strategy)
    by_name = {name: [row[place] for row in measured] for place, name in enumerate(names)}
    abstained = {strategy.name: strategy.abstained for strategy in strategies}
    half = halves[0]
    kinds: dict[str, Kind] = {strategy.name: strategy.kind for strategy in strategies}
    versus = _versus_baseline(half, kinds, {name: by_name[name][0] for name in names}, baseline)
    evaluations = tuple(
        Evaluation(
            name=name,
            kind=kinds[name],
            abstained=abstained[name],
            measured=tuple(by_name[name]),
            quality_ci95=mean_interval(by_name[name][0].replayed.score, half.test.keys, half.test.weight),
            versus_baseline=versus.get(name),
            versus_fixed_mix=_versus_fixed_mix(half, by_name[name][0]),
            worst_slice=_worst_slice(half.test, by_name[name][0].replayed, by_name[baseline][0].replayed),
        )
        for name in names
    )
    return Comparison(
        suite=outcomes.suite,
        models=outcomes.models,
        seeds=tuple(seeds),
        baseline=baseline,
        n_cases=outcomes.n,
        n_test=half.test.n,
        n_left_out=len(half.index) - half.test.n,
        margin=margin,
        zero_aiq=tuple(_zero_aiq(one.singles) for one in halves),
        evaluations=evaluations,
        half=half,
    )


def _measure_split(outcomes: Outcomes, strategies: Sequence[Strategy], seed: int) -> tuple[Half, list[Measured]]:
    inside, outside = split(outcomes, seed)
    train, test = outcomes.take(inside), outcomes.take(outside)
    fitted = [_Fitted(strategy, train, test) for strategy in strategies]
    # Compared are the cases on which every operating point of every strategy has its cells.
    unknown = np.any([one.missing for one in fitted], axis=0)
    if unknown.all():
        raise OutcomesError(
            f"suite {outcomes.suite!r}: no test case has a graded outcome for every strategy; run or grade the rest"
        )
    kept = test.take(~unknown)
    oracle = replay(kept, oracle_curve(kept)[0])
    half = Half(
        train=train,
        test=kept,
        singles=single_models(kept),
        train_hull=Hull.of(single_models(train)),
        oracle_quality=weighted_mean(oracle.score, kept.weight) or 0.0,
        index=outside,
    )
    return half, [one.measure(half, np.flatnonzero(~unknown)) for one in fitted]


class _Fitted:
    """A strategy that has seen the train half, with its decisions on both."""

    def __init__(self, strategy: Strategy, train: Outcomes, test: Outcomes) -> None:
        strategy.fit(train)
        if isinstance(strategy, Peeking):
            self._choices = list(strategy.peek(test))
            inside = list(strategy.peek(train))
        else:
            self._choices = list(strategy.curve(test.requests))
            inside = list(strategy.train_curve())
        self._train_points = [_point(replay(train, choices), train.weight) for choices in inside]
        replayed = [replay(test, choices) for choices in self._choices]
        self.missing = np.any([one.missing for one in replayed], axis=0)
        best = Hull.of(single_models(train))
        # A reference that peeks stands for what is possible, so it is shown at its best quality.
        target = float("inf") if isinstance(strategy, Peeking) else float(best.quality[-1])
        self._at = operating_point(self._train_points, target)

    def measure(self, half: Half, kept: IntArray) -> Measured:
        test = half.test
        choices = [_subset(one, kept) for one in self._choices]
        points = [_point(replay(test, one), test.weight) for one in choices]
        cost, quality = np.array([x for x, _ in points]), np.array([y for _, y in points])
        replayed = replay(test, choices[self._at])
        best = max(half.singles, key=lambda single: (single.quality, -(single.cost_usd or 0.0)))
        return Measured(
            replayed=replayed,
            label=choices[self._at].label,
            quality=float(quality[self._at]),
            cost_usd=None if np.isnan(cost[self._at]) else float(cost[self._at]),
            curve=(cost, quality),
            aiq=aiq(list(cost), list(quality), half.singles),
            deployed_gain=_deployed_gain(half, self._train_points, points),
            gap=_gap(half, choices),
            match_cost=_match_cost(cost, quality, best),
        )


def operating_point(points: Sequence[tuple[float, float]], target: float) -> int:
    """Returns the position of the cheapest point whose quality reaches a target, else of the best point.

    Args:
        points: (cost, quality) on train; a NaN cost counts as the dearest.
        target: the quality to reach.
    """

    def cost(place: int) -> float:
        return float(np.nan_to_num(points[place][0], nan=np.inf))

    enough = [place for place, (_, quality) in enumerate(points) if quality >= target - 1e-12]
    if enough:
        return min(enough, key=lambda place: (cost(place), -points[place][1]))
    return max(range(len(points)), key=lambda place: (points[place][1], -cost(place)))


def _point(replayed: Replayed, weight: FloatArray) -> tuple[float, float]:
    cost, quality = weighted_mean(replayed.cost_usd, weight), weighted_mean(replayed.score, weight)
    return (np.nan if cost is None else cost, 0.0 if quality is None else quality)


def _subset(choices: Choices, index: IntArray) -> Choices:
    return Choices(choices.models, tuple((share, chains[index]) for share, chains in choices.parts), choices.label)


def _zero_aiq(singles: Sequence[SingleModel]) -> float | None:
    priced = [single for single in singles if single.cost_usd is not None]
    return aiq([one.cost_usd or 0.0 for one in priced], [one.quality for one in priced], singles)


def _deployed_gain(
    half: Half, train: Sequence[tuple[float, float]], test: Sequence[tuple[float, float]]
) -> float | None:
    """Mean over budgets of the policy chosen on train, measured on test, less the train-chosen mix at its cost."""
    low, high = Hull.of(half.singles).cost_range
    costs = np.array([cost for cost, _ in train])
    if high <= low or np.isnan(costs).any() or np.isnan([cost for cost, _ in test]).any():
        return None
    corners = _mix_corners(half)
    if corners is None:
        return None
    mix_cost, mix_quality = np.array([cost for cost, _ in corners]), np.array([one.quality for _, one in corners])
    gains = []
    for budget in np.linspace(low, high, _BUDGETS):
        within = [int(place) for place in np.flatnonzero(costs <= budget)]
        # Nothing within the budget: the cheapest point is what would be deployed.
        at = max(within, key=lambda place: train[place][1]) if within else int(np.argmin(costs))
        cost, quality = test[at]
        gains.append(quality - float(np.interp(cost, mix_cost, mix_quality)))
    return float(np.mean(gains))


def _mix_corners(half: Half) -> list[tuple[float, SingleModel]] | None:
    """The models of the train-chosen mix with their test costs, cheapest first; None where a test cost is unknown."""
    by_name = {single.name: single for single in half.singles}
    corners = [(by_name[name].cost_usd, by_name[name]) for name in half.train_hull.names]
    priced = [(cost, single) for cost, single in corners if cost is not None]
    return sorted(priced, key=lambda corner: corner[0]) if len(priced) == len(corners) else None


def _gap(half: Half, choices: Sequence[Choices]) -> tuple[float, float | None, float | None] | None:
    if len(half.singles) != 2:
        return None
    weak, strong = sorted(half.singles, key=lambda single: single.quality)
    at = half.test.models.index(strong.name)
    replays = [replay(half.test, one) for one in choices]
    return gap_recovered(
        [float(one.decided[:, at].mean()) for one in replays],
        [weighted_mean(one.score, half.test.weight) or 0.0 for one in replays],
        weak.quality,
        strong.quality,
    )


def _match_cost(cost: FloatArray, quality: FloatArray, best: SingleModel) -> float | None:
    enough = cost[(quality >= best.quality - 1e-12) & ~np.isnan(cost)]
    return float(enough.min() / best.cost_usd) if len(enough) and best.cost_usd else None


def _versus_baseline(
    half: Half, kinds: Mapping[str, Kind], measured: Mapping[str, Measured], baseline: str
) -> dict[str, Difference]:
    base = measured[baseline].replayed.score
    keys, weight = half.test.keys, half.test.weight
    others = {
        name: paired(one.replayed.score, base, keys, weight) for name, one in measured.items() if name != baseline
    }
    # Candidates are one family, what they are held against another: bars do not make candidates harder to tell.
    result: dict[str, Difference] = {}
    for candidates in (True, False):
        family = [name for name in others if (kinds[name] == "strategy") == candidates]
        result |= dict(zip(family, adjust([others[name] for name in family]), strict=True))
    return result


def _versus_fixed_mix(half: Half, measured: Measured) -> Difference | None:
    """Against the mix of train-hull models whose test cost is this strategy's own."""
    if measured.cost_usd is None:
        return None
    test = half.test
    corners = _mix_corners(half)
    if corners is None:
        return None
    cost = float(np.clip(measured.cost_usd, corners[0][0], corners[-1][0]))
    right = min(int(np.searchsorted([x for x, _ in corners], cost)), len(corners) - 1)
    left = max(0, right - 1)
    gap = corners[right][0] - corners[left][0]
    share = 1.0 if gap == 0 else (cost - corners[left][0]) / gap
    parts = [Choices.same(test.models, (corners[place][1].name,), test.n) for place in (left, right)]
    mix = replay(test, Choices.mix([1 - share, share], parts))
    return paired(measured.replayed.score, mix.score, test.keys, test.weight)


def _worst_slice(test: Outcomes, own: Replayed, base: Replayed) -> dict[str, Any] | None:
    """The category in which a strategy loses most against the baseline, with its number of cases."""
    labels: npt.NDArray[np.str_] = np.array([case.category or "" for case in test.cases], dtype=str)
    gaps = own.score - base.score
    slices: list[dict[str, Any]] = [
        {
            "category": str(label),
            "n": int((labels == label).sum()),
            "delta_quality": float(gaps[labels == label].mean()),
        }
        for label in np.unique(labels)
        if label and (labels == label).sum() >= _MIN_SLICE
    ]
    return min(slices, key=lambda one: float(one["delta_quality"])) if slices else None
