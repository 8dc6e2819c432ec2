from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from routebench.errors import InputError
from routebench.evaluate import Outcomes
from routebench.traffic import Traffic
from routebench.types import Case, Request


def suite(*categories: str) -> Outcomes:
    cases = [
        Case(f"c{number}", Request(({"role": "user", "content": "x"},)), category=name)
        for number, name in enumerate(categories)
    ]
    rows = [
        {"case_id": case.id, "model": "m", "sample": 0, "status": "ok", "score": 1.0, "cost_usd": 0.1, "latency_s": 1.0}
        for case in cases
    ]
    return Outcomes.from_frame("s", cases, pd.DataFrame(rows))


def written(folder: Path, text: str) -> Path:
    path = folder / "usage.csv"
    path.write_text(text)
    return path


def test_cases_stand_for_the_requests_of_their_category(tmp_path: Path) -> None:
    traffic = Traffic.read(written(tmp_path, "category,requests\nlaw,300\nchat,100\n"))
    weighed, spoken = traffic.weigh(suite("law", "chat", "chat"))
    assert spoken.requests_per_month == 400
    assert not spoken.remarks
    assert weighed.weight / weighed.weight.sum() == pytest.approx(np.array([300, 50, 50]) / 400)


def test_days_are_scaled_to_a_month(tmp_path: Path) -> None:
    text = "date,requests\n2026-11-01,100\n2026-11-10,200\n"
    assert Traffic.read(written(tmp_path, text)).requests_per_month == pytest.approx(300 * 30 / 10)


def test_what_the_suite_cannot_speak_for_is_said(tmp_path: Path) -> None:
    traffic = Traffic.read(written(tmp_path, 'category,requests\nlaw,"1,500"\ncode,500\n'))
    weighed, spoken = traffic.weigh(suite("law", "chat"))
    assert (weighed.n, spoken.requests_per_month) == (1, 1500)
    assert spoken.remarks == (
        "25% of the requests are of categories that the suite has no case of (code): nothing here speaks for them.",
        "1 cases of categories without traffic are left out.",
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("category,request\nlaw,1\n", "no column `requests`"),
        ("category,requests\nlaw,many\n", "row 1: requests is 'many'"),
        ("category,requests\nlaw,-1\n", "row 1: requests is '-1'"),
        ("requests\n0\n", "not one request"),
        ("date,requests\nyesterday,4\n", "row 1: date is 'yesterday'"),
        ("", "cannot be read as CSV"),
    ],
)
def test_bad_files_are_named_with_the_mend(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError, match=r"usage\.csv") as caught:
        Traffic.read(written(tmp_path, text))
    assert told in str(caught.value)


def test_traffic_without_a_case_is_refused(tmp_path: Path) -> None:
    traffic = Traffic.read(written(tmp_path, "category,requests\nlegal,5\n"))
    with pytest.raises(InputError, match="no category of the traffic"):
        traffic.weigh(suite("law"))
