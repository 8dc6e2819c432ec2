"""Strategies beside their bars: differences of quality, and costs with and without prompt caching."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np

from routebench.evaluate.choices import BoolArray, Choices, FloatArray
from routebench.evaluate.evaluation import Cached, Half, Measured
from routebench.evaluate.frontier import SingleModel, weighted_mean
from routebench.evaluate.intervals import Interval, mean_interval, ratio_interval
from routebench.evaluate.judged import Judged
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.paired import Difference, adjusted, paired
from routebench.evaluate.protocol import Kind
from routebench.evaluate.replay import Replayed, replay
from routebench.evaluate.slices import Slice, rank_slices

_SMALL_PART = 0.1


class Beside:
    """Quality of the first split's strategies beside the baseline and beside the fixed mix."""

    def __init__(
        self,
        half: Half,
        kinds: Mapping[str, Kind],
        chosen: Mapping[str, Choices],
        measured: Mapping[str, Measured],
        baseline: str,
        margin: float,
    ) -> None:
        self._half = half
        self._test = half.test
        self._kinds = kinds
        self._measured = measured
        self._margin = margin
        self._judged = Judged.of(half.test, chosen)
        self._scores = {name: one.replayed.score for name, one in measured.items()}
        self._baseline = baseline
        self._base = self._scores[baseline]
        self._groups = half.test.cases.cluster

    @cached_property
    def baseline(self) -> Mapping[str, Difference]:
        """Every strategy but the baseline, against it."""
        others = {name: self._difference(name, score) for name, score in self._scores.items() if name != self._baseline}
        return self._families(others, dict.fromkeys(others, self._base))

    @cached_property
    def fixed_mix(self) -> Mapping[str, Difference]:
        """Every strategy whose cost is known, against the mix of train at its own test cost."""
        test = self._test
        mixes = {
            name: mix for name, one in self._measured.items() if (mix := _mix_at_cost(self._half, one)) is not None
        }
        mixed = {name: replay(test, mix).score for name, mix in mixes.items()}
        against = {
            name: paired(
                self._scores[name],
                mixed[name],
                self._groups,
                test.weight,
                self._margin,
                telling=_telling(test, self._scores[name] - mixed[name], mix),
            )
            for name, mix in mixes.items()
        }
        return self._families(against, mixed)

    def _difference(self, name: str, score: FloatArray) -> Difference:
        plain = paired(score, self._base, self._groups, self._test.weight, self._margin)
        return plain if self._judged is None else self._judged.widened(plain, name, self._baseline)

    def _families(self, found: Mapping[str, Difference], others: Mapping[str, FloatArray]) -> dict[str, Difference]:
        # Candidates are one family, what they are held against another: bars do not make candidates harder to tell.
        result: dict[str, Difference] = {}
        for candidates in (True, False):
            family = [name for name in found if (self._kinds[name] == "strategy") == candidates]
            if family:
                gaps = np.column_stack([self._scores[name] - others[name] for name in family])
                against = adjusted([found[name] for name in family], gaps, self._groups, self._test.weight)
                result |= dict(zip(family, against, strict=True))
        return result

    def quality(self, name: str) -> Interval | None:
        """Mean score with its interval."""
        plain = mean_interval(self._scores[name], self._groups, self._test.weight, share=True)
        return plain if self._judged is None else self._judged.interval(name) or plain

    def slices(self, name: str) -> tuple[Slice, ...]:
        """Where a strategy loses most against the baseline, and where less."""
        if name == self._baseline:
            return ()
        parts, test = self._parts, self._test
        return rank_slices(self._scores[name], self._base, parts, self._groups, test.weight)

    @cached_property
    def _parts(self) -> Mapping[str, BoolArray]:
        return self._test.cases.slices()

    def judged(self, name: str) -> str | None:
        """How the judge's error was allowed for."""
        return None if self._judged is None else self._judged.note(name)


def _telling(test: Outcomes, gaps: FloatArray, mix: Choices) -> BoolArray:
    """Cases on which a strategy differs from a mix by more than a small share of how far its parts lie apart.

    Against a mix with a small part every case that goes the usual way differs a little, and all alike: those say
    nothing of how the few others spread, which carry the difference. Shape (n,).
    """
    parts = np.array([replay(test, replace(mix, parts=((1.0, chains),))).score for _, chains in mix.parts])
    telling: BoolArray = np.abs(gaps) > _SMALL_PART * np.ptp(parts, axis=0)
    return telling


