"""What deciding costs, side by side with other ways in one run: ratios matter, microseconds depend on the machine.

python benchmarks/decide.py                            ours, and a loop over `re`
python benchmarks/decide.py --peers-python PYTHON      LiteLLM and semantic-router from another environment
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from decide_hostile import hostile

from routebench.embedding import find_embedder
from routebench.errors import MissingDependencyError
from routebench.rules import Budget, Default, Guard, HealthPolicy, Learned, Reading, Router, Rule, RuleSet
from routebench.rules.conditions.patterns import PatternSet
from routebench.rules.learned.embedded import EmbedderSpec
from routebench.rules.learned.features import FeatureSpec
from routebench.rules.learned.head import LinearHead
from routebench.rules.learned.library import Library, Usage, build_library
from routebench.rules.learned.utility import UtilityHead
from routebench.types import Answer, Model, Request

HERE = Path(__file__).parent
SENTENCE = "Please summarise the following notes for a new colleague, and keep every figure as it is. "
SHORT, LONG = SENTENCE * 9, SENTENCE * 91
"""About 200 tokens, and 8 KB."""
ASKED_RATIO = 5
N_RULES = 50
PATTERNS = [rf"(?i)\bword{number}\s+[a-z]+ing\b" for number in range(N_RULES)]
ANSWER = Answer("well", latency_s=1.0, cost_usd=0.001)
NINE = tuple(f"m{number}" for number in range(9))
MODELS = {name: Model(name, "openai", name) for name in ("small", "large")}


def microseconds(work: Callable[[], object], repeat: int = 200) -> float:
    best = float("inf")
    work()
    for _ in range(9):
        start = time.perf_counter()
        for _ in range(repeat):
            work()
        best = min(best, (time.perf_counter() - start) / repeat)
    return best * 1e6


def line(what: str, short: float, long: float, asked_us: float | None = None, note: str = "") -> None:
    if asked_us is not None:
        met = short <= asked_us and long <= ASKED_RATIO * short
        note = f"asked: {asked_us:g} us, {ASKED_RATIO} x{'' if met else '   NOT MET'}"
    print(f"  {what:<56}{short:9.1f} us {long:9.1f} us {long / short:6.1f} x   {note}".rstrip())


def title(what: str) -> None:
    print(f"{what:<56}{'200 tokens':>14}{'8 KB':>13}{'ratio':>9}")


def asking(text: str) -> Request:
    return Request(({"role": "user", "content": text},))


def both(work: Callable[[Request], object], repeat: int = 200) -> tuple[float, float]:
    short, long = asking(SHORT), asking(LONG)
    return microseconds(lambda: work(short), repeat), microseconds(lambda: work(long), max(repeat // 5, 1))


def rules(**known: Any) -> Router:
    made = tuple(Rule(f"r{number}", {"regex": one}, ("large",)) for number, one in enumerate(PATTERNS))
    return Router(RuleSet("b", MODELS, Default(route=("small", "large")), made, **known))


def watched() -> Router:
    """The same rules, with the health of models and the spend of the day counted."""
    return rules(health=HealthPolicy(), budget=Budget(usd_per_day=1e9))


def many_conditions() -> Router:
    """A rule set such as people have: guards on keywords, and rules of every kind."""
    kinds: list[dict[str, Any]] = [
        {"any_keyword": ["invoice", "refund", "chargeback"]},
        {"regex": r"(?i)\btranslate\b"},
        {"words": {"gt": 5000}},
        {"has_code": True},
        {"language": "de"},
        {"all_keywords": ["terms", "court"]},
        {"has_tools": True, "turns": {"ge": 3}},
        {"digits": {"gt": 0.5}},
    ]
    made = tuple(Rule(f"r{number}", kinds[number % len(kinds)], ("large",)) for number in range(N_RULES))
    guards = (
        Guard("legal", {"any_keyword": ["contract", "indemnity", "non disclosure"]}, at_least="large"),
        Guard("residency", {"metadata.data_class": "eu"}, only=("large",)),
    )
    return Router(RuleSet("b", MODELS, Default(route=("small", "large")), made, guards))


def matching() -> None:
    title(f"{N_RULES} regex rules")
    sets = PatternSet()
    for pattern in PATTERNS:
        sets.add(pattern)
    line("matching alone", *both(lambda request: sets.found(Reading(request).text("user"))), 15)
    router = rules()
    line("Router.route, all of it", *both(lambda request: router.route(request.messages)), 60)
    compiled = [re.compile(pattern) for pattern in PATTERNS]
    line(
        "for comparison: a loop over `re`",
        *both(lambda request: any(one.search(request.messages[0]["content"]) for one in compiled), 20),
    )
    router = watched()
    line("Router.route with health and a budget", *both(lambda request: router.route(request.messages)), 60)
    line("    and observe", *both(lambda request: observed(router, request)))
    router = many_conditions()
    line("Router.route, keywords, language, code, guards, …", *both(lambda request: router.route(request.messages)))


def observed(router: Router, request: Request) -> None:
    router.observe(router.route(request.messages).chain[0], ANSWER)


def learned(folder: Path) -> None:
    title("learned, without an embedding")
    rng = np.random.default_rng(0)
    spec = FeatureSpec(hashed_words=512, surface=True)
    head = LinearHead(rng.normal(size=(1, spec.width)), np.zeros(1), spec)
    line(
        "features and a linear head, 512 hashed words + surface",
        *both(lambda request: head.outputs(Reading(request))),
        300,
    )
    sha256 = head.save(folder / "head.safetensors")
    text = f"""
