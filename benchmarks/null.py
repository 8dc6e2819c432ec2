"""Whether the tuner knows when not to route: outcomes laid beside other prompts, so that prompts say nothing of models.

    python benchmarks/null.py                          100 runs over the six sets; some twelve minutes
    python benchmarks/null.py --runs 20 --only bfcl_lite
    python benchmarks/null.py --data FOLDER            where the sets' files are

Every run shuffles the outcomes of one set among its prompts, groups as wholes, and tunes. Right is to abstain: the rule
set that is written is then a fixed mix, or one model. Asked for are 90 of 100.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from routebench.evaluate import Outcomes
from routebench.importing import import_outcomes
from routebench.matrix import open_outcomes
from routebench.rules import RuleSet
from routebench.store import Store, read_models
from routebench.strategies.learned.chance import shuffle
from routebench.tune import Constraints, tune

SETS = ("bfcl_lite", "zeroeval_lite", "routellm_gsm8k", "routellm_mmlu_lite", "routellm_mtbench", "ulab_llmrouter")
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
ASKED = 0.9


def shuffled(outcomes: Outcomes, seed: int) -> Outcomes:
    """The same outcomes beside other prompts; what every model reaches on the whole stays as it was."""
    order = shuffle(outcomes.keys, np.random.default_rng(seed))
    return replace(
        outcomes,
        status=outcomes.status[order],
        score=outcomes.score[order],
        cost_usd=outcomes.cost_usd[order],
        latency_s=outcomes.latency_s[order],
        answers=None,
    )


def is_fixed(ruleset: RuleSet) -> bool:
    """Whether a rule set sends every request to one chain or draws it from a mix."""
    return not ruleset.rules and ruleset.similarity is ruleset.learned is ruleset.complexity is None


def main() -> None:
    """Prints how often the tuner abstained, set by set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--only", nargs="*", default=SETS, choices=SETS)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--first-seed", type=int, default=1000)
    arguments = parser.parse_args()
    total = right = 0
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "null.duckdb")
        for place, name in enumerate(arguments.only):
            files = {part: arguments.data / f"{name}.{part}.parquet" for part in ("outcomes", "prompts")}
            import_outcomes(store, name, **files, at=datetime.now(UTC))
            outcomes, models = open_outcomes(store, name), read_models(store, name)
            runs = arguments.runs // len(arguments.only) + (place < arguments.runs % len(arguments.only))
            abstained, started = 0, time.perf_counter()
            for run in range(runs):
                seed = arguments.first_seed + run
                tuned = tune(
                    shuffled(outcomes, seed),
                    models,
                    Constraints(),
                    name=name,
                    golden="none",
                    seed=seed,
                    created=datetime.now(UTC).date(),
                )
                written = RuleSet.load(tuned.export(Path(folder) / "rules.yaml"))
                abstained += tuned.abstained and is_fixed(written)
            took = (time.perf_counter() - started) / max(1, runs)
            print(f"{name:20} {abstained:3} of {runs:3} abstained, {took:.1f} s a run", flush=True)
            total, right = total + runs, right + abstained
    print(f"all: {right} of {total}; asked: {ASKED:.0%}{'' if right >= ASKED * total else ', NOT reached'}")


if __name__ == "__main__":
    main()
