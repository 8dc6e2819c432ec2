"""The command that writes a rule set for another gateway, says what is lost, and tries it on the real product."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from routebench.cli.arguments import add_store, count, share
from routebench.cli.output import DONE, SHORT, Add, open_console, print_json
from routebench.cli.reading import read_comparable
from routebench.errors import InputError

_NAMES = ("litellm", "portkey", "vllm-sr", "openrouter")


def _export(arguments: argparse.Namespace) -> int:
    from routebench.export import find_target
    from routebench.export.naming import read_names
    from routebench.export.openings import openings_of
    from routebench.export.prompts import known_prompts
    from routebench.export.writing import check_place, heading, write
    from routebench.rules import RuleSet

    ruleset = RuleSet.load(arguments.rules)
    target = find_target(arguments.to)
    outcomes = None
    if arguments.store is not None:
        if arguments.suite is None:
            raise InputError(f"--store {arguments.store}: name the suite in it with --suite")
        _, outcomes = read_comparable(arguments)
    requests = known_prompts(ruleset, outcomes)
    write_form = target.asking if arguments.classifier else target.export
    if write_form is None:
        raise InputError(f"--classifier: {target.title} is written in one form alone; leave it out")
    exported = write_form(
        ruleset,
        requests=requests if outcomes is not None else (),
        openings=() if outcomes is None else openings_of(ruleset, outcomes),
        names=read_names(arguments.map or (), ruleset.models),
        allow_lost_guards=arguments.allow_lost_guards,
    )
    unknown = target.check(exported.files)
    if unknown:
        raise InputError("\n".join(unknown))
    check_place(exported, arguments.out)
    effect, unknown_for = _effect(ruleset, exported, outcomes, requests)
    verified = None
    if arguments.verify:
        tried = requests[: arguments.most]
        if not tried:
            raise InputError("there are no prompts to try; name a store and a suite, or rules with golden prompts")
        verified = target.verify(exported, ruleset, tried, product=arguments.product)
    lines = heading(ruleset, exported, effect, verified)
    written = write(exported, arguments.out, lines)
    agrees = verified is None or (verified.agreement or 0.0) >= arguments.min_agreement
    if arguments.json:
        print_json(
            {
                "target": target.name,
                "files": [str(path) for path in written],
                "lost": [{"part": one.part, "how": one.how, "why": one.why, "mend": one.mend} for one in exported.lost],
                "effect": None if effect is None else effect.as_dict(),
                "verified": None if verified is None else verified.as_dict(),
                "min_agreement": arguments.min_agreement,
                "ok": agrees,
            }
        )
    else:
        _print(target, exported, effect or unknown_for, verified, written, agrees=agrees, least=arguments.min_agreement)
    return DONE if agrees else SHORT


def _effect(ruleset: Any, exported: Any, outcomes: Any, requests: Any) -> tuple[Any, str]:
    """What the loss does, or None and why that is unknown."""
    from routebench.export.effect import effect_of, effect_on
    from routebench.export.tiers import consulted

    model = consulted(ruleset)
    if model is not None:
        return None, f"{model} has a say in the decisions, and is not asked here"
    if outcomes is not None:
        return effect_of(ruleset, exported, outcomes), ""
    if requests:
        return effect_on(ruleset, exported, requests), ""
    return None, "name a store (--store) and a suite to have it replayed"


def _print(target: Any, exported: Any, effect: Any, verified: Any, written: Any, *, agrees: bool, least: float) -> None:
    from rich.text import Text

    from routebench.dash.terminal import table
    from routebench.export.capability import capability_line

    console = open_console()
    console.print(Text(f"{target.title}: {capability_line(target.capabilities)}"))
    for one in exported.lost:
        console.print(Text(f"- {one}", style="bold" if one.part.startswith("guard") else ""))
    if not exported.lost:
        console.print("nothing is lost")
    for sentence in (f"effect: n/a; {effect}",) if isinstance(effect, str) else effect.sentences:
        console.print(Text(sentence))
    if verified is not None:
        rows = [(one.expected, one.actual, str(one.n)) for one in verified.matrix]
        how = "run" if verified.how == "run" else "validated, not run; actual is a replay of what it documents"
        console.print(table(("expected", "actual", "n"), rows, title=f"{verified.by} ({how})"))
        for sentence in verified.remarks:
            console.print(Text(f"- {sentence}"))
        told = "n/a" if verified.agreement is None else f"{verified.agreement:.1%}"
        word = "" if agrees else f"; FAILED: --min-agreement is {least:.1%}"
        console.print(Text(f"agreement {told} of {verified.n} prompts{word}", style="" if agrees else "bold red"))
    for one in exported.needs:
        console.print(Text(f"needs: {one}"))
    for path in written:
        console.print(Text(f"written: {path}" + ("" if verified is not None else " (not verified)")))


def add_exporting(add: Add) -> None:
    """The command `export`."""
    made = add("export", _export, "a rule set as the configuration of another gateway, with what is lost")
    made.add_argument("rules", type=Path, metavar="rules.yaml")
    made.add_argument("--to", required=True, choices=_NAMES, help="the gateway")
    made.add_argument("--out", required=True, type=Path, help="the file to write; others of the target go beside it")
    add_store(made, required=False, suite=True)
    made.add_argument("--map", action="append", metavar="NAME=ID", help="what the target calls a model; repeatable")
    made.add_argument("--classifier", action="store_true", help="litellm: have it ask routebench, which loses least")
    made.add_argument("--allow-lost-guards", action="store_true", help="export though a guard cannot be held there")
    made.add_argument("--verify", action="store_true", help="run the product on loopback, and compare")
    made.add_argument("--min-agreement", type=share, default=0.99, help="with --verify: exit 1 below (0.99)")
    made.add_argument("--most", type=count, default=1000, help="with --verify: try so many prompts at most (1000)")
    made.add_argument("--product", type=Path, help="with --verify: the product's program")