schema: routebench/rules/v1
name: b
models: {{small: {{provider: openai, model: s}}, large: {{provider: openai, model: l}}}}
complexity:
  classifier: {{kind: logistic, artifact: head.safetensors, sha256: "{sha256}"}}
  tiers: [{{below: 0.5, route: [small, large]}}, {{route: [large, small]}}]
default: {{route: [small]}}
"""
    router = Router(RuleSet.parse(text, folder=folder))
    line("Router.route with that classifier", *both(lambda request: router.route(request.messages)))
    many = UtilityHead(
        LinearHead(rng.normal(size=(len(NINE), spec.width)), np.zeros(len(NINE)), spec, "identity"), NINE
    )
    models = {name: Model(name, "openai", name) for name in NINE}
    nine = Router(RuleSet("b", models, Default(route=NINE[:1]), learned=Learned({}, many.halved())))
    line("Router.route with a head of nine models", *both(lambda request: nine.route(request.messages)), 300)
    words = " ".join(f"word{number}" for number in rng.integers(0, 4000, 130))
    alone = microseconds(lambda: nine.route([{"role": "user", "content": words}]))
    print(f"  {'    130 words of which hardly two are the same':<56}{alone:9.1f} us")
    n_bytes = many.save(folder / "many.safetensors") and (folder / "many.safetensors").stat().st_size
    print(f"  {'    its artifact':<56}{n_bytes / 1024:9.1f} KiB   asked: 16 KiB")


def similar() -> None:
    title("similarity, on one thread")
    rng = np.random.default_rng(0)
    # As words are in texts: the n-th most frequent one comes n times as seldom as the first.
    words = np.array([f"word{number}" for number in range(30_000)])
    often = 1 / np.arange(1, len(words) + 1)
    texts = [" ".join(one) for one in rng.choice(words, (100_000, 60), p=often / often.sum())]
    asked = (asking(" ".join(texts[:2])), asking(" ".join(texts[:20])))
    readings = [Reading(asking(text)) for text in texts]
    for n in (10_000, 100_000):
        library = build_library(readings[:n], rng.random((n, 9)), (None,) * 9, NINE)
        searched(f"hashed words, {n:,} past prompts", library, asked)
    learning(library, readings[0])
    rows = directions(100_000, rng)
    spec, unknown = EmbedderSpec("r", "r", 384), np.full(9, np.nan)
    for k in (24, 192):
        library = Library.of(rows, rng.random((len(rows), 9)), unknown, NINE, spec, Usage(k=k), Rows(rows))
        searched(f"384 numbers by an embedder, 100,000 past prompts, k={k}", library, asked)
    embedded(asked)


def searched(what: str, library: Library, asked: Sequence[Request]) -> None:
    short, long = (microseconds(partial(ranked, library, one), 20) for one in asked)
    line(what, short, long, note=f"asked: 6000 us{'' if short <= 6000 else '   NOT MET'}")


def ranked(library: Library, request: Request) -> object:
    return library.rank(Reading(request))


def learning(library: Library, reading: Reading) -> None:
    grown = library.opened()
    began = time.perf_counter()
    grown.learn(reading, {"m0": 1.0})
    first = time.perf_counter() - began
    each = microseconds(partial(grown.learn, reading, {"m0": 1.0}), 50)
    print(f"    learning one more {each:.0f} us; the first, which copies the library, {first * 1e3:.0f} ms")


def directions(n: int, rng: np.random.Generator) -> Any:
    """Rows that lie as sentences' vectors do: around a few hundred topics, with less and less in each axis."""
    scale = np.arange(1, 385) ** -0.35
    topics = rng.normal(size=(500, 384)) * scale
    rows = (topics[rng.integers(500, size=n)] + rng.normal(size=(n, 384)) * scale).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Rows:
    """Answers with one row after the other, so that searching alone is measured."""

    name, key, dim = "r", "r", 384

    def __init__(self, rows: Any) -> None:
        self._rows = itertools.cycle(rows[::997])

    def embed(self, texts: Sequence[str]) -> Any:
        return np.array([next(self._rows) for _ in texts])


