"""One LiteLLM proxy for all tests, on loopback: some of its models are mocks, some are behind a server of the tests."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.upstream import Reply, Upstream, serve

LITELLM = Path(__file__).resolve().parents[1] / ".venv-interop" / "bin" / "litellm"
START_S = 180.0
STOP_S = 10.0
UPSTREAM_KEY = "upstream-key"
Maker = Callable[[Mapping[str, Any]], Reply]

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
USAGE = {
    "prompt_tokens": 30,
    "completion_tokens": 7,
    "total_tokens": 37,
    "prompt_tokens_details": {"cached_tokens": 20},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
CHUNK = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "upstream-model-001"}
MOCKS: Mapping[str, Mapping[str, Any]] = {
    "hello": {"mock_response": "Hello from the proxy: Grüße 漢字 😀"},
    "yes": {"mock_response": "yes"},
    "unpriced": {"model": "openai/nobody-knows", "mock_response": "Hello"},
    "small": {"model": "openai/small-x", "mock_response": "small says"},
    "large": {"model": "openai/large-x", "mock_response": "large says"},
    "calls-a-tool": {"mock_response": "Let me look", "mock_tool_calls": [CALL]},
    "limited": {"mock_response": "litellm.RateLimitError"},
    "broken": {"mock_response": "litellm.InternalServerError"},
    "too-long": {"mock_response": "litellm.ContextWindowExceededError"},
    "filtered": {"mock_response": "Exception: content_filter_policy"},
    "slow": {"mock_timeout": True, "timeout": 0.1, "mock_response": "late"},
    "falls-back": {"mock_response": "litellm.InternalServerError"},
}
TIERS = {"SIMPLE": "small", "MEDIUM": "small", "COMPLEX": "large", "REASONING": "large"}


@dataclass(frozen=True)
class Proxy:
    """A running LiteLLM: its address, its master key, and the server that the models of `UPSTREAM` are behind."""

    url: str
    key: str = field(repr=False)
    upstream: Upstream


@pytest.fixture(scope="session")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    if not LITELLM.exists():
        pytest.skip("needs LiteLLM in .venv-interop: `make interop` builds it")
    config = tmp_path_factory.mktemp("litellm") / "config.yaml"
    key = f"sk-{secrets.token_hex(24)}"
    with serve(lambda body, _n: UPSTREAM[body["model"]](body)) as upstream:
        config.write_text(yaml.safe_dump(configuration(upstream.url), allow_unicode=True), encoding="utf-8")
        with running(config, key) as url:
            yield Proxy(url, key, upstream)


def configuration(upstream: str) -> dict[str, Any]:
    """LiteLLM's config."""
    behind = {"api_base": upstream, "api_key": UPSTREAM_KEY}
    prices = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
    deployments: dict[str, Mapping[str, Any]] = {
        **{name: {"model": "openai/gpt-4o-mini", "api_key": "x", **params} for name, params in MOCKS.items()},
        **{name: {"model": f"hosted_vllm/{name}", **behind} for name in UPSTREAM},
        "priced": {"model": "hosted_vllm/says", **behind, **prices},
        "auto": router(),
        "auto-raw": router(return_raw_model_name=True),
    }
    return {
        "model_list": [{"model_name": name, "litellm_params": params} for name, params in deployments.items()],
        "litellm_settings": {"telemetry": False, "num_retries": 0},
        "router_settings": {"num_retries": 0, "disable_cooldowns": True, "fallbacks": [{"falls-back": ["hello"]}]},
    }


def router(**options: Any) -> dict[str, Any]:
    return {
        "model": "auto_router/complexity_router",
        "complexity_router_default_model": "small",
        "complexity_router_config": {"classifier_type": "heuristic", "tiers": TIERS, **options},
    }


