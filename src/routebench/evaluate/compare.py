"""Comparing strategies: fitted on one half, measured on the other, always beside the best fixed mix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from routebench.errors import OutcomesError, nearest
from routebench.evaluate.beside import Beside, Costs, mix_corners
from routebench.evaluate.choices import Choices, FloatArray, IntArray
from routebench.evaluate.comparison import Comparison
from routebench.evaluate.evaluation import Evaluation, Half, Measured
from routebench.evaluate.frontier import Hull, SingleModel, aiq, oracle_curve, single_models, weighted_mean
from routebench.evaluate.metrics import gap_recovered
from routebench.evaluate.noise import noise_share
from routebench.evaluate.outcomes import OK, Outcomes
from routebench.evaluate.protocol import Kind, Peeking, Strategy, decided, decided_out_of_fold
from routebench.evaluate.reading import read
from routebench.evaluate.replay import replay
from routebench.evaluate.splits import split
from routebench.evaluate.sweep import Points, curve_missing, curve_points, curve_take

_BUDGETS = 101


def compare(
    outcomes: Outcomes,
    strategies: Sequence[Strategy],
    *,
    seeds: Sequence[int] = (42, 43, 44, 45, 46),
    baseline: str = "best_single",
    margin: float = 0.01,
    cache_hit_rate: float | None = None,
) -> Comparison:
    """Replays strategies on the test half of every split.

    Args:
        outcomes: the matrix.
        strategies: fitted anew on every train half.
        seeds: one split each; scalars are means over them, intervals and tests are of the first.
        baseline: the name of the strategy that the others are compared with.
        margin: a loss of mean score that counts as no worse.
        cache_hit_rate: share of input tokens that production reads from the provider's cache; None leaves costs
            with caching out.

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
    measured: dict[str, list[Measured]] = {name: [] for name in names}
    chosen: dict[str, Choices] = {}
    for seed in seeds:
        half, found = _measure_split(outcomes, strategies, seed)
        halves.append(half)
        for name, (choices, one) in zip(names, found, strict=True):
            measured[name].append(one)
            chosen.setdefault(name, choices)
    kinds: dict[str, Kind] = {strategy.name: strategy.kind for strategy in strategies}
    abstained = {strategy.name: strategy.abstained for strategy in strategies}
    half = halves[0]
    beside = Beside(half, kinds, chosen, {name: measured[name][0] for name in names}, baseline, margin)
    costs = Costs(half, chosen, {name: measured[name][0].replayed for name in names}, baseline, cache_hit_rate)
    evaluations = tuple(
        Evaluation(
            name=name,
            kind=kinds[name],
            abstained=abstained[name],
            measured=tuple(measured[name]),
            quality_ci95=beside.quality(name),
            cost_ci95=costs.mean(name),
            versus_baseline=beside.baseline.get(name),
            cost_versus_baseline=costs.change(name),
            saving_usd=costs.saving(name),
            versus_fixed_mix=beside.fixed_mix.get(name),
            slices=beside.slices(name),
            cached=costs.cached(name),
            break_even_hit_rate=costs.break_even_hit_rate(name),
            noise_share=noise_share(measured[name][0].replayed.sample_score, half.test.weight),
            judged=beside.judged(name),
            choices=chosen[name],
        )
        for name in names
    )
    comparison = Comparison(
        suite=outcomes.suite,
        models=outcomes.models,
        seeds=tuple(seeds),
        baseline=baseline,
        n_cases=outcomes.n,
        n_test=half.test.n,
        n_left_out=len(half.index) - half.test.n,
        lacking=_lacking(outcomes.take(half.index)),
        margin=margin,
        zero_aiq=tuple(_zero_aiq(one.singles) for one in halves),
        evaluations=evaluations,
        half=half,
        outcomes_sha256=outcomes.sha256(),
        agreement=outcomes.agreement,
        cache_hit_rate=cache_hit_rate,
        n_without_text=int((~outcomes.cases.has_text).sum()),
        n_sealed=outcomes.n_sealed,
    )
    return replace(comparison, readings=read(comparison))


def _lacking(test: Outcomes) -> dict[str, int]:
    """How many cases of the test half each model has no graded outcome of; models that have all are left out."""
    unknown = np.isnan(test.expected_scores()).sum(axis=0)
    return {name: int(count) for name, count in zip(test.models, unknown, strict=True) if count}


def _measure_split(
    outcomes: Outcomes, strategies: Sequence[Strategy], seed: int
) -> tuple[Half, list[tuple[Choices, Measured]]]:
    inside, outside = split(outcomes, seed)
    told = outcomes.cases.has_text
    if told.any():
        # Some texts were purged: those cases cannot be decided. After the split, so that a purge moves no other case.
        inside, outside = inside[told[inside]], outside[told[outside]]
    if not len(inside) or not len(outside):
        raise OutcomesError(f"suite {outcomes.suite!r}: too many of its prompts are not kept any more to compare on")
    train, test = outcomes.take(inside), outcomes.take(outside)
    train_hull = Hull.of(single_models(train))
    fitted = [_Fitted(strategy, train, test, train_hull) for strategy in strategies]
    # Compared are the cases on which every operating point of every strategy has its cells.
    unknown = np.any([one.missing for one in fitted], axis=0)
    if unknown.all():
        lacking = ", ".join(f"{name} lacks {count} of {test.n}" for name, count in _lacking(test).items())
        raise OutcomesError(
            f"suite {outcomes.suite!r}: no test case has a graded outcome for every strategy "
            f"({lacking or 'recorded decisions are missing'}); run, grade or record the rest, or compare fewer of them"
        )
    kept = np.flatnonzero(~unknown)
    compared = test.take(kept)
    oracle = replay(compared, oracle_curve(compared)[0])
    singles = single_models(compared)
    best = max(single_models(train), key=lambda single: (single.quality, -(single.cost_usd or 0.0)))
    half = Half(
        train=train,
        test=compared,
        singles=singles,
        best=next(single for single in singles if single.name == best.name),
        train_hull=train_hull,
        oracle_quality=weighted_mean(oracle.score, compared.weight) or 0.0,
        index=outside,
    )
    return half, [one.measure(half, kept) for one in fitted]


