from __future__ import annotations

import math

from routebench.rules.health.health import State
from routebench.simulation import Found, Incident
from routebench.simulation.findings import Episode, episodes, false_shifts, find

ILL: dict[str, State] = {"a": "open"}
PROBED: dict[str, State] = {"a": "half_open"}


def test_an_episode_lasts_from_well_to_well_through_every_probation() -> None:
    changes = [(10.0, ILL), (20.0, PROBED), (25.0, ILL), (40.0, PROBED), (45.0, {}), (60.0, ILL)]
    assert episodes(changes, {"a": ["a"], "b": ["b"]}) == {"a": [Episode(10.0, 45.0), Episode(60.0, math.inf)]}


def test_a_model_is_ill_when_all_of_its_deployments_are() -> None:
    changes: list[tuple[float, dict[str, State]]] = [
        (1.0, {"a#1": "open"}),
        (2.0, {"a#1": "open", "a#2": "open"}),
        (3.0, {"a#2": "open"}),
    ]
    found = episodes(changes, {"a": ["a#1", "a#2"], "a#2": ["a#2"]})
    assert found == {"a": [Episode(2.0, 3.0)], "a#2": [Episode(2.0, math.inf)]}


def test_when_an_incident_was_seen_and_let_go_of() -> None:
    outage = Incident("a", "outage", 100.0, 200.0)
    assert find([outage], {"a": [Episode(102.0, 215.0)]}) == (Found(outage, 2.0, 15.0),)
    assert find([outage], {"a": [Episode(90.0, 215.0)]}) == (Found(outage, 0.0, 15.0),)
    assert find([outage], {"a": [Episode(102.0, 150.0), Episode(160.0, 230.0)]}) == (Found(outage, 2.0, 30.0),)
    assert find([outage], {"a": [Episode(102.0, math.inf)]}) == (Found(outage, 2.0, None),)
    assert find([outage], {"a": [Episode(102.0, 150.0)]}) == (Found(outage, 2.0, 0.0),)
    assert find([outage], {"a": [Episode(50.0, 99.0), Episode(211.0, 220.0)]}) == (Found(outage, None, None),)
    assert find([outage], {}) == (Found(outage, None, None),)


def test_what_does_not_end_is_not_recovered_from_and_a_price_is_not_seen() -> None:
    endless, dearer = Incident("a", "outage", 100.0), Incident("a", "price_change", 100.0, 200.0, factor=2.0)
    seen = {"a": [Episode(102.0, 150.0)]}
    assert find([endless, dearer], seen) == (Found(endless, 2.0, None), Found(dearer, None, None))
    assert find([endless], seen)[0].as_dict()["to_s"] is None


def test_a_shift_without_an_incident_is_false() -> None:
    outage, dearer = Incident("a", "outage", 100.0, 200.0), Incident("b", "price_change", 0.0, factor=2.0)
    seen = {"a": [Episode(50.0, 60.0), Episode(101.0, 215.0), Episode(400.0, 420.0)], "b": [Episode(5.0, 6.0)]}
    models = {"a": ["a"], "b": ["b"], "c": ["c"]}
    assert false_shifts([outage, dearer], seen, models) == {"a": 2, "b": 1, "c": 0}


def test_trouble_of_a_deployment_is_why_its_model_is_passed_over() -> None:
    seen = {"a": [Episode(101.0, 215.0)]}
    assert false_shifts([Incident("a#1", "outage", 100.0, 200.0)], seen, {"a": ["a#1", "a#2"]}) == {"a": 0}
