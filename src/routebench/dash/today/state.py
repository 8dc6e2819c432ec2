"""How the router of today stands beside other rules, in numbers and sentences; without a widget."""

from __future__ import annotations

import numpy as np
import pandas as pd

from routebench.dash.cases.differing import HARM, differing, previews
from routebench.dash.cases.opened import Opened, open_case
from routebench.dash.figures import TOO_FEW, Figure, verdict_text
from routebench.dash.format import UNKNOWN, money, percent, points
from routebench.dash.tables import chart_hull, chart_points, shown_name
from routebench.errors import OutcomesError
from routebench.evaluate import Comparison, Evaluation
from routebench.evaluate.intervals import Interval
from routebench.evaluate.narrowed import narrowed
from routebench.evaluate.paired import MIN_CASES, Difference
from routebench.evaluate.power import minimum_detectable
from routebench.evaluate.slices import rank_slices

_BESIDE = ("best_single", "cheapest", "fixed_mix")
_LEAST_DELTA = 0.002
"""A difference below a fifth of a point would take more cases than anybody has."""


class Standing:
    """The router of today beside a rule set.

    Args:
        comparison: has both, on the same held-out cases.
        own: the name of what could take its place; the pick of the comparison when left out.
        requests_per_month: those that money is told for; None leaves the month out.

    Attributes:
        comparison: as above.
        requests_per_month: as above.
        against: the comparison with the router of today as its baseline.
        today: the router of today.
        own: what could take its place.

    Raises:
        OutcomesError: no recorded decisions were compared, or nothing beside them.
    """

    def __init__(
        self, comparison: Comparison, own: str | None = None, *, requests_per_month: float | None = None
    ) -> None:
        if comparison.today is None:
            raise OutcomesError(
                "no router of today was compared; record its decisions with `routebench decisions`, and compare "
                "`decisions:FILE`"
            )
        chosen = own if own is not None else None if comparison.pick is None else comparison.pick.name
        if chosen is None:
            raise OutcomesError("nothing was compared with the router of today; give `rules`, a rules.yaml")
        self.comparison = comparison
        self.requests_per_month = requests_per_month
        self.against = narrowed(comparison, baseline=comparison.today.name)
        self.today = self.against[comparison.today.name]
        self.own = self.against[chosen]
        self._previews: dict[str, str] | None = None

    @property
    def title(self) -> str:
        """What the router of today is called."""
        return self.today.first.label or self.today.name

    @property
    def versus(self) -> Difference:
        """Quality of what could take its place, less the quality of today."""
        found = self.own.versus_baseline
        assert found is not None, "it is not the baseline itself"
        return found

    @property
    def reading(self) -> str:
        """One sentence: quality, money, and both with their intervals."""
        own, versus = shown_name(self.own.name), self.versus
        quality = f"{_quality(self.own)} instead of {_quality(self.today)}"
        if versus.n_discordant == 0:
            word = "the same scores on every case"
        else:
            word = f"{points(versus.delta, versus.ci95_simultaneous or versus.ci95)}, {self.verdict}"
        text = f"{own} instead of {self.title}: quality {quality} ({word}) on {versus.n:,} held-out cases"
        cost = self.own.shown_cost_usd_per_1k
        if cost is None or self.today.shown_cost_usd_per_1k is None:
            return f"{text}; what it costs is not known."
        change = self.own.cost_versus_baseline
        told = "" if change is None else f", {_share(change)}"
        text += f"; {money(cost)} instead of {money(self.today.shown_cost_usd_per_1k)} per 1,000 requests{told}"
        month = self.saving_a_month()
        return f"{text}." if month is None else f"{text}; {month}."

    @property
    def verdict(self) -> str:
        """The word for the difference of quality."""
        return verdict_text(self.versus)

    def saving_a_month(self) -> str | None:
        """What a month costs less, in words; None while requests or costs are unknown."""
        saving = self.own.saving_usd
        if self.requests_per_month is None or saving is None:
            return None
        scaled = [self.requests_per_month * value for value in (saving.mean, *(saving.ci95 or ()))]
        word = "less" if scaled[0] >= 0 else "more"
        sign = 1 if scaled[0] >= 0 else -1
        bounds = sorted(sign * value for value in scaled[1:])
        return f"{money(abs(scaled[0]), bounds or None)} {word} a month at {self.requests_per_month:,.0f} requests"

    @property
    def notices(self) -> list[str]:
        """What the reading rests on and must not be missed."""
        told = [one.text for one in self.comparison.readings if one.topic == "today"]
        told += [one.text for one in self.comparison.readings if one.grave and not one.is_finding]
        if self.requests_per_month is None:
            told.append("Say how many requests a month come, for the money of a month.")
        return told

    @property
    def doubts(self) -> list[str]:
        """What would change this reading."""
        versus = self.versus
        told = [*self._power(versus)]
        parts = self.categories
        small = [name.removeprefix("category=") for name, mask in parts.items() if mask.sum() < MIN_CASES]
        if small:
            told.append(
                f"{len(small)} of {len(parts)} categories have fewer than {MIN_CASES} held-out cases "
                f"({', '.join(small[:5])}{', …' if len(small) > 5 else ''}): what happens in them is not known."
            )
        topics = ("weights", "caching", "noise", "judge")
        told += [one.text for one in self.comparison.readings if one.topic in topics]
        told.append(
            f"The decisions of {self.title} are those that were recorded: a new version, or other settings, may decide "
            "otherwise; record them again."
        )
        return told

    def _power(self, versus: Difference) -> list[str]:
        n, mde = versus.n, versus.mde
        if mde is None:
            few = f"Only {versus.n_discordant} of {n:,} cases differ, too few for an interval."
            return [f"{few} If one in ten did, {100 * minimum_detectable(n, 0.1):.1f} points could be seen."]
        text = f"With {n:,} paired cases a true difference of {100 * mde:.1f} points is seen four times of five."
        if versus.verdict not in ("cannot_tell", "too_few"):
            return [text]
        if abs(versus.delta) < _LEAST_DELTA:
            return [text, "The two are so alike that no number of cases would be worth telling them apart."]
        needed = int(np.ceil(n * (mde / abs(versus.delta)) ** 2))
        if needed <= n:
            return [text, "A new sample of as many cases would most likely settle it."]
        return [text, f"About {needed:,} held-out cases would settle a difference as large as the one measured."]

    def points(self) -> tuple[pd.DataFrame, list[str]]:
        """The marks of the picture, and who is left out of it."""
        return chart_points(self.against, self.own.name)

    def hull(self) -> pd.DataFrame:
        """What fixed mixes of two single models reach."""
        return chart_hull(self.against)

    def rivals(self) -> pd.DataFrame:
        """Rows of panel.RIVALS: today's router, what could take its place, and the bars that embarrass routers."""
        names = [self.today.name, self.own.name, *(one.name for one in self.against.candidates), *_BESIDE]
        there = {one.name for one in self.against.evaluations}
        kept = [name for name in dict.fromkeys(names) if name in there]
        rows = [_rival(self.against[name]) for name in kept]
        columns = ("name", "verdict", "quality", "delta", "cost", "change")
        return _frame(columns, rows, kept)

    @property
    def categories(self) -> dict[str, np.ndarray]:
        """Which held-out cases are in each category, by `category=NAME`; empty where no case has one."""
        parts = self.against.half.test.cases.slices()
        return {name: mask for name, mask in parts.items() if name.startswith("category=")}

    def by_category(self) -> pd.DataFrame:
        """A row a category, the largest loss first; categories with few cases last, without a verdict.

        Intervals hold for all large categories at once.
        """
        test, parts = self.against.half.test, self.categories
        own, today = self.own.first.replayed, self.today.first.replayed
        groups = test.cases.cluster
        large = rank_slices(own.score, today.score, parts, groups, test.weight)
        found = {one.name: one for one in large}
        names = [*found, *(name for name in parts if name not in found)]
        rows = []
        for name in names:
            mask = parts[name]
            weight = test.weight[mask]
            quality = [float(np.average(one.score[mask], weights=weight)) for one in (today, own)]
            one = found.get(name)
            delta, bounds = quality[1] - quality[0], None if one is None else one.ci95
            costs = [_mean(one.cost_usd[mask], weight) for one in (today, own)]
            change = None if None in costs or not costs[0] else (costs[1] or 0.0) / costs[0] - 1
            rows.append(
                (
                    name.removeprefix("category="),
                    int(mask.sum()),
                    _word(bounds, large=one is not None),
                    *quality,
                    Figure(delta, points(delta, bounds)),
                    np.nan if change is None else change,
                )
            )
        columns = ("category", "n", "verdict", "today", "own", "delta", "change")
        return _frame(columns, rows, [name.removeprefix("category=") for name in names])

    def cases(self) -> pd.DataFrame:
        """The cases that score otherwise, the most harmful first; harm below 0 is a gain."""
        if self._previews is None:
            self._previews = previews(self.against.half.test.cases)
        return differing(self.against, self.names, prompts=self._previews)

    @property
    def names(self) -> tuple[str, str]:
        """The router of today, and what could take its place."""
        return self.today.name, self.own.name

    def lost(self) -> pd.DataFrame:
        """The cases that today's router scores better on, the worst loss first."""
        cases = self.cases()
        return cases[cases[HARM] > 0]

    def won(self) -> pd.DataFrame:
        """The cases that it scores worse on, the largest gain first."""
        cases = self.cases()
        return cases[cases[HARM] < 0].iloc[::-1]

    def open(self, case_id: str) -> Opened:
        """Returns one case with both answers.

        Raises:
            OutcomesError: it is no held-out case.
        """
        return open_case(self.against, case_id, self.names)


