"""The grading panel: one item at a time without a name, saved at once; results when they no longer lead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from routebench.dash.grading.pad import Pad
from routebench.dash.grading.pictures import middle_rows, picture_rows, standing_chart
from routebench.dash.grading.result import Graded
from routebench.dash.grading.shown import Shown
from routebench.dash.grading.state import Sitting
from routebench.dash.grading.tables import footer_of, head_of, reading_of, tables_of, waiting_of
from routebench.dash.parts import ChartView, Column, Grid, Numbers, Panel
from routebench.errors import ConfigError, RoutebenchError

if TYPE_CHECKING:
    import pandas as pd

_PAIR_COLUMNS = (Column("left", "left"), Column("right", "right"))
_ANSWER_COLUMNS = (Column("left", "answer of"),)
_NUMBER_COLUMNS = (
    Column("value", "you", "right", lambda value: f"{value:.2f}", "1: the best score, or the left one is better"),
    Column("judge", "the suite's grader", "right", lambda value: f"{value:.2f}", "on the same scale"),
    Column("gap", "apart", "right", lambda value: f"{value:.2f}", "how far the two are apart"),
    Column("note", "note"),
)


class GraderPanel(Panel):
    """Blind grading, by keys, by buttons or from Python: `panel.grade("left")`.

    Args:
        sit: opens the person's sitting; what hinders it is shown in the panel.
        told: the call that makes this panel, for "Copy code".

    Attributes:
        sitting: the person before the batch; None where there is nothing to grade.
        selection: the place that is shown, from 1 on, as text; empty at the end.
        result: what the verdicts amount to, None while that would lead the next ones.
    """

    def __init__(self, sit: Callable[[], Sitting], *, told: str = "") -> None:
        self._told = told
        self._asked_to_reveal = False
        self.sitting: Sitting | None = None
        refused: RoutebenchError | None = None
        try:
            self.sitting = sit()
        except RoutebenchError as error:
            refused = error
        scale = None if self.sitting is None else self.sitting.batch.scale
        self._pad = Pad(scale, said=self._pressed, undone=lambda: self._tried(self.undo))
        self._look = widgets.ToggleButton(
            description="Results", tooltip="shown from 20 verdicts on; earlier they would lead the next ones"
        )
        self._reveal = widgets.Button(
            description="Reveal and close", tooltip="tells whose answers they were and ends this batch"
        )
        self._look.observe(lambda _change: self._draw_results(), "value")
        self._reveal.on_click(lambda _button: self._pressed_reveal())
        self._figures = widgets.HTML()
        self._figures.add_class("rb-results")
        self._picture: ChartView | None = None
        self._cases = Grid(
            (Column("case_id", "case"), *(_ANSWER_COLUMNS if scale else _PAIR_COLUMNS), *_NUMBER_COLUMNS),
            name="graded",
            label="What was graded, and what the judge said",
            search=True,
        )
        self._results = widgets.VBox([])
        super().__init__(
            title="Grade",
            children=[self._pad, Panel.row(self._look, self._reveal), self._results],
            footer="" if self.sitting is None else footer_of(self.sitting),
            css=Path(__file__).parent / "grading.css",
        )
        if refused is not None:
            self.refuse(refused)
            self._pad.layout.display = "none"
            self._look.disabled = self._reveal.disabled = True
        else:
            self._draw()

    @property
    def selection(self) -> str:
        """The place that is shown, from 1 on, as text; empty at the end."""
        place = None if self.sitting is None else self.sitting.place
        return "" if place is None else str(place + 1)

    @property
    def result(self) -> Graded | None:
        """What the verdicts amount to; None while that would lead the next ones."""
        return None if self.sitting is None else self.sitting.result

    @property
    def shown(self) -> Shown | None:
        """What stands before the person, whole; None at the end."""
        return None if self.sitting is None else self.sitting.shown

    @property
    def items(self) -> pd.DataFrame:
        """What was graded, one row an item, with the judge's word beside it; only after the reveal."""
        return self._sitting().items()

    def grade(self, word: str | int, note: str | None = None, *, taken_s: float | None = None) -> None:
        """Says a word of what is shown, as its key does, and goes on.

        Args:
            word: `left`, `left_slightly`, `tie`, `right_slightly`, `right`, `both_bad` or `skip`; a step of the scale
                for scores.
            note: a remark, kept with it.
            taken_s: seconds that it took; measured here when left out.

        Raises:
            RoutebenchError: it is no such word, there is nothing to grade, or it could not be saved.
        """
        sitting = self._sitting()
        place = sitting.say(str(word), note=note, taken_s=taken_s)
        done = sitting.progress
        self._tell(f"saved, {done.done} of {done.total}" if word != "skip" else f"skipped, {place + 1} of {done.total}")

    def undo(self) -> None:
        """Takes the latest verdict back and shows its item again.

        Raises:
            RoutebenchError: there is none, or the batch is closed.
        """
        place = self._sitting().undo()
        self._tell(f"taken back: {place + 1} is open again")

    def reveal(self) -> Graded:
        """Tells whose answers they were, which ends the batch; returns the result.

        Raises:
            RoutebenchError: too few were graded.
        """
        sitting = self._sitting()
        sitting.reveal()
        self._look.value = True
        self._tell("names are told; the batch is closed")
        result = sitting.result
        assert result is not None
        return result

    def numbers(self) -> Sequence[Numbers]:
        """The figures as tables; before they are open, how far the person is."""
        if self.sitting is None:
            return ()
        result = self.sitting.result
        if result is None:
            done = self.sitting.progress
            row = (str(done.done), str(done.total), str(done.ties), str(done.skipped))
            return (Numbers("Progress", ("done", "of", "ties", "skipped"), [row]),)
        return tables_of(result)

    def pictures(self) -> Sequence[ChartView]:
        """The picture of the results, where they are open."""
        return () if self._picture is None else (self._picture,)

    def code(self) -> str:
        """The call that opens this batch again."""
        return self._told

    def _sitting(self) -> Sitting:
        if self.sitting is None:
            raise ConfigError("there is nothing to grade here; the panel says why")
        return self.sitting

    def _pressed(self, word: str, note: str, taken_s: float | None) -> None:
        self._tried(lambda: self.grade(word, note, taken_s=taken_s))

    def _tried(self, does: Callable[[], Any]) -> None:
        """Does what was pressed; what hinders it is said, and the same item stays."""
        try:
            does()
        except RoutebenchError as error:
            if self.sitting is not None and self.sitting.revealed_at is not None:
                self._draw()
            self.refuse(error)

    def _pressed_reveal(self) -> None:
        if self.sitting is not None and self.sitting.unlocked and not self._asked_to_reveal:
            self._asked_to_reveal = True
            self._reveal.description = "Reveal, and end the batch"
            self.say("Revealing ends this batch: nothing can be added or taken back. Press again to reveal.")
            return
        self._tried(self.reveal)

    def _tell(self, text: str) -> None:
        self.clear()
        self._asked_to_reveal = False
        self._draw()
        self.say(text)

    def _draw(self) -> None:
        sitting = self._sitting()
        closed = sitting.revealed_at is not None
        there = not closed and sitting.place is not None
        shown, blank = None, ""
        if closed:
            blank = "This batch is closed. Its results stand below; another seed draws another batch."
        elif not there:
            blank = f"All {len(sitting.batch.items)} are graded. Undo takes the last one back; Reveal tells the names."
        else:
            try:
                shown = sitting.shown
            except RoutebenchError as error:
                blank = "This one cannot be shown."
                self.refuse(error)
        self._pad.show(shown, head_of(sitting), blank=blank, says=there, undoes=not closed)
        self._look.disabled = not sitting.unlocked
        self._reveal.disabled = closed or not sitting.unlocked
        self._reveal.description = "Revealed" if closed else "Reveal and close"
        if closed and not self._look.value:
            self._look.value = True
        self._draw_results()
        self.settled()

    def _draw_results(self) -> None:
        sitting = self._sitting()
        # What nobody looks at is not worked out: the next item should come at once.
        result = sitting.result if self._look.value else None
        if result is None:
            self.reading = waiting_of(sitting)
            self._picture = None
            self._results.children = ()
            return
        self.reading = reading_of(result)
        self._draw_picture(result)
        self._figures.value = "".join(table.html() for table in tables_of(result))
        children: list[widgets.Widget] = [self._figures]
        if self._picture is not None:
            children.insert(0, self._picture)
        if sitting.revealed_at is not None:
            frame = sitting.items()
            frame["gap"] = (frame["judge"] - frame["value"].where(frame["grade"].isna(), frame["grade"])).abs()
            frame = frame.sort_values("gap", ascending=False, kind="stable", na_position="last")
            # That somebody wrote no note is known.
            self._cases.show(frame.assign(note=frame["note"].fillna("")).set_index("place"))
            children.append(self._cases)
        if tuple(children) != tuple(self._results.children):
            self._results.children = children

    def _draw_picture(self, result: Graded) -> None:
        rows = picture_rows(result)
        if rows.empty:
            self._picture = None
            return
        data = {"sides": rows} | ({"middle": middle_rows()} if result.kind == "pairwise" else {})
        if self._picture is None:
            chart = standing_chart(result, len(rows))
            self._picture = ChartView(chart, name="grades", description=self.reading, data=data)
        elif len(rows) == len(self._picture.frames["sides"]):
            # A verdict moves points; a chart is built anew only when there are more of them.
            self._picture.feed(self.reading, **data)
        else:
            self._picture.show(standing_chart(result, len(rows)), self.reading, data)
