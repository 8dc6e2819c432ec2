"""Vectors of texts from `POST {base_url}/embeddings`, as OpenAI and every server that is like it offers them."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from routebench.embedding import unit_rows
from routebench.errors import ConfigError, ProviderError
from routebench.pricing import list_cost_usd
from routebench.providers.answer import count, mapping, sequence
from routebench.providers.base import model_key
from routebench.providers.exchange import Client, Heard
from routebench.providers.registry import provider_kind
from routebench.providers.transport import open_transport
from routebench.types import TRANSIENT_KINDS, Model, Usage

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from routebench.providers.carriers import Carrier

_FIRST_WAIT_S = 0.5
_MAX_WAIT_S = 120.0


@dataclass(frozen=True, slots=True)
class EmbeddingSpend:
    """What embedding took so far.

    Attributes:
        n_calls: requests that were answered.
        n_texts: vectors that came.
        input_tokens: None as soon as one answer did not tell.
        cost_usd: by the model's price, in US dollars; None as soon as it is unknown for one call.
        latency_s: seconds in all calls that were answered, one after the other.
    """

    n_calls: int = 0
    n_texts: int = 0
    input_tokens: int | None = 0
    cost_usd: float | None = 0.0
    latency_s: float = 0.0

    def and_call(self, n_texts: int, input_tokens: int | None, cost_usd: float | None, latency_s: float) -> Any:
        """Returns the spend with one more call."""
        return EmbeddingSpend(
            self.n_calls + 1,
            self.n_texts + n_texts,
            None if None in (self.input_tokens, input_tokens) else (self.input_tokens or 0) + (input_tokens or 0),
            None if None in (self.cost_usd, cost_usd) else (self.cost_usd or 0) + (cost_usd or 0),
            self.latency_s + latency_s,
        )


class Embeddings:
    """An embedder that asks a provider; put `Kept` around it, or what was paid for is paid for again.

    Args:
        model: provider, id, address and price; `params` go with every request, such as `dimensions`.
        dim: the length of its vectors.
        secrets: environment variable name -> secret, as `find_secrets` returns them.
        batch: texts in one request.
        timeout_s: the longest time of one request.
        attempts: requests for one batch, the first included.
        transport: opens what carries the requests; a test injects one.
        sleep: waits between attempts, seconds.

    Attributes:
        name: `provider/model`.
        key: names provider, address, model and parameters; no secret.
        dim: the length of a vector.
        spend: what embedding took so far.

    Raises:
        ConfigError: the provider is unknown, has no address, or the key is not among the secrets.
    """

    def __init__(
        self,
        model: Model,
        dim: int,
        *,
        secrets: Mapping[str, str] | None = None,
        batch: int = 128,
        timeout_s: float = 60.0,
        attempts: int = 4,
        transport: Callable[[], Carrier] = open_transport,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        kind = provider_kind(model.provider)
        url = model.base_url or kind.base_url
        if url is None:
            raise ConfigError(f"the embedder {model.name!r} has no address of its own: set `base_url`")
        key_env = model.key_env or (kind.key_env if model.base_url is None else None)
        if key_env is not None and not (secrets or {}).get(key_env):
            raise ConfigError(f"environment variable {key_env} is not set; the embedder {model.name!r} needs it")
        self.name = f"{model.provider}/{model.model}"
        self.key = f"{self.name} {model_key(replace(model, base_url=url))[:16]}"
        self.dim = dim
        self.spend = EmbeddingSpend()
        self._model = model
        self._url = url.rstrip("/")
        self._secret = None if key_env is None else (secrets or {})[key_env]
        self._batch, self._timeout_s, self._attempts = batch, timeout_s, attempts
        self._open, self._sleep = transport, sleep

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Returns rows of length 1, shape (n, dim).

        Raises:
            ProviderError: a batch failed for good, or the answer holds other vectors.
        """
        # In a thread of its own: a notebook's loop is running already.
        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(asyncio.run, self._all(texts)).result()

    async def _all(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        import numpy as np

        client = Client(self._url, self._secret, timeout_s=self._timeout_s, transport=self._open())
        try:
            parts = [
                await self._some(client, texts[start : start + self._batch])
                for start in range(0, len(texts), self._batch)
            ]
        finally:
            await client.aclose()
        return np.concatenate(parts) if parts else np.empty((0, self.dim), np.float32)

    async def _some(self, client: Client, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        # Servers refuse a text that says nothing at all.
        asked = [text if text.strip() else "." for text in texts]
        body = {**self._model.params, "model": self._model.model, "input": asked, "encoding_format": "float"}
        heard = await self._answered(client, body)
        try:
            rows, tokens = self._read(heard.document, len(texts))
        except ValueError as error:
            raise ProviderError(f"{self.name}: {error}") from None
        cost_usd = list_cost_usd(Usage(input_tokens=tokens, output_tokens=0), self._model.price)
        self.spend = self.spend.and_call(len(texts), tokens, cost_usd, heard.latency_s)
        return rows

    async def _answered(self, client: Client, body: Mapping[str, Any]) -> Heard:
        # The client leaves a `/v1` at the end of its address out.
        path = "/v1/embeddings" if self._url.endswith("/v1") else "/embeddings"
        for attempt in range(1, self._attempts + 1):
            heard = await client.post(path, body)
            fault = heard.fault
            if fault is None:
                return heard
            wait_s = fault.retry_after_s
            wait_s = _FIRST_WAIT_S * 2 ** (attempt - 1) if wait_s is None else wait_s
            passes = fault.error_kind in TRANSIENT_KINDS - {"auth", "budget"} and wait_s <= _MAX_WAIT_S
            if not passes or attempt == self._attempts:
                raise ProviderError(f"{self.name}: no vectors after {attempt} attempts: {fault.error}")
            await self._sleep(wait_s)
        raise ProviderError(f"{self.name}: `attempts` must be above 0")

    def _read(self, document: Any, n: int) -> tuple[npt.NDArray[np.float32], int | None]:
        import numpy as np

        answer = mapping(document, "the answer")
        found = [mapping(one, "a vector") for one in sequence(answer.get("data"), "`data`")]
        placed = {one.get("index", place): one.get("embedding") for place, one in enumerate(found)}
        if len(found) != n or set(placed) != set(range(n)):
            raise ValueError(f"{len(found)} vectors came for {n} texts")
        rows = np.array([_vector(placed[place]) for place in range(n)], dtype=np.float32)
        if not np.isfinite(rows).all():
            raise ValueError("a number of a vector is missing")
        if rows.shape != (n, self.dim):
            raise ValueError(f"vectors of length {rows.shape[-1]} came, not of {self.dim}; say `dim={rows.shape[-1]}`")
        usage = mapping(answer.get("usage"), "`usage`") if answer.get("usage") is not None else {}
        return unit_rows(rows), count(usage.get("prompt_tokens"))


def _vector(told: Any) -> Any:
    import numpy as np

    try:
        # Some servers answer in base64, whatever was asked for.
        return np.frombuffer(base64.b64decode(told, validate=True), "<f4") if isinstance(told, str) else told
    except (binascii.Error, ValueError):
        raise ValueError("a vector came as a text that is no base64") from None
