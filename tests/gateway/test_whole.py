from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from routebench.gateway.whole import model_document, models_document, whole_answer
from routebench.types import Completion, ToolCall, Usage

USAGE = Usage(10, 5, cached_input_tokens=4, reasoning_tokens=3)


def written(**fields: Any) -> dict[str, Any]:
    completion = Completion(**{"status": "ok", "text": "Hello", "finish_reason": "stop", "usage": USAGE, **fields})
    document = json.loads(
        whole_answer(completion, trace_id="0123456789abcdef" * 2, created=1700, model="small", about={"rule": "r"})
    )
    # What the official client makes of it, field by field as it is typed there.
    ChatCompletion.model_validate(document)
    return dict(document)


def test_an_answer_looks_the_same_whoever_gave_it() -> None:
    assert written(reasoning="Hm.") == {
        "id": "0123456789abcdef" * 2,
        "object": "chat.completion",
        "created": 1700,
        "model": "small",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None, "reasoning_content": "Hm."},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        "service_tier": "default",
        "routebench": {"rule": "r"},
    }


def test_calls_of_tools_have_ids_that_a_later_turn_can_name() -> None:
    calls = (ToolCall(None, "look", '{"a": 1}'), ToolCall("own", "leap", ""), ToolCall(None, "look", "{}"))
    choice = written(text="", tool_calls=calls, finish_reason="stop")["choices"][0]
    ids = [call["id"] for call in choice["message"]["tool_calls"]]
    assert len(set(ids)) == 3
    assert ids[1] == "own"
    assert all(len(one) <= 40 for one in ids)
    assert [call["function"] for call in choice["message"]["tool_calls"]] == [
        {"name": "look", "arguments": '{"a": 1}'},
        {"name": "leap", "arguments": "{}"},
        {"name": "look", "arguments": "{}"},
    ]
    assert choice["message"]["content"] is None
    assert choice["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        (Usage(), None),
        (Usage(10, None), None),
        (Usage(None, 5), None),
        (Usage(10, 0), {"prompt_tokens": 10, "completion_tokens": 0, "total_tokens": 10}),
    ],
)
def test_tokens_that_are_not_known_are_not_told_as_zero(usage: Usage, told: Any) -> None:
    assert written(usage=usage)["usage"] == told


@pytest.mark.parametrize(
    ("ours", "told"),
    [("stop", "stop"), ("length", "length"), ("tool_calls", "tool_calls"), ("other", "length"), (None, "length")],
)
def test_an_end_that_is_none_of_the_interface_is_not_a_clean_stop(ours: str | None, told: str) -> None:
    assert written(finish_reason=ours)["choices"][0]["finish_reason"] == told


def test_half_characters_are_no_fault_of_the_gateway() -> None:
    assert written(text="a\ud83d")["choices"][0]["message"]["content"] == "a?"


def test_logprobs_are_handed_over() -> None:
    one = {"token": "Hello", "logprob": -0.1, "bytes": [72], "top_logprobs": []}
    assert written(logprobs=(one,))["choices"][0]["logprobs"] == {"content": [one], "refusal": None}


def test_models_are_listed() -> None:
    document = json.loads(models_document(["routebench/auto", "small"], 1700))
    assert [one["id"] for one in document["data"]] == ["routebench/auto", "small"]
    assert document["data"][1] == json.loads(model_document("small", 1700))
