"""A recording answers calls by what they ask, whether they bring a key or not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from routebench.providers import Recorded
from routebench.providers.base import prepare
from routebench.providers.recorded import write_recording
from routebench.types import Completion, Model, Request

MODEL = Model(
    "small",
    "openai",
    "s",
    system="Be short.",
    few_shot=({"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "2"}),
    params={"temperature": 0, "response_format": {"type": "json_object"}},
)
ASKED = Request(({"role": "user", "content": "2 + 2?"},), params={"max_tokens": 4})


def test_a_call_without_a_key_is_known_by_its_content(tmp_path: Path) -> None:
    call = prepare(MODEL, ASKED)
    write_recording(tmp_path / "r.gz", [(call.key, Completion(status="ok", text="4"))])
    recorded = Recorded(tmp_path / "r.gz")
    # As a gateway asks: without a key, and saying whether it wants a stream.
    request = replace(call.request, params={**call.request.params, "stream": False})
    bare = replace(call, request=request, key="")
    assert asyncio.run(recorded.complete(bare)).text == asyncio.run(recorded.complete(call)).text == "4"
    other = replace(bare, request=replace(request, messages=({"role": "user", "content": "2 + 3?"},)))
    assert asyncio.run(recorded.complete(other)).error_kind == "bad_request"