@contextmanager
def running(config: Path, key: str) -> Iterator[str]:
    """Starts LiteLLM, waits until it is ready, and ends it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Nothing of the shell but its path: no key of a real provider, no proxy setting.
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(config.parent),
        "LITELLM_MASTER_KEY": key,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
        "LITELLM_LOCAL_BLOG_POSTS": "True",
        "LITELLM_LOCAL_POLICY_TEMPLATES": "True",
    }
    address = ["--host", "127.0.0.1", "--port", str(port)]
    command = [str(LITELLM), "--config", str(config), *address, "--telemetry", "False"]
    log = config.with_suffix(".log")
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=config.parent, env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(process, f"{url}/health/readiness", log)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    how = "was not ready in time" if process.returncode is None else f"ended with {process.returncode}"
    pytest.fail(f"LiteLLM {how}:\n{log.read_text(errors='replace')[-3000:]}")


def says(content: str, *, finish: str = "stop", reasoning: str = "", calls: Sequence[Mapping[str, Any]] = ()) -> Maker:
    """A chat completion, whole or streamed as the request wants it."""

    def reply(body: Mapping[str, Any]) -> Reply:
        if body.get("stream"):
            pieces = [*(chunk(delta) for delta in deltas(content, reasoning, calls)), chunk({}, finish)]
            usage = sse({**CHUNK, "choices": [], "usage": USAGE})
            return Reply([*pieces, usage, b"data: [DONE]\n\n"])
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if reasoning:
            message["reasoning_content"] = reasoning
        if calls:
            message["tool_calls"] = list(calls)
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return whole({**CHUNK, "object": "chat.completion", "choices": [choice], "usage": USAGE})

    return reply


def deltas(content: str, reasoning: str, calls: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": ""}
    if reasoning:
        yield {"reasoning_content": reasoning}
    for word in re.findall(r"\S+\s*", content):
        yield {"content": word}
    for index, call in enumerate(calls):
        function = call["function"]
        yield {"tool_calls": [{**call, "index": index, "function": {**function, "arguments": ""}}]}
        for piece in re.findall(r"\S+\s*", function["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def breaks(error: Mapping[str, Any]) -> Maker:
    """A stream that begins, and ends with an error."""
    pieces = [chunk({"role": "assistant", "content": ""}), chunk({"content": "Hello "}), chunk({"content": "there "})]
    return lambda _body: Reply([*pieces, sse({"error": error}), b"data: [DONE]\n\n"])


def refuses(status: int, message: str, code: str | None = None, **headers: str) -> Maker:
    """An error body as OpenAI writes it."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return lambda _body: whole({"error": error}, status=status, **headers)


def whole(document: Any, status: int = 200, **headers: str) -> Reply:
    typed = {"content-type": "application/json", **headers}
    return Reply([json.dumps(document).encode()], status=status, headers=typed)


def chunk(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
    return sse({**CHUNK, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def sse(document: Any) -> bytes:
    return f"data: {json.dumps(document)}\n\n".encode()


UPSTREAM: Mapping[str, Maker] = {
    "says": says("Hello there"),
    "thinks": says("Hello there", reasoning="Hmm."),
    "calls": says("Let me look.", finish="tool_calls", calls=[CALL]),
    "stops-short": says("Hello", finish="length"),
    "filters": says("", finish="content_filter"),
    "refuses-the-key": refuses(401, "Incorrect API key provided.", "invalid_api_key"),
    "knows-no-model": refuses(404, "The model does not exist.", "model_not_found"),
    "overflows": refuses(400, "This model's maximum context length is 8 tokens.", "context_length_exceeded"),
    "refuses-the-prompt": refuses(400, "Rejected as a result of our safety system.", "content_policy_violation"),
    "asks-to-wait": refuses(429, "Rate limit reached.", "rate_limit_exceeded", **{"retry-after": "7"}),
    "has-no-money": refuses(429, "You exceeded your current quota.", "insufficient_quota"),
    "fails": refuses(500, "Something went wrong."),
    "is-overloaded": refuses(503, "Overloaded."),
    "dies": breaks({"message": "The engine died.", "type": "server_error", "code": 500}),
    "is-limited-midway": breaks({"message": "Rate limit reached.", "type": "rate_limit_error", "code": 429}),
}
