"""The checks of a rule set, held against the answers that a suite's models gave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.errors import OutcomesError
from routebench.evaluate.answers import Answers
from routebench.evaluate.choices import ACCEPTED, REFUSED, UNTOLD, Checks, Choices, IntArray
from routebench.evaluate.outcomes import ERROR, MISSING, Outcomes
from routebench.rules import Router
from routebench.types import Answer, Request

_NO_TEXT = "no text is kept"


class AnswerChecks:
    """What a router's own checks say of recorded answers; each answer is looked at once.

    An answer of which nothing was kept is never guessed at, and neither is one that only a part which no store keeps
    decides about, such as its confidence: then nobody knows.

    Args:
        router: whose checks.
        name: what errors call it.
    """

    def __init__(self, router: Router, name: str) -> None:
        self._checks = router.checks
        self._settings = router.ruleset.checks
        self._name = name
        self._answers: Answers | None = None
        self._seen: dict[tuple[str, str, tuple[str, ...], int], tuple[int, str]] = {}

    def look(self, choices: Choices, outcomes: Outcomes) -> Choices:
        """Returns choices for the cases of some outcomes with the verdicts on their answers.

        Only answers that a request would come to are looked at, so that texts of models that are never asked first,
        and of those that nothing comes after, are not even read.

        Raises:
            OutcomesError: answers are checked, and of none of them enough is kept.
        """
        if self._answers is not outcomes.answers:
            self._answers, self._seen = outcomes.answers, {}
        reasons: Counter[str] = Counter()
        told = tuple(
            None if checks is None else self._look(choices.models, chains, checks, outcomes, reasons)
            for (_, chains), checks in zip(choices.parts, choices.checks_by_part, strict=True)
        )
        if reasons and not reasons.pop("", 0):
            reason, count = reasons.most_common(1)[0]
            raise OutcomesError(
                f"{self._name}: checks answers, and of {count} cells of suite {outcomes.suite!r} {reason}; replay it "
                "on a store with texts" + ("" if reason == _NO_TEXT else ", or take that demand out of the check")
            )
        return replace(choices, checks=told if any(one is not None for one in told) else ())

    def _look(
        self, models: Sequence[str], chains: IntArray, checks: Checks, outcomes: Outcomes, reasons: Counter[str]
    ) -> Checks:
        """The verdicts for one part; counts what stays unknown under its reason, and what is known under none."""
        place = np.array([outcomes.models.index(name) for name in models], dtype=np.intp)
        k = outcomes.status.shape[2]
        verdicts: npt.NDArray[np.int8] = np.full((*chains.shape, k), UNTOLD, dtype=np.int8)
        verdicts[checks.by < 0] = ACCEPTED
        accepts = np.array([self._checks[name].otherwise == "accept" for name in checks.names], dtype=bool)
        self._read(models, chains, checks, accepts)
        for row in np.flatnonzero(checks.by >= 0):
            name = checks.names[checks.by[row]]
            chain = [int(at) for at in chains[row] if at >= 0]
            for sample in range(k):
                answered: tuple[str, ...] = ()
                for number, at in enumerate(chain):
                    status = outcomes.status[row, place[at], sample]
                    if status == ERROR:
                        continue
                    answered = (*answered, models[at])
                    if status == MISSING:
                        break
                    if number == len(chain) - 1 and accepts[checks.by[row]]:
                        # There is nothing to escalate to.
                        verdicts[row, number, sample] = ACCEPTED
                        break
                    verdict, reason = self._verdict(name, outcomes, int(row), answered, number, sample)
                    verdicts[row, number, sample] = verdict
                    reasons[reason] += 1
                    if verdict != REFUSED:
                        break
        return replace(checks, verdicts=verdicts, latest_stands=(checks.by >= 0) & accepts[checks.by])

    def _read(self, models: Sequence[str], chains: IntArray, checks: Checks, accepts: npt.NDArray[np.bool_]) -> None:
        """Reads the answers of all models that may be looked at, in one go."""
        if self._answers is None:
            return
        asked = chains[checks.by >= 0]
        follows = np.pad(asked[:, 1:], ((0, 0), (0, 1)), constant_values=-1) >= 0
        looked = (asked >= 0) & (follows | ~accepts[checks.by[checks.by >= 0]][:, None])
        self._answers.want(models[at] for at in np.unique(asked[looked]))

    def _verdict(
        self, name: str, outcomes: Outcomes, row: int, answered: tuple[str, ...], place: int, sample: int
    ) -> tuple[int, str]:
        """The verdict on the last of some models' answers, and why it is unknown; an empty text where it is known."""
        check, case_id = self._checks[name], str(outcomes.cases.ids[row])
        looked = answered if check.compares else answered[-1:]
        key = (f"{name} {place}" if check.compares else name, case_id, looked, sample)
        if key not in self._seen:
            answers = [None if self._answers is None else self._answers.get(case_id, one, sample) for one in looked]
            known = [one for one in answers if one is not None]
            self._seen[key] = (
                (UNTOLD, _NO_TEXT)
                if len(known) < len(answers)
                else self._judge(name, outcomes.requests[row], known[-1], known[:-1], place)
            )
        return self._seen[key]

    def _judge(
        self, name: str, request: Request, answer: Answer, earlier: Sequence[Answer], place: int
    ) -> tuple[int, str]:
        check = self._checks[name]
        if check.verdict(request, answer, earlier, place=place).passed:
            # What a judge would say of it is not among the recorded answers.
            return (
                (ACCEPTED, "") if check.judge is None else (UNTOLD, f"what {check.judge.model} judges is not recorded")
            )
        lacking = self._unrecorded(name, answer)
        # The most that could be hoped for of what was not recorded.
        if lacking and check.verdict(request, replace(answer, **lacking), earlier, place=place).passed:
            words = " and the ".join(lacking).replace("_", " ")
            return UNTOLD, f"the {words} is not recorded"
        return REFUSED, ""

    def _unrecorded(self, name: str, answer: Answer) -> dict[str, Any]:
        """What a check asks of an answer and nobody recorded, with values that would pass."""
        settings, lacking = self._settings[name], dict[str, Any]()
        if answer.finish_reason is None and settings.get("finish"):
            lacking["finish_reason"] = settings["finish"][0]
        if answer.confidence is None and settings.get("min_confidence") is not None:
            lacking["confidence"] = 1.0
        return lacking