def _rival(one: Evaluation) -> tuple[object, ...]:
    versus, cost, change = one.versus_baseline, one.shown_cost_usd_per_1k, one.cost_versus_baseline
    bounds = None if one.cost_ci95 is None else one.cost_ci95.ci95
    around = None if bounds is None else (1000 * bounds[0], 1000 * bounds[1])
    if versus is None:
        verdict, delta = "today", Figure(0.0, "today")
    elif versus.n_discordant == 0:
        verdict, delta = "same", Figure(0.0, "same scores")
    else:
        verdict = verdict_text(versus)
        delta = Figure(versus.delta, points(versus.delta, versus.ci95_simultaneous or versus.ci95))
    return (
        shown_name(one.name),
        verdict,
        Figure(one.shown_quality, _quality(one)),
        delta,
        Figure(cost, money(cost, around)),
        delta if versus is None else Figure(None, UNKNOWN) if change is None else Figure(change.mean, _share(change)),
    )


def _frame(columns: tuple[str, ...], rows: list[tuple[object, ...]], index: list[str]) -> pd.DataFrame:
    made = {name: pd.Series([row[place] for row in rows], dtype=object) for place, name in enumerate(columns)}
    return pd.DataFrame(made).set_index(pd.Index(index, dtype=object))


def _word(bounds: tuple[float, float] | None, *, large: bool) -> str:
    if not large or bounds is None:
        return TOO_FEW
    return "▲ better" if bounds[0] > 0 else "▼ worse" if bounds[1] < 0 else "cannot tell"


def _mean(values: np.ndarray, weight: np.ndarray) -> float | None:
    return None if np.isnan(values).any() else float(np.average(values, weights=weight))


def _quality(one: Evaluation) -> str:
    return percent(one.shown_quality, None if one.quality_ci95 is None else one.quality_ci95.ci95)


def _share(change: Interval) -> str:
    """`-7% [-19, +5]`, a change of cost as a share."""
    # Whole numbers, so that what rounds to nothing is not written as -0.
    mean, *bounds = (round(100 * value) for value in (change.mean, *(change.ci95 or ())))
    text = f"{mean:+d}%"
    return f"{text} [{bounds[0]:+d}, {bounds[1]:+d}]" if bounds else text
