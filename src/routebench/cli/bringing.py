"""The commands that bring in what others have: outcomes, grades, logs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from routebench.cli.arguments import add_store, count, share
from routebench.cli.output import DONE, Add, open_console, print_json
from routebench.errors import InputError, nearest
from routebench.redact import Privacy, TextMode, load_redactor

_TEXTS = ("full", "redacted", "none")


def _import(arguments: argparse.Namespace) -> int:
    from routebench.suites.formats import FORMATS

    name = arguments.format
    known = ("outcomes", "grades", *FORMATS)
    if name not in known:
        raise InputError(f"import: unknown format {name!r}{nearest(name, known)}; known: {', '.join(known)}")
    if name != "outcomes" and (arguments.outcomes or arguments.prompts):
        raise InputError(f"import {name}: --outcomes and --prompts are for `import outcomes`; give plain files")
    if name == "outcomes":
        summary = _import_outcomes(arguments)
    elif name == "grades":
        summary = _import_grades(arguments)
    else:
        summary = _import_answers(arguments)
    if arguments.json:
        print_json(summary.as_dict())
    else:
        print(summary)
    return DONE


def _import_outcomes(arguments: argparse.Namespace) -> Any:
    from routebench.bench import utc_now
    from routebench.importing import import_outcomes
    from routebench.store import Store

    if arguments.outcomes is None or arguments.prompts is None or arguments.files:
        raise InputError("import outcomes: needs --outcomes FILE and --prompts FILE (Parquet, CSV or JSONL)")
    store = Store(arguments.store, lock_timeout_s=arguments.lock_timeout_s)
    return import_outcomes(store, arguments.name, outcomes=arguments.outcomes, prompts=arguments.prompts, at=utc_now())


def _import_grades(arguments: argparse.Namespace) -> Any:
    from routebench.bench import utc_now
    from routebench.importing import import_grades
    from routebench.store import Store

    if len(arguments.files) != 1:
        raise InputError("import grades: needs one FILE (Parquet, CSV or JSONL) with prompt_id, model, score")
    store = Store.existing(arguments.store, lock_timeout_s=arguments.lock_timeout_s)
    return import_grades(store, arguments.name, arguments.files[0], at=utc_now())


def _import_answers(arguments: argparse.Namespace) -> Any:
    from routebench.bench import utc_now
    from routebench.importing import import_answers
    from routebench.store import Store
    from routebench.suites.formats import find_format

    form = find_format(arguments.format, allow_pickle=arguments.allow_pickle)
    if not arguments.files:
        raise InputError(f"import {form.name}: needs at least one FILE")
    privacy = _privacy(arguments, default="redacted" if form.is_log else "full")
    store = Store(arguments.store, lock_timeout_s=arguments.lock_timeout_s)
    return import_answers(store, arguments.name, form, arguments.files, at=utc_now(), privacy=privacy)


def _suite(arguments: argparse.Namespace) -> int:
    from routebench.suites.formats import find_format
    from routebench.suites.logs import draw_suite

    _check_out(arguments.out, arguments.files)
    console = open_console(stderr=True)
    drawn = draw_suite(
        find_format(arguments.format),
        arguments.files,
        arguments.n,
        privacy=_privacy(arguments, default="redacted"),
        seed=arguments.seed,
        seal=arguments.seal,
        tell=lambda sentence: console.print(sentence, highlight=False, markup=False),
    )
    drawn.write(arguments.out)
    if arguments.json:
        print_json({"out": str(arguments.out), **drawn.as_dict()})
    else:
        print(drawn)
        print(f"written: {arguments.out}")
    return DONE


def _check_out(out: Path, files: Sequence[Path]) -> None:
    """Before anything is read: a log may take minutes."""
    if out.suffix.lower() not in (".jsonl", ".ndjson"):
        raise InputError(f"--out {out}: the suite is written as JSON Lines; give a path that ends in .jsonl")
    if out.resolve() in [file.resolve() for file in files]:
        raise InputError(f"--out {out}: is the log itself, which would be overwritten; choose another path")


def _privacy(arguments: argparse.Namespace, *, default: TextMode) -> Privacy:
    text: TextMode = arguments.text or default
    if arguments.redact is not None and text != "redacted":
        raise InputError(f"--redact {arguments.redact}: is never called with --text {text}; write --text redacted")
    return Privacy(text, load_redactor(arguments.redact))


def add_bringing(add: Add) -> None:
    """Adds `import` and `suite from-logs`."""
    from routebench.suites.formats import FORMATS, LOGS

    made = add("import", _import, "bring outcomes, logs or grades from elsewhere into a store")
    made.add_argument("format", metavar="FORMAT", help=" ".join(("outcomes", "grades", *FORMATS)))
    made.add_argument("files", nargs="*", type=Path, metavar="FILE", help="files of that format")
    made.add_argument("--outcomes", type=Path, help="prompt_id, model, score, cost_usd?, latency_s?, …")
    made.add_argument("--prompts", type=Path, help="prompt_id, prompt, category?, reference?, group?, weight?")
    made.add_argument("--name", required=True, help="the suite's name")
    made.add_argument("--allow-pickle", action="store_true", help="also read a pickle, which can run any code")
    _add_texts(made, "what is kept of texts (logs: redacted, others: full)", _TEXTS)
    add_store(made, required=True)

    made = add("suite", _suite, "logs become a suite: suite from-logs FILE --n 500 --out suite.jsonl")
    made.add_argument("what", choices=("from-logs",), help="draw a suite from logs")
    made.add_argument("files", nargs="+", type=Path, metavar="FILE", help="the log; read twice, whatever its size")
    made.add_argument("--format", choices=LOGS, default="litellm-log", help="of the log (default litellm-log)")
    made.add_argument("--n", type=count, default=500, help="cases; conversations are kept whole (default 500)")
    made.add_argument("--out", type=Path, required=True, help="the suite to write (.jsonl)")
    made.add_argument("--seed", type=int, default=42, help="of the draws")
    made.add_argument("--seal", type=share, help="share that only `check --final` may read (default 0.2 from 500 on)")
    # A suite without texts could not be run.
    _add_texts(made, "what is kept of texts (default redacted)", _TEXTS[:2])


def _add_texts(made: argparse.ArgumentParser, text: str, modes: tuple[str, ...]) -> None:
    made.add_argument("--text", choices=modes, help=text)
    made.add_argument("--redact", metavar="FUNCTION", help="yours: package.module:function or file.py:function")
