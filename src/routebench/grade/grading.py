"""Giving every answer its grade: by a function where one suffices, by a judge where one has been asked."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from routebench.errors import MissingCellsError
from routebench.grade.graders import grade
from routebench.grade.judge import is_judged, judge_of, judge_request, read_verdict
from routebench.providers import Keys, completion_from_json
from routebench.run import CacheMode, Plan, PlanLine, in_shard, plan_calls
from routebench.store import Store, UngradedAnswer, add_grades, find_completions, ungraded
from routebench.suites import Suite
from routebench.types import TRANSIENT_KINDS, Case, Grade, Model, Request


def grade_answers(store: Store, suite: Suite, at: datetime) -> int:
    """Grades every answer that its case's grader has not seen and that needs no judge; returns how many that were."""
    judged = {case.id for case in suite if is_judged(case)}
    graded = 0
    for answers in ungraded(store, suite.name):
        mine = [answer for answer in answers if answer.case_id not in judged]
        cases = [suite[answer.case_id] for answer in mine]
        add_grades(
            store,
            [
                _row(suite, case, answer, grade(case, answer.text), 0.0, at)
                for case, answer in zip(cases, mine, strict=True)
            ],
        )
        graded += len(mine)
    return graded


class Judging:
    """The answers of a suite that judges are to grade.

    Args:
        store: where answers and verdicts are; a verdict is a completion like any other.
        suite: the cases.
        judges: the models that may be asked.
        timeout_s: longest time of one attempt.
    """

    def __init__(self, store: Store, suite: Suite, judges: tuple[Model, ...], *, timeout_s: float) -> None:
        self._store = store
        self._suite = suite
        self._judges = judges
        self._timeout_s = timeout_s
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
        wanted: dict[str, list[Request]] = defaultdict(list)
        for case, request, key in pending:
            is_open = key not in known or known[key]["error_kind"] in TRANSIENT_KINDS
            if is_open and in_shard(key, shard):
                wanted[judge_of(case, self._judges).name].append(request)
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
        there: dict[str, list[Request]] = defaultdict(list)
        for case, request, _ in self._pending():
            there[judge_of(case, self._judges).name].append(request)
        coming: dict[str, list[Case]] = defaultdict(list)
        open_keys = {call.key for call in plan.calls}
        for cell in plan.cells():
            if cell.case_id in self._cases and cell.request_key in open_keys:
                case = self._cases[cell.case_id]
                coming[judge_of(case, self._judges).name].append(case)
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
            mine = [(answer, self._cases[answer.case_id]) for answer in answers if answer.case_id in self._cases]
            keys = [self._key(case, judge_request(case, answer.text)) for answer, case in mine]
            known = find_completions(self._store, keys)
            rows = []
            for (answer, case), key in zip(mine, keys, strict=True):
                found = known.get(key)
                if found is not None and found["status"] == "ok":
                    verdict = read_verdict(case.grader.key, completion_from_json(_stored(found)))
                    rows.append(_row(self._suite, case, answer, verdict, found["cost_usd"], at))
            add_grades(self._store, rows)
            graded += len(rows)
        return graded

    def _pending(self) -> list[tuple[Case, Request, str]]:
        pending = []
        for answers in ungraded(self._store, self._suite.name):
            for answer in answers:
                case = self._cases.get(answer.case_id)
                if case is not None:
                    request = judge_request(case, answer.text)
                    pending.append((case, request, self._key(case, request)))
        return pending

    def _key(self, case: Case, request: Request) -> str:
        return Keys(judge_of(case, self._judges)).of(request, 0)

    def _line(self, judge: Model, there: Sequence[Request], coming: Sequence[Case], longest: int | None) -> PlanLine:
        requests = [*there, *(judge_request(case, "") for case in coming)]
        line, _ = plan_calls(judge, "judge", requests, timeout_s=self._timeout_s)
        n_calls = len(there) + len(coming)
        high = line.cost_high_usd
        if coming:
            rate = None if judge.price is None else judge.price.input_usd_per_mtok
            known = high is not None and longest is not None and rate is not None
            high = high + len(coming) * longest * rate / 1e6 if known else None  # type: ignore[operator]
        return replace(line, cells=n_calls, calls=n_calls, cost_high_usd=high)


def _mean_output(plan: Plan) -> int | None:
    """The mean cap of the plan's answers, in tokens."""
    lines = [line for line in plan.lines if line.calls]
    outputs = [line.output_tokens for line in lines if line.output_tokens is not None]
    if not lines or len(outputs) != len(lines):
        return None
    return -(-sum(outputs) // sum(line.calls for line in lines))


def _row(
    suite: Suite, case: Case, answer: UngradedAnswer, graded: Grade, cost_usd: float | None, at: datetime
) -> dict[str, Any]:
    return {
        "suite": suite.name,
        "case_id": case.id,
        "request_key": answer.request_key,
        "run_id": answer.run_id,
        "grader": case.grader.key,
        "score": graded.score,
        "detail": graded.detail,
        "grader_cost_usd": cost_usd,
        "rater": None,
        "graded_at": at,
    }


def _stored(row: dict[str, Any]) -> dict[str, Any]:
    """The fields of a stored completion that a verdict is read from."""
    return {name: row[name] for name in ("status", "text", "error_kind", "error") if row[name] is not None}
