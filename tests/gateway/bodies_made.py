"""Bodies to throw at the gateway: made from a schema of the request, then spoilt."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

TEXT: dict[str, Any] = {"type": "string", "maxLength": 30}
NAME: dict[str, Any] = {"type": "string", "pattern": "^[A-Za-z0-9_]{1,12}$"}
FREE: dict[str, Any] = {"type": "object", "maxProperties": 3}


def an_object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def a_part(kind: str, said: Any) -> dict[str, Any]:
    return an_object({"type": {"const": kind}, kind: said})


URL = {"enum": ["data:image/png;base64,AAAA", "https://example.com/a.png", "http://93.184.215.14/a.png"]}
TEXT_PART = a_part("text", TEXT)
USER_PARTS = [
    TEXT_PART,
    a_part("image_url", an_object({"url": URL}, {"detail": {"enum": ["auto", "low", "high"]}})),
    a_part("input_audio", an_object({"data": {"const": "AAAA"}, "format": {"enum": ["wav", "mp3"]}})),
    a_part("file", an_object({"file_data": {"const": "data:application/pdf;base64,AAAA"}}, {"filename": TEXT})),
]


def content(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [TEXT, {"type": "array", "items": {"anyOf": list(parts)}, "minItems": 1, "maxItems": 3}]}


def message(role: str, said: dict[str, Any], **more: Any) -> dict[str, Any]:
    return an_object({"role": {"const": role}, "content": said}, more)


CALL = an_object(
    {
        "id": NAME,
        "type": {"const": "function"},
        "function": an_object({"name": NAME, "arguments": {"anyOf": [TEXT, {"enum": ["", "{}", '{"a": [1]}']}]}}),
    }
)
MESSAGE = {
    "anyOf": [
        message("developer", content(TEXT_PART), name=NAME),
        message("system", content(TEXT_PART), name=NAME),
        message("user", content(*USER_PARTS), name=NAME),
        message("assistant", content(TEXT_PART, a_part("refusal", TEXT)), refusal={"anyOf": [TEXT, {"type": "null"}]}),
        an_object(
            {
                "role": {"const": "assistant"},
                "content": {"type": "null"},
                "tool_calls": {"type": "array", "items": CALL, "minItems": 1, "maxItems": 2},
            }
        ),
        an_object({"role": {"const": "tool"}, "tool_call_id": NAME, "content": content(TEXT_PART)}),
        an_object({"role": {"const": "function"}, "name": NAME, "content": TEXT}),
    ]
}
TOOL = an_object(
    {"type": {"const": "function"}, "function": an_object({"name": NAME}, {"description": TEXT, "parameters": FREE, "strict": {"type": "boolean"}})}
)  # fmt: skip
FORM = {
    "anyOf": [
        an_object({"type": {"enum": ["text", "json_object"]}}),
        an_object({"type": {"const": "json_schema"}, "json_schema": an_object({"name": NAME, "schema": FREE})}),
    ]
}
REQUEST = an_object(
    {
        "model": {"enum": ["auto", "routebench/auto", "routebench", "openai", "anthropic", "gemini"]},
        "messages": {"type": "array", "items": MESSAGE, "minItems": 1, "maxItems": 4},
    },
    {
        "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
        "top_p": {"type": "number", "minimum": 0, "maximum": 1},
        "frequency_penalty": {"type": "number", "minimum": -2, "maximum": 2},
        "presence_penalty": {"type": "number", "minimum": -2, "maximum": 2},
        "max_completion_tokens": {"type": "integer", "minimum": 1, "maximum": 4096},
        "stop": {"anyOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1, "maxItems": 4}]},
        "seed": {"type": "integer", "minimum": -(2**31), "maximum": 2**31},
        "logit_bias": {"type": "object", "additionalProperties": {"type": "integer", "minimum": -100, "maximum": 100}, "maxProperties": 2},
        "logprobs": {"type": "boolean"},
        "n": {"enum": [1, None]},
        "user": {"type": "string", "minLength": 1, "maxLength": 8},
        "reasoning_effort": {"enum": ["minimal", "low", "medium", "high"]},
        "parallel_tool_calls": {"type": "boolean"},
        "store": {"type": "boolean"},
        "response_format": FORM,
        "tools": {"type": "array", "items": TOOL, "maxItems": 2},
        "metadata": {"type": "object", "additionalProperties": TEXT, "maxProperties": 3},
        "routebench": an_object({}, {"tags": {"type": "array", "items": NAME, "maxItems": 2}, "metadata": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}, "maxProperties": 2, "propertyNames": {"maxLength": 20}}}),
    },
)  # fmt: skip
REQUEST["properties"]["metadata"]["propertyNames"] = {"maxLength": 20}

HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 5, 2**31, 2**63, 2**64, -(2**63), 10**40, 0.1, -0.0, 1e308, 5e-324,
    "", " ", "x", "null", "\x00", "\u2028", "é", "😀", "x" * 5000, "../../etc/passwd", "${KEY}", "http://127.0.0.1:1/",
    "data: [DONE]\n\n", "<script>alert(1)</script>", "'; DROP TABLE traces; --", "\r\nx-evil: 1",
    [], [[]], [None], [[[[[[]]]]]], ["x"] * 200, {}, {"": {}}, {"type": {}}, {"role": "user"}, {"a": {"b": {"c": []}}},
    {"url": "file:///etc/passwd"}, {"type": "image_url", "image_url": {"url": "http://localhost/"}},
)  # fmt: skip
NAMES = (
    "model", "messages", "role", "content", "type", "text", "function", "tool_calls", "tool_call_id", "name", "stream",
    "stream_options", "tools", "tool_choice", "response_format", "base_url", "extra_body", "extra_headers", "api_key",
    "n", "max_tokens", "functions", "metadata", "routebench", "previous", "", "__class__", "\x00", "x" * 300, "temprature",
)  # fmt: skip
_BYTES = (
    b"\x00",
    b"\xff",
    b"\xed\xa0\x80",
    b"\\ud800",
    b'"',
    b"{",
    b"[",
    b"}",
    b",",
    b"NaN",
    b"1e999",
    b"\n",
    b"//",
    b"\xef\xbb\xbf",
)


def made_from(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values of a schema, of the few words that the schema above is written in.

    Raises:
        ValueError: it has other words.
    """
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of([made_from(one) for one in schema["anyOf"]])
    kind, most = schema["type"], schema.get("maxProperties", 3)
    if isinstance(kind, list):
        return st.one_of([made_from({**schema, "type": one}) for one in kind])
    if kind == "object" and schema.get("additionalProperties") is False:
        members = {name: made_from(one) for name, one in schema["properties"].items()}
        required = set(schema["required"])
        return st.fixed_dictionaries(
            {name: one for name, one in members.items() if name in required},
            optional={name: one for name, one in members.items() if name not in required},
        )
    if kind == "object":
        # Without a word on its members they are whatever JSON can hold.
        inner = made_from(schema["additionalProperties"]) if "additionalProperties" in schema else ANYTHING
        names = st.text(max_size=schema.get("propertyNames", {}).get("maxLength", 10))
        return st.dictionaries(names, inner, max_size=most)
    if kind == "array":
        items = made_from(schema["items"])
        return st.lists(items, min_size=schema.get("minItems", 0), max_size=schema.get("maxItems", 4))
    return _simple(kind, schema)


