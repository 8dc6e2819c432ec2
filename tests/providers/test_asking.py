from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from routebench.errors import ConfigError, ProviderError
from routebench.providers import Gateway, Told, find_gateway
from routebench.types import Request
from tests.foreign_gateway import NOTHING, ROUTER, Answer, Said, gateway, litellm

KEY = "sk-very-secret-key"


def ask(answer: Answer, *prompts: str, model: str = "auto", suffix: str = "/v1/") -> tuple[Gateway, list[Told], Any]:
    """Finds what gateway it is, and asks it."""
    with gateway(answer) as server:

        async def go() -> tuple[Gateway, list[Told]]:
            found = await find_gateway(server.url + suffix, model, key=KEY, timeout_s=5)
            try:
                requests = [Request(messages=({"role": "user", "content": prompt},)) for prompt in prompts]
                return found, [await found.ask(request) for request in requests]
            finally:
                await found.aclose()

        found, told = asyncio.run(go())
    return found, told, server


def test_litellm_routes_without_calling_a_model() -> None:
    found, told, server = ask(litellm, "hi", "a rather long and winding request")
    assert (found.name, found.version, found.way) == ("litellm complexity router", "1.108.7", "litellm-preview")
    assert found.pays_for is None
    assert [one.model for one in told] == ["small", "large"]
    # Nothing that quotes the prompt is kept.
    assert told[0].detail == {"tier": "SIMPLE", "cause": "heuristic_scorer", "score": 0.3}
    assert told[0].cost_usd == 0.0
    assert told[0].latency_s is not None
    body = server.bodies("/auto_router/test_routing")[-1]
    assert body["saved_model_id"] == "id-auto"
    assert not server.bodies("/v1/chat/completions")
    assert {headers["authorization"] for _, _, headers in server.asked} == {f"Bearer {KEY}"}


def test_litellm_without_its_dry_run_tells_in_the_headers_of_an_answer() -> None:
    found, told, _ = ask(partial(litellm, dry_run=False), "hi")
    assert (found.way, found.pays_for) == ("litellm-answer", "answers")
    assert told == [Told("small", {"tier": "SIMPLE", "cause": "heuristic_scorer", "score": -0.1}, cost_usd=0.0)]


def test_what_a_fallback_answered_is_not_what_was_decided() -> None:
    def answer(path: str, body: Any) -> Said:
        said = litellm(path, body, dry_run=False)
        fallen = {"x-litellm-attempted-fallbacks": "1"} if path == "/v1/chat/completions" else {}
        return Said(said.document, said.status, {**said.headers, **fallen})

    _, (told,), _ = ask(answer, "hi")
    assert told.model is None
    assert told.fault is not None
    assert "fallback" in str(told.fault.error)


def test_a_model_that_classifies_is_paid_for_and_not_tried_out() -> None:
    config = {"classifier_type": "llm"}
    router = {**ROUTER, "litellm_params": {**ROUTER["litellm_params"], "complexity_router_config": config}}  # type: ignore[dict-item]
    found, _, server = ask(partial(litellm, router=router))
    assert found.pays_for == "classifications by a model"
    assert not server.bodies("/auto_router/test_routing")


def test_a_router_that_litellm_does_not_have_is_told_with_those_that_it_has() -> None:
    with pytest.raises(ConfigError, match=r"no model 'smal' \(did you mean 'small'\?\).*its routers: auto"):
        ask(litellm, model="smal")


def semantic_router(path: str, body: Any, *, preview: Mapping[str, Any], at: str = "/api/v1/routing/preview") -> Said:
    if path == "/openapi.json":
        return Said({"info": {"title": "Semantic Router", "version": "1"}, "paths": {at: {}}})
    return Said(preview) if path == at and body else NOTHING


