"""Asking judges about the answers of a suite, and reading what they said into grades."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from routebench.errors import MissingCellsError
from routebench.grade.grading import grade_row
from routebench.grade.judge import (
    JUDGE,
    PAIRWISE,
    Vote,
    is_itself,
    is_judged,
    judge_of,
    read_rubric,
    rubric_votes,
)
from routebench.grade.pairwise import pairwise_votes, read_pairwise
from routebench.providers import Keys, completion_from_json
from routebench.run import CacheMode, Plan, PlanLine, in_shard, plan_calls
from routebench.store import Store, add_grades, find_completions, ungraded
from routebench.suites import Suite
from routebench.types import TRANSIENT_KINDS, Case, Completion, Grade, Model, Request

_Question = tuple[Request, int]
_Reader = Callable[[str, Sequence[Vote], Sequence[Completion], Mapping[str, Any]], Grade]
_READERS: Mapping[str, _Reader] = {JUDGE: read_rubric, PAIRWISE: read_pairwise}


class Judging:
    """The answers of a suite that judges are to grade.

    Args:
        store: where answers and verdicts are; a verdict is a completion like any other.
        suite: the cases.
        judges: the models that may be asked.
        timeout_s: longest time of one attempt.
        models: whose answers are judged.
    """

    def __init__(
        self,
        store: Store,
        suite: Suite,
        judges: tuple[Model, ...],
        *,
        timeout_s: float,
        models: Sequence[Model] = (),
    ) -> None:
        self._store = store
        self._suite = suite
        self._judges = judges
        self._timeout_s = timeout_s
        self._models = models
        self._cases = {case.id: case for case in suite if is_judged(case)}

    def plan(self, cache: CacheMode, shard: tuple[int, int] = (1, 1)) -> Plan | None:
        """Returns the calls to judges that are still to be sent; None when there are none.

        Raises:
            MissingCellsError: `cache` is `only`, and verdicts are missing.
        """
        if not self._cases:
            return None
        pending = self._pending()
        known = find_completions(self._store, [key for _, _, key in pending])
        wanted: dict[str, list[_Question]] = defaultdict(list)
        for case, vote, key in pending:
            if _is_open(known.get(key)) and in_shard(key, shard):
                wanted[judge_of(case, self._judges).name].append((vote.request, vote.sample))
        if not wanted:
            return None
        if cache == "only":
            raise MissingCellsError(
                f"suite {self._suite.name!r}: {sum(map(len, wanted.values()))} verdicts of judges are missing, and "
                "cache mode `only` sends nothing; run it once with cache mode `use`"
            )
        parts = [
            plan_calls(judge, "judge", wanted[judge.name], timeout_s=self._timeout_s)
            for judge in self._judges
            if judge.name in wanted
        ]
        calls = tuple(call for _, part in parts for call in part)
        key = hashlib.sha256("".join(call.key for call in calls).encode()).hexdigest()[:16]
        return Plan(self._suite, self._judges, 1, {}, calls, tuple(line for line, _ in parts), key)

    def expected_lines(self, plan: Plan) -> list[PlanLine]:
        """Returns what judges would be asked after a plan: about answers that are there, and those that it will buy.

        An answer that is not there yet counts as empty at the least and as long as its cap at the most.
        """
        if not self._cases:
            return []
        there: dict[str, list[_Question]] = defaultdict(list)
        for case, vote, _ in self._pending():
            there[judge_of(case, self._judges).name].append((vote.request, vote.sample))
        coming: dict[str, list[_Question]] = defaultdict(list)
        open_keys = {call.key for call in plan.calls}
        for cell in plan.cells():
            if cell.case_id in self._cases and cell.request_key in open_keys:
                case = self._cases[cell.case_id]
                coming[judge_of(case, self._judges).name] += [
                    (vote.request, vote.sample) for vote in votes_on(case, "")
                ]
        longest = _mean_output(plan)
        return [
            self._line(judge, there[judge.name], coming[judge.name], longest)
            for judge in self._judges
            if there[judge.name] or coming[judge.name]
        ]

    def grade(self, at: datetime) -> int:
        """Reads the verdicts that are known into grades; returns how many those were."""
        if not self._cases:
            return 0
        graded = 0
        for answers in ungraded(self._store, self._suite.name):
            asked = [
                (answer, case, votes_on(case, answer.text))
                for answer in answers
                if answer.text is not None and (case := self._cases.get(answer.case_id)) is not None
            ]
            keys = [[self._key(case, vote) for vote in votes] for _, case, votes in asked]
            known = find_completions(self._store, [key for each in keys for key in each])
            rows = []
            for (answer, case, votes), mine in zip(asked, keys, strict=True):
                found = [known[key] for key in mine if not _is_open(known.get(key))]
                # A judge of which nothing came back has not graded: what hindered it may be mended.
                if len(found) < len(votes) or (votes and all(row["status"] != "ok" for row in found)):
                    continue
                completions = [completion_from_json(_stored(row)) for row in found]
                graded_as = _READERS[case.grader.name](case.grader.key, votes, completions, case.grader.options)
                rows.append(
                    grade_row(
                        self._suite, case, answer, graded_as, at, cost_usd=_cost_usd(found), rater=self._rater(case)
                    )
                )
            add_grades(self._store, rows)
            graded += len(rows)
        return graded

    def _pending(self) -> list[tuple[Case, Vote, str]]:
        pending = []
        for answers in ungraded(self._store, self._suite.name):
            for answer in answers:
                case = self._cases.get(answer.case_id)
                if case is not None and answer.text is not None:
                    pending += [(case, vote, self._key(case, vote)) for vote in votes_on(case, answer.text)]
        return pending

    def _key(self, case: Case, vote: Vote) -> str:
        return Keys(judge_of(case, self._judges)).of(vote.request, vote.sample)

    def _rater(self, case: Case) -> str:
        judge = judge_of(case, self._judges)
        return judge.name if is_itself(judge, self._models) is None else f"{judge.name} (one of the judged)"

    def _line(
        self, judge: Model, there: Sequence[_Question], coming: Sequence[_Question], longest: int | None
    ) -> PlanLine:
        line, _ = plan_calls(judge, "judge", [*there, *coming], timeout_s=self._timeout_s)
        n_calls = len(there) + len(coming)
        high = line.cost_high_usd
        if coming:
            rate = None if judge.price is None else judge.price.input_usd_per_mtok
            known = high is not None and longest is not None and rate is not None
            high = high + len(coming) * longest * rate / 1e6 if known else None  # type: ignore[operator]
        return replace(line, cells=n_calls, calls=n_calls, cost_high_usd=high)


def votes_on(case: Case, answer: str) -> tuple[Vote, ...]:
    """Returns what the judge of a case is asked about an answer."""
    return rubric_votes(case, answer) if case.grader.name == JUDGE else pairwise_votes(case, answer)


def _is_open(row: dict[str, Any] | None) -> bool:
    """Whether a question is still to be asked."""
    return row is None or row["error_kind"] in TRANSIENT_KINDS


def _cost_usd(rows: Sequence[dict[str, Any]]) -> float | None:
    costs = [row["cost_usd"] for row in rows]
    return None if None in costs else float(sum(costs))


def _mean_output(plan: Plan) -> int | None:
    """The mean cap of the plan's answers, in tokens."""
    lines = [line for line in plan.lines if line.calls]
    outputs = [line.output_tokens for line in lines if line.output_tokens is not None]
    if not lines or len(outputs) != len(lines):
        return None
    return -(-sum(outputs) // sum(line.calls for line in lines))


def _stored(row: dict[str, Any]) -> dict[str, Any]:
    """The fields of a stored completion that a verdict is read from."""
    return {name: row[name] for name in ("status", "text", "error_kind", "error") if row[name] is not None}
