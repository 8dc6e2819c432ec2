"""What was measured is what runs: replay and Router agree on every prompt of the public data sets, without exception."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from routebench.errors import OutcomesError
from routebench.evaluate import Cases, Choices, Outcomes, decided, replay
from routebench.evaluate.outcomes import ERROR, MISSING, OK, mean_known
from routebench.importing import import_outcomes
from routebench.matrix import open_outcomes
from routebench.packing import pack
from routebench.rules import Reading, Router, RuleSet
from routebench.rules.learned.features import FeatureSpec
from routebench.rules.learned.head import LinearHead, sparse_rows
from routebench.rules.learned.library import build_library
from routebench.rules.learned.utility import UtilityHead
from routebench.store import Store, open_store
from routebench.strategies import RecordedRules, RulesFile
from routebench.types import Answer, Case, Decision
from tests.conftest import SHARED_DATA

SETS = ("bfcl_lite", "routellm_gsm8k", "routellm_mmlu_lite", "routellm_mtbench", "ulab_llmrouter", "zeroeval_lite")
WITHOUT_ANSWERS = ("routellm_mmlu_lite", "ulab_llmrouter")


@dataclass(frozen=True)
class Shared:
    """A data set in a store, with some of its calls made to fail and some cells taken out."""

    name: str
    store: Store
    outcomes: Outcomes

    @property
    def has_answers(self) -> bool:
        return self.name not in WITHOUT_ANSWERS


@pytest.fixture(scope="module", params=SETS)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder with the public outcome data is not beside this checkout")
    name: str = request.param
    store = Store(tmp_path_factory.mktemp(name) / "s.duckdb")
    files = {part: SHARED_DATA / f"{name}.{part}.parquet" for part in ("outcomes", "prompts")}
    import_outcomes(store, name, **files, at=datetime(2026, 1, 1, tzinfo=UTC))
    return Shared(name, store, with_gaps(open_outcomes(store, name)))


def with_gaps(outcomes: Outcomes) -> Outcomes:
    rng = np.random.default_rng(7)
    status = np.where(rng.random(outcomes.status.shape) < 0.1, ERROR, outcomes.status).astype(np.int8)
    status[rng.random(status.shape) < 0.02] = MISSING
    score = np.where(status == OK, outcomes.score, np.nan)
    cost, seconds = (np.where(status == MISSING, np.nan, one) for one in (outcomes.cost_usd, outcomes.latency_s))
    return replace(outcomes, status=status, score=score, cost_usd=cost, latency_s=seconds)


def policy(outcomes: Outcomes, *, cascade: bool, otherwise: str = "accept") -> RuleSet:
    """Guards, regexes, keywords, ranges, a mix, and where answers are kept checks of them."""
    cheapest_first = [outcomes.models[at] for at in np.argsort(np.nanmean(outcomes.cost_usd, axis=(0, 2)))]
    low, high = json.dumps(cheapest_first[0]), json.dumps(cheapest_first[-1])
    middle = json.dumps(cheapest_first[len(cheapest_first) // 2])
    models = ", ".join(f"{json.dumps(name)}: {{provider: recorded, model: m}}" for name in cheapest_first)
    both = f"[{low}, {high}]" if middle in (low, high) else f"[{low}, {middle}, {high}]"
    checks = f"""
cascade:
  brief: {{answer: {{words: {{le: 60}}}}, otherwise: {otherwise}}}
  numbers: {{answer: {{regex: '[0-9]'}}, otherwise: {otherwise}}}
"""
    brief, numbers = (", cascade: brief", ", cascade: numbers") if cascade else ("", "")
    return RuleSet.parse(f"""
schema: routebench/rules/v1
name: parity
models: {{{models}}}
{checks if cascade else ""}
guards:
  - {{name: tests, when: {{any_keyword: [assert, evidence, law, patient]}}, at_least: {high}}}
  - {{name: years, when: {{regex: '\\b(?:19|20)[0-9][0-9]\\b'}}, never: [{low}]}}
  - {{name: units, when: {{any_keyword: [km, celsius]}}, only: [{high}]}}
