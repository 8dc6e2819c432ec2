"""Patterns as LiteLLM allows them: repetitions of one character or class, 64 times at most, within a bound on work.

LiteLLM estimates the work of a pattern before it takes it: what alternatives and repetitions leave open multiplies
along the pattern. The same estimate is made here, so that a config is refused by us and not by a proxy that starts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from re import _constants as opcodes  # type: ignore[attr-defined]  # the one public way to it is deprecated
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

MOST_WORK = 2_048
MOST_WORK_OF_ALL = 8_192
_LONGEST = 256
_DEEPEST = 16
_MOST_REPEATS = 64
_OPEN_REPEATS = (24, 12, 6, 3)
"""What stands for `+` and `*`: the most that the bound on work leaves room for."""
_SINGLE = frozenset({opcodes.LITERAL, opcodes.NOT_LITERAL, opcodes.ANY, opcodes.IN, opcodes.CATEGORY})
_REPEATS = frozenset({opcodes.MAX_REPEAT, opcodes.MIN_REPEAT})


class RefusedPatternError(Exception):
    """LiteLLM does not take a pattern; the text says why."""


class _Cost(NamedTuple):
    paths: int
    steps: int


def bounded(pattern: str) -> tuple[str, ...]:
    """Returns the patterns of which one is found where a pattern of ours is, but for very long repetitions.

    Args:
        pattern: in RE2's words.

    Raises:
        RefusedPatternError: there are none that LiteLLM takes.
    """
    flags, rest = "", pattern
    while (found := re.match(r"\(\?([imsU]+)\)", rest)) is not None:
        flags, rest = flags + found[1], rest[found.end() :]
    if "U" in flags or re.search(r"\\[pPQzC]|\[\[:", rest):
        raise RefusedPatternError("its patterns know no classes of Unicode and no quoting")
    kept = "".join(sorted(set(flags) & set("ms")))
    return tuple(_fitting(f"(?{kept}:{part})" if kept else part) for part in _alternatives(rest))


def _fitting(pattern: str) -> str:
    *longer, least = _OPEN_REPEATS
    for most in longer:
        closed = _closed(pattern, most)
        try:
            work(closed)
        except RefusedPatternError:
            continue
        return closed
    closed = _closed(pattern, least)
    work(closed)
    return closed


def work(pattern: str) -> int:
    """Returns LiteLLM's estimate of a pattern's work.

    Raises:
        RefusedPatternError: it takes no such pattern.
    """
    if len(pattern) > _LONGEST:
        raise RefusedPatternError(f"its patterns have {_LONGEST} characters at most")
    try:
        re.compile(pattern, re.IGNORECASE)
        parsed = parser.parse(pattern, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        raise RefusedPatternError(f"Python's `re` does not read it: {error}") from None
    steps = _of_sequence(parsed, 0).steps
    if steps > MOST_WORK:
        raise RefusedPatternError("a pattern leaves too much open for its bound on work")
    return steps


def _alternatives(pattern: str) -> list[str]:
    """The pattern at its outermost `|`: several small patterns are less work than one that tries all."""
    parts, depth, start = [], 0, 0
    tokens = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[()|]", re.DOTALL)
    for found in tokens.finditer(pattern):
        if found[0] == "(":
            depth += 1
        elif found[0] == ")":
            depth -= 1
        elif found[0] == "|" and depth == 0:
            parts.append(pattern[start : found.start()])
            start = found.end()
    return [*parts, pattern[start:]]


def _closed(pattern: str, most: int) -> str:
    """The pattern with an end to each repetition."""

    def close(found: re.Match[str]) -> str:
        if found["kept"] is not None:
            return found["kept"]
        if found["least"] is not None:
            return f"{{{found['least']},{max(most, int(found['least']))}}}"
        return f"{{{'1' if found['sign'] == '+' else '0'},{most}}}"

    return re.sub(
        r"(?P<kept>\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|\{(?P<least>\d+),\}|(?P<sign>[+*])", close, pattern, flags=re.DOTALL
    )


def _of_sequence(nodes: Iterable[Any], depth: int) -> _Cost:
    if depth > _DEEPEST:
        raise RefusedPatternError(f"its patterns nest {_DEEPEST} levels deep at most")
    paths, steps = 1, 1
    for node in nodes:
        cost = _of_node(node, depth)
        steps += cost.steps * paths
        paths *= cost.paths
    return _Cost(paths, steps)


def _of_node(node: Any, depth: int) -> _Cost:
    opcode, argument = node
    if opcode in _SINGLE:
        return _Cost(1, _of_single(node))
    if opcode is opcodes.AT:
        return _Cost(1, 1)
    if opcode is opcodes.SUBPATTERN:
        return _of_sequence(argument[-1], depth + 1)
    if opcode is opcodes.BRANCH:
        costs = [_of_sequence(branch, depth + 1) for branch in argument[1]]
        return _Cost(sum(cost.paths for cost in costs), len(costs) + sum(cost.steps for cost in costs))
    if opcode in _REPEATS:
        least, most, body = argument
        if most > _MOST_REPEATS or len(body) != 1 or body[0][0] not in _SINGLE:
            raise RefusedPatternError(f"its patterns repeat one character or class, {_MOST_REPEATS} times at most")
        left = most - least + 1
        return _Cost(left, 1 + most * _of_single(body[0]) + left)
    raise RefusedPatternError("its patterns look neither ahead nor back, and know no back references")


def _of_single(node: Any) -> int:
    return 1 + len(node[1]) if node[0] is opcodes.IN else 1


def total(patterns: Iterable[str]) -> int:
    """Returns the work of several patterns."""
    return sum(work(one) for one in patterns)
