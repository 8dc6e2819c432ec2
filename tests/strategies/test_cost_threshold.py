from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routebench.errors import InputError, OutcomesError
from routebench.evaluate import Cases, Choices, Outcomes, compare, decided_out_of_fold, replay
from routebench.importing import import_outcomes
from routebench.matrix import open_outcomes
from routebench.rules import Condition, RuleSet
from routebench.store import Store
from routebench.strategies import BestSingle, CostThreshold, RulesFile, parse_strategy
from routebench.strategies.cost_threshold import SIGNALS, signals_of
from routebench.types import Case, Request
from tests.conftest import make_case, make_model


def outcomes(n: int = 200, seed: int = 0, *, long_is_hard: bool = True) -> Outcomes:
    rng = np.random.default_rng(seed)
    words = rng.integers(5, 60, n)
    cases = [make_case(f"c{place}", " ".join(["word"] * count)) for place, count in enumerate(words)]
    needs = (words >= 40) == long_is_hard
    right = np.column_stack([~needs, rng.random(n) < 0.5, np.ones(n, bool)])
    score = (right & (rng.random((n, 3)) < 0.95)).astype(float)[:, :, None]
    cost = np.broadcast_to(np.array([0.001, 0.002, 0.01])[None, :, None], score.shape).copy()
    return Outcomes(
        "s", Cases.of(cases), ("small", "middle", "large"), np.ones(score.shape, np.int8), score, cost, np.ones(score.shape)
    )  # fmt: skip


def chains(choices: Choices) -> list[tuple[str, ...]]:
    ((_, table),) = choices.parts
    return [tuple(choices.models[at] for at in row if at >= 0) for row in table]


@pytest.mark.parametrize("long_is_hard", [True, False])
def test_what_looks_costly_to_get_wrong_goes_to_the_dearer_model(long_is_hard: bool) -> None:
    data, fresh = outcomes(long_is_hard=long_is_hard), outcomes(seed=1, long_is_hard=long_is_hard)
    strategy = CostThreshold().fit(data)
    replays = [replay(fresh, choices) for choices in strategy.curve(fresh.requests)]
    alone = replay(fresh, Choices.same(fresh.models, ("large",), fresh.n))
    share = float(
        ((np.array([len(r.messages[0]["content"].split()) for r in fresh.requests]) >= 40) == long_is_hard).mean()
    )
    fair = [one for one in replays if one.cost_usd.mean() < 0.001 + 0.009 * (share + 0.1)]
    assert max(one.score.mean() for one in fair) > alone.score.mean() - 0.05
    point = next(at for at, rule in enumerate(strategy.rules_) if rule.signal is not None)
    (rule,) = strategy.to_ruleset(point).rules
    assert rule.route == ("large", "small")
    ((key, bound),) = rule.when.items()
    assert key in ("words", "input_tokens")
    assert set(bound) == ({"ge"} if long_is_hard else {"lt"})
    assert strategy.to_ruleset(point).default.route == ("small", "large")


def test_what_was_replayed_is_what_a_router_decides() -> None:
    data, fresh = outcomes(), outcomes(80, seed=2)
    strategy = CostThreshold(models=[make_model("large")]).fit(data)
    curve = strategy.curve(fresh.requests)
    for point in range(len(curve)):
        ruleset = RuleSet.parse(strategy.to_ruleset(point).to_yaml())
        assert len(ruleset.rules) <= 1
        assert chains(RulesFile(ruleset).fit(data).curve(fresh.requests)[0]) == chains(curve[point])
    assert strategy.to_ruleset(0).models["large"] == make_model("large")


