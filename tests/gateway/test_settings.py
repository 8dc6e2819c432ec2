"""gateway.yaml: what it says, and what is wrong with it by line."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from routebench.errors import ConfigError
from routebench.gateway.keys import digest_of, new_key
from routebench.gateway.limits import Limits
from routebench.gateway.settings import GatewayConfig, gateway_json_schema, load_settings, parse_settings
from routebench.yaml_source import parse_yaml

DIGEST = digest_of("a").hex()
WHOLE = f"""\
schema: routebench/gateway/v1
keys:
  - name: support-bot
    sha256: {DIGEST.upper()}
    models: [small, large]
    rate: {{requests_per_minute: 90, burst: 10}}
    concurrency: 8
    budget_usd_per_day: 5
    timezone: Europe/Berlin
    metadata: {{data_class: eu_personal, level: 3, pilot: true}}
    tags: [support]
    expires: 2027-01-31
    disabled: true
limits: {{max_body_bytes: 2048, retries: 0, header_timeout_s: 2.5}}
traces: {{folder: rows, texts: redacted, keep_days: 30, otel: true}}
shadow: new.yaml
"""
BARE = f"keys: [{{name: a, sha256: {DIGEST}}}]"


def problem(text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        parse_settings(text, Path("gateway.yaml"))
    return str(refused.value)


def test_everything_that_it_can_say() -> None:
    config = parse_settings(WHOLE, Path("etc/gateway.yaml"))
    (key,) = config.keys
    assert (key.name, key.digest, key.models) == ("support-bot", digest_of("a"), {"small", "large"})
    assert (key.requests_per_minute, key.burst, key.concurrency) == (90, 10, 8)
    assert (key.budget_usd_per_day, key.timezone) == (5, "Europe/Berlin")
    assert (dict(key.metadata), key.tags) == ({"data_class": "eu_personal", "level": 3, "pilot": True}, ("support",))
    assert (key.expires, key.disabled, key.where) == (date(2027, 1, 31), True, "etc/gateway.yaml:3:5")
    assert (config.limits.max_body_bytes, config.limits.retries, config.limits.header_timeout_s) == (2048, 0, 2.5)
    assert config.limits.deadline_s == Limits().deadline_s
    assert (config.traces.folder, config.traces.privacy.text) == (Path("etc/rows"), "redacted")
    assert (config.traces.keep_days, config.traces.otel, config.shadow) == (30, True, Path("etc/new.yaml"))


def test_what_is_left_out_is_at_its_default(tmp_path: Path) -> None:
    nothing = load_settings(None)
    assert (nothing.path, nothing.keys, nothing.limits, nothing.shadow) == (None, (), Limits(), None)
    assert GatewayConfig().traces.privacy.text == "none"
    (tmp_path / "gateway.yaml").write_text("")
    config = load_settings(tmp_path / "gateway.yaml")
    assert (config.keys, config.limits, config.traces.folder) == ((), Limits(), tmp_path / "traces")


def test_a_burst_is_a_minute_of_the_rate_unless_it_is_said() -> None:
    text = f"keys: [{{name: a, sha256: {DIGEST}, rate: {{requests_per_minute: %s}}}}]"
    assert parse_settings(text % 90, Path("g")).keys[0].burst == 90
    assert parse_settings(text % 0.2, Path("g")).keys[0].burst == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kes: []", ["gateway.yaml:1:1", "unknown key 'kes' (did you mean 'keys'?)"]),
        (BARE.replace("name: a", "name: ''"), ["gateway.yaml:1:9", "letters, digits"]),
        (BARE.replace("name: a", "name: 'a b'"), ["letters, digits"]),
        (BARE.replace("name: a", 'name: "a\\nb"'), ["letters, digits"]),
        ("keys:\n  - name: a", ["gateway.yaml:2:5", "`sha256` is missing"]),
        (f"keys:\n  - {{name: a, sha256: {DIGEST}}}\n  - {{name: a, sha256: {DIGEST[::-1]}}}", ["3:6", "'a' stands twice"]),
        (f"keys:\n  - {{name: a, sha256: {DIGEST}}}\n  - {{name: b, sha256: {DIGEST}}}", ["3:", "same key", "'a'"]),
        (BARE.replace("}", ", timezone: Berlin}"), ["no time zone 'Berlin'"]),
        (BARE.replace("}", ", budget_usd_per_day: 0}"), ["budget_usd_per_day", "greater than 0"]),
        (BARE.replace("}", ", budget_usd_per_day: .inf}"), ["budget_usd_per_day"]),
        (BARE.replace("}", ", models: []}"), ["models"]),
        (BARE.replace("}", ", concurrency: 0}"), ["concurrency"]),
        (BARE.replace("}", ", rate: {burst: 2}}"), ["`requests_per_minute` is missing"]),
        (BARE.replace("}", ", metadata: {a: {b: 1}}}"), ["gateway.yaml:1"]),
        ("limits: {max_bodybytes: 5}", ["max_body_bytes"]),
        ("limits: {max_body_bytes: 5}", ["1024"]),
        ("limits: {deadline_s: .nan}", ["deadline_s"]),
        ("traces: {redact: a:b}", ["would never be called"]),
        ("traces: {texts: some}", ["texts", "none"]),
        ("schema: routebench/rules/v1", ["routebench/gateway/v1"]),
        ("- a", ["not a mapping"]),
        ("keys: [", ["not valid YAML"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(text: str, words: list[str]) -> None:
    said = problem(text)
    assert all(word in said for word in words), said


@pytest.mark.parametrize("field", ["sha256", "key", "name"])
def test_a_key_that_stands_in_the_file_by_mistake_is_not_repeated(field: str) -> None:
    key = new_key()
    said = problem(f"keys: [{{name: '!', sha256: x, {field}: {key}}}]".replace(f"{field}: x, ", "").replace("name: '!', name", "name"))  # fmt: skip
    assert key not in said
    assert key[4:] not in said


def test_a_file_that_is_not_there_says_how_one_begins(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file; `routebench keys new NAME --config"):
        load_settings(tmp_path / "gateway.yaml")


def test_keys_name_models_of_the_rule_set() -> None:
    config = parse_settings(WHOLE, Path("gateway.yaml"))
    config.check_models(["small", "large", "huge"])
    with pytest.raises(
        ConfigError, match=r"gateway.yaml:3:5: key 'support-bot': no model 'large' \(did you mean 'larg'"
    ):
        config.check_models(["small", "larg"])


def test_editors_can_check_it() -> None:
    schema = gateway_json_schema()
    Draft202012Validator.check_schema(schema)
    document = parse_yaml(WHOLE, "gateway.yaml").data
    document["keys"][0]["expires"] = "2027-01-31"
    Draft202012Validator(schema).validate(document)
    assert not Draft202012Validator(schema).is_valid({"kes": []})
    assert "SHA-256 of the key" in json.dumps(schema)
