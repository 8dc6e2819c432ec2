"""The last look: sealed cases are measured, the look is counted, and the file keeps all but its evidence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from routebench.checking import Checked, Gate, check_rules
from routebench.errors import OutcomesError, RulesError
from routebench.evaluate.joining import train_and_test
from routebench.evaluate.splits import split
from routebench.matrix import open_outcomes
from routebench.packing import pack
from routebench.rules import RuleSet
from routebench.rules.file.evidence_block import replace_evidence
from routebench.store import Store, sql
from routebench.store.looks import count_looks
from tests.checking.samples import AT, make_sample


def final(checked: Checked) -> Gate:
    assert checked.gates[-1].name == "final"
    return checked.gates[-1]


def test_looks_are_counted_in_the_store_and_in_the_file(tmp_path: Path) -> None:
    sample = make_sample(tmp_path, sealed=80)
    sample.rules.write_text("# ours\n" + sample.rules.read_text() + "# the end\n")
    before = sample.rules.read_text()
    first = check_rules(sample.rules, at=AT, store=sample.store, final=True)
    assert final(first).ok
    assert "final: look 1 at the 80 sealed cases: every look makes the next one weaker" in final(first).reading
    after = sample.rules.read_text()
    assert after.startswith("# ours\nschema:")
    assert after.endswith("# the end\n")
    assert RuleSet.parse(after).policy_sha256 == RuleSet.parse(before).policy_sha256
    sealed = sample.ruleset().evidence["sealed"]
    assert first.evidence is not None
    assert first.evidence["sealed"] == sealed
    assert (sealed["looks"], sealed["n"], sealed["created"]) == (1, 80, AT.date())
    assert 0 < sealed["quality"]["ci95"][0] < sealed["quality"]["mean"] < sealed["quality"]["ci95"][1] < 1
    assert {**sample.ruleset().evidence, "sealed": None} == {**RuleSet.parse(before).evidence, "sealed": None}
    # The file was taken back, the store remembers; and the other way round.
    sample.rules.write_text(before)
    assert "look 2 at" in final(check_rules(sample.rules, at=AT, store=sample.store, final=True)).reading
    rows = sql(Store(sample.store), "SELECT suite, rules, policy_sha256 FROM looks")
    assert rows.to_numpy().tolist() == [["s", "s", sample.ruleset().policy_sha256]] * 2
    pack(Store(sample.store), "s", tmp_path / "p.rbpack", rules=[sample.rules])
    assert "look 3 at" in final(check_rules(sample.rules, at=AT, store=tmp_path / "p.rbpack", final=True)).reading
    assert count_looks(Store(sample.store), "s") == 2
    assert sample.ruleset().evidence["sealed"]["looks"] == 3
    # What was measured on the sealed cases changes nothing of what the other gates look at.
    assert check_rules(sample.rules, at=AT, store=sample.store).ok


def test_the_baselines_are_chosen_on_train_and_measured_on_the_sealed_cases(tmp_path: Path) -> None:
    sample = make_sample(tmp_path, sealed=80)
    store = Store(sample.store)
    outcomes, sealed = open_outcomes(store, "s"), open_outcomes(store, "s", sealed=True)
    train = outcomes.take(split(outcomes, 42)[0])
    joined = train_and_test(train, sealed)
    for seed in (1, 2):
        inside, outside = split(joined, seed)
        assert set(joined.cases.ids[inside]) == set(train.cases.ids)
        assert set(joined.cases.ids[outside]) == set(sealed.cases.ids)
    assert [case.id for case in joined.cases] == list(joined.cases.ids)
    np.testing.assert_array_equal(joined.score[-80:], sealed.score)
    assert joined.requests[199] == sealed.requests[79]
    with pytest.raises(OutcomesError, match="would be trained on and measured on"):
        train_and_test(outcomes, outcomes)
    with pytest.raises(OutcomesError, match="other models"):
        train_and_test(train.select(["dear"]), sealed)


def test_a_rule_set_that_only_suited_what_it_had_seen_fails(tmp_path: Path) -> None:
    sample = make_sample(tmp_path, sealed=80, sealed_right=0.5)
    found = final(check_rules(sample.rules, at=AT, store=sample.store, final=True))
    assert found.ok is False
    assert "less than chance explains" in found.reading


def test_no_look_is_spent_where_another_gate_fails_or_nothing_is_sealed(tmp_path: Path) -> None:
    sample = make_sample(tmp_path, sealed=80)
    sample.change(lambda one: replace(one, golden=(replace(one.golden[0], rule="none"), *one.golden[1:])))
    before = sample.rules.read_text()
    found = final(check_rules(sample.rules, at=AT, store=sample.store, final=True))
    assert found.ok is None
    assert "were not looked at" in found.reading
    assert (sample.rules.read_text(), count_looks(Store(sample.store), "s")) == (before, 0)
    (tmp_path / "open").mkdir()
    bare = make_sample(tmp_path / "open")
    with pytest.raises(OutcomesError, match="no sealed cases"):
        check_rules(bare.rules, at=AT, store=bare.store, final=True)


RULES = """\
# before
name: r   # of the name
evidence:   # written by routebench
  quality: {mean: 0.5}   # of the mean
  note: >
    folded
    text

# after, still not a part of it
default: {route: [a]}   # of the default
"""


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "text",
    [
        RULES,
        RULES.replace("  note: >\n    folded\n    text\n", ""),
        RULES.replace("  note: >\n    folded\n    text\n", "  list:\n  - 1\n  - 2   # of two\n"),
        "evidence: {quality: {mean: 0.5}}   # in one line\nname: é ‖ 😀   # of the name\n",
        "name: r\nevidence:\ngolden: []   # none\n",
        "name: r\nevidence: {}",
    ],
)
def test_only_the_block_is_written_anew(text: str, line_end: str) -> None:
    text = text.replace("\n", line_end)
    evidence = {"quality": {"mean": 0.25, "ci95": [0.1, 0.4]}, "created": AT.date(), "constraint": "one " * 60}
    made = replace_evidence(text, evidence)
    assert yaml.safe_load(made) == {
        **yaml.safe_load(text),
        "evidence": {**evidence, "constraint": ("one " * 60).strip() + " "},
    }
    for comment in ("# before", "# of the name", "# after, still not a part of it", "# of the default", "# none"):
        assert (comment in made) == (comment in text)
    start, key = text.index("evidence:"), text.find("\n# after")
    assert made[:start] == text[:start]
    assert key < 0 or made.endswith(text[key:])
    assert ("\r\n" in made) == (line_end == "\r\n")
    assert made.count("\n") == made.count("\r\n") or line_end == "\n"
    assert replace_evidence(made, evidence) == made


@pytest.mark.parametrize(
    "text", ["name: r\n", "{name: r, evidence: {}}", "evidence: &a {x: 1}\ncopy: *a\n", "- 1\n", "a: [\n"]
)
def test_a_block_that_cannot_be_found_or_is_used_elsewhere_is_refused(text: str) -> None:
    with pytest.raises(RulesError, match=r"r\.yaml: its `evidence` cannot be written anew"):
        replace_evidence(text, {"a": 1}, name="r.yaml")
