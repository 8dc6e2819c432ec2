"""The command that holds a changed rule set against the one that it is to take the place of."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from routebench.cli.arguments import add_store
from routebench.cli.output import DONE, SHORT, Add, open_console, print_json
from routebench.cli.reading import read_comparable


def _diff(arguments: argparse.Namespace) -> int:
    from routebench.diffing import diff_rules
    from routebench.rules import RuleSet

    old, new = RuleSet.load(arguments.old), RuleSet.load(arguments.new)
    _, outcomes = read_comparable(arguments)
    diff = diff_rules(old, new, outcomes)
    if arguments.markdown is not None:
        from routebench.report.diff import write_diff

        write_diff(arguments.markdown, diff, allowed=arguments.allow_guard_change)
    ok = arguments.allow_guard_change or not diff.loosened
    if arguments.json:
        print_json({**diff.as_dict(), "ok": ok})
    else:
        _print(diff, allowed=arguments.allow_guard_change)
        if arguments.markdown is not None:
            print(f"written: {arguments.markdown}")
    return DONE if ok else SHORT


def _print(diff: Any, *, allowed: bool) -> None:
    from rich.text import Text

    from routebench.dash.terminal import table
    from routebench.report.diff import diff_tables

    console = open_console()
    for one in diff.readings:
        style = "" if not one.grave else "bold red" if one.topic == "guards" else "bold"
        if one.topic != "file":
            console.print(Text(f"{'!' if one.grave else '-'} {one.text}", style=style))
    for shown in diff_tables(diff):
        console.print()
        if not shown.worded:
            console.print(table(shown.columns, shown.rows, title=shown.title))
            continue
        console.print(Text(shown.title, style="italic"))
        for row in shown.rows:
            console.print(Text(f"- {': '.join(row)}"))
    console.print("\n[italic]In the file[/italic]")
    for one in diff.readings:
        if one.topic == "file":
            console.print(Text(f"- {one.text}"))
    if diff.loosened and not allowed:
        names = ", ".join(one.guard for one in diff.loosened)
        console.print(
            Text(f"\nFAILED: loosened guards ({names}); --allow-guard-change says that they may be", "bold red")
        )


def add_diffing(add: Add) -> None:
    """The command `diff`."""
    made = add("diff", _diff, "what a changed rule set moves, gains, loses, and which guards it loosens")
    made.add_argument("old", type=Path, metavar="OLD.yaml")
    made.add_argument("new", type=Path, metavar="NEW.yaml")
    add_store(made, required=True, suite=True)
    made.add_argument("--markdown", type=Path, help="also write the text of a pull request")
    made.add_argument("--allow-guard-change", action="store_true", help="loosened guards are meant: exit 0")
