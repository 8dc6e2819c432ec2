"""What a dashboard shows: files that are looked at first, a copy of the store, and two lines where it cannot be opened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import routebench as rb
from routebench.dash.cockpit import Cockpit
from routebench.demonstration import TODAY, lay_out, recording
from routebench.errors import ConfigError, InputError, StoreError
from routebench.serving import Page, demonstration_page
from routebench.serving.page import copies_of, open_page

KEYED = """\
schema: routebench/bench/v1
suite: starter.jsonl
store: demo.duckdb
models:
  - {name: a, provider: openai, model: m, base_url: "https://a.example/v1", key_env: A_KEY, price: {input_usd_per_mtok: 1, output_usd_per_mtok: 1}}
  - {name: b, provider: openai, model: m, price: {input_usd_per_mtok: 1, output_usd_per_mtok: 1}}
  - {name: c, provider: tool, model: calculator, price: {cpu_usd_per_hour: 0.05}}
"""


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    lay_out(folder)
    rb.Bench(folder / "bench.yaml", recorded=recording()).run().wait()
    return folder


def test_a_page_that_only_shows_works_on_a_copy(answered: Path, tmp_path: Path) -> None:
    store = answered / "demo.duckdb"
    before = store.read_bytes()
    bench = Page.of(answered / "bench.yaml").open(tmp_path)
    assert tmp_path in bench.store.path.parents
    bench.compare(["rules"], seeds=[42])
    assert store.read_bytes() == before
    with pytest.raises(ConfigError, match="only shows"):
        bench.run()
    with pytest.raises(ConfigError, match="only shows"):
        bench.run(bench.plan(cache="refresh"), budget_usd=100, max_calls=1)


def test_a_page_that_may_run_works_on_the_store_itself(answered: Path, tmp_path: Path) -> None:
    page = Page.of(answered / "bench.yaml", cap_usd=1.0)
    assert page.open(tmp_path).store.path == answered / "demo.duckdb"
    assert not page.read_only


def test_mistakes_show_before_a_server_is_started(answered: Path, tmp_path: Path) -> None:
    lay_out(tmp_path)
    with pytest.raises(StoreError, match=r"nothing to show.*routebench run"):
        Page.of(tmp_path / "bench.yaml")
    assert Page.of(tmp_path / "bench.yaml", cap_usd=1.0).cap_usd == 1.0
    with pytest.raises(InputError, match=r"none\.yaml"):
        Page.of(answered / "bench.yaml", rules=tmp_path / "none.yaml")
    with pytest.raises(InputError, match=r"none\.jsonl"):
        Page.of(answered / "bench.yaml", today=tmp_path / "none.jsonl")
    with pytest.raises(ConfigError):
        Page.of(tmp_path / "none.yaml")


def test_a_gateway_need_not_have_begun(answered: Path, tmp_path: Path) -> None:
    page = Page.of(answered / "bench.yaml", traces=tmp_path / "traces")
    assert page.traces == str((tmp_path / "traces").resolve())


def test_it_names_the_keys_of_its_models(tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / "bench.yaml").write_text(KEYED)
    assert Page.of(tmp_path / "bench.yaml", cap_usd=1.0).key_names() == {"A_KEY", "OPENAI_API_KEY"}


def test_the_notebook_opens_the_cockpit(answered: Path, tmp_path: Path) -> None:
    notebook = Page.of(answered / "bench.yaml", today=answered / TODAY).write(tmp_path)
    (cell,) = json.loads(notebook.read_text())["cells"]
    assert cell["source"].endswith("open_page('page.json')")
    opened = open_page(str(tmp_path / "page.json"))
    assert isinstance(opened, Cockpit)
    assert "only shows" in opened.reading


def test_what_cannot_be_opened_is_told_in_two_lines(tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / "own").mkdir()
    Page(str(tmp_path / "bench.yaml")).write(tmp_path / "own")
    told = open_page(str(tmp_path / "own" / "page.json"))._repr_html_()
    assert "cannot be opened" in told
    assert "demo.duckdb" in told
    assert "Traceback" not in told


def test_the_demonstration_has_every_answer(tmp_path: Path) -> None:
    page = demonstration_page(tmp_path)
    (tmp_path / "own").mkdir()
    bench = page.open(tmp_path / "own")
    assert bench.outcomes().n == 150
    assert page.today is not None
    assert page.demo


def test_the_demonstration_says_that_it_is_one(answered: Path, tmp_path: Path) -> None:
    Page(str(answered / "bench.yaml"), demo=True).write(tmp_path)
    opened = open_page(str(tmp_path / "page.json"))
    assert opened.reading.startswith("DEMO: recorded answers of embedded models.")
    assert opened.title == "Cockpit: starter (DEMO)"
    assert opened.panels["Compare"].reading.startswith("DEMO")
    opened.show("Run")
    note, _ = opened._places["Run"].children
    assert "no run of today" in note.value
    # A bench of somebody's own is none.
    (tmp_path / "own").mkdir()
    Page(str(answered / "bench.yaml")).write(tmp_path / "own")
    assert "DEMO" not in open_page(str(tmp_path / "own" / "page.json")).reading


def test_copies_of_a_page_are_found_by_its_kernel(answered: Path, tmp_path: Path) -> None:
    Page(str(answered / "bench.yaml")).open(tmp_path)
    assert len(copies_of(tmp_path, "")) == 1
    assert not copies_of(tmp_path, "another")
