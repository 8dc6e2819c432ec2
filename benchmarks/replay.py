"""Replaying every setting of a knob, beside a loop over a pandas frame and an SQL statement for each setting, in one run.

    python benchmarks/replay.py                       everything; two to three minutes
    python benchmarks/replay.py --only cascade pairs  parts: cascade pairs lambdas store compare
    python benchmarks/replay.py --data FOLDER         where ulab_llmrouter's two files are

The matrix is synthetic, 36,497 prompts x 11 models. The loop and the statements are measured on a few settings and
multiplied by the number of settings; what they find is held against ours. "Asked" is the bound that we set ourselves;
times are the best of several, so that ratios matter more than milliseconds.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

N_CASES, N_MODELS, N_RATES = 36_497, 11, 1000
SET = "ulab_llmrouter"
LEARNED = ("rules", "similarity", "knn_tfidf", "lr_tfidf", "category_table")
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
MODELS = tuple(f"m{number}" for number in range(N_MODELS))


class Synthetic:
    """Scores, costs, what a router would predict of them, and a signal of how hard each prompt is."""

    def __init__(self, n: int = N_CASES, m: int = N_MODELS, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        hardness = rng.normal(size=n)
        skill = np.linspace(-0.5, 1.5, m)
        chance = 1 / (1 + np.exp(hardness[:, None] - skill - rng.normal(scale=0.5, size=(n, m))))
        self.scores = (rng.random((n, m)) < chance).astype(float)
        self.costs = np.geomspace(1e-5, 1e-2, m) * rng.lognormal(sigma=0.5, size=(n, 1))
        self.predicted = chance + rng.normal(scale=0.1, size=(n, m))
        self.signal = hardness + rng.normal(size=n)
        self.weight = np.ones(n)

    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The interchange format: outcomes and prompts, answers of 150 to 200 characters."""
        n, m = self.scores.shape
        rng = np.random.default_rng(1)
        words = np.array([f"word{number}" for number in range(500)])
        answers = [" ".join(row) for row in words[rng.integers(0, 500, (2000, 24))]]
        case = np.repeat(np.arange(n), m)
        outcomes = pd.DataFrame(
            {
                "prompt_id": [f"p{number}" for number in case],
                "model": np.tile(np.array(MODELS[:m]), n),
                "score": self.scores.ravel(),
                "cost_usd": self.costs.ravel(),
                "input_tokens": 100 + case % 900,
                "output_tokens": 20 + case % 300,
                "latency_s": 0.2 + self.costs.ravel() * 100,
                "response": [f"{number} {answers[number % 2000]}" for number in range(n * m)],
            }
        )
        prompts = pd.DataFrame(
            {
                "prompt_id": [f"p{number}" for number in range(n)],
                "prompt": [
                    f"{place}: {' '.join(row)}" for place, row in enumerate(words[rng.integers(0, 500, (n, 20))])
                ],
                "category": [f"topic{number}" for number in rng.integers(0, 20, n)],
            }
        )
        return outcomes, prompts


def seconds(work: Callable[[], object], repeat: int = 7) -> float:
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def told(what: str, measured: float, asked: float, unit: str = "ms") -> None:
    factor = {"ms": 1000, "s": 1, "MB": 1}[unit]
    digits = 1 if measured * factor < 1000 else 0
    print(
        f"{what:<58} {measured * factor:8.{digits}f} {unit:<2}  asked {asked * factor:6.0f} {unit}"
        f"  {'' if measured <= asked else 'MISSED'}",
        flush=True,
    )


def beside(name: str, one_s: float, settings: int, ours_s: float, measured_on: int) -> None:
    print(
        f"    {name:<54} {one_s * 1000:8.1f} ms a setting (measured on {measured_on}) x {settings:,} = "
        f"{one_s * settings:10.1f} s; {one_s * settings / ours_s:10,.0f} x",
        flush=True,
    )


