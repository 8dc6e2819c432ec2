"""`routebench decisions` against a real LiteLLM, and its replay."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from interop.conftest import LITELLM
from interop.record_default_router import record
from routebench.errors import ConfigError
from routebench.providers import Told, find_gateway
from routebench.suites.importers import read_decisions
from routebench.suites.starter import DEMO
from routebench.types import Request

if TYPE_CHECKING:
    from interop.conftest import Proxy

EASY, HARD = "hi", "Think step by step and reason through this: prove it, then analyze the trade-offs of the proof."


def ask(proxy: Proxy, model: str, *prompts: str) -> tuple[str, str | None, list[Told]]:
    async def go() -> tuple[str, str | None, list[Told]]:
        gateway = await find_gateway(proxy.url, model, key=proxy.key, timeout_s=30)
        try:
            requests = [Request(messages=({"role": "user", "content": prompt},)) for prompt in prompts]
            return gateway.way, gateway.version, [await gateway.ask(request) for request in requests]
        finally:
            await gateway.aclose()

    return asyncio.run(go())


def test_a_complexity_router_is_asked_by_its_dry_run(proxy: Proxy) -> None:
    before = len(proxy.upstream.requests)
    way, version, (easy, hard) = ask(proxy, "auto", EASY, HARD)
    assert way == "litellm-preview"
    assert version
    assert (easy.model, easy.detail["tier"], easy.cost_usd) == ("small", "SIMPLE", 0.0)
    assert (hard.model, hard.detail["tier"]) == ("large", "REASONING")
    assert set(easy.detail) == {"tier", "cause", "score"}
    assert len(proxy.upstream.requests) == before


def test_a_plain_model_is_asked_by_an_answer(proxy: Proxy) -> None:
    way, _, (told,) = ask(proxy, "falls-back", EASY)
    assert way == "litellm-answer"
    assert told.model is None
    assert "fallback" in str(told.reason)
    assert ask(proxy, "small", EASY)[2][0].model == "small"


def test_a_router_that_is_not_there_is_told_with_those_that_are(proxy: Proxy) -> None:
    with pytest.raises(ConfigError, match="its routers: auto, auto-raw"):
        ask(proxy, "auto-matic", EASY)


def test_the_record_of_the_demonstration_is_what_this_version_decides(tmp_path: Path) -> None:
    if not LITELLM.exists():
        pytest.skip("needs LiteLLM in .venv-interop: `make interop` builds it")
    kept = read_decisions(str(DEMO / "litellm-default.jsonl"))
    again = record(tmp_path / "decisions.jsonl").recorded
    assert again.title == kept.title
    assert {name: (row.chain, row.detail) for name, row in again.by_case.items()} == {
        name: (row.chain, row.detail) for name, row in kept.by_case.items()
    }


def test_the_record_holds_no_text_of_the_suite() -> None:
    text = (DEMO / "litellm-default.jsonl").read_text(encoding="utf-8")
    suite = [yaml.safe_load(line) for line in (DEMO / "starter.jsonl").read_text(encoding="utf-8").splitlines()]
    assert not [row["id"] for row in suite if row["prompt"] in text]
