"""The commands that use outcomes and rule sets."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from routebench.cli.arguments import add_gates, add_store, positive, seeds, share
from routebench.cli.drifting import add_window, report_traces
from routebench.cli.output import DONE, SHORT, Add, open_console, print_json
from routebench.cli.reading import read_comparable
from routebench.errors import InputError

_RULES = "rules:"


def _comparison(arguments: argparse.Namespace) -> tuple[Any, Any, Any]:
    """Returns the store, the traffic (None where nobody told it) and the comparison that the arguments ask for."""
    from routebench.evaluate.compare import compare
    from routebench.strategies import with_baselines

    store, outcomes = read_comparable(arguments)
    traffic = _traffic(arguments)
    if traffic is not None:
        outcomes, traffic = traffic.weigh(outcomes)
    wanted = _without_prompts(store) if arguments.strategies is None else arguments.strategies.split(",")
    if arguments.strategies is None and outcomes.cases.has_text.any():
        wanted = None
    comparison = compare(
        outcomes,
        with_baselines(wanted, outcomes.models),
        seeds=arguments.seeds,
        baseline=arguments.baseline,
        cache_hit_rate=arguments.cache_hit_rate,
    )
    return store, traffic, comparison


def _without_prompts(store: Any) -> list[Any]:
    """What can be compared by default where no prompt is kept: the rule sets whose decisions a pack holds."""
    from routebench.strategies import RecordedRules

    return [] if store.pack is None else [RecordedRules(policy) for policy in store.pack.policies]


def _traffic(arguments: argparse.Namespace) -> Any:
    from routebench.traffic import Traffic

    if arguments.traffic is not None:
        return Traffic.read(arguments.traffic)
    return None if arguments.requests_per_month is None else Traffic(arguments.requests_per_month)


def _compare(arguments: argparse.Namespace) -> int:
    from routebench.dash.terminal import comparison_table

    store, traffic, comparison = _comparison(arguments)
    if arguments.out:
        from routebench.report import write_report

        write_report(arguments.out, comparison, store=store, traffic=traffic)
    if arguments.json:
        print_json(comparison.as_dict())
    else:
        _print_readings(comparison, of_findings=True)
        open_console().print(comparison_table(comparison))
        _print_readings(comparison, of_findings=False)
    return DONE


def _print_readings(comparison: Any, *, of_findings: bool) -> None:
    """What was found stands before the table; what that rests on after it, what must not be missed marked."""
    for one in comparison.readings:
        if one.is_finding == of_findings:
            print(one.text if of_findings else f"{'!' if one.grave else '-'} {one.text}")


def _settings(arguments: argparse.Namespace, store: Any) -> tuple[Any, Any]:
    """Returns the models' settings and the bench.yaml, where one is given; else what the store holds, and None.

    Raises:
        InputError: the bench.yaml configures a model otherwise than it was run, or a pack holds not all of a model.
    """
    from routebench.bench import utc_now
    from routebench.config import load_config
    from routebench.providers import model_key, with_defaults
    from routebench.store import read_model_keys, read_models

    if arguments.bench is not None:
        config = load_config(arguments.bench)
        given = {model.name: with_defaults(model, utc_now()) for model in config.models}
        for name, key in read_model_keys(store, arguments.suite).items():
            if name not in given or model_key(given[name]) != key:
                raise InputError(
                    f"{arguments.bench}: model {name!r} is missing or configured otherwise than it was run, so a rule "
                    "set with it would not run what was measured"
                )
        return list(given.values()), config
    if store.pack is not None and store.pack.withheld:
        raise InputError(
            f"pack {store.pack.path}: models {', '.join(store.pack.withheld)} have a system prompt or demonstrations, "
            "which a pack does not hold; give the bench.yaml that was run with --bench"
        )
    return read_models(store, arguments.suite), None


def _tune(arguments: argparse.Namespace) -> int:
    from routebench.bench import utc_now
    from routebench.classes import check_classes
    from routebench.dash.terminal import comparison_table
    from routebench.evaluate.stakes import with_stakes
    from routebench.tune import Constraints, tune

    store, outcomes = read_comparable(arguments)
    models, config = _settings(arguments, store)
    if config is not None:
        labels = outcomes.cases
        check_classes(
            config.protect,
            config.stakes_where,
            categories=set(labels.category) - {""},
            tags={tag for tags in labels.tags for tag in tags},
        )
        outcomes = with_stakes(outcomes, config.stakes_usd)
    constraints = Constraints(
        max_quality_drop=arguments.max_quality_drop,
        max_quality_drop_per_slice=arguments.max_quality_drop_per_slice,
        min_quality=arguments.min_quality,
        max_cost_usd_per_1k=arguments.max_cost_usd_per_1k,
        max_latency_p95_s=arguments.max_latency_p95_s,
        max_rules=arguments.max_rules,
    )
    tuned = tune(
        outcomes,
        models,
        constraints,
        name=arguments.suite,
        guards=() if config is None else config.guards,
        protections=() if config is None else config.protect,
        golden=arguments.golden,
        target=arguments.target,
        seed=arguments.seed,
        created=utc_now().date(),
    )
    tuned.export(arguments.out)
    if arguments.json:
        print_json({"out": str(arguments.out), **tuned.as_dict()})
    else:
        print(tuned.reading)
        open_console().print(comparison_table(tuned.comparison))
        print(f"written: {arguments.out}")
    return SHORT if tuned.abstained else DONE


def _insurance(arguments: argparse.Namespace, comparison: Any) -> Any:
    """Returns what the guards of the first rule set that is compared cost; None where there is none, or no guard."""
    from routebench.rules import RuleSet
    from routebench.tune import insure

    named = [one.removeprefix(_RULES) for one in (arguments.strategies or "").split(",") if one.startswith(_RULES)]
    half = comparison.half
    return insure(RuleSet.load(named[0]), half.train, half.test) if named else None


def _report(arguments: argparse.Namespace) -> int:
    from routebench.report import write_report

    if arguments.traces is not None:
        return report_traces(arguments)
    if arguments.store is None or arguments.suite is None:
        raise InputError("a report is about the outcomes of a suite (--store, --suite) or about traces (--traces)")
    store, traffic, comparison = _comparison(arguments)
    insurance = _insurance(arguments, comparison)
    write_report(arguments.out, comparison, store=store, traffic=traffic, share=arguments.share, insurance=insurance)
    if arguments.json:
        print_json({"out": str(arguments.out)})
    else:
        print(f"{comparison.reading}\nwritten: {arguments.out}")
    return DONE


def _schema(arguments: argparse.Namespace) -> int:
    if arguments.what == "rules":
        from routebench.rules import rules_json_schema

        print_json(rules_json_schema())
    elif arguments.what == "gateway":
        from routebench.gateway import gateway_json_schema

        print_json(gateway_json_schema())
    else:
        from routebench.config import bench_json_schema

        print_json(bench_json_schema())
    return DONE


def add_deciding(add: Add) -> None:
    """The commands that use outcomes and rule sets."""
    compared = add("compare", _compare, "replay strategies on held-out cases, beside the baselines")
    compared.add_argument("--out", type=Path, help="also write a report: .html or .md")
    report = add("report", _report, "one self-contained page, HTML or Markdown")
    report.add_argument("--out", type=Path, required=True, help="report.html or report.md")
    report.add_argument("--share", action="store_true", help="hold no text of prompts, answers or rules")
    report.add_argument("--traces", type=Path, metavar="DIR", help="what a gateway served, instead of a comparison")
    report.add_argument("--rules", type=Path, metavar="rules.yaml", help="with --traces: hold them beside these rules")
    add_window(report)
    for made in (compared, report):
        add_store(made, required=made is compared, suite=True)
        made.add_argument("--strategies", help="names with commas between; default auto")
        made.add_argument("--seeds", type=seeds, default=(42, 43, 44, 45, 46), help="splits, with commas between")
        made.add_argument("--baseline", default="best_single", help="what the others are compared with")
        made.add_argument("--cache-hit-rate", type=share, help="share of input tokens read from the provider's cache")
        volume = made.add_mutually_exclusive_group()
        volume.add_argument("--requests-per-month", type=positive, help="for the bill in the report")
        volume.add_argument("--traffic", type=Path, help="CSV: requests, category?, date?; cases are weighted by it")

    made = add("tune", _tune, "choose a rule set under a constraint and write it with its evidence")
    add_store(made, required=True, suite=True)
    made.add_argument("--out", type=Path, required=True, help="the rules.yaml to write")
    made.add_argument(
        "--bench", type=Path, metavar="bench.yaml", help="takes guards from it, and models' whole settings"
    )
    made.add_argument("--max-quality-drop", type=share, default=0.01, help="below the best single model")
    made.add_argument(
        "--max-quality-drop-per-slice", type=share, default=0.05, help="of any category or tag with 30 held-out cases"
    )
    made.add_argument(
        "--target",
        choices=("gateway", "process"),
        default="gateway",
        help="where the rule set will run: `process` also tries forms that need an embedding model there",
    )
    add_gates(made)
    made.add_argument("--max-rules", type=int, default=12)
    made.add_argument("--golden", choices=("starter", "suite", "none"), default="suite")
    made.add_argument("--seed", type=int, default=42, help="of the half-and-half split")

    made = add("schema", _schema, "the JSON Schema of a file format, for editors")
    made.add_argument("what", choices=("rules", "bench", "gateway"))
