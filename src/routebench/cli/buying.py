"""The commands that buy outcomes, or price them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from routebench.cli.arguments import add_store, count, positive
from routebench.cli.output import DONE, SHORT, Add, open_console, print_json


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
    from routebench.dash.prices import BOOK_COLUMNS, book_table
    from routebench.dash.terminal import table
    from routebench.providers import priced_models

    now = utc_now()
    entries = priced_models(now, provider=arguments.provider)
    if arguments.json:
        print_json([entry.as_dict() for entry in entries])
        return DONE
    told = book_table(entries, now.date())
    console = open_console()
    console.print(table(BOOK_COLUMNS, told.rows))
    for note in told.notes:
        # A number in brackets is not markup.
        console.print(note, markup=False, highlight=False)
    return DONE


def _reprice(arguments: argparse.Namespace) -> int:
    from routebench.bench import utc_now
    from routebench.config import load_prices
    from routebench.repricing import BookPrices, look_up_models, reprice, what_if
    from routebench.store import check_not_a_pack, open_store, read_answered_models

    now = utc_now()
    store = open_store(arguments.store, lock_timeout_s=arguments.lock_timeout_s)
    if not arguments.what_if:
        check_not_a_pack(store, "reprice without --what-if")
    if arguments.book:
        book = look_up_models(read_answered_models(store), now)
        prices, day = book.prices, now.date()
    else:
        book = BookPrices({}, {})
        prices, day = load_prices(arguments.prices, now.date())
    changed = what_if(store, prices) if arguments.what_if else reprice(store, prices, day, book=book.entries)
    if arguments.json:
        left = [{"model": name, "left_alone": why} for name, why in book.left_alone.items()]
        print_json([*(one.as_dict() for one in changed), *left])
    else:
        _print_changes(changed, written=not arguments.what_if)
        for name, why in book.left_alone.items():
            print(f"{name}: left alone, {why}")
    return DONE


def _print_changes(changed: Any, *, written: bool) -> None:
    if written:
        for one in changed:
            print(one)
    elif changed:
        from routebench.dash.prices import CHANGE_COLUMNS, change_rows
        from routebench.dash.terminal import table

        open_console().print(table(CHANGE_COLUMNS, change_rows(changed)))
        print("nothing was written; without --what-if these costs take the place of the stored ones")


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
    """Adds `demo`, `plan`, `run`, `grade`, `models` and `reprice`."""
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

    made = add("models", _models, "models of the price book: ids, prices, windows, days of retirement")
    made.add_argument("--provider", help="only those of one provider of a bench.yaml, or of the book")

    made = add("reprice", _reprice, "cost stored tokens under other prices; calls no model")
    told = made.add_mutually_exclusive_group(required=True)
    told.add_argument("--prices", type=Path, help="a YAML file: prices: {model: {input_usd_per_mtok: …}}")
    told.add_argument("--book", action="store_true", help="today's price book, for the models that it knows")
    made.add_argument("--what-if", action="store_true", help="only say what would change; write nothing")
    add_store(made, required=True)
