"""The command line: thin faces of the library; texts for people, one JSON document with `--json`.

Exit codes: 0 done; 1 the measured thing fell short; 2 bad input, or it could not be measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from routebench import __version__
from routebench.errors import InputError, RoutebenchError

DONE, SHORT, BAD = 0, 1, 2
_LOG_COLUMNS = 140

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    try:
        code: int = arguments.command(arguments)
    except RoutebenchError as error:
        _complain(arguments, str(error))
        return BAD
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "routebench":
            raise
        _complain(arguments, f"this command needs {error.name}: pip install 'routebench[lab]'")
        return BAD
    except KeyboardInterrupt:
        _complain(arguments, "interrupted; what was answered is kept, the same command goes on from there")
        return SHORT
    except BrokenPipeError:
        # The reader, such as `head`, has closed the pipe; that is its right.
        sys.stderr.close()
        return DONE
    return code


def _complain(arguments: argparse.Namespace, message: str) -> None:
    if getattr(arguments, "json", False):
        print(json.dumps({"error": message}))
    print(f"routebench: {message}", file=sys.stderr)


def _print_json(document: Any) -> None:
    print(json.dumps(document, ensure_ascii=False, allow_nan=False, default=str))


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
        _print_json(plan.as_dict())
    else:
        _console().print(str(plan))
        _console().print(plan_table(plan))
    return DONE


def _run(arguments: argparse.Namespace) -> int:
    from routebench.dash.terminal import summary, watch

    bench = _open_bench(arguments)
    console = _console(stderr=arguments.json)
    plan = _make_plan(arguments, bench)
    progress = watch(bench.run(plan, budget_usd=arguments.budget_usd, max_calls=arguments.max_calls), console)
    graded = bench.grade()
    judged = None if progress.left else _judge(arguments, bench, console, spent=progress)
    if judged is not None:
        graded += bench.grade()
    left = progress.left + (judged.left if judged else 0)
    if arguments.json:
        document = {**progress.as_dict(), "graded": graded, "store": str(bench.store.path)}
        _print_json({**document, "judging": None if judged is None else judged.as_dict()})
    else:
        for line in (*summary(progress), *(summary(judged) if judged else ())):
            print(line)
    return DONE if left == 0 else SHORT


def _judge(arguments: argparse.Namespace, bench: Any, console: Any, *, spent: Any = None) -> Any:
    """Asks the judges with what the caps have left; the Progress of that, None when there is nothing to ask."""
    from routebench.dash.terminal import watch

    cap = arguments.budget_usd if arguments.budget_usd is not None else bench.config.budget_usd
    calls = getattr(arguments, "max_calls", None)
    if spent is not None:
        cap = None if cap is None else max(0.0, cap - spent.spent_usd)
        calls = None if calls is None else max(0, calls - spent.n_sent)
    run = bench.judge(budget_usd=cap, max_calls=calls)
    return None if run is None else watch(run, console)


def _grade(arguments: argparse.Namespace) -> int:
    from routebench.dash.terminal import summary

    bench = _open_bench(arguments)
    graded = bench.grade()
    judged = _judge(arguments, bench, _console(stderr=arguments.json))
    if judged is not None:
        graded += bench.grade()
    if arguments.json:
        _print_json({"graded": graded, "judging": None if judged is None else judged.as_dict()})
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
        _print_json([entry.as_dict() for entry in entries])
    else:
        _console().print(table(BOOK_COLUMNS, book_rows(entries)))
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
        _print_json([one.as_dict() for one in changed])
    else:
        for one in changed:
            print(one)
    return DONE


def _import(arguments: argparse.Namespace) -> int:
    from routebench.bench import utc_now
    from routebench.importing import import_outcomes
    from routebench.store import Store

    if arguments.format != "outcomes":
        raise InputError(f"import: unknown format {arguments.format!r}; known: outcomes")
    if arguments.outcomes is None or arguments.prompts is None:
        raise InputError("import outcomes: needs --outcomes FILE and --prompts FILE (Parquet, CSV or JSONL)")
    store = Store(arguments.store, lock_timeout_s=arguments.lock_timeout_s)
    summary = import_outcomes(
        store, arguments.name, outcomes=arguments.outcomes, prompts=arguments.prompts, at=utc_now()
    )
    if arguments.json:
        _print_json(summary.as_dict())
    else:
        print(summary)
    return DONE


def _compare(arguments: argparse.Namespace) -> int:
    from routebench.bench import open_outcomes
    from routebench.dash.terminal import comparison_table
    from routebench.evaluate.compare import compare
    from routebench.report import write_report
    from routebench.store import Store
    from routebench.strategies import with_baselines

    store = Store.existing(arguments.store, lock_timeout_s=arguments.lock_timeout_s)
    outcomes = open_outcomes(store, arguments.suite)
    wanted = None if arguments.strategies is None else arguments.strategies.split(",")
    strategies = with_baselines(wanted, outcomes.models)
    comparison = compare(outcomes, strategies, seeds=arguments.seeds, baseline=arguments.baseline)
    if arguments.out:
        write_report(arguments.out, comparison, store=store)
    if arguments.json:
        _print_json(comparison.as_dict())
    else:
        print(comparison.reading)
        _console().print(comparison_table(comparison))
    return DONE


def _tune(arguments: argparse.Namespace) -> int:
    from routebench.bench import open_outcomes, utc_now
    from routebench.dash.terminal import comparison_table
    from routebench.store import Store, read_models
    from routebench.tune import Constraints, tune

    store = Store.existing(arguments.store, lock_timeout_s=arguments.lock_timeout_s)
    constraints = Constraints(
        max_quality_drop=arguments.max_quality_drop,
        min_quality=arguments.min_quality,
        max_cost_usd_per_1k=arguments.max_cost_usd_per_1k,
        max_latency_p95_s=arguments.max_latency_p95_s,
        max_rules=arguments.max_rules,
    )
    tuned = tune(
        open_outcomes(store, arguments.suite),
        read_models(store, arguments.suite),
        constraints,
        name=arguments.suite,
        golden=arguments.golden,
        seed=arguments.seed,
        created=utc_now().date(),
    )
    tuned.export(arguments.out)
    if arguments.json:
        _print_json({"out": str(arguments.out), **tuned.as_dict()})
    else:
        print(tuned.reading)
        _console().print(comparison_table(tuned.comparison))
        print(f"written: {arguments.out}")
    return SHORT if tuned.abstained else DONE


def _explain(arguments: argparse.Namespace) -> int:
    from routebench.rules import Router

    router = Router.load(arguments.rules)
    decision = router.explain([{"role": "user", "content": arguments.prompt}])
    if arguments.json:
        _print_json(decision.as_dict())
    else:
        print(f"{' > '.join(decision.chain)}\nrule {decision.rule}: {decision.why}")
        for sentence in decision.counterfactuals:
            print(f"  {sentence}")
    return DONE


def _check(arguments: argparse.Namespace) -> int:
    from routebench.rules import RuleSet, check_golden

    ruleset = RuleSet.load(arguments.rules)
    golden = check_golden(ruleset)
    document: dict[str, Any] = {
        "ok": not golden.failed,
        "golden": {"n": golden.n, "failed": [failure.as_dict() for failure in golden.failed]},
        "gates": [],
        "evidence": None,
    }
    if arguments.store is not None:
        document |= _measured(arguments, ruleset)
        document["ok"] = not golden.failed and all(gate["ok"] for gate in document["gates"])
    if arguments.json:
        _print_json(document)
    else:
        for failure in golden.failed:
            print(f"golden: {failure}")
        for gate in document["gates"]:
            print(f"{'ok  ' if gate['ok'] else 'FAIL'} {gate['reading']}")
        verdict = "ok" if document["ok"] else "FAILED"
        print(f"{arguments.rules}: {verdict}; {golden.n - len(golden.failed)} of {golden.n} golden decisions hold")
    return DONE if document["ok"] else SHORT


def _measured(arguments: argparse.Namespace, ruleset: Any) -> dict[str, Any]:
    from routebench.bench import open_outcomes
    from routebench.store import Store
    from routebench.tune import Gates, check_evidence

    if arguments.suite is None:
        raise InputError("check: --store needs --suite, the name of the suite in it")
    store = Store.existing(arguments.store, lock_timeout_s=arguments.lock_timeout_s)
    gates = Gates(
        min_quality=arguments.min_quality,
        max_cost_usd_per_1k=arguments.max_cost_usd_per_1k,
        max_latency_p95_s=arguments.max_latency_p95_s,
    )
    return check_evidence(ruleset, open_outcomes(store, arguments.suite), gates)


def _report(arguments: argparse.Namespace) -> int:
    from routebench.bench import DEFAULT_SEEDS, open_outcomes
    from routebench.evaluate.compare import compare
    from routebench.report import write_report
    from routebench.store import Store
    from routebench.strategies import with_baselines

    store = Store.existing(arguments.store, lock_timeout_s=arguments.lock_timeout_s)
    outcomes = open_outcomes(store, arguments.suite)
    comparison = compare(outcomes, with_baselines(None, outcomes.models), seeds=DEFAULT_SEEDS)
    write_report(arguments.out, comparison, store=None if arguments.share else store)
    if arguments.json:
        _print_json({"out": str(arguments.out)})
    else:
        print(f"{comparison.reading}\nwritten: {arguments.out}")
    return DONE


def _schema(arguments: argparse.Namespace) -> int:
    if arguments.what == "rules":
        from routebench.rules import rules_json_schema

        _print_json(rules_json_schema())
    else:
        from routebench.config import bench_json_schema

        _print_json(bench_json_schema())
    return DONE


def _demo(arguments: argparse.Namespace) -> int:
    from routebench.demonstration import demonstrate

    document = demonstrate(
        arguments.out,
        _console(stderr=arguments.json),
        gemma=arguments.gemma,
        accept_gemma_terms=arguments.accept_gemma_terms,
        recorded=arguments.recorded,
    )
    if arguments.json:
        _print_json(document)
    return SHORT if document["left"] else DONE


def _console(*, stderr: bool = False) -> Any:
    from rich.console import Console

    console = Console(stderr=stderr)
    # A log file has no width: tables need not be folded there.
    return console if console.is_terminal else Console(stderr=stderr, width=max(console.width, _LOG_COLUMNS))


Add = Callable[[str, Command, str], argparse.ArgumentParser]
"""Adds a command by its name, what it calls, and its help."""


def make_parser() -> argparse.ArgumentParser:
    """Builds the parser of every command."""
    parser = argparse.ArgumentParser(
        prog="routebench", description="Find out which LLM routing rules are right for your prompts."
    )
    parser.add_argument("--version", action="version", version=f"routebench {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.add_argument("--json", action="store_true", help="one JSON document on stdout")
        made.set_defaults(command=command)
        return made

    _add_measuring(add)
    _add_deciding(add)
    return parser


def _add_measuring(add: Add) -> None:
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
        _add_store(made, required=False)
        made.add_argument("--cache", choices=("use", "refresh", "only", "off"), help="use what is known (default use)")
        made.add_argument("--retry-errors", action="store_true", help="also send again what failed for good")
        made.add_argument("--shard", default="1/1", metavar="1/2", help="one of so many parts, a process each")
        if name == "run":
            made.add_argument("--budget-usd", type=_positive, help="hard cap on what the run is billed")
            made.add_argument("--max-calls", type=_count, help="hard cap on requests sent, retries included")

    made = add("grade", _grade, "grade the answers that have no grade yet")
    made.add_argument("bench", type=Path, metavar="bench.yaml")
    _add_store(made, required=False)

    made.add_argument("--budget-usd", type=_positive, help="hard cap on what judges are billed")

    made = add("models", _models, "models of the price book: ids, prices, windows, announced ends")
    made.add_argument("--provider", help="only those of one provider of a bench.yaml, or of the book")

    made = add("reprice", _reprice, "cost stored tokens under other prices; calls no model")
    made.add_argument(
        "--prices", type=Path, required=True, help="a YAML file: prices: {model: {input_usd_per_mtok: …}}"
    )
    _add_store(made, required=True)

    made = add("import", _import, "bring outcomes from elsewhere into a store")
    made.add_argument("format", metavar="FORMAT", help="outcomes")
    made.add_argument("--outcomes", type=Path, help="prompt_id, model, score, cost_usd?, latency_s?, …")
    made.add_argument("--prompts", type=Path, help="prompt_id, prompt, category?, reference?, group?, weight?")
    made.add_argument("--name", required=True, help="the suite's name")
    _add_store(made, required=True)


def _add_deciding(add: Add) -> None:
    """The commands that use outcomes and rule sets."""
    made = add("compare", _compare, "replay strategies on held-out cases, beside the baselines")
    _add_store(made, required=True, suite=True)
    made.add_argument("--strategies", help="names with commas between; default rules,similarity")
    made.add_argument("--seeds", type=_seeds, default=(42, 43, 44, 45, 46), help="splits, with commas between")
    made.add_argument("--baseline", default="best_single", help="what the others are compared with")
    made.add_argument("--out", type=Path, help="also write a report")

    made = add("tune", _tune, "choose a rule set under a constraint and write it with its evidence")
    _add_store(made, required=True, suite=True)
    made.add_argument("--out", type=Path, required=True, help="the rules.yaml to write")
    made.add_argument("--max-quality-drop", type=_share, default=0.01, help="below the best single model")
    _add_gates(made)
    made.add_argument("--max-rules", type=int, default=12)
    made.add_argument("--golden", choices=("starter", "suite", "none"), default="suite")
    made.add_argument("--seed", type=int, default=42, help="of the half-and-half split")

    made = add("explain", _explain, "what a rule set does with a prompt, and why")
    made.add_argument("rules", type=Path, metavar="rules.yaml")
    made.add_argument("--prompt", required=True)

    made = add("check", _check, "does a rule set still decide, and measure, as its file says")
    made.add_argument("rules", type=Path, metavar="rules.yaml")
    _add_store(made, required=False, suite=True)
    _add_gates(made)

    made = add("report", _report, "one self-contained HTML page")
    _add_store(made, required=True, suite=True)
    made.add_argument("--out", type=Path, required=True)
    made.add_argument("--share", action="store_true", help="hold no text of prompts or answers")

    made = add("schema", _schema, "the JSON Schema of a file format, for editors")
    made.add_argument("what", choices=("rules", "bench"))


def _add_store(made: argparse.ArgumentParser, *, required: bool, suite: bool = False) -> None:
    made.add_argument("--store", type=Path, required=required, help="the DuckDB file")
    made.add_argument("--lock-timeout-s", type=_positive, default=30.0, help="wait so long for another process")
    if suite:
        made.add_argument("--suite", required=required, help="the suite's name in the store")


def _add_gates(made: argparse.ArgumentParser) -> None:
    made.add_argument("--min-quality", type=_share, help="lowest mean score")
    made.add_argument("--max-cost-usd-per-1k", type=_positive, help="highest mean cost of 1,000 requests")
    made.add_argument("--max-latency-p95-s", type=_positive, help="highest 95th percentile of latency")


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _seeds(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
