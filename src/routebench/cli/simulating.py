"""The command that lets models fail on recorded outcomes, and shows what a rule set makes of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from routebench.cli.arguments import add_store, positive
from routebench.cli.output import DONE, Add, open_console, print_json
from routebench.cli.reading import read_comparable
from routebench.errors import InputError

_MOST_ROWS = 30


def _simulate(arguments: argparse.Namespace) -> int:
    from routebench.rules import RuleSet
    from routebench.simulation import load_scenario, read_times, simulate

    if arguments.column is not None and arguments.arrivals is None:
        raise InputError("--column names the recorded times of --arrivals FILE; give both")
    ruleset = RuleSet.load(arguments.rules)
    _, outcomes = read_comparable(arguments)
    places = [one.name for name in ruleset.order for one in ruleset.deployments_of(name)]
    scenario = load_scenario(
        arguments.incidents,
        models=list(dict.fromkeys([*ruleset.order, *places])),
        categories=sorted(set(outcomes.cases.category.tolist()) - {""}),
    )
    simulation = simulate(
        ruleset,
        outcomes,
        scenario,
        requests_per_s=arguments.requests_per_s,
        duration_s=arguments.duration_s,
        times=None if arguments.arrivals is None else read_times(arguments.arrivals, arguments.column),
        bin_s=arguments.bin_s,
        seed=arguments.seed,
    )
    if arguments.out is not None:
        from routebench.report.simulation import write_simulation

        write_simulation(arguments.out, simulation)
    if arguments.json:
        print_json(simulation.as_dict())
        return DONE
    _print(simulation)
    if arguments.out is not None:
        print(f"written: {arguments.out}")
    return DONE


def _print(simulation: Any) -> None:
    from routebench.dash.terminal import table
    from routebench.report.simulation import course_grid, figures_grid, incidents_grid

    console = open_console()
    print(simulation.reading)
    for shown in (
        figures_grid(simulation),
        incidents_grid(simulation),
        course_grid(simulation, most_rows=_MOST_ROWS),
    ):
        if shown.rows:
            console.print()
            console.print(table(shown.columns, shown.rows, title=shown.caption or None))


def add_simulating(add: Add) -> None:
    """The command `simulate`."""
    made = add("simulate", _simulate, "outages, slow-downs and bursts on recorded latencies, with health and without")
    made.add_argument("rules", type=Path, metavar="rules.yaml")
    add_store(made, required=True, suite=True)
    made.add_argument("--incidents", type=Path, required=True, metavar="FILE", help="YAML: what happens, and when")
    coming = made.add_mutually_exclusive_group()
    coming.add_argument("--requests-per-s", type=positive, help="mean rate; default the file's own, else 20")
    coming.add_argument("--arrivals", type=Path, metavar="FILE", help="recorded times: CSV, JSON Lines or Parquet")
    made.add_argument("--duration-s", type=positive, help="default two minutes beyond the last incident, at least ten")
    made.add_argument("--column", help="of the recorded times; default the first that is called like a time")
    made.add_argument("--out", type=Path, help="also write a page: .html or .md")
    made.add_argument("--bin-s", type=positive, default=10.0, help="seconds of a bin of the figures")
    made.add_argument("--seed", type=int, default=42, help="of all that is drawn")