rules:
  - {{name: code, when: {{has_code: true}}, route: [{high}, {low}]}}
  - {{name: money, when: {{regex: '[$€]\\s?[0-9]'}}, route: {both}{numbers}}}
  - {{name: ask, when: {{any_keyword: [which, how many, "what is"], is_question: true}}, route: {both}{brief}}}
  - {{name: long, when: {{any: [{{characters: {{gt: 700}}}}, {{turns: {{ge: 3}}}}]}}, route: [{high}]}}
default: {{mix: [{{share: 0.6, route: {both}}}, {{share: 0.4, route: [{high}, {low}]}}]{brief}}}
""")


def in_turns(case: Case) -> Case:
    """The prompt as a conversation: its first half, a reply, a tool's result, and the rest."""
    text = str(case.request.messages[-1]["content"])
    call = {"id": "1", "type": "function", "function": {"name": "measure", "arguments": "{}"}}
    turns = (
        {"role": "system", "content": "Answer briefly, by law."},
        {"role": "user", "content": text[: len(text) // 2]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "200 miles", "tool_call_id": "1"},
        {"role": "assistant", "content": "Go on."},
        {"role": "user", "content": text[len(text) // 2 :]},
    )
    return replace(case, request=replace(case.request, messages=turns))


def routed(router: Router, case: Case) -> Decision:
    asked = case.request
    return router.route(
        asked.messages,
        tools=asked.tools,
        response_format=asked.response_format,
        params=asked.params,
        metadata=asked.metadata,
        tags=asked.tags,
    )


def chains_of(choices: Choices) -> list[tuple[str, ...]]:
    assert len(choices.parts) == 1
    return [tuple(choices.models[at] for at in row if at >= 0) for row in choices.parts[0][1]]


def run(
    router: Router, decision: Decision, outcomes: Outcomes, row: int, sample: int = 0
) -> tuple[Decision, float, float] | None:
    """Asks model after model as production does; None where a cell is missing. Returns the end, cost and seconds."""
    paid = waited = 0.0
    while decision.model is not None:
        cell = (row, outcomes.models.index(decision.model), sample)
        if outcomes.status[cell] == MISSING:
            return None
        paid, waited = paid + outcomes.cost_usd[cell], waited + outcomes.latency_s[cell]
        if outcomes.status[cell] == ERROR:
            answer = Answer(error_kind="server")
        else:
            said = (
                None
                if outcomes.answers is None
                else outcomes.answers.get(str(outcomes.cases.ids[row]), decision.model, sample)
            )
            answer = said or Answer("an answer whose text nobody kept, and nobody checks")
        decision = router.next(decision, answer)
    return decision, paid, waited


@pytest.mark.parametrize("turns", ["one turn", "conversation"])
@pytest.mark.parametrize("otherwise", ["accept", "fail"])
def test_replay_and_router_agree_on_every_case(shared: Shared, turns: str, otherwise: str) -> None:
    outcomes = shared.outcomes
    if turns == "conversation":
        outcomes = replace(outcomes, cases=Cases.of([in_turns(case) for case in outcomes.cases]))
    ruleset = policy(outcomes, cascade=shared.has_answers, otherwise=otherwise)
    choices = decided(RulesFile(ruleset).fit(outcomes), outcomes)[0]
    found, router = replay(outcomes, choices), Router(ruleset)
    ends: Counter[str] = Counter()
    for row, (case, chain) in enumerate(zip(outcomes.cases, chains_of(choices), strict=True)):
        decision = routed(router, case)
        assert decision.chain == chain, case.id
        ended = run(router, decision, outcomes, row)
        if ended is None:
            assert np.isnan([found.score[row], found.cost_usd[row], found.failed[row]]).all(), case.id
            ends["unknown"] += 1
            continue
        last, paid, waited = ended
        refused = any(one.verdict == "refused" for one in decision.tried + last.tried[:-1])
        expected = np.zeros(len(outcomes.models))
        if last.answered_by is not None:
            expected[outcomes.models.index(last.answered_by)] = 1
            np.testing.assert_allclose(found.latency_s[row, 0, 0], waited, err_msg=case.id)
        np.testing.assert_array_equal(found.answered_by[row], expected, err_msg=case.id)
        np.testing.assert_allclose(found.cost_usd[row], paid, err_msg=case.id)
        assert found.failed[row] == (last.answered_by is None), case.id
        ends[decision.rule] += 1
        ends["escalated"] += refused
    # It was not the same for all of them.
    assert len(set(chains_of(choices))) >= 3, ends
    assert ends["unknown"]
    assert bool(ends["escalated"]) == shared.has_answers, ends


def learned(outcomes: Outcomes, folder: Path) -> Path:
    """A rules.yaml whose phases were learned: a library of the first half, a classifier fitted on it, and rules before."""
    half = outcomes.take(np.arange(0, outcomes.n, 2))
    readings = [Reading(request) for request in half.requests]
    scores = np.nan_to_num(half.expected_scores())
    spec = FeatureSpec(hashed_words=64)
    features = spec.matrix(readings).astype(np.float64)
    hard = scores.mean(axis=1) < np.median(scores.mean(axis=1)) + 1e-9
    weights = np.linalg.solve(features.T @ features + np.eye(spec.width), features.T @ (hard - 0.5))
    head = LinearHead(4 * weights[None, :], np.zeros(1), spec)
    costs = np.nanmean(half.cost_usd, axis=(0, 2))
    library = build_library(
        readings[:400], scores[:400], costs, outcomes.models, FeatureSpec(hashed_words=256, surface=False)
    )
    digests = library.save(folder / "past.safetensors"), head.save(folder / "head.json")
    cheap, dear = (json.dumps(outcomes.models[int(at)]) for at in (costs.argmin(), costs.argmax()))
    path = folder / "rules.yaml"
    models = ", ".join(f"{json.dumps(name)}: {{provider: recorded, model: m}}" for name in outcomes.models)
    path.write_text(f"""
schema: routebench/rules/v1
name: learned
models: {{{models}}}
guards:
  - {{name: units, when: {{any_keyword: [km, celsius]}}, only: [{dear}]}}
rules:
  - {{name: money, when: {{regex: '[$€]\\s?[0-9]'}}, route: [{dear}, {cheap}]}}
similarity:
  library: {{artifact: past.safetensors, sha256: "{digests[0]}"}}
  min_similarity: 0.6
  cost_weight: 10
complexity:
  classifier: {{kind: logistic, artifact: head.json, sha256: "{digests[1]}"}}
  tiers: [{{below: 0.5, route: [{cheap}, {dear}]}}, {{route: [{dear}, {cheap}]}}]
default: {{route: [{cheap}]}}
""")
    return path


def test_learned_phases_decide_alike_in_replay_and_in_another_process(shared: Shared, tmp_path: Path) -> None:
    outcomes, path = shared.outcomes, learned(shared.outcomes, tmp_path)
    chains = chains_of(decided(RulesFile(path).fit(outcomes), outcomes)[0])
    router = Router.load(path)
    decisions = [routed(router, case) for case in outcomes.cases]
    assert [decision.chain for decision in decisions] == chains
    by = Counter(decision.rule for decision in decisions)
    assert {"complexity", "similarity"} <= by.keys(), by
    # A process of its own, whose words hash otherwise, with nothing but the file and the prompts.
    asked = [list(case.request.messages) for case in outcomes.cases][:500]
    code = (
        "import json, sys; from routebench.rules import Router; router = Router.load(sys.argv[1]);"
        "print(json.dumps([router.route(one).chain for one in json.load(sys.stdin)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], input=json.dumps(asked), capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
    )  # fmt: skip
    assert [tuple(chain) for chain in json.loads(done.stdout)] == chains[:500]


def test_predicted_utilities_decide_alike_in_replay_and_all_at_once(shared: Shared, tmp_path: Path) -> None:
    outcomes, known = shared.outcomes, shared.outcomes.models[:-1] or shared.outcomes.models
    spec = FeatureSpec(128)
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(len(known), spec.width)) / np.where(np.arange(spec.width) < 128, 1, 20)
    head = UtilityHead(LinearHead(weights, rng.normal(size=len(known)), spec, "identity"), known)
    digest = head.save(tmp_path / "worth.safetensors")
    path, last = tmp_path / "predicted.yaml", json.dumps(outcomes.models[-1])
    models = ", ".join(f"{json.dumps(name)}: {{provider: recorded, model: m}}" for name in outcomes.models)
    path.write_text(f"""
schema: routebench/rules/v1
name: predicted
models: {{{models}}}
guards:
  - {{name: units, when: {{any_keyword: [which, what]}}, only: [{last}]}}
learned: {{head: {{artifact: worth.safetensors, sha256: "{digest}"}}}}
default: {{route: [{last}]}}
""")
    chains = chains_of(decided(RulesFile(path).fit(outcomes), outcomes)[0])
    router = Router.load(path)
    decisions = [routed(router, case) for case in outcomes.cases]
    assert [decision.chain for decision in decisions] == chains
    assert {decision.rule for decision in decisions} == {"learned", "default"}
    # All at once, as a strategy does it.
    ranked = head.halved().rank_rows(sparse_rows(spec, [Reading(case.request) for case in outcomes.cases]))
    at_once = [tuple(known[place] for place in row) for row in ranked]
    assert [one for one, decision in zip(at_once, decisions, strict=True) if decision.rule == "learned"] == [
        decision.chain for decision in decisions if decision.rule == "learned"
    ]


def test_scores_are_those_of_the_accepted_answers(shared: Shared) -> None:
    outcomes = shared.outcomes
    ruleset = policy(outcomes, cascade=shared.has_answers)
    found = replay(outcomes, decided(RulesFile(ruleset).fit(outcomes), outcomes)[0])
    by = np.argmax(found.answered_by, axis=1)
    said = mean_known(outcomes.score)[np.arange(outcomes.n), by]
    expected = np.where(np.isnan(found.failed), np.nan, np.where(found.failed == 1, 0.0, said))
    np.testing.assert_array_equal(found.score, expected)


def test_a_pack_measures_a_cascade_as_its_store_does(shared: Shared, tmp_path: Path) -> None:
    if not shared.has_answers:
        pytest.skip("no answers are kept in this data set")
    outcomes = open_outcomes(shared.store, shared.name)
    ruleset = policy(outcomes, cascade=True)
    found = replay(outcomes, decided(RulesFile(ruleset).fit(outcomes), outcomes)[0])
    pack(shared.store, shared.name, tmp_path / "p.rbpack", rules=[ruleset])
    packed = open_store(tmp_path / "p.rbpack")
    assert packed.pack is not None
    (recorded,) = packed.pack.policies
    there = open_outcomes(packed, shared.name)
    again = replay(there, decided(RecordedRules(recorded).fit(there), there)[0])
    place = {str(case_id): row for row, case_id in enumerate(there.cases.ids)}
    at = np.array([place[str(case_id)] for case_id in outcomes.cases.ids])
    np.testing.assert_allclose(again.score[at], found.score)
    np.testing.assert_allclose(again.cost_usd[at], found.cost_usd)
    assert found.escalated is not None
    assert again.escalated is not None
    np.testing.assert_array_equal(again.escalated[at], found.escalated)
    assert 0 < found.escalated.mean() < 1


def test_without_answers_a_cascade_says_that_it_cannot_be_replayed(shared: Shared) -> None:
    if shared.has_answers:
        pytest.skip("its answers are kept")
    outcomes = shared.outcomes
    with pytest.raises(OutcomesError, match=r"checks answers, and of [0-9]+ cells of suite .* no text is kept"):
        decided(RulesFile(policy(outcomes, cascade=True)).fit(outcomes), outcomes)


def test_every_rule_and_guard_decides_somewhere() -> None:
    """The policy of these tests is no policy of one rule: what they agree on is worth agreeing on."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder with the public outcome data is not beside this checkout")
    fired: Counter[str] = Counter()
    import pandas as pd

    for name in SETS:
        prompts: Sequence[str] = pd.read_parquet(SHARED_DATA / f"{name}.prompts.parquet")["prompt"].tolist()
        models = ("a", "b", "c")
        shape = (1, 3, 1)
        data = Outcomes("s", Cases.of([]), models, np.zeros(shape, np.int8), *[np.ones(shape)] * 3)
        router = Router(policy(data, cascade=True))
        for prompt in prompts[:400]:
            decision = router.route([{"role": "user", "content": prompt}])
            fired[decision.rule] += 1
            fired["guarded"] += "guard" in decision.why
    assert set(fired) == {"code", "money", "ask", "long", "default", "guarded"}
