"""Graders by name, and the checks of their options before any answer is paid for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import re2

from routebench.errors import SuiteError, nearest
from routebench.grade.judge import JUDGE
from routebench.grade.numeric import numeric, parse_target
from routebench.grade.structured import json_schema
from routebench.grade.text import choice, contains, exact, pattern, regex
from routebench.grade.units import UNITS, find_unit
from routebench.suites import Suite
from routebench.types import Case, Grade

Grader = Callable[[Case, str], Grade]


def none(case: Case, answer: str) -> Grade:  # noqa: ARG001 - every grader has this form
    """Leaves the answer unscored."""
    return Grade("none", None, "no grader")


def judge(case: Case, answer: str) -> Grade:  # noqa: ARG001 - every grader has this form
    """Leaves the answer unscored: a judge is a model, and `Bench.judge` asks it."""
    return Grade(JUDGE, None, "a judge has not been asked")


GRADERS: Mapping[str, Grader] = {
    "exact": exact,
    "contains": contains,
    "regex": regex,
    "numeric": numeric,
    "choice": choice,
    "json_schema": json_schema,
    JUDGE: judge,
    "none": none,
}
_OPTIONS: Mapping[str, frozenset[str]] = {
    "numeric": frozenset({"tolerance", "absolute", "unit"}),
    "choice": frozenset({"choices"}),
    "json_schema": frozenset({"schema"}),
    JUDGE: frozenset({"model", "rubric"}),
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
    schema = case.grader.options.get("schema")
    if schema is None:
        return None
    import jsonschema

    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        return f"the schema is not a JSON Schema: {error.message}"
    return None


_CHECKS: Mapping[str, Callable[[Case], str | None]] = {
    "choice": _choice_problem,
    "regex": _regex_problem,
    "numeric": _numeric_problem,
    "json_schema": _schema_problem,
}
