from __future__ import annotations

import json
import time
from typing import Any

import pytest

from routebench.gateway.asked import Asked, read_chat
from routebench.gateway.refusal import Refusal

HI = [{"role": "user", "content": "hi"}]
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def read(**members: Any) -> Asked:
    return read_chat(json.dumps({"model": "auto", "messages": HI, **members}).encode())


def refused(body: bytes | dict[str, Any]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read_chat(body if isinstance(body, bytes) else json.dumps({"model": "auto", "messages": HI, **body}).encode())
    assert caught.value.status == 400
    assert caught.value.kind == "invalid_request_error"
    assert len(caught.value.message) < 300
    return caught.value


def test_a_request_is_read_into_what_is_decided_and_what_is_said_about_it() -> None:
    asked = read(
        model="large",
        temperature=0.5,
        max_completion_tokens=9,
        stream=True,
        stream_options={"include_usage": True},
        tools=[LOOK],
        tool_choice="auto",
        response_format={"type": "json_object"},
        metadata={"team": "sales"},
        routebench={"tags": ["urgent"], "metadata": {"tier": 2, "internal": True}, "previous": "small"},
        user="u1",
    )
    assert (asked.model, asked.streamed, asked.include_usage, asked.previous) == ("large", True, True, "small")
    request = asked.request
    assert request.messages == tuple(HI)
    assert request.tools == (LOOK,)
    assert request.response_format == {"type": "json_object"}
    assert request.params == {"temperature": 0.5, "max_completion_tokens": 9, "tool_choice": "auto", "user": "u1"}
    assert request.metadata == {"team": "sales", "tier": 2, "internal": True}
    assert request.tags == ("urgent",)


@pytest.mark.parametrize("name", ["auto", "routebench", "routebench/auto"])
def test_three_names_leave_the_choice_to_the_rules(name: str) -> None:
    assert read(model=name).model is None


def test_null_is_as_if_it_were_not_there() -> None:
    nothing = dict.fromkeys(
        "temperature stream stream_options tools tool_choice response_format metadata routebench n stop seed".split()
    )
    assert read(**nothing) == read()


def test_messages_stay_as_they_came() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "name": "ann", "content": [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}, {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}}]},
        {"role": "assistant", "content": None, "refusal": None, "annotations": [], "audio": None, "function_call": None, "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "look", "arguments": "not json"}}]},
        {"role": "tool", "tool_call_id": "t1", "content": [{"type": "text", "text": "seen"}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}], "reasoning_content": "Hm."},
        {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}},
        {"role": "function", "name": "look", "content": "seen"},
        {"role": "user", "content": ""},
    ]  # fmt: skip
    assert list(read(messages=messages).request.messages) == messages


