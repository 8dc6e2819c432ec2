"""The main job from beginning to end, on embedded models or on their recorded answers."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from importlib.resources import as_file
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routebench.bench import Bench
from routebench.dash.comparing import ComparePanel
from routebench.dash.tables import mix_rows
from routebench.errors import ConfigError, InputError
from routebench.evaluate import Comparison
from routebench.evaluate.examples import RoutedCase, routed_badly, routed_well
from routebench.evaluate.frontier import single_models
from routebench.evaluate.splits import split
from routebench.messages import last_user_text
from routebench.store.store import scratch_folder
from routebench.strategies import Decisions
from routebench.suites.starter import DEMO

if TYPE_CHECKING:
    from rich.console import Console

    from routebench.tune import Tuned

TODAY = "litellm-default.jsonl"
"""The file of decisions of the router of today."""
_FILES = ("bench.yaml", "starter.jsonl", "starter-shots.jsonl", "starter-json-shots.jsonl", TODAY)
_RECORDING = "recorded.jsonl.gz"
LIVE_VARIABLE = "ROUTEBENCH_LIVE"
"""Environment variable with which the notebooks ask the embedded models themselves, and not their recording."""
_SEED = 42
_LABEL = (
    "Three of the four models are configurations of one checkpoint, SmolLM2-135M-Instruct. Costs are nominal: "
    "measured CPU seconds at the rate in bench.yaml. The router of today is a stand-in: what LiteLLM's complexity "
    "router, as it comes, decided for every case when it was really asked."
)
_GEMMA = """\
  - name: gemma-few
    provider: embedded
    model: gemma3-270m
    few_shot: starter-shots.jsonl
    params: {temperature: 0, seed: 0, max_tokens: 12, stop: ["\\n"], cache_prompt: false}
    price: {cpu_usd_per_hour: 0.05}
"""


def demonstrate(
    out: Path, console: Console, *, gemma: bool = False, accept_gemma_terms: bool = False, recorded: bool = False
) -> dict[str, Any]:
    """Runs the starter suite, compares, tunes, writes rules.yaml and report.html, and says what came out.

    Args:
        out: the folder; a bench.yaml that is already there is used as it is.
        console: where progress and tables go.
        gemma: also run Gemma 3 270M, a base model under the Gemma Terms of Use.
        accept_gemma_terms: the user has accepted them.
        recorded: answer from the packaged recording, without a model.

    Returns:
        The JSON form that `demo --json` prints; `left` counts the calls that an interrupt kept from being sent.

    Raises:
        ConfigError: Gemma was asked for without accepting its terms.
    """
    # Late: who opens the panel waits for neither the terminal nor the report.
    from routebench.dash.terminal import comparison_table, plan_table, watch
    from routebench.report import write_report

    if gemma and not accept_gemma_terms:
        raise ConfigError(
            "Gemma is under the Gemma Terms of Use (https://ai.google.dev/gemma/terms); read them, then add "
            "--accept-gemma-terms"
        )
    start = time.monotonic()
    lay_out(out, gemma=gemma)
    bench = Bench(out / "bench.yaml", recorded=recording() if recorded else None)
    plan = bench.plan()
    console.print(f"[bold]1 Plan[/bold]  {plan}")
    console.print(plan_table(plan))
    console.print(f"[bold]2 Run[/bold]  {_LABEL}")
    progress = watch(bench.run(plan), console)
    if progress.left:
        console.print(f"{progress.left} calls were not sent ({progress.status}); the same command goes on from here")
        return {"out": str(out), "store": str(bench.store.path), "calls": progress.calls, "left": progress.left}
    console.print("[bold]3 Compare[/bold]  on held-out halves, five splits")
    today = Decisions(out / TODAY)
    tuned = _tune(bench, today)
    comparison = bench.compare([today, "rules", "similarity"])
    for one in comparison.readings:
        if one.is_finding:
            console.print(one.text, highlight=False)
    console.print(comparison_table(comparison))
    console.print("[bold]4 Tune[/bold]  on the training half of the first split")
    console.print(tuned.reading, highlight=False)
    rules = tuned.export(out / "rules.yaml")
    console.print(comparison_table(tuned.comparison))
    console.print(_mix_table(tuned.comparison))
    _print_cases(console, "Routed well", routed_well(tuned.comparison, tuned.own.name))
    _print_cases(console, "Routed badly", routed_badly(tuned.comparison, tuned.own.name))
    report = write_report(
        out / "report.html", tuned.comparison, store=bench.store, tuned=tuned, demo=True, notes=_LABEL
    )
    elapsed_s = time.monotonic() - start
    console.print(f"[bold]5 What next[/bold]  ({elapsed_s:.0f} s so far)")
    console.print(
        f"  open {report}\n"
        f"  routebench check {rules}\n"
        f'  routebench explain {rules} --prompt "What is 12 * 12?"\n'
        f"  edit {out / 'bench.yaml'}: your own suite and models; then routebench run, compare, tune",
        highlight=False,
    )
    return {
        "out": str(out),
        "store": str(bench.store.path),
        "rules": str(rules),
        "report": str(report),
        "calls": progress.calls,
        "left": 0,
        "spent_usd": progress.spent_usd,
        "elapsed_s": elapsed_s,
        "tuned": tuned.as_dict(),
        "comparison": comparison.as_dict(),
    }


def lay_out(out: Path, *, gemma: bool = False) -> None:
    """Writes the demonstration's bench.yaml and suite into a folder, unless they are there.

    Raises:
        InputError: the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            if not (out / name).exists():
                with as_file(DEMO / name) as source:
                    shutil.copyfile(source, out / name)
        if gemma and "gemma-few" not in (text := (out / "bench.yaml").read_text(encoding="utf-8")):
            (out / "bench.yaml").write_text(text.replace("stakes_usd:\n", f"{_GEMMA}stakes_usd:\n"), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}); choose another folder with --out") from None


