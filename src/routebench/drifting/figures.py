"""The figures of production beside those of the evidence: mix, rules, cost, tokens, latency, failures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from routebench.drifting.bounds import Bounds
from routebench.drifting.distances import variation
from routebench.drifting.expected import Expected, Written
from routebench.drifting.gaps import mean_ratio, quantile_ratio, share_gap
from routebench.drifting.row import Row, Topic, told
from routebench.drifting.served import Served, Words
from routebench.drifting.side import Side
from routebench.evaluate.choices import BoolArray, FloatArray
from routebench.evaluate.intervals import Interval
from routebench.rules.contents import STICKY

Against = Expected | Written | None
"""A rule set replayed on a suite's cases, the figures that its file holds, or nothing."""


def rows_of(served: Served, against: Against, bounds: Bounds) -> Iterator[Row]:
    """Yields every figure but those of the requests themselves.

    Args:
        served: requests that one policy decided.
        against: what the evidence says.
        bounds: what does not matter.
    """
    replayed = against if isinstance(against, Expected) else None
    # What exploration chose, and what keeps a conversation on its model, is not what the policy decides of a request.
    drawn = served.take(~served.explored)
    anew = drawn.take(~drawn.rule.are(STICKY))
    wanted = anew.wanted if anew.wanted.known.any() else anew.first
    yield from mix_rows("mix", "first model", anew, wanted, _mix_of(replayed, models=True), bounds.mix_shift)
    yield from mix_rows("rules", "deciding rule", anew, anew.rule, _mix_of(replayed, models=False), bounds.mix_shift)
    yield _cost(served, against, bounds)
    yield from _tokens(served)
    yield from _latency(served, against, bounds)
    yield from _failures(served, against, bounds)
    yield from _cascades(drawn, replayed, bounds)
    yield from _gateway(served)


Mix = tuple[tuple[str, ...], FloatArray, Side]
"""Words, the chance of each for every case, shape (n, k), and clusters and weights of the cases."""


def _mix_of(replayed: Expected | None, *, models: bool) -> Mix | None:
    if replayed is None:
        return None
    names, chances = replayed.first if models else replayed.rules
    # A case that guards leave no model was not decided, as requests that were refused were not.
    known = chances.sum(axis=1) > 0
    return names, chances[known], Side.of(np.zeros(int(known.sum())), replayed.groups[known], replayed.weight[known])


def mix_rows(topic: Topic, what: str, served: Served, words: Words, beside: Mix | None, bound: float) -> Iterator[Row]:
    """Yields how far two mixes are apart, and the share of every word on both sides.

    Args:
        topic: of the rows.
        what: the words name.
        served: requests.
        words: one for each.
        beside: the evidence's.
        bound: that does not matter.
    """
    known = words.known
    words = words.take(known)
    side = Side.of(np.zeros(len(words.by)), served.conversation[known])
    names = tuple(dict.fromkeys((*(beside[0] if beside else ()), *words.counts())))
    seen = words.chances(names)
    theirs = None
    if beside is not None:
        theirs = np.pad(beside[1], ((0, 0), (0, len(names) - len(beside[0]))))
        apart = variation(seen, side, theirs, beside[2])
        yield Row(
            topic,
            f"{what} is another",
            "distance",
            side.n,
            n_evidence=beside[2].n,
            change=None if apart is None else apart.value,
            change_kind="distance",
            by_chance=None if apart is None else apart.by_chance,
            p_value=None if apart is None else apart.p_value,
            bound=bound,
            method=None if apart is None else apart.method,
        )
    for number, name in enumerate(names):
        own = replace(side, amounts=seen[:, number])
        other = None
        if beside is not None and theirs is not None:
            other = replace(beside[2], amounts=theirs[:, number])
        if own.amounts.any() or (other is not None and other.amounts.any()):
            yield share_row(topic, name, own, other, bound, decides=False)


def share_row(
    topic: Topic,
    name: str,
    own: Side,
    beside: Side | None,
    bound: float | None,
    *,
    decides: bool = True,
    only_up: bool = False,
) -> Row:
    """Returns one share on both sides."""
    return Row(
        topic,
        name,
        "share",
        own.n,
        production=own.share(),
        n_evidence=None if beside is None else beside.n,
        evidence=None if beside is None else beside.share(),
        bound=bound,
        decides=decides,
        only_up=only_up,
        **told(None if beside is None or not own.n or not beside.n else share_gap(own, beside)),
    )


def side_of(served: Served, values: FloatArray | BoolArray, which: BoolArray | None = None) -> Side:
    """Returns values of traces with their conversations; only of some where `which` says so."""
    numbers: FloatArray = values.astype(float)
    return Side.of(numbers if which is None else np.where(which, numbers, np.nan), served.conversation)


