"""Portkey's own gateway on exported configs, before models that say who they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from routebench.errors import ProviderError
from routebench.export.portkey import PORTKEY
from routebench.export.verify.portkey import PLACE
from routebench.rules import RuleSet
from routebench.suites.starter import load_starter
from routebench.types import Request
from tests.export.policies import support

ROOT = Path(__file__).resolve().parents[1]
STARTER = [case.request for case in load_starter().cases]


@pytest.fixture(autouse=True)
def product() -> Path:
    program = ROOT / PLACE
    if not program.exists():
        pytest.skip("needs Portkey's gateway in interop/portkey: `make interop` installs it")
    return program


def tried(ruleset: RuleSet, requests: list[Request], product: Path) -> Any:
    return PORTKEY.verify(PORTKEY.export(ruleset), ruleset, requests, product=product)


def test_every_prompt_of_the_starter_suite_goes_where_it_was_measured_to_go(product: Path) -> None:
    found = tried(support(), STARTER, product)
    assert found.by == "Portkey 1.15.2"
    assert found.how == "run"
    assert (found.n, found.agreement) == (len(STARTER), 1.0)
    assert len(found.matrix) == 3
    assert found.remarks[0] == "Failover: with its first model out of order the second answered in 3 of 3 tiers."
    assert found.remarks[1] == "A request without metadata is answered by large."


def test_guards_hold_there_and_where_nobody_may_take_it_nothing_is_sent(product: Path) -> None:
    ruleset = support()
    [legal, residency] = ruleset.guards
    ruleset = replace(ruleset, guards=(legal, replace(residency, only=("mid",))))
    user = {"role": "user", "content": "Is this contract valid?"}
    personal = {"data_class": "eu_personal"}
    requests = [
        Request((user,)),
        Request((user,), metadata=personal),
        Request(({"role": "user", "content": "3 + 4"},), metadata=personal),
    ]
    found = tried(ruleset, requests, product)
    assert found.agreement == 1.0
    assert {(one.expected, one.actual) for one in found.matrix} == {
        ("large", "large"),
        ("nobody", "nobody"),
        ("mid", "mid"),
    }
    # No model pleases both guards, so that a request which names no tier is refused.
    assert "is refused: 1 requests failed (HTTP 400" in found.remarks[-1]


def test_it_refuses_what_the_check_refuses(product: Path) -> None:
    exported = PORTKEY.export(support())
    config = json.loads(exported.files[PORTKEY.main])
    config["strategy"]["mode"] = "conditonal"
    broken = replace(exported, files={**exported.files, PORTKEY.main: json.dumps(config)})
    assert PORTKEY.check(broken.files) == ("config.strategy: Portkey has no mode 'conditonal'",)
    found = PORTKEY.verify(broken, support(), STARTER[:3], product=product)
    assert found.agreement == 0.0
    assert "3 requests failed (HTTP 400: bad_request)." in found.remarks


def test_another_file_is_no_gateway(tmp_path: Path) -> None:
    program = tmp_path / "start-server.js"
    program.write_text("throw new Error('not a gateway')")
    with pytest.raises(ProviderError, match="node ended with 1"):
        PORTKEY.verify(PORTKEY.export(support()), support(), STARTER[:1], product=program)
