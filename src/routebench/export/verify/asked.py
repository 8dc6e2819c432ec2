"""Sending prompts through a product, and reading which model answered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from routebench.export.verify.verified import NOBODY
from routebench.providers.exchange import Client
from routebench.types import Request

AT_ONCE = 16
_TIMEOUT_S = 60.0
_TOLD = 3


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of the prompts.

    Attributes:
        models: who answered each, `nobody` where the product refused it.
        version: of the product, as its headers tell; None where they do not.
        faults: why requests failed, one sentence a kind.
    """

    models: tuple[str, ...]
    version: str | None
    faults: tuple[str, ...] = ()


async def ask_all(
    url: str,
    model: str,
    requests: Sequence[Request],
    *,
    key: str | None = None,
    headers: Sequence[Mapping[str, str]] = (),
    path: str = "/v1/chat/completions",
) -> Asked:
    """Sends chat requests to a product behind which every model answers with its name.

    Args:
        url: the product's address.
        model: what is asked for.
        requests: in order.
        key: of the product.
        headers: of each request, beside the key; none where it is empty.
        path: of chat completions.
    """
    client = Client(url, key, timeout_s=_TIMEOUT_S)
    slots = asyncio.Semaphore(AT_ONCE)
    faults: dict[str, int] = {}
    version: list[str] = []

    async def ask(place: int) -> str:
        async with slots:
            given = headers[place] if headers else {}
            heard = await client.post(path, _body(model, requests[place]), headers=given)
        told = heard.headers.get("x-litellm-version")
        if told and not version:
            version.append(told)
        if heard.fault is not None:
            why = f"HTTP {heard.status}: {heard.fault.error_kind}"
            faults[why] = faults.get(why, 0) + 1
            return NOBODY
        return _answer(heard.document)

    try:
        models = await asyncio.gather(*(ask(place) for place in range(len(requests))))
    finally:
        await client.aclose()
    said = sorted(faults.items(), key=lambda row: -row[1])[:_TOLD]
    return Asked(
        tuple(models), version[0] if version else None, tuple(f"{n} requests failed ({why})." for why, n in said)
    )


def _answer(document: Any) -> str:
    try:
        return str(document["choices"][0]["message"]["content"])
    except (KeyError, IndexError, TypeError):
        return NOBODY


def _body(model: str, request: Request) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "messages": [dict(message) for message in request.messages]}
    if request.tools:
        body["tools"] = [dict(tool) for tool in request.tools]
    if request.response_format is not None:
        body["response_format"] = dict(request.response_format)
    said = {**request.metadata, **({"tags": list(request.tags)} if request.tags else {})}
    if said:
        body["metadata"] = said
    return body
