from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from routebench.errors import ConfigError, ProviderError
from routebench.providers import Done, Event, TextDelta, prepare, stream
from routebench.providers.embedded import Embedded, LlamaServer, find_weights
from routebench.types import Completion, Price, Request
from tests.conftest import make_model

MODEL = make_model(
    "smollm2",
    provider="embedded",
    model="smollm2-135m",
    params={"temperature": 0, "max_tokens": 8, "cache_prompt": False},
    price=Price(cpu_usd_per_hour=0.05),
)


def ask(*prompts: str) -> list[Completion]:
    async def together() -> list[Completion]:
        provider = Embedded(servers=1)
        try:
            requests = [Request(messages=({"role": "user", "content": prompt},)) for prompt in prompts]
            return list(await asyncio.gather(*(provider.complete(prepare(MODEL, request)) for request in requests)))
        finally:
            await provider.aclose()

    return asyncio.run(together())


@pytest.mark.embedded
def test_the_real_model_answers_with_usage_times_and_cpu() -> None:
    first, second = ask("What is the capital of France?", "What is the capital of France?")
    assert first.status == "ok"
    assert first.text
    assert first.text == second.text
    assert first.usage.input_tokens
    assert first.usage.output_tokens
    assert first.ttft_s is not None
    assert first.latency_s is not None
    assert 0 < first.ttft_s <= first.latency_s
    if sys.platform == "linux":
        assert first.cpu_s is not None
        assert first.cpu_s > 0


@pytest.mark.embedded
def test_an_answer_comes_as_it_is_written_and_leaving_early_frees_the_server() -> None:
    async def once() -> tuple[list[Event], Event, Completion]:
        provider = Embedded(servers=1)
        try:
            call = prepare(MODEL, Request(messages=({"role": "user", "content": "Tell me a story."},)))
            events = [event async for event in stream(provider, call)]
            left = provider.stream(call)
            first = await anext(left)
            await left.aclose()
            return events, first, await asyncio.wait_for(provider.complete(call), 60)
        finally:
            await provider.aclose()

    (*pieces, last), first, whole = asyncio.run(once())
    assert len(pieces) > 2
    assert isinstance(last, Done)
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextDelta)) == last.completion.text == whole.text
    assert first == pieces[0]
    assert (last.completion.cpu_s is not None) is (sys.platform == "linux")
    assert last.completion.served_model == whole.served_model


@pytest.mark.embedded
def test_a_server_ends_when_its_parent_is_killed() -> None:
    weights = find_weights("smollm2-135m")
    code = (
        "import sys; from pathlib import Path; from routebench.providers.embedded import LlamaServer;"
        f"server = LlamaServer(Path({str(weights)!r})); server.wait_ready(); print(server._process.pid, flush=True);"
        "sys.stdin.read()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdin is not None
    child = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    parent.stdin.close()
    for _ in range(100):
        if not _alive(child):
            return
        time.sleep(0.05)
    pytest.fail("the model server outlived its parent")


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.embedded
def test_a_file_that_is_no_model_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"not a model")
    server = LlamaServer(path)
    with pytest.raises(ProviderError, match=r"broken\.gguf did not start"):
        server.wait_ready()


@pytest.mark.embedded
def test_unknown_names_and_absent_files_say_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'smollm2-135m'"):
        find_weights("smollm2-135")
    with pytest.raises(ConfigError, match="is absent"):
        find_weights(str(tmp_path / "none.gguf"))
