"""One strategy on the held-out cases: what was measured, and what it means beside the bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from routebench.evaluate.choices import Choices, FloatArray, IntArray
from routebench.evaluate.frontier import Hull, SingleModel, weighted_mean
from routebench.evaluate.intervals import Interval
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.paired import Difference
from routebench.evaluate.protocol import Kind
from routebench.evaluate.replay import Replayed, weighted_quantile
from routebench.evaluate.slices import Slice

_CONSTANT_FROM = 0.95
_SAME_COST = 1e-9


@dataclass(frozen=True)
class Measured:
    """One strategy on the test half of one split; every mean is weighted by the requests that cases stand for.

    Attributes:
        replayed: its operating point, per test case.
        weight: of the test cases.
        label: what the operating point is called.
        quality: mean score over the cases that are compared.
        cost_usd: mean known cost of a request, None where none is known.
        curve: (cost in US dollars a request, quality) of every operating point; cost NaN while unknown.
        aiq: None where a cost is unknown.
        deployed_gain: None likewise.
        gap: APGR, CPT50 and CPT80, None unless there are two models.
        match_cost: least cost that reaches the best single model's quality, as a share of its cost; which model that
            is was chosen on train.
        regret: the oracle's mean score less this one's.
        commonest_share: share of requests that get the commonest chain of models.
        cells_share: of the cells that its decisions look up in the whole test half, how many were recorded and scored.
    """

    replayed: Replayed
    weight: FloatArray
    label: str
    quality: float
    cost_usd: float | None
    curve: tuple[FloatArray, FloatArray]
    aiq: float | None
    deployed_gain: float | None
    gap: tuple[float, float | None, float | None] | None
    match_cost: float | None
    regret: float
    commonest_share: float
    cells_share: float

    @property
    def failed_share(self) -> float:
        """Share of requests without an answer."""
        return weighted_mean(self.replayed.failed, self.weight) or 0.0

    def mix(self) -> FloatArray:
        """Share of requests that each model answers, shape (m,)."""
        return self._shares(self.replayed.answered_by)

    def decided(self) -> FloatArray:
        """Share of requests that are first sent to each model, shape (m,)."""
        return self._shares(self.replayed.decided)

    @property
    def largest_share(self) -> float:
        """Share of requests that are first sent to the model that gets most of them."""
        return float(self.decided().max())

    def _shares(self, table: FloatArray) -> FloatArray:
        shares: FloatArray = self.weight @ table / self.weight.sum()
        return shares


@dataclass(frozen=True)
class Half:
    """What one split gives every strategy: the test cases, the bars, and the cases that all can be compared on.

    Attributes:
        singles: every model on the test half.
        best: the single model that was best on train, as it does on test.
        index: positions of the whole test half in the suite.
    """

    train: Outcomes
    test: Outcomes
    singles: tuple[SingleModel, ...]
    best: SingleModel
    train_hull: Hull
    oracle_quality: float
    index: IntArray

    @property
    def hull(self) -> Hull:
        """What mixes of two single models reach on the test half."""
        return Hull.of(self.singles)


@dataclass(frozen=True)
class Cached:
    """Costs where a share of every prompt comes from the provider's cache.

    Attributes:
        hit_rate: that share of the input tokens.
        cost_usd_per_1k: of 1,000 requests, None while a cached price is unknown.
        change: cost against the baseline, less one, both with the cache.
        change_if_lost: the same where moving between models loses this strategy every hit and the baseline keeps its.
    """

    hit_rate: float
    cost_usd_per_1k: float | None
    change: Interval | None
    change_if_lost: Interval | None


@dataclass(frozen=True)
class Evaluation:
    """A strategy replayed on every split.

    Attributes:
        measured: one a seed.
        quality_ci95: of the first seed.
        cost_ci95: of the first seed, US dollars a request.
        versus_baseline: quality, paired, first seed; None for the baseline itself.
        cost_versus_baseline: cost against the baseline's, less one, first seed; None while unknown.
        saving_usd: what a request costs less than the baseline's, first seed; None while unknown.
        versus_fixed_mix: against the fixed mix of train at this strategy's test cost, first seed.
        slices: the parts of the cases against the baseline, the worst first, first seed.
        cached: its costs with prompt caching, None where nothing is known of that.
        break_even_hit_rate: share of the baseline's input that its provider's cache has to serve until a strategy that
            moves between models, and never hits the cache, saves nothing any more; None while unknown.
        noise_share: share of the interval's variance that is noise of the answers, None with one sample.
        judged: how the judge's error was allowed for, a sentence; None where no judge graded or nobody checked it.
        choices: its decisions on the compared cases of the first seed; None where nobody kept them.
    """

    name: str
    kind: Kind
    abstained: bool
    measured: tuple[Measured, ...]
    quality_ci95: Interval | None
    cost_ci95: Interval | None = None
    versus_baseline: Difference | None = None
    cost_versus_baseline: Interval | None = None
    saving_usd: Interval | None = None
    versus_fixed_mix: Difference | None = None
    slices: tuple[Slice, ...] = ()
    cached: Cached | None = None
    break_even_hit_rate: float | None = None
    noise_share: float | None = None
    judged: str | None = None
    choices: Choices | None = field(default=None, repr=False, compare=False)

    @property
    def first(self) -> Measured:
        """What was measured on the first seed."""
        return self.measured[0]

    @property
    def worst_slice(self) -> Slice | None:
        """Where it loses most against the baseline; None where every slice is too small to judge."""
        return self.slices[0] if self.slices else None

    def mean(self, values: Sequence[float | None]) -> float | None:
        """Mean over seeds, None where it is unknown for one of them."""
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known and len(known) == len(values) else None

    @property
    def shown_quality(self) -> float:
        """Mean score of the first seed, as in `quality_ci95`; on the human scale where a judge was corrected."""
        return self.first.quality if self.quality_ci95 is None else self.quality_ci95.mean

    @property
    def shown_cost_usd_per_1k(self) -> float | None:
        """Mean cost of 1,000 requests of the first seed in US dollars, what `cost_ci95` is about."""
        return None if self.first.cost_usd is None else 1000 * self.first.cost_usd

    @property
    def quality(self) -> float:
        """Mean score, over seeds."""
        return float(np.mean([one.quality for one in self.measured]))

    @property
    def cost_usd_per_1k(self) -> float | None:
        """Mean cost of 1,000 requests in US dollars, over seeds."""
        cost = self.mean([one.cost_usd for one in self.measured])
        return None if cost is None else 1000 * cost

    @property
    def failed_share(self) -> float:
        """Share of requests without an answer, over seeds."""
        return float(np.mean([one.failed_share for one in self.measured]))

    @property
    def escalated_share(self) -> float | None:
        """Share of requests whose first answer is refused, over seeds; None where no answer is checked."""
        shares = [
            None if one.replayed.escalated is None else weighted_mean(one.replayed.escalated, one.weight)
            for one in self.measured
        ]
        return self.mean(shares)

    @property
    def score_when_answered(self) -> float | None:
        """Mean score of the requests that were answered, over seeds; None where none was."""
        answered = 1 - self.failed_share
        return self.quality / answered if answered > 0 else None

    @property
    def constant(self) -> bool:
        """Whether hardly anything is decided: more than 95 % of the requests get the same chain of models."""
        return float(np.mean([one.commonest_share for one in self.measured])) > _CONSTANT_FROM

    @property
    def largest_share(self) -> float:
        """Share of requests that are first sent to the model that gets most of them, over seeds."""
        return float(np.mean([one.largest_share for one in self.measured]))

    @property
    def is_the_baseline(self) -> bool:
        """Whether it scores and costs on every held-out case what the baseline does."""
        versus, change = self.versus_baseline, self.cost_versus_baseline
        return versus is None or (versus.n_discordant == 0 and (change is None or abs(change.mean) < _SAME_COST))

    def most_sent(self, models: Sequence[str]) -> str:
        """The model that most requests are first sent to, over seeds."""
        return models[int(np.argmax(np.mean([one.decided() for one in self.measured], axis=0)))]

    def latency_s(self, quantile: float) -> float | None:
        """A quantile of the time to the answer, over seeds."""
        return self.mean([one.replayed.latency_quantile(quantile, one.weight) for one in self.measured])

    def decision_latency_s(self, quantile: float) -> float | None:
        """A quantile of the time that deciding took, over seeds; None where nobody measured it."""
        times = [
            None
            if one.replayed.decision_latency_s is None
            else weighted_quantile(one.replayed.decision_latency_s, one.weight, quantile)
            for one in self.measured
        ]
        return self.mean(times)

    @property
    def decision_cost_usd_per_1k(self) -> float | None:
        """What 1,000 decisions cost in US dollars, over seeds; None where nobody measured it."""
        costs = [
            None
            if one.replayed.decision_cost_usd is None
            else weighted_mean(one.replayed.decision_cost_usd, one.weight)
            for one in self.measured
        ]
        cost = self.mean(costs)
        return None if cost is None else 1000 * cost

    def mix(self, models: Sequence[str]) -> dict[str, float]:
        """Share of requests that each model answers, over seeds; with `failed_share` they add up to one."""
        shares = np.mean([one.mix() for one in self.measured], axis=0)
        return {name: float(share) for name, share in zip(models, shares, strict=True)}
