"""The command that asks a running router."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from routebench.cli.arguments import add_store, count, positive
from routebench.cli.output import DONE, SHORT, Add, open_console, print_json
from routebench.errors import ConfigError, InputError


def _decisions(arguments: argparse.Namespace) -> int:
    from routebench.auditing import record_decisions
    from routebench.bench import utc_now
    from routebench.store import open_store
    from routebench.suites.prompts import read_prompt_file

    console = open_console(stderr=True)
    audited = record_decisions(
        open_store(arguments.store, lock_timeout_s=arguments.lock_timeout_s),
        arguments.suite,
        arguments.url,
        arguments.out,
        at=utc_now,
        model=arguments.model,
        key=_key(arguments.key_env),
        names=_names(arguments.map),
        allow_paid=arguments.allow_paid,
        concurrency=arguments.concurrency,
        timeout_s=arguments.timeout_s,
        prompts=None if arguments.prompts is None else read_prompt_file(arguments.prompts),
        tell=lambda sentence: console.print(sentence, highlight=False, markup=False),
    )
    if arguments.json:
        print_json(audited.as_dict())
    else:
        print(audited)
    return SHORT if audited.recorded.n_undecided else DONE


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    value = os.environ.get(variable)
    if not value:
        raise ConfigError(f"environment variable {variable} is not set; set it in the shell: export {variable}=…")
    return value


def _names(pairs: Sequence[str]) -> dict[str, str]:
    names = {}
    for pair in pairs:
        served, equals, ours = pair.partition("=")
        if not (served and equals and ours):
            raise InputError(f"--map {pair!r}: write it as the gateway's name, =, and the suite's: gpt-4o-mini=small")
        names[served] = ours
    return names


def add_asking(add: Add) -> None:
    """Adds `decisions`."""
    made = add("decisions", _decisions, "ask a running gateway what it would do with every case")
    made.add_argument("url", metavar="URL", help="the gateway, such as http://127.0.0.1:4000")
    add_store(made, required=True, suite=True)
    made.add_argument("--out", type=Path, required=True, help="the file of decisions (.jsonl); goes on where it ended")
    made.add_argument("--model", default="auto", help="what the gateway calls its router (default auto)")
    made.add_argument("--key-env", metavar="NAME", help="environment variable that holds the gateway's key")
    made.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="SERVED=OURS",
        help="the gateway's name of a model and the suite's",
    )
    made.add_argument("--allow-paid", action="store_true", help="also where the gateway can only tell by answering")
    made.add_argument("--concurrency", type=count, default=8, help="questions at once (default 8)")
    made.add_argument("--timeout-s", type=positive, default=60.0, help="longest time of one question (default 60)")
