"""The documented commands, with curl."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from tests.gateway.sdk import wires
from tests.gateway.sdk.conftest import Running

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


def curl(running: Running, path: str, *options: str, body: dict[str, Any] | None = None) -> str:
    sent = [] if body is None else ["-H", "content-type: application/json", "-d", json.dumps(body)]
    command = ["curl", "-sS", "--noproxy", "*", "--max-time", "20", *options, *sent, f"{running.url}/{path}"]
    return subprocess.run(command, check=True, capture_output=True).stdout.decode()


def test_an_answer_and_the_list_of_models(running: Running) -> None:
    body = {"model": "routebench/auto", "messages": [{"role": "user", "content": "hi"}]}
    answer = json.loads(curl(running, "chat/completions", body=body))
    assert answer["choices"][0]["message"]["content"] == wires.TEXT
    assert answer["routebench"]["rule"] == "default"
    assert json.loads(curl(running, "models"))["data"][0]["id"] == "routebench/auto"


def test_a_stream_says_what_it_is_and_ends_in_its_mark(running: Running) -> None:
    body = {"model": "anthropic", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    told = curl(running, "chat/completions", "-N", "-i", body=body)
    head, _, rest = told.partition("\r\n\r\n")
    assert "content-type: text/event-stream" in head.lower()
    assert "x-routebench-model: anthropic" in head.lower()
    assert rest.endswith("data: [DONE]\n\n")


def test_an_error_is_json_with_its_status(running: Running) -> None:
    told = curl(running, "chat/completions", "-i", body={"model": "openai", "messages": [], "streem": True})
    head, _, rest = told.partition("\r\n\r\n")
    assert " 400 " in head.splitlines()[0]
    error = json.loads(rest)["error"]
    assert (error["param"], error["code"]) == ("streem", "unknown_parameter")
    assert "did you mean 'stream'?" in error["message"]
