from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import routebench as rb
from routebench.dash.tuning.panel import TunerPanel
from routebench.demonstration import lay_out, recording

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
WAIT_S = 60


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    lay_out(folder)
    bench = rb.Bench(folder / "bench.yaml", recorded=recording())
    bench.run().wait(WAIT_S)
    bench.grade()
    return folder


def opened(home: Path, **settings: object) -> TunerPanel:
    at_once: Callable[[Callable[[], None]], None] = lambda work: work()  # noqa: E731
    bench = rb.Bench(home / "bench.yaml")
    return TunerPanel(bench, now=lambda: AT, start=at_once, **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def learned(run: Path, tmp_path_factory: pytest.TempPathFactory) -> TunerPanel:
    return opened(run, folder=tmp_path_factory.mktemp("page"))


@pytest.fixture
def panel(learned: TunerPanel) -> Iterator[TunerPanel]:
    # The demonstration has a guard, and LiteLLM cannot hold it.
    learned.gateways.lost.value = True
    yield learned
    learned.clear()
    learned.gateways.target.value = "litellm"
    learned.gateways.form = None


@pytest.mark.parametrize("name", ["litellm", "portkey", "vllm-sr", "openrouter"])
def test_every_target_is_shown_with_its_loss_and_the_beginning_of_its_file(panel: TunerPanel, name: str) -> None:
    gateways = panel.gateways
    gateways.target.value = name
    assert panel.state is not None
    gateways.names.value = ", ".join(
        f"{model.name}=a/{model.name}" for model in panel.state.study.frame.models.values()
    )
    gateways.shown.click()
    assert panel.refusal == ""
    form = gateways.form
    assert form is not None
    assert form.target.name == name
    shown = str(gateways.widget.children[-2].value)
    assert "prompts go to the same model" in shown
    assert "not verified" in shown
    assert all(one.how in shown for one in form.exported.lost)
    preview = str(gateways.widget.children[-1].value)
    assert next(iter(form.exported.files)) in preview
    gateways.names.value = ""


def test_a_guard_that_would_be_lost_is_refused_with_the_mend(panel: TunerPanel) -> None:
    panel.gateways.lost.value = False
    panel.gateways.shown.click()
    assert "cannot be held by LiteLLM" in panel.refusal
    assert panel.gateways.form is None


def test_nothing_can_be_written_or_proved_before_it_is_shown(panel: TunerPanel) -> None:
    gateways = panel.gateways
    gateways.target.value = "portkey"
    assert gateways.written.disabled
    assert gateways.proved.disabled
    assert gateways.path.value == "portkey.json"


def test_the_files_are_written_into_the_folder_of_the_page_and_not_over_others(panel: TunerPanel) -> None:
    gateways = panel.gateways
    gateways.shown.click()
    gateways.path.value = "litellm.yaml"
    gateways.written.click()
    assert panel.said.startswith("Written: ")
    written = Path(panel.said.removeprefix("Written: ").split(", ")[0])
    assert "verified: not verified" in written.read_text(encoding="utf-8")
    gateways.written.click()
    assert "exists already" in panel.refusal
    gateways.path.value = "../elsewhere.yaml"
    gateways.written.click()
    assert "names no file here" in panel.refusal


def test_what_no_export_wrote_is_not_replaced(panel: TunerPanel) -> None:
    gateways = panel.gateways
    gateways.shown.click()
    gateways.path.value = "rules.yaml"
    gateways.written.click()
    written = Path(panel.said.removeprefix("Written: ").split(", ")[0])
    policy = "schema: routebench/rules/v1\n"
    written.write_text(policy, encoding="utf-8")
    gateways.replace.value = True
    gateways.written.click()
    assert "was not written by an export" in panel.refusal
    assert written.read_text(encoding="utf-8") == policy
    gateways.replace.value = False
    written.unlink()


def test_a_product_that_is_not_installed_is_told_with_its_install_line(
    panel: TunerPanel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ROUTEBENCH_LITELLM", str(tmp_path / "none"))
    gateways = panel.gateways
    gateways.shown.click()
    gateways.proved.click()
    assert "no such program of LiteLLM" in panel.refusal
    assert "make interop" in panel.refusal


def test_a_read_only_page_shows_and_writes_nothing(run: Path) -> None:
    gateways = opened(run, read_only=True).gateways
    assert gateways.written not in [child for row in gateways.widget.children for child in getattr(row, "children", ())]
