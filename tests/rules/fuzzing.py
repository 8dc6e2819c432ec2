"""Mutated rule files: whatever is in them, loading gives a rule set or a RulesError, soon.

`python -m tests.rules.fuzzing --n 100000` runs as many as you like; the tests run a few hundred.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from routebench.errors import NoEligibleModelError, RulesError
from routebench.rules import Router, RuleSet, check_golden
from routebench.types import Answer

SEEDS = sorted((Path(__file__).parent / "v1").glob("*.yaml"))
_SLOW_S = 0.5
LONGEST_S = 5.0
"""No file of a few kilobytes may take longer, even on a slow machine."""

_JUNK = (
    "\x00", "\ufeff", "\u2028", "\ud83d\ude00", "\u202e", "\t", "- ", ": ", "&a ", "*a", "!!python/object:os.system ",
    "<<: ", "{", "}", "[", "]", "'", '"', "|", ">", "%", "@", "#", "? ", "---\n", "...\n", "!!binary ", "~", "\r",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**70, 0.5, float("nan"), float("inf"), "", "small", "lrage", " ", "x" * 300, [], {},
    [[]], [None], {"a": 1}, ["small", "small"], "(", "(?=x)", "(a+)+$", "\\p{Greek}", "[[:alpha:]]", "a{1000}{1000}",
    "a{99999}", "(?P<n>x)", "\ud800", "é", "2026-11-25", {"gt": 1, "lt": 0}, {"gt": "x"}, {"any": [{"not": {}}]},
    {"when": {}}, {"share": 1}, [{"below": 0.1, "route": ["small"]}],
)  # fmt: skip
_KEYS = (
    "when", "route", "only", "never", "at_least", "regions", "any", "all", "not", "regex", "any_keyword", "metadata.x",
    "metadata", "in", "time", "budget_pace", "cascade", "tiers", "classifier", "library", "mix", "default", "schema",
    "models", "order", "deployments", "price", "params", "golden", "evidence", "sha256", "artifact", "langauge", "", 3,
)  # fmt: skip


def mutants(number: int, seed: int) -> Iterator[str]:
    """Yields so many mutated files, the same for the same seed."""
    rng = random.Random(seed)
    texts = [path.read_text(encoding="utf-8") for path in SEEDS]
    trees = [yaml.safe_load(text) for text in texts]
    for _ in range(number):
        if rng.random() < 0.5:
            yield _mutated_text(rng, rng.choice(texts), texts)
        else:
            yield _mutated_tree(rng, rng.choice(trees))


def try_one(text: str, folder: Path) -> str:
    """Loads one file and, where it loads, uses it; returns what became of it.

    Raises:
        Exception: what nobody should ever see.
    """
    try:
        ruleset = RuleSet.parse(text, folder=folder)
    except RulesError:
        return "refused"
    router = Router(ruleset, ask=lambda *_: Answer("7"))
    for request in ({}, {"tools": [{"type": "function"}]}, {"metadata": {"tenant": "acme", "x": [1]}}):
        with contextlib.suppress(NoEligibleModelError):
            router.route([{"role": "user", "content": "Please generate a table of 12 contracts\n\ud800"}], **request)
    check_golden(ruleset)
    again = RuleSet.parse(ruleset.to_yaml(), folder=folder)
    assert again.policy_sha256 == ruleset.policy_sha256, "written and read again it is another"
    return "loaded"


def main() -> None:
    """Runs many, prints what became of them, and every file that did what none should."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    counts: Counter[str] = Counter()
    slowest, begun = 0.0, time.perf_counter()
    for number, text in enumerate(mutants(asked.n, asked.seed)):
        start = time.perf_counter()
        with _alarm():
            try:
                counts[try_one(text, SEEDS[0].parent)] += 1
            except Exception:  # noqa: BLE001 - finding them is what this is for
                counts["broken"] += 1
                _say(f"--- {number}", ascii(text), traceback.format_exc(limit=-4))
        took_s = time.perf_counter() - start
        if took_s > max(slowest, _SLOW_S):
            _say(f"--- {number} took {took_s:.2f} s", ascii(text))
        slowest = max(slowest, took_s)
    _say(str(dict(counts)), f"slowest {slowest * 1e3:.0f} ms, {time.perf_counter() - begun:.0f} s in all")


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise TimeoutError(f"more than {LONGEST_S} s")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _mutated_text(rng: random.Random, text: str, others: list[str]) -> str:
    for _ in range(rng.choice((1, 1, 2, 4))):
        text = rng.choice(_TEXT_WAYS)(rng, text, others)
    return text


def _cut(rng: random.Random, text: str, _others: list[str]) -> str:
    start = rng.randrange(len(text) + 1)
    return text[:start] + text[start + rng.randrange(40) :]


def _junk(rng: random.Random, text: str, _others: list[str]) -> str:
    place = rng.randrange(len(text) + 1)
    return text[:place] + rng.choice(_JUNK) + text[place:]


def _changed_character(rng: random.Random, text: str, _others: list[str]) -> str:
    if not text:
        return text
    place = rng.randrange(len(text))
    return text[:place] + chr(rng.choice((rng.randrange(1, 128), rng.randrange(128, 0xD800)))) + text[place + 1 :]


def _changed_lines(rng: random.Random, text: str, others: list[str]) -> str:
    lines = text.split("\n")
    place = rng.randrange(len(lines))
    way = rng.randrange(5)
    if way == 0:
        del lines[place]
    elif way == 1:
        lines.insert(place, lines[rng.randrange(len(lines))])
    elif way == 2:
        lines[place] = " " * rng.randrange(4) + lines[place].lstrip()
    elif way == 3:
        other = rng.choice(others).split("\n")
        lines[place : place + rng.randrange(6)] = other[rng.randrange(len(other)) :][: rng.randrange(12)]
    else:
        other_place = rng.randrange(len(lines))
        lines[place], lines[other_place] = lines[other_place], lines[place]
    return "\n".join(lines)


_TEXT_WAYS: tuple[Callable[[random.Random, str, list[str]], str], ...] = (
    _cut,
    _junk,
    _changed_character,
    _changed_lines,
    _changed_lines,
)


def _mutated_tree(rng: random.Random, tree: Any) -> str:
    tree = _copy(tree)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        place = _somewhere(rng, tree)
        if isinstance(place, dict) and place:
            key = rng.choice(list(place))
            way = rng.randrange(4)
            if way == 0:
                del place[key]
            elif way == 1:
                place[rng.choice(_KEYS)] = rng.choice((_copy(place[key]), rng.choice(_VALUES)))
            elif way == 2:
                place[_typo(rng, str(key))] = place.pop(key)
            else:
                place[key] = rng.choice(_VALUES)
        elif isinstance(place, list) and place:
            index = rng.randrange(len(place))
            place[index] = rng.choice((rng.choice(_VALUES), _copy(rng.choice(place))))
            if rng.random() < 0.3:
                place.append(_copy(rng.choice(place)))
    return yaml.safe_dump(tree, allow_unicode=rng.random() < 0.5, sort_keys=False)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value


def _somewhere(rng: random.Random, tree: Any) -> Any:
    here = tree
    while rng.random() < 0.8:
        inner = [one for one in (here.values() if isinstance(here, dict) else here) if isinstance(one, (dict, list))]
        if not inner:
            break
        here = rng.choice(inner)
    return here


def _typo(rng: random.Random, key: str) -> str:
    place = rng.randrange(len(key) + 1)
    return key[:place] + rng.choice(("", "s", "_", key[place : place + 1] * 2)) + key[place + 1 :]


if __name__ == "__main__":
    main()