def test_vllm_semantic_router_previews() -> None:
    preview = {
        "original_text": "hi",
        "decision_result": {"decision_name": "math", "algorithm": "static", "matched_signals": {"keywords": ["hi"]}},
        "recommended_models": ["a", "b"],
        "selected_model": "b",
        "selection_status": "selected",
    }
    found, (told,), server = ask(partial(semantic_router, preview=preview), "hi")
    assert (found.name, found.way, found.pays_for) == ("vllm semantic router", "vllm-sr-preview", None)
    assert told.model == "b"
    assert told.detail == {"selection_status": "selected", "decision_name": "math", "algorithm": "static"}
    assert told.cost_usd is None
    assert server.bodies("/api/v1/routing/preview")[0]["model"] == "auto"


@pytest.mark.parametrize(
    ("preview", "model"),
    [
        ({"recommended_models": ["a"]}, "a"),
        ({"recommended_models": ["a", "b"]}, None),
        ({"recommended_models": ["a"], "selection_status": "failed"}, None),
        ({"selected_model": "a", "selection_status": "execution_required"}, None),
        ({"recommended_models": "a"}, None),
    ],
)
def test_several_candidates_are_no_decision(preview: Mapping[str, Any], model: str | None) -> None:
    _, (told,), _ = ask(partial(semantic_router, preview=preview, at="/api/v1/eval"), "hi")
    assert told.model == model
    assert (told.fault is None) == (model is not None)


def test_an_older_semantic_router_is_asked_by_text() -> None:
    path = "/api/v1/classify/intent"
    _, (told,), server = ask(partial(semantic_router, preview={"recommended_model": "a"}, at=path), "hi")
    assert told.model == "a"
    assert server.bodies(path) == [{"model": "auto", "text": "hi"}]


def plain(path: str, body: Any, *, served: str = "gpt-x", least: int = 1, **headers: str) -> Said:
    if path != "/v1/chat/completions":
        return NOTHING
    if body.get("max_tokens", 0) < least:
        return Said({"error": {"message": "max_tokens is below the minimum", "code": "bad"}}, status=400)
    return Said({"model": served}, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_any_other_gateway_is_asked_for_one_token() -> None:
    found, (told,), server = ask(plain, "hi")
    assert (found.way, found.pays_for) == ("answer", "answers")
    assert told == Told("gpt-x")
    assert server.bodies("/v1/chat/completions")[0]["max_tokens"] == 1


def test_a_gateway_that_refuses_one_token_is_asked_for_sixteen_from_then_on() -> None:
    _, told, server = ask(partial(plain, least=16), "hi", "ho")
    assert [one.model for one in told] == ["gpt-x", "gpt-x"]
    assert [body["max_tokens"] for body in server.bodies("/v1/chat/completions")] == [1, 16, 16]


def test_headers_of_a_semantic_router_win_over_the_name_in_the_answer() -> None:
    headers = {"x_vsr_selected_model": "b", "x_vsr_selected_decision": "math"}
    _, (told,), _ = ask(partial(plain, **headers), "hi")
    assert told == Told("b", {"decision": "math"})


def test_an_answer_that_names_the_router_alone_tells_nothing() -> None:
    _, (told,), _ = ask(partial(plain, served="auto"), "hi")
    assert told.model is None
    assert told.fault is not None


def test_a_fault_is_told_without_the_key() -> None:
    def answer(path: str, body: Any) -> Said:
        return Said({"error": {"message": f"wrong key {KEY}"}}, status=401) if body else NOTHING

    _, (told,), _ = ask(answer, "hi")
    assert told.fault is not None
    assert told.fault.error_kind == "auth"
    assert KEY not in str(told.fault.error)


def test_nobody_there_and_no_address_are_errors() -> None:
    with gateway(litellm) as server:
        url = server.url
    for address, kind, words in (
        (url, ProviderError, "is the gateway running"),
        ("localhost:4000", ConfigError, "http://"),
        ("http://user:pass@127.0.0.1:1", ConfigError, "--key-env"),
    ):
        with pytest.raises(kind, match=words):
            asyncio.run(find_gateway(address, "auto", key=None, timeout_s=5))
