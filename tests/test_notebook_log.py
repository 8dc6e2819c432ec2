"""The synthetic log of the second notebook: made by its generator, as the notebook says, and full of planted data."""

from __future__ import annotations

import gzip
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from routebench.config import load_config
from routebench.providers import Keys, Recorded
from routebench.suites.loaders import parse_row
from routebench.suites.logs import Drawn, from_logs

FOLDER = Path(__file__).parents[1] / "notebooks" / "support-log"
LOG = FOLDER / "log.jsonl.gz"


@pytest.fixture
def make_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(FOLDER)
    yield importlib.import_module("make_log")
    for name in ("make_log", "names"):
        sys.modules.pop(name, None)


def drawn(n: int = 200) -> Drawn:
    return from_logs(LOG, format="jsonl", n=n, redact=f"{FOLDER}/names.py:without_names")


def test_the_generator_wrote_the_files_beside_it(make_log: ModuleType) -> None:
    lines, planted = make_log.make_log()
    # The packed bytes depend on the zlib, the text in them does not.
    assert gzip.decompress(LOG.read_bytes()).decode() == make_log.log_text(lines)
    assert (FOLDER / "planted.txt").read_text(encoding="utf-8").splitlines() == planted
    assert LOG.stat().st_size < 80_000


def test_it_has_200_conversations_of_four_tasks_that_repeat_and_fail() -> None:
    found = drawn()
    assert (found.n_conversations, found.models) == (200, {"big-model": found.n_requests})
    assert {task for task, *_ in found.strata} == {"classification", "mathematics", "extraction", "tool use"}
    assert found.n_repeated >= 10
    assert found.n_similar >= 1
    assert found.tally.skipped["failed calls"] >= 10
    assert found.tally.skipped["exact repeats of a line"] == 5


def test_planted_data_of_every_kind_is_in_the_log_and_none_in_a_suite() -> None:
    planted = (FOLDER / "planted.txt").read_text(encoding="utf-8").splitlines()
    text = gzip.decompress(LOG.read_bytes()).decode()
    assert all(value in text for value in planted)
    # So large that all of the log is in it.
    found = drawn(1000)
    assert found.n_drawn >= 150
    assert [value for value in planted if value in repr(found.rows)] == []
    assert set(found.redacted) == {"email", "phone", "card", "iban", "own"}


def test_labels_of_one_task_are_no_choices_of_another_and_days_are_no_labels() -> None:
    choices = {
        tuple(row["grader"]["choices"])
        for row in drawn(1000).rows
        if isinstance(row["grader"], dict) and row["grader"]["name"] == "choice"
    }
    assert choices == {("account", "billing", "delivery", "returns"), ("delivered", "packed", "returned", "shipped")}


def test_every_case_with_a_target_has_a_recorded_answer_of_every_model() -> None:
    recorded = Recorded(FOLDER / "recorded.jsonl.gz")
    rows = [row for row in drawn(1000).rows if "target" in row]
    assert len(rows) > 100
    requests = [parse_row(row, where="suite", default_id="x").request for row in rows]
    models = load_config(FOLDER / "bench.yaml").models
    lacking = [model.name for model in models for one in requests if Keys(model).of(one, 0) not in recorded._answers]
    assert lacking == []
