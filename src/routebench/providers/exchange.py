"""Short questions to a gateway: one request, one JSON document and the headers, every fault a typed error."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from routebench.errors import ConfigError
from routebench.providers.answer import read_json
from routebench.providers.base import failed
from routebench.providers.carriers import as_transport
from routebench.providers.faults import from_exception, from_status
from routebench.providers.http import MAX_ANSWER_BYTES
from routebench.providers.transport import TransportError, open_transport
from routebench.redact import Secrets
from routebench.types import Completion

if TYPE_CHECKING:
    from routebench.providers.carriers import Carrier

_MAX_ERROR_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back.

    Attributes:
        status: of HTTP; None where nothing came.
        headers: with lower-case names.
        document: the JSON; None where there is none.
        latency_s: seconds from the send to the last byte.
        fault: the typed error, None where the request was accepted.
    """

    status: int | None
    headers: Mapping[str, str]
    document: Any
    latency_s: float
    fault: Completion | None = None


class Client:
    """Speaks to one gateway.

    Args:
        url: its address, with or without `/v1` at the end.
        key: sent as a bearer token, None where it needs none.
        timeout_s: the longest time of one exchange.
        transport: carries the requests; a test injects one.

    Attributes:
        root: the address without `/v1`.

    Raises:
        ConfigError: the address is not one of HTTP, or holds a password.
    """

    def __init__(self, url: str, key: str | None, *, timeout_s: float, transport: Carrier | None = None) -> None:
        try:
            address = urlsplit(url)
            there = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
        except (ValueError, AttributeError, TypeError):
            there = False
        if not there:
            raise ConfigError(f"{url!r} is not the address of a gateway; write it as http://127.0.0.1:4000")
        if "@" in address.netloc or address.query:
            raise ConfigError("the address holds a user or a query; name the key's environment variable with --key-env")
        self.root = url.strip().rstrip("/").removesuffix("/v1")
        self._headers = {} if key is None else {"authorization": f"Bearer {key}"}
        self._mask = Secrets([] if key is None else [key])
        self._timeout_s = timeout_s
        self._transport = open_transport() if transport is None else as_transport(transport)

    async def get(self, path: str) -> Heard:
        """Asks for a document."""
        return await self._exchange("GET", path, None)

    async def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Heard:
        """Sends a JSON body, with headers of this request beside those of all."""
        return await self._exchange("POST", path, body, headers)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._transport.aclose()

    async def _exchange(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str] | None = None
    ) -> Heard:
        sent = {
            **self._headers,
            **({"content-type": "application/json"} if body is not None else {}),
            **(headers or {}),
        }
        content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        start = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout_s):
                status, shown, told = await self._send(method, path, sent, content)
        except (TransportError, TimeoutError) as error:
            fault = from_exception(error, timeout_s=self._timeout_s, started=False)
            return Heard(None, {}, None, time.perf_counter() - start, self._clean(fault))
        latency_s = time.perf_counter() - start
        if status >= 300:
            fault = from_status(status, shown, told.decode(errors="replace"))
            return Heard(status, shown, None, latency_s, self._clean(fault))
        try:
            return Heard(status, shown, read_json(told), latency_s)
        except ValueError as error:
            fault = failed("malformed", f"not JSON: {error}")
            return Heard(status, shown, None, latency_s, self._clean(fault))

    async def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        response = await self._transport.send(
            method, self.root + path, headers, body, timeout_s=self._timeout_s + 1.0, whole=True
        )
        parts: list[bytes] = []
        size = 0
        try:
            async for chunk in response.chunks:
                parts.append(chunk)
                size += len(chunk)
                if size > MAX_ANSWER_BYTES:
                    break
        finally:
            await response.aclose()
        return response.status, response.headers, b"".join(parts)

    def _clean(self, fault: Completion) -> Completion:
        # Blanked before it is shortened: a key that is cut in two would not be found any more.
        return replace(fault, error=self._mask.clean(fault.error or "")[:_MAX_ERROR_CHARACTERS])
