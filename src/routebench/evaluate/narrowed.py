"""The same comparison held against another bar, or on a part of its cases: nothing is fitted or decided anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from routebench.errors import OutcomesError
from routebench.evaluate.beside import Beside, Costs
from routebench.evaluate.choices import BoolArray, Choices, FloatArray, IntArray
from routebench.evaluate.comparison import Comparison
from routebench.evaluate.evaluation import Evaluation, Half, Measured
from routebench.evaluate.frontier import oracle_curve, single_models, weighted_mean
from routebench.evaluate.replay import replay

_NO_CURVE: FloatArray = np.empty(0)


def narrowed(comparison: Comparison, *, baseline: str | None = None, inside: BoolArray | None = None) -> Comparison:
    """Returns the first split's comparison against another baseline, on some of its held-out cases.

    Differences, intervals and their adjustment are worked out for these cases as `compare` does it for all of them;
    the single models, their hull and the oracle are those of these cases too. What only all cases and all splits give
    stays out: areas under curves, deployed gain, slices, readings.

    Args:
        comparison: what `compare` found.
        baseline: the name of the strategy that the others are held against; the comparison's own when left out.
        inside: which of the test cases, shape (n,); all when left out.

    Raises:
        OutcomesError: no strategy has that name, no case is left, or nobody kept the decisions.
    """
    against = comparison[baseline or comparison.baseline].name
    index: IntArray = np.arange(comparison.half.test.n) if inside is None else np.flatnonzero(inside)
    if not len(index):
        raise OutcomesError("no held-out case is in this part; choose a larger one")
    half = comparison.half if inside is None else _half(comparison.half, index)
    chosen = {one.name: _decisions(one) for one in comparison.evaluations}
    if inside is not None:
        chosen = {name: choices.take(index) for name, choices in chosen.items()}
    measured = {
        one.name: one.first if inside is None else _measured(one.first, half, index, chosen[one.name])
        for one in comparison.evaluations
    }
    kinds = {one.name: one.kind for one in comparison.evaluations}
    beside = Beside(half, kinds, chosen, measured, against, comparison.margin)
    replayed = {name: one.replayed for name, one in measured.items()}
    costs = Costs(half, chosen, replayed, against, comparison.cache_hit_rate)
    return replace(
        comparison,
        seeds=comparison.seeds[:1],
        baseline=against,
        n_test=half.test.n,
        zero_aiq=comparison.zero_aiq[:1] if inside is None else (None,),
        half=half,
        readings=(),
        evaluations=tuple(
            replace(
                one,
                measured=(measured[one.name],),
                quality_ci95=one.quality_ci95 if inside is None else beside.quality(one.name),
                cost_ci95=one.cost_ci95 if inside is None else costs.mean(one.name),
                versus_baseline=beside.baseline.get(one.name),
                cost_versus_baseline=costs.change(one.name),
                saving_usd=costs.saving(one.name),
                versus_fixed_mix=one.versus_fixed_mix if inside is None else beside.fixed_mix.get(one.name),
                slices=(),
                cached=costs.cached(one.name),
                break_even_hit_rate=costs.break_even_hit_rate(one.name),
                noise_share=one.noise_share if inside is None else None,
                judged=one.judged if inside is None else beside.judged(one.name),
                choices=chosen[one.name],
            )
            for one in comparison.evaluations
        ),
    )


def _decisions(one: Evaluation) -> Choices:
    if one.choices is None:
        raise OutcomesError(f"the decisions of {one.name!r} were not kept; compare again")
    return one.choices


def _half(half: Half, index: IntArray) -> Half:
    test = half.test.take(index)
    singles = single_models(test)
    oracle = replay(test, oracle_curve(test, points=2)[0])
    return replace(
        half,
        test=test,
        singles=singles,
        best=next(single for single in singles if single.name == half.best.name),
        oracle_quality=weighted_mean(oracle.score, test.weight) or 0.0,
    )


def _measured(one: Measured, half: Half, index: IntArray, choices: Choices) -> Measured:
    replayed, weight = one.replayed.take(index), half.test.weight
    quality = weighted_mean(replayed.score, weight) or 0.0
    return replace(
        one,
        replayed=replayed,
        weight=weight,
        quality=quality,
        cost_usd=weighted_mean(replayed.cost_usd, weight),
        curve=(_NO_CURVE, _NO_CURVE),
        aiq=None,
        deployed_gain=None,
        gap=None,
        match_cost=None,
        regret=half.oracle_quality - quality,
        commonest_share=choices.commonest_share(weight),
    )


def part_names(comparison: Comparison) -> Sequence[str]:
    """Returns the parts of the held-out cases that have a name, such as `category=law`, the largest first."""
    parts = comparison.half.test.cases.slices()
    return sorted(parts, key=lambda name: -int(parts[name].sum()))
