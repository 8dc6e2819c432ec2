"""The production panel: hands and Python reach the same state, and the page gets no more than it should."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import routebench as rb
from routebench.dash.production import ProductionPanel
from routebench.dash.production.evidence import Evidence
from routebench.dash.production.opened import trace_html
from routebench.dash.production.sources import FrameSource, open_source
from routebench.dash.production.state import Production
from routebench.drifting.served import Served
from routebench.errors import InputError
from routebench.rules import RuleSet
from routebench.traces import Trace, TraceWriter
from tests.dash.production.test_state import trace
from tests.dash.production.traffic import traces, traffic

RULES = """\
schema: routebench/rules/v1
name: team
models:
  small: {provider: openai, model: small, base_url: "http://127.0.0.1:9/v1"}
  large: {provider: openai, model: large, base_url: "http://127.0.0.1:9/v1"}
rules:
- {name: short, when: {input_tokens: {lt: 100}}, route: [small, large]}
default: {route: [large, small]}
evidence: {suite: team, n_test: 200, cost_usd_per_1k: {mean: 0.3}, latency_s: {p50: 0.4, p95: 1.5}, failed_share: 0.0}
"""


def at_once(work: Any) -> None:
    work()


def opened(frame: pd.DataFrame, evidence: Evidence | None = None) -> ProductionPanel:
    return ProductionPanel(Production(FrameSource(frame)), evidence=evidence, start=at_once)


def governed(n: int = 600) -> tuple[pd.DataFrame, RuleSet]:
    ruleset = RuleSet.parse(RULES)
    return traffic(n).assign(policy=ruleset.policy_sha256[:12]), ruleset


@pytest.fixture
def panel() -> ProductionPanel:
    return opened(traffic(texts=True))


def states(widget: Any) -> Iterator[Any]:
    yield widget.get_state()
    for child in getattr(widget, "children", ()):
        yield from states(child)


def texts(panel: ProductionPanel) -> str:
    return "".join(str(one["value"]) for one in states(panel.widget) if one.get("_model_name") == "HTMLModel")


def titles(panel: ProductionPanel) -> list[str]:
    return list(panel._board.tabs.titles)


def sources(spec: Any) -> set[str]:
    """The names of the sources that a chart reads."""
    return {layer.get("data", spec.get("data"))["name"] for layer in spec["layer"]}


def show(panel: ProductionPanel, title: str) -> None:
    panel._board.tabs.selected_index = titles(panel).index(title)


def test_the_made_traces_have_the_columns_of_real_ones() -> None:
    assert list(traffic(3).columns) == [one.name for one in fields(Trace)]
    assert Served.of(traffic(3)).n == 3


def test_written_and_read_again_they_look_the_same(tmp_path: Path) -> None:
    frame = traffic(120)
    writer = TraceWriter(tmp_path)
    writer.start()
    for one in traces(frame):
        writer.put(one)
    writer.close()
    read, made = (ProductionPanel(Production(open_source(what)), follow=False) for what in (tmp_path, frame))
    assert read.reading == made.reading
    for mine, other in zip(read.pictures(), made.pictures(), strict=True):
        assert mine.frames == other.frames


def test_every_picture_shows_the_same_stretches(panel: ProductionPanel) -> None:
    names = [row["name"] for row in panel._board.volume.frames["periods"]]
    assert names == list(panel.state.totals["name"])
    for view in panel.pictures():
        assert [row["name"] for row in view.frames["periods"]] == names
        assert set(view.frames) == sources(view.spec), "no more and no less than it draws"
        assert view.description
    mixed = pd.DataFrame(panel._board._mix.frames["mix"])
    assert mixed.groupby("name")["to"].max().round(9).eq(1).all()
    assert {row["told"] for row in panel._board._mix.frames["policies"]} == {"team bbbbbbb"}
    lanes = panel._board._incidents.frames["lanes"]
    assert len(lanes) == panel._board._incidents.spec["layer"][1]["encoding"]["y"]["scale"]["domain"][1]


def test_a_brush_selects_traces_and_ticks_do_the_same(panel: ProductionPanel) -> None:
    names = tuple(panel.state.totals["name"][4:6])
    panel._board.volume.selected = names
    assert len(panel.selection) == 40
    assert list(panel.result["trace_id"]) == list(panel.selection)
    assert len(panel._board.traces.frame) == 40
    assert all(view.selected == names for view in panel.pictures())
    assert "2 selected stretches" in panel._controls.chosen.value
    show(panel, "Stretches")
    assert panel._board.periods.ticked == names
    panel._board.periods.ticked = names[:1]
    assert panel.state.selected == frozenset(names[:1])
    assert panel._board.volume.selected == names[:1]
    panel._board.volume.selected = ()
    assert len(panel.selection) == 600
    show(panel, "Traces")
    panel._board.traces.ticked = ("t5",)
    assert panel.selection == ("t5",)


def test_fields_choose_and_the_button_lifts(panel: ProductionPanel) -> None:
    controls = panel._controls
    controls._facets["model"].value = "large"
    assert panel.state.chosen == {"model": "large"}
    assert (panel.result["model"] == "large").all()
    panel.choose("rule", "short")
    assert controls._facets["rule"].value == "short"
    controls._range.value = 900.0
    controls._length.value = 300.0
    assert (panel.state.last_s, panel.state.length_s) == (900.0, 300.0)
    assert "panel.choose('model', 'large')" in panel.code()
    assert "panel.look_back(900.0)" in panel.code()
    assert "panel.cut(300.0)" in panel.code()
    controls.clear.click()
    assert panel.state.shown.n == 600
    assert controls._facets["model"].value == ""
    assert controls.clear.disabled


def test_a_facet_of_one_value_is_not_offered() -> None:
    panel = opened(traffic(50).assign(client=None))
    facets = panel._controls._facets
    assert facets["client"].layout.display == "none"
    assert facets["model"].layout.display is None
    assert panel._controls.follow.layout.display == "none", "a frame does not grow"


def test_only_the_table_that_is_looked_at_is_filled(panel: ProductionPanel) -> None:
    for title in titles(panel):
        show(panel, title)
    # The first and last tab hold more than their table.
    assert len(panel._board.periods.frame) == len(panel.state.totals)


def test_an_open_trace_is_escaped(panel: ProductionPanel) -> None:
    panel._board.traces.opened = "t7"
    told = panel._board.opened.value
    assert "What is 7 &lt;b&gt;plus&lt;/b&gt; 1?" in told
    assert "&lt;script&gt;alert(1)" in told
    assert "<script" not in texts(panel)
    assert "short" in told or "default" in told
    panel._board.traces.opened = ""
    assert panel._board.opened.value == ""


def test_what_was_not_kept_is_said() -> None:
    frame = traffic(40)
    told = trace_html({**frame.iloc[0].to_dict(), "attempts": (), "cost_usd": float("nan")})
    assert "Its texts were not kept." in told
    assert "No model was asked." in told
    assert "<dt>cost</dt><dd>n/a</dd>" in told


def test_calls_of_tools_are_shown_where_texts_were_kept() -> None:
    called = {"type": "function", "function": {"name": "find<b>", "arguments": json.dumps({"city": "Oslo"})}}
    row = traffic(1, texts=True).iloc[0].to_dict()
    told = trace_html({**row, "answer": "", "tool_calls": json.dumps([called])})
    assert "<b>calls of tools</b><pre>find&lt;b&gt;\ncity\nOslo</pre>" in told
    assert "<b>answer</b>" not in told
    assert "<b>answer</b><pre></pre>" in trace_html({**row, "answer": ""}), "an empty answer is one"


def test_a_trace_of_a_file_reads_as_one_of_memory(tmp_path: Path) -> None:
    writer = TraceWriter(tmp_path)
    writer.start()
    writer.put(trace(1))
    writer.close()
    panel = ProductionPanel(Production(open_source(tmp_path)), follow=False)
    panel._board.traces.opened = "t1"
    assert "<h4>t1</h4>" in panel._board.opened.value
    (tmp_path / next(tmp_path.glob("*.parquet")).name).unlink()
    panel._board.traces.opened = ""
    panel._board.traces.opened = "t1"
    assert "trace t1: it is no longer there" in panel.refusal
    assert "rb-mend" in panel.refusal


def test_it_opens_before_the_gateway_does_and_follows(tmp_path: Path) -> None:
    folder = tmp_path / "traces"
    panel = ProductionPanel(Production(open_source(folder)), follow=False)
    assert panel.reading.startswith("0 traces yet in ")
    assert panel.pictures() == (), "an axis of nothing cannot be drawn"
    assert panel.selection == ()
    assert panel.result.empty
    assert panel.refresh() == 0
    writer = TraceWriter(folder)
    writer.start()
    for number in range(40):
        writer.put(trace(number))
    writer.close()
    assert panel.refresh() == 40
    assert "40 requests" in panel.reading
    # Nothing went another way, and no cost is known.
    assert [view.name for view in panel.pictures()] == ["production-requests", "production-mix", "production-times"]
    assert panel._controls.follow.layout.display is None
    panel.pause()
    assert panel._controls.follow.description == "Paused"
    panel.resume()
    assert panel._controls.follow.description == "Following"


def test_what_is_chosen_stays_when_more_comes(tmp_path: Path) -> None:
    writer = TraceWriter(tmp_path)
    writer.start()
    for number in range(40):
        writer.put(trace(number))
    writer.close()
    panel = ProductionPanel(Production(open_source(tmp_path)), follow=False)
    panel.cut(600)
    name = str(panel.state.totals["name"].iloc[1])
    panel.select([name])
    assert panel.state.picked.n == 10
    later = TraceWriter(tmp_path)
    later.start()
    later.put(trace(40))
    later.close()
    assert panel.refresh() == 1
    assert panel.state.selected == frozenset([name])
    assert panel.state.picked.n == 10


def test_drift_stands_beside_the_evidence() -> None:
    frame, ruleset = governed()
    panel = opened(frame, Evidence(ruleset))
    assert panel.title == "Production: team"
    assert panel._board._cost.frames["evidence"] == [{"cost": 0.3, "told": "evidence $0.3"}]
    assert panel.beside is not None
    assert panel.beside.found is None, "nobody has looked at it yet"
    show(panel, "Drift")
    assert panel.beside.found is not None
    table = panel.beside._rows.frame
    cost = table[table["topic"] == "cost"].iloc[0]
    assert cost["verdict"] == "drifted"
    assert cost["evidence"].text == "$0.3"
    assert cost["change"].text.startswith("+")
    assert table.index[0] == cost.name, "what drifted comes first"
    assert "rb-notice" not in panel.beside._told.value
    show(panel, "Label next")
    candidates = panel.beside.chosen.frame
    assert len(candidates)
    panel.beside.chosen.opened = str(candidates.index[0])
    assert str(candidates.index[0]) in panel._board.labelled.value
    needs = panel.beside._needs.frame
    assert needs["need"].sum() > 0
    assert needs.index.is_unique
    captions = [one.caption for one in panel.numbers()]
    assert captions[:2] == ["Beside the evidence", "Labelled cases"]


def test_drift_is_measured_anew_for_other_choices() -> None:
    frame, ruleset = governed()
    panel = opened(frame, Evidence(ruleset))
    show(panel, "Drift")
    assert panel.beside is not None
    before = panel.beside.found
    panel.select([str(panel.state.totals["name"].iloc[0])])
    assert panel.beside.found is before, "selected stretches do not change what is compared"
    panel.choose("client", "chat")
    assert panel.beside.found is not before
    assert panel.beside.found is not None
    assert panel.beside.found.n == panel.state.shown.n


def test_drift_catches_up_with_what_was_chosen_meanwhile() -> None:
    frame, ruleset = governed()
    works: list[Any] = []
    panel = ProductionPanel(Production(FrameSource(frame)), evidence=Evidence(ruleset), start=works.append)
    show(panel, "Drift")
    panel.choose("client", "chat")
    assert len(works) == 1, "one measurement at a time"
    works.pop()()
    works.pop()()
    assert panel.beside is not None
    assert panel.beside.found is not None
    assert panel.beside.found.n == panel.state.shown.n < len(frame)
    assert not works


def test_figures_of_other_traces_do_not_stand_where_none_is_left() -> None:
    frame, ruleset = governed()
    panel = opened(frame, Evidence(ruleset))
    show(panel, "Drift")
    assert panel.beside is not None
    panel.choose("outcome", "broken")
    assert panel.beside.found is None
    assert "No trace is left by these choices." in panel.beside._told.value
    assert panel.beside._rows.frame.empty
    assert panel.beside.numbers() == ()
    panel.choose("outcome", None)
    assert panel.beside.found is not None
    assert len(panel.beside._rows.frame)


def test_who_closes_the_widget_is_followed_no_more(panel: ProductionPanel) -> None:
    panel.widget.close()
    panel._follow()


def test_stretches_that_the_page_still_shows_select_nothing(panel: ProductionPanel) -> None:
    panel._board.volume.selected = ("1", str(panel.state.totals["name"].iloc[0]))
    assert panel.state.selected == {str(panel.state.totals["name"].iloc[0])}
    assert panel.state.picked.n == 7, "six seconds apart, and the first stretch begins before the first of them"


def test_traces_of_another_policy_are_refused_in_two_lines() -> None:
    panel = opened(traffic(50), Evidence(RuleSet.parse(RULES)))
    show(panel, "Drift")
    assert panel.beside is not None
    told = panel.beside._told.value
    assert "none of 50 traces is of this policy" in told
    assert "Traceback" not in told
    assert panel.beside.found is None


def test_it_is_saved_without_a_single_request(panel: ProductionPanel, tmp_path: Path) -> None:
    text = panel.save(tmp_path / "production.html").read_text(encoding="utf-8")
    assert text.count("<svg") == 5
    assert "What is 7" not in text
    assert "t599" not in text
    assert "<script" not in text


def test_the_page_holds_one_page_of_traces() -> None:
    panel = opened(traffic(5000))
    sent = json.dumps(list(states(panel.widget)), default=str)
    assert len(sent) < 1_000_000
    assert "t4999" in sent
    assert '"t1000"' not in sent
    assert "The latest 1,000 of 5,000" in texts(panel)


def test_it_is_one_call(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES, encoding="utf-8")
    panel = rb.production(traffic(50), rules)
    assert panel.title == "Production: team"
    assert f"rb.production(traces, {str(rules)!r})" in panel.code()
    with pytest.raises(InputError, match="outcomes are held against nothing; give the rules"):
        rb.production(traffic(50), outcomes=object())  # type: ignore[arg-type]