def recording() -> Path:
    """Returns the packaged answers of the demonstration's models, for `Bench(..., recorded=recording())`."""
    with as_file(DEMO / _RECORDING) as path:
        return path


def starter(folder: str | Path | None = None, *, live: bool | None = None) -> Bench:
    """Opens the starter suite, to look around; what is in its folder already stays.

    Args:
        folder: where it is laid out; a new temporary one when left out.
        live: whether the embedded models themselves answer, which takes minutes, and not their recording; when left
            out, where the environment variable ROUTEBENCH_LIVE is set.

    Raises:
        InputError: the folder cannot be written.
    """
    place = Path(tempfile.mkdtemp(prefix="routebench-starter-")) if folder is None else Path(folder)
    lay_out(place)
    asked = bool(os.environ.get(LIVE_VARIABLE)) if live is None else live
    return Bench(place / "bench.yaml", recorded=None if asked else recording())


def demo() -> ComparePanel:
    """Opens the compare panel on packaged answers of the embedded models; no model is installed or run.

    It opens with the router of today: a popular one with its default settings, as it decided for every case.
    """
    # As long as the process lasts: who opens a case reads its answers in the store.
    out = scratch_folder()
    lay_out(out)
    bench = Bench(out / "bench.yaml", recorded=recording())
    bench.run().wait()
    return ComparePanel(bench.compare([Decisions(out / TODAY), "rules"], seeds=(_SEED,)), demo=True)


def _tune(bench: Bench, today: Decisions) -> Tuned:
    """Asks for the best quality at no more than the best single model costs."""
    outcomes = bench.outcomes()
    train = outcomes.take(split(outcomes, _SEED)[0])
    best = max(single_models(train), key=lambda single: single.quality)
    cap = None if best.cost_usd is None else 1000 * best.cost_usd
    return bench.tune(seed=_SEED, beside=[today], max_cost_usd_per_1k=cap)


def _mix_table(comparison: Comparison) -> Any:
    from routebench.dash.terminal import table

    names = [one.name for one in comparison.evaluations if one.kind != "model"]
    rows = [(name, *(f"{share:.0%}" for share in shares)) for name, shares in mix_rows(comparison, names)]
    return table(("share answered by", *comparison.models, "nobody"), rows)


def _print_cases(console: Console, title: str, cases: list[RoutedCase]) -> None:
    from routebench.report import sentence

    console.print(f"[bold]{title}[/bold]")
    for one in cases:
        prompt = " ".join(last_user_text(one.case.request.messages).split())
        console.print(f"  {one.case.id}: {prompt[:90]}\n    {sentence(one)}", highlight=False, markup=False)
    if not cases:
        console.print("  none")
