from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from routebench.errors import InputError
from routebench.simulation import Burst, Incident, Scenario, load_scenario, parse_scenario
from routebench.simulation.scenario import MONDAY_NOON

MODELS, CATEGORIES = ("small", "large", "large#1"), ("law", "code")


def parse(text: str) -> Scenario:
    return parse_scenario(text, "f.yaml", models=MODELS, categories=CATEGORIES)


def test_every_kind_of_incident_and_bursts_are_read() -> None:
    found = parse(
        """\
schema: routebench/incidents/v1
incidents:
  - {model: small, kind: slow_down, factor: 5, from_s: 120, to_s: 300}
  - {model: small, kind: errors, share: 0.3, after_s: 2}
  - {model: large#1, kind: outage, to_s: 60}
  - {model: large, kind: rate_limit, requests_per_s: 5}
  - {model: large, kind: hang, timeout_s: 30}
  - {model: large, kind: price_change, factor: 0.5}
arrivals:
  requests_per_s: 8
  starts_at: 2026-03-02T08:00:00+01:00
  bursts: [{category: law, from_s: 10, to_s: 20, factor: 4}]
"""
    )
    assert found == Scenario(
        (
            Incident("small", "slow_down", 120.0, 300.0, factor=5.0),
            Incident("small", "errors", share=0.3, after_s=2.0),
            Incident("large#1", "outage", to_s=60.0),
            Incident("large", "rate_limit", requests_per_s=5.0),
            Incident("large", "hang", timeout_s=30.0),
            Incident("large", "price_change", factor=0.5),
        ),
        (Burst("law", 10.0, 20.0, 4.0),),
        8.0,
        datetime.fromisoformat("2026-03-02T08:00:00+01:00"),
    )
    assert found.ends_s == 300.0


def test_what_is_left_out_lasts_from_the_start_to_the_end_on_a_monday() -> None:
    found = parse("incidents: [{model: small, kind: outage}]")
    assert (found.incidents[0].from_s, found.incidents[0].to_s) == (0.0, math.inf)
    assert found.starts_at == MONDAY_NOON
    assert MONDAY_NOON.weekday() == 0
    assert parse("incidents: []").incidents == ()


def test_a_time_without_a_zone_is_utc() -> None:
    found = parse("incidents: []\narrivals: {starts_at: 2026-03-02T08:00:00}")
    assert found.starts_at == datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "f.yaml:1:1: the file is empty; write it as in `incidents: [{model: small"),
        ("- a", "f.yaml:1:1: the file is not a mapping of keys"),
        ("arrivals: {}", "`incidents` is missing"),
        ("incidents:\n  - {model: smal, kind: outage}", "f.yaml:2:6: no model 'smal' (did you mean 'small'?); models"),
        ("incidents:\n  - {model: small, kind: outige}", "f.yaml:2:20"),
        (
            "incidents:\n  - {model: small, kind: outage, from_s: 9, to_s: 5}",
            "f.yaml:2:5: it ends at 5 s, and begins at 9 s: `to_s` must be after `from_s`",
        ),
        ("incidents:\n  - {model: small, kind: slow_down}", "needs `factor`, such as `factor: 5`"),
        ("incidents:\n  - {model: small, kind: errors}", "needs `share`, such as `share: 0.3`"),
        ("incidents:\n  - {model: small, kind: rate_limit}", "needs `requests_per_s`"),
        (
            "incidents:\n  - {model: small, kind: outage, factor: 2}",
            "f.yaml:2:5: `factor` says nothing of an incident of kind outage; take it out",
        ),
        ("incidents:\n  - {model: small, kind: outage, form_s: 2}", "(did you mean 'from_s'?)"),
        (
            "incidents: []\narrivals:\n  bursts:\n    - {category: lew, to_s: 9, factor: 2}",
            "f.yaml:4:8: no category 'lew' (did you mean 'law'?); categories here: law, code",
        ),
        ("incidents: []\narrivals: {bursts: [{category: law, to_s: 9, factor: 1}]}", "f.yaml:2:"),
        ("incidents: [", "f.yaml:"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_the_mend(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert said in str(caught.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        parse("incidents:\n  - {model: a, kind: outage}\n  - {model: b, kind: hang}")
    assert len(str(caught.value).splitlines()) == 2


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read"):
        load_scenario(path, models=MODELS, categories=CATEGORIES)
    path.write_text("incidents: [{model: small, kind: hang}]")
    assert load_scenario(path, models=MODELS, categories=CATEGORIES).incidents == (Incident("small", "hang"),)