def _cost(served: Served, against: Against, bounds: Bounds) -> Row:
    own = side_of(served, 1000 * served.cost_usd, served.asked)
    beside: Side | float | None = None
    n_evidence, evidence = None, None
    if isinstance(against, Expected):
        beside = Side.of(1000 * against.replayed.cost_usd, against.groups, against.weight)
        n_evidence, evidence = beside.n, beside.mean()
    elif against is not None and against.cost_usd_per_1k is not None:
        beside, n_evidence = against.cost_usd_per_1k, against.n
        evidence = Interval(beside, None, None, "as the file says")
    gap = None if beside is None else mean_ratio(own, beside)
    return Row(
        "cost",
        "cost of 1,000 requests",
        "usd",
        own.n,
        production=own.mean(),
        n_evidence=n_evidence,
        evidence=evidence,
        change_kind="ratio",
        bound=bounds.cost_rise,
        only_up=True,
        **told(gap),
    )


def _tokens(served: Served) -> Iterator[Row]:
    for name, values in (("input tokens", served.input_tokens), ("output tokens", served.output_tokens)):
        own = side_of(served, values)
        if own.n:
            yield Row("tokens", f"{name} of a request", "number", own.n, production=own.mean(), decides=False)


def _latency(served: Served, against: Against, bounds: Bounds) -> Iterator[Row]:
    own = side_of(served, served.latency_s, served.outcome.are("ok"))
    for percent in (50, 95):
        beside: Side | float | None = None
        n_evidence, evidence = None, None
        if isinstance(against, Expected):
            beside = Side.of(*against.latency)
            n_evidence, evidence = against.n if beside.n else None, beside.shown(percent / 100)
        elif against is not None and (written := against.latency_s.get(percent)) is not None:
            beside, n_evidence, evidence = written, against.n, Interval(written, None, None, "as the file says")
        gap = None if beside is None else quantile_ratio(own, beside, percent / 100)
        yield Row(
            "latency",
            f"p{percent} latency",
            "s",
            own.n,
            production=own.shown(percent / 100),
            n_evidence=n_evidence,
            evidence=evidence,
            change_kind="ratio",
            bound=bounds.latency_rise,
            decides=percent == 95,
            only_up=True,
            **told(gap),
        )
    first = side_of(served, served.ttft_s)
    for percent in (50, 95) if first.n else ():
        name = f"p{percent} time to the first token"
        yield Row("latency", name, "s", first.n, production=first.shown(percent / 100), decides=False)


def _failures(served: Served, against: Against, bounds: Bounds) -> Iterator[Row]:
    own = side_of(served, served.failed, served.asked)
    beside = None
    if isinstance(against, Expected):
        beside = Side.of(against.replayed.failed, against.groups, against.weight)
    elif against is not None and against.failed_share is not None and against.n:
        n_failed = round(against.failed_share * against.n)
        # So many of so many cases: the file holds no more than their share.
        beside = Side.of((np.arange(against.n) < n_failed).astype(float), np.arange(against.n))
    yield share_row("failures", "failed requests", own, beside, bounds.failed_rise, only_up=True)
    kinds = served.error_kind
    for name in kinds.take(served.failed).counts():
        which = kinds.are(name) & served.failed
        yield share_row(
            "failures", f"failed by {name}", side_of(served, which, served.asked), None, None, decides=False
        )
    calls = served.attempts()
    for model in calls.model.counts():
        mine = calls.model.are(model) & ~calls.verdict.are("cancelled")
        lost = Side.of(calls.verdict.are("failed")[mine].astype(float), served.conversation[calls.row[mine]])
        if lost.n:
            yield share_row("failures", f"failed calls to {model}", lost, None, None, decides=False)


def _cascades(served: Served, replayed: Expected | None, bounds: Bounds) -> Iterator[Row]:
    beside = None
    if replayed is not None and replayed.replayed.escalated is not None:
        beside = Side.of(replayed.replayed.escalated, replayed.groups, replayed.weight)
    if beside is None and np.isnan(served.escalated).all():
        return
    # Of all requests, as in a replay: which of them meet a check is the rules' doing.
    own = side_of(served, np.nan_to_num(served.escalated), served.asked)
    yield share_row("cascade", "answers that a check refused", own, beside, bounds.mix_shift, only_up=True)
    waited = side_of(served, served.cascade_wait_s)
    if waited.n:
        name = "p50 wait that cascades add"
        yield Row("cascade", name, "s", waited.n, production=waited.shown(0.5), decides=False)
    extra = side_of(served, 1000 * served.cascade_extra_usd)
    if extra.n:
        name = "cost of refused answers, of 1,000 checked requests"
        yield Row("cascade", name, "usd", extra.n, production=extra.mean(), decides=False)


def _gateway(served: Served) -> Iterator[Row]:
    for name, which in (
        ("sent elsewhere by health", served.shifted),
        ("kept on the model of their conversation", served.rule.are(STICKY)),
        ("explored", served.explored),
        ("given up by the client", served.outcome.are("cancelled")),
    ):
        yield share_row("gateway", name, side_of(served, which), None, None, decides=False)
