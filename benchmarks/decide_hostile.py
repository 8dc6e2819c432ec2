"""Hostile patterns and prompts: what they cost at half a million characters and at a million; twice as long is linear.

python benchmarks/decide_hostile.py
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from typing import Any

from routebench.rules import Default, Guard, Router, Rule, RuleSet
from routebench.types import Model

ASKED_MS = 1000
PATTERNS = ["(a+)+$", "(a|aa)+$", "(a|b)*a(a|b){12}c", r"(\w+\s*)+:", "(x+x+)+y", "(.*)*z", r"^(([a-z])+.)+[A-Z]"]
LETTERS = "abcdefghijklmnopqrstuvwxy "
TEXTS = {
    "a": "a", "ab": "ab", "one long word": "abcdefghij", "x y": "x ", "spaces": " ", "line feeds": "\n", "CR LF": "\r\n",
    "digits": "0123456789", "Arabic digits": "\u0660\u0661", "backticks": "`", "fences": "```\n", "braces": "{}",
    "braces, lines": "{\n", "code that ends in spaces": ";          \n", "https://": "https://", "backslashes": "\\",
    "six scripts": "a\u044f\u0628\u4e2d\u0e44\ud55c", "words of scripts": "word \u0441\u043b\u043e \u0643\u0644\u0645 \u4e2d\u6587 ",
    "combining": "e\u0301", "marks only": "\u0301", "marks out of order": "\u0315\u0300\u05ae", "half-width": "\uff76\uff9e",
    "zero width": "\u200b", "bidirectional": "\u202ea", "tag characters": "\U000e0041", "Thai": "\u0e01\u0e33",
    "Arabic": "\u0633\u0651", "Hangul": "\u1112\u1161\u11b8", "emoji": "\U0001f468\u200d\U0001f469", "half a character": "\ud800a",
    "capital I with a dot": "\u0130", "a ligature": "\ufb03", "one that is eighteen": "\ufdfa",
}  # fmt: skip


def nested(depth: int, around: Callable[[Any], Any]) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = around(value)
    return value


def call(name: str, arguments: str) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}}


def asking(content: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


def calling(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*asking("go on"), {"role": "assistant", "content": None, "tool_calls": calls}]


SHAPES: dict[str, Callable[[int], list[dict[str, Any]]]] = {
    "100k messages of one letter": lambda n: asking("a") * (n // 10),
    "100k messages of one part": lambda n: asking([{"type": "text", "text": "a"}]) * (n // 10),
    "100k parts": lambda n: asking([{"type": "text", "text": "a"}] * (n // 10)),
    "100k images": lambda n: asking([{"type": "image_url", "image_url": {"url": "x"}}] * (n // 10)),
    "10k calls of tools": lambda n: calling([call(f"f{one}", '{"a": "b\\n c"}') for one in range(n // 100)]),
    "10k results of tools": lambda n: asking("go on") + [{"role": "tool", "content": '{"a": "b\\n c"}'}] * (n // 100),
    "arguments of 70k keys": lambda n: calling([call("f", json.dumps({f"k{one}": one for one in range(n // 14)}))]),
    "arguments 500k lists deep": lambda n: calling([call("f", "[" * (n // 2) + "]" * (n // 2))]),
    "input 100k lists deep": lambda n: asking(
        [{"type": "tool_use", "name": "f", "input": nested(n // 10, lambda inner: [inner])}]
    ),
    "results 100k results deep": lambda n: asking(
        [nested(n // 10, lambda inner: {"type": "tool_result", "content": [inner]})]
    ),
    "an answer of escapes": lambda n: [*asking("go on"), {"role": "tool", "content": '"' + "\\n" * (n // 2) + '"'}],
    "words, all different": lambda n: asking(" ".join(f"w{one}" for one in range(n // 8))),
    "characters at random": lambda n: asking("".join(map(chr, random.Random(0).choices(range(32, 0xD800), k=n)))),
}  # fmt: skip


def counting() -> dict[str, list[str]]:
    """Fifty patterns with counts, which make a state of an automaton of nearly every character."""
    draw = random.Random(0)
    some = ["".join(sorted(draw.sample(LETTERS[:-2], 12))) for _ in range(50)]
    return {
        "50 patterns like [a-x].{30}A": [rf"[{one}].{{30}}{'ABCDEFGHIJ'[n % 10]}" for n, one in enumerate(some)],
        r"50 patterns like \ba\b.{0,50}\bb\b": [rf"\bword{n}\b.{{0,50}}\bother{n}\b" for n in range(50)],
        "50 patterns like [a-x]{2,20}1": [rf"[{one}]{{2,20}}{n}" for n, one in enumerate(some)],
    }


def router(patterns: list[str]) -> Router:
    made = tuple(Rule(f"r{number}", {"regex": one}, ("large",)) for number, one in enumerate(patterns))
    others = (
        Rule("code", {"has_code": True, "turns": {"gt": 10**9}}, ("large",)),
        Rule("word", {"any_keyword": ["never here", "nowhere", "\u5408\u540c"]}, ("large",)),
        Rule("language", {"language": "th", "words": {"gt": 10**9}}, ("large",)),
    )
    guards = (
        Guard("all", {"in": "any", "any_keyword": ["nobody says so"], "digits": {"gt": 2}}, at_least="large"),
        Guard("earlier", {"in": "history", "any_keyword": ["zebra", "nobody says so"]}, at_least="large"),
        Guard("unread", {"has_images": True, "has_unread": True, "turns": {"lt": 0}}, at_least="large"),
    )
    models = {name: Model(name, "openai", name) for name in ("small", "large")}
    return Router(RuleSet("b", models, Default(route=("small",)), (*made, *others), guards))


def milliseconds(asked: Router, messages: list[dict[str, Any]]) -> float:
    best = float("inf")
    for _ in range(2):
        start = time.perf_counter()
        dict(asked.route(messages).features)
        best = min(best, time.perf_counter() - start)
    return best * 1e3


def line(what: str, asked: Router, make: Callable[[int], list[dict[str, Any]]], size: int = 1_000_000) -> float:
    half, whole = (milliseconds(asked, make(one)) for one in (size // 2, size))
    note = "   MORE THAN ASKED" if whole > ASKED_MS else ""
    print(f"  {what:<40}{half:9.1f} ms {whole:9.1f} ms {whole / half:6.1f} x{note}")
    return whole


def hostile() -> None:
    print(f"hostile, all features   {'500k characters':>33} {'a million':>12}   asked: {ASKED_MS} ms, 2 x")
    one = router(PATTERNS)
    figures = [line(what, one, lambda n, seed=seed: asking(seed * (n // len(seed)))) for what, seed in TEXTS.items()]
    figures += [line(what, one, make) for what, make in SHAPES.items()]
    letters = "".join(random.Random(0).choices(LETTERS, k=1_000_000))
    words = " ".join(f"word{number}" for number in random.Random(0).choices(range(50), k=150_000))
    for what, patterns in counting().items():
        counted = router(patterns)
        for name, text in (("letters", letters), ("words", words)):
            figures.append(line(f"{what}, {name}", counted, lambda n, text=text: asking(text[:n])))
    # Who knows the rules can write a text that has all that a pattern asks for, at the wrong distance.
    what, patterns = next(iter(counting().items()))
    lure = " ".join(f"{LETTERS[:-2]}{capital}" for capital in "ABCDEFGHIJ") + "\n"
    print("  of a tenth of the length:")
    figures.append(line(f"{what}, lured", router(patterns), lambda n: asking(lure + letters[:n]), 100_000))
    print(f"  {sum(figure <= ASKED_MS for figure in figures)} of {len(figures)} within {ASKED_MS} ms")


if __name__ == "__main__":
    hostile()