REQUESTS = [
    Request(({"role": "user", "content": "What is 12 + 30?"},)),
    Request(
        ({"role": "user", "content": "```py\nx = 1\n```"},), tools=({"type": "function", "function": {"name": "f"}},)
    ),
    Request(
        (
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": "hi"},
            {"role": "user", "content": "go"},
        )
    ),
    Request(
        ({"role": "user", "content": "Zähle 3 Dinge"},), response_format={"type": "json_schema", "json_schema": {}}
    ),
    Request(({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]},)),
    Request(({"role": "user", "content": ""},)),
]


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_is_what_its_condition_reads(name: str) -> None:
    values = signals_of(REQUESTS)[name]
    assert len(set(values)) > 1
    for cut in set(values):
        when: Any = {name: bool(cut)} if isinstance(SIGNALS[name](_read(REQUESTS[0])), bool) else {name: {"ge": cut}}
        expected = values == cut if isinstance(when[name], bool) else values >= cut
        assert [Condition.parse(when).matches(one) for one in REQUESTS] == expected.tolist()


def _read(request: Request) -> Any:
    from routebench.rules import Reading

    return Reading(request)


def test_noise_gives_no_rule() -> None:
    data = outcomes(300)
    rng = np.random.default_rng(5)
    score = (rng.random((300, 3, 1)) < 0.5).astype(float)
    noisy = Outcomes("s", data.cases, data.models, data.status, score, data.cost_usd, data.latency_s)
    strategy = CostThreshold().fit(noisy)
    costs = [replay(noisy, choices).cost_usd.mean() for choices in decided_out_of_fold(strategy, noisy)]
    assert len(costs) == len(strategy.rules_)
    constant = [rule for rule in strategy.rules_ if rule.signal is None]
    assert len(constant) >= len(strategy.rules_) / 2


def test_a_price_cap_keeps_dear_models_out() -> None:
    data = outcomes()
    strategy = CostThreshold(0.005).fit(data)
    used = {name for choices in strategy.curve(data.requests) for chain in chains(choices) for name in chain}
    assert used == {"small", "middle"}
    assert used == {name for choices in strategy.train_curve() for chain in chains(choices) for name in chain}
    with pytest.raises(OutcomesError, match=r"costs at most 0.0001 US dollars a request.*small costs 0.001"):
        CostThreshold(0.0001).fit(data)
    data.cost_usd[:, 0] = np.nan
    assert {chain[0] for chain in CostThreshold(0.005).fit(data).chains_} == {"middle"}


def test_names() -> None:
    strategy = parse_strategy("cost_threshold:0.005")
    assert isinstance(strategy, CostThreshold)
    assert (strategy.name, strategy.max_cost_usd_per_request) == ("cost_threshold:0.005", 0.005)
    assert parse_strategy("cost_threshold").name == "cost_threshold"
    for cap in ("cheap", "0", "-1", "inf", "nan"):
        with pytest.raises(InputError, match=r"is no amount in US dollars; write cost_threshold:0\.01"):
            parse_strategy(f"cost_threshold:{cap}")


def test_one_case_is_enough_to_be_fitted() -> None:
    case = Case("c", Request(({"role": "user", "content": "hi"},)))
    shape = (1, 2, 1)
    data = Outcomes(
        "s", Cases.of([case]), ("a", "b"), np.ones(shape, np.int8), np.ones(shape), np.array([[[0.1], [0.2]]]), np.ones(shape)
    )  # fmt: skip
    strategy = CostThreshold().fit(data)
    assert {chain[0] for chain in chains(strategy.curve([case.request])[-1])} == {"a"}


def test_public_outcomes(shared_data: Path, tmp_path: Path, at: Any) -> None:
    name = "routellm_mmlu_lite"
    store = Store(tmp_path / "s.duckdb")
    files = {part: shared_data / f"{name}.{part}.parquet" for part in ("outcomes", "prompts")}
    import_outcomes(store, name, **files, at=at())
    found = compare(open_outcomes(store, name), [BestSingle(), CostThreshold()]).as_dict()
    row = next(row for row in found["strategies"] if row["name"] == "cost_threshold")
    assert row["aiq"] - found["zero_router"]["aiq"] > 0.01
    assert row["deployed_gain"] > 0.01
