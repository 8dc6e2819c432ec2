"""Some hundred spoilt bodies through a running gateway; `benchmarks/fuzz_gateway.py` sends ten thousand."""

from __future__ import annotations

import httpx

from tests.gateway.bodies_made import spoilt
from tests.gateway.sdk.conftest import Running

VALID = [
    {"model": "auto", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.5, "metadata": {"tier": "x"}},
    {"model": "anthropic", "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}], "stream": True},
    {
        "model": "gemini",
        "messages": [
            {"role": "system", "content": "x"},
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "a", "content": "x"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "routebench": {"tags": ["a"]},
    },
]  # fmt: skip


def test_each_is_answered_or_clearly_refused(running: Running) -> None:
    statuses = []
    with httpx.Client(base_url=running.url, timeout=20, trust_env=False) as client:
        for body in spoilt(VALID, 400, seed=3):
            answer = client.post("chat/completions", content=body, headers={"content-type": "application/json"})
            statuses.append(answer.status_code)
            if answer.status_code == 200:
                continue
            assert 400 <= answer.status_code < 500, (answer.text, body[:300])
            assert answer.json()["error"]["message"], body[:300]
        still = client.post("chat/completions", json=VALID[0])
    assert still.status_code == 200
    assert statuses.count(200) > 10
    assert statuses.count(400) > 200
