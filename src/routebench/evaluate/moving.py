"""What changes when one fixed policy takes the place of another: which cases move, and what that does to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from routebench.errors import OutcomesError
from routebench.evaluate.choices import BoolArray, Choices, FloatArray, IntArray
from routebench.evaluate.estimates import ALPHA
from routebench.evaluate.examples import RoutedCase
from routebench.evaluate.intervals import Interval, ratio_interval
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.paired import MARGIN, Difference, paired
from routebench.evaluate.replay import Replayed, replay
from routebench.evaluate.slices import Slice, rank_slices

TAIL = 0.95
MIN_TELLING = 25
"""With fewer clusters whose times differ there is no interval: it covered .76 with 10 of them, .93 with 20, .97 with 40
(measured on lognormal times; the others tell nothing of the difference)."""
_DRAWS = 2000
_SAME = 1e-12


@dataclass(frozen=True, slots=True)
class Flow:
    """Cases whose first model changes in the same way.

    Attributes:
        before: the model that was tried first, None where no model might take the request.
        after: the model that is tried first now, likewise.
        n: cases.
        requests: the weight of these cases.
    """

    before: str | None
    after: str | None
    n: int
    requests: float


@dataclass(frozen=True, slots=True)
class Tail:
    """The 95th percentile of the time to an answer, on the cases that both policies answered in a known time.

    Attributes:
        before_s: seconds.
        after_s: seconds.
        difference: after less before, in seconds; without bounds where too few clusters differ.
        n: the cases.
    """

    before_s: float
    after_s: float
    difference: Interval
    n: int


@dataclass(frozen=True, slots=True)
class Moved:
    """Two fixed policies on the same cases; every difference is the new one less the old one.

    Attributes:
        n: cases that were looked at.
        n_left_out: cases without a graded outcome of what either policy chose; they count in no difference.
        n_left_out_moved: those of them whose chain changes.
        n_first: cases whose first model changes.
        n_chain: cases whose chain changes anywhere.
        requests: the weight of all cases.
        requests_first: the weight of the cases whose first model changes.
        flows: where those go, the largest first.
        refused: cases that guards leave without a model, before and after; they fail and score 0.
        quality: mean scores before and after, on the cases that are not left out.
        cost_usd: mean costs of a request before and after, US dollars; None while unknown.
        scores: the paired difference of mean scores.
        added_usd: what a request costs more, US dollars, without bounds where few costs differ; None while unknown.
        cost_change: cost against the old one's, less one; None while unknown.
        n_cost_unknown: cases whose cost is unknown under either.
        tail: None where no time is known.
        slices: the one with the largest loss first.
        harmed: moved cases that lost most score, then those that grew dearest at the same score; `model` is the new
            policy's, `baseline_model` the old one's.
    """

    n: int
    n_left_out: int
    n_left_out_moved: int
    n_first: int
    n_chain: int
    requests: float
    requests_first: float
    flows: tuple[Flow, ...]
    refused: tuple[int, int]
    quality: tuple[float, float] | None
    cost_usd: tuple[float, float] | None
    scores: Difference
    added_usd: Interval | None
    cost_change: Interval | None
    n_cost_unknown: int
    tail: Tail | None
    slices: tuple[Slice, ...]
    harmed: tuple[RoutedCase, ...]


def move(outcomes: Outcomes, old: Choices, new: Choices, *, margin: float = MARGIN, n_harmed: int = 5) -> Moved:
    """Replays two policies on the same cases and holds the new one against the old one.

    Nothing is fitted here, so that all the cases count.

    Args:
        outcomes: the cases.
        old: what the old policy decides for each, one chain a case.
        new: what the new one decides, one chain a case.
        margin: a loss of mean score that counts as no worse.
        n_harmed: so many harmed cases are named.

    Raises:
        OutcomesError: a policy is a lottery.
    """
    before_chains, after_chains = _chains(outcomes, old), _chains(outcomes, new)
    before, after = replay(outcomes, old), replay(outcomes, new)
    first = before_chains[:, 0] != after_chains[:, 0]
    anywhere = _differ(before_chains, after_chains)
    known = ~(before.missing | after.missing)
    priced = known & ~(np.isnan(before.cost_usd) | np.isnan(after.cost_usd))
    keys, weight = outcomes.keys[priced], outcomes.weight[priced]
    # What every case has in common, such as one tag, is no part of them.
    parts = {name: mask for name, mask in outcomes.cases.slices().items() if not mask.all()}
    was_usd, is_usd = before.cost_usd[priced], after.cost_usd[priced]
    added = _added(paired(is_usd, was_usd, keys, weight))
    return Moved(
        n=outcomes.n,
        n_left_out=int((~known).sum()),
        n_left_out_moved=int((~known & anywhere).sum()),
        n_first=int(first.sum()),
        n_chain=int(anywhere.sum()),
        requests=float(outcomes.weight.sum()),
        requests_first=float(outcomes.weight[first].sum()),
        flows=_flows(outcomes, before_chains[:, 0], after_chains[:, 0]),
        refused=(int((before_chains[:, 0] < 0).sum()), int((after_chains[:, 0] < 0).sum())),
        quality=_means(before.score[known], after.score[known], outcomes.weight[known]),
        cost_usd=_means(was_usd, is_usd, weight),
        scores=paired(after.score, before.score, outcomes.keys, outcomes.weight, margin),
        added_usd=added,
        cost_change=_change(added, ratio_interval(is_usd, was_usd, keys, weight)),
        n_cost_unknown=int((known & ~priced).sum()),
        tail=tail(before.latency_s, after.latency_s, outcomes.keys, outcomes.weight),
        slices=rank_slices(after.score, before.score, parts, outcomes.keys, outcomes.weight),
        harmed=_harmed(outcomes, before, after, np.flatnonzero(anywhere & known), n_harmed),
    )


def tail(
    before_s: FloatArray, after_s: FloatArray, groups: npt.NDArray[np.str_], weight: FloatArray, *, seed: int = 0
) -> Tail | None:
    """Returns the 95th percentiles of two policies' times on the same cases, and their difference.

    The interval is the percentile bootstrap of whole clusters, both policies on the same draws.

    Args:
        before_s: seconds to the answer, NaN where unknown or without an answer, shape (n, p, k), p and k at will.
        after_s: of the new policy, shape (n, p, k).
        groups: cluster of each case, shape (n,).
        weight: of each case, shape (n,).
        seed: of the draws.
    """
    known = ~(np.isnan(before_s).all(axis=(1, 2)) | np.isnan(after_s).all(axis=(1, 2)))
    if not known.any():
        return None
    member = np.unique(groups[known], return_inverse=True)[1]
    times = [_Times(values[known], member, weight[known]) for values in (before_s, after_s)]
    n_groups = int(member.max()) + 1
    was, now = (one.quantile(np.ones(n_groups)) for one in times)
    interval = Interval(now - was, None, None, f"fewer than {MIN_TELLING} clusters differ")
    if len(np.unique(member[times[0].differ_from(times[1])])) >= MIN_TELLING:
        rng = np.random.default_rng(seed)
        draws = (np.bincount(rng.integers(0, n_groups, n_groups), minlength=n_groups) for _ in range(_DRAWS))
        gaps = [times[1].quantile(counts) - times[0].quantile(counts) for counts in draws]
        low, high = (float(bound) for bound in np.quantile(gaps, (ALPHA / 2, 1 - ALPHA / 2)))
        interval = Interval(now - was, low, high, f"cluster bootstrap, {_DRAWS} draws, percentile")
    return Tail(was, now, interval, int(known.sum()))


class _Times:
    """Known times in order, so that a draw of clusters only has to add weights up."""

    def __init__(self, values: FloatArray, member: IntArray, weight: FloatArray) -> None:
        known = ~np.isnan(values)
        # Samples of a case share its weight.
        shares = np.broadcast_to((weight / known.sum(axis=(1, 2)))[:, None, None], values.shape)[known]
        order = np.argsort(values[known], kind="stable")
        self._means = np.nansum(values, axis=(1, 2)) / known.sum(axis=(1, 2))
        self._values = values[known][order]
        self._weight = shares[order]
        self._member = np.broadcast_to(member[:, None, None], values.shape)[known][order]

    def differ_from(self, other: _Times) -> BoolArray:
        """Which cases take another time, shape (n,)."""
        differs: BoolArray = np.abs(self._means - other._means) > _SAME
        return differs

    def quantile(self, counts: npt.NDArray[np.float64 | np.intp]) -> float:
        reached = np.cumsum(self._weight * counts[self._member])
        place = int(np.searchsorted(reached, TAIL * reached[-1] * (1 - _SAME), side="left"))
        return float(self._values[min(place, len(self._values) - 1)])


def _chains(outcomes: Outcomes, choices: Choices) -> IntArray:
    """Chains as positions in the outcomes' models, -1 where they end; shape (n, length)."""
    if len(choices.parts) != 1:
        raise OutcomesError(
            f"policy {choices.label or 'without a label'!r} draws lots, so that no case moves for sure; give it one "
            "chain a case"
        )
    place = np.array([outcomes.models.index(name) for name in choices.models], dtype=np.intp)
    chains = choices.parts[0][1]
    return np.where(chains >= 0, place[np.maximum(chains, 0)], -1)