def cascade(data: Synthetic) -> None:
    import duckdb

    from routebench.evaluate.sweep import sweep_thresholds

    scores, costs = data.scores[:, [2, 8]], data.costs[:, [2, 8]]
    found = sweep_thresholds(data.signal, scores, costs, data.weight, pays_both=True)
    ours = seconds(lambda: sweep_thresholds(data.signal, scores, costs, data.weight, pays_both=True), 20)
    settings = len(found[0])
    told(f"one cascade, all of its {settings:,} thresholds", ours, 0.005)
    frame = pd.DataFrame(
        {
            "signal": data.signal,
            "low": scores[:, 0],
            "high": scores[:, 1],
            "low_usd": costs[:, 0],
            "high_usd": costs[:, 1],
        }
    )

    def loop(threshold: float) -> tuple[float, float]:
        score = cost = 0.0
        for _, row in frame.iterrows():
            stays = row["signal"] < threshold
            score += row["low"] if stays else row["high"]
            cost += row["low_usd"] if stays else row["low_usd"] + row["high_usd"]
        return cost / len(frame), score / len(frame)

    con = duckdb.connect()
    con.register("frame", frame).execute("CREATE TABLE matrix AS SELECT * FROM frame")
    statement = """SELECT avg(low_usd + if(signal < $1, 0, high_usd)), avg(if(signal < $1, low, high)) FROM matrix"""

    def query(threshold: float) -> tuple[Any, ...]:
        row = con.execute(statement, [threshold]).fetchone()
        assert row is not None
        return row

    for name, work, places in (
        ("a loop over the rows of a pandas frame", loop, (9000, 27000)),
        ("an SQL statement", query, (*range(1000, 36000, 1000),)),
    ):
        start = time.perf_counter()
        answers = [work(float(found[0][place])) for place in places]
        one = (time.perf_counter() - start) / len(places)
        np.testing.assert_allclose(answers, [(found[1][place], found[2][place]) for place in places], rtol=1e-9)
        beside(name, one, settings, ours, len(places))


def pairs(data: Synthetic) -> None:
    from routebench.evaluate.sweep import sweep_pairs

    front = sweep_pairs(data.signal, data.scores, data.costs, data.weight)
    ours = seconds(lambda: sweep_pairs(data.signal, data.scores, data.costs, data.weight))
    count = N_MODELS * (N_MODELS - 1)
    told(f"all {count} pairs, {count * N_CASES / 1e6:.1f} M settings; front of {len(front)}", ours, 0.150)


def lambdas(data: Synthetic) -> None:
    import duckdb

    from routebench.evaluate.sweep import LambdaSweep

    outcomes = matrix(data)
    costs = data.costs.mean(axis=0)
    rates = np.concatenate([[0.0], np.geomspace(1e-2, 1e4, N_RATES - 1)])

    def sweep() -> Any:
        return LambdaSweep(MODELS, data.predicted, costs, rates).points(outcomes)

    points = sweep()
    ours = seconds(sweep)
    told(f"{N_RATES} lambdas of a learned router", ours, 0.5)
    predicted = pd.DataFrame(data.predicted, columns=MODELS)

    def loop(rate: float) -> tuple[float, float]:
        score = cost = 0.0
        for place, row in predicted.iterrows():
            chosen = int((row - rate * costs).argmax())
            score += data.scores[place, chosen]
            cost += data.costs[place, chosen]
        return cost / N_CASES, score / N_CASES

    case, model = np.divmod(np.arange(N_CASES * N_MODELS), N_MODELS)
    frame = pd.DataFrame(
        {"case": case, "price": costs[model], "predicted": data.predicted.ravel(),
         "score": data.scores.ravel(), "cost": data.costs.ravel()}
    )  # fmt: skip
    con = duckdb.connect()
    con.register("frame", frame).execute("CREATE TABLE matrix AS SELECT * FROM frame")
    statement = """
        SELECT avg(cost), avg(score) FROM (
            SELECT arg_max(cost, predicted - $1 * price) AS cost, arg_max(score, predicted - $1 * price) AS score
            FROM matrix GROUP BY "case")"""

    def query(rate: float) -> tuple[Any, ...]:
        row = con.execute(statement, [rate]).fetchone()
        assert row is not None
        return row

    for name, work, places in (
        ("a loop over the rows of a pandas frame", loop, (500,)),
        ("an SQL statement", query, (*range(50, 1000, 100),)),
    ):
        start = time.perf_counter()
        answers = [work(float(rates[place])) for place in places]
        one = (time.perf_counter() - start) / len(places)
        expected = [(points.cost_usd[place], points.quality[place]) for place in places]
        np.testing.assert_allclose(answers, expected, rtol=1e-9)
        beside(name, one, N_RATES, ours, len(places))


def matrix(data: Synthetic) -> Any:
    from routebench.evaluate import Cases, Outcomes
    from routebench.evaluate.outcomes import OK
    from routebench.types import Case, Request

    request = Request(({"role": "user", "content": "x"},))
    cases = Cases.of([Case(f"p{number}", request) for number in range(len(data.scores))])
    return Outcomes(
        "synthetic", cases, MODELS, np.full((*data.scores.shape, 1), OK, dtype=np.int8),
        data.scores[:, :, None], data.costs[:, :, None], data.costs[:, :, None],
    )  # fmt: skip


