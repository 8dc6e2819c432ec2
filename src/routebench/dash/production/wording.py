"""What a production panel says in sentences."""

from __future__ import annotations

import numpy as np
import pandas as pd

from routebench.dash.figures import TOO_FEW
from routebench.dash.format import duration, money, percent, seconds
from routebench.dash.production.state import Production
from routebench.evaluate.intervals import mean_interval
from routebench.evaluate.paired import MIN_CASES


def reading(state: Production) -> str:
    """What happened, in a sentence."""
    log = state.picked
    if not state.log.n:
        return f"0 traces yet in {state.source.name}; a gateway writes each a moment after its request has ended."
    if not log.n:
        return f"None of {state.log.n:,} traces is left by these choices; lift one of them."
    served = log.served
    start, end = (pd.Timestamp(float(served.at_s[place]), unit="s") for place in (0, -1))
    of = "" if log.n == state.log.n else f" of {state.log.n:,}"
    within = f"within {span(float(served.at_s[-1] - served.at_s[0]))} from {start:%Y-%m-%d %H:%M:%S}"
    until = f"{end:%H:%M:%S}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M:%S}"
    text = f"{log.n:,}{of} requests {within} to {until} UTC"
    parts = [_mix(state), _cost(state), _times(state), _failures(state)]
    text = f"{text}: {'; '.join(part for part in parts if part)}."
    if log.n < MIN_CASES:
        text += f" Fewer than {MIN_CASES} are {TOO_FEW}."
    return f"{text}{_special(state)}"


def span(length_s: float) -> str:
    """`1 d 3 h`: a length of time of which small parts do not matter."""
    if length_s < 60:
        return duration(length_s)
    hours, minutes = divmod(round(length_s / 60), 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (0 if days else minutes, "min")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def choices(state: Production) -> str:
    """What is chosen, in words; empty where everything is shown."""
    told = [f"{facet} {value}" for facet, value in state.chosen.items()]
    if state.last_s is not None:
        told.append(f"the last {span(state.last_s)}")
    if state.selected:
        n = len(state.selected)
        told.append(f"{n} selected {'stretch' if n == 1 else 'stretches'}")
    return " · ".join(told)


def _mix(state: Production) -> str:
    served = state.picked.served
    counts = served.model.counts()
    if not counts:
        return "nobody answered"
    most = next(iter(counts))
    found = state.share(served.model.are(most), served.model.known)
    assert found is not None
    return f"{most} gave {percent(found.mean, _told(state, found.ci95))} of the answers"


def _cost(state: Production) -> str:
    served = state.picked.served
    asked = ~served.outcome.are("refused")
    known = asked & ~np.isnan(served.cost_usd)
    unknown = int((asked & ~known).sum())
    if not known.any():
        return "cost n/a"
    found = mean_interval(1000 * served.cost_usd[known], served.conversation[known], np.ones(int(known.sum())))
    assert found is not None
    left_out = f" ({unknown:,} of unknown cost left out)" if unknown else ""
    return f"{money(found.mean, _told(state, found.ci95))} per 1,000 requests{left_out}"


def _times(state: Production) -> str:
    latency_s = state.picked.served.latency_s
    known = latency_s[~np.isnan(latency_s)]
    if not len(known):
        return ""
    half, most = (float(np.quantile(known, share, method="inverted_cdf")) for share in (0.5, 0.95))
    return f"half within {seconds(half)}" + (f", 95% within {seconds(most)}" if len(known) >= MIN_CASES else "")


def _failures(state: Production) -> str:
    served = state.picked.served
    found = state.share(served.failed, served.asked)
    return "" if found is None else f"{percent(found.mean, _told(state, found.ci95))} failed"


def _special(state: Production) -> str:
    log, told = state.picked, []
    moved, explored = int(log.served.shifted.sum()), int(log.served.explored.sum())
    if moved:
        told.append(f"Health moved {moved:,}.")
    if explored:
        told.append(f"{explored:,} were explored.")
    beside = int((~np.isnan(log.shadow)).sum())
    if beside:
        found = state.share(log.shadow, ~np.isnan(log.shadow))
        assert found is not None
        told.append(
            f"The shadow would have asked the same model first in {percent(found.mean, _told(state, found.ci95))}."
        )
    policies = len(log.served.policy.counts())
    if policies > 1:
        told.append(f"{policies} rule sets decided: the dashed lines tell where another one begins.")
    return "".join(f" {one}" for one in told)


def _told(state: Production, ci95: tuple[float, float] | None) -> tuple[float, float] | None:
    return ci95 if state.picked.n >= MIN_CASES else None


def footer(state: Production) -> str:
    """What the figures rest on."""
    from routebench import __version__

    return (
        f"Traces of {state.source.name}; 95% intervals robust to turns of one conversation; times in UTC, latency as "
        f"the gateway saw it; routebench {__version__}"
    )
