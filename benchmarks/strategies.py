"""What strategies reach above the hull of single models, on six public sets, beside the references of the literature.

    python benchmarks/strategies.py                                   auto and the references; some ten minutes
    python benchmarks/strategies.py --strategies learned student      others
    python benchmarks/strategies.py --only bfcl_lite --seeds 42 43
    python benchmarks/strategies.py --batch                           routing 36,497 prompts at once, features included

Half of the groups are train, the other half is only measured on. Every figure is AIQ less that of the hull of the single
models on the test half, mean over the seeds; `least` is that of the worst seed; `deployed` the gain of what was chosen
on train over the mix that was chosen on train.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from routebench.evaluate import Cases, Outcomes, compare
from routebench.evaluate.outcomes import OK
from routebench.importing import import_outcomes
from routebench.matrix import open_outcomes
from routebench.store import Store
from routebench.strategies import Learned, with_baselines
from routebench.types import Case, Request

SETS = ("bfcl_lite", "zeroeval_lite", "routellm_gsm8k", "routellm_mmlu_lite", "routellm_mtbench", "ulab_llmrouter")
REFERENCES = ("knn_tfidf", "lr_tfidf")
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
N_BATCH, N_MODELS, N_TRAIN = 36_497, 11, 4_000


def table(names: list[str], sets: list[str], seeds: list[int], data: Path) -> None:
    """Prints one line a strategy and set."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "sets.duckdb")
        for name in sets:
            files = {part: data / f"{name}.{part}.parquet" for part in ("outcomes", "prompts")}
            import_outcomes(store, name, **files, at=datetime.now(UTC))
            outcomes = open_outcomes(store, name)
            for strategy in names:
                started = time.perf_counter()
                found = compare(outcomes, with_baselines([strategy], outcomes.models), seeds=seeds).as_dict()
                took = time.perf_counter() - started
                row = next(row for row in found["strategies"] if row["name"] == strategy)
                above = np.array(row["aiq_by_seed"]) - np.array(found["zero_router"]["aiq_by_seed"])
                print(
                    f"{name:20} {strategy:16} {above.mean():+.4f}  least {above.min():+.4f}  "
                    f"deployed {row['deployed_gain']:+.4f}  {took:5.1f} s",
                    flush=True,
                )


def batch() -> None:
    """Prints how long the learned strategy takes for 36,497 prompts of some 200 tokens, features included."""
    draw = np.random.default_rng(0)
    words = np.array([f"{start}{end}" for start in ("al", "be", "ca", "do", "en", "fi") for end in range(800)])
    texts = [" ".join(words[(draw.zipf(1.2, 130) - 1) % len(words)]) for _ in range(N_TRAIN + N_BATCH)]
    requests = [Request(({"role": "user", "content": text},)) for text in texts]
    shape = (N_TRAIN, N_MODELS, 1)
    train = Outcomes(
        "batch",
        Cases.of([Case(f"c{place}", request) for place, request in enumerate(requests[:N_TRAIN])]),
        tuple(f"m{place}" for place in range(N_MODELS)),
        np.full(shape, OK, dtype=np.int8),
        draw.random(shape).round(),
        np.geomspace(1e-5, 1e-2, N_MODELS)[None, :, None] * np.ones(shape),
        np.full(shape, np.nan),
    )
    strategy = Learned(gate=False).fit(train)
    started = time.perf_counter()
    strategy.route_many(requests[N_TRAIN:], 0)
    print(f"{N_BATCH:,} prompts of {len(texts[0])} characters: {time.perf_counter() - started:.1f} s (asked: 20)")


def main() -> None:
    """Prints the table, or how long a batch takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategies", nargs="*", default=["auto", *REFERENCES])
    parser.add_argument("--only", nargs="*", default=list(SETS), choices=SETS)
    parser.add_argument("--seeds", nargs="*", type=int, default=[42, 43, 44, 45, 46])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--batch", action="store_true")
    arguments = parser.parse_args()
    if arguments.batch:
        batch()
    else:
        table(arguments.strategies, arguments.only, arguments.seeds, arguments.data)


if __name__ == "__main__":
    main()
