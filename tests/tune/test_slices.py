from __future__ import annotations

import numpy as np
import pytest

from routebench.tune.slices import STAYS, Slices, slices_of
from tests.evaluate.matrices import matrix


def plain(judged: dict[str, np.ndarray]) -> Slices:
    return Slices(judged, (), (), None, np.zeros(0, dtype=bool))


def test_a_slice_that_falls_by_chance_is_drawn_to_the_mean() -> None:
    rng = np.random.default_rng(0)
    gaps = rng.choice([-1.0, 0.0, 1.0], size=600, p=[0.3, 0.4, 0.3])
    masks = {f"category=c{place}": np.arange(600) // 30 == place for place in range(20)}
    found = plain(masks).worst(gaps)
    assert found is not None
    raw = min(gaps[mask].mean() for mask in masks.values())
    assert raw < -0.1
    assert found[1] < 0.05


def test_a_slice_that_really_falls_is_named() -> None:
    rng = np.random.default_rng(1)
    gaps = rng.choice([-1.0, 0.0, 1.0], size=600, p=[0.1, 0.8, 0.1])
    masks = {f"category=c{place}": np.arange(600) // 100 == place for place in range(6)}
    gaps[masks["category=c2"]] -= 0.4
    found = plain(masks).worst(gaps)
    assert found is not None
    assert found[0] == "category=c2"
    assert found[1] > 0.25


def test_without_slices_there_is_no_worst_one() -> None:
    assert plain({}).worst(np.zeros(5)) is None
    assert plain({"category=a": np.array([True, False, False])}).worst(np.zeros(3)) is None


def test_small_slices_stay_on_the_baseline_where_the_request_tells_them() -> None:
    n = 400
    rng = np.random.default_rng(3)
    category = np.where(np.arange(n) % 20 == 0, "law", "sums")
    hidden = (np.arange(n) % 20 == 1).tolist()
    data = matrix(
        rng.random((n, 2)).round(),
        np.ones((n, 2)),
        prompt=[
            f"review clause {place} of the contract" if category[place] == "law" else f"add {place} and 3"
            for place in range(n)
        ],
        category=["secret" if hidden[place] else str(category[place]) for place in range(n)],
        tags=[("vip",) if place % 25 == 0 else () for place in range(n)],
    )
    order = rng.permutation(n)
    train, test = data.take(np.sort(order[: n // 2])), data.take(np.sort(order[n // 2 :]))
    found = slices_of(train, test, ("m1", "m0"))
    assert list(found.judged) == ["category=sums"]
    assert found.too_small == ("category=law", "category=secret", "tag=vip")
    assert found.unrecognised == ("category=secret",)
    assert found.stays is not None
    assert (found.stays.name, found.stays.route) == (STAYS, ("m1", "m0"))
    law = train.cases.category == "law"
    vip = np.array(["vip" in tags for tags in train.cases.tags])
    assert found.kept[law].mean() == pytest.approx(1)
    assert found.kept[vip].all()
    assert not found.kept[~law & ~vip].any()


def test_where_most_slices_are_small_they_are_judged_together() -> None:
    n = 120
    data = matrix(
        np.ones((n, 2)),
        np.ones((n, 2)),
        prompt=[f"topic {place // 2 % 10} question {place}" for place in range(n)],
        category=[f"c{place // 2 % 10}" for place in range(n)],
    )
    train, test = data.take(np.arange(0, n, 2)), data.take(np.arange(1, n, 2))
    found = slices_of(train, test, ("m1",))
    assert found.together
    assert list(found.judged) == ["small slices together"]
    assert found.stays is None
    assert not found.kept.any()
    assert len(found.too_small) == 10