def embedded(asked: Sequence[Request]) -> None:
    try:
        minilm = find_embedder("minilm")
    except MissingDependencyError as error:
        print(f"  {error}")
        return
    texts = [Reading(one).text("user").text for one in asked]
    line("MiniLM, one text", *(microseconds(partial(minilm.embed, [text]), 3) for text in texts), note="no bar")


def threads() -> None:
    print("threads, decisions in a second on 200 tokens       one thread       sixteen    ratio")
    request = asking(SHORT)
    plain, counting = rules(), watched()
    works: dict[str, Callable[[], object]] = {
        "route": lambda: plain.route(request.messages),
        "route with health and a budget": lambda: counting.route(request.messages),
        "    and observe": lambda: observed(counting, request),
    }
    for what, work in works.items():
        alone, many = (max(per_second(work, number) for _ in range(5)) for number in (1, 16))
        print(f"  {what:<44}{alone:15,.0f} {many:13,.0f} {many / alone:6.2f} x   asked: no contention, about 1 x")


def per_second(work: Callable[[], object], n_threads: int) -> float:
    each = 4000 // n_threads
    start = threading.Barrier(n_threads + 1)

    def run() -> None:
        start.wait()
        for _ in range(each):
            work()

    running = [threading.Thread(target=run) for _ in range(n_threads)]
    for one in running:
        one.start()
    start.wait()
    begun = time.perf_counter()
    for one in running:
        one.join()
    return n_threads * each / (time.perf_counter() - begun)


def loading() -> None:
    print("loading 500 rules")
    kinds: list[Callable[[int], dict[str, Any]]] = [
        lambda n: {"regex": rf"(?i)\bword{n}\s+[a-z]+ing\b"},
        lambda n: {"any_keyword": [f"alpha{n}", f"beta{n}"]},
        lambda n: {"input_tokens": {"gt": 9000 - n}, "is_question": True},
        lambda n: {"all_keywords": [f"x{n}", f"y{n}"], "words": {"lt": 50}},
    ]
    mixed = ruleset_of([kinds[number % 4](number) for number in range(500)])
    ranges = ruleset_of([{"words": {"gt": n}, "characters": {"gt": 9000 - n}} for n in range(500)])
    for what, text in (("of every kind", mixed), ("of ranges only", ranges)):
        took = microseconds(partial(loaded, text), 1) / 1e3
        print(f"  {what}, in a running process {took:.0f} ms   asked: 100 ms{'' if took <= 100 else '   NOT MET'}")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as file:
        file.write(mixed)
    code = (
        "import time; a = time.perf_counter(); from routebench.rules import Router; b = time.perf_counter();"
        f"Router.load({file.name!r}); print(b - a, time.perf_counter() - b)"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(5)]
    pairs = [tuple(float(one) for one in run.stdout.split()) for run in runs]
    imported, first = (min(column) for column in zip(*pairs, strict=True))
    Path(file.name).unlink()
    print(
        f"  the first of a process {first * 1e3:.0f} ms, after {imported * 1e3:.0f} ms of import   asked: import 200 ms"
    )


def ruleset_of(whens: Sequence[dict[str, Any]]) -> str:
    made = tuple(Rule(f"r{number}", when, ("large", "small")) for number, when in enumerate(whens))
    return RuleSet("b", MODELS, Default(route=("small",)), made).to_yaml()


def loaded(text: str) -> Router:
    return Router(RuleSet.parse(text))


def peers(pythons: Sequence[str]) -> None:
    ours, _ = both(lambda request: ROUTER.route(request.messages))
    for python in pythons:
        done = subprocess.run(
            [python, str(HERE / "decide_peers.py")], input=json.dumps({"short": SHORT, "long": LONG}),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            print(f"  {python}: {done.stderr.strip().splitlines()[-1]}")
            continue
        for one in json.loads(done.stdout.strip().splitlines()[-1]):
            short, long = one["us"]["short"], one["us"]["long"]
            line(one["name"], short, long, note=f"{short / ours:.0f} x our route with {N_RULES} rules")


ROUTER = rules()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers-python", action="append", default=[])
    asked = parser.parse_args()
    matching()
    with tempfile.TemporaryDirectory() as folder:
        learned(Path(folder))
    similar()
    threads()
    loading()
    hostile()
    title("others")
    peers([sys.executable, *asked.peers_python])


if __name__ == "__main__":
    main()
