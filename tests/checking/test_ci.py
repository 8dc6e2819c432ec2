"""The jobs that `init ci` writes, read as YAML and really run in a folder as a team would have it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from routebench.checking import lay_out_ci
from routebench.cli import main
from routebench.errors import InputError
from routebench.packing import pack
from routebench.store import Store
from tests.checking.samples import Sample, make_sample

PACK = "results/the outcomes.rbpack"
NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "execution_count": None,
            "metadata": {},
            "outputs": [],
            "source": "import os\nassert os.environ['ROUTEBENCH_CACHE'] == 'only'\nimport routebench as rb\nrb.__version__",
        }
    ],
    "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
    "nbformat": 4,
    "nbformat_minor": 4,
}


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sample:
    monkeypatch.chdir(tmp_path)
    # The jobs look at the clock.
    sample = make_sample(tmp_path, created=datetime.now(UTC).date())
    pack(Store(sample.store), "s", tmp_path / PACK, rules=[sample.rules])
    for place in (sample.store, sample.suite):
        place.unlink()
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "ours.ipynb").write_text(json.dumps(NOTEBOOK))
    assert main(["init", "ci", "--store", PACK]) == 0
    return sample


def github_scripts() -> Iterator[tuple[str, dict[str, str]]]:
    document: dict[Any, Any] = yaml.safe_load(Path(".github/workflows/routebench.yml").read_text())
    # To YAML 1.1 the key `on` is a truth value.
    assert set(document[True]) == {"push", "pull_request", "schedule"}
    for step in document["jobs"]["check"]["steps"]:
        if "uses" in step:
            assert step["uses"].partition("@")[2].startswith("v"), step
        else:
            yield step["run"], step.get("env", {})


def gitlab_scripts() -> Iterator[tuple[str, dict[str, str]]]:
    document = yaml.safe_load(Path(".gitlab/routebench.gitlab-ci.yml").read_text())
    base = document[".routebench"]
    assert any("schedule" in rule["if"] for rule in base["rules"])
    assert document["routebench check"]["artifacts"]["reports"] == {"junit": "routebench-junit.xml"}
    for name in ("routebench check", "routebench notebooks"):
        job = document[name]
        assert job["extends"] == ".routebench"
        for script in (*base["before_script"], *job["script"]):
            yield script, job.get("variables", {})


def run(scripts: Iterator[tuple[str, dict[str, str]]]) -> Iterator[int]:
    """Exit codes of the scripts, those that install aside; the shell is as strict as the jobs' own."""
    bin_folder = str(Path(sys.executable).parent)
    for script, variables in scripts:
        if "pip install" in script:
            assert script == 'python -m pip install "routebench[lab]" nbval pytest'
            continue
        environment = {
            **os.environ,
            **variables,
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "GITHUB_STEP_SUMMARY": "summary.md",
        }
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, 1), done.stdout + done.stderr
        yield done.returncode


def test_the_jobs_pass_and_a_broken_golden_decision_stops_them(team: Sample) -> None:
    assert list(run(github_scripts())) == [0, 0]
    assert list(run(gitlab_scripts())) == [0, 0]
    for summary in ("summary.md", "routebench-summary.md"):
        assert "No gate fails." in Path(summary).read_text()
    (suite,) = ET.parse("routebench-junit.xml").getroot()
    assert (suite.attrib["failures"], suite.attrib["errors"]) == ("0", "0")
    team.change(lambda one: replace(one, golden=(replace(one.golden[0], rule="none"), *one.golden[1:])))
    assert next(run(github_scripts())) == 1
    assert next(run(gitlab_scripts())) == 1
    assert "❌" in Path("summary.md").read_text()


def test_without_notebooks_the_other_job_still_passes(team: Sample) -> None:
    Path("notebooks/ours.ipynb").unlink()
    Path("notebooks").rmdir()
    assert list(run(github_scripts())) == [0, 0]


def test_what_is_there_is_written_over_only_when_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["init", "ci", "--out", str(tmp_path), "--json"]
    assert main([*out, "--suite", "it's mine", "--rules", "our rules.yaml", "--notebooks", "a;b"]) == 0
    files = [Path(name) for name in json.loads(capsys.readouterr().out)["files"]]
    assert len(files) == 2
    for path in files:
        text = path.read_text()
        assert (
            "routebench check 'our rules.yaml' --store results/outcomes.rbpack --suite 'it'\"'\"'s mine' --max-age 90"
            in text
        )
        assert "pytest --nbval-lax --nbval-current-env 'a;b'" in text
        assert "<<" not in text
    files[1].write_text("ours")
    files[0].unlink()
    assert main(out) == 2
    assert str(files[1]) in capsys.readouterr().err
    assert not files[0].exists()
    assert main([*out, "--force"]) == 0
    assert files[1].read_text() != "ours"


@pytest.mark.parametrize("value", ["a\nb", "--help", "a\x1bb"])
def test_what_cannot_stand_in_a_script_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(InputError, match="cannot stand in a script"):
        lay_out_ci(tmp_path, rules=value)
