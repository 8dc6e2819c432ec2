"""What a check tells: exit codes, one JSON document, JUnit XML, and Markdown for the page of a job."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from routebench.checking import append_summary, check_rules, write_junit
from routebench.cli import main
from routebench.errors import InputError
from tests.checking.samples import AT, Sample, make_sample

RULES = """\
schema: routebench/rules/v1
name: t
models: {small: {provider: elsewhere, model: s}, large: {provider: elsewhere, model: l}}
rules: [{name: law, when: {any_keyword: [contract]}, route: [large]}]
default: {route: [small, large]}
golden:
  - {prompt: a contract, decision: [large], rule: law}
  - {prompt: "<b>&\\x07|`code`|\\n@team ]]>", decision: [large], rule: law}
"""


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sample:
    monkeypatch.chdir(tmp_path)
    return make_sample(tmp_path)


def test_the_command_says_what_it_found_and_ends_accordingly(
    sample: Sample, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = ["check", "rules.yaml", "--store", "s.duckdb", "--suite", "s"]
    assert main([*measured, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"ok", "golden", "gates", "evidence"}
    assert document["golden"]["failed"] == []
    assert [gate["name"] for gate in document["gates"]] == ["golden", "evidence", "prices", "retirement"]
    assert main([*measured, "--min-quality", "1"]) == 1
    out = capsys.readouterr().out
    assert "FAIL quality" in out
    assert "-    prices" in out
    assert "rules.yaml: FAILED; 60 of 60 golden decisions hold" in out
    assert main(["check", "rules.yaml", "--final"]) == 2
    assert "give --store" in capsys.readouterr().err


def test_a_test_case_a_gate_and_one_a_golden_decision(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    checked = check_rules(path, at=AT)
    assert not checked.ok
    junit = tmp_path / "deep" / "junit.xml"
    write_junit(junit, checked)
    (suite,) = ET.parse(junit).getroot()
    assert suite.attrib == {"name": "routebench check", "tests": "4", "failures": "2", "errors": "0", "skipped": "1"}
    cases = {case.attrib["name"]: case for case in suite}
    assert [case.attrib["classname"] for case in suite] == ["routebench check.gates"] * 2 + [
        "routebench check.golden"
    ] * 2
    assert cases["golden"][0].attrib["message"] == "golden: 1 of 2 golden decisions hold"
    assert cases["retirement"][0].tag == "skipped"
    assert not len(cases["1. a contract"])
    failure = cases["2. <b>&\\u0007|`code`| @team ]]>"][0]
    assert failure.attrib["message"] == "expected large by law, now small > large by default"


def test_a_decision_that_a_model_has_a_say_in_is_not_made_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    asked = "complexity: {classifier: {kind: llm, model: small}, tiers: [{route: [small, large]}]}\ngolden:"
    path.write_text(RULES.replace("golden:", asked))
    checked = check_rules(path, at=AT)
    (golden,) = [gate.reading for gate in checked.gates if gate.name == "golden"]
    assert golden == (
        "golden: 1 of 1 golden decisions hold; 1 wait for what a classifier's model answers, which is not asked here"
    )
    assert checked.as_dict()["golden"] | {"failed": []} == {"n": 2, "n_unseen": 0, "n_unasked": 1, "failed": []}
    write_junit(tmp_path / "junit.xml", checked)
    (suite,) = ET.parse(tmp_path / "junit.xml").getroot()
    assert [case[0].tag for case in suite if case.attrib["name"].startswith("2. ")] == ["skipped"]


def test_the_page_of_a_job_shows_first_what_fails(tmp_path: Path) -> None:
    path, page = tmp_path / "rules.yaml", tmp_path / "page.md"
    path.write_text(RULES)
    page.write_text("before\n")
    append_summary(page, check_rules(path, at=AT))
    text = page.read_text()
    assert text.startswith("before\n## routebench check: ")
    assert text.index("- ❌ golden: 1 of 2") < text.index("| ❌ | golden |") < text.index("| ➖ | retirement |")
    # Nothing of a prompt is markup: no tag, no mention, no end of its cell.
    for raw in ("<b>", " @team", "`code`", "\x07"):
        assert raw not in text
    assert "\\<b\\>\\&" in text
    path.write_text(RULES[: RULES.index("golden:")])
    append_summary(page, check_rules(path, at=AT))
    assert page.read_text().count("## routebench check") == 2
    assert "No gate fails." in page.read_text()


def test_both_are_written_too_when_nothing_could_be_measured(
    sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["--junit", "j.xml", "--summary", "s.md"]
    assert main(["check", "rules.yaml", "--store", "none.duckdb", *told]) == 2
    (suite,) = ET.parse("j.xml").getroot()
    assert (suite.attrib["tests"], suite.attrib["errors"]) == ("1", "1")
    assert "none.duckdb: no such file" in suite[0][0].attrib["message"]
    assert "It could not be measured" in Path("s.md").read_text()
    sample.edit("schema:", "shema:")
    assert main(["check", "rules.yaml", *told]) == 2
    assert "did you mean" in capsys.readouterr().err
    assert "rules.yaml:1:1" in (ET.parse("j.xml").getroot()[0][0][0].text or "")
    assert Path("s.md").read_text().count("could not be measured") == 2


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    checked = check_rules(path, at=AT)
    for write in (write_junit, append_summary):
        with pytest.raises(InputError, match=r"rules.yaml.*cannot be written"):
            write(path / "inside.xml", checked)


def test_golden_decisions_are_checked_with_the_base_install_too(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    code = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in ("numpy", "pandas", "httpx", "duckdb", "genai_prices", "jinja2"):
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Absent())
from routebench.cli import main

assert main(["check", "rules.yaml", "--junit", "base.xml"]) == 1
assert main(["check", "rules.yaml", "--store", "p.rbpack", "--junit", "lab.xml"]) == 2
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "golden: 1 of 2 golden decisions hold" in done.stdout
    assert "pip install 'routebench[lab]'" in done.stderr
    assert ET.parse(tmp_path / "lab.xml").getroot()[0].attrib["errors"] == "1"
