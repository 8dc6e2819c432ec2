"""The commands that buy outcomes, bring them in, or price them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from routebench.cli.arguments import add_store, count, positive
from routebench.cli.output import DONE, SHORT, Add, open_console, print_json
from routebench.errors import InputError, nearest


def _open_bench(arguments: argparse.Namespace) -> Any:
    from routebench.bench import Bench

    return Bench(arguments.bench, store=arguments.store, lock_timeout_s=arguments.lock_timeout_s)


def _make_plan(arguments: argparse.Namespace, bench: Any) -> Any:
    from routebench.run import read_shard

    shard = read_shard(arguments.shard)
    return bench.plan(cache=arguments.cache, retry_errors=arguments.retry_errors, shard=shard)


def _plan(arguments: argparse.Namespace) -> int:
    from routebench.dash.terminal import plan_table

    plan = _make_plan(arguments, _open_bench(arguments))
    if arguments.json:
        print_json(plan.as_dict())
    else:
        open_console().print(str(plan))
        open_console().print(plan_table(plan))
    return DONE


def _run(arguments: argparse.Namespace) -> int:
    from routebench.dash.terminal import summary, watch

    bench = _open_bench(arguments)
    console = open_console(stderr=arguments.json)
    plan = _make_plan(arguments, bench)
    progress = watch(bench.run(plan, budget_usd=arguments.budget_usd, max_calls=arguments.max_calls), console)
    graded = bench.grade()
    judged = None if progress.left else _judge(arguments, bench, console, spent=progress)
    if judged is not None:
        graded += bench.grade()
    left = progress.left + (judged.left if judged else 0)
    if arguments.json:
        document = {**progress.as_dict(), "graded": graded, "store": str(bench.store.path)}
        print_json({**document, "judging": None if judged is None else judged.as_dict()})
    else:
        for line in (*summary(progress), *(summary(judged) if judged else ())):
            print(line)
        unscored = bench.unscored()
        if unscored:
            print(f"{unscored} answers have a grade without a score; the `detail` of table grades says why")
    return DONE if left == 0 else SHORT


def _judge(arguments: argparse.Namespace, bench: Any, console: Any, *, spent: Any = None) -> Any:
    """Asks the judges with what the caps have left; the Progress of that, None when there is nothing to ask."""
    from routebench.dash.terminal import watch
    from routebench.run import read_shard

    cap = arguments.budget_usd if arguments.budget_usd is not None else bench.config.budget_usd
    calls = getattr(arguments, "max_calls", None)
    if spent is not None:
        cap = None if cap is None else max(0.0, cap - spent.spent_usd)
        calls = None if calls is None else max(0, calls - spent.n_sent)
    shard = read_shard(getattr(arguments, "shard", "1/1"))
    run = bench.judge(budget_usd=cap, max_calls=calls, cache=getattr(arguments, "cache", None), shard=shard)
    return None if run is None else watch(run, console)


def _grade(arguments: argparse.Namespace) -> int:
    from routebench.dash.terminal import summary

    bench = _open_bench(arguments)
    graded = bench.grade()
    judged = _judge(arguments, bench, open_console(stderr=arguments.json))
    if judged is not None:
        graded += bench.grade()
    if arguments.json:
        print_json({"graded": graded, "judging": None if judged is None else judged.as_dict()})
    else:
        print(f"{graded} answers graded")
        for line in summary(judged) if judged else ():
            print(line)
    return SHORT if judged is not None and judged.left else DONE


def _models(arguments: argparse.Namespace) -> int:
    from routebench.bench import utc_now
    from routebench.dash.prices import BOOK_COLUMNS, book_rows
    from routebench.dash.terminal import table
    from routebench.providers import priced_models

    entries = priced_models(utc_now(), provider=arguments.provider)
    if arguments.json:
        print_json([entry.as_dict() for entry in entries])
    else:
        open_console().print(table(BOOK_COLUMNS, book_rows(entries)))
    return DONE


def _reprice(arguments: argparse.Namespace) -> int:
    from routebench.bench import utc_now
    from routebench.config import load_prices
    from routebench.repricing import reprice
    from routebench.store import Store

    prices, day = load_prices(arguments.prices, utc_now().date())
    store = Store.existing(arguments.store, lock_timeout_s=arguments.lock_timeout_s)
    changed = reprice(store, prices, day)
    if arguments.json:
        print_json([one.as_dict() for one in changed])
    else:
        for one in changed:
            print(one)
    return DONE


def _import(arguments: argparse.Namespace) -> int:
    reader = _IMPORTS.get(arguments.format)
    if reader is None:
        known = ", ".join(_IMPORTS)
        raise InputError(
            f"import: unknown format {arguments.format!r}{nearest(arguments.format, _IMPORTS)}; known: {known}"
        )
    summary = reader(arguments)
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


_IMPORTS: Mapping[str, Callable[[argparse.Namespace], Any]] = {
    "outcomes": _import_outcomes,
    "grades": _import_grades,
}


def _demo(arguments: argparse.Namespace) -> int:
    from routebench.demonstration import demonstrate

    document = demonstrate(
        arguments.out,
        open_console(stderr=arguments.json),
        gemma=arguments.gemma,
        accept_gemma_terms=arguments.accept_gemma_terms,
        recorded=arguments.recorded,
    )
    if arguments.json:
        print_json(document)
    return SHORT if document["left"] else DONE


def add_buying(add: Add) -> None:
    """The commands that buy outcomes or bring them in."""
    demo = add("demo", _demo, "the main job on embedded models: no key, no account")
    demo.add_argument("--out", type=Path, default=Path("results/demo"), help="folder for everything that it writes")
    demo.add_argument("--gemma", action="store_true", help="also run Gemma 3 270M (its own terms of use)")
    demo.add_argument(
        "--accept-gemma-terms", action="store_true", help="you have read and accept the Gemma Terms of Use"
    )
    demo.add_argument("--recorded", action="store_true", help="answer from the packaged recording; runs no model")

    for name, command, text in (
        ("plan", _plan, "what a run would send, priced before anything is sent"),
        ("run", _run, "send what is not answered yet"),
    ):
        made = add(name, command, text)
        made.add_argument("bench", type=Path, metavar="bench.yaml")
        add_store(made, required=False)
        made.add_argument("--cache", choices=("use", "refresh", "only", "off"), help="use what is known (default use)")
        made.add_argument("--retry-errors", action="store_true", help="also send again what failed for good")
        made.add_argument("--shard", default="1/1", metavar="1/2", help="one of so many parts, a process each")
        if name == "run":
            made.add_argument("--budget-usd", type=positive, help="hard cap on what the run is billed")
            made.add_argument("--max-calls", type=count, help="hard cap on requests sent, retries included")

    made = add("grade", _grade, "grade the answers that have no grade yet")
    made.add_argument("bench", type=Path, metavar="bench.yaml")
    add_store(made, required=False)

    made.add_argument("--budget-usd", type=positive, help="hard cap on what judges are billed")

    made = add("models", _models, "models of the price book: ids, prices, windows, announced ends")
    made.add_argument("--provider", help="only those of one provider of a bench.yaml, or of the book")

    made = add("reprice", _reprice, "cost stored tokens under other prices; calls no model")
    made.add_argument(
        "--prices", type=Path, required=True, help="a YAML file: prices: {model: {input_usd_per_mtok: …}}"
    )
    add_store(made, required=True)

    made = add("import", _import, "bring outcomes or grades from elsewhere into a store")
    made.add_argument("format", metavar="FORMAT", help=" or ".join(_IMPORTS))
    made.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="grades: prompt_id, model, score, sample?, rater?, grader?"
    )
    made.add_argument("--outcomes", type=Path, help="prompt_id, model, score, cost_usd?, latency_s?, …")
    made.add_argument("--prompts", type=Path, help="prompt_id, prompt, category?, reference?, group?, weight?")
    made.add_argument("--name", required=True, help="the suite's name")
    add_store(made, required=True)
