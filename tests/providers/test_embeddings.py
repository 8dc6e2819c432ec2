from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx
import numpy as np
import pytest

from routebench.errors import ConfigError, ProviderError
from routebench.providers import Embeddings
from routebench.types import Model, Price

KEY = "sk-very-secret-key"
MODEL = Model("emb", "openai", "text-embedding-3-small", price=Price(input_usd_per_mtok=0.02, output_usd_per_mtok=0.0))


class Server:
    """Answers with vectors of two numbers, in the wrong order; `faults` come first."""

    def __init__(self, *faults: httpx.Response, encode: bool = False, **answer: Any) -> None:
        self.asked: list[tuple[httpx.Request, dict[str, Any]]] = []
        self._faults = list(faults)
        self._encode = encode
        self._answer = answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.asked.append((request, body))
        if self._faults:
            return self._faults.pop(0)

        def vector(text: str) -> Any:
            numbers = [float(len(text)), 1.0]
            return base64.b64encode(np.array(numbers, "<f4").tobytes()).decode() if self._encode else numbers

        data = [{"index": place, "embedding": vector(text)} for place, text in enumerate(body["input"])]
        usage = {"prompt_tokens": 10 * len(data), "total_tokens": 10 * len(data)}
        return httpx.Response(200, json={"data": data[::-1], "usage": usage, **self._answer})


def embedder(server: Server, model: Model = MODEL, dim: int = 2, **more: Any) -> tuple[Embeddings, list[float]]:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    known = {"secrets": {"OPENAI_API_KEY": KEY}, "transport": lambda: httpx.MockTransport(server), "sleep": sleep}
    return Embeddings(model, dim, **{**known, **more}), waits


@pytest.mark.parametrize("encode", [False, True])
def test_vectors_come_in_batches_and_in_order(encode: bool) -> None:
    server = Server(encode=encode)
    found, waits = embedder(server, batch=2)
    rows = found.embed(["aaa", "a", "", "aaaa", "aa"])
    assert rows.dtype == np.float32
    assert rows.tolist() == [pytest.approx(np.array([n, 1]) / np.hypot(n, 1), abs=1e-6) for n in (3, 1, 1, 4, 2)]
    assert [len(body["input"]) for _, body in server.asked] == [2, 2, 1]
    assert str(server.asked[0][0].url) == "https://api.openai.com/v1/embeddings"
    assert server.asked[0][0].headers["authorization"] == f"Bearer {KEY}"
    # A text that says nothing is refused by servers.
    assert server.asked[1][1]["input"] == [".", "aaaa"]
    assert (found.spend.n_calls, found.spend.n_texts, found.spend.input_tokens) == (3, 5, 50)
    assert found.spend.cost_usd == pytest.approx(50 * 0.02e-6)
    assert found.spend.latency_s > 0
    assert not waits
    assert found.embed([]).shape == (0, 2)


def test_what_nobody_told_stays_unknown() -> None:
    found, _ = embedder(Server(usage=None))
    found.embed(["a"])
    assert (found.spend.input_tokens, found.spend.cost_usd) == (None, None)


def test_the_address_and_parameters_are_the_models() -> None:
    server = Server()
    model = Model("e", "vllm", "bge", base_url="http://127.0.0.1:9/openai/", params={"dimensions": 2})
    found, _ = embedder(server, model, secrets={})
    found.embed(["a"])
    assert str(server.asked[0][0].url) == "http://127.0.0.1:9/openai/embeddings"
    assert server.asked[0][1] == {"model": "bge", "input": ["a"], "encoding_format": "float", "dimensions": 2}
    assert "authorization" not in server.asked[0][0].headers
    other, _ = embedder(server, Model("e", "vllm", "bge", base_url="http://127.0.0.1:9/openai"), secrets={})
    assert (found.name, found.name) == ("vllm/bge", other.name)
    assert found.key != other.key


def test_it_works_where_a_loop_is_running_already() -> None:
    found, _ = embedder(Server())

    async def notebook() -> Any:
        return found.embed(["a"])

    assert asyncio.run(notebook()).shape == (1, 2)


def test_faults_that_pass_are_waited_for() -> None:
    faults = (
        httpx.Response(429, headers={"retry-after": "7"}, json={"error": {"message": "slow down"}}),
        httpx.Response(503, json={"error": {"message": "busy"}}),
    )
    found, waits = embedder(Server(*faults))
    assert found.embed(["a"]).shape == (1, 2)
    assert waits == [7.0, 1.0]
    assert found.spend.n_calls == 1


@pytest.mark.parametrize(
    ("faults", "asked", "says"),
    [
        ([httpx.Response(503, json={})] * 4, 4, "openai/text-embedding-3-small: no vectors after 4 attempts"),
        ([httpx.Response(401, json={"error": {"message": f"bad key {KEY}"}})], 1, "after 1 attempts"),
        ([httpx.Response(400, json={"error": {"message": "too long"}})], 1, "after 1 attempts: .*too long"),
        ([httpx.Response(429, headers={"retry-after": "500"}, json={})], 1, "after 1 attempts"),
    ],
)
def test_faults_that_stay_are_told_without_the_key(faults: list[httpx.Response], asked: int, says: str) -> None:
    server = Server(*faults)
    found, _ = embedder(server)
    with pytest.raises(ProviderError, match=says) as raised:
        found.embed(["a"])
    assert KEY not in str(raised.value)
    assert len(server.asked) == asked


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"data": []}, "0 vectors came for 1 texts"),
        ({"data": [{"index": 1, "embedding": [1, 2]}]}, "1 vectors came for 1 texts"),
        ({"data": [{"index": 0, "embedding": [1, 2, 3]}]}, "length 3 came, not of 2; say `dim=3`"),
        ({"data": [{"index": 0, "embedding": "&"}]}, "no base64"),
        ({"data": [{"index": 0, "embedding": [None, 1]}]}, "a number of a vector is missing"),
        ({"data": "none"}, "data"),
    ],
)
def test_an_answer_without_the_vectors_is_an_error(answer: Any, says: str) -> None:
    found, _ = embedder(Server(**answer))
    with pytest.raises(ProviderError, match=says):
        found.embed(["a"])
    assert found.spend.n_calls == 0


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set; the embedder 'emb' needs it"):
        embedder(Server(), secrets={})
    with pytest.raises(ConfigError, match="the embedder 'e' has no address of its own: set `base_url`"):
        embedder(Server(), Model("e", "litellm", "bge"))
    with pytest.raises(ConfigError, match="unknown provider"):
        embedder(Server(), Model("e", "nobody", "bge"))
