"""What a comparison shows and what is selected in it, without a widget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from routebench.dash.cases.differing import Which, differing, previews
from routebench.dash.cases.opened import Opened, open_case
from routebench.dash.charts import has_place
from routebench.dash.comparing.summary import figures
from routebench.dash.figures import unadjusted, verdict_text
from routebench.dash.format import points
from routebench.dash.placing import Along
from routebench.dash.tables import chart_hull, chart_points, is_logarithmic, shown_name
from routebench.errors import OutcomesError, nearest
from routebench.evaluate import Comparison
from routebench.evaluate.narrowed import narrowed, part_names
from routebench.evaluate.paired import MIN_CASES
from routebench.evaluate.reading import found

EVERYTHING = ""
"""Names the part that is all held-out cases."""
MOST_BESIDE = 4
"""So many answers have room side by side."""


class Compared:
    """A comparison, held against any of its strategies, on all held-out cases or a part of them.

    Args:
        comparison: what was found.

    Attributes:
        comparison: the same.
        baseline: the strategy that the others are held against.
        part: such as `category=law`; an empty string for all cases.
        along: what the picture has to the right.
        log: whether that axis is asked to be logarithmic.
        adjusted: whether figures allow for how many strategies are compared.
        which: the cases that are listed.
        selection: names of the strategies that are selected.
    """

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.baseline = comparison.baseline
        self.part = EVERYTHING
        self.along: Along = "cost"
        self.log = True
        self.adjusted = True
        self.which: Which = "different"
        self.selection: tuple[str, ...] = ()
        self._parts = comparison.half.test.cases.slices()
        self._narrowed: dict[tuple[str, str], Comparison] = {(comparison.baseline, EVERYTHING): comparison}
        self._points: dict[tuple[str, str], tuple[pd.DataFrame, list[str]]] = {}
        self._hulls: dict[str, pd.DataFrame] = {}
        self._prompts: dict[str, str] | None = None
        half = comparison.half
        self._in_sample = bool(np.isin(half.test.cases.ids, half.train.cases.ids).any())

    @property
    def names(self) -> tuple[str, ...]:
        """Every strategy."""
        return tuple(one.name for one in self.comparison.evaluations)

    @property
    def parts(self) -> Sequence[str]:
        """The parts of the held-out cases that have a name, the largest first."""
        return part_names(self.comparison)

    def size(self, part: str) -> int:
        """How many held-out cases are in a part."""
        return self.comparison.half.test.n if part == EVERYTHING else int(self._parts[part].sum())

    def select(self, names: Sequence[str]) -> None:
        """Selects strategies.

        Raises:
            OutcomesError: one of them was not compared.
        """
        for name in names:
            self._check(name)
        self.selection = tuple(dict.fromkeys(names))

    def hold_against(self, baseline: str) -> None:
        """Holds everything against another strategy.

        Raises:
            OutcomesError: it was not compared, or nobody kept the decisions.
        """
        self._check(baseline)
        self._against(baseline, self.part)
        self.baseline = baseline

    def look_at(self, part: str) -> None:
        """Looks at a part of the held-out cases, at all of them with an empty string.

        Raises:
            OutcomesError: there is no such part, or nobody kept the decisions.
        """
        if part != EVERYTHING and part not in self._parts:
            known = ", ".join(self.parts) or "none: the suite has neither categories nor tags"
            raise OutcomesError(f"no part {part!r}{nearest(part, list(self._parts))}; there are {known}")
        self._against(self.baseline, part)
        self.part = part

    def _check(self, name: str) -> None:
        # Says itself what there is.
        self.comparison[name]

    @property
    def shown(self) -> Comparison:
        """The comparison as it is looked at now; the first split's, wherever that is not the whole."""
        return self._against(self.baseline, self.part)

    def _against(self, baseline: str, part: str) -> Comparison:
        key = (baseline, part)
        if key not in self._narrowed:
            inside = None if part == EVERYTHING else self._parts[part]
            self._narrowed[key] = narrowed(self.comparison, baseline=baseline, inside=inside)
        return self._narrowed[key]

    @property
    def pick(self) -> str | None:
        """The strategy that the reading of the whole is about; a part of the cases picks no other."""
        pick = self.comparison.pick
        return None if pick is None else pick.name

    @property
    def reading(self) -> str:
        """One sentence about the pick, on the cases that are looked at."""
        if self.part == EVERYTHING and self.baseline == self.comparison.baseline:
            return self.comparison.reading
        pick = None if self.pick is None or self.pick == self.baseline else self.shown[self.pick]
        text = found(self.shown, pick).text
        if self.part == EVERYTHING:
            return text
        few = f" With fewer than {MIN_CASES} cases nothing can be decided." if self.shown.n_test < MIN_CASES else ""
        return (
            f"In {self.part}: {text[:1].lower()}{text[1:]}{few} One part of {len(self._parts)}, not adjusted for that."
        )

    @property
    def notices(self) -> list[str]:
        """What must not be missed before a number is believed."""
        told = [one.text for one in self.comparison.readings if one.grave and not one.is_finding]
        if self._in_sample:
            told.insert(0, "In-sample: strategies were chosen on cases that they are measured on; optimistic.")
        if len(self.comparison.models) == 1:
            told.insert(0, "There is one model: add a second model to compare.")
        if not has_place(self.points()[0], "cost"):
            told.append("No cost is known: quality alone is drawn. Give the models a `price` in bench.yaml.")
        return told

    @property
    def family(self) -> str:
        """How figures allow for several comparisons, in words."""
        count = len(self.comparison.candidates)
        if not self.adjusted:
            return f"not adjusted: each of {count} as if it were the only one"
        return f"adjusted for {count} candidates (Holm, max-T)" if count > 1 else "one candidate: nothing to adjust for"

    def points(self) -> tuple[pd.DataFrame, list[str]]:
        """The marks of the picture, and who is left out of it; see `tables.chart_points`."""
        key = (self.baseline, self.part)
        if key not in self._points:
            self._points[key] = chart_points(self.shown, self.pick)
        return self._points[key]

    def hull(self) -> pd.DataFrame:
        """What fixed mixes of two single models reach on these cases."""
        if self.part not in self._hulls:
            self._hulls[self.part] = chart_hull(self.shown)
        return self._hulls[self.part]

    @property
    def is_log(self) -> bool:
        """Whether the axis is logarithmic: as asked, unless something costs nothing."""
        return self.log and (self.along != "cost" or is_logarithmic(self.points()[0]))

    def figures(self) -> pd.DataFrame:
        """A row a strategy; see `summary.COLUMNS`."""
        return figures(self.shown, adjusted=self.adjusted, pick=self.pick)

    @property
    def beside(self) -> tuple[str, ...]:
        """The strategies whose cases are listed: the baseline first where it is one of them or only one is selected.

        Fewer than two where there is nothing to hold against one another.
        """
        # What could be deployed before the bars: of many only the first have room.
        chosen = tuple(sorted(self.selection, key=lambda name: self.comparison[name].kind != "strategy"))
        if len(chosen) == 1 and chosen[0] != self.baseline:
            return self.baseline, chosen[0]
        if self.baseline in chosen:
            chosen = (self.baseline, *(name for name in chosen if name != self.baseline))
        return chosen[:MOST_BESIDE]

    def cases(self) -> pd.DataFrame:
        """The cases on which the selected strategies differ, the most harmful first; see `dash.cases.differing`.

        With a column prompt: its beginning, empty where no text is kept.
        """
        names = self.beside
        if len(names) < 2:
            return pd.DataFrame()
        return differing(self.shown, names, self.which, self._previews())

    def _previews(self) -> dict[str, str]:
        if self._prompts is None:
            self._prompts = previews(self.comparison.half.test.cases)
        return self._prompts

    def told(self, cases: pd.DataFrame) -> str:
        """How the selected strategies differ, in a sentence."""
        names = self.beside
        if not self.selection:
            return "0 selected: drag over marks, click one, or tick rows of the table to see the cases."
        if len(names) < 2:
            return f"{shown_name(names[0])} is the baseline: select another to see where they differ."
        listed = {
            "different": "score differently",
            "answers": "are answered by other models, to the same score",
            "all": "are listed",
        }
        which = " and ".join(shown_name(name) for name in names[1:])
        count = f"{len(cases):,} of {self.shown.n_test:,} cases {listed[self.which]}"
        text = f"{count}: {which} against {shown_name(names[0])}."
        if len(self.selection) > MOST_BESIDE:
            text += f" Of {len(self.selection)} selected the first {MOST_BESIDE} are listed."
        if len(names) == 2 and self.which != "answers":
            one = self._against(names[0], self.part)[names[1]].versus_baseline
            if one is not None and one.n_discordant:
                own = one if self.adjusted else unadjusted(one)
                text += f" Together {points(own.delta, own.ci95_simultaneous or own.ci95)}: {verdict_text(own)}."
        return text

    def open(self, case_id: str) -> Opened:
        """Returns one case with what the selected strategies answered.

        Raises:
            OutcomesError: it is no held-out case of this part.
        """
        return open_case(self.shown, case_id, self.beside or self.selection or (self.baseline,))
