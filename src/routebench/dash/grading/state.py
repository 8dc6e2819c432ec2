"""One person's way through a blind batch, without a widget."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from statistics import median

import numpy as np
import pandas as pd

from routebench.bench import utc_now
from routebench.dash.grading.result import Graded, amount_to, items_of
from routebench.dash.grading.shown import Progress, Shown, why_nothing
from routebench.errors import ConfigError, InputError, OutcomesError, StoreError, nearest
from routebench.grade.blind import SKIP, Against, Kind, draw_batch, grade_of, words_of
from routebench.grade.judge import JUDGING, as_text, prompt_of
from routebench.store import (
    BlindAnswer,
    BlindBatch,
    BlindItem,
    BlindVerdict,
    Store,
    add_reveal,
    add_verdict,
    read_blind_verdicts,
    read_reveals,
    read_scores_of,
    read_shown_texts,
)
from routebench.suites import Suite

UNLOCKED_AT = 20
"""Results are shown from so many verdicts on, or at the end of a smaller batch: earlier ones would lead the next."""
_RATER = re.compile(r"[^\s#,][^#,\x00-\x1f]{0,63}")
_RECENT = 15
"""Verdicts from which the time that is left is guessed."""


class Sitting:
    """A person before a blind batch: what is shown now, what was said, and what it amounts to.

    A kernel that starts anew finds the same batch, and goes on behind the last word that was saved.

    Args:
        store: where answers are and verdicts go.
        suite: whose answers.
        models: names of those that may be shown, in their order.
        rater: who grades.
        kind: `score` single answers, or `pairwise`.
        n: how many are shown, silent repeats among them.
        seed: of the draw; with the same one everybody is shown the same.
        scale: of scores, `1-5` or `0-9`.
        against: what an answer is paired with, `model` or `reference`; see `draw_batch`.
        now: the wall clock.
        clock: seconds, for what a verdict takes.

    Attributes:
        batch: what is shown.
        revealed_at: when the names were told, which ends the batch; None before.

    Raises:
        ConfigError: a setting cannot be.
        StoreError: nothing can be written, as into a pack.
        OutcomesError: there is nothing to show, and why.
    """

    def __init__(
        self,
        store: Store,
        suite: Suite,
        models: Sequence[str],
        *,
        rater: str,
        kind: Kind = "pairwise",
        n: int = 60,
        seed: int = 0,
        scale: str = "1-5",
        against: Against | None = None,
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not _RATER.fullmatch(rater):
            raise ConfigError(f"grader {rater!r} cannot be a name; give up to 64 characters without `#` or commas")
        if store.pack is not None:
            raise StoreError(
                f"{store.path.name} is a pack, which is only read and holds no texts; grade in the store that it was "
                "packed from"
            )
        self._store = store
        self._cases = {case.id: case for case in suite}
        self._now = now
        self._clock = clock
        self.rater = rater
        self.batch = draw_batch(store, suite, models, kind=kind, n=n, seed=seed, scale=scale, against=against, at=now())
        if not self.batch.items:
            raise OutcomesError(why_nothing(self.batch.counts, suite.name, kind, models))
        self._texts = read_shown_texts(store, self.batch.batch_id)
        self._codes = _codes(self.batch)
        self._scored: pd.DataFrame | None = None
        self._verdicts: list[BlindVerdict] = []
        self.revealed_at: datetime | None = None
        self._since = clock()
        self.refresh()

    def refresh(self) -> None:
        """Reads what stands in the store, such as another person's verdicts."""
        self._verdicts = read_blind_verdicts(self._store, self.batch.batch_id)
        self.revealed_at = read_reveals(self._store, self.batch.batch_id).get(self.rater)
        self._scored = None

    @property
    def words(self) -> tuple[str, ...]:
        """What may be said."""
        return words_of(self.batch)

    @property
    def mine(self) -> Mapping[int, BlindVerdict]:
        """Place -> what this person said there."""
        return {one.place: one for one in self._verdicts if one.rater == self.rater}

    @property
    def place(self) -> int | None:
        """The place that is to be graded now; None where all are."""
        said = self.mine
        return next((item.place for item in self.batch.items if item.place not in said), None)

    @property
    def shown(self) -> Shown | None:
        """What stands before the person; None at the end."""
        return None if self.place is None else self._shown(self.batch.items[self.place])

    def _shown(self, item: BlindItem) -> Shown:
        case = self._cases.get(item.case_id)
        if case is None:
            raise OutcomesError(
                f"place {item.place + 1} of the batch is of a case that the suite has no more; skip it, or draw with "
                "another seed"
            )
        sides = [None if side is None else self._text(side, item) for side in (item.left, item.right)]
        with_reference = case.target is not None and self.batch.opponent != "reference"
        left = sides[0]
        assert left is not None
        return Shown(item.place, prompt_of(case), left, sides[1], as_text(case.target) if with_reference else None)

    def _text(self, answer: BlindAnswer, item: BlindItem) -> str:
        if answer.model is None:
            return as_text(self._cases[item.case_id].target)
        text = self._texts.get((answer.request_key, answer.run_id))
        if text is None:
            raise OutcomesError(f"the answer at place {item.place + 1} was purged after the batch was drawn; skip it")
        return text

    @property
    def progress(self) -> Progress:
        """How far this person is."""
        said = list(self.mine.values())
        words = [one.verdict for one in said]
        times = [one.taken_s for one in said[-_RECENT:] if one.taken_s is not None]
        open_ = len(self.batch.items) - len(said)
        return Progress(
            total=len(self.batch.items),
            done=len(said),
            ties=words.count("tie") + words.count("both_bad"),
            skipped=words.count(SKIP),
            left_s=open_ * median(times) if times else None,
        )

    def say(self, word: str, *, note: str | None = None, taken_s: float | None = None) -> int:
        """Saves what the person says of what is shown, and goes on; returns the place.

        Args:
            word: one of `words`.
            note: a remark, kept with it.
            taken_s: seconds that it took; measured here when left out.

        Raises:
            InputError: it is no such word, or there is nothing to say it of.
            StoreError: it could not be saved; the same is still shown.
        """
        if self.revealed_at is not None:
            raise InputError("the batch is closed: its names were revealed; draw another with another seed")
        if word not in self.words:
            raise InputError(f"{word!r} is no verdict here{nearest(word, self.words)}; say {', '.join(self.words)}")
        place = self.place
        if place is None:
            raise InputError(f"all {len(self.batch.items)} are graded; undo the last one, or reveal the names")
        spent = self._clock() - self._since if taken_s is None else taken_s
        self._add(place, word, (note or "").strip() or None, round(spent, 3))
        return place

    def undo(self) -> int:
        """Takes back the latest verdict of this person, and shows its item again; returns the place.

        Raises:
            InputError: there is none, or the batch is closed.
            StoreError: that could not be saved.
        """
        if self.revealed_at is not None:
            raise InputError("the batch is closed: its names were revealed, and nothing can be taken back")
        if not self.mine:
            raise InputError("nothing to take back yet; the first verdict can be undone once it is given")
        place = max(self.mine.values(), key=lambda one: one.number).place
        self._add(place, "", None, None)
        return place

    def _add(self, place: int, word: str, note: str | None, taken_s: float | None) -> None:
        item = self.batch.items[place]
        said = BlindVerdict(self.rater, place, 0, word, note, taken_s, self._now())
        case = self._cases.get(item.case_id)
        graded = None if case is None else grade_of(self.batch, item, word, case)
        answer, score = graded or (None, None)
        try:
            number = add_verdict(self._store, self.batch, said, graded=answer, score=score)
        except InputError:
            # Closed in another window, so it is closed in this one too.
            self.refresh()
            raise
        kept = [one for one in self._verdicts if (one.rater, one.place) != (self.rater, place)]
        if word:
            kept.append(BlindVerdict(self.rater, place, number, word, note, taken_s, said.given_at))
        self._verdicts = kept
        self._since = self._clock()

    def reveal(self) -> datetime:
        """Tells the names, which ends the batch for this person; returns when.

        Raises:
            InputError: too few were graded.
        """
        if self.revealed_at is None:
            if not self.unlocked:
                raise InputError(f"{self.progress.done} are graded; names are told from {self.needed} on")
            at = self._now()
            add_reveal(self._store, self.batch.batch_id, self.rater, at)
            self.revealed_at = at
        return self.revealed_at

    @property
    def needed(self) -> int:
        """From how many verdicts on results may be seen."""
        return min(UNLOCKED_AT, len(self.batch.items))

    @property
    def unlocked(self) -> bool:
        """Whether results may be seen."""
        return len(self.mine) >= self.needed

    @property
    def names(self) -> Mapping[str, str]:
        """Model -> the name that may be shown: a number before the reveal."""
        return {name: name for name in self.batch.models} if self.revealed_at is not None else self._codes

    @property
    def result(self) -> Graded | None:
        """What the verdicts amount to; None while that would lead the next ones."""
        if not self.unlocked:
            return None
        return amount_to(
            self.batch,
            self._verdicts,
            self.rater,
            self._cases,
            self._scores(),
            self.names,
            judged_by=self._judged_by(),
            revealed_at=self.revealed_at,
        )

    def items(self) -> pd.DataFrame:
        """Returns what was graded, one row an item, as `items_of` has it; only after the reveal.

        Raises:
            InputError: before it.
        """
        if self.revealed_at is None:
            raise InputError("whose answers they were is told by reveal(), which ends the batch")
        return items_of(self.batch, self.mine, self._cases, self._scores(), self.names)

    def _scores(self) -> pd.DataFrame:
        if self._scored is None:
            self._scored = read_scores_of(self._store, self.batch)
        return self._scored

    def _judged_by(self) -> str | None:
        if self._scores()["score"].isna().all():
            return None
        shown = {item.case_id for item in self.batch.items}
        graders = sorted({case.grader.name for name, case in self._cases.items() if name in shown})
        judges = sorted(set(self._scores()["rater"].dropna())) if set(graders) & JUDGING else []
        # A judge may be one of the judged, and its name tells that.
        if judges:
            return f"judge {', '.join(judges)}" if self.revealed_at is not None else "the judge"
        return f"grader {graders[0]}" if len(graders) == 1 else "the suite's graders"


def _codes(batch: BlindBatch) -> dict[str, str]:
    # Of every batch others: who was told the names of one must not know those of the next.
    order = np.random.default_rng(int(batch.batch_id, 16)).permutation(len(batch.models))
    return {name: f"model {place + 1}" for name, place in zip(batch.models, order.tolist(), strict=True)}
