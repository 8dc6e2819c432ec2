"""Files that were published with version 1 of the format: they load for ever, and decide as they did."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from routebench.rules import RuleSet, check_golden, rules_json_schema

PUBLISHED = sorted((Path(__file__).parent / "v1").glob("*.yaml"))


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_it_loads_decides_as_it_did_and_is_written_as_it_was_read(path: Path) -> None:
    ruleset = RuleSet.load(path)
    checked = check_golden(ruleset)
    assert checked.n >= 4
    assert checked.failed == ()
    assert RuleSet.parse(ruleset.to_yaml(), folder=path.parent) == ruleset


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_editors_find_nothing_wrong(path: Path) -> None:
    schema = rules_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    # An editor sees texts and numbers where YAML has dates.
    document = yaml.load(path.read_text(), Loader=yaml.BaseLoader)
    real = yaml.safe_load(path.read_text())
    assert document.keys() == real.keys()
    errors = [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(_without_dates(real))]
    assert errors == []


def _without_dates(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_dates(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_dates(inner) for inner in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
