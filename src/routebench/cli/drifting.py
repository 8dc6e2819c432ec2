"""The command that holds what a gateway served against the evidence of its rules."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from routebench.cli.arguments import add_store, count, positive, share
from routebench.cli.output import BAD, DONE, SHORT, Add, open_console, print_json
from routebench.errors import InputError

_LABELS_PRINTED = 10


def _drift(arguments: argparse.Namespace) -> int:
    from routebench.drifting import Bounds, Served, drift, read_scores, write_candidates
    from routebench.rules import RuleSet

    ruleset = RuleSet.load(arguments.rules)
    outcomes = _outcomes(arguments)
    if outcomes is None and arguments.shadow is not None:
        raise InputError("--shadow replays these rules on a suite; give --store and --suite")
    found = drift(
        Served.of(_read(arguments, texts=arguments.out is not None)),
        ruleset,
        outcomes,
        bounds=Bounds(
            mix_shift=arguments.max_mix_shift,
            cost_rise=arguments.max_cost_rise,
            latency_rise=arguments.max_latency_rise,
            failed_rise=arguments.max_failed_rise,
            input_shift=arguments.max_input_shift,
        ),
        any_policy=arguments.any_policy,
        n_label=arguments.n_label,
        scores=None if arguments.scores is None else read_scores(arguments.scores),
    )
    written = None if arguments.out is None else write_candidates(arguments.out, found.served, found.label_next)
    effect = None if arguments.shadow is None else _effect(arguments, ruleset, outcomes)
    if arguments.json:
        document = {**found.as_dict(), "shadow_replayed": None if effect is None else effect.as_dict()}
        print_json({**document, "out": None if written is None else {"file": str(arguments.out), "rows": written}})
    else:
        _print(found, effect)
        if written is not None:
            print(_said(arguments.out, written, len(found.label_next)))
    return BAD if not found.measured else SHORT if found.drifted else DONE


def report_traces(arguments: argparse.Namespace) -> int:
    """Writes a page of traces; beside the evidence where the arguments name rules."""
    from routebench.drifting import Served, drift
    from routebench.report.traces import write_traces
    from routebench.rules import RuleSet

    served = Served.of(_read(arguments, texts=False))
    found = None
    if arguments.rules is not None:
        outcomes = _outcomes(arguments)
        found = drift(served, RuleSet.load(arguments.rules), outcomes)
    write_traces(arguments.out, served, found)
    if arguments.json:
        print_json({"out": str(arguments.out), "n": served.n, "drifted": None if found is None else found.drifted})
    else:
        if found is not None:
            print(found.reading)
        print(f"written: {arguments.out}")
    return DONE


def _read(arguments: argparse.Namespace, *, texts: bool) -> Any:
    from routebench.drifting.served import COLUMNS, TEXTS
    from routebench.traces import read_traces

    since = arguments.since
    if arguments.window is not None:
        since = (arguments.until or datetime.now(UTC)) - arguments.window
    columns = [*COLUMNS, *TEXTS] if texts else list(COLUMNS)
    return read_traces(arguments.traces, since=since, until=arguments.until, columns=columns)


def _outcomes(arguments: argparse.Namespace) -> Any:
    from routebench.matrix import open_outcomes
    from routebench.store import open_store
    from routebench.suites.prompts import read_prompt_file

    if arguments.store is None:
        if arguments.suite is not None:
            raise InputError(f"--suite {arguments.suite}: say which store holds it with --store")
        return None
    if arguments.suite is None:
        raise InputError("--store holds outcomes of suites; say which with --suite")
    store = open_store(arguments.store, lock_timeout_s=arguments.lock_timeout_s)
    prompts = None if arguments.prompts is None else read_prompt_file(arguments.prompts)
    return open_outcomes(store, arguments.suite, prompts=prompts)


def _effect(arguments: argparse.Namespace, ruleset: Any, outcomes: Any) -> Any:
    from routebench.diffing import diff_rules
    from routebench.rules import RuleSet

    return diff_rules(ruleset, RuleSet.load(arguments.shadow), outcomes)


def _print(found: Any, effect: Any) -> None:
    from rich.text import Text

    from routebench.dash.terminal import table
    from routebench.report.traces import drift_tables

    console = open_console()
    for one in found.readings:
        console.print(Text(f"{'!' if one.grave else '-'} {one.text}", style="bold" if one.grave else ""))
    if effect is not None:
        console.print(Text("\nThe rules in the shadow, replayed on the suite", style="italic"))
        for one in effect.readings:
            if one.topic != "file":
                console.print(Text(f"{'!' if one.grave else '-'} {one.text}", style="bold" if one.grave else ""))
    for title, shown in drift_tables(found, n_label=_LABELS_PRINTED):
        console.print()
        console.print(table(shown.columns, shown.rows, title=title))


def _said(out: Path, written: int, n: int) -> str:
    if written == n:
        return f"written: {out}, {n} requests to label next"
    return (
        f"written: {out}, {written} of {n} requests to label next; of the others the gateway kept no text "
        "(`traces: {texts: redacted}` in gateway.yaml does)"
    )


def moment(text: str) -> datetime:
    """Reads a time: ISO 8601, in UTC where it names no zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no time; write 2026-11-28 or 2026-11-28T15:00+01:00") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def length(text: str) -> timedelta:
    """Reads a length of time, such as 24h, 7d or 30min."""
    import pandas as pd

    try:
        found = pd.Timedelta(text)
    except ValueError:
        found = pd.Timedelta(0)
    # `NaT` is above nothing.
    if not found > pd.Timedelta(0):
        raise argparse.ArgumentTypeError(f"{text} is no length of time; write 24h, 7d or 30min")
    return found.to_pytimedelta()


def add_window(made: argparse.ArgumentParser) -> None:
    """Adds the arguments that say which traces count."""
    begins = made.add_mutually_exclusive_group()
    begins.add_argument("--since", type=moment, metavar="TIME", help="from this time on, in UTC unless it names a zone")
    begins.add_argument("--window", type=length, metavar="24h", help="the last so much time, instead of --since")
    made.add_argument("--until", type=moment, metavar="TIME", help="before this time")


def add_drifting(add: Add) -> None:
    """Adds `drift`."""
    made = add("drift", _drift, "what a gateway served, beside the evidence of its rules")
    made.add_argument("rules", type=Path, metavar="rules.yaml")
    made.add_argument("--traces", type=Path, required=True, metavar="DIR", help="the folder that the gateway writes")
    add_store(made, required=False, suite=True)
    add_window(made)
    made.add_argument("--any-policy", action="store_true", help="also count what other rule sets decided")
    made.add_argument("--shadow", type=Path, metavar="NEW.yaml", help="replay these rules on the suite, beside yours")
    made.add_argument("--scores", type=Path, metavar="F", help="trace_id, score, chance?: what the shadow is worth")
    made.add_argument("--out", type=Path, metavar="label-next.jsonl", help="write what to label next as suite rows")
    made.add_argument("--n-label", type=count, default=100, metavar="N", help="name at most N of them (default 100)")
    made.add_argument("--max-mix-shift", type=share, default=0.05, metavar="X", help="share of requests (default 0.05)")
    made.add_argument("--max-cost-rise", type=positive, default=0.10, metavar="X", help="share of cost (default 0.10)")
    made.add_argument("--max-latency-rise", type=positive, default=0.25, metavar="X", help="of p95 (default 0.25)")
    made.add_argument("--max-failed-rise", type=share, default=0.01, metavar="X", help="of failed (default 0.01)")
    made.add_argument("--max-input-shift", type=share, default=0.10, metavar="X", help="distance (default 0.10)")
