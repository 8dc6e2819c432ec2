"""OpenRouter's own SDK reads exported templates: its types, for nothing is sent."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from routebench.errors import ProviderError
from routebench.export.openrouter import OPENROUTER
from routebench.export.target import Exported
from routebench.export.verify.openrouter import PROGRAM
from routebench.suites.starter import load_starter
from tests.export.policies import support

ROOT = Path(__file__).resolve().parents[1]
STARTER = [case.request for case in load_starter().cases]


@pytest.fixture(autouse=True)
def product() -> Path:
    program = ROOT / PROGRAM
    if not program.exists():
        pytest.skip(f"needs {PROGRAM}: `make interop` builds it")
    return program


def changed(**template: Any) -> Exported:
    exported = OPENROUTER.export(support())
    document = json.loads(exported.files[OPENROUTER.main])
    document["templates"]["large"] |= template
    return replace(exported, files={**exported.files, OPENROUTER.main: json.dumps(document)})


def test_the_types_take_every_template(product: Path) -> None:
    found = OPENROUTER.verify(OPENROUTER.export(support()), support(), STARTER, product=product)
    assert found.by == "openrouter 1.3.84, its types"
    assert found.how == "validated"
    assert (found.n, found.agreement) == (len(STARTER), 1.0)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ({"provider": {"max_price": {"prompt": 3.0}}}, "not read: large.provider"),
        ({"provider": {"oder": ["anthropic"]}}, "not read: large.provider.oder"),
        ({"modells": ["a/b"]}, "not read: large.modells"),
        ({"models": "anthropic/claude-sonnet-4.5"}, "models"),
    ],
)
def test_they_refuse_what_the_check_refuses(product: Path, template: dict[str, Any], why: str) -> None:
    with pytest.raises(ProviderError, match=why.replace(".", r"\.")):
        OPENROUTER.verify(changed(**template), support(), STARTER[:1], product=product)