@pytest.mark.parametrize(
    ("members", "place", "words"),
    [
        ({"messages": None}, "messages", "at least one message"),
        ({"messages": []}, "messages", "empty list"),
        ({"messages": "hi"}, "messages", "got 'hi'"),
        ({"messages": [5]}, "messages[0]", "got 5"),
        ({"messages": [{"content": "x"}]}, "messages[0].role", "got null"),
        ({"messages": [{"role": "boss", "content": "x"}]}, "messages[0].role", "one of system"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role", "a list"),
        ({"messages": [*HI, {"role": "user", "content": 5}]}, "messages[1].content", "got 5"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "null"),
        ({"messages": [{"role": "assistant", "content": None}]}, "messages[0].content", "null"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content", "at least one part"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]", "{type: text"),
        ({"messages": [{"role": "user", "content": [{"type": 5}]}]}, "messages[0].content[0].type", "got 5"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text", "a text"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}, "messages[0].content[0].type", "one of text"),
        ({"messages": [{"role": "system", "content": [{"type": "image_url", "image_url": {}}]}]}, "messages[0].content[0].type", "hold text only"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]}, "messages[0].content[0].image_url", "an object"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:text/html,x"}}]}]}, "messages[0].content[0].image_url.url", "data:image/png"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": 1}}]}]}, "messages[0].content[0].input_audio.data", "a text"),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]}, "messages[0].content[0].file.file_id", "file_data"),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": "file:///etc/passwd"}}]}]}, "messages[0].content[0].file.file_data", "base64"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id", "the id"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].name", "function"),
        ({"messages": [{"role": "user", "content": "x", "name": 1}]}, "messages[0].name", "got 1"),
        ({"messages": [{"role": "user", "content": "x", "tool_calls": []}]}, "messages[0].tool_calls", "only assistant"),
        ({"messages": [{"role": "assistant", "content": None, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": {}}}]}]}, "messages[0].tool_calls[0].function.arguments", "as the model wrote it"),
        ({"messages": [{"role": "assistant", "content": None, "tool_calls": [{"type": "function"}]}]}, "messages[0].tool_calls[0].id", "null"),
        ({"messages": [{"role": "assistant", "content": "x", "audio": {"id": "a"}}]}, "messages[0].audio", "text"),
        ({"messages": [{"role": "user", "content": "x"}] * 10_001}, "messages", "at most 10000"),
        ({"model": None}, "model", "routebench/auto"),
        ({"model": ""}, "model", "routebench/auto"),
        ({"model": "x" * 300}, "model", "…"),
        ({"stream": "yes"}, "stream", "true or false"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "stream: true"),
        ({"stream": True, "stream_options": {"include_all": True}}, "stream_options.include_all", "include_usage"),
        ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage", "true or false; got 1"),
        ({"n": 2}, "n", "one answer"),
        ({"n": 0}, "n", "from 1 to 1"),
        ({"n": True}, "n", "got true"),
        ({"temperature": "hot"}, "temperature", "got 'hot'"),
        ({"temperature": 2.5}, "temperature", "from 0 to 2"),
        ({"temperature": True}, "temperature", "got true"),
        ({"max_tokens": 0}, "max_tokens", "at least 1"),
        ({"max_tokens": 1.5}, "max_tokens", "whole number"),
        ({"max_tokens": 10**30}, "max_tokens", "whole number"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens", "one of them"),
        ({"top_logprobs": 3}, "top_logprobs", "logprobs: true"),
        ({"stop": []}, "stop", "list of 1 to 16"),
        ({"stop": ["a", 1]}, "stop", "texts"),
        ({"logit_bias": {"5": "x"}}, "logit_bias", "-100 to 100"),
        ({"reasoning_effort": "huge"}, "reasoning_effort", "one of none"),
        ({"modalities": ["text", "audio"]}, "modalities", "as text"),
        ({"tools": {}}, "tools", "a list"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type", "function"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "an object"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name", "letters"),
        ({"tools": [{"type": "function", "function": {"name": "a", "parameters": []}}]}, "tools[0].function.parameters", "schema"),
        ({"tool_choice": "auto"}, "tool_choice", "needs `tools`"),
        ({"tools": [LOOK], "tool_choice": "maybe"}, "tool_choice", "required"),
        ({"tools": [LOOK], "tool_choice": {"type": "function", "function": {"name": "leap"}}}, "tool_choice.function.name", "one of the request's tools"),
        ({"response_format": "json"}, "response_format", "an object"),
        ({"response_format": {"type": "yaml"}}, "response_format.type", "json_schema"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "an object"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}}, "response_format.json_schema.schema", "schema"),
        ({"metadata": {"a": 1}}, "metadata.a", "routebench: {metadata"),
        ({"metadata": {str(number): "x" for number in range(17)}}, "metadata", "at most 16"),
        ({"metadata": {"a": "x" * 513}}, "metadata.a", "512"),
        ({"routebench": []}, "routebench", "an empty list"),
        ({"routebench": {"route": "large"}}, "routebench.route", "tags, metadata"),
        ({"routebench": {"metadata": {"a": {}}}}, "routebench.metadata.a", "an object"),
        ({"routebench": {"tags": [""]}}, "routebench.tags[0]", "a word"),
        ({"routebench": {"tags": "x"}}, "routebench.tags", "a list"),
        ({"routebench": {"previous": 5}}, "routebench.previous", "got 5"),
        ({"temprature": 1}, "temprature", "did you mean 'temperature'?"),
        ({"functions": []}, "functions", "tools"),
        ({"chat_template_kwargs": {"chat_template": "{{ 1 }}"}}, "chat_template_kwargs", "the server's own"),
        ({"chat_template_kwargs": {"a": {}}}, "chat_template_kwargs", "flags"),
        ({"web_search_options": {}}, "web_search_options", "price"),
        ({"function_call": "auto"}, "function_call", "tool_choice"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place_and_the_mend(members: dict[str, Any], place: str, words: str) -> None:
    refusal = refused(members)
    assert refusal.param == place
    assert refusal.message.startswith(place)
    assert words in refusal.message


@pytest.mark.parametrize(
    "name",
    """
    base_url api_base api_key key_env api_version organization project headers extra_body extra_headers extra_query
    timeout proxy host endpoint custom_llm_provider models provider route transforms plugins fallbacks deployments
    few_shot system price extra_bodies x-api-key authorization chat_template cachedContent
    """.split(),
)
@pytest.mark.parametrize("value", ["http://169.254.169.254/", {"a": "b"}, None])
def test_no_client_says_where_a_request_goes_or_with_which_key(name: str, value: Any) -> None:
    assert refused({name: value}).param == name


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gs://bucket/a.png",
        "ftp://example.com/a.png",
        "//example.com/a.png",
        "/etc/passwd",
        "http://localhost/a.png",
        "http://LOCALHOST./a.png",
        "http://127.0.0.1:9000/a.png",
        "http://127.1/a.png",
        "http://2130706433/a.png",
        "http://0x7f.0.0.1/a.png",
        "http://10.0.0.8/a.png",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/a.png",
        "http://[::ffff:10.0.0.1]/a.png",
        "http://metadata.google.internal/",
        "http://printer.local/",
        "http://vault/",
        "https://user:pass@example.com/a.png",
        "http://[broken/a.png",
        "data:image/svg+xml,<svg/>",
        "",
    ],
)
def test_an_image_lies_in_the_request_or_at_a_public_address(url: str) -> None:
    content = [{"type": "image_url", "image_url": {"url": url}}]
    assert refused({"messages": [{"role": "user", "content": content}]}).param == "messages[0].content[0].image_url.url"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no JSON"),
        (b"hello", "no JSON"),
        (b"[]", "no JSON object"),
        (b'"x"', "no JSON object"),
        (b'\xef\xbb\xbf{"model": "auto"}', "no JSON"),
        (b'{"model": "\xff"}', "no JSON"),
        (b'{"model": "\\ud800"}', "no JSON"),
        (b'{"temperature": NaN}', "no JSON"),
        (b'{"temperature": -Infinity}', "no JSON"),
        (b'{"temperature": 1e999}', "no JSON"),
        (b'{"seed": ' + b"9" * 100_000 + b"}", "no JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "no JSON"),
        (b'{"a":' * 100_000, "no JSON"),
        (b'{"model": "auto", "messages": [{"role": "user", "content": "hi"}], "reasoning": {"a": ' + b"[" * 500 + b"]" * 500 + b"}}", "too deeply"),
        (b'{"model": "auto", "messages": [{"role": "user", "content": "hi"}]} trailing', "no JSON"),
        ('{"model": "auto"}'.encode("utf-16"), "no JSON"),
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_a_body_that_is_no_document_is_refused_and_not_echoed(body: bytes, words: str) -> None:
    assert words in refused(body).message


def test_of_a_name_that_stands_twice_one_value_is_decided_on_and_sent() -> None:
    asked = read_chat(b'{"model": "auto", "model": "large", "messages": [{"role": "user", "content": "hi"}]}')
    assert asked.model == "large"


def test_a_long_text_is_shown_by_its_beginning_only() -> None:
    secret = "my diary, page one: " + "x" * 500
    for members in ({"messages": secret}, {"model": [secret]}, {"tools": secret}, {secret: 1}, {"stop": {"a": secret}}):
        assert len(refused(members).message) < 200


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a":{}},' * 400_000 + b"1", "100000 lists and objects"),
        (b"1," * 400_000 + b"1", "10000 messages"),
        (b'{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://' + b"1." * 400_000 + b'"}}]}', "public address"),
    ],
    ids=["objects", "messages", "address"],
)  # fmt: skip
def test_a_small_body_of_much_work_is_not_worked_on(content: bytes, words: str) -> None:
    start_s = time.thread_time()
    assert words in refused(b'{"model": "auto", "messages": [' + content + b"]}").message
    assert time.thread_time() - start_s < 0.5


def test_brackets_of_code_in_a_prompt_are_no_lists() -> None:
    code = 'if (a[0] == "\\\\") { b["{"] = 1; }\n' * 80_000
    assert read(messages=[{"role": "user", "content": code}]).request.messages[0]["content"] == code
