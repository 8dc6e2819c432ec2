"""What callers say beside what the cases hold."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from routebench.drifting import Drift, drift, expect
from routebench.drifting.callers import tags_read, untold
from routebench.evaluate import Outcomes
from routebench.rules import Guard, Rule, RuleSet
from routebench.types import Request
from tests.drifting.production import LARGE, SMALL, cases, frame, outcomes, requests, rules, served

TAGGED = Rule("legal", {"all": [{"tag": ["legal", "urgent"]}, {"not": {"tag": "spam"}}]}, (LARGE,))


@pytest.fixture(scope="module")
def ruleset() -> RuleSet:
    return rules(rules=(TAGGED,))


@pytest.fixture(scope="module")
def tagged() -> Outcomes:
    """Of the cases every fifth has a tag that a rule reads, and all have one that none reads."""
    some = [
        replace(case, request=replace(case.request, tags=("demo", "legal") if place % 5 == 0 else ("demo",)))
        for place, case in enumerate(cases())
    ]
    return Outcomes.from_frame("shop", some, pd.DataFrame(outcomes().df()))


def asked(share: int | None) -> list[Request]:
    """Requests of which every so many has the tag."""
    return [
        replace(one, tags=("legal",) if share and place % share == 0 else ())
        for place, one in enumerate(requests(1000))
    ]


def held(ruleset: RuleSet, some: list[Request], evidence: Outcomes) -> Drift:
    traces = [replace(one, tags=request.tags) for one, request in zip(served(ruleset, some), some, strict=True)]
    return drift(frame(traces), ruleset, expect(ruleset, evidence))


def test_tags_that_clients_do_not_send_are_told_with_the_mend(ruleset: RuleSet, tagged: Outcomes) -> None:
    found = held(ruleset, asked(None), tagged)
    row = next(one for one in found.rows if one.name == "with the tag legal")
    assert (row.change, row.verdict, row.harmful) == (-0.2, "moved", True)
    assert next(one for one in found.rows if one.name == "first model is another").verdict == "moved"
    text = next(one.text for one in found.readings if one.text.startswith("The rules read tags"))
    assert "clients send others than the cases have (legal)" in text
    assert "`routebench: {tags: [...]}`" in text


def test_tags_that_come_as_in_the_cases_are_no_drift(ruleset: RuleSet, tagged: Outcomes) -> None:
    found = held(ruleset, asked(5), tagged)
    row = next(one for one in found.rows if one.name == "with the tag legal")
    assert row.verdict == "within"
    assert not [one for one in found.rows if one.name in ("with the tag urgent", "with the tag demo")]
    assert not [one for one in found.readings if one.text.startswith("The rules read tags")]


def test_traces_without_a_column_of_tags_tell_nothing_of_them(ruleset: RuleSet, tagged: Outcomes) -> None:
    found = drift(frame(served(ruleset, requests(200))).drop(columns="tags"), ruleset, expect(ruleset, tagged))
    assert not [one for one in found.rows if one.name.startswith("with the tag")]


def test_what_conditions_read_is_found_however_deep_it_stands() -> None:
    deep = rules(
        rules=(TAGGED, Rule("team", {"any": [{"metadata.tenant": "acme"}, {"not": {"tag": "x"}}]}, (SMALL,))),
        guards=(Guard("spend", {"budget_pace": {"gt": 1.0}}, never=(LARGE,)),),
    )
    assert tags_read(deep) == ("legal", "urgent", "spam", "x")
    assert untold(deep) == ("budget_pace", "metadata.tenant")


def test_what_traces_do_not_tell_is_said(tagged: Outcomes) -> None:
    tenant = rules(rules=(Rule("team", {"metadata.tenant": "acme"}, (LARGE,)),))
    found = held(tenant, requests(200), tagged)
    assert any(
        one.text.startswith("The rules read metadata.tenant, of which traces tell nothing") for one in found.readings
    )
    assert found.as_dict()["conditions_untold"] == ["metadata.tenant"]