def _simple(kind: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    least, greatest = schema.get("minimum"), schema.get("maximum")
    if kind == "string" and "pattern" in schema:
        return st.from_regex(schema["pattern"].replace("$", r"\Z"))
    simple: dict[str, st.SearchStrategy[Any]] = {
        "boolean": st.booleans(),
        "null": st.none(),
        "integer": st.integers(least, greatest),
        "number": st.floats(least, greatest, allow_nan=False, allow_infinity=False),
        "string": st.text(min_size=schema.get("minLength", 0), max_size=schema.get("maxLength", 20)),
    }
    if kind not in simple:
        raise ValueError(f"no values of type {kind!r}")
    return simple[kind]


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


def spoilt(documents: list[dict[str, Any]], number: int, seed: int) -> Iterator[bytes]:
    """Bodies, each a document with one to four things wrong in it, most of them in its tree and some in its bytes."""
    draw = random.Random(seed)
    for _ in range(number):
        document = _copy(draw.choice(documents))
        for _ in range(draw.randint(1, 3)):
            _spoil(document, draw)
        body = json.dumps(document, ensure_ascii=draw.random() < 0.5).encode(errors="replace")
        yield _spoil_bytes(body, draw) if draw.random() < 0.2 else body


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _spoil(document: dict[str, Any], draw: random.Random) -> None:
    places: list[tuple[Any, Any]] = []
    waiting: list[Any] = [document]
    while waiting:
        one = waiting.pop()
        inner = list(one.items()) if isinstance(one, dict) else list(enumerate(one))
        places += [(one, key) for key, _ in inner]
        waiting += [value for _, value in inner if isinstance(value, (dict, list))]
    if not places:
        document[draw.choice(NAMES)] = _copy(draw.choice(HOSTILE))
        return
    holder, key = draw.choice(places)
    way = draw.randrange(6)
    if way <= 2:
        holder[key] = _copy(draw.choice(HOSTILE))
    elif way == 3:
        del holder[key]
    elif way == 4 and isinstance(holder, dict):
        holder[draw.choice(NAMES)] = _copy(draw.choice(HOSTILE))
    elif isinstance(holder, list):
        holder += [_copy(holder[key])] * draw.choice((1, 50))
    else:
        deep: Any = holder[key]
        for _ in range(draw.choice((1, 5, 120))):
            deep = {"a": deep} if draw.random() < 0.5 else [deep]
        holder[key] = deep


def _spoil_bytes(body: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(body) + 1)
    way = draw.randrange(5)
    if way == 0:
        return body[:at]
    if way == 1:
        return body[:at] + draw.choice(_BYTES) + body[at:]
    if way == 2:
        return body[:at] + draw.choice(_BYTES) + body[at + 1 :]
    if way == 3:
        return body + body
    return body.decode().encode(draw.choice(("utf-16", "utf-32", "utf-7"))) if at % 2 else draw.randbytes(at)