class _Fitted:
    """A strategy that has seen the train half, with its decisions on both."""

    def __init__(self, strategy: Strategy, train: Outcomes, test: Outcomes, hull: Hull) -> None:
        strategy.fit(train)
        self._curve = decided(strategy, test)
        self._train = curve_points(train, decided_out_of_fold(strategy, train))
        self.missing = curve_missing(test, self._curve)
        # A reference that peeks stands for what is possible, so it is shown at its best quality.
        target = float("inf") if isinstance(strategy, Peeking) else float(hull.quality[-1])
        self._at = operating_point(self._train, target)
        whole = replay(test, self._curve[self._at])
        self._cells_share = whole.known / whole.asked if whole.asked else 0.0

    def measure(self, half: Half, kept: IntArray) -> tuple[Choices, Measured]:
        test = half.test
        curve = curve_take(self._curve, kept)
        points = curve_points(test, curve)
        choices = curve[self._at]
        replayed = replay(test, choices)
        cost, quality = points.cost_usd, points.quality
        return choices, Measured(
            replayed=replayed,
            weight=test.weight,
            label=choices.label,
            quality=float(quality[self._at]),
            cost_usd=None if np.isnan(cost[self._at]) else float(cost[self._at]),
            curve=(cost, quality),
            aiq=aiq(list(cost), list(quality), half.singles),
            deployed_gain=_deployed_gain(half, self._train, points),
            gap=_gap(half, points),
            match_cost=_match_cost(cost, quality, half.best),
            regret=half.oracle_quality - float(quality[self._at]),
            commonest_share=choices.commonest_share(test.weight),
            cells_share=self._cells_share,
        )


def operating_point(points: Points, target: float) -> int:
    """Returns the position of the cheapest point whose quality reaches a target, else of the best point.

    Args:
        points: on train; a NaN cost counts as the dearest.
        target: the quality to reach.
    """
    cost = np.nan_to_num(points.cost_usd, nan=np.inf)
    enough = np.flatnonzero(points.quality >= target - 1e-12)
    if len(enough):
        return int(enough[np.lexsort((-points.quality[enough], cost[enough]))[0]])
    return int(np.lexsort((cost, -points.quality))[0])


def _zero_aiq(singles: Sequence[SingleModel]) -> float | None:
    priced = [single for single in singles if single.cost_usd is not None]
    return aiq([one.cost_usd or 0.0 for one in priced], [one.quality for one in priced], singles)


def _deployed_gain(half: Half, train: Points, test: Points) -> float | None:
    """Mean over budgets of the policy chosen on train, measured on test, less the train-chosen mix at its cost."""
    low, high = Hull.of(half.singles).cost_range
    unknown = (train.cost_usd, train.quality, test.cost_usd)
    if high <= low or any(np.isnan(values).any() for values in unknown):
        return None
    corners = mix_corners(half)
    if corners is None:
        return None
    mix_cost, mix_quality = np.array([cost for cost, _ in corners]), np.array([one.quality for _, one in corners])
    by_cost = np.argsort(train.cost_usd, kind="stable")
    # Of the points within a budget the best; with none within it, the cheapest is what would be deployed.
    best = by_cost[_first_best(train.quality[by_cost])]
    budgets = np.linspace(low, high, _BUDGETS)
    within = np.searchsorted(train.cost_usd[by_cost], budgets, side="right")
    at = best[np.maximum(within - 1, 0)]
    gains = test.quality[at] - np.interp(test.cost_usd[at], mix_cost, mix_quality)
    return float(gains.mean())


def _first_best(values: FloatArray) -> IntArray:
    """Position of the largest value so far, at every place; of equals the first."""
    best = np.maximum.accumulate(values)
    first = np.concatenate([[True], best[1:] > best[:-1]])
    positions: IntArray = np.maximum.accumulate(np.where(first, np.arange(len(values)), 0))
    return positions


def _gap(half: Half, points: Points) -> tuple[float, float | None, float | None] | None:
    if len(half.singles) != 2:
        return None
    weak, strong = sorted(half.singles, key=lambda single: single.quality)
    at = half.test.models.index(strong.name)
    return gap_recovered(list(points.first[:, at]), list(points.quality), weak.quality, strong.quality)


def _match_cost(cost: FloatArray, quality: FloatArray, best: SingleModel) -> float | None:
    enough = cost[(quality >= best.quality - 1e-12) & ~np.isnan(cost)]
    return float(enough.min() / best.cost_usd) if len(enough) and best.cost_usd else None
