"""Measuring without prompts: by decisions that a pack recorded, or with the prompts from a file."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from routebench.checking import check_rules
from routebench.checking.measuring import Measurement
from routebench.errors import InputError, OutcomesError, SuiteError
from routebench.packing import pack
from routebench.rules import Default, Rule
from routebench.store import Store, purge, read_cases
from routebench.suites import content_hash
from routebench.suites.prompts import read_prompt_file
from tests.checking.samples import AT, Sample, make_sample


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return make_sample(tmp_path)


def packed(sample: Sample, *, rules: bool = True) -> Path:
    path = sample.folder / ("with.rbpack" if rules else "without.rbpack")
    pack(Store(sample.store), "s", path, rules=[sample.rules] if rules else [])
    return path


def cost_usd_per_1k(sample: Sample, path: Path) -> float | None:
    measurement = Measurement.open(sample.ruleset(), path)
    return measurement.own(measurement.compared(measurement.outcomes)).cost_usd_per_1k


def test_a_pack_measures_what_its_store_does(sample: Sample) -> None:
    whole = check_rules(sample.rules, at=AT, store=sample.store)
    found = check_rules(sample.rules, at=AT, store=packed(sample))
    assert found.ok
    assert found.as_dict() == whole.as_dict()
    by_prompts = check_rules(sample.rules, at=AT, store=packed(sample, rules=False), prompts=sample.suite)
    assert by_prompts.as_dict() == whole.as_dict()


def test_a_pack_measures_a_cascade_by_the_verdicts_that_it_holds(tmp_path: Path) -> None:
    sample = make_sample(tmp_path, sealed=40)
    # Every answer says yes, so that everything is asked twice, and the cheap one is paid for.
    checks = {"nice": {"answer": {"any_keyword": ["no"]}}}
    sample.change(
        lambda one: replace(
            one, checks=checks, rules=(), default=Default(route=("cheap", "dear"), cascade="nice"), golden=()
        )
    )
    found = check_rules(sample.rules, at=AT, store=packed(sample), final=True).as_dict()
    assert found == check_rules(sample.rules, at=AT, store=sample.store, final=True).as_dict()
    assert cost_usd_per_1k(sample, packed(sample)) == pytest.approx(0.09 + 2.25)
    # Prompts do not help where answers are looked at, and the pack's own decisions are as good.
    assert check_rules(sample.rules, at=AT, store=packed(sample), prompts=sample.suite, final=True).as_dict() == found
    with pytest.raises(OutcomesError, match="no text is kept"):
        check_rules(sample.rules, at=AT, store=packed(sample, rules=False), prompts=sample.suite)


def test_a_cascade_is_not_packed_without_answers(sample: Sample) -> None:
    checks = {"nice": {"answer": {"any_keyword": ["no"]}}}
    default = Default(route=("cheap", "dear"), cascade="nice")
    sample.change(lambda one: replace(one, checks=checks, rules=(), default=default, golden=()))
    with Store(sample.store).connect() as con:
        con.execute("UPDATE completions SET text = NULL")
    with pytest.raises(OutcomesError, match="of 240 cells of suite 's' no text is kept"):
        packed(sample)


def test_a_pack_records_what_is_decided_at_every_time_of_the_week(sample: Sample) -> None:
    night = Rule("night", {"time": {"after": "22:00", "before": "04:00"}}, ("cheap",))
    sample.change(lambda one: replace(one, rules=(night,), default=Default(route=("dear",)), golden=()))
    path = packed(sample)
    found = check_rules(sample.rules, at=AT, store=path).as_dict()
    assert found == check_rules(sample.rules, at=AT, store=sample.store).as_dict()
    assert cost_usd_per_1k(sample, path) == pytest.approx(0.25 * 0.09 + 0.75 * 2.25)
    before = path.read_bytes()
    packed(sample)
    assert path.read_bytes() == before


def test_without_decisions_and_prompts_the_way_out_is_told(sample: Sample) -> None:
    with pytest.raises(
        InputError, match=r"--prompts suite.jsonl, or make the pack anew with `routebench pack … --rules"
    ):
        check_rules(sample.rules, at=AT, store=packed(sample, rules=False))
    path = packed(sample)
    sample.change(lambda one: replace(one, default=Default(route=("dear",)), golden=()))
    with pytest.raises(InputError, match="was changed since"):
        check_rules(sample.rules, at=AT, store=path)
    assert check_rules(sample.rules, at=AT, store=path, prompts=sample.suite).gates


def test_a_store_without_texts_takes_the_prompts_too(sample: Sample) -> None:
    whole = check_rules(sample.rules, at=AT, store=sample.store)
    purge(Store(sample.store), before=AT.replace(tzinfo=None, year=2030))
    with pytest.raises(InputError, match="holds no prompt, and no decision"):
        check_rules(sample.rules, at=AT, store=sample.store)
    assert check_rules(sample.rules, at=AT, store=sample.store, prompts=sample.suite).as_dict() == whole.as_dict()
    lines = sample.suite.read_text().splitlines()
    sample.suite.write_text("\n".join([lines[0].replace("add", "add up"), *lines[1:]]))
    with pytest.raises(OutcomesError, match="ask something else"):
        check_rules(sample.rules, at=AT, store=sample.store, prompts=sample.suite)


def test_prompts_are_read_from_either_form(sample: Sample, tmp_path: Path) -> None:
    cases = read_cases(Store(sample.store), "s")
    assert [content_hash(case) for case in read_prompt_file(sample.suite)] == [content_hash(case) for case in cases]
    rows = [{"prompt_id": case.id, "prompt": case.request.messages[0]["content"]} for case in cases]
    jsonl, table, parquet = (tmp_path / f"prompts.{end}" for end in ("jsonl", "csv", "parquet"))
    jsonl.write_text("\n".join(json.dumps(row) for row in rows))
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["prompt_id", "prompt"])
        writer.writeheader()
        writer.writerows(rows)
    import pandas as pd

    pd.DataFrame(rows).to_parquet(parquet)
    for path in (jsonl, table, parquet):
        read = read_prompt_file(path)
        assert [(case.id, case.request.messages) for case in read] == [
            (case.id, case.request.messages) for case in cases
        ]


def test_files_that_hold_no_prompts_are_named(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="no such file"):
        read_prompt_file(tmp_path / "none.jsonl")
    for name, text, words in (
        ("a.jsonl", "", "no cases"),
        ("b.jsonl", "{", "b.jsonl:1"),
        ("c.txt", "x", "is a .jsonl, .csv or .parquet"),
        ("d.parquet", "x", "no Parquet file"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(SuiteError, match=words):
            read_prompt_file(tmp_path / name)
