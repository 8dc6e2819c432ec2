"""docs/gateway.md: its file loads, and no key of the format, no metric and no refusal of the door is missing."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from routebench.cli import main, make_parser
from routebench.gateway.metrics import Metrics, Standing
from routebench.gateway.settings import gateway_json_schema, parse_settings
from routebench.yaml_source import parse_yaml

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "gateway.md").read_text(encoding="utf-8")
(FILE,) = [block for block in re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL) if "routebench/gateway/v1" in block]


def keys_of(schema: dict[str, Any]) -> set[str]:
    definitions = [schema, *schema["$defs"].values()]
    return {key for one in definitions for key in one.get("properties", {})}


def test_the_file_loads_and_shows_every_key() -> None:
    config = parse_settings(FILE, Path("gateway.yaml"))
    assert [key.name for key in config.keys] == ["support-bot"]
    shown = {str(part) for path in parse_yaml(FILE, "gateway.yaml").places for part in path}
    assert keys_of(gateway_json_schema()) - shown == {"redact"}


def test_commands_are_as_they_are_told() -> None:
    commands = re.findall(r"^routebench (keys .*)$", DOCS, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        make_parser().parse_args(shlex.split(command))


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "gateway"]) == 0
    assert json.loads(capsys.readouterr().out) == gateway_json_schema()


def test_every_metric_is_told() -> None:
    text = Metrics().render(Standing("r", "p", ("small",))).decode()
    names = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert len(names) > 20
    assert {name for name in names if f"`{name}`" not in DOCS} == set()


@pytest.mark.parametrize("name", ["clients", "listening", "limits", "bodies", "protocol"])
def test_every_refusal_of_the_door_is_told(name: str) -> None:
    source = (ROOT / "src" / "routebench" / "gateway" / f"{name}.py").read_text(encoding="utf-8")
    codes = set(re.findall(r'code="(\w+)"', source)) | set(re.findall(r'"(\w+_api_key|foreign_\w+)"', source))
    assert codes
    assert {code for code in codes if f"`{code}`" not in DOCS} <= {"no_upgrade"}