def _mix_at_cost(half: Half, measured: Measured) -> Choices | None:
    """The mix of train-hull models whose test cost is a strategy's own; None where a cost is unknown."""
    corners = mix_corners(half)
    if measured.cost_usd is None or corners is None:
        return None
    costs = [cost for cost, _ in corners]
    cost = float(np.clip(measured.cost_usd, costs[0], costs[-1]))
    right = min(int(np.searchsorted(costs, cost)), len(corners) - 1)
    left = max(0, right - 1)
    gap = costs[right] - costs[left]
    share = 1.0 if gap == 0 else (cost - costs[left]) / gap
    test = half.test
    parts = [Choices.same(test.models, (corners[place][1].name,), test.n) for place in (left, right)]
    return Choices.mix([1 - share, share], parts)


class Costs:
    """Costs of the first split's strategies beside the baseline's, with and without prompt caching."""

    def __init__(
        self,
        half: Half,
        chosen: Mapping[str, Choices],
        replayed: Mapping[str, Replayed],
        baseline: str,
        hit_rate: float | None,
    ) -> None:
        self._test = half.test
        self._groups = half.test.cases.cluster
        self._plain = {name: one.cost_usd for name, one in replayed.items()}
        self._baseline = baseline
        self._hit_rate = hit_rate
        self._cached: dict[str, FloatArray] | None = None
        self._cached_whole: FloatArray | None = None
        saved = half.test.cacheable_usd
        if saved is not None:
            whole = replace(half.test, cost_usd=half.test.cost_usd - saved)
            self._cached_whole = replay(whole, chosen[baseline]).cost_usd
            if hit_rate is not None:
                cheaper = replace(half.test, cost_usd=half.test.cost_usd - hit_rate * saved)
                self._cached = {name: replay(cheaper, choices).cost_usd for name, choices in chosen.items()}

    def mean(self, name: str) -> Interval | None:
        """Mean cost of a request in US dollars."""
        found = mean_interval(self._plain[name], self._groups, self._test.weight)
        if found is None or found.low is None:
            return found
        return replace(found, low=max(0.0, found.low))

    def change(self, name: str) -> Interval | None:
        """Cost against the baseline's, less one."""
        return self._ratio(name, self._plain[name], self._plain[self._baseline])

    def saving(self, name: str) -> Interval | None:
        """What a request costs less than the baseline's, in US dollars."""
        if name == self._baseline:
            return None
        gaps = self._plain[self._baseline] - self._plain[name]
        return mean_interval(gaps, self._groups, self._test.weight)

    def cached(self, name: str) -> Cached | None:
        """Costs with a share of the prompts read from the cache."""
        if self._cached is None or self._hit_rate is None:
            return None
        own, base = self._cached[name], self._cached[self._baseline]
        cost = None if np.isnan(own).any() else weighted_mean(own, self._test.weight)
        return Cached(
            hit_rate=self._hit_rate,
            cost_usd_per_1k=None if cost is None else 1000 * cost,
            change=self._ratio(name, own, base),
            change_if_lost=self._ratio(name, self._plain[name], base),
        )

    def break_even_hit_rate(self, name: str) -> float | None:
        """The baseline's hit rate at which a strategy without any hit costs as much; None while unknown or beyond."""
        if self._cached_whole is None or name == self._baseline:
            return None
        own, base = self._plain[name], self._plain[self._baseline]
        known = ~(np.isnan(own) | np.isnan(base) | np.isnan(self._cached_whole))
        if not known.all():
            return None
        weight = self._test.weight
        gap, saved = np.average(base - own, weights=weight), np.average(base - self._cached_whole, weights=weight)
        return float(gap / saved) if 0 < gap < saved else None

    def _ratio(self, name: str, own: FloatArray, base: FloatArray) -> Interval | None:
        if name == self._baseline:
            return None
        return ratio_interval(own, base, self._groups, self._test.weight)


def mix_corners(half: Half) -> list[tuple[float, SingleModel]] | None:
    """The models of the train-chosen mix with their test costs, cheapest first; None where a test cost is unknown."""
    by_name = {single.name: single for single in half.singles}
    corners = [(by_name[name].cost_usd, by_name[name]) for name in half.train_hull.names]
    priced = [(cost, single) for cost, single in corners if cost is not None]
    return sorted(priced, key=lambda corner: corner[0]) if len(priced) == len(corners) else None
