"""The commands that share outcomes without texts, and that take texts away."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from routebench.cli.arguments import add_store
from routebench.cli.output import DONE, Add, print_json
from routebench.errors import InputError


def _pack(arguments: argparse.Namespace) -> int:
    from routebench.packing import pack
    from routebench.store import Store

    store = Store.existing(arguments.store, lock_timeout_s=arguments.lock_timeout_s)
    packed = pack(store, arguments.suite, arguments.out, rules=arguments.rules)
    if arguments.json:
        print_json(packed.as_dict())
    else:
        print(packed)
    return DONE


def _purge(arguments: argparse.Namespace) -> int:
    from routebench.run import purge_all
    from routebench.store import Store

    if (arguments.store is None) == (arguments.traces is None):
        raise InputError("purge: say what to purge from: --store FILE, or --traces DIR")
    if arguments.traces is not None:
        return _purge_traces(arguments)
    if not (arguments.case or arguments.group or arguments.before):
        raise InputError("purge: say what to purge: --case ID, --group KEY, or --before DATE")
    store = Store.existing(arguments.store, lock_timeout_s=arguments.lock_timeout_s)
    purged = purge_all(store, cases=arguments.case, groups=arguments.group, before=arguments.before)
    if arguments.json:
        print_json(purged.as_dict())
    else:
        print(purged)
    return DONE


def _purge_traces(arguments: argparse.Namespace) -> int:
    from routebench.traces.purging import purge_texts

    if arguments.before is None or arguments.case or arguments.group:
        raise InputError("purge --traces: say until when: --before DATE; traces have neither cases nor groups")
    purged = purge_texts(arguments.traces, arguments.before)
    if arguments.json:
        print_json(purged.as_dict())
    else:
        print(purged)
    return DONE


def _day(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no date such as 2026-11-24") from None
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def add_keeping(add: Add) -> None:
    """Adds `pack` and `purge`."""
    made = add("pack", _pack, "outcomes without texts, small enough to commit; every --store takes one")
    add_store(made, required=True, suite=True)
    made.add_argument("--out", type=Path, required=True, help="the pack to write (.rbpack)")
    made.add_argument(
        "--rules",
        type=Path,
        action="append",
        default=[],
        metavar="rules.yaml",
        help="record what this rule set decides, so that `check` needs no prompt; may be given several times",
    )

    made = add("purge", _purge, "remove texts for good, keep scores, costs and times")
    add_store(made, required=False)
    made.add_argument("--traces", type=Path, metavar="DIR", help="texts of a gateway's traces, with --before")
    made.add_argument("--case", action="append", default=[], metavar="ID", help="this case; may be given several times")
    made.add_argument("--group", action="append", default=[], metavar="KEY", help="every case of this group")
    made.add_argument("--before", type=_day, metavar="DATE", help="everything that was asked before this day (UTC)")
