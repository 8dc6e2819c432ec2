"""What a row becomes on its way to Parquet and back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

import pytest

from routebench.rules.reading.request import Reading
from routebench.traces import Trace
from routebench.traces.lines import line_of
from routebench.traces.tables import read_journal, schema, table_of
from routebench.types import Request
from tests.traces.rows import FULL, START, row


def back(*rows: Trace) -> list[dict[str, Any]]:
    return read_journal(b"".join(map(line_of, rows))).table.to_pylist()


def test_the_columns_are_those_of_a_trace() -> None:
    assert schema().names == [one.name for one in fields(Trace)]


def test_every_field_comes_back_as_it_was() -> None:
    full = row(**FULL)
    assert set(FULL) | {
        "trace_id",
        "at",
        "gateway",
        "rules",
        "policy",
        "status",
        "outcome",
        "streamed",
        "latency_s",
    } == {one.name for one in fields(Trace)}
    (told,) = back(full)
    wanted = asdict(full)
    assert json.loads(told.pop("features")) == wanted.pop("features")
    assert json.loads(told.pop("request")) == wanted.pop("request")
    for name in ("messages", "tool_calls"):
        assert json.loads(told.pop(name)) == list(wanted.pop(name))
    assert told.pop("at") == datetime.fromtimestamp(wanted.pop("at"), UTC)
    assert told.pop("attempts") == list(wanted.pop("attempts"))
    assert told == {name: list(value) if isinstance(value, tuple) else value for name, value in wanted.items()}


def test_what_is_unknown_stays_so_and_is_no_empty_list() -> None:
    (told,) = back(row(shadow_chain=None, attempts=(), tags=()))
    assert told["shadow_chain"] is None
    assert (told["chain"], told["attempts"], told["tags"]) == ([], [], [])
    assert {told[name] for name in ("cost_usd", "escalated", "features", "answer", "input_tokens", "model")} == {None}
    assert back(row(shadow_chain=()))[0]["shadow_chain"] == []


def test_journals_and_rows_become_the_same_table() -> None:
    rows = [row(1), row(2, **FULL), row(3, cost_usd=None, explored=True)]
    assert read_journal(b"".join(map(line_of, rows))).table.equals(table_of(rows))


def test_times_are_kept_to_the_microsecond() -> None:
    (told,) = back(row(at=START + 0.123457))
    assert told["at"].microsecond == 123457


def test_features_that_are_worked_out_late_are_told_with_their_digest() -> None:
    features = Reading(Request(({"role": "user", "content": "How many?"},))).features()
    late, early = back(row(features=features), row(features=dict(reversed(list(features.items())))))
    assert json.loads(late["features"]) == dict(features)
    assert late["features"] == early["features"], "in whatever order they come"
    assert late["features_sha256"] == early["features_sha256"]
    assert len(late["features_sha256"]) == 64
    assert back(row(features={}, features_sha256="mine"))[0]["features_sha256"] == "mine"


class Odd(Mapping[str, Any]):
    def __getitem__(self, name: str) -> Any:
        return {"seen": frozenset({"b", "a"})}[name]

    def __iter__(self) -> Iterator[str]:
        return iter(["seen"])

    def __len__(self) -> int:
        return 1


def test_mappings_and_sets_are_told() -> None:
    assert json.loads(back(row(features=Odd()))[0]["features"]) == {"seen": ["a", "b"]}


@pytest.mark.parametrize(
    ("changes", "name", "wanted"),
    [
        ({"answer": "half \ud83d of it"}, "answer", "half ? of it"),
        ({"error": "\udfff"}, "error", "?"),
        ({"features": {"long": 1 << 70}}, "features", '{"long":1180591620717411303424}'),
        ({"messages": [{"content": "\ud83d"}]}, "messages", '[{"content":"?"}]'),
    ],
)
def test_what_json_cannot_hold_costs_no_row(changes: dict[str, Any], name: str, wanted: str) -> None:
    first, second = back(row(1, **changes), row(2))
    assert (first["trace_id"], second["trace_id"]) == ("t000001", "t000002")
    assert first[name] == wanted


def test_numbers_that_are_none_are_unknown() -> None:
    assert back(row(cost_usd=float("nan")))[0]["cost_usd"] is None


def test_a_value_that_is_nothing_of_json_is_an_error() -> None:
    with pytest.raises(TypeError, match="object is no value of JSON"):
        line_of(row(features={"a": object()}))


@pytest.mark.parametrize("cut", [1, 100, 10**6])
def test_a_last_line_that_is_cut_short_is_passed_over(cut: int) -> None:
    whole, torn = line_of(row(1)), line_of(row(2, **FULL))[:-cut][:500]
    found = read_journal(whole + torn)
    assert found.table.column("trace_id").to_pylist() == ["t000001"]
    assert (found.torn, found.unreadable) == (torn, ())


def test_of_lines_that_are_no_rows_the_others_are_read() -> None:
    lines = [line_of(row(1, **FULL)), b"\x00\x00\n", b"7\n", b'{"at": 3}\n', b"{}\n", line_of(row(2))]
    found = read_journal(b"".join(lines))
    assert found.unreadable == (b"\x00\x00", b"7", b'{"at": 3}', b"{}")
    assert found.table.equals(table_of([row(1, **FULL), row(2)]))


def test_an_empty_journal_holds_no_row() -> None:
    assert read_journal(b"").table.equals(table_of([]))
    assert read_journal(b'{"trace').torn == b'{"trace'


def test_a_row_may_be_as_long_as_a_prompt() -> None:
    long = "long " * 1_000_000
    assert back(row(1), row(2, answer=long), row(3))[1]["answer"] == long


@pytest.mark.parametrize("line", [b"{}", b'{"at": "2026-11-28T12:00:00+00:00", "trace_id": "t"}', b'{"trace_id": "t"}'])
def test_json_that_is_no_row_is_none(line: bytes) -> None:
    found = read_journal(line_of(row(1)) + line + b"\n")
    assert found.unreadable == (line,)
    assert found.table.equals(table_of([row(1)]))