def store(data: Synthetic) -> None:
    outcomes, prompts = data.frames()
    rows = len(outcomes)
    for words, columns in (
        ("", outcomes.drop(columns="response")),
        (" with answers of 150 to 200 characters", outcomes),
    ):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            columns.to_parquet(folder / "o.parquet", index=False)
            prompts.to_parquet(folder / "p.parquet", index=False)
            first, again = child("--importing", name), child("--importing", name)
            assert (first["new"], again["new"], again["changed"]) == (rows, 0, 0)
            told(f"import of {rows:,} outcomes{words}", first["s"], 10, "s")
            told("    its peak memory, interpreter and imports in it", first["peak_mb"], 500, "MB")
            print(f"    before the first row {first['before_mb']:.0f} MB; store of {first['store_mb']:.0f} MB")
            print(f"    the same files again {again['s']:.1f} s, peak {again['peak_mb']:.0f} MB")
            loads = [child("--loading", name) for _ in range(3)]
            told("the matrix from the store, first time in a process", min(one["first_s"] for one in loads), 0.2)
            told("    later times", min(one["later_s"] for one in loads), 0.2)


def import_once(folder: Path) -> dict[str, Any]:
    """Imports the files of a folder in this process."""
    from routebench.importing import import_outcomes
    from routebench.store import Store

    target = Store(folder / "s.duckdb")
    before_mb = peak_mb()
    start = time.perf_counter()
    found = import_outcomes(
        target,
        "synthetic",
        outcomes=folder / "o.parquet",
        prompts=folder / "p.parquet",
        at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return {
        "s": time.perf_counter() - start,
        "before_mb": before_mb,
        "peak_mb": peak_mb(),
        "store_mb": (folder / "s.duckdb").stat().st_size / 2**20,
        "new": found.answers.new,
        "changed": found.answers.changed,
    }


def load(folder: Path) -> dict[str, Any]:
    """Reads the matrix of a folder's store in this process, six times."""
    import routebench.evaluate
    from routebench.matrix import open_outcomes
    from routebench.store import Store

    source = Store(folder / "s.duckdb")
    times = [seconds(lambda: open_outcomes(source, "synthetic"), 1) for _ in range(6)]
    assert isinstance(open_outcomes(source, "synthetic"), routebench.evaluate.Outcomes)
    return {"first_s": times[0], "later_s": min(times[1:])}


def peak_mb() -> float:
    """Largest resident memory of this process: `ru_maxrss` would start at that of the one which started it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def child(*arguments: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def comparing(folder: Path) -> None:
    from routebench.evaluate import compare
    from routebench.importing import import_outcomes
    from routebench.matrix import open_outcomes
    from routebench.store import Store
    from routebench.strategies import with_baselines

    with tempfile.TemporaryDirectory() as name:
        files = {part: folder / f"{SET}.{part}.parquet" for part in ("outcomes", "prompts")}
        what = SET
        if not all(path.is_file() for path in files.values()):
            what = f"synthetic data ({SET} is not in {folder})"
            frames = Synthetic(6108, 9).frames()
            files = {part: Path(name) / f"{part}.parquet" for part in files}
            for path, frame in zip(files.values(), frames, strict=True):
                frame.to_parquet(path, index=False)
        target = Store(Path(name) / "s.duckdb")
        import_outcomes(target, SET, **files, at=datetime(2026, 1, 1, tzinfo=UTC))
        start = time.perf_counter()
        outcomes = open_outcomes(target, SET)
        strategies = with_baselines(LEARNED, outcomes.models)
        compare(outcomes, strategies)
        took = time.perf_counter() - start
    told(f"compare, {len(strategies)} strategies, 5 seeds, {outcomes.n} x {len(outcomes.models)}", took, 30, "s")
    # The bound is for eight: these five learn, and the others are the baselines that are always there.
    print(f"    on {what}; {', '.join(LEARNED)} and the baselines")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ("cascade", "pairs", "lambdas", "store", "compare")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--importing", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--loading", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.importing:
        print(json.dumps(import_once(options.importing)))
    elif options.loading:
        print(json.dumps(load(options.loading)))
    else:
        made = Synthetic()
        for part, work in (("cascade", cascade), ("pairs", pairs), ("lambdas", lambdas), ("store", store)):
            if part in options.only:
                work(made)
        if "compare" in options.only:
            comparing(options.data)
