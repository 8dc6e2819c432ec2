from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from routebench.errors import InputError
from routebench.simulation import Burst, read_times
from routebench.simulation.arrivals import Times, draw_arrivals, recorded_arrivals
from tests.simulation.traffic import outcomes

CASES = outcomes().cases


def test_requests_come_at_the_rate_in_order_and_the_same_for_a_seed() -> None:
    one, again = (
        draw_arrivals(np.random.default_rng(1), CASES, requests_per_s=20.0, duration_s=1000.0) for _ in range(2)
    )
    assert abs(len(one) - 20_000) < 5 * 20_000**0.5
    assert (np.diff(one.at_s) >= 0).all()
    assert one.at_s.max() < 1000.0
    assert (one.at_s == again.at_s).all()
    assert (one.case == again.case).all()
    # Of a Poisson process the gaps are exponential: their mean and their deviation are alike.
    gaps = np.diff(one.at_s)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)


def test_a_burst_adds_to_its_category_alone_and_only_while_it_lasts() -> None:
    burst = Burst("long", 200.0, 600.0, 4.0)
    found = draw_arrivals(np.random.default_rng(2), CASES, requests_per_s=20.0, duration_s=1000.0, bursts=[burst])
    long = CASES.category[found.case] == "long"
    inside = (found.at_s >= 200.0) & (found.at_s < 600.0)
    usual_per_s = 20.0 / 6.0
    assert long[inside].sum() / 400.0 == pytest.approx(4.0 * usual_per_s, rel=0.1)
    assert long[~inside].sum() / 600.0 == pytest.approx(usual_per_s, rel=0.1)
    assert (~long[inside]).sum() / 400.0 == pytest.approx(20.0 - usual_per_s, rel=0.1)


def test_too_many_requests_and_none_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="too many for one simulation"):
        draw_arrivals(rng, CASES, requests_per_s=1e6, duration_s=3600.0)
    with pytest.raises(InputError, match="not one request"):
        draw_arrivals(rng, CASES, requests_per_s=1e-9, duration_s=1.0)


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_times_are_read_from_tables_as_seconds_from_the_first(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    frame = pd.DataFrame(
        {"id": [1, 2, 3], "timestamp": ["2026-11-02T10:00:05Z", "2026-11-02T10:00:00Z", "2026-11-02T10:01:00+00:00"]}
    )
    if name.endswith("csv"):
        frame.to_csv(path, index=False)
    elif name.endswith("jsonl"):
        frame.to_json(path, lines=True, orient="records")
    else:
        frame.to_parquet(path)
    found = read_times(path)
    assert found.at_s.tolist() == [0.0, 5.0, 60.0]
    assert found.starts_at == datetime(2026, 11, 2, 10, tzinfo=UTC)


def test_bare_seconds_have_no_date(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("sent,at_s\n1,107.5\n2,100\n")
    assert read_times(path).at_s.tolist() == [0.0, 7.5]
    assert read_times(path).starts_at is None
    assert read_times(path, "sent").at_s.tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("a,b\n1,2\n", None, "none of at, at_s"),
        ("moment,b\n1,2\n", "momant", "no column 'momant' (did you mean 'moment'?)"),
        ("at\n1\nsoon\n", None, "row 2: at is 'soon'"),
        ("at\n2026-01-05T00:00:00Z\nsoon\n", None, "row 2: at is 'soon'"),
        ("at\n", None, "not one request"),
        ("", None, "cannot be read"),
    ],
)
def test_times_that_cannot_be_used_say_why(tmp_path: Path, text: str, column: str | None, said: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_times(path, column)
    assert said in str(caught.value)
    assert "t.csv" in str(caught.value)


def test_recorded_times_are_kept_and_can_be_cut() -> None:
    times = Times(np.array([0.0, 1.0, 5.0, 9.0]), None)
    whole = recorded_arrivals(np.random.default_rng(0), CASES, times)
    assert whole.at_s.tolist() == [0.0, 1.0, 5.0, 9.0]
    assert whole.duration_s == 9.0
    cut = recorded_arrivals(np.random.default_rng(0), CASES, times, duration_s=4.0)
    assert cut.at_s.tolist() == [0.0, 1.0]
    assert cut.duration_s == 4.0
