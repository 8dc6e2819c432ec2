"""Graded traces told to a router: what it learns, what it leaves out, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import routebench as rb
from routebench.errors import InputError, RulesError
from routebench.rules import Router, RuleSet
from routebench.rules.learned.library import build_library
from routebench.rules.reading.request import Reading
from routebench.traces import Attempt, Trace, TraceWriter, frame_of
from routebench.types import Request

RULES = """\
schema: routebench/rules/v1
name: team
models:
  small: {{provider: openai, model: small, base_url: "http://127.0.0.1:9/v1", price: {{input_usd_per_mtok: 0, output_usd_per_mtok: 0}}}}
  large: {{provider: openai, model: large, base_url: "http://127.0.0.1:9/v1", price: {{input_usd_per_mtok: 0, output_usd_per_mtok: 0}}}}
  other: {{provider: openai, model: other, base_url: "http://127.0.0.1:9/v1", price: {{input_usd_per_mtok: 0, output_usd_per_mtok: 0}}}}
{similarity}
default: {{route: [small]}}
"""


def asked(text: str) -> tuple[dict[str, str], ...]:
    return ({"role": "user", "content": text},)


def router(folder: Path) -> Router:
    """Of a library in which `small` bakes well and `large` sails well."""
    texts = ["bake bread", "bake a cake", "sail a boat", "sail the sea"]
    scores = np.array([[1, 0, np.nan], [1, 0, np.nan], [0, 1, np.nan], [0, 1, np.nan]], dtype=float)
    library = build_library(
        [Reading(Request(asked(text))) for text in texts], scores, [0.0, 0.0, 0.0], ["small", "large", "other"]
    )
    digest = library.save(folder / "past.json")
    similarity = f'similarity: {{library: {{artifact: past.json, sha256: "{digest}"}}, k: 2, shrinkage: 0.1}}'
    return Router(RuleSet.parse(RULES.format(similarity=similarity), folder=folder))


def trace(number: int, text: str | None, model: str | None = "large", **own: Any) -> Trace:
    given = {
        "trace_id": f"t{number}",
        "at": 1_796_000_000.0 + number,
        "gateway": "g",
        "rules": "team",
        "policy": "a" * 12,
        "status": 200,
        "outcome": "ok",
        "streamed": False,
        "latency_s": 1.0,
        "model": model,
        "attempts": (
            Attempt("small", "small", "failed", "server", cost_usd=0.5),
            Attempt("large", "large", "accepted", cost_usd=0.002),
        ),
        "messages": None if text is None else asked(text),
        "answer": "so be it",
    }
    return Trace(**{**given, **own})


def first(router: Router, text: str) -> str | None:
    return router.route(asked(text)).model


def test_similar_prompts_are_decided_otherwise_after_it(tmp_path: Path) -> None:
    one = router(tmp_path)
    assert first(one, "bake a rye bread") == "small"
    told = [trace(number, f"bake a rye bread {word}") for number, word in enumerate(("now", "then", "soon"))]
    learned = rb.learn_from_traces(one, frame_of(told), dict.fromkeys(("t0", "t1", "t2"), 1.0))
    assert (learned.n, learned.left_out, learned.unknown_cost) == (3, {}, 0)
    assert first(one, "bake a rye bread") == "large"
    assert first(one, "sail a ship") == "large", "what is unlike stays"
    assert one.library is not None
    # The call's own cost, not that of the failed one before it.
    seen = one.library.past.seen
    assert seen.costs_usd[:, 1].max() == pytest.approx(0.002)
    digest = one.library.save(tmp_path / "more.json")
    similarity = f'similarity: {{library: {{artifact: more.json, sha256: "{digest}"}}, k: 2, shrinkage: 0.1}}'
    again = Router(RuleSet.parse(RULES.format(similarity=similarity), folder=tmp_path))
    assert first(again, "bake a rye bread") == "large", "it is in the file"


def test_a_folder_and_a_grader_do_as_well(tmp_path: Path) -> None:
    folder = tmp_path / "traces"
    writer = TraceWriter(folder)
    writer.start()
    writer.put(trace(0, "bake rye bread"))
    writer.close()
    seen: list[str] = []

    def grader(one: Any) -> float:
        seen.append(one["answer"])
        return 0.25

    one = router(tmp_path)
    assert rb.learn_from_traces(one, folder, grader).n == 1
    assert seen == ["so be it"]
    assert one.library is not None
    assert one.library.n == 5


def test_what_is_of_no_use_is_counted(tmp_path: Path) -> None:
    traces = [
        trace(0, None),
        trace(1, "bake bread", None, outcome="failed"),
        trace(2, "bake bread"),
        trace(3, "bake bread", "elsewhere"),
        trace(4, "bake bread", attempts=(Attempt("large", "large", "accepted"),)),
    ]
    one = router(tmp_path)
    learned = rb.learn_from_traces(one, frame_of(traces), {"t0": 1.0, "t1": 1.0, "t3": 1.0, "t4": 0.0})
    assert learned.n == 1
    assert dict(learned.left_out) == {
        "no texts kept": 1,
        "nobody answered": 1,
        "not graded": 1,
        "model unknown to the library": 1,
    }
    assert learned.reading.startswith("Learned from 1 traces, 1 of them at an unknown cost; left out: 1 no texts kept")


def test_a_score_out_of_bounds_teaches_nothing(tmp_path: Path) -> None:
    one = router(tmp_path)
    traces = frame_of([trace(0, "bake bread"), trace(1, "bake bread")])
    with pytest.raises(InputError, match=r"trace t1: the score 2\.0 is not between 0 and 1"):
        rb.learn_from_traces(one, traces, {"t0": 1.0, "t1": 2.0})
    assert one.library is not None
    assert one.library.n == 4


def test_rules_without_a_library_say_so() -> None:
    one = Router(RuleSet.parse(RULES.format(similarity="")))
    with pytest.raises(RulesError, match="'team' learns nothing: it has no `similarity`"):
        rb.learn_from_traces(one, frame_of([trace(0, "bake bread")]), {})
