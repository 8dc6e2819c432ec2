"""Graders by name, and the checks of their options before any answer is paid for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import re2

from routebench.errors import SuiteError, nearest
from routebench.grade.code import code, tests_of
from routebench.grade.judge import JUDGE, PAIRWISE
from routebench.grade.numeric import numeric, parse_target
from routebench.grade.pairwise import NO_WORSE, VOTES
from routebench.grade.structured import json_schema
from routebench.grade.text import choice, contains, exact, pattern, regex
from routebench.grade.units import UNITS, find_unit
from routebench.store import PEOPLE
from routebench.suites import Suite
from routebench.types import Case, Grade

Grader = Callable[[Case, str], Grade]
# Not from the importers: they need pandas.
_IMPORTED = "imported"


def _unscored(name: str, why: str) -> Grader:
    def grader(case: Case, answer: str) -> Grade:  # noqa: ARG001 - every grader has this form
        return Grade(name, None, why)

    return grader


GRADERS: Mapping[str, Grader] = {
    "exact": exact,
    "contains": contains,
    "regex": regex,
    "numeric": numeric,
    "choice": choice,
    "json_schema": json_schema,
    "code": code,
    # A judge is a model, and `Bench.judge` asks it.
    JUDGE: _unscored(JUDGE, "a judge has not been asked"),
    PAIRWISE: _unscored(PAIRWISE, "a judge has not been asked"),
    PEOPLE: _unscored(PEOPLE, "nobody has graded it; `routebench import grades` brings in what people said"),
    _IMPORTED: _unscored(_IMPORTED, "no score has come; `routebench import grades` brings scores in"),
    "none": _unscored("none", "no grader"),
}
"""Every grader by its name; those of people, tables and judges leave what has not come yet unscored."""
_JUDGING_OPTIONS = frozenset({"model", "rubric", "votes", "self"})
_OPTIONS: Mapping[str, frozenset[str]] = {
    "numeric": frozenset({"tolerance", "absolute", "unit"}),
    "choice": frozenset({"choices"}),
    "json_schema": frozenset({"schema", "fields", "lenient"}),
    "code": frozenset({"tests", "entry", "timeout_s", "memory_mb"}),
    JUDGE: _JUDGING_OPTIONS,
    PAIRWISE: _JUDGING_OPTIONS | {"against", "verdict", "incumbent"},
}


def grade(case: Case, answer: str) -> Grade:
    """Grades one answer with the case's grader."""
    return GRADERS[case.grader.name](case, answer)


def check_graders(suite: Suite) -> None:
    """Checks every case's grader and its options.

    Raises:
        SuiteError: options that no grader can work with; the cases are named.
    """
    problems = [f"case {case.id!r}: {problem}" for case in suite if (problem := _problem(case)) is not None]
    if problems:
        raise SuiteError("\n".join(problems[:10]))


def _problem(case: Case) -> str | None:
    name, options = case.grader.name, case.grader.options
    if name not in GRADERS:
        return f"unknown grader {name!r}{nearest(name, GRADERS)}"
    known = _OPTIONS.get(name, frozenset())
    for option in options:
        if option not in known:
            return f"grader {name!r} has no option {option!r}{nearest(option, known)}"
    check = _CHECKS.get(name)
    return check(case) if check is not None else None


def _choice_problem(case: Case) -> str | None:
    choices = case.grader.options.get("choices")
    if isinstance(choices, list) and case.target in choices:
        return None
    return "grader 'choice' needs a list `choices` that holds the target"


def _regex_problem(case: Case) -> str | None:
    try:
        pattern(str(case.target))
    except re2.error as error:
        return f"the target is not an RE2 pattern: {error}"
    return None


def _numeric_problem(case: Case) -> str | None:
    try:
        parse_target(case.target)
    except ValueError:
        return f"grader 'numeric' needs a number as target, got {case.target!r}"
    unit = case.grader.options.get("unit")
    if unit is not None and find_unit(str(unit)) is None:
        return f"grader 'numeric' knows no unit {unit!r}{nearest(str(unit), UNITS)}; known: {', '.join(UNITS)}"
    return _amount_problem(case, "tolerance", "absolute")


def _amount_problem(case: Case, *names: str) -> str | None:
    for name in names:
        value = case.grader.options.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
            return f"option {name!r} of grader {case.grader.name!r} is {value!r}; give a number from 0 on"
    return None


def _schema_problem(case: Case) -> str | None:
    options = case.grader.options
    if options.get("fields", "all") not in ("all", "share"):
        return f"option 'fields' is {options['fields']!r}; it is all or share"
    if not isinstance(options.get("lenient", False), bool):
        return f"option 'lenient' is {options['lenient']!r}; it is true or false"
    schema = options.get("schema")
    if schema is None:
        return None
    import jsonschema

    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        return f"the schema is not a JSON Schema: {error.message}"
    return None


def _code_problem(case: Case) -> str | None:
    tests = case.grader.options.get("tests", case.target)
    if not isinstance(tests, str) and not (isinstance(tests, list) and all(isinstance(one, str) for one in tests)):
        return "grader 'code' needs tests: Python code as the target, or as option `tests`"
    entry = case.grader.options.get("entry")
    if entry is not None and not str(entry).isidentifier():
        return f"option 'entry' is {entry!r}; it names a function of the answer"
    try:
        compile(tests_of(case), "tests", "exec")
    except (SyntaxError, ValueError) as error:
        return f"the tests are not Python: {error}"
    return _amount_problem(case, "timeout_s", "memory_mb")


def _judging_problem(case: Case) -> str | None:
    options = case.grader.options
    votes = options.get("votes", VOTES)
    if isinstance(votes, bool) or not isinstance(votes, int) or votes < 1:
        return f"option 'votes' is {votes!r}; give a whole number from 1 on"
    if options.get("self", "allow") != "allow":
        return f"option 'self' is {options['self']!r}; write `allow`, or leave it out"
    if case.grader.name == PAIRWISE:
        if votes % 2:
            return f"option 'votes' is {votes}; half of the votes are flipped, so give an even number"
        if options.get("against", "target") != "target":
            return f"option 'against' is {options['against']!r}; an answer is compared with the `target`"
        if options.get("verdict", NO_WORSE) != NO_WORSE:
            return f"option 'verdict' is {options['verdict']!r}; write `{NO_WORSE}`, or leave it out for 1, 0.5 and 0"
    return None


_CHECKS: Mapping[str, Callable[[Case], str | None]] = {
    "choice": _choice_problem,
    "regex": _regex_problem,
    "numeric": _numeric_problem,
    "json_schema": _schema_problem,
    "code": _code_problem,
    JUDGE: _judging_problem,
    PAIRWISE: _judging_problem,
}