def _differ(before: IntArray, after: IntArray) -> BoolArray:
    width = max(before.shape[1], after.shape[1])
    first, second = (
        np.pad(chains, ((0, 0), (0, width - chains.shape[1])), constant_values=-1) for chains in (before, after)
    )
    differs: BoolArray = (first != second).any(axis=1)
    return differs


def _flows(outcomes: Outcomes, before: IntArray, after: IntArray) -> tuple[Flow, ...]:
    pairs, which = np.unique(np.column_stack([before, after]), axis=0, return_inverse=True)
    which = which.reshape(-1)
    requests = np.bincount(which, weights=outcomes.weight)
    names = (*outcomes.models, None)
    flows = [
        Flow(names[one], names[other], int(n), float(weight))
        for (one, other), n, weight in zip(pairs, np.bincount(which), requests, strict=True)
        if one != other
    ]
    return tuple(sorted(flows, key=lambda flow: (-flow.requests, -flow.n)))


def _means(before: FloatArray, after: FloatArray, weight: FloatArray) -> tuple[float, float] | None:
    if not len(before):
        return None
    return float(np.average(before, weights=weight)), float(np.average(after, weights=weight))


def _added(costs: Difference) -> Interval | None:
    """The difference of costs, without bounds where too few of them differ to tell how they spread."""
    if not costs.n:
        return None
    low, high = costs.ci95 or (None, None)
    return Interval(costs.delta, low, high, costs.method)


def _change(added: Interval | None, change: Interval | None) -> Interval | None:
    if added is None or change is None or added.ci95 is not None:
        return change
    return replace(change, low=None, high=None, method=added.method)


def _harmed(outcomes: Outcomes, before: Replayed, after: Replayed, moved: IntArray, n: int) -> tuple[RoutedCase, ...]:
    gain = after.score[moved] - before.score[moved]
    added = np.nan_to_num(after.cost_usd[moved] - before.cost_usd[moved], nan=0.0)
    harms = (gain < -_SAME) | ((np.abs(gain) <= _SAME) & (added > _SAME))
    worst = moved[harms][np.lexsort((-added[harms], gain[harms]))][:n]
    return tuple(
        RoutedCase(
            outcomes.cases[at],
            _likeliest(after.answered_by[at], outcomes.models),
            float(after.score[at]),
            _known(after.cost_usd[at]),
            _likeliest(before.answered_by[at], outcomes.models),
            float(before.score[at]),
            _known(before.cost_usd[at]),
        )
        for at in worst
    )


def _likeliest(shares: FloatArray, models: Sequence[str]) -> str | None:
    at = int(np.argmax(shares))
    return models[at] if shares[at] > 0 else None


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
