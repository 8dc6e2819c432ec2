"""Draws from a log: weights that add up, means without bias, and what happens at the ends of every range."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routebench.suites.formats import find_format
from routebench.suites.logs import from_logs
from routebench.suites.logs.picking import Merged, Pool, pick
from routebench.suites.logs.sampling import allocate, chances, draw, effective
from routebench.suites.logs.seen import Seen
from routebench.suites.logs.strata import SEVERAL, classes, stratify

POPULAR = ("reset my password on the portal", "where is my parcel now", "cancel my order from today", "talk to a human")
OPENINGS = ("Summarize: ", "Translate into French: ", "Write a poem on ", "Extract the names: ", "", "Is it so? ")


class Production:
    """A log of 3,000 conversations whose requests have scores that depend on what is asked, how often and how long."""

    def __init__(self, folder: Path) -> None:
        generator = random.Random(5)
        records: list[dict[str, Any]] = []
        self.scores: dict[str, float] = {}
        for number in range(3000):
            kind = generator.choices(range(6), (50, 10, 10, 5, 20, 1))[0]
            chance, turns, text, score = generator.random(), 1, "", 0.0
            if chance < 0.3:
                place = generator.choices(range(4), (300, 200, 30, 10))[0]
                text, score = POPULAR[place], (0.95, 0.2, 0.9, 0.1)[place]
            elif chance < 0.45:
                family = generator.choices(range(4), (30, 20, 5, 2))[0]
                words = [f"f{family}x{one}" for one in range(40)]
                words[generator.randrange(40)] = f"slip{number}"
                text, score = OPENINGS[family] + " ".join(words), (0.1, 0.95, 0.3, 0.8)[family]
            else:
                length = min(int(generator.lognormvariate(2, 1)) + 3, 80)
                text = OPENINGS[kind] + " ".join(f"w{generator.randrange(3000)}" for _ in range(length))
                turns = min(1 + int(generator.expovariate(0.7)), 12)
                score = 0.9 - 0.1 * kind - 0.004 * length - 0.02 * turns
            messages: list[dict[str, str]] = []
            for turn in range(turns):
                messages = [*messages, {"role": "user", "content": text if turn == 0 else f"more {generator.random()}"}]
                name = f"{number}-{turn}"
                cost = None if generator.random() < 0.1 else len(text) * (turn + 1) * 1e-6
                records.append({"id": name, "conversation": f"c{number}", "messages": messages, "model": "m"})
                records[-1] |= {"response": f"a{turn}", "cost_usd": cost}
                self.scores[name] = min(max(score + generator.gauss(0, 0.1), 0.0), 1.0)
                messages = [*messages, {"role": "assistant", "content": f"a{turn}"}]
        path = folder / "production.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        self.seen = Seen(find_format("jsonl"), [path], lambda _: None)
        calls = self.seen.fetch(range(len(self.seen.requests)))
        self.texts = {
            number: "\n".join(str(one["content"]) for one in own[-1].case.request.messages if one["role"] == "user")
            for number, own in calls.items()
        }
        self.mean = {number: float(np.mean([self.scores[one.case.id] for one in own])) for number, own in calls.items()}
        self.turns = {number: len(own) for number, own in calls.items()}

    def draw(self, n: int, seed: int) -> tuple[Pool, Merged]:
        rng = np.random.default_rng(seed)
        pool = pick(self.seen, n, rng)
        return pool, pool.merge(self.texts, rng)


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Production:
    return Production(tmp_path_factory.mktemp("production"))


def test_means_are_unbiased_and_vary_no_more_than_those_of_as_many_cases_drawn_plainly(production: Production) -> None:
    truth, n = float(np.mean(list(production.scores.values()))), 60
    means, cases = [], []
    for seed in range(150):
        _, merged = production.draw(n, seed)
        weight = np.array(list(merged.weight.values()))
        means.append(float(weight @ [production.mean[number] for number in merged.weight]) / weight.sum())
        cases.append(sum(production.turns[number] for number in merged.weight))
    spread = float(np.std(means, ddof=1))
    assert abs(np.mean(means) - truth) < 3 * spread / len(means) ** 0.5
    assert abs(np.mean(cases) - n) < 0.1 * n
    turns = np.array(list(production.turns.values()))
    scores = np.array(list(production.mean.values()))
    rng, plainly = np.random.default_rng(0), []
    for _ in range(2000):
        places = rng.choice(len(turns), int(n / turns.mean()), replace=False)
        plainly.append(float(turns[places] @ scores[places]) / turns[places].sum())
    assert spread < 1.15 * np.std(plainly)


@pytest.mark.parametrize("n", [1, 7, 60, 700, 100_000])
def test_the_weights_of_every_stratum_add_up_to_its_requests(production: Production, n: int) -> None:
    pool, merged = production.draw(n, 4)
    summed = np.zeros(len(pool.names))
    for number, weight in merged.weight.items():
        summed[pool.stratum[number]] += weight
    assert np.allclose(summed, pool.sizes)
    assert pool.sizes.sum() == len(production.scores)
    assert all(weight > 0 for weight in merged.weight.values())
    assert len({(pool.stratum[one], family) for one, family in merged.family.items()}) == len(merged.weight)


def records(texts: list[str], **more: Any) -> list[dict[str, Any]]:
    return [
        {"id": str(place), "prompt": text, "response": "a", "model": "m", **more} for place, text in enumerate(texts)
    ]


@pytest.fixture
def log(tmp_path: Path) -> Callable[[list[dict[str, Any]]], Path]:
    def write(lines: list[dict[str, Any]]) -> Path:
        path = tmp_path / "log.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    return write


def test_more_than_the_log_has_is_all_of_it_with_equal_weights(log: Callable[..., Path]) -> None:
    drawn = from_logs(log(records([f"w{place} x{place} y{place}" for place in range(30)])), format="jsonl", n=1000)
    assert [row["weight"] for row in drawn.rows] == [1.0] * 30
    assert (drawn.n_effective, drawn.n_looked_at, drawn.n_similar) == (30.0, 30, 0)


def test_one_case_stands_for_everything(log: Callable[..., Path]) -> None:
    drawn = from_logs(
        log(records([f"Summarize w{place}" for place in range(20)] + ["def f(x): pass"])), format="jsonl", n=1
    )
    assert [row["weight"] for row in drawn.rows] == [21.0]
    assert [stratum[0] for stratum in drawn.strata] == [SEVERAL]


def test_one_task_and_no_cost_are_one_stratum_of_each_length(log: Callable[..., Path]) -> None:
    texts = [" ".join(f"w{place}x{word}" for word in range(3 + place % 60)) for place in range(900)]
    drawn = from_logs(log(records(texts)), format="jsonl", n=400)
    assert {stratum[0] for stratum in drawn.strata} == {"other"}
    assert {stratum[1] for stratum in drawn.strata} == {"low", "middle", "high"}
    assert {stratum[2] for stratum in drawn.strata} == {"unknown"}
    assert len(drawn.rows) == 400
    assert "cost_usd missing in 900 of 900 lines" in str(drawn)


def test_rare_tasks_get_their_least_and_the_rarest_share_a_stratum() -> None:
    task = np.repeat([0, 1, 2, 3, 4, 5], [900, 60, 20, 10, 1, 1])
    ones = np.ones(len(task))
    few = stratify(task, ones, ones, ones, 8)
    assert np.minimum(few.counts, 2).sum() <= 8
    assert few.names[0] == (SEVERAL, "any", "any")
    many = stratify(task, ones, ones, ones, 50)
    assert [name[0] for name in many.names].count(SEVERAL) == 0
    given = allocate(many.sizes, many.counts, many.tasks, 50)
    assert given.sum() == 50
    assert given.tolist()[-2:] == [1, 1]
    assert (given >= np.minimum(many.counts, 2)).all()


def test_things_are_drawn_by_size_and_the_large_ones_for_certain() -> None:
    sizes = np.array([100.0, 30.0, *[1.0] * 10, *[3.0] * 10])
    chance = chances(sizes, 6)
    assert chance[:2].tolist() == [1.0, 1.0]
    assert np.allclose(chance[2:], sizes[2:] / sizes[2:].sum() * 4)
    found = np.zeros(len(sizes))
    for seed in range(2000):
        one = draw(sizes, 6, np.random.default_rng(seed))
        assert (len(set(one.places.tolist())), one.weight.sum()) == (6, pytest.approx(sizes.sum()))
        found[one.places] += 1
    assert np.abs(found / 2000 - chance).max() < 4 * (0.25 / 2000) ** 0.5
    assert draw(sizes, 50, np.random.default_rng(0)).weight.tolist() == sizes.tolist()
    assert len(draw(np.ones(9), 8, np.random.default_rng(1)).places) == 8
    assert effective(np.array([1.0, 1.0, 2.0])) == pytest.approx(16 / 6)


def test_unknown_values_are_a_class_of_their_own() -> None:
    at, names = classes(np.array([1.0, np.nan, 9.0, 1.0, 5.0]), 2)
    assert [names[place] for place in at] == ["low", "unknown", "high", "low", "high"]
    assert classes(np.full(3, np.nan), 3)[0].tolist() == [3, 3, 3]
    assert classes(np.full(3, 7.0), 3)[0].tolist() == [0, 0, 0]
