"""Where a setting leads, in some sentences."""

from __future__ import annotations

from collections.abc import Mapping

from routebench.dash.format import money, percent, points
from routebench.dash.tuning.setting import MIX
from routebench.dash.tuning.standing import Standing
from routebench.dash.tuning.state import Tuning
from routebench.evaluate.paired import MIN_CASES


def read(tuning: Tuning) -> str:
    """Returns what a reader must know of a setting, what must not be missed first."""
    said = [_off(tuning), _gate(tuning), _stands(tuning), _damage(tuning), _missed(tuning)]
    return " ".join(text for text in said if text)


def _off(tuning: Tuning) -> str:
    off = tuning.setting.off
    if not off:
        return ""
    what = f"GUARD{'S' * (len(off) > 1)} SWITCHED OFF: {', '.join(off)}; what is written does not carry it."
    return f"{what} The other forms are still being replayed without it." if tuning.behind else what


def _gate(tuning: Tuning) -> str:
    if tuning.learned.told:
        return ""
    return (
        f"Prompts do not tell the models apart beyond chance (p = {tuning.learned.p_value:.2f}): no rules are worth "
        "having here, and the fixed mix of two models is what is offered."
    )


def _stands(tuning: Tuning) -> str:
    one, n = tuning.now, tuning.study.ground.train.n
    quality = percent(None) if one.quality is None else percent(one.quality.mean, one.quality.ci95)
    return (
        f"Train, out of fold: {one.name} scores {quality} for {_cost(one)} per 1,000 requests, "
        f"{points(one.over_mix.delta, one.over_mix.ci95)} from the fixed mix at its cost and "
        f"{points(one.over_best.delta, one.over_best.ci95)} from the best single model, on {n:,} cases"
        f"{': too few to decide' if n < MIN_CASES else ''}."
    )


def _damage(tuning: Tuning) -> str:
    damage = tuning.now.damage
    if damage.usd_per_1k is None:
        counts = tuning.setting.goal == "charge"
        return "No case has stakes, so that damage cannot count: set them, and a point is chosen." if counts else ""
    others = f"; of {damage.n_unknown:,} others they are unknown" if damage.n_unknown else ""
    return (
        f"Wrong answers are expected to do {money(damage.usd_per_1k)} of damage per 1,000 requests, over the "
        f"{damage.n:,} cases whose stakes are known{others}."
    )


def _missed(tuning: Tuning) -> str:
    """Where nothing passes, what comes closest; where something was picked, what it misses."""
    if not tuning.study.curves or tuning.setting.form == MIX:
        return ""
    if tuning.setting.place is not None:
        lacks = tuning.lacks
        return f"The point that was picked {_lacking(lacks)}." if lacks else ""
    if tuning.best_point is not None:
        return ""
    near = tuning.closest
    if near is None:
        return ""
    if not near.lacks:
        return (
            "Settings pass, but none is above the fixed mix beyond chance: the fixed mix is what is offered; the "
            f"closest is {near.form} {near.point.index}."
        )
    reached = f"{percent(near.point.quality)} for {money(near.point.cost_usd_per_1k)}"
    text = f"No setting passes: closest is {near.form} {near.point.index}, {reached}; it {_lacking(near.lacks)}"
    if near.more_cases is not None:
        return f"{text}, and needs about {_rounded(near.more_cases):,} more cases to be sure of it."
    return f"{text}; more cases alone would not mend that."


def _cost(one: Standing) -> str:
    cost = one.cost_usd_per_1k
    return "an unknown cost" if cost is None else money(cost.mean, cost.ci95)


_LACKS = {
    "quality": "has a lower bound {by:.1f} pt below the floor",
    "cost": "costs {by:.0f}% too much",
    "latency": "is {by:.0f}% too slow",
    "slice": "drops a slice {by:.1f} pt too far",
}


def _lacking(lacks: Mapping[str, float]) -> str:
    texts = []
    for name, by in lacks.items():
        if by == float("inf"):
            texts.append(f"has an unknown {name}")
        elif name == "rules":
            texts.append(f"has {by:.0f} rules too many")
        else:
            texts.append(_LACKS[name].format(by=100 * by))
    return " and ".join(texts)


def _rounded(n: int) -> int:
    """Two digits of a number of cases: nobody knows it better."""
    return int(float(f"{n:.2g}"))
