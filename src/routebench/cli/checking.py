"""The gate of a continuous integration, and the jobs that run it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from routebench.cli.arguments import add_gates, add_store, count
from routebench.cli.output import DONE, SHORT, Add, print_json
from routebench.errors import RoutebenchError

_WORDS = {True: "ok  ", False: "FAIL", None: "-   "}


def _check(arguments: argparse.Namespace) -> int:
    from routebench.checking import append_summary, append_summary_error, write_junit, write_junit_error

    try:
        checked = _checked(arguments)
    except (RoutebenchError, ModuleNotFoundError) as error:
        # A job shows these files, and a check that could not be made must not look like one that was never asked for.
        if arguments.junit is not None:
            write_junit_error(arguments.junit, str(error))
        if arguments.summary is not None:
            append_summary_error(arguments.summary, arguments.rules, str(error))
        raise
    if arguments.junit is not None:
        write_junit(arguments.junit, checked)
    if arguments.summary is not None:
        append_summary(arguments.summary, checked)
    if arguments.json:
        print_json(checked.as_dict())
    else:
        _print(checked)
    return DONE if checked.ok else SHORT


def _checked(arguments: argparse.Namespace) -> Any:
    from datetime import UTC, datetime

    from routebench.checking import Bounds, check_rules

    return check_rules(
        arguments.rules,
        at=datetime.now(UTC),
        store=arguments.store,
        suite=arguments.suite,
        prompts=arguments.prompts,
        bounds=Bounds(
            min_quality=arguments.min_quality,
            max_cost_usd_per_1k=arguments.max_cost_usd_per_1k,
            max_latency_p95_s=arguments.max_latency_p95_s,
        ),
        max_age_days=arguments.max_age,
        final=arguments.final,
        lock_timeout_s=arguments.lock_timeout_s,
    )


def _print(checked: Any) -> None:
    for failure in checked.golden.failed:
        print(f"golden: {failure}")
    for gate in checked.gates:
        print(f"{_WORDS[gate.ok]} {gate.reading}")
    golden = checked.golden
    verdict = "ok" if checked.ok else "FAILED"
    print(f"{checked.file}: {verdict}; {golden.n - len(golden.failed)} of {golden.n} golden decisions hold")


def _init(arguments: argparse.Namespace) -> int:
    from routebench.checking import lay_out_ci

    written = lay_out_ci(
        arguments.out,
        rules=arguments.rules,
        store=arguments.store,
        suite=arguments.suite,
        notebooks=arguments.notebooks,
        force=arguments.force,
    )
    if arguments.json:
        print_json({"files": [str(path) for path in written]})
        return DONE
    for path in written:
        print(f"written: {path}")
    print(
        f"commit one of them with {arguments.rules} and {arguments.store}, which `routebench pack --store … --suite … "
        f"--out {arguments.store} --rules {arguments.rules}` makes"
    )
    return DONE


def add_checking(add: Add) -> None:
    """Adds `check` and `init`."""
    made = add("check", _check, "does a rule set still decide, measure and cost as its file says")
    made.add_argument("rules", type=Path, metavar="rules.yaml")
    add_store(made, required=False, suite=True)
    add_gates(made)
    made.add_argument("--max-age", type=count, metavar="DAYS", help="the oldest evidence that will do")
    made.add_argument("--final", action="store_true", help="also look at the sealed cases; the look is counted")
    made.add_argument("--junit", type=Path, metavar="F", help="also write JUnit XML")
    made.add_argument("--summary", type=Path, metavar="F", help="also append Markdown to this file")

    made = add("init", _init, "jobs for a continuous integration: init ci")
    made.add_argument("what", choices=("ci",), help="workflows for GitHub and GitLab")
    made.add_argument("--out", type=Path, default=Path(), help="the root of the repository (default: here)")
    made.add_argument("--rules", default="rules.yaml", help="from there; so are the other paths")
    made.add_argument("--store", default="results/outcomes.rbpack", help="the pack to check against")
    made.add_argument("--suite", help="where the store holds several")
    made.add_argument("--notebooks", default="notebooks", help="the folder of your own notebooks")
    made.add_argument("--force", action="store_true", help="write over files that are there")
