from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routebench.messages import estimate_input_tokens, has_images, has_unread, spoken, text_of

CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"query": "a \\"b\\"", "n": 1.50}'}}


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"role": "user", "content": "hi"}, "hi"),
        ({"content": "hi"}, "hi"),
        ({"role": "user"}, ""),
        ({"role": "user", "content": None}, ""),
        ({"role": "user", "content": 7}, ""),
        ({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "a\nb"),
        ({"role": "user", "content": ["a", ["b", {"text": "c"}]]}, "a\nb\nc"),
        ({"role": "tool", "tool_call_id": "c1", "content": "42"}, "42"),
        ({"role": "tool", "content": '{"a": "x\\ny"}'}, '{"a": "x\\ny"}\na\nx\ny'),
        ({"role": "tool", "content": '{"a": "b"}'}, '{"a": "b"}'),
        ({"role": "tool", "content": "C:\\new"}, "C:\\new"),
        ({"role": "user", "content": '{"a": "x\\ny"}'}, '{"a": "x\\ny"}'),
        (
            {
                "role": "user",
                "content": [{"type": "tool_result", "content": [{"type": "text", "text": '["\\u5408"]'}]}],
            },
            '["\\u5408"]\n合',
        ),
        ({"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "in"}]}]}, "in"),
        ({"role": "user", "content": [{"type": "tool_result", "content": "in"}, {"text": "after"}]}, "in\nafter"),
        ({"role": "assistant", "content": "so", "tool_calls": [CALL]}, 'so\nfind\nquery\na "b"\nn\n1.50'),
        ({"role": "assistant", "content": None, "function_call": CALL["function"]}, 'find\nquery\na "b"\nn\n1.50'),
        ({"role": "assistant", "tool_calls": [{"custom": {"name": "run", "input": "ls -l"}}]}, "run\nls -l"),
        ({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{broken"}}]}, "f\n{broken"),
        (
            {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": '{"q": "one", "q": "two"}'}}]},
            "f\nq\none\nq\ntwo",
        ),
        (
            {"role": "assistant", "content": [{"type": "tool_use", "name": "f", "input": {"a": [1, True, None, "x"]}}]},
            "f\na\n1\ntrue\nx",
        ),
        ({"role": "assistant", "content": None, "refusal": "no"}, "no"),
        ({"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}, "no"),
        ({"role": "assistant", "tool_calls": "odd", "function_call": 3}, ""),
        ({"role": "assistant", "tool_calls": [None, {"function": None}, {"function": {"name": 1}}]}, ""),
    ],
)
def test_all_that_a_message_says(message: dict[str, Any], said: str) -> None:
    assert spoken(message) == said


@given(st.lists(st.text(max_size=5).map(lambda text: {"type": "text", "text": text}), max_size=3) | st.text(max_size=9))
def test_a_message_of_texts_says_its_text(content: Any) -> None:
    message = {"role": "user", "content": content}
    assert spoken(message) == text_of(message)
    assert estimate_input_tokens([message]) == math.ceil(len(text_of(message)) / 4)
    assert not has_unread([message])


def test_calls_and_results_of_tools_are_input_too() -> None:
    function: Any = CALL["function"]
    call = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    assert estimate_input_tokens([call]) == math.ceil((len("find\n") + len(function["arguments"])) / 4)
    result = {"role": "user", "content": [{"type": "tool_result", "content": "x" * 400}]}
    assert estimate_input_tokens([result]) == 100


def test_images_and_unread_parts_are_found_in_results_too() -> None:
    image = {"type": "image", "source": {}}
    for content in ([image], [{"type": "tool_result", "content": [{"type": "text", "text": "see"}, image]}]):
        messages = [{"role": "user", "content": "hi"}, {"role": "user", "content": content}]
        assert has_images(messages)
        assert has_unread(messages)
    assert has_unread([{"role": "assistant", "audio": {"id": "a"}}])
    assert not has_unread([{"role": "assistant", "tool_calls": [CALL]}])


@given(st.recursive(st.text(max_size=4) | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=6))  # fmt: skip
def test_escapes_of_json_hide_nothing(value: Any) -> None:
    def call(arguments: Any) -> dict[str, Any]:
        return {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}

    plain, escaped = (json.dumps(value, ensure_ascii=asks) for asks in (False, True))
    assert spoken(call(plain)) == spoken(call(escaped)) == spoken(call([value]))
