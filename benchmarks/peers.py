"""Other clients doing the same job as well as their documentation knows how: so many calls, so many in flight.

Run by `harness.py` in a process of its own, with whichever Python has the client installed:

    python peers.py NAME --url URL --calls N --concurrency C

Prints JSON: wall seconds, CPU seconds, and the latencies that a user of that client would record.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

MISSING = 3
Ask = Callable[[int], Awaitable[Any]]


def messages(number: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"question number {number}: what is the capital?"}]


async def drive(ask: Ask, calls: int, concurrency: int) -> dict[str, Any]:
    latencies: list[float] = []
    numbers = iter(range(calls))

    async def worker() -> None:
        for number in numbers:
            start = time.perf_counter()
            await ask(number)
            latencies.append(time.perf_counter() - start)

    before, start = cpu_s(), time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return {"wall_s": time.perf_counter() - start, "cpu_s": cpu_s() - before, "latencies_s": latencies}


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def plain_httpx(url: str, calls: int, concurrency: int) -> dict[str, Any]:
    import httpx

    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with httpx.AsyncClient(limits=limits, timeout=120, trust_env=False) as client:

        async def ask(number: int) -> Any:
            body = {"model": "mock-1", "messages": messages(number), "max_tokens": 16}
            return (await client.post(f"{url}/chat/completions", json=body)).json()["choices"][0]

        return await drive(ask, calls, concurrency)


async def openai_sdk(url: str, calls: int, concurrency: int) -> dict[str, Any]:
    import openai

    async with openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=0, timeout=120) as client:

        async def ask(number: int) -> Any:
            return await client.chat.completions.create(model="mock-1", messages=messages(number), max_tokens=16)

        return await drive(ask, calls, concurrency)


async def litellm_sdk(url: str, calls: int, concurrency: int) -> dict[str, Any]:
    import litellm

    async def ask(number: int) -> Any:
        return await litellm.acompletion(
            model="openai/mock-1", api_base=url, api_key="x", messages=messages(number), max_tokens=16, num_retries=0
        )

    return await drive(ask, calls, concurrency)


async def inspect_ai(url: str, calls: int, concurrency: int) -> dict[str, Any]:
    from inspect_ai.model import ChatMessageUser, GenerateConfig, get_model

    config = GenerateConfig(max_connections=concurrency, max_tokens=16, max_retries=0)
    model = get_model("openai/mock-1", base_url=url, api_key="x", config=config, responses_api=False)

    async def ask(number: int) -> Any:
        return await model.generate([ChatMessageUser(content=messages(number)[0]["content"])])

    return await drive(ask, calls, concurrency)


PEERS: dict[str, tuple[str, Callable[[str, int, int], Awaitable[dict[str, Any]]]]] = {
    "httpx": ("httpx", plain_httpx),
    "openai SDK": ("openai", openai_sdk),
    "litellm": ("litellm", litellm_sdk),
    "Inspect AI": ("inspect_ai", inspect_ai),
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--url", required=True)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    arguments = parser.parse_args()
    module, run = PEERS[arguments.peer]
    if importlib.util.find_spec(module) is None:
        sys.exit(MISSING)
    print(json.dumps(asyncio.run(run(arguments.url, arguments.calls, arguments.concurrency))))
