from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from openai import OpenAI

from routebench.gateway import Gateway
from tests.gateway.sdk import wires
from tests.upstream import Upstream, serve

WIRES = ("openai", "anthropic", "gemini")
RULES = """\
schema: routebench/rules/v1
name: clients
models:
  openai: {{provider: openai, base_url: "{openai}", model: m, key_env: OPENAI_KEY, price: {price}}}
  anthropic: {{provider: anthropic, base_url: "{anthropic}", model: m, key_env: ANTHROPIC_KEY, price: {price}}}
  gemini: {{provider: gemini, base_url: "{gemini}", model: gemini-3-pro, key_env: GEMINI_KEY, price: {price}}}
rules:
  - {{name: claude, when: {{any_keyword: [claude]}}, route: [anthropic]}}
  - {{name: tagged, when: {{tag: google}}, route: [gemini]}}
  - {{name: tiered, when: {{metadata.tier: gold}}, route: [gemini, openai]}}
default: {{route: [openai]}}
"""
PRICE = "{input_usd_per_mtok: 1.0, output_usd_per_mtok: 2.0}"


@dataclass
class Running:
    """A gateway before three upstreams, by the name of their wire format."""

    url: str
    upstreams: dict[str, Upstream]


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("sdk")
    with ExitStack() as stack:
        upstreams = {wire: stack.enter_context(serve(getattr(wires, wire))) for wire in WIRES}
        rules = folder / "rules.yaml"
        rules.write_text(RULES.format(price=PRICE, **{wire: one.url for wire, one in upstreams.items()}))
        look = {f"{wire.upper()}_KEY": f"sk-{wire}-key" for wire in WIRES}.get
        gateway = stack.enter_context(Gateway(rules, port=0, traces=folder / "traces", look=look))
        yield Running(gateway.url, upstreams)


@pytest.fixture
def client(running: Running) -> Iterator[OpenAI]:
    with OpenAI(base_url=running.url, api_key="unused", max_retries=0, timeout=20) as opened:
        yield opened
